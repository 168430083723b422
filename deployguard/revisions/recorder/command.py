"""Run what the project would run: its own command, or Alembic with its env.py, or Alembic without it."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from typing import TYPE_CHECKING, Any

from .channel import Limit, describe, failure_line
from .engines import forced

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import State

_RUNNERS = {
    ("uv", "run"),
    ("poetry", "run"),
    ("pipenv", "run"),
    ("pdm", "run"),
    ("hatch", "run"),
    ("rye", "run"),
}


class NotPython(Exception):
    """The command is not a Python program."""


def run(state: State) -> None:
    """Try each way until one reaches the migrations; tell why the better ones did not."""
    command = unwrapped(state.request["command"])
    is_alembic = os.path.basename(command[0]) == "alembic" or command[1:3] == ["-m", "alembic"]
    ways: list[tuple[str, Callable[[], None]]] = [("command", lambda: _program(command))]
    if not is_alembic:
        ways.append(("env", lambda: _alembic(state)))
    ways.append(("bare", lambda: _bare(state)))
    for tier, way in ways:
        state.tier = tier
        reason = _attempt(state, way)
        if reason and state.mismatch and not state.runs:
            state.channel.note(
                "The project connects to {} by itself; it was read as {}, which the environment names.".format(
                    state.mismatch, state.request["dialect"]
                )
            )
            state.forced, state.mismatch = True, ""
            reason = _attempt(state, way)
        if state.runs:
            if not state.complete:
                state.channel.send("broken", why=reason)
            return
        state.channel.send(
            "unreached", tier=tier, why=reason or "it ended without running any migration"
        )


def _attempt(state: State, way: Callable[[], None]) -> str:
    """Why it ended early, or ""."""
    argv, path = list(sys.argv), list(sys.path)
    try:
        way()
    except NotPython as error:
        return str(error)
    except SystemExit as error:
        return "" if error.code in (None, 0) else describe(error)
    except (Exception, Limit) as error:
        return _located(error)
    finally:
        sys.argv, sys.path = argv, path
    return ""


def _located(error: BaseException) -> str:
    step, env = error.__traceback__, ""
    while step is not None:
        if os.path.basename(step.tb_frame.f_code.co_filename) == "env.py":
            env = step.tb_frame.f_code.co_filename
        step = step.tb_next
    return f"env.py line {failure_line(error, env)}: {describe(error)}" if env else describe(error)


def unwrapped(command: list[str]) -> list[str]:
    """The command without `uv run`, `poetry run`, `env NAME=value` and the like."""
    rest = list(command)
    while len(rest) > 1:
        if (rest[0], rest[1]) in _RUNNERS:
            rest = rest[2:]
            while len(rest) > 1 and rest[0].startswith("-"):
                rest = rest[1:]
        elif rest[0] in ("exec", "env") or re.match(r"^\w+=", rest[0]):
            rest = rest[1:]
        else:
            break
    return rest


def _program(command: list[str]) -> None:
    name = os.path.basename(command[0])
    if re.match(r"^python[\d.]*$", name):
        _python(command)
        return
    # A console script does not have the working directory on its path.
    sys.path[:] = [entry for entry in sys.path if entry != ""]
    sys.argv = list(command)
    if name == "alembic":
        from alembic.config import main

        main(prog="alembic")
        return
    entry = _entry_point(name)
    if entry is not None:
        entry()
        return
    path = command[0] if os.sep in command[0] else shutil.which(command[0])
    if path and _is_python(path):
        _script(path)
        return
    raise NotPython(f"{command[0]} is not a Python program")


def _python(command: list[str]) -> None:
    rest = command[1:]
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
        rest = rest[2:] if rest[0] in ("-W", "-X") else rest[1:]
    if rest[:1] == ["-m"]:
        sys.argv = rest[1:]
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    elif rest and rest[0] != "-c":
        sys.argv = rest
        _script(rest[0])
    else:
        raise NotPython("the command is a piece of code")


def _script(path: str) -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    runpy.run_path(path, run_name="__main__")


def _is_python(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            first = file.readline(200)
    except OSError:
        return False
    return path.endswith(".py") or (first.startswith(b"#!") and b"python" in first)


def _entry_point(name: str) -> Any:
    from importlib import metadata

    found: Any = metadata.entry_points()
    scripts = (
        found.select(group="console_scripts")
        if hasattr(found, "select")
        else found.get("console_scripts", ())
    )
    for entry in scripts:
        if entry.name == name:
            return entry.load()
    return None


def _config(state: State) -> Any:
    config = _read_config(state.request["ini"], state.request["section"])
    folder = os.path.dirname(os.path.abspath(state.request["ini"]))
    location = config.get_main_option("script_location") or ""
    # Programs that start Alembic themselves say it when they run, mostly beside the ini.
    beside = os.path.join(folder, location)
    if ":" not in location and not (location and os.path.isdir(location)) and os.path.isdir(beside):
        config.set_main_option("script_location", beside.replace("%", "%%"))
    return config


def _read_config(ini: str, section: str) -> Any:
    from alembic.config import Config

    if "toml_file" not in Config.__init__.__code__.co_varnames:
        return Config(ini, ini_section=section)
    toml = ini if ini.endswith(".toml") else os.path.join(os.path.dirname(ini), "pyproject.toml")
    return Config(
        None if ini.endswith(".toml") or not os.path.exists(ini) else ini,
        ini_section=section,
        toml_file=toml if os.path.exists(toml) else None,
    )


def _alembic(state: State) -> None:
    from alembic import command

    command.upgrade(_config(state), state.request["target"])


def _bare(state: State) -> None:
    """Alembic with a context of ours, for when env.py cannot run."""
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine

    config = _config(state)
    script = ScriptDirectory.from_config(config)
    if state.request["locations"]:
        script.version_locations = state.request["locations"]
    target = state.request["target"]
    state.forced = True

    def steps(heads: Any, _context: Any) -> Any:
        return script._upgrade_revs(target, heads)

    env = _env_text(str(script.dir))
    each = re.search(r"transaction_per_migration[\"']?\s*[=:]\s*True", env) is not None
    environment = EnvironmentContext(config, script, fn=steps, destination_rev=target)

    def migrate(connection: Any) -> None:
        environment.configure(connection=connection, transaction_per_migration=each)
        with environment.begin_transaction():
            environment.run_migrations()

    with environment:
        if re.search(r"\b(create_async_engine|async_engine_from_config|AsyncEngine)\b", env):
            import asyncio

            try:
                asyncio.run(_awaited(state.request["url"], migrate))
            except Exception:
                if state.runs:
                    raise
            else:
                return  # else greenlet is not here, or no such driver: then without
        with create_engine(state.request["url"]).connect() as connection:
            migrate(connection)


async def _awaited(url: str, migrate: Callable[[Any], None]) -> None:
    """On an asynchronous engine, as env.py would have it: `op.run_async` wants one."""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(forced(url, asynchronous=True))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)


def _env_text(folder: str) -> str:
    """The text of env.py, for what can be seen of it without running it."""
    try:
        with open(os.path.join(folder, "env.py"), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
