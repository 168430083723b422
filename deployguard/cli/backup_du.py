"""``deployguard backup du``: how much room the backups take."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup du
  deployguard backup du --env production --format json

\b
Exit codes: 0; 2 usage or configuration.
"""
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> None:
    """Say how much room the backups of an environment take, by class, and how much is free."""
    from deployguard.cli.keeping import disk_use
    from deployguard.cli.session import write
    from deployguard.formats import kept, kept_document

    report = disk_use(context, env)
    write(
        form,
        text=lambda width: kept.disk_lines(report, width),
        json=lambda: kept_document.disk_document(report),
        markdown=lambda: kept.disk_markdown(report),
    )
