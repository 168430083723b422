"""Every lock that rules/locks.py claims, taken for real: mode per relation, rewrite, scan and index build.

Each form runs in a transaction that is rolled back; what can't run in one is watched from a second session while
it waits for the first. Runs on every PostgreSQL that the tests can start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from deployguard.model import Facts, Lock
from deployguard.operations import Truncate, WriteRows
from deployguard.rules.context import Context
from deployguard.rules.locks import MODES, locks
from deployguard.sql import lower
from tests.support import postgres

SCHEMA = """
CREATE TABLE u (id int PRIMARY KEY, x int);
INSERT INTO u SELECT n, n FROM generate_series(1, 3) n;
CREATE TABLE t (
    id int PRIMARY KEY, a int, b int NOT NULL, big bigint, v varchar(20), tx text, vv varchar, ch char(5),
    n numeric(10,2), ts timestamp, tp timestamp(3), iv interval(2), ci cidr, i inet, vb varbit(4), j json,
    r int4range, u_id int, v_id int
);
INSERT INTO t (id, a, b, big, tx, u_id, v_id) SELECT n, n, n, n, 'x', n, n FROM generate_series(1, 3) n;
CREATE INDEX t_a ON t (a);
CREATE INDEX t_v ON t (v);
CREATE INDEX t_tx ON t (tx);
CREATE UNIQUE INDEX t_b_u ON t (b);
ALTER TABLE t ADD CONSTRAINT ck0 CHECK (a > 0) NOT VALID;
ALTER TABLE t ADD CONSTRAINT fkv FOREIGN KEY (u_id) REFERENCES u (id) NOT VALID;
CREATE TABLE t2 (id int, x int);
INSERT INTO t2 VALUES (1, 1);
CREATE UNIQUE INDEX t2u ON t2 (id);
CREATE MATERIALIZED VIEW mv AS SELECT id FROM t2;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE VIEW vw AS SELECT id FROM t2;
CREATE TABLE p (d int) PARTITION BY RANGE (d);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE pc (d int);
INSERT INTO pc VALUES (15);
CREATE TABLE q (d int) PARTITION BY RANGE (d);
CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10);
CREATE INDEX q_d ON ONLY q (d);
CREATE INDEX q1_d ON q1 (d);
CREATE SEQUENCE sq;
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER trg BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY pol ON t2 USING (true);
"""
TYPES = {
    "a": "integer", "big": "bigint", "v": "varchar(20)", "tx": "text", "vv": "varchar", "ch": "char(5)",
    "n": "numeric(10,2)", "ts": "timestamp", "tp": "timestamp(3)", "iv": "interval(2)", "ci": "cidr",
    "i": "inet", "vb": "varbit(4)", "j": "json",
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """One statement; ``before`` is an earlier transaction of the same run, ``unseen`` what SQL alone can't tell."""

    sql: str
    before: str = ""
    since: int = 0
    unseen: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sql


def column(text: str) -> Form:
    return Form(f"ALTER TABLE t ADD COLUMN c {text}")


def retype(text: str) -> Form:
    return Form(f"ALTER TABLE t ALTER COLUMN {text}")


FORMS = [
    *map(
        column,
        (
            "int", "int DEFAULT 5", "int NOT NULL DEFAULT 5", "timestamptz DEFAULT now()", "uuid",
            "timestamptz DEFAULT clock_timestamp()", "uuid DEFAULT gen_random_uuid()", "serial",
            "int GENERATED ALWAYS AS IDENTITY", "int GENERATED ALWAYS AS (a + 1) STORED", "int UNIQUE",
            "int CHECK (c > 0)", "int DEFAULT 1 CHECK (c > 0)", "int REFERENCES u (id)",
            "int DEFAULT 1 REFERENCES u (id)", "int REFERENCES t (id)",
        ),
    ),
    Form("ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (a + 1) VIRTUAL", since=18),
    *map(
        retype,
        (
            "a TYPE bigint", "big TYPE int", "v TYPE varchar(50)", "v TYPE varchar(10)", "v TYPE text",
            "v TYPE varchar", "tx TYPE varchar", "tx TYPE varchar(100)", "vv TYPE varchar(100)", "vv TYPE text",
            "ch TYPE char(10)", "ch TYPE text", "n TYPE numeric(12,2)", "n TYPE numeric", "n TYPE numeric(12,4)",
            "n TYPE numeric(8,2)", "tp TYPE timestamp(6)", "tp TYPE timestamp", "tp TYPE timestamp(0)",
            "iv TYPE interval", "ci TYPE inet", "i TYPE cidr USING i::cidr", "vb TYPE varbit(8)",
            "j TYPE jsonb", "v TYPE varchar(50) USING v::varchar(50)", 'tx TYPE text COLLATE "C"', "a TYPE int",
            "tx TYPE mood USING NULL::mood",
        ),
    ),
    Form("ALTER TABLE t ALTER COLUMN big SET NOT NULL"),
    Form(
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
        before="ALTER TABLE t ADD CONSTRAINT nn CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT nn",
    ),
    Form("ALTER TABLE t ALTER COLUMN b DROP NOT NULL"),
    Form("ALTER TABLE t ALTER COLUMN a SET DEFAULT 3"),
    Form("ALTER TABLE t ALTER COLUMN a DROP DEFAULT"),
    Form("ALTER TABLE t DROP COLUMN tx"),
    Form("ALTER TABLE t DROP COLUMN u_id", unseen={"u": "ACCESS EXCLUSIVE"}),
    Form("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
    Form("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID"),
    Form("ALTER TABLE t ADD CONSTRAINT c NOT NULL big", since=18),
    Form("ALTER TABLE t ADD CONSTRAINT c NOT NULL big NOT VALID", since=18),
    Form("ALTER TABLE t VALIDATE CONSTRAINT ck0"),
    Form("ALTER TABLE t VALIDATE CONSTRAINT fkv"),
    Form(
        "ALTER TABLE t VALIDATE CONSTRAINT fk1",
        before="ALTER TABLE t ADD CONSTRAINT fk1 FOREIGN KEY (v_id) REFERENCES u (id) NOT VALID",
    ),
    Form("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (id)"),
    Form("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (id) NOT VALID"),
    Form("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES t (id) NOT VALID"),
    Form("ALTER TABLE t DROP CONSTRAINT fkv"),
    Form(
        "ALTER TABLE t DROP CONSTRAINT fk1",
        before="ALTER TABLE t ADD CONSTRAINT fk1 FOREIGN KEY (v_id) REFERENCES u (id) NOT VALID",
    ),
    Form("ALTER TABLE t DROP CONSTRAINT ck0"),
    Form("ALTER TABLE t ADD CONSTRAINT c UNIQUE (big)"),
    Form("ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX t_b_u"),
    Form("ALTER TABLE t2 ADD PRIMARY KEY (x)"),
    Form("ALTER TABLE t2 ADD PRIMARY KEY USING INDEX t2u"),
    Form("ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (r WITH &&)"),
    Form("ALTER TABLE t RENAME COLUMN a TO aa"),
    Form("ALTER TABLE t RENAME TO tt"),
    Form("ALTER TABLE t RENAME CONSTRAINT ck0 TO ck1"),
    Form("ALTER INDEX t_a RENAME TO t_aa"),
    Form("ALTER INDEX q_d ATTACH PARTITION q1_d"),
    Form("CREATE SCHEMA s; ALTER TABLE t2 SET SCHEMA s"),
    Form("ALTER TABLE t ALTER COLUMN a SET STATISTICS 100"),
    Form("ALTER TABLE t ALTER COLUMN a SET (n_distinct = 5)"),
    Form("ALTER TABLE t ALTER COLUMN tx SET STORAGE EXTERNAL"),
    Form("ALTER TABLE t ALTER COLUMN tx SET COMPRESSION pglz"),
    Form("ALTER TABLE t SET (fillfactor=80)"),
    Form("ALTER TABLE t SET (autovacuum_enabled=false)"),
    Form("ALTER TABLE t RESET (fillfactor)"),
    Form("ALTER TABLE t CLUSTER ON t_a"),
    Form("ALTER TABLE t SET WITHOUT CLUSTER"),
    Form("ALTER TABLE t REPLICA IDENTITY FULL"),
    Form("ALTER TABLE t ALTER COLUMN b ADD GENERATED ALWAYS AS IDENTITY"),
    Form("ALTER TABLE t2 SET UNLOGGED"),
    Form("ALTER TABLE t OWNER TO CURRENT_USER"),
    Form("ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
    Form("CREATE POLICY pp ON t USING (true)"),
    Form("DROP POLICY pol ON t2"),
    Form("GRANT SELECT ON t TO PUBLIC"),
    Form("CREATE TRIGGER tg BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"),
    Form("DROP TRIGGER trg ON t"),
    Form("ALTER TRIGGER trg ON t RENAME TO trh"),
    Form("ALTER TABLE t DISABLE TRIGGER trg"),
    Form("ALTER TABLE t ENABLE TRIGGER ALL"),
    Form("CREATE RULE rr AS ON DELETE TO t DO INSTEAD NOTHING"),
    Form("CREATE INDEX c ON t (big)"),
    Form("CREATE INDEX c ON ONLY p (d)"),
    Form("CREATE INDEX c ON p (d)", unseen={"p1": "SHARE"}),
    Form("DROP INDEX t_a"),
    Form("REINDEX INDEX t_a"),
    Form("REINDEX TABLE t"),
    Form("CLUSTER t USING t_a"),
    Form("TRUNCATE t"),
    Form("DROP TABLE t2 CASCADE", unseen={"vw": "ACCESS EXCLUSIVE", "mv": "ACCESS EXCLUSIVE"}),
    Form("DROP TABLE t"),
    Form("REFRESH MATERIALIZED VIEW mv"),
    Form("REFRESH MATERIALIZED VIEW CONCURRENTLY mv"),
    Form("CREATE VIEW w AS SELECT * FROM t"),
    Form("CREATE OR REPLACE VIEW vw AS SELECT id FROM t2"),
    Form("DROP VIEW vw"),
    Form("ALTER VIEW vw RENAME TO vx"),
    Form("DROP MATERIALIZED VIEW mv"),
    Form("CREATE TABLE nt (id int REFERENCES u (id))"),
    Form("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (50) TO (60)"),
    Form("ALTER TABLE p ATTACH PARTITION pc FOR VALUES FROM (10) TO (20)"),
    Form("ALTER TABLE p DETACH PARTITION p1"),
    Form("ALTER TYPE mood RENAME VALUE 'a' TO 'z'"),
    Form("CREATE STATISTICS st ON id, x FROM t2"),
    Form("ALTER SEQUENCE sq RESTART"),
    Form("DROP SEQUENCE sq"),
    Form("ALTER SEQUENCE sq RENAME TO sr"),
    Form("LOCK TABLE t IN SHARE MODE"),
    Form("INSERT INTO u VALUES (7)"),
    Form("UPDATE u SET x = 1"),
    Form("DELETE FROM t2"),
]  # fmt: skip

# These can't run in a transaction; (statement, modes that it holds or waits for).
OUTSIDE = [
    Form("CREATE INDEX CONCURRENTLY c ON t (big)"),
    Form("DROP INDEX CONCURRENTLY t_a"),
    Form("REINDEX TABLE CONCURRENTLY t2"),
    Form("REINDEX INDEX CONCURRENTLY t2u"),
    Form("VACUUM FULL t2"),
    Form("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"),
]
INDEXES = {"t_a": "t", "t_v": "t", "t_tx": "t", "t_b_u": "t", "t2u": "t2", "q_d": "q", "q1_d": "q1"}


@pytest.fixture(scope="module", params=[tree.version for tree in postgres.trees()])
def server(request: pytest.FixtureRequest, postgres_pool: postgres.Pool) -> postgres.Server:
    return postgres_pool(request.param)


@pytest.fixture(scope="module")
def database(server: postgres.Server) -> Iterator[str]:
    name = f"locks_{server.version}"
    url = server.create_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
    yield url
    server.drop_database(name)


def operations_and_context(form: Form, version: int) -> tuple[list[Lock], bool]:
    """What is claimed of a form, and whether it writes rows (then nothing is claimed of scans)."""
    facts = Facts("postgresql", (version,), indexes=INDEXES, references={("t", "fkv"): "u"})
    context = Context.start(facts)
    old = {("t", name): text for name, text in TYPES.items()}
    for _, operations in lower(form.before, "postgresql", old_types=old):
        for operation in operations:
            context = context.after(operation)
    claimed: list[Lock] = []
    writes = False
    for _, operations in lower(form.sql, "postgresql", old_types=old):
        for operation in operations:
            claimed += locks(operation, context)
            writes = writes or isinstance(operation, WriteRows | Truncate)
            context = context.after(operation)
    return claimed, writes


RELATIONS = """
SELECT c.oid, c.relname, c.relkind, pg_relation_filenode(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'
"""
INDEXED = (
    "SELECT indexrelid, pg_relation_filenode(indexrelid), indrelid::regclass::text FROM pg_index"
)
SCANNED = """
SELECT relname, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_all_tables WHERE schemaname = 'public'
"""
LOCKED = """
SELECT relation, mode FROM pg_locks WHERE locktype = 'relation' AND pid = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def spelled(mode: str) -> str:
    """AccessExclusiveLock → ACCESS EXCLUSIVE."""
    words = "".join(
        f" {letter}" if letter.isupper() else letter for letter in mode.removesuffix("Lock")
    )
    return words.strip().upper()


def strongest(rows: list[tuple[int, str]], names: dict[int, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for oid, mode in rows:
        if oid in names:
            name, words = names[oid], spelled(mode)
            found[name] = max(words, found.get(name, MODES[0]), key=MODES.index)
    return found


@dataclass
class Measured:
    modes: dict[str, str]
    rewritten: set[str]
    scanned: set[str]
    built: set[str]


def measure(url: str, form: Form) -> Measured:
    with psycopg.connect(url) as connection:
        if form.before:
            connection.execute(form.before)
        connection.execute("SAVEPOINT form")
        relations = connection.execute(RELATIONS).fetchall()
        names = {oid: name for oid, name, _, _ in relations}
        # A change that only touches the catalogue makes the index anew on the same file.
        indexes = {file for _, file, _ in connection.execute(INDEXED).fetchall()}
        held = connection.execute(LOCKED, [connection.info.backend_pid]).fetchall()
        scans = dict(connection.execute(SCANNED).fetchall())
        connection.execute(form.sql)
        rows = connection.execute(LOCKED, [connection.info.backend_pid]).fetchall()
        if form.before:  # only what this statement adds to what its own transaction holds already
            rows = [row for row in rows if row not in held]
        files = {oid: file for oid, _, _, file in connection.execute(RELATIONS).fetchall()}
        built = {
            table
            for _, file, table in connection.execute(INDEXED).fetchall()
            if file not in indexes
        }
        after = dict(connection.execute(SCANNED).fetchall())
        connection.rollback()
    return Measured(
        strongest(rows, names),
        {name for oid, name, _, file in relations if oid in files and files[oid] != file},
        {name for name, count in after.items() if count > scans.get(name, 0)},
        built,
    )


def committed_before(url: str, form: Form) -> None:
    """An earlier transaction of the run; taken back by :func:`take_back`."""
    if form.before:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(form.before)


def take_back(url: str, form: Form) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("nn", "fk1"):
            if f"CONSTRAINT {name} " in form.before:
                connection.execute(f"ALTER TABLE t DROP CONSTRAINT {name}")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_claim_equals_the_measurement(
    server: postgres.Server, database: str, form: Form
) -> None:
    if server.version < form.since:
        return  # the statement does not exist there; a newer server of this run measures it
    claimed, writes = operations_and_context(form, server.version)
    committed_before(database, form)
    try:
        measured = measure(database, Form(form.sql))
    finally:
        take_back(database, form)
    claims = {one.relation: one for one in claimed}
    for relation, one in claims.items():
        assert measured.modes.get(relation) == one.mode, (relation, measured)
    kinds = {"t_a", "t_v", "t_tx", "t_b_u", "t2u", "mv_id", "q_d", "q1_d", "t_pkey", "u_pkey"}
    for relation, mode in measured.modes.items():
        if MODES.index(mode) >= MODES.index("SHARE UPDATE EXCLUSIVE") and relation not in kinds:
            known = claims[relation].mode if relation in claims else form.unseen.get(relation)
            # COMMENT and CREATE STATISTICS stop nothing but other schema changes; no claim is made for them.
            assert mode in {known, "SHARE UPDATE EXCLUSIVE"}, (relation, mode, claims)
    if not writes:
        check_work(claims, measured)


def check_work(claims: dict[str, Lock], measured: Measured) -> None:
    for relation, one in claims.items():
        if relation == "sq":
            continue  # a sequence is one page; a new file for it is no rewrite
        parts = (
            {"p1"} if relation == "p" else {relation}
        )  # a partitioned table's rows are in its partitions
        assert bool(parts & measured.rewritten) == (one.work == "rewrite"), (one, measured)
        assert bool(parts & measured.built) == (one.work in {"rewrite", "index build"}), (
            one,
            measured,
        )
        if relation in {"t", "u", "t2", "pc"}:
            assert bool(parts & measured.scanned) == bool(one.work), (one, measured)


@pytest.mark.parametrize("form", OUTSIDE, ids=str)
def test_the_claim_equals_what_waits_outside_a_transaction(
    server: postgres.Server, database: str, form: Form
) -> None:
    """A second session holds a weak lock, so that the statement stops at the strongest one it asks for."""
    claimed, _ = operations_and_context(form, server.version)
    table = claimed[0].relation
    with psycopg.connect(database) as holder, psycopg.connect(database, autocommit=True) as runner:
        names = {oid: name for oid, name, _, _ in holder.execute(RELATIONS).fetchall()}
        holder.rollback()
        partition = "p1" if table == "p" else table
        holder.execute(f"LOCK TABLE {partition} IN ROW EXCLUSIVE MODE")
        failure: list[Exception] = []
        thread = threading.Thread(target=_run, args=(runner, form.sql, failure))
        thread.start()
        modes: dict[str, str] = {}
        with psycopg.connect(database, autocommit=True) as watcher:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                rows = watcher.execute(LOCKED, [runner.info.backend_pid]).fetchall()
                modes = strongest(rows, names)
                waiting = watcher.execute(
                    "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted",
                    [runner.info.backend_pid],
                ).fetchone()
                if waiting and waiting[0] and modes.get(table, MODES[0]) in MODES[3:]:
                    break
                time.sleep(0.02)
            watcher.execute("SELECT pg_cancel_backend(%s)", [runner.info.backend_pid])
        thread.join()
        holder.rollback()
    assert failure, "it did not wait"
    assert modes.get(table) == claimed[0].mode, modes
    _mend(database)


def _run(
    connection: psycopg.Connection[tuple[object, ...]], sql: str, failure: list[Exception]
) -> None:
    try:
        connection.execute(sql)
    except psycopg.errors.QueryCanceled as error:
        failure.append(error)


def _mend(url: str) -> None:
    """What a cancelled concurrent statement leaves behind."""
    with psycopg.connect(url, autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid AND indrelid::regclass::text <> 'q'"
        ).fetchall():
            connection.execute(f"DROP INDEX {name}")
        exists = connection.execute("SELECT to_regclass('t_a')").fetchone()
        if exists and exists[0] is None:
            connection.execute("CREATE INDEX t_a ON t (a)")
        pending = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
        ).fetchone()
        if pending and pending[0]:
            connection.execute("ALTER TABLE p DETACH PARTITION p1 FINALIZE")
            connection.execute("ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)")
