"""Restore a PostgreSQL backup: into a new database, compared with the manifest, then swapped with the live one."""

import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deployguard.backups import opening, pgtools, plain, postgres_room, sealed
from deployguard.backups.base import UNTOUCHED, Say, Site, WrittenMeanwhile
from deployguard.backups.partial import whole_only
from deployguard.backups.pgargv import form_of, psql_argv, restore_argv
from deployguard.backups.postgres_dump import environment
from deployguard.backups.postgres_verify import dumped_by
from deployguard.backups.progress import telling
from deployguard.database import same_counts
from deployguard.database.counting import count_now
from deployguard.database.filling import analyze, hurried
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.snapshot import large_objects, sequence_problems, sequences
from deployguard.database.swap import SWAPS, Maintenance, check_name
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.model import BackupRecord, Json, Restored
from deployguard.process import Completed

if TYPE_CHECKING:
    from deployguard.backups.postgres import PostgresBackups

NEW: Final = "_restoring_"
APPLICATION: Final = "deployguard-restore"
TIMEOUT: Final = 24 * 3600.0  # seconds: a restore is watched, not hurried


def restore(
    store: "PostgresBackups", record: BackupRecord, kept_as: str, say: Say, still: Json = None
) -> Restored:
    """All or nothing: the live database is untouched until one transaction renames both."""
    began = time.monotonic()
    check_name(kept_as)
    whole_only(store.site.folder, record)
    with store.database() as database:
        live = database.name
        maintenance = Maintenance(database, APPLICATION)
        try:
            if _already(maintenance, kept_as, record):
                counts = database.row_counts()
            else:
                database.close()
                counts = _found(store, maintenance, record, (live, kept_as, still), say)
            kept = kept_as if kept_as in maintenance.names() else ""
        finally:
            maintenance.close()
    return Restored(live, kept, counts, time.monotonic() - began)


def note(record: BackupRecord) -> str:
    """The comment on a database that a restore has replaced: the proof that this restore was done."""
    return f"deployguard: replaced by backup {record.id}"


def _already(maintenance: Maintenance, kept_as: str, record: BackupRecord) -> bool:
    if kept_as not in maintenance.names():
        return False
    if maintenance.comment(kept_as) == note(record):
        return True
    raise UsageError(
        f"A database {kept_as} exists already; choose another name to keep the live one under."
    )


def _found(
    store: "PostgresBackups",
    maintenance: Maintenance,
    record: BackupRecord,
    names: tuple[str, str, Json],
    say: Say,
) -> dict[str, int]:
    say(f"reading backup {record.id} back")
    problems = store.damages(record)
    if problems:
        raise BackupFailed(
            f"Backup {record.id} is damaged and cannot be restored: {problems[0]}.",
            state=UNTOUCHED,
            next_commands=("deployguard backup list",),
        )
    with opening.opened(store.site, record) as there:
        return _bring_back(store, maintenance, there, names, say)


def _bring_back(
    store: "PostgresBackups",
    maintenance: Maintenance,
    record: BackupRecord,
    names: tuple[str, str, Json],
    say: Say,
) -> dict[str, int]:
    live, kept_as, still = names
    sweep(maintenance, live)
    postgres_room.look(maintenance, record)
    fresh = f"{live.encode()[:40].decode(errors='ignore')}{NEW}{secrets.token_hex(4)}"
    try:
        say(f"restoring into the new database {fresh}")
        maintenance.create_like(live, fresh)
        fill(store, maintenance, record, fresh, say)
        counts = compare(store, record, fresh)
        maintenance.dress_like(live, fresh)
        say(f"putting it in the place of {live}, which is kept as {kept_as}")
        _swap(store, maintenance, (live, fresh, kept_as), note(record), still)
    except BaseException as error:
        with suppress(EnvironmentUnreachable):  # the next restore sweeps it
            maintenance.drop(fresh)
        if isinstance(error, EnvironmentUnreachable):
            raise BackupFailed(
                f"The restore failed: {error.message}",
                state=UNTOUCHED,
                next_commands=error.next_commands,
            ) from None
        raise
    return counts


def _swap(
    store: "PostgresBackups",
    maintenance: Maintenance,
    names: tuple[str, str, str],
    said: str,
    still: Json,
) -> None:
    """Swap; with ``still``, only once nobody can have written since. Raises WrittenMeanwhile."""
    live, fresh, kept = names
    if still is None:
        maintenance.swap(live, fresh, kept, said)
        return
    for _ in range(SWAPS):
        counted = maintenance.counted(live)
        with store.database() as database:
            rows = database.rows_since(still)
        if rows != 0 or not counted:
            raise WrittenMeanwhile(rows)
        # What is counted meanwhile may be autovacuum's ANALYZE: then it is looked at again, from inside.
        if maintenance.swap(live, fresh, kept, said, counted=counted):
            return
    raise WrittenMeanwhile(None)


def restored(store: "PostgresBackups", record: BackupRecord, kept_as: str) -> bool:
    """Whether this restore has been done."""
    with store.database() as database:
        maintenance = Maintenance(database, APPLICATION)
        try:
            return kept_as in maintenance.names() and maintenance.comment(kept_as) == note(record)
        finally:
            maintenance.close()


def sweep(maintenance: Maintenance, live: str) -> tuple[str, ...]:
    """Drop the half-made databases of restores that were killed, with the pg_restore that still fills them."""
    start = live.encode()[:40].decode(errors="ignore")
    half_made = re.compile(rf"{re.escape(start)}{NEW}[0-9a-f]{{8}}")
    found = tuple(name for name in maintenance.names() if half_made.fullmatch(name))
    for name in found:
        maintenance.drop(name)
    return found


def fill(
    store: "PostgresBackups", maintenance: Maintenance, record: BackupRecord, fresh: str, say: Say
) -> None:
    site, server = store.site, maintenance.version[0]
    needed = max(server, dumped_by(record))
    directory = record.layout == "directory"
    tools = pgtools.choose(site, needed, "The server or the backup", here=directory)
    with hurried(maintenance.session, fresh), _opened(store, fresh) as database:
        around = environment(site, database, tools, APPLICATION)
        if record.layout == "plain":
            _run_sql(site, tools, record, (fresh, server), around)
        else:
            _run_archive(site, tools, record, (fresh, server), around=around, say=say)
        say("collecting statistics")
        analyze(database, application=APPLICATION, jobs=pgtools.connections(site))


def _run_archive(
    site: Site,
    tools: pgtools.Tools,
    record: BackupRecord,
    into: tuple[str, int],
    *,
    around: Mapping[str, str],
    say: Say,
) -> None:
    fresh, server = into
    dump = site.folder / record.folder / form_of(record).data
    strict = pgtools.understood(tools, server)
    done = pgtools.execute(
        tools,
        restore_argv(
            tools.program("pg_restore"),
            fresh,
            pgtools.connections(site) if strict and not tools.inside else 1,
            "" if tools.inside else str(dump),
            strict=strict,
        ),
        around,
        redact=site.redact,
        timeout=TIMEOUT,
        say=telling(say, site.every),
        stdin_path=dump if tools.inside else None,
    )
    if not pgtools.restored(done, strict=strict):
        raise _failed(f"pg_restore {tools.version}", done)


def _run_sql(
    site: Site,
    tools: pgtools.Tools,
    record: BackupRecord,
    into: tuple[str, int],
    around: Mapping[str, str],
) -> None:
    """All of a plain dump in one transaction."""
    fresh, server = into
    dump = site.folder / record.folder / form_of(record).data
    restrict = pgtools.restricts(tools)
    with plain.fed(dump, timeout_known=server >= 17, restrict=restrict) as source:
        done = pgtools.execute(
            tools,
            psql_argv(tools.program("psql"), fresh),
            around,
            redact=site.redact,
            timeout=TIMEOUT,
            stdin_path=source,
        )
    if not done.ok:
        raise _failed(f"psql {tools.version}", done)


def _failed(program: str, done: Completed) -> BackupFailed:
    said = [line for line in done.stderr.splitlines() if "error:" in line.lower()]
    return BackupFailed(
        f"{program} failed: {(said or [done.why()])[0].rstrip('.')}.", state=UNTOUCHED
    )


def compare(store: "PostgresBackups", record: BackupRecord, fresh: str) -> dict[str, int]:
    """The rows of the restored database; raises BackupFailed when it is not what was backed up."""
    taken = sealed.read_json(store.site.folder / record.folder / sealed.EVIDENCE)
    with _opened(store, fresh) as database:
        jobs = pgtools.connections(store.site)
        counts = dict(count_now(database, application=APPLICATION, jobs=jobs).exact)
        revision = database.current_revisions(store.site.version_table)
        problems = [*differences(record, counts)]
        if revision != record.revision:
            problems.append(f"its revision is {revision}, {record.revision} was backed up")
        problems += sequence_problems(
            _values(taken, "sequences"), _values(taken, "sequences_after"), sequences(database)
        )
        objects = large_objects(database)
    if taken.get("large_objects", objects) != objects:
        problems.append(f"it has {objects} large objects of {taken['large_objects']}")
    if problems:
        raise BackupFailed(
            f"The restored database differs from what was backed up: {'; '.join(problems[:5])}.",
            state=UNTOUCHED,
        )
    return counts


def differences(record: BackupRecord, counts: Mapping[str, int]) -> tuple[str, ...]:
    """How a restored database differs: exact rows must be equal, tables that were estimated be there; pure."""
    exact = {table: rows for table, rows in counts.items() if table not in record.estimates}
    missing = sorted(set(record.estimates) - set(counts))
    return (*same_counts(record.counts, exact), *(f"{table} is missing" for table in missing))


def _values(taken: Mapping[str, Json], key: str) -> dict[str, int | None]:
    """Values by sequence, out of what was seen when the backup was taken."""
    found = taken.get(key)
    values = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in values if value is None or isinstance(value, int)}


def _opened(store: "PostgresBackups", name: str) -> PostgresDatabase:
    return PostgresDatabase(replace(store.primary(), database=name), address=store.site.address)
