"""``deployguard backup prune``: say which backups may go, and remove them."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup prune                      say what would go, and why; nothing is changed
  deployguard backup prune --yes                remove it
  deployguard backup prune ab-20260218 --yes    remove this one by hand, whatever its class
  deployguard backup prune --offsite --yes      the same rules for the copies in the off-site place

\b
Exit codes: 0; 2 no such backup, or a named one must stay; 3 the journal cannot be read, or the off-site place
does not answer; 20 one could not be removed; 23 a deploy is at work, nothing was removed.
"""
)
@click.argument("backups", nargs=-1, metavar="[BACKUP]...")
@click.option("--yes", is_flag=True, help="Remove what may go; without it nothing is changed.")
@click.option("--offsite", is_flag=True, help="The copies in the off-site place instead.")
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    backups: tuple[str, ...],
    yes: bool,
    offsite: bool,
    by: str | None,
    env: str | None,
    form: str,
) -> None:
    """Say which backups [retention] does not keep, with every reason; with --yes remove them.

    The newest verified backup, a pinned one and what an unfinished deploy needs always stay. BACKUPs that are named
    are removed by hand, whatever their class; else pre-deploy and manual ones stay until they are.
    """
    from deployguard.cli.keeping import pruned, pruned_offsite
    from deployguard.cli.session import write
    from deployguard.cli.telling import teller
    from deployguard.formats import kept, kept_document

    look = pruned_offsite if offsite else pruned
    with teller(context, env) as told, told.telling("prune-failed"):
        report = look(context, env, backups, by, yes=yes)
    write(
        form,
        text=lambda width: kept.prune_lines(report, width),
        json=lambda: kept_document.prune_document(report),
        markdown=lambda: kept.prune_markdown(report),
    )
