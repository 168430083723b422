"""``deployguard history``: past deploys."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard history
  deployguard history --env production --limit 100 --format json

\b
Exit codes: 0; 2 usage or configuration; 3 the state folder cannot be read.
"""
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, limit: int, env: str | None, form: str) -> None:
    """List the deploys and rollbacks of an environment, newest first.

    `deployguard show DEPLOY` tells of one with its steps.
    """
    from deployguard.cli.session import journal, write
    from deployguard.cli.views import deploy_view
    from deployguard.formats import document, records

    with journal(context, env) as kept:
        environment = context.obj.environment(env)
        rows = kept.history(environment.name, limit)
        views = tuple(deploy_view(row, kept.events(row.id)) for row in rows)
    write(
        form,
        text=lambda width: records.history_lines(views, width),
        json=lambda: document.history_document(views),
        markdown=lambda: records.history_markdown(views),
    )
