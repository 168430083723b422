"""``deployguard rollback``: take a deploy back."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option, exclusive


@click.command(
    epilog="""\b
Examples:
  deployguard rollback                                    the last deploy, by the gentlest safe way
  deployguard rollback --plan                             what that would do, and why
  deployguard rollback 20260218-123001-ab12               that deploy
  deployguard rollback 20260218-123001-ab12 --to b017     downgrade to a revision
  deployguard rollback 20260218-123001-ab12 --restore     put its backup back; asks for the id
  deployguard rollback --to-ref v2.3.1                    build that commit and put it in the place of what runs
  deployguard rollback … --restore --confirm 20260218-123001-ab12     the same, in a pipeline

\b
Exit codes: 0 taken back; 2 usage; 3 unreachable; 10 no way is safe by itself, nothing changed; 11 not confirmed,
nothing changed; 20 no usable backup; 22 a person must look; 23 another run is going on or unfinished.
"""
)
@click.argument("deploy", required=False, default="")
@click.option("--to", metavar="REV", default="", help="Downgrade the schema to this revision.")
@click.option(
    "--to-ref",
    metavar="REF",
    default="",
    help="Build this tag, branch or commit, and put it in the place of what runs.",
)
@click.option("--restore", is_flag=True, help="Put back the backup that the deploy took.")
@click.option(
    "--confirm", metavar="DEPLOY", default="", help="The deploy's id, where nobody can be asked."
)
@click.option(
    "--plan", is_flag=True, help="Say what would be done and why; do nothing and write nothing."
)
@click.option("--health-check", is_flag=True, help="Check health afterwards.")
@click.option(
    "--without-export",
    is_flag=True,
    help="Restore even if what others wrote since cannot be written down first.",
)
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    deploy: str,
    to: str,
    to_ref: str,
    restore: bool,
    confirm: str,
    plan: bool,
    health_check: bool,
    without_export: bool,
    by: str | None,
    env: str | None,
    form: str,
) -> int:
    """Take DEPLOY back: the unfinished one by default, else the last.

    Without --to and --restore the gentlest way that is proven safe is taken: the previous application on the present
    schema when that only grew, a downgrade when it loses nothing. Whatever may lose rows says which, and wants the
    deploy's id typed. A restore keeps the whole database that it replaces and takes no other backup of it; before a
    downgrade an emergency backup is taken.

    With --to-ref what runs is kept under an emergency tag first, then the commit is checked out beside the working
    copy and built. What the database has and that commit does not know must only add to the schema, or be taken back
    without loss; else nothing is done, and the commands for a person are shown.
    """
    from deployguard.cli.outlook import write_outlook
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import outlook, saga
    from deployguard.deploy.run import RollbackOptions

    exclusive(to=bool(to), restore=restore)
    exclusive(to_ref=bool(to_ref), restore=restore)
    options = RollbackOptions(
        deploy, to, restore, confirm, health_check, to_ref, without_export=without_export
    )
    with world(context, env, by) as here:
        if plan:
            return write_outlook(outlook.look(here, options), form)
        carried_out(context, here, form, lambda: saga.rollback(here, options))
    return 0
