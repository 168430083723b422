"""The commands by name; each is loaded when it is used, so that help costs nothing."""

# ruff: noqa: ARG002 - the methods have click's signatures

import difflib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar  # click's decorators and attributes are untyped

import click

from deployguard import __version__
from deployguard.cli.app import App, PipeClosed
from deployguard.cli.options import filled

_F = TypeVar("_F", bound=Callable[..., object])

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "init": ("deployguard.cli.init", "Write an annotated deployguard.toml for this project."),
        "check": ("deployguard.cli.check", "Say how dangerous the pending migrations are."),
        "facts": (
            "deployguard.cli.facts",
            "Write what a check must know of a database to a file.",
        ),
        "baseline": (
            "deployguard.cli.baseline",
            "Record what an existing history holds: only what is new counts.",
        ),
        "deploy": (
            "deployguard.cli.deploy",
            "Back up, migrate, update, check health; or take it back.",
        ),
        "resume": ("deployguard.cli.resume", "Go on with a deploy that was cut off."),
        "rollback": ("deployguard.cli.rollback", "Take a deploy back."),
        "close": ("deployguard.cli.close", "Close a deploy that was put right by hand."),
        "backup": ("deployguard.cli.backup", "Take, find, verify, restore and keep backups."),
        "notify": ("deployguard.cli.notify", "Look whether people can be told."),
        "status": ("deployguard.cli.status", "Show where an environment stands."),
        "doctor": (
            "deployguard.cli.doctor",
            "Look whether everything that a deploy needs is there.",
        ),
        "unlock": (
            "deployguard.cli.unlock",
            "Explain what keeps a deploy out; free what is stale.",
        ),
        "watch": (
            "deployguard.cli.watch",
            "Show who waits for whom while a migration runs.",
        ),
        "history": ("deployguard.cli.history", "List past deploys."),
        "show": ("deployguard.cli.show", "Show one deploy with its steps."),
        "explain": ("deployguard.cli.explain", "Explain a rule by its code."),
    }
)

_EPILOG = """\b
Start here:
  deployguard init       write deployguard.toml
  deployguard check      what is pending, and how dangerous is it?
  deployguard deploy     the whole road

\b
Exit codes:
  0    done, or nothing pending
  1    a bug in deployguard; the traceback is in a log file
  2    wrong usage or configuration; nothing changed
  3    the database, the engine or a program is unreachable; nothing changed
  10   refused: the risk is above the policy; nothing changed
  11   refused: the approval is missing, expired or for another plan
  20   the backup failed or could not be verified; not migrated
  21   failed, rolled back, healthy
  22   failed, and the state is uncertain: a person must look
  23   another deploy is running, or one is unfinished
  130  interrupted; `deployguard resume` goes on
"""


class LazyGroup(click.Group):
    """A group whose commands are modules, named in a table with their short help."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.table = table

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        # Click itself would make an exit code 1 of it, which is a bug here.
        try:
            return super().make_context(*args, **options)
        except BrokenPipeError as error:
            raise PipeClosed from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in self.table:
            near = difflib.get_close_matches(cmd_name, self.table, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {cmd_name!r}.{hint}", ctx)
        command = importlib.import_module(self.table[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Like click's own, from the table: no command is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in self.table.items()])


def _config_path(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_object(App).config_path = value  # type: ignore[union-attr]  # main() sets it


def _verbose(context: click.Context, _parameter: click.Parameter, value: int) -> None:
    context.find_object(App).verbose += value  # type: ignore[union-attr]  # main() sets it


def common(function: _F) -> _F:
    """The options that every command takes, before or after its name."""
    function = click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_verbose,
        help="Say more: the SQL of each revision, all evidence of each step.",
    )(function)
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_config_path,
        help="The configuration; else deployguard.toml here or in a folder above.",
    )(function)


def environment_option(function: _F) -> _F:
    """``--env NAME``."""
    return click.option(
        "--env",
        "env",
        metavar="NAME",
        callback=filled,
        help="The environment; else the default one.",
    )(function)


def format_option(*formats: str) -> Callable[[_F], _F]:
    """``--format``; the first one is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="What to write to stdout.",
    )


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="deployguard %(version)s")
@common
def root() -> None:
    """Deploy SQLAlchemy + Alembic applications without fear of the migration.

    deployguard reads the pending revisions and says how dangerous they are, insists on a verified backup where they
    are, runs the migration, updates the application, checks its health, and can take everything back.
    """
