"""How far an archive reaches, over gaps and timelines."""

from __future__ import annotations

from deployguard.wal import Place, Reach, lsn_text, reach, segment

SIZE = 16 << 20


def names(timeline: int, *numbers: int) -> set[str]:
    return {segment(timeline, number, SIZE) for number in numbers}


def history(*ends: tuple[int, int]) -> str:
    """Left each timeline in the middle of a segment, with a comment and an empty line as servers write them."""
    return "# left\n\n" + "".join(
        f"{timeline}\t{lsn_text(number * SIZE + 4096)}\tno recovery target specified\n"
        for timeline, number in ends
    )


def test_log_without_a_gap_reaches_to_its_last_segment() -> None:
    found = reach(names(1, 2, 3, 4), {}, Place(1, 3), SIZE)
    assert found == Reach(segment(1, 4, SIZE), ())


def test_a_gap_ends_it_and_each_segment_that_is_missing_is_named() -> None:
    found = reach(names(1, 3, 4, 7), {}, Place(1, 3), SIZE)
    assert found == Reach(segment(1, 4, SIZE), (segment(1, 5, SIZE), segment(1, 6, SIZE)))


def test_an_archive_that_begins_too_late_reaches_nowhere() -> None:
    found = reach(names(1, 5), {}, Place(1, 4), SIZE)
    assert found == Reach("", (segment(1, 4, SIZE),))


def test_an_archive_with_nothing_for_the_backup_lacks_nothing_that_is_known() -> None:
    assert reach(names(1, 1), {}, Place(1, 4), SIZE) == Reach("", ())


def test_a_segment_that_is_not_whole_does_not_count() -> None:
    assert reach({segment(1, 3, SIZE) + ".partial"}, {}, Place(1, 3), SIZE).last == ""


def test_a_newer_timeline_is_followed_from_where_it_began() -> None:
    archived = names(1, 3, 4, 5, 6) | names(2, 5, 6, 7)
    found = reach(archived, {2: history((1, 5))}, Place(1, 3), SIZE)
    assert found == Reach(segment(2, 7, SIZE), ())


def test_what_the_old_timeline_has_does_not_fill_a_gap_of_the_new_one() -> None:
    archived = names(1, 3, 4, 5, 6) | names(2, 5, 7)
    found = reach(archived, {2: history((1, 5))}, Place(1, 3), SIZE)
    assert found == Reach(segment(2, 5, SIZE), (segment(2, 6, SIZE),))


def test_a_timeline_that_comes_from_another_is_not_followed() -> None:
    archived = names(2, 5, 6) | names(3, 6, 9)
    found = reach(archived, {2: history((1, 5)), 3: history((1, 6))}, Place(2, 5), SIZE)
    assert found == Reach(segment(2, 6, SIZE), ())


def test_timelines_are_followed_through_several() -> None:
    archived = names(1, 3, 4) | names(2, 5) | names(4, 6, 7)
    histories = {2: history((1, 5)), 4: history((1, 5), (2, 6))}
    assert reach(archived, histories, Place(1, 3), SIZE) == Reach(segment(4, 7, SIZE), ())
