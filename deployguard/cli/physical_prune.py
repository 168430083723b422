"""``deployguard backup physical prune``: say which base backups and which log may go, and remove them."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical prune          say what would go, and why; nothing is changed
  deployguard backup physical prune --yes    remove it

\b
Exit codes: 0; 2 usage or configuration; 20 one could not be removed; 23 a base backup is being taken or restored.
"""
)
@click.option("--yes", is_flag=True, help="Remove what may go; without it nothing is changed.")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, yes: bool, env: str | None, form: str) -> None:
    """Say which base backups [physical] keep does not keep, and which archived log none of the others needs.

    The newest verified one always stays, and so does what an incremental one that stays stands upon.
    """
    from deployguard.cli.physical import pruned

    pruned(context, env, form, yes=yes)
