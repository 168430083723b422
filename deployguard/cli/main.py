"""The error boundary: what leaves deployguard is a sentence and an exit code, never a traceback."""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from deployguard.cli.app import App, PipeClosed
from deployguard.errors import DeployguardError, Interrupted, UsageError

if TYPE_CHECKING:
    from deployguard.cli.terminal import Out

BUG = 1
PIPE_CLOSED = 141  # what a shell reports for SIGPIPE


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    code = run(sys.argv[1:])
    sys.exit(code if _flush() else PIPE_CLOSED)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; see ``deployguard.errors`` for what the codes mean."""
    from deployguard.cli.group import root

    app = App()
    try:
        result = root.main(
            args=list(arguments), prog_name="deployguard", standalone_mode=False, obj=app
        )
    except click.ClickException as error:
        return _usage(error, arguments)
    except DeployguardError as error:
        return _explain(app, error)
    except (click.Abort, KeyboardInterrupt, EOFError):
        return _explain(app, _interrupted(app))
    except PipeClosed:
        _leave_pipe()
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the boundary: everything else is a bug of ours, and is kept
        return _bug(app, error)
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    from deployguard.cli.group import COMMANDS

    if type(error).__name__ == "NoArgsIsHelpError":  # click 8.2 and newer; no mistake, only no word
        _people().raw(error.format_message() + "\n")
        return UsageError.exit_code
    _people().problem(error.format_message())
    context = getattr(error, "ctx", None)  # click does not always say in which command it was
    named = next((word for word in arguments if word in COMMANDS), "")
    path = context.command_path if context is not None else f"deployguard {named}".strip()
    _people().write(f"Try '{path} --help'.")
    return UsageError.exit_code


def _explain(app: App, error: DeployguardError) -> int:
    out = _people()
    out.problem(app.redact(error.message))
    if error.state:
        out.write(app.redact(error.state))
    out.commands(tuple(app.redact(command) for command in error.next_commands))
    return error.exit_code


def _interrupted(app: App) -> Interrupted:
    if app.journaled:
        return Interrupted(
            "Interrupted.",
            state="The journal says how far it came.",
            next_commands=("deployguard status", "deployguard resume"),
        )
    return Interrupted("Interrupted.")


def _bug(app: App, error: Exception) -> int:
    out = _people()
    out.problem(f"This is a bug in deployguard: {type(error).__name__}.")
    path = _keep(app, error)
    if path is not None:
        out.write(f"The traceback is in {path} (readable by you only). Please report it.")
    if app.journaled:
        out.write("The journal says how far the run came.")
        out.commands(("deployguard status", "deployguard resume"))
    return BUG


def _keep(app: App, error: Exception) -> Path | None:
    """Write the traceback to a file that only its owner can read; None when no folder takes it."""
    import tempfile
    import traceback

    text = app.redact("".join(traceback.format_exception(error)))
    name = f"crash-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in (*app.log_folders(), Path(tempfile.gettempdir())):
        try:
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return folder / name
    return None


def _people() -> "Out":
    """Stderr; loaded when there is something to say, for a version or a help needs none of it."""
    from deployguard.cli.terminal import people

    return people()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """A cancelled CI job sends SIGTERM: treat it like Ctrl-C, so that the journal is left in order."""
    raise KeyboardInterrupt


def _flush() -> bool:
    """Whether somebody read what was still to be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_pipe()
        return False
    return True


def _leave_pipe() -> None:
    """Point stdout elsewhere, or the interpreter complains about the closed pipe when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
