"""Asks the rooms for the plan that ``check`` shows, and writes it wherever it was asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from deployguard.cli.app import App
from deployguard.cli.session import world
from deployguard.cli.terminal import data, people
from deployguard.config import Config, DatabaseConfig, Environment
from deployguard.errors import EnvironmentUnreachable, Refused, UsageError
from deployguard.formats import CheckReport, check_lines, written
from deployguard.formats.github import complaints, outputs, summary
from deployguard.formats.words import next_commands
from deployguard.model import Plan, Risk

_ASSUMED = (
    "There is no deployguard.toml: the project was taken for what its files show;"
    " `deployguard init` writes that down."
)


@dataclass(frozen=True, slots=True)
class Request:
    """The options of ``check``, as they were given."""

    env: str | None
    start: str | None
    since: str | None
    fail_on: str | None
    dialect: str | None
    form: str
    report: Path | None
    cached: bool = True
    outputs: tuple[tuple[str, Path], ...] = ()  # (format, file)
    facts: Path | None = None


def answer(context: click.Context, asked: Request) -> int:
    """Make the plan, write the report, and return the exit code."""
    app: App = context.obj
    if asked.start and asked.since:
        raise click.UsageError("Only one of --from and --since can be given.")
    offline = bool(asked.start or asked.since or asked.facts)
    if asked.dialect and not offline:
        raise click.UsageError(
            "--dialect goes with --from, --since or --facts; else the database says."
        )
    notes: tuple[str, ...] = ()
    if offline and app.assume():
        # Nothing is written to a project that did not ask for it.
        asked = replace(asked, cached=False)
        notes = (_ASSUMED, *_left_out(app.config()))
    environment = app.environment(asked.env)
    try:
        plan = _offline(app, asked) if offline else _online(context, asked)
    except UsageError as error:
        if asked.form == "github":
            _annotate(error, prefix(app.config().directory, os.environ))
        raise
    report = CheckReport(
        replace(plan, notes=(*notes, *plan.notes)),
        fail_on=Risk[asked.fail_on.upper()] if asked.fail_on else environment.policy.fail_on,
        next_commands=next_commands(plan, live=not offline),
        show_sql=app.verbose > 0,
    )
    _write(asked, report, app.config().directory)
    return Refused.exit_code if report.failed else 0


def _left_out(config: Config) -> tuple[str, ...]:
    """Further histories in the same alembic.ini: each is a project of its own."""
    from deployguard.config.discover import discover

    others = discover(config.directory).other_sections
    if not others:
        return ()
    said = (
        f"{config.project.alembic_ini} has other histories beside [{config.project.section}], which were not read:"
        f" {', '.join(others)}. `section` in [project] and `command` in [migrate] choose one."
    )
    return (said,)


def _annotate(error: UsageError, inside: str) -> None:
    """Show a suppression that cannot stand where it stands."""
    from deployguard.deploy.accepting import Unfit

    if isinstance(error, Unfit):
        data().raw(complaints(error.problems, inside))


def _online(context: click.Context, asked: Request) -> Plan:
    with world(context, asked.env, cached=asked.cached) as here:
        here.reporter.progress("Reading what is pending")
        return here.assess()


def _offline(app: App, asked: Request) -> Plan:
    from deployguard.deploy.assess import assess_from, assess_since

    config, environment, environ = without_database(app, asked.env, asked.dialect)
    if asked.facts:
        return _from_facts(config, environment, environ, asked.facts, asked)
    with people().busy("Reading what is pending"):
        if asked.since:
            return assess_since(config, environment, environ, asked.since, cached=asked.cached)
        start = asked.start or "base"
        return assess_from(config, environment, environ, start, cached=asked.cached)


def _from_facts(
    config: Config, environment: Environment, environ: dict[str, str], path: Path, asked: Request
) -> Plan:
    from deployguard.cli.snapshots import now, read_facts
    from deployguard.deploy.snapshot import assess_facts

    snapshot = read_facts(path)
    with people().busy("Reading what is pending"):
        return assess_facts(
            config,
            environment,
            environ,
            snapshot,
            name=str(path),
            now=now(),
            start=asked.start,
            since=asked.since,
            cached=asked.cached,
        )


def without_database(
    app: App, env: str | None, dialect: str | None
) -> tuple[Config, Environment, dict[str, str]]:
    """The configuration and the variables to judge with when no database is asked.

    Who names no environment asks about production, and a development database on SQLite says nothing of that.
    """
    config, environ = app.config(), dict(os.environ)
    environment = app.environment(env)
    dialect = dialect or ("" if env else config.project.dialect)
    if dialect:
        # What the URL says must not count: it is taken away, so that [project] dialect decides.
        config = replace(config, project=replace(config.project, dialect=dialect))
        environ.pop(environment.database.url_env, None)
        environment = replace(
            environment, database=DatabaseConfig("", environment.database.url_env)
        )
    return config, environment, environ


def _write(asked: Request, report: CheckReport, directory: Path) -> None:
    out = data()
    inside = prefix(directory, os.environ)
    try:
        if asked.form == "text":
            out.lines(check_lines(report, out.width))
        else:
            out.raw(written(asked.form, report, inside))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EnvironmentUnreachable(f"Cannot write to stdout: {error.strerror}.") from error
    for form, path in (*asked.outputs, *([("json", asked.report)] if asked.report else [])):
        save(path, written(form, report, inside), "w")
    # A job of GitHub Actions names files for what later steps and the reviewer read.
    for variable, text in (
        ("GITHUB_OUTPUT", outputs(report)),
        ("GITHUB_STEP_SUMMARY", summary(report)),
    ):
        if os.environ.get("GITHUB_ACTIONS") == "true" and os.environ.get(variable):
            save(Path(os.environ[variable]), text, "a")


def save(path: Path, text: str, mode: str) -> None:
    """Write or append text to a file. Raises UsageError."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error


def prefix(directory: Path, environ: Mapping[str, str]) -> str:
    """The project's folder inside the repository; annotations count from the repository's root."""
    roots = [folder for folder in (directory, *directory.parents) if (folder / ".git").exists()]
    if environ.get("GITHUB_WORKSPACE"):
        roots.insert(0, Path(environ["GITHUB_WORKSPACE"]).resolve())
    for root in roots:
        if directory.is_relative_to(root):
            inside = directory.relative_to(root).as_posix()
            return "" if inside == "." else inside
    return ""
