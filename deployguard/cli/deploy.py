"""``deployguard deploy``: the whole road."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option, exclusive


@click.command(
    epilog="""\b
Examples:
  deployguard deploy --auto-migrate --health-check
  deployguard deploy --env production --manual-migrate --backup
  deployguard deploy --env production --auto-migrate --approve 3f9c… --reason "reviewed in #12"
  deployguard deploy --skip-migrate
  deployguard deploy --ref v2.4.0 --auto-migrate --health-check

\b
Exit codes: 0 done; 2 usage; 3 unreachable; 10, 11 refused, nothing changed; 20 no backup, not migrated;
21 failed and taken back; 22 a person must look; 23 another deploy is running or unfinished; 130 interrupted.
"""
)
@click.option(
    "--auto-migrate", is_flag=True, help="Migrate without asking where the policy allows."
)
@click.option(
    "--manual-migrate", is_flag=True, help="Show the plan and ask before migrating; the default."
)
@click.option("--skip-migrate", is_flag=True, help="Update the application only.")
@click.option("--backup", is_flag=True, help="Take a backup first, whatever the level.")
@click.option(
    "--quiesce", is_flag=True, help="Hold writers still around the migration, as [quiesce] says."
)
@click.option(
    "--health-check", is_flag=True, help="Check health after the update; come back when it fails."
)
@click.option(
    "--approve", metavar="DIGEST", default="", help="Approve exactly the plan with this digest."
)
@click.option(
    "--reason", metavar="TEXT", default="", help="Why it is approved; kept in the journal."
)
@click.option(
    "--ref",
    metavar="REF",
    default="",
    help="Build and deploy this tag, branch or commit; the working copy stays as it is.",
)
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    auto_migrate: bool,
    manual_migrate: bool,
    skip_migrate: bool,
    backup: bool,
    quiesce: bool,
    health_check: bool,
    approve: str,
    reason: str,
    ref: str,
    by: str | None,
    env: str | None,
    form: str,
) -> None:
    """Back up, migrate, update the application, check its health; or take everything back.

    Low risk goes through by itself with --auto-migrate. High and critical risk need an approval of exactly this plan
    and a verified backup, always: at a terminal you are shown the plan and asked, in a pipeline --approve names the
    plan's digest, which `check` prints. With nothing pending only the application is updated.

    With --ref the commit is checked out beside the working copy: its revisions are what is pending, and the images
    are built from it. The configuration, the compose files, secrets and volumes are the working copy's.
    """
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import saga
    from deployguard.deploy.run import DeployOptions
    from deployguard.gate import Mode

    exclusive(auto_migrate=auto_migrate, manual_migrate=manual_migrate, skip_migrate=skip_migrate)
    mode = Mode.AUTO if auto_migrate else Mode.SKIP if skip_migrate else Mode.MANUAL
    options = DeployOptions(mode, backup, health_check, approve, reason, quiesce, ref)
    with world(context, env, by) as here:
        carried_out(context, here, form, lambda: saga.deploy(here, options))
