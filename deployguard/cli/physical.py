"""What the commands on base backups ask of the rooms below, and how they answer."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from deployguard.cli.session import world, write
from deployguard.errors import BackupFailed, UsageError
from deployguard.formats.physical import (
    BaseEntry,
    BaseFate,
    bases_document,
    bases_lines,
    bases_markdown,
    prune_document,
    prune_lines,
    prune_markdown,
)
from deployguard.formats.provider import (
    ProviderReport,
    provider_document,
    provider_lines,
    provider_markdown,
)

if TYPE_CHECKING:
    from deployguard.backups.physical import PhysicalBackups
    from deployguard.backups.physical_record import BaseBackup
    from deployguard.backups.physical_restore import Recovered
    from deployguard.database.recovery import Target


@contextmanager
def physical(context: click.Context, env: str | None) -> Iterator["PhysicalBackups"]:
    """The base backups of an environment. Raises UsageError where there can be none."""
    from deployguard.backups.physical import PhysicalBackups
    from deployguard.backups.postgres import PostgresBackups
    from deployguard.config import physical_url

    with world(context, env) as here:
        if here.environment.backup.store == "rds":
            raise UsageError(
                "Amazon RDS lets nobody copy a cluster's files; its snapshots go back to a time themselves.",
                next_commands=("deployguard backup rds recover --at TIME",),
            )
        if not isinstance(here.backups, PostgresBackups):
            raise UsageError(
                f"Base backups are of PostgreSQL clusters, and {here.environment.name!r} has none."
            )
        site = here.backups.site
        url = physical_url(here.environment, os.environ)
        if url is not None:
            context.obj.hide(*url.secrets())
            site = replace(site, source=url)
        yield PhysicalBackups(site, here.environment.physical)


def created(context: click.Context, env: str | None, form: str, *, incremental: bool) -> None:
    """Take a base backup, read it back, and say what it is."""
    with physical(context, env) as store:
        record = store.take(incremental=incremental)
        _answer(store, record, form, "physical-backup")


def verified(context: click.Context, env: str | None, wanted: str, form: str) -> None:
    """Read a base backup back, and say what was found."""
    with physical(context, env) as store:
        _answer(store, store.listing().find(wanted), form, "physical-verification")


def _answer(store: "PhysicalBackups", record: "BaseBackup", form: str, what: str) -> None:
    found = store.verify(record)
    if not found.ok:
        raise BackupFailed(
            f"The base backup {record.id} is damaged: {'; '.join(found.evidence)}.",
            state="The database was not touched. This base backup does not count, nor do those upon it.",
            next_commands=(
                "deployguard backup physical list",
                "deployguard backup physical create",
            ),
        )
    facts = [
        ("base backup", record.id),
        ("kind", f"incremental, upon {record.parent}" if record.parent else "full"),
        ("server", record.server),
        ("finished", record.finished.astimezone(UTC).isoformat()),
        ("log", f"{record.start} to {record.stop} on timeline {record.timeline}"),
        ("bytes", str(record.size)),
        ("verified", "; ".join(found.evidence)),
    ]
    report(form, what, facts)


def listed(context: click.Context, env: str | None, form: str) -> None:
    """The base backups; no database is asked."""
    from deployguard.backups import catalogue
    from deployguard.backups.physical_record import listing
    from deployguard.cli.terminal import people

    app = context.obj
    environment = app.environment(env)
    folder = (app.config().directory / environment.physical.directory).resolve()
    bases, now = listing(folder, environment.name), datetime.now(UTC)
    for problem in bases.problems:
        people().write(problem)
    entries = [
        _entry(one, None if found is None else found.ok, now)
        for one in bases.records
        for found in (catalogue.verification(folder, one),)
    ]
    write(
        form,
        text=lambda width: bases_lines(entries, width),
        json=lambda: bases_document(entries),
        markdown=lambda: bases_markdown(entries),
    )


def _entry(one: "BaseBackup", ok: bool | None, now: datetime) -> BaseEntry:
    return BaseEntry(
        id=one.id,
        kind=one.kind,
        parent=one.parent or "",
        created=one.created,
        age=now - one.created,
        size=one.size,
        server=one.server,
        start=one.start,
        stop=one.stop,
        verified=ok,
    )


def checked(context: click.Context, env: str | None, form: str) -> None:
    """Say whether archiving works. Raises BackupFailed with every problem."""
    from deployguard.backups.physical_check import check

    with physical(context, env) as store:
        found = check(store, _suggested(store))
    report(form, "physical-check", [*found.facts, ("problems", " ".join(found.problems) or "none")])
    if found.problems:
        raise BackupFailed(
            " ".join(found.problems),
            state="The database goes on; not every moment of it can be recovered.",
            next_commands=("deployguard backup physical create",),
        )


def _suggested(store: "PhysicalBackups") -> str:
    program = Path(sys.executable).with_name("deployguard")
    words = [str(program), "backup", "archive-wal", "--into", str(store.archive.folder)]
    words += ["--compression", store.config.compression]
    return " ".join([*map(shlex.quote, words), "%p"])


def marked(context: click.Context, env: str | None, name: str, form: str) -> None:
    """Name this moment, and say where it is."""
    from deployguard.backups.physical_marks import mark

    with physical(context, env) as store:
        made = mark(store, name)
    facts = [
        ("restore point", made.name),
        ("at", made.at.astimezone(UTC).isoformat()),
        ("position", made.lsn),
        ("archived", made.segment),
    ]
    back = f"deployguard backup physical restore latest --restore-point {made.name} --into DIR"
    report(form, "physical-mark", facts, (back,))


def target(to: str | None, name: str | None, timeline: str, *, end: bool, alone: bool) -> "Target":
    """Where to go back to. Raises UsageError unless exactly one is given."""
    from deployguard.cli.provider import time
    from deployguard.database.recovery import Target

    given = [bool(to), bool(name), end, alone]
    if sum(given) != 1:
        raise UsageError("Say where to: one of --to, --restore-point, --end and --consistent.")
    if to:
        return Target("time", time(to).isoformat(), timeline)
    if name:
        return Target("name", name, timeline)
    kind: Literal["end", "consistent"] = "end" if end else "consistent"
    return Target(kind, "", timeline)


def restored(
    context: click.Context, env: str | None, wanted: str, form: str, *, into: Path, to: "Target"
) -> None:
    """Make a new cluster, and say where it has come to."""
    from deployguard.backups.physical_restore import restore
    from deployguard.backups.physical_target import choose

    with physical(context, env) as store:
        record = choose(store, wanted, to)
        fetch = (sys.executable, "-P", "-m", "deployguard", "backup", "fetch-wal", "--from")
        made = restore(store, record, into, to, (*fetch, str(store.archive.folder)))
    report(form, "physical-recovery", _facts(made), made.next_commands)


def _facts(made: "Recovered") -> list[tuple[str, str]]:
    reached = made.reached
    rows = "the database was not there yet"
    if made.counts is not None:
        rows = f"{sum(made.counts.values())} in {len(made.counts)} tables"
    return [
        ("cluster", str(made.folder)),
        ("from", made.record.id),
        ("reached", reached.said),
        ("position", reached.lsn),
        (
            "last commit",
            reached.time.astimezone(UTC).isoformat() if reached.time else "none was replayed",
        ),
        ("revision", ", ".join(made.revision) or "none"),
        ("rows", rows),
        ("notes", "; ".join(made.notes)),
    ]


def pruned(context: click.Context, env: str | None, form: str, *, yes: bool) -> None:
    """Say which base backups and which archived log may go; with ``yes`` they are gone."""
    from deployguard.backups.physical_keep import look, prune
    from deployguard.cli.terminal import people

    now = datetime.now(UTC)
    with physical(context, env) as store:
        found = prune(store, now) if yes else look(store, now)
    for problem in found.problems:
        people().write(problem)
    fates = [
        BaseFate(_entry(record, None, now), judged.keep, judged.reasons)
        for record, judged in found.fates
    ]
    log = (len(found.log), found.log_bytes)
    write(
        form,
        text=lambda width: prune_lines(fates, log, width, done=yes),
        json=lambda: prune_document(fates, log, done=yes),
        markdown=lambda: prune_markdown(fates, log, done=yes),
    )


def report(
    form: str, what: str, facts: list[tuple[str, str]], commands: tuple[str, ...] = ()
) -> None:
    """Write facts, and what to type next."""
    made = ProviderReport(what, tuple(facts), commands)
    write(
        form,
        text=lambda width: provider_lines(made, width),
        json=lambda: provider_document(made),
        markdown=lambda: provider_markdown(made),
    )
