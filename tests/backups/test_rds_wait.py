"""The waiter's decisions, without AWS."""

import pytest

from deployguard.backups.rds_wait import (
    GRACE,
    Done,
    GaveUp,
    Patience,
    Seen,
    Verdict,
    Wait,
    backoff,
    judge,
    wait,
)
from deployguard.errors import BackupFailed

PATIENCE = Patience(timeout=100, poll=15)


@pytest.mark.parametrize(
    ("seen", "waited", "still", "expected"),
    [
        (Seen("available", 100), 5, 5, Done()),
        (Seen("creating", 0), 5, 5, Wait(15)),
        (Seen("creating", 0), 9000, 100, Wait(15)),  # slow, but it moved
        (Seen("a-status-of-next-year"), 5, 5, Wait(15)),
        (None, GRACE, GRACE, Wait(15)),
        (None, GRACE + 1, 1, GaveUp("it does not exist any more")),
        (Seen("failed"), 0, 0, GaveUp("its status is failed")),
        (Seen("failed", 4, "no key"), 0, 0, GaveUp("its status is failed (no key)")),
        (Seen("incompatible-parameters"), 0, 0, GaveUp("its status is incompatible-parameters")),
        (
            Seen("creating", 40),
            9000,
            101,
            GaveUp("it is creating, 40 % and has not moved for 101 seconds"),
        ),
    ],
)
def test_a_look_decides(seen: Seen | None, waited: float, still: float, expected: Verdict) -> None:
    assert judge(seen, waited, still, PATIENCE) == expected


def test_tries_are_further_and_further_apart_and_never_together() -> None:
    assert [backoff(n, 0) for n in (1, 2, 3, 6, 7, 99)] == [0.5, 1, 2, 15, 15, 15]
    assert [backoff(n, 1) for n in (1, 2, 3, 6, 7, 99)] == [1, 2, 4, 30, 30, 30]


def _run(looks: list[Seen | None], patience: Patience) -> tuple[list[str], list[float]]:
    said, slept = list[str](), list[float]()
    answers = iter(looks)
    wait(
        lambda: next(answers),
        "snapshot s",
        patience,
        sleep=slept.append,
        say=said.append,
        fail=BackupFailed,
    )
    return said, slept


def test_progress_is_told_once_per_change_and_once_a_minute() -> None:
    creating = Seen("creating", 10)
    said, slept = _run(
        [None, *[creating] * 8, Seen("creating", 60), Seen("available")], Patience(1000, 15)
    )
    assert said[:2] == ["snapshot s: not to be seen yet", "snapshot s: creating, 10 %"]
    assert said[-1] == "snapshot s: creating, 60 %"
    assert said.count("snapshot s: creating, 10 %") in (2, 3)  # eight looks are about two minutes
    assert len(slept) == 10
    assert all(12 <= pause <= 18 for pause in slept)


def test_the_time_out_counts_from_the_last_progress() -> None:
    slow = [Seen("creating", percent) for percent in range(100) for _ in range(3)]
    _, slept = _run([*slow, Seen("available")], Patience(60, 15))
    assert sum(slept) > 60 * 50
    with pytest.raises(BackupFailed, match="has not moved for"):
        _run([Seen("creating", 1)] * 10, Patience(60, 15))
