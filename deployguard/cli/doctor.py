"""``deployguard doctor``: whether everything that a deploy needs is there."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard doctor
  deployguard doctor --env production --format json

\b
Exit codes: 0 nothing is wrong; 2 the configuration cannot be read; 3 something is wrong, a deploy would stop.
"""
)
@environment_option
@format_option("text", "json")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> int:
    """Look at everything that a deploy will need, and say what to type where something is missing.

    Configuration, versions, state folder and disk, git, database and its clock, whether migrations can run, whether
    backups can be taken, opened and put in place, the place elsewhere, the application, health checks, and who is
    told. Each is asked of what a deploy itself would ask. Nothing is changed, and nobody is sent anything.
    """
    from deployguard.cli.session import world
    from deployguard.cli.terminal import data
    from deployguard.deploy import doctor
    from deployguard.errors import EnvironmentUnreachable
    from deployguard.formats import document, examined

    out = data()
    seen = list[examined.Found]()
    with world(context, env) as here:
        for one in doctor.examine(here):
            said = (one.name, str(one.found), here.redact(one.said), one.commands)
            seen.append(said)
            if form == "text":
                out.lines(examined.finding_lines(said, out.width))
        if form == "text":
            out.lines([(), examined.sum_line(seen)])
        else:
            out.raw(document.render(examined.examined_document(here.environment.name, seen)))
    wrong = any(one[1] == doctor.Finding.WRONG for one in seen)
    return EnvironmentUnreachable.exit_code if wrong else 0
