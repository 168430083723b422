"""Which step of a restore comes next: every state in which a call may have been killed."""

from itertools import product

import pytest

from deployguard.backups.rds_roles import Next, Role, Step, Stuck, following, mark, new_name

THIS = mark("backup", "kept")
PLAIN = Role("available", {})
TAGGED = Role("available", {"replaced-by": THIS})
MADE = Role("available", {"restore": THIS})
RENAMING = Role("renaming", {"replaced-by": THIS})
MADE_RENAMING = Role("renaming", {"restore": THIS})


@pytest.mark.parametrize(
    ("live", "new", "kept", "expected"),
    [
        (PLAIN, None, None, Step.RESTORE),
        (Role("stopped", {}), None, None, Step.RESTORE),
        (PLAIN, Role("creating", {"restore": THIS}), None, Step.WAIT),
        (PLAIN, MADE, None, Step.CHECK),
        (TAGGED, MADE, None, Step.CHECK),
        (RENAMING, MADE, None, Step.WAIT),
        (None, MADE, None, Step.WAIT),
        (None, MADE, RENAMING, Step.WAIT),
        (None, MADE, TAGGED, Step.TAKE_OVER),
        (RENAMING, MADE, TAGGED, Step.WAIT),
        (None, MADE_RENAMING, TAGGED, Step.WAIT),
        (None, None, TAGGED, Step.WAIT),
        (MADE_RENAMING, None, TAGGED, Step.WAIT),
        (MADE, None, TAGGED, Step.DONE),
        (MADE, None, None, Step.DONE),  # the kept one was deleted by a person
    ],
)
def test_each_state_has_its_step(
    live: Role | None, new: Role | None, kept: Role | None, expected: Next
) -> None:
    assert following(live, new, kept, THIS) == expected


@pytest.mark.parametrize(
    ("live", "new", "kept"),
    [
        (None, None, None),
        (PLAIN, PLAIN, None),
        (PLAIN, Role("available", {"restore": "another"}), None),
        (PLAIN, None, PLAIN),
        (PLAIN, MADE, Role("available", {"replaced-by": "another"})),
        (PLAIN, MADE, TAGGED),
    ],
)
def test_what_is_not_of_this_restore_is_left_alone(
    live: Role | None, new: Role | None, kept: Role | None
) -> None:
    assert isinstance(following(live, new, kept, THIS), Stuck)


def test_nothing_is_renamed_unless_all_that_is_there_is_ours_and_available() -> None:
    roles = [
        None,
        *(
            Role(status, tags)
            for status in ("available", "renaming", "creating")
            for tags in ({}, {"restore": THIS}, {"replaced-by": THIS}, {"restore": "other"})
        ),
    ]
    for live, new, kept in product(roles, repeat=3):
        step = following(live, new, kept, THIS)
        if step is Step.CHECK:
            assert new is not None
            assert new.made_by(THIS)
            assert live is not None
            assert kept is None
            assert live.status == new.status == "available"
        if step is Step.TAKE_OVER:
            assert new is not None
            assert new.made_by(THIS)
            assert live is None
            assert kept is not None
            assert kept.replaced_by(THIS)
            assert kept.status == new.status == "available"


def test_the_new_name_is_the_same_at_every_call_and_fits() -> None:
    assert new_name("bookings", THIS) == f"bookings-restoring-{THIS[:8]}"
    assert len(new_name("b" * 63, THIS)) <= 63
    assert mark("backup", "kept") != mark("backup", "kept-2") != mark("other", "kept")
