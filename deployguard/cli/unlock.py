"""``deployguard unlock``: what keeps a deploy out."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard unlock --env production

\b
Exit codes: 0 nothing keeps a deploy out (any more); 2 usage or configuration; 3 the database does not answer;
23 somebody deploys, or a deploy is unfinished.
"""
)
@by_option
@environment_option
@format_option("text", "json")
@common
@click.pass_context
def command(context: click.Context, *, by: str | None, env: str | None, form: str) -> None:
    """Explain what keeps a deploy out, and free what is proven to be stale.

    The layers are told: the lock file on this host, the lock in a journal that hosts share, the lock in the database
    server, and unfinished work in the journal. The locks are freed by a crash itself; only a session that outlives
    its client in the server, as after a power cut, is ended here, and only when the journal proves that it was ours.
    While the holder lives, or work is unfinished, it is refused, with what to type instead.
    """
    from deployguard.cli.session import world, write
    from deployguard.deploy import unlocking
    from deployguard.formats import locks

    with world(context, env, by) as here:
        found = unlocking.unlock(here)
        layers = [(layer.name, str(layer.state), here.redact(layer.said)) for layer in found]
        write(
            form,
            text=lambda width: locks.lock_lines(here.environment.name, layers, width),
            json=lambda: locks.lock_document(here.environment.name, layers),
            markdown=str,
        )
        unlocking.refuse(here, found)
