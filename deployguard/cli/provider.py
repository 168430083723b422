"""What the commands on backups that lie with a provider ask of the rooms below."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from deployguard.cli.session import entry, world, write
from deployguard.errors import UsageError
from deployguard.formats.provider import (
    ProviderReport,
    provider_document,
    provider_lines,
    provider_markdown,
)

if TYPE_CHECKING:
    from deployguard.backups.rds import RdsBackups


def time(text: str) -> datetime:
    """A time in ISO 8601. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time such as 2026-02-18T10:29:00+00:00.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def copied(context: click.Context, env: str | None, backup: str, form: str) -> None:
    """Copy a backup's snapshot, and say where the copy is."""
    from deployguard.backups.rds_copy import copy

    record = entry(context, env, backup).record
    with _store(context, env) as store:
        made = copy(store, record)
    facts = [("backup", record.id), ("copy", made.name), ("region", made.region), ("arn", made.arn)]
    _write(form, "rds-copy", [*facts, *([("account", made.account)] if made.account else [])])


def exported(context: click.Context, env: str | None, backup: str, form: str) -> None:
    """Export a backup's snapshot, and say where the files are."""
    from deployguard.backups.rds_export import export

    record = entry(context, env, backup).record
    with _store(context, env) as store:
        made = export(store, record)
    _write(
        form, "rds-export", [("backup", record.id), ("export", made.name), ("place", made.place)]
    )


def recovered(context: click.Context, env: str | None, at: datetime, form: str) -> None:
    """Go back to a time beside the live one, and say what is there."""
    from deployguard.backups.rds_recover import recover

    with _store(context, env) as store:
        made = recover(store, at)
        word = store.kind.word
    seen = made.beside
    rows = f"{sum(seen.counts.values())} in {len(seen.counts)} tables"
    _write(
        form,
        "rds-recovery",
        [
            (word, made.name),
            ("address", made.address),
            ("at", made.at.astimezone(UTC).isoformat()),
            ("revision", ", ".join(seen.revision) or ("unknown" if seen.why else "none")),
            ("rows", f"not counted: {seen.why}" if seen.why else rows),
        ],
    )


@contextmanager
def _store(context: click.Context, env: str | None) -> Iterator["RdsBackups"]:
    from deployguard.backups.rds import RdsBackups

    with world(context, env) as here:
        if not isinstance(here.backups, RdsBackups):
            raise UsageError(
                f'The backups of {here.environment.name!r} are not on RDS: [backup] store is not "rds".'
            )
        try:
            yield here.backups
        finally:
            here.backups.close()


def _write(form: str, what: str, facts: list[tuple[str, str]]) -> None:
    report = ProviderReport(what, tuple(facts))
    write(
        form,
        text=lambda width: provider_lines(report, width),
        json=lambda: provider_document(report),
        markdown=lambda: provider_markdown(report),
    )
