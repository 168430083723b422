"""What was seen, in words: bars, waits, and what is not visible."""

import pytest

from deployguard.formats import watching
from deployguard.formats.spans import ascii_only
from deployguard.observation import Build, Client, Observation, Replica, Surroundings


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0, 8, f"{'░' * 20} 0 %"), (1, 2, f"{'█' * 10}{'░' * 10} 50 %"), (9, 8, f"{'█' * 20} 100 %")],
)
def test_a_bar_shows_the_share_of_the_phase(done: int, total: int, shown: str) -> None:
    text = watching.build(
        Build(1, "rooms", "rooms_id", "building index: scanning table", done, total)
    )
    assert text == f"index rooms_id: building index: scanning table {shown}"
    assert ascii_only(shown).isascii()


def test_where_the_end_is_not_known_there_is_no_bar() -> None:
    assert (
        watching.build(Build(1, "rooms", "", "initializing")) == "an index on rooms: initializing"
    )


def test_what_is_not_told_is_not_made_up() -> None:
    hidden = Client(9, "web", hidden=True)
    assert watching.who(hidden) == "process 9 (web, state not visible)"
    assert watching.who(Client(9)) == "process 9"
    assert "not visible" in watching.replica(Replica("walreceiver", hidden=True))
    seen = Observation((hidden,), around=Surroundings())
    text = "\n".join(
        "".join(span.text for span in line) for line in watching.watch_lines(seen, seen.around, 100)
    )
    assert "of 1 sessions no state and no age (needs pg_read_all_stats)" in text
    assert text.count("unknown") == 3  # replicas, invalid indexes, size
    document = watching.watch_document("d", seen)
    assert isinstance(document, dict)
    assert document["replicas"] is None
    assert document["invalid_indexes"] is None


def test_a_line_names_the_migration_or_says_that_there_is_none() -> None:
    ours = Client(1, "deployguard:d", ours=True)
    assert watching.line(Observation((ours,))) == "deployguard:d: nobody waits behind it"
    waiting = Client(2, "web", mode="AccessShareLock", on="rooms", waiting=3, blockers=(7,))
    other = Client(7, "psql", holds="rooms")
    assert watching.line(Observation((waiting, other))) == (
        "no migration of deployguard's runs; 1 session waits for a lock; process 7 (psql) holds rooms"
    )


def test_waiting_for_a_transaction_names_no_lock_mode() -> None:
    client = Client(1, mode="ShareLock", on="transactionid", waiting=61, blockers=(2,))
    assert watching.waits(client) == "waits 1 min 1 s for the end of a transaction (transactionid)"


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in watching.who(Client(1, "we\x1b[2Jb"))
