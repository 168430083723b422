"""``deployguard notify test``: send a test message to every address, and say which of them took it."""

import click

from deployguard.cli.group import common, environment_option


@click.command(
    epilog="""\b
Examples:
  deployguard notify test
  deployguard notify test --env production

\b
Exit codes: 0 every address took it; 2 none is configured; 3 one did not take it.
"""
)
@environment_option
@common
@click.pass_context
def command(context: click.Context, *, env: str | None) -> int:
    """Send a test message to every address that [notify] names, whatever `on` says.

    An address is shown as the variable that holds it, never as itself.
    """
    from deployguard.cli.telling import notifier
    from deployguard.cli.terminal import data
    from deployguard.errors import EnvironmentUnreachable, UsageError
    from deployguard.notify import test_message

    app = context.obj
    environment = app.environment(env)
    asked = notifier(context, env)
    if not (asked.addresses or asked.missing):
        raise UsageError(
            f"[notify] names no urls_env for {environment.name!r}, so nobody is told.",
            next_commands=(f"$EDITOR {app.config().path}",),
        )
    asked.tell(test_message(app.config().project.name, environment.name), always=True)
    found = sorted(asked.wait(), key=lambda one: one.address)
    for one in found:
        said = f"not told: {one.problem}" if one.problem else "told"
        service = f" ({one.service})" if one.service else ""
        data().raw(f"{one.address}{service}: {said}\n")
    return EnvironmentUnreachable.exit_code if any(one.problem for one in found) else 0
