"""``deployguard show``: one deploy with its steps."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard show                     the last one
  deployguard show ab12                by the end of its id
  deployguard show ab12 --log          what its migration wrote
  deployguard show -v 20260218-12      every event with its evidence

\b
Exit codes: 0; 2 no such deploy; 3 the state folder cannot be read.
"""
)
@click.argument("deploy", required=False, default="")
@click.option("--log", is_flag=True, help="What its migration wrote, whole, instead of all else.")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, deploy: str, log: bool, env: str | None, form: str) -> None:
    """Show what the journal knows of DEPLOY: its plan, each step, its backup, who approved it.

    DEPLOY is an id, its beginning or its end; without it the last one is shown.
    """
    from deployguard.cli.session import chosen, journal, write_deploy, write_logs
    from deployguard.cli.views import deploy_view

    app = context.obj
    with journal(context, env) as kept:
        row = kept.find(deploy) if deploy else chosen(kept, app.environment(env).name)
        view = deploy_view(row, kept.events(row.id), verbose=app.verbose)
    if log:
        write_logs(view, app.config().state_directory)
    else:
        write_deploy(form, view)
