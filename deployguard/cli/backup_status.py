"""``deployguard backup status``: whether the backups are as they should be, for monitors."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup status --env production
  deployguard backup status --format json

\b
Exit codes: 0 the newest verified backup is young enough; 2 usage or configuration; 20 it is missing or too old, or
the newest one is damaged.
"""
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> int:
    """Say whether there is a verified backup that is young enough; no database is asked.

    `max_age` of [retention] says how old it may be; else `every` and two hours. What is wrong is an exit code, and is
    told to those whom [notify] names: once, and again for each further backup that is missing.
    """
    from deployguard.cli.keeping import standing
    from deployguard.cli.session import write
    from deployguard.cli.snapshots import now
    from deployguard.cli.telling import teller, warn
    from deployguard.errors import BackupFailed
    from deployguard.formats import kept, kept_document

    report = standing(context, env)
    write(
        form,
        text=lambda width: kept.standing_lines(report, width),
        json=lambda: kept_document.standing_document(report),
        markdown=lambda: kept.standing_markdown(report),
    )
    with teller(context, env) as told:
        warn(told.standing(report, now()))
    return BackupFailed.exit_code if report.problems else 0
