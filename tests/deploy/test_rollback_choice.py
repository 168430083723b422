"""The choice of the way back, over every combination of what can be measured."""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from deployguard.deploy.rollback import AppPhase, Choice, Situation, WayBack, choose

BEFORE, HALF, AFTER = ("a",), ("b",), ("c",)
EVERY = [
    Situation(
        before=BEFORE,
        planned=AFTER,
        now=now,
        known=known,
        schema_changed=changed,
        survivors=survivors,
        invalid=invalid,
        app=app,
        expand_only=expand,
        lossless=lossless,
        writes=writes,
        backup="backup-1",
        verified=verified,
        stoppable=stoppable,
    )
    for now, known, changed, survivors, invalid, app, expand, lossless, writes, verified, stoppable in itertools.product(
        (None, BEFORE, HALF, AFTER),
        (True, False),
        (True, False, None),
        (0, 1, None),
        ((), ("ix_rooms",)),
        AppPhase,
        (True, False),
        (True, False, None),
        (0, 1, None),
        (True, False),
        (True, False),
    )
]


# What may make a way unsafe that is safe otherwise, one at a time.
DOUBTS: list[dict[str, object]] = [
    {"running": ("upgrade-1",)},
    {"running": None},
    {"claimed": True},
    {"partial": "b: it commits"},
    {"partial": "b: it writes rows", "unseen": True},
    {"partial": "b: it writes rows", "unseen": True, "later": 3},
    {"partial": "b: it writes rows", "unseen": True, "later": None},
    {"straight": False},
]


def doubtful() -> Iterator[Situation]:
    return (dataclasses.replace(seen, **doubt) for seen in EVERY for doubt in DOUBTS)  # type: ignore[arg-type]


def test_nothing_is_decided_while_a_program_of_the_deploy_may_run() -> None:
    for seen in doubtful():
        if seen.running != ():
            assert choose(seen).way is WayBack.NEEDS_HUMAN, seen


def test_a_success_that_did_not_move_this_database_needs_a_person() -> None:
    for seen in doubtful():
        if seen.claimed and not seen.moved:
            assert choose(seen).way is WayBack.NEEDS_HUMAN, seen


def test_rows_that_may_have_changed_are_never_called_nothing_to_undo() -> None:
    for seen in doubtful():
        if seen.unseen and seen.later != 0 and not seen.moved:
            assert choose(seen).way in (WayBack.RESTORE, WayBack.NEEDS_HUMAN), seen


def test_a_downgrade_leaves_no_part_of_a_revision_and_no_other_branch_behind() -> None:
    for seen in doubtful():
        if choose(seen).way is WayBack.DOWNGRADE:
            assert not seen.partial, seen
            assert seen.straight, seen


def chosen(**changes: object) -> Choice:
    values: dict[str, object] = {"before": BEFORE, "planned": AFTER, "now": AFTER} | changes
    return choose(Situation(**values))  # type: ignore[arg-type]


def test_every_situation_has_one_answer_with_reasons() -> None:
    assert len(EVERY) > 15_000
    for seen in EVERY:
        choice = choose(seen)
        assert choice.reasons, seen
        assert all(reason and reason[-1] != "." for reason in choice.reasons), choice


def test_a_restore_is_never_chosen_unless_nobody_wrote_and_the_backup_is_verified() -> None:
    for seen in EVERY:
        if choose(seen).way is WayBack.RESTORE:
            assert seen.writes == 0, seen
            assert seen.verified, seen
            assert seen.app is not AppPhase.SERVED, seen


def test_a_downgrade_is_never_chosen_unless_it_is_known_to_lose_nothing() -> None:
    for seen in EVERY:
        if choose(seen).way is WayBack.DOWNGRADE:
            assert seen.lossless is True, seen
            assert seen.moved, seen


def test_data_never_goes_back_under_an_application_that_cannot_be_stopped() -> None:
    for seen in EVERY:
        if seen.stoppable:
            continue
        way = choose(seen).way
        assert way is not WayBack.RESTORE, seen
        assert way is not WayBack.DOWNGRADE or seen.app is AppPhase.UNTOUCHED, seen


def test_the_old_application_is_never_left_on_a_schema_that_it_may_not_work_on() -> None:
    for seen in EVERY:
        if choose(seen).way in (WayBack.APP_BACK, WayBack.NOTHING):
            assert seen.expand_only or not seen.moved, seen
            assert seen.schema_changed is False or seen.moved, seen


def test_what_is_not_known_needs_a_person() -> None:
    for seen in EVERY:
        blind = seen.now is None or seen.survivors is None or not seen.known
        if blind or seen.survivors:
            assert choose(seen).way is WayBack.NEEDS_HUMAN, seen


def test_invalid_indexes_are_never_left_behind_silently() -> None:
    for seen in EVERY:
        if seen.invalid:
            assert choose(seen).way in (WayBack.RESTORE, WayBack.NEEDS_HUMAN), seen


def test_the_application_is_put_back_exactly_when_it_was_touched_and_a_way_was_found() -> None:
    for seen in EVERY:
        choice = choose(seen)
        touched = seen.app is not AppPhase.UNTOUCHED
        assert choice.app_back == (touched and choice.way is not WayBack.NEEDS_HUMAN), seen


@pytest.mark.parametrize(
    ("seen", "way"),
    [
        # rule 1: nothing happened
        ({"now": BEFORE, "schema_changed": False}, WayBack.NOTHING),
        ({"now": BEFORE, "schema_changed": False, "app": AppPhase.SWITCHED}, WayBack.APP_BACK),
        # rule 2: some revisions in, the application not switched
        ({"now": HALF, "lossless": True, "expand_only": True}, WayBack.DOWNGRADE),
        ({"now": HALF, "lossless": False, "writes": 0, "verified": True}, WayBack.RESTORE),
        ({"now": HALF, "lossless": False, "writes": 1, "verified": True}, WayBack.NEEDS_HUMAN),
        ({"now": HALF, "lossless": None, "writes": 0, "verified": False}, WayBack.NEEDS_HUMAN),
        # rule 3: migrated, the application unhealthy
        ({"app": AppPhase.SWITCHED, "expand_only": True, "lossless": True}, WayBack.APP_BACK),
        ({"app": AppPhase.SWITCHED, "lossless": True}, WayBack.DOWNGRADE),
        (
            {"app": AppPhase.SWITCHED, "lossless": False, "writes": 0, "verified": True},
            WayBack.RESTORE,
        ),
        # rule 4: after the switch
        ({"app": AppPhase.SERVED, "expand_only": True}, WayBack.APP_BACK),
        ({"app": AppPhase.SERVED, "lossless": True}, WayBack.DOWNGRADE),
        (
            {"app": AppPhase.SERVED, "lossless": False, "writes": 0, "verified": True},
            WayBack.NEEDS_HUMAN,
        ),
        # what a failed revision left although no revision was committed
        (
            {"now": BEFORE, "schema_changed": True, "writes": 0, "verified": True},
            WayBack.RESTORE,
        ),
        ({"now": BEFORE, "schema_changed": True, "lossless": True}, WayBack.NEEDS_HUMAN),
        ({"now": BEFORE, "schema_changed": None}, WayBack.NEEDS_HUMAN),
        # rows that it changed outside of a transaction, which the schema does not show
        ({"now": BEFORE, "unseen": True, "later": 0}, WayBack.NOTHING),
        ({"now": BEFORE, "unseen": True, "later": 1}, WayBack.NEEDS_HUMAN),
        (
            {"now": BEFORE, "unseen": True, "later": 1, "writes": 0, "verified": True},
            WayBack.RESTORE,
        ),
        # a backup that is encrypted, and whose identity is elsewhere
        ({"writes": 0, "verified": True, "locked": "no identity"}, WayBack.NEEDS_HUMAN),
        # a part of the next revision, which no downgrade knows
        ({"now": HALF, "lossless": True, "partial": "it commits"}, WayBack.NEEDS_HUMAN),
        # several branches
        ({"lossless": True, "straight": False}, WayBack.NEEDS_HUMAN),
    ],
)
def test_the_rules(seen: dict[str, object], way: WayBack) -> None:
    assert chosen(**seen).way is way
