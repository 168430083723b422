"""``deployguard resume``: go on with a deploy that was cut off."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard resume
  deployguard resume --env production --forward
  deployguard resume --confirm 20260218-123001-ab12     in a pipeline, when a way back asks anew

\b
Exit codes: as for deploy; 2 when nothing is unfinished.
"""
)
@click.option(
    "--forward",
    is_flag=True,
    help="Try the step that failed again instead of deciding the way back: what was wrong is put right.",
)
@click.option(
    "--confirm",
    metavar="ID",
    default="",
    help="What a way back asks to type anew, where nobody can be asked.",
)
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    forward: bool,
    confirm: str,
    by: str | None,
    env: str | None,
    form: str,
) -> None:
    """Go on with a deploy or rollback that was cut off: killed, interrupted, or left to a person.

    Nothing is assumed: for a step that was begun the world is asked what became of it (is the migration's process or
    container still there, which revision is the database at, is the backup sealed?). What changes anything is not
    done twice; what was only looked at is looked at again. Once the way back has begun, --forward is refused.
    """
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import saga

    with world(context, env, by) as here:
        carried_out(
            context, here, form, lambda: saga.resume(here, forward=forward, confirm=confirm)
        )
