"""``deployguard status``: where an environment stands."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard status
  deployguard status --env production --format json

\b
Exit codes: 0; 2 usage or configuration; 23 a deploy is running, or one is unfinished.
"""
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> int:
    """Show where an environment stands: database, code, what runs, the last deploy, locks and backups.

    Of a deploy that runs it says who runs it, since when, on which host and at which step; `unlock` explains more.
    What does not answer is said, not guessed; an unfinished deploy comes with the commands that go on or back.
    """
    from deployguard.cli.session import write
    from deployguard.cli.standing import standing
    from deployguard.errors import Busy
    from deployguard.formats import document, records

    report = standing(context, env)
    write(
        form,
        text=lambda width: records.status_lines(report, width),
        json=lambda: document.status_document(report),
        markdown=lambda: records.status_markdown(report),
    )
    return Busy.exit_code if report.unfinished or report.server_lock else 0
