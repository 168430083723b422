"""Every statement of the book's examples and of a long list of forms, run for real; what is claimed must be seen.

Runs on every PostgreSQL that the tests can start. docs/measured.json holds what was seen; docs/rules.md and
docs/locks.md show it. ``scripts/measure`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from deployguard.model import Facts, Lock
from deployguard.rules import BOOK
from tests.rules import measuring
from tests.rules.measured_forms import UNTOLD
from tests.rules.measuring import Bench, Claimed, Measured
from tests.rules.recorded import EXAMPLES, LACKING, measured_for, outline, recorded
from tests.support import postgres

VERSIONS = [tree.version for tree in postgres.trees()]
WEAK = ("", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE")
# Rules that say "it fails": what a server answers to their bad examples.
FAILS = {
    "DG213": {"0A000", "42809"},
    "DG403": {"23502"},
    "DG501": {"25001"},
    "DG503": {"55P04"},
    "DG701": {"42P07"},
}


@pytest.fixture(scope="module", params=VERSIONS)
def bench(request: pytest.FixtureRequest, postgres_pool: postgres.Pool) -> Iterator[Bench]:
    made = Bench(postgres_pool(request.param))
    yield made
    made.close()


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_claim_equals_the_measurement(bench: Bench, example: str) -> None:
    if not measured_for(example, bench.server.version):
        return  # the statement does not exist there; a newer server of this run measures it
    seen, facts = bench.measure(example)
    known = recorded().get(example, {})
    if bench.server.version in known:
        assert outline(seen) == known[bench.server.version], "run scripts/measure"
    told = measuring.claim(example, facts)
    untold = measuring.claim(
        example, replace(Facts("postgresql"), server_version=facts.server_version)
    )
    for number, one in enumerate(seen):
        if one.error:
            break
        check_modes(one, told[number], set(UNTOLD.get(example, ())))
        check_never_wrong(one, untold[number])
        if not told[number].writes:
            check_work(one, told[number], set(UNTOLD.get(example, ())))


def named(relation: str, kinds: object) -> bool:
    """Whether a claim is about one relation by name, and not about "what depends on t"."""
    return isinstance(kinds, dict) and relation in kinds


def check_modes(one: Measured, told: Claimed, untold: set[str]) -> None:
    """With a snapshot of the catalogue each lock is claimed as it is: none left out, none too much."""
    claims = {name: mode for name, mode in told.held.items() if named(name, one.kinds)}
    open_ended = any(not named(name, one.kinds) for name in told.held)
    mine = {name: mode for name, mode in one.held.items() if one.kinds.get(name, "i") not in "iI"}
    for name, mode in claims.items():
        if told.context.is_made_here(name) and name not in mine:
            continue
        assert one.held.get(name) == mode or name in untold, (name, mode, one.held)
    for name, mode in mine.items():
        # What only keeps other schema changes waiting (COMMENT, ANALYZE, CREATE STATISTICS) is not claimed.
        if mode in WEAK or name in claims or open_ended or told.context.is_made_here(name):
            continue
        if one.kinds[name] == "S" and name not in one.sql:
            continue  # a sequence goes with the column that owns it
        assert name in untold, (name, mode, dict(claims))


def check_never_wrong(one: Measured, claimed: Claimed) -> None:
    """Without a snapshot less is claimed, but never another lock than the one that is taken."""
    for lock in claimed.alone:
        if named(lock.relation, one.kinds) and lock.relation in one.held:
            held = claimed.held.get(lock.relation, lock.mode)
            assert one.held[lock.relation] == held, (lock, one.held)


def check_work(one: Measured, told: Claimed, untold: set[str]) -> None:
    heaviest: dict[str, Lock] = {}
    order = ("", "scan", "index build", "rewrite")
    for lock in told.alone:
        before = heaviest.get(lock.relation, lock)
        heaviest[lock.relation] = max(before, lock, key=lambda item: order.index(item.work))
    parts = {part for name in heaviest for part in one.below.get(name, ())}
    for name, lock in heaviest.items():
        if one.kinds.get(name, "i") not in "rmp" or f"{name}:work" in untold or name in parts:
            continue
        if told.context.is_made_here(name) and name not in one.relations:
            continue  # its own transaction made it, so nothing of it is looked at
        own = [part for part in (name, *one.below.get(name, ())) if f"{part}:work" not in untold]
        work = [one.relations[part] for part in own if part in one.relations]
        rewrite, scan = any(part.rewrite for part in work), any(part.scan for part in work)
        built = sum(part.indexes for part in work)
        assert rewrite == (lock.work == "rewrite"), (lock, one.relations)
        assert scan == bool(lock.work), (lock, one.relations)
        if not rewrite:
            assert bool(built) == (lock.work == "index build"), (lock, one.relations)
    for name, part in one.relations.items():
        strong = part.mode not in WEAK[:4]
        if strong and (part.rewrite or part.indexes) and f"{name}:work" not in untold:
            of_parent = any(name in one.below.get(other, ()) for other in heaviest)
            open_ended = any(not named(other, one.kinds) for other in heaviest)
            made = told.context.is_made_here(name)
            assert name in heaviest or of_parent or open_ended or made, (name, part, heaviest)


@pytest.mark.parametrize(
    "entry", [one for one in BOOK if one.code in FAILS], ids=lambda one: one.code
)
def test_what_a_rule_says_will_fail_was_seen_to_fail(entry: object) -> None:
    bad = getattr(entry, "bad", ())
    code = getattr(entry, "code", "")
    for example in bad:
        # Some of it works on a newer server; test_failures_measured.py and the claims know on which.
        errors = {
            str(one["error"])
            for statements in recorded().get(example, {}).values()
            for one in statements
            if "error" in one
        }
        assert errors & FAILS[code] or example not in recorded(), example


@pytest.mark.parametrize(
    "example", [text for entry in BOOK for text in entry.good if text in EXAMPLES]
)
def test_a_good_example_was_never_seen_to_fail(example: str) -> None:
    for version, statements in recorded().get(example, {}).items():
        errors = [one["error"] for one in statements if "error" in one]
        assert not errors or not measured_for(example, version), (version, errors)


def test_nothing_is_missing_in_the_database_that_is_measured() -> None:
    """An example that fails for want of a table shows nothing: tests/rules/measured_forms.py makes the tables."""
    for example, versions in recorded().items():
        for version, statements in versions.items():
            lacking = [one for one in statements if one.get("error") in LACKING]
            assert not lacking, (version, lacking, example)


def test_everything_is_recorded() -> None:
    missing = [example for example in EXAMPLES if example not in recorded()]
    assert not missing, "run scripts/measure"
    assert not [example for example in recorded() if example not in EXAMPLES], "run scripts/measure"


# --- the method itself ----------------------------------------------------------------------------


def method(bench: Bench, sql: str) -> Measured:
    return bench.measure(sql)[0][-1]


def test_the_method_tells_a_scan_a_rewrite_and_an_index_build_apart(bench: Bench) -> None:
    assert method(bench, "SELECT count(*) FROM t").relations["t"].words() == [
        "ACCESS SHARE",
        "scan",
    ]
    assert method(bench, "SELECT 1").relations == {}
    brief = method(bench, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 3").relations["t"]
    assert (brief.rewrite, brief.scan, brief.indexes) == (False, False, 0)
    built = method(bench, "CREATE INDEX c ON t (big)").relations["t"]
    assert (built.rewrite, built.scan, built.indexes) == (False, True, 1)
    anew = method(bench, "CLUSTER t USING t_a").relations["t"]
    assert (anew.rewrite, anew.scan, anew.indexes) == (True, True, 5)


def test_the_method_sees_locks_only_of_what_was_there_before_the_transaction(bench: Bench) -> None:
    assert method(bench, "CREATE TABLE made (a int); LOCK TABLE made").relations == {}
    assert method(bench, "LOCK TABLE t; LOCK TABLE t IN SHARE MODE").held == {
        "t": "ACCESS EXCLUSIVE"
    }


def test_the_method_reads_the_locks_of_a_statement_that_stands_still(bench: Bench) -> None:
    url = bench.copy()
    locks = measuring.standing_still(
        url, "CREATE INDEX CONCURRENTLY c ON t (big)", "t", "ROW EXCLUSIVE"
    )
    assert locks["t"] == "SHARE UPDATE EXCLUSIVE"
    assert measuring.standing_still(url, "SELECT 1 FROM u", "t", "ACCESS EXCLUSIVE") == {}
    with psycopg.connect(url) as connection:
        left = connection.execute("SELECT count(*) FROM pg_locks WHERE mode LIKE '%Exclusive%' AND granted AND relation = 't'::regclass").fetchone()  # fmt: skip
    assert left == (0,)
    bench.drop(url)
