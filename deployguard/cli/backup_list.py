"""``deployguard backup list``: the backups, newest first."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup list
  deployguard backup list --env production --format json
  deployguard backup list --offsite

\b
Exit codes: 0; 2 usage or configuration; 3 the off-site place does not answer; 20 it refused.
"""
)
@click.option("--offsite", is_flag=True, help="The complete copies in the off-site place instead.")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, offsite: bool, env: str | None, form: str) -> None:
    """List the sealed backups of an environment, newest first; no database is asked.

    A backup is verified when it was read back completely and its files still have their sizes, and drilled when it
    was restored into a scratch database. The class says how long it is kept.
    """
    from deployguard.cli.offsite import write_copies
    from deployguard.cli.session import entries, write
    from deployguard.cli.terminal import people
    from deployguard.formats import document, kept

    if offsite:
        write_copies(context, env, form)
        return
    found, problems = entries(context, env)
    for problem in problems:
        people().write(problem)
    write(
        form,
        text=lambda width: kept.backups_lines(found, width),
        json=lambda: document.backups_document(found),
        markdown=lambda: kept.backups_markdown(found),
    )
