"""``deployguard backup schedule``: what cron, systemd, Compose or Celery Beat need to take backups."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option


@click.command(
    epilog="""\b
Examples:
  (crontab -l; deployguard backup schedule cron) | crontab -
  deployguard backup schedule systemd -o /etc/systemd/system
  deployguard backup schedule compose --network backend -o .
  deployguard backup schedule celery -o shop/

\b
Exit codes: 0; 2 usage or configuration, or a file could not be written.
"""
)
@click.argument("kind", type=click.Choice(("cron", "systemd", "compose", "celery")))
@click.option(
    "--env-file",
    metavar="FILE",
    default="",
    help="Holds the database's URL as NAME='VALUE'; else deployguard.env beside the configuration.",
)
@click.option(
    "--network", "networks", multiple=True, metavar="NAME", help="compose: the database's network."
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write the files there instead of to stdout.",
)
@environment_option
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    kind: str,
    env_file: str,
    networks: tuple[str, ...],
    output: Path | None,
    env: str | None,
) -> None:
    """Print what takes a backup at the times of [retention], reads it back and prunes.

    cron and systemd go by the machine's time zone, Celery by its own, a Compose service by UTC.
    """
    from deployguard.cli.scheduling import job, written
    from deployguard.cli.terminal import data, people

    made = job(context, env, env_file, networks)
    text = written(kind, made, output)
    if text:
        data().raw(text)
    if made.env_file and kind != "celery":
        people().write(
            f"{made.env_file} must hold {made.variable}='…' (in single quotes), chmod 600."
        )
