"""What changes slowly around a migration is told once when it is worrying, and kept; what is unknown is called so."""

from dataclasses import replace

from deployguard.config import WatchConfig
from deployguard.deploy.nearby import MB, Nearby, look, summary
from deployguard.observation import Client, Observation, Replica, Surroundings

LIMITS = WatchConfig()
CALM = Surroundings((), (), 100 * MB, 5000 * MB, 0)


def after(*answers: Surroundings | None) -> tuple[Nearby, list[str]]:
    state, said = Nearby(), list[str]()
    for around in answers:
        state, more = look(state, Observation((), around=around), LIMITS)
        said += more
    return state, said


def test_a_disk_that_fills_is_told_once_with_what_the_database_has_grown_by() -> None:
    full = replace(CALM, free=900 * MB, size=400 * MB)
    _, said = after(CALM, full, full)
    assert said == [
        "Only 900.0 MB are free on the disk of the server's files; the database has grown by 300.0 MB meanwhile."
    ]


def test_a_late_replica_is_told_by_name() -> None:
    late = replace(CALM, replicas=(Replica("r1", "streaming", 40 * MB, 75.0),))
    _, said = after(CALM, late, late)
    assert said == ["A replica is late: r1 (streaming): 40.0 MB behind, 1 min 15 s."]


def test_nothing_is_told_of_a_calm_server_but_it_is_kept() -> None:
    state, said = after(CALM, None, replace(CALM, size=130 * MB, temporary=7 * MB))
    assert said == []
    assert summary(state) == {
        "oldest_transaction": 0.0,
        "oldest": "",
        "replica_bytes_behind": None,
        "replica_lag": None,
        "grown": 30 * MB,
        "temporary": 7 * MB,
        "free": 5000 * MB,
        "invalid_indexes": [],
    }


def test_what_was_not_told_is_unknown_and_never_nothing() -> None:
    kept = summary(after(Surroundings())[0])
    assert (kept["grown"], kept["temporary"], kept["free"]) == ("unknown",) * 3
    assert summary(after(None)[0]) == {}
    assert summary(after(CALM)[0])["grown"] == "unknown"  # one look sees no growth


def test_the_worst_of_all_looks_is_kept() -> None:
    far = replace(CALM, replicas=(Replica("r1", behind=9, lag=3.0),), free=2000 * MB)
    state, _ = after(far, replace(CALM, invalid=("public.i",)))
    kept = summary(state)
    assert (kept["replica_bytes_behind"], kept["replica_lag"], kept["free"]) == (9, 3.0, 2000 * MB)
    assert kept["invalid_indexes"] == ["public.i"]


def test_the_oldest_transaction_of_others_is_kept_with_who_has_it() -> None:
    old = Client(7, "report", state="idle in transaction", transaction=300.0)
    ours = Client(8, ours=True, transaction=900.0)
    state, _ = look(Nearby(), Observation((old, ours)), LIMITS)
    state, _ = look(
        state, Observation((replace(old, pid=9, transaction=2.0),), around=CALM), LIMITS
    )
    kept = summary(state)
    assert kept["oldest_transaction"] == 300.0
    assert "process 7 (report, idle in transaction" in str(kept["oldest"])


def test_a_limit_of_zero_tells_of_no_replica() -> None:
    late = replace(CALM, replicas=(Replica("r1", lag=75.0),))
    assert look(Nearby(), Observation((), around=late), WatchConfig(max_lag=0))[1] == ()
