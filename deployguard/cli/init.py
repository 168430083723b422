"""``deployguard init``: write an annotated deployguard.toml for the project that is found."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployguard.cli.group import common
from deployguard.cli.terminal import data, people

if TYPE_CHECKING:
    from deployguard.config.discover import ProjectFacts


@click.command(
    epilog="""\b
Examples:
  deployguard init                 write deployguard.toml here
  deployguard init --print         only show what would be written
  deployguard init services/api    for a project in another folder

\b
Exit codes: 0 written; 2 no Alembic project here, or the file exists.
"""
)
@click.argument(
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
)
@click.option("--force", is_flag=True, help="Replace a deployguard.toml that exists.")
@click.option("--print", "only_print", is_flag=True, help="Write to stdout, change nothing.")
@common
def command(folder: Path, *, force: bool, only_print: bool) -> None:
    """Write an annotated deployguard.toml for this project.

    Looks at alembic.ini, env.py, the settings, pyproject.toml and the Compose file in FOLDER (here by default). Every
    key is in the file with its meaning; what was found is set, the rest shows its default.
    """
    from deployguard.config import FILE_NAME
    from deployguard.config.discover import discover
    from deployguard.config.example import render_annotated

    facts = discover(folder.resolve(), os.environ)
    text = render_annotated(facts)
    if only_print:
        data().raw(text)
        return
    _write(folder / FILE_NAME, text, force=force)
    out = people()
    out.write(f"Wrote {folder / FILE_NAME} for {facts.name!r} ({facts.alembic_ini}).")
    if facts.compose_file:
        found = ", ".join(facts.services) or "no service that is built here"
        out.write(f"Found {facts.compose_file}: {found}.")
    if facts.other_sections:
        out.write(
            f"It is for the history [{facts.section}]; there are others: "
            f"{', '.join(facts.other_sections)}. Each needs a configuration of its own."
        )
    if not facts.url_env_found:
        out.write(
            f"Nothing here reads the database's URL from a variable; {facts.url_env} was written. Let env.py read it "
            f'(os.environ["{facts.url_env}"]): else the migration runs on the database that env.py names, which may '
            "be another one than the one that is checked and backed up."
        )
    out.commands(_next(facts))


def _next(facts: "ProjectFacts") -> tuple[str, ...]:
    """What to type now; without a database where none can be asked yet."""
    from deployguard.config.example import development_url

    if development_url(facts) or os.environ.get(facts.url_env):
        return ("deployguard check",)
    return (
        "deployguard check --from base",
        f"{facts.url_env}={facts.dialect}://USER@HOST/NAME deployguard check",
    )


def _write(path: Path, text: str, *, force: bool) -> None:
    from deployguard.errors import UsageError

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists already.", next_commands=("deployguard init --print",)
        ) from error
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
