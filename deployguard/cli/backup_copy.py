"""``deployguard backup copy``: copy a backup off-site."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup copy latest
  deployguard backup copy bookings-production-20260218-103000-ab12 --format json

\b
Exit codes: 0 the copy is complete and compared; 2 no such backup, or no off-site place; 3 it does not answer; 20 it
could not be copied, or arrived damaged.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Copy BACKUP to the place that [offsite] names: S3, Google Cloud Storage, SFTP or a mounted folder.

    Each file is compared after it was sent; the manifest goes last, and only with it is it a copy. One that was cut
    off is gone on with; nothing is overwritten.
    """
    from deployguard.cli.offsite import place, write_copy
    from deployguard.cli.session import entry
    from deployguard.cli.telling import teller

    record = entry(context, env, backup).record
    with (
        teller(context, env) as told,
        told.telling("offsite-failed"),
        place(context, env) as there,
    ):
        copy = there.put(record)
    write_copy(form, record, copy)
