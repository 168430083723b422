"""What is kept and what may go: against restic's meanings, and against a second reading of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.backups.retention import NEWEST, Candidate, Judged, Read, judge
from deployguard.config.load import parse
from deployguard.config.retention import Keep, RetentionConfig
from deployguard.errors import UsageError

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
LINE = RetentionConfig(scheduled=Keep(daily=3, weekly=2))


def backup(name: str, created: datetime, **changes: object) -> Candidate:
    values: dict[str, object] = {"reason": "scheduled", "of": "app", "read": Read.VERIFIED}
    return Candidate(id=name, created=created, **(values | changes))  # type: ignore[arg-type]


def days(*ago: float) -> list[Candidate]:
    return [backup(f"{n:g}", NOW - timedelta(days=n)) for n in ago]


def kept(judged: tuple[Judged, ...]) -> list[str]:
    return [one.candidate.id for one in judged if one.keep]


def why(judged: tuple[Judged, ...], name: str) -> str:
    [found] = [one for one in judged if one.candidate.id == name]
    return "; ".join(found.reasons)


def test_the_newest_of_each_day_and_each_week_is_kept() -> None:
    found = judge(days(0.1, 0.2, 1, 2, 3, 4, 5, 6, 7, 8), LINE, NOW)
    # 18 February 2026 is a Wednesday: its week began two days before
    assert kept(found) == ["0.1", "1", "2", "3"]
    assert why(found, "0.1") == f"{NEWEST}; daily 3; weekly 2"
    assert why(found, "3") == "weekly 2"
    assert why(found, "0.2") == "outside of what is kept of scheduled: daily 3, weekly 2"


def test_days_without_a_backup_do_not_count_so_a_stopped_job_removes_nothing() -> None:
    found = judge(days(100, 200, 300), RetentionConfig(scheduled=Keep(daily=3)), NOW)
    assert kept(found) == ["100", "200", "300"]


def test_the_oldest_is_kept_while_a_bucket_count_is_not_full() -> None:
    policy = RetentionConfig(scheduled=Keep(monthly=3))
    found = judge(days(1, 2, 3), policy, NOW)
    assert kept(found) == ["1", "3"]
    assert why(found, "3") == "oldest, for monthly 3"


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        (Keep(last=2), ["0.1", "0.2"]),
        (Keep(hourly=1), ["0.1"]),
        (Keep(yearly=1), ["0.1"]),
        (Keep(within="2d"), ["0.1", "0.2", "1", "2"]),
        (Keep(within_daily="1d"), ["0.1", "1"]),
        (Keep(within_monthly="9d"), ["0.1", "9"]),
        (Keep(age="2d12h"), ["0.1", "0.2", "1", "2"]),
        (Keep(all=True), ["0.1", "0.2", "1", "2", "9"]),
    ],
)
def test_each_word_keeps_what_it_says(rule: Keep, ids: list[str]) -> None:
    assert kept(judge(days(0.1, 0.2, 1, 2, 9), RetentionConfig(scheduled=rule), NOW)) == ids


def test_within_counts_from_the_newest_and_age_from_now() -> None:
    assert kept(judge(days(90, 91), RetentionConfig(scheduled=Keep(within="2d")), NOW)) == [
        "90",
        "91",
    ]
    aged = judge(days(90, 91), RetentionConfig(scheduled=Keep(age="2d")), NOW)
    assert kept(aged) == ["90"]
    assert why(aged, "90") == NEWEST


def test_a_month_before_the_end_of_march_is_the_end_of_february() -> None:
    at = datetime(2026, 3, 31, tzinfo=UTC)
    policy = RetentionConfig(scheduled=Keep(within="1m"))
    ones = [backup("a", at), backup("b", datetime(2026, 2, 28, 1, tzinfo=UTC))]
    assert kept(judge([*ones, backup("c", datetime(2026, 2, 27, tzinfo=UTC))], policy, at)) == [
        "a",
        "b",
    ]
    assert kept(judge(ones, RetentionConfig(scheduled=Keep(within="9999y")), at)) == ["a", "b"]


def test_classes_do_not_take_each_others_places() -> None:
    many = [
        backup("s", NOW - timedelta(days=1)),
        backup("pre", NOW - timedelta(days=900), reason="pre-deploy"),
        backup("man", NOW - timedelta(days=900), reason="manual"),
        backup("phase", NOW - timedelta(days=900), reason="phase"),
        backup("young", NOW - timedelta(days=29), reason="emergency"),
        backup("old", NOW - timedelta(days=31), reason="emergency"),
        backup("what", NOW - timedelta(days=900), reason="of-a-later-version"),
    ]
    found = judge(many, RetentionConfig(), NOW)
    assert [one.candidate.id for one in found if not one.keep] == ["old"]
    assert why(found, "pre") == "pre-deploy: until it is removed by hand"
    assert why(found, "what") == "nothing is said about the class 'of-a-later-version'"


def test_what_is_pinned_or_needed_stays_and_says_why() -> None:
    ones = days(1, 2, 3, 4, 5, 6, 7, 8)
    ones[4] = replace(ones[4], pinned="audit")
    ones[5] = replace(ones[5], needed="deploy d-1, which is unfinished")
    found = judge(ones, RetentionConfig(scheduled=Keep(last=1)), NOW)
    assert kept(found) == ["1", "5", "6"]
    assert why(found, "5") == "pinned: audit"
    assert why(found, "6") == "needed by deploy d-1, which is unfinished"


def test_one_from_the_future_is_kept_said_to_be_so_and_takes_no_place() -> None:
    ones = [backup("future", NOW + timedelta(days=400)), *days(1, 2)]
    found = judge(ones, RetentionConfig(scheduled=Keep(last=1, within="1d")), NOW)
    assert kept(found) == ["future", "1"]
    assert "lies in the future" in why(found, "future")
    assert NEWEST in why(found, "1")


def test_one_that_was_not_read_back_takes_no_verified_ones_place() -> None:
    ones = [
        backup("unread", NOW, read=Read.UNREAD),
        backup("broken", NOW - timedelta(hours=1), read=Read.DAMAGED),
        *days(0.1, 1),
    ]
    found = judge(ones, RetentionConfig(scheduled=Keep(last=1)), NOW)
    assert kept(found) == ["unread", "broken", "0.1"]
    assert why(found, "unread") == "last 1, if it is whole (not read back yet)"
    assert why(found, "broken") == "damaged, but nothing newer is verified"


def test_a_damaged_one_goes_once_a_newer_one_is_verified() -> None:
    ones = [*days(1, 3), backup("broken", NOW - timedelta(days=2), read=Read.DAMAGED)]
    found = judge(ones, LINE, NOW)
    assert kept(found) == ["1", "3"]
    assert why(found, "broken") == "damaged, and a newer one is verified"


def test_while_nothing_is_verified_nothing_goes() -> None:
    ones = [replace(one, read=Read.UNREAD) for one in days(1, 2, 3)]
    found = judge(ones, RetentionConfig(scheduled=Keep(last=1)), NOW)
    assert kept(found) == ["1", "2", "3"]
    assert why(found, "3") == "no backup is verified yet, so none is removed"


def test_the_newest_verified_of_each_database_stays() -> None:
    ones = [backup("a", NOW), backup("b", NOW - timedelta(days=900), of="other")]
    policy = RetentionConfig(scheduled=Keep(age="1d"))
    assert kept(judge(ones, policy, NOW)) == ["a", "b"]


def test_a_rule_that_keeps_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="keeps nothing"):
        judge(days(1), RetentionConfig(scheduled=Keep()), NOW)


def configured(text: dict[str, object]) -> RetentionConfig:
    document = {
        "project": {"name": "x"},
        "environments": {"dev": {"database_url": "sqlite:///x.db", "retention": text}},
    }
    return parse(document, Path("/x/deployguard.toml")).environment().retention


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"scheduled": {}}, "keeps nothing"),
        ({"scheduled": {"daily": 0, "within": "0d"}}, "keeps nothing"),
        ({"scheduled": {"dayly": 3}}, "daily"),
        ({"scheduled": {"daily": -1}}, "negative"),
        ({"scheduled": {"daily": "7"}}, "type int"),
        ({"scheduled": 7}, "must be a table"),
        ({"scheduled": {"all": True, "daily": 7}}, "nothing else can be said"),
        ({"emergency": {"age": "30"}}, "30d"),
        ({"emergency": {"age": "2d1y"}}, "in this order"),
        ({"phase": {"last": 1}}, "phase"),
        ({"every": "5h"}, "use one of"),
        ({"at": "24:00"}, "time of day"),
        ({"at": "2:30"}, "time of day"),
        ({"max_age": "a day"}, "max_age"),
    ],
)
def test_the_table_is_read_strictly(text: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        configured(text)


def test_a_rule_replaces_the_default_as_a_whole() -> None:
    assert configured({"scheduled": {"last": 3}}).scheduled == Keep(last=3)
    assert configured({}) == RetentionConfig()
    assert configured({"every": "6h"}).hours_allowed == 8
    assert configured({"max_age": "1d3h"}).hours_allowed == 27


# --- against a second reading --------------------------------------------------------------------------------------

HOURS = st.integers(-30 * 24, 3 * 365 * 24)  # before now: some clocks ran ahead
COUNTS = st.integers(0, 5)
SPANS = st.sampled_from(["", "", "5h", "3d", "40d", "1m", "1y2m3d4h"])
ACROSS = ("hourly", "daily", "weekly", "monthly", "yearly")


@st.composite
def rules(draw: st.DrawFn) -> Keep:
    if draw(st.integers(0, 7)) == 0:
        return Keep(all=True)
    made = Keep(
        last=draw(COUNTS),
        within=draw(SPANS),
        age=draw(SPANS),
        **{name: draw(COUNTS) for name in ACROSS},
        **{f"within_{name}": draw(SPANS) for name in ACROSS},
    )
    return replace(made, last=1) if made.empty else made


@st.composite
def histories(draw: st.DrawFn) -> list[Candidate]:
    """A job that runs, stops, runs twice at once, and whose clock jumps; some damaged, some unread, some pinned."""
    at, ones = draw(HOURS), []
    for number in range(draw(st.integers(0, 25))):
        step = draw(
            st.sampled_from([0, 0, 1, 6, 24, 24, 24, 7 * 24, 31 * 24, 366 * 24, -24, -2000])
        )
        at += step
        minutes = draw(st.integers(0, 3))
        ones.append(
            Candidate(
                id=f"b{number}",
                reason=draw(st.sampled_from(["scheduled", "scheduled", "emergency", "phase"])),
                of=draw(st.sampled_from(["app", "app", "app", "other"])),
                created=NOW - timedelta(hours=at, minutes=minutes),
                read=draw(
                    st.sampled_from([Read.VERIFIED, Read.VERIFIED, Read.UNREAD, Read.DAMAGED])
                ),
                pinned=draw(st.sampled_from(["", "", "", "", "audit"])),
                needed=draw(st.sampled_from(["", "", "", "", "deploy d"])),
            )
        )
    return draw(st.permutations(ones))


def back(text: str, moment: datetime) -> datetime:
    """``moment`` less a span, by walking months one at a time."""
    number = ""
    whole = {"y": 0, "m": 0, "d": 0, "h": 0}
    for char in text:
        if char.isdigit():
            number += char
        else:
            whole[char], number = int(number), ""
    day = moment.day
    first = moment.replace(day=1)
    for _ in range(whole["y"] * 12 + whole["m"]):
        first = (first - timedelta(days=1)).replace(day=1)
    while True:
        try:
            landed = first.replace(day=day)
        except ValueError:
            day -= 1
        else:
            return landed - timedelta(days=whole["d"], hours=whole["h"])


def place_of(name: str, at: datetime) -> str:
    form = {"hourly": "%Y%m%d%H", "daily": "%Y%m%d", "weekly": "%G%V", "monthly": "%Y%m"}
    return at.strftime(form.get(name, "%Y"))


def heads(ones: list[Candidate], name: str) -> list[Candidate]:
    """The newest of each piece of the calendar that has any, newest piece first."""
    pieces: dict[str, Candidate] = {}
    for one in ones:  # newest first, so the first of a piece is its newest
        pieces.setdefault(place_of(name, one.created), one)
    return list(pieces.values())


def model(rule: Keep, ones: list[Candidate]) -> set[str]:
    """What restic's manual says is kept of backups that are all whole, newest first; as sets, not as a walk."""
    if rule.all:
        return {one.id for one in ones}
    if not ones:
        return set()
    found = {one.id for one in ones[: rule.last]}
    newest, oldest = ones[0].created, ones[-1]
    for name in ACROSS:
        most = getattr(rule, name)
        there = heads(ones, name)
        found |= {one.id for one in there[:most]}
        if len(there) < most:
            found.add(oldest.id)
        if span := getattr(rule, f"within_{name}"):
            near = [one for one in ones if one.created > back(span, newest)]
            found |= {one.id for one in heads(near, name)}
            found |= {oldest.id} & {one.id for one in near}
    if rule.within:
        found |= {one.id for one in ones if one.created > back(rule.within, newest)}
    if rule.age:
        found |= {one.id for one in ones if one.created > back(rule.age, NOW)}
    return found


def expected(ones: list[Candidate], policy: RetentionConfig) -> set[str]:
    """The ids that stay."""
    stays: set[str] = set()
    for of in {one.of for one in ones}:
        mine = sorted((one for one in ones if one.of == of), key=lambda one: (one.created, one.id))[
            ::-1
        ]
        stays |= {one.id for one in mine if one.pinned or one.needed or one.created > NOW}
        past = [one for one in mine if one.created <= NOW]
        whole = [one for one in past if one.read is Read.VERIFIED]
        stays |= {one.id for one in whole[:1]}
        if not whole:
            stays |= {one.id for one in past}
            continue
        for reason in ("scheduled", "emergency", "phase"):
            rule = {"phase": Keep(all=True)}.get(reason) or getattr(policy, reason)
            of_class = [one for one in past if one.reason == reason]
            if rule.all:
                stays |= {one.id for one in of_class}
                continue
            unread = {one.id for one in of_class if one.read is Read.UNREAD}
            stays |= model(rule, [one for one in of_class if one.read is Read.VERIFIED])
            stays |= model(rule, [one for one in of_class if one.read is not Read.DAMAGED]) & unread
            newest = mine.index(whole[0])
            stays |= {
                one.id for one in of_class if one.read is Read.DAMAGED and mine.index(one) < newest
            }
    return stays


@settings(max_examples=150, deadline=None)
@given(histories(), rules(), rules())
def test_what_is_kept_is_what_the_model_keeps(
    ones: list[Candidate], scheduled: Keep, emergency: Keep
) -> None:
    policy = RetentionConfig(scheduled=scheduled, emergency=emergency)
    found = judge(ones, policy, NOW)
    assert {one.candidate.id for one in found} == {one.id for one in ones}
    assert set(kept(found)) == expected(ones, policy)
    assert all(one.reasons for one in found)


@settings(max_examples=80, deadline=None)
@given(histories(), rules())
def test_pruning_again_removes_nothing_more_and_the_promises_hold(
    ones: list[Candidate], rule: Keep
) -> None:
    policy = RetentionConfig(scheduled=rule, emergency=rule)
    first = judge(ones, policy, NOW)
    left = [one.candidate for one in first if one.keep]
    gone = [one.candidate for one in first if not one.keep]
    assert [one.candidate.id for one in judge(left, policy, NOW) if not one.keep] == []
    assert not any(one.pinned or one.needed or one.created > NOW for one in gone)
    for of in {one.of for one in ones}:
        whole = [
            one for one in ones if one.of == of and one.read is Read.VERIFIED and one.created <= NOW
        ]
        if whole:
            assert max(whole, key=lambda one: (one.created, one.id)) in left


@settings(max_examples=50, deadline=None)
@given(histories(), rules(), st.integers(1, 2000))
def test_time_alone_never_shrinks_what_counts_from_the_newest(
    ones: list[Candidate], rule: Keep, later: int
) -> None:
    """A job that stopped: without ``age``, nothing more goes however long nobody looks."""
    past = [one for one in ones if one.created <= NOW]
    policy = RetentionConfig(
        scheduled=replace(rule, age="", last=rule.last or 1), emergency=Keep(last=1)
    )
    if rule.all:
        policy = RetentionConfig(scheduled=Keep(all=True), emergency=Keep(last=1))
    then = judge(past, policy, NOW + timedelta(days=later))
    assert kept(then) == kept(judge(past, policy, NOW))
