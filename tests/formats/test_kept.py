"""The list, prune, du and status: nothing is overlooked, and nothing runs over eighty columns."""

from dataclasses import replace
from datetime import timedelta

import pytest

from deployguard.formats import words
from deployguard.formats.kept import (
    backups_lines,
    backups_markdown,
    disk_lines,
    disk_markdown,
    prune_lines,
    prune_markdown,
    standing_lines,
    standing_markdown,
)
from deployguard.formats.records import backup_lines
from deployguard.formats.spans import plain
from deployguard.model import OffsiteCopy
from tests.formats.reports import BACKUP, DISK, DRILLED, PRUNE, STANDING


def test_the_narrow_list_says_verified_and_drilled_in_one_word() -> None:
    shown = plain(backups_lines([DRILLED, BACKUP], 80))
    assert "3 h  1.5 kB  drilled   pinned" in shown
    assert "3 h  1.5 kB  yes       pre-deploy\n" in shown
    assert DRILLED.drill is not None
    bad = replace(DRILLED, drill=replace(DRILLED.drill, ok=False))
    assert "NO DRILL" in plain(backups_lines([bad], 80))
    assert "FAILED" in plain(backups_lines([bad], 200))


def test_the_wide_list_has_the_drill_and_the_places() -> None:
    far = replace(DRILLED, copies=(OffsiteCopy("s3://b/x", DRILLED.record.created, "0" * 64, {}),))
    assert "2026-02-18  here, s3  pre-deploy, pinned" in plain(backups_lines([far], 200))
    assert "here, s3" in backups_markdown([far])


def test_one_backup_shows_its_pin_and_its_drill() -> None:
    shown = plain(backup_lines(DRILLED, 100))
    assert "audit, by ada, 2026-02-18 12:30:05 UTC" in shown
    assert "2026-02-18 12:30:05 UTC, restored in 1 min 15 s" in shown


def test_prune_says_what_goes_why_and_that_nothing_was_changed() -> None:
    shown = plain(prune_lines(PRUNE, 80))
    assert "remove  bookings-production-20260218-123005  1.5 kB, 3 h, pre-deploy" in shown
    assert "        the newest verified backup; pinned: audit" in shown
    assert "        outside of what is kept of scheduled: daily 7" in shown
    assert "1 would be removed (1.5 kB), 1 kept. Nothing was changed." in shown
    assert "--yes" in shown
    done = plain(prune_lines(replace(PRUNE, done=True, next_commands=()), 80))
    assert "1 removed (1.5 kB freed), 1 kept." in done
    assert "**remove**" in prune_markdown(PRUNE)
    assert "Nothing would be removed" in plain(prune_lines(replace(PRUNE, fates=PRUNE.fates[:1])))


def test_status_says_what_is_wrong_first() -> None:
    lines = plain(standing_lines(STANDING, 80)).splitlines()
    assert lines[0] == " BAD   backups of production"
    assert lines[1] == "  The newest backup is damaged: it is cut off."
    good = plain(standing_lines(replace(STANDING, problems=()), 80))
    assert good.startswith(" GOOD ")
    assert "26 h old at most" in good
    assert "2 verified, 1 damaged" in good
    assert "| production | bad |" in standing_markdown(STANDING)
    assert "none that is verified" in plain(standing_lines(replace(STANDING, newest=None)))


def test_du_adds_up() -> None:
    shown = plain(disk_lines(DISK, 80))
    assert "scheduled        2     3.1 kB" in shown
    assert "512 bytes of other environments" in shown
    assert "| all | 2 | 3.1 kB |" in disk_markdown(DISK)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (-1, "in the future"),
        (0.5, "30 min"),
        (47, "47 h"),
        (48, "2 d"),
        (24 * 99, "99 d"),
        (24 * 100, "3 mo"),
        (24 * 365, "1 y"),
        (24 * 800, "2 y 2 mo"),
    ],
)
def test_ages_are_said_as_people_say_them(hours: float, said: str) -> None:
    assert words.age(timedelta(hours=hours)) == said
    assert words.age(None) == "-"


def test_nothing_runs_over_eighty_columns() -> None:
    for lines in (
        backups_lines([DRILLED, BACKUP], 80),
        prune_lines(PRUNE, 80),
        disk_lines(DISK, 80),
        standing_lines(STANDING, 80),
    ):
        assert max(len(line) for line in plain(lines).splitlines()) <= 80
