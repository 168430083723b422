"""Wires the rooms together for a command, and writes its answer to stdout."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployguard.cli.app import App
from deployguard.cli.reporter import TerminalReporter
from deployguard.cli.terminal import data
from deployguard.cli.who import operator
from deployguard.errors import BackupFailed, DeployguardError, UsageError
from deployguard.formats import BackupEntry, DeployView, document, records
from deployguard.formats.spans import Line
from deployguard.model import BackupRecord, Json

if TYPE_CHECKING:
    from deployguard.backups.base import BackupStore
    from deployguard.deploy.engine import Outcome
    from deployguard.deploy.world import World
    from deployguard.state import Deploy, Journal

LOG_EVERY = (
    60.0  # seconds between lines of progress in a log; on a terminal they replace each other
)


@contextmanager
def world(
    context: click.Context, env: str | None, by: str | None = None, *, cached: bool = False
) -> Iterator["World"]:
    """Everything that a run works with, made from the configuration; put away at the end.

    ``cached``: what is only shown may rest on a reading that was kept.
    """
    from deployguard.deploy.telling import settle
    from deployguard.deploy.wiring import wire

    app: App = context.obj
    environment = app.environment(env)
    app.url(environment)
    reporter = TerminalReporter(operator(by, os.environ), verbose=app.verbose)
    with reporter.showing():
        made = wire(
            app.config(),
            environment,
            reporter=reporter,
            by=reporter.by,
            cached=cached,
            every=0.0 if reporter.out.terminal else LOG_EVERY,
        )
        try:
            yield made
        finally:
            settle(made)
            made.journal.close()


def carried_out(
    context: click.Context, here: "World", form: str, action: Callable[[], "Outcome"]
) -> None:
    """Do it, and write what the journal says of it to stdout, however it ended."""
    context.obj.journaled = True
    try:
        outcome = action()
    except BaseException as error:
        reporter = reporter_of(here)
        if reporter.untold != str(error):
            reporter.tell()
        with suppress(DeployguardError):  # the first error is the one to tell
            _finish(here, form, reporter.run, "")
        raise
    _finish(here, form, outcome.deploy, outcome.summary)


def _finish(here: "World", form: str, run: str, summary: str) -> None:
    from deployguard.cli.views import deploy_view

    row = here.journal.get(run) if run else None
    if row is None:
        return
    if form != "text":
        write_deploy(form, deploy_view(row, here.journal.events(row.id)))
    elif summary:
        data().write(f"{row.kind.capitalize()} {row.id}: {summary.rstrip('.')}.")


def reporter_of(here: "World") -> TerminalReporter:
    """The reporter that ``world`` gave to the run."""
    if not isinstance(here.reporter, TerminalReporter):
        raise TypeError("the command line makes its own reporter")
    return here.reporter


@contextmanager
def journal(context: click.Context, env: str | None = None) -> Iterator["Journal"]:
    """The journal of an environment alone, for reading: no other database, no engine.

    Without ``env`` any environment will do where all have the same journal. Raises UsageError.
    """
    from deployguard.config import state_url
    from deployguard.deploy.keeping import kept

    app: App = context.obj
    config = app.config()
    places = {one.state for one in config.environments.values()}
    if env is None and len(places) == 1:
        environment = next(iter(config.environments.values()))
    else:
        environment = app.environment(env)
    url = state_url(environment, os.environ)
    app.hide(*(url.secrets() if url else ()))
    made, _ = kept(config, environment, url, app.redact)
    try:
        yield made
    finally:
        made.close()


def chosen(kept: "Journal", environment: str) -> "Deploy":
    """The last run of an environment. Raises UsageError when there is none."""
    rows = kept.history(environment, 1)
    if not rows:
        raise UsageError(f"No deploy has run in {environment!r} yet.")
    return rows[0]


def write(
    form: str,
    *,
    text: Callable[[int], list[Line]],
    json: Callable[[], Json],
    markdown: Callable[[], str],
) -> None:
    """Write an answer to stdout in the form that was asked for; only that one is made."""
    out = data()
    if form == "json":
        out.raw(document.render(json()))
    elif form == "markdown":
        out.raw(markdown())
    else:
        out.lines(text(out.width))


def write_deploy(form: str, view: DeployView) -> None:
    """Write one deploy."""
    write(
        form,
        text=lambda width: records.deploy_lines(view, width),
        json=lambda: document.deploy_document(view),
        markdown=lambda: records.deploy_markdown(view),
    )


def write_logs(view: DeployView, state: Path) -> None:
    """Write what the migrations of a run wrote, oldest first; secrets were left out then. Raises UsageError."""
    found = sorted((state / "logs").glob(f"*{view.id}*"), key=lambda path: path.stat().st_mtime)
    if not found:
        there = f"; it was begun on {view.host}" if view.host else ""
        raise UsageError(f"No log of {view.kind} {view.id} is in {state / 'logs'}{there}.")
    for path in found:
        data().raw(path.read_text(encoding="utf-8", errors="replace"))


def entries(
    context: click.Context, env: str | None
) -> tuple[tuple[BackupEntry, ...], tuple[str, ...]]:
    """The backups of an environment, newest first, and sentences on manifests that could not be read."""
    from deployguard.backups import keeping

    app: App = context.obj
    return keeping.entries(app.config(), app.environment(env), datetime.now(UTC))


def entry(context: click.Context, env: str | None, wanted: str) -> BackupEntry:
    """The backup that a person names. Raises UsageError."""
    from deployguard.backups import catalogue, keeping

    app: App = context.obj
    environment = app.environment(env)
    folder = keeping.folder_of(app.config(), environment)
    record = catalogue.find(folder, wanted, keeping.ours(app.config(), environment))
    return keeping.entry(folder, record, datetime.now(UTC))


def checked(store: "BackupStore", record: BackupRecord) -> BackupEntry:
    """Read a backup back. Raises BackupFailed when it is not whole."""
    found = store.verify(record)
    if not found.ok:
        raise BackupFailed(
            f"The backup {record.id} is damaged: {'; '.join(found.evidence)}.",
            state="The database was not touched. This backup does not count.",
            next_commands=("deployguard backup list", "deployguard backup create"),
        )
    return BackupEntry(record, found)


def drilled(store: "BackupStore", record: BackupRecord) -> None:
    """Restore a backup for practice. Raises BackupFailed when that did not bring back what was backed up."""
    found = store.drill(record)
    if not found.ok:
        raise BackupFailed(
            f"The restore drill of {record.id} failed: {'; '.join(found.evidence)}",
            state="The live database was not touched. This backup does not count.",
            next_commands=(f"deployguard backup show {record.id}", "deployguard backup create"),
        )


def write_backup(form: str, entry: BackupEntry) -> None:
    """Write one backup."""
    write(
        form,
        text=lambda width: records.backup_lines(entry, width),
        json=lambda: document.backup_document(entry),
        markdown=lambda: records.backup_markdown(entry),
    )
