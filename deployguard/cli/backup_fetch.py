"""``deployguard backup fetch``: bring an off-site copy back into the local catalogue."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup list --offsite
  deployguard backup fetch latest
  deployguard backup fetch bookings-production-20260218-103000-ab12

\b
Exit codes: 0 it is here, every byte as sealed; 2 no such copy, or it is here and whole; 3 the place does not answer;
20 the copy is damaged, or there is no room; nothing is listed or replaced then.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Bring the off-site copy BACKUP back: `backup verify` and `backup restore` then work as usual.

    Every file is compared with the manifest's sha256 before the backup is listed. Of a backup that is damaged here,
    the damaged files are fetched and replaced. No database is asked.
    """
    from deployguard.cli.offsite import place
    from deployguard.cli.session import entry, write_backup

    with place(context, env) as there:
        record = there.get(backup)
    write_backup(form, entry(context, env, record.id))
