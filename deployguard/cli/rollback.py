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
  deployguard rollback … --restore --confirm 20260218-123001-ab12     the same, in a pipeline

\b
Exit codes: 0 taken back; 2 usage; 3 unreachable; 10 no way is safe by itself, nothing changed; 11 not confirmed,
nothing changed; 20 no usable backup; 22 a person must look; 23 another run is going on or unfinished.
"""
)
@click.argument("deploy", required=False, default="")
@click.option("--to", metavar="REV", default="", help="Downgrade the schema to this revision.")
@click.option("--restore", is_flag=True, help="Put back the backup that the deploy took.")
@click.option(
    "--confirm", metavar="DEPLOY", default="", help="The deploy's id, where nobody can be asked."
)
@click.option(
    "--plan", is_flag=True, help="Say what would be done and why; do nothing and write nothing."
)
@click.option("--health-check", is_flag=True, help="Check health afterwards.")
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
    restore: bool,
    confirm: str,
    plan: bool,
    health_check: bool,
    by: str | None,
    env: str | None,
    form: str,
) -> int:
    """Take DEPLOY back: the unfinished one by default, else the last.

    Without --to and --restore the gentlest way that is proven safe is taken: the previous application on the present
    schema when that only grew, a downgrade when it loses nothing. Whatever may lose rows says which, and wants the
    deploy's id typed. A restore keeps the whole database that it replaces and takes no other backup of it; before a
    downgrade an emergency backup is taken.
    """
    from deployguard.cli.outlook import write_outlook
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import outlook, saga
    from deployguard.deploy.run import RollbackOptions

    exclusive(to=bool(to), restore=restore)
    options = RollbackOptions(deploy, to, restore, confirm, health_check)
    with world(context, env, by) as here:
        if plan:
            return write_outlook(outlook.look(here, options), form)
        carried_out(context, here, form, lambda: saga.rollback(here, options))
    return 0
