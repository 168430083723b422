"""``deployguard history``: past deploys."""

from datetime import UTC, datetime

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard history
  deployguard history --env production --limit 100 --format json
  deployguard history --outcome rolled-back --since 2026-01-31

\b
Exit codes: 0; 2 usage or configuration; 3 the state folder cannot be read.
"""
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.option(
    "--outcome",
    type=click.Choice(["done", "failed", "rolled-back", "running", "interrupted", "needs-human"]),
    help="Only those that ended, or stand, like this.",
)
@click.option(
    "--since",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only those that were begun at this time (UTC) or later.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    limit: int,
    outcome: str | None,
    since: datetime | None,
    env: str | None,
    form: str,
) -> None:
    """List the deploys and rollbacks of an environment, newest first.

    `deployguard show DEPLOY` tells of one with its steps.
    """
    from deployguard.cli.session import journal, write
    from deployguard.cli.views import deploy_view
    from deployguard.formats import document, records
    from deployguard.state import Status

    with journal(context, env) as kept:
        environment = context.obj.environment(env)
        rows = kept.history(
            environment.name,
            limit,
            status=Status(outcome) if outcome else None,
            since=since.replace(tzinfo=UTC) if since else None,
        )
        views = tuple(deploy_view(row, kept.events(row.id)) for row in rows)
    write(
        form,
        text=lambda width: records.history_lines(views, width),
        json=lambda: document.history_document(views),
        markdown=lambda: records.history_markdown(views),
    )
