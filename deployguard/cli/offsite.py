"""The off-site place for a command: wired from the configuration alone, no database is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from deployguard.cli.app import App
from deployguard.cli.session import write
from deployguard.cli.terminal import people
from deployguard.model import BackupRecord, OffsiteCopy

if TYPE_CHECKING:
    from deployguard.backups.offsite import Offsite


@contextmanager
def place(context: click.Context, env: str | None) -> Iterator["Offsite"]:
    """The environment's off-site place. Raises UsageError where none is configured."""
    from deployguard.backups.offsite_places import needed

    app: App = context.obj
    yield needed(app.config(), app.environment(env), people().write)


def write_copy(form: str, record: BackupRecord, copy: OffsiteCopy) -> None:
    """Write one copy."""
    from deployguard.formats import offsite

    write(
        form,
        text=lambda width: offsite.copy_lines(record, copy, width),
        json=lambda: offsite.copy_document(record, copy),
        markdown=lambda: offsite.copy_markdown(record, copy),
    )


def write_copies(context: click.Context, env: str | None, form: str) -> None:
    """Write which complete copies there are; what is incomplete or damaged goes to people."""
    from deployguard.backups import catalogue
    from deployguard.formats import offsite
    from deployguard.formats.report import CopiesView

    with place(context, env) as there:
        found = there.listing()
        here = frozenset(record.id for record in catalogue.listing(there.folder).records)
        view = CopiesView(there.describe(), found.records, here, found.problems)
    for problem in found.problems:
        people().write(problem)
    write(
        form,
        text=lambda width: offsite.copies_lines(view, width),
        json=lambda: offsite.copies_document(view),
        markdown=lambda: offsite.copies_markdown(view),
    )
