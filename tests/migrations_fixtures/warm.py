"""A process that has imported the heavy libraries once and runs each command of a project in a fork of itself.

Started with `python -m`; reads one JSON request a line ({directory, argv, environment, out, err}) from stdin and
answers with the exit code. A fork costs some milliseconds, an interpreter that imports SQLAlchemy most of a second.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import traceback
from typing import Any

HEAVY = (
    "alembic.command",
    "alembic.config",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.ext.asyncio",
    "deployguard.cli.main",
    "deployguard.cli.group",
    "deployguard.sql",
    "deployguard.rules",
    "psycopg",
)


def serve() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> None:
    """Runs one program as a shell in the project's folder would; never returns."""
    code = 1
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
    try:
        os.chdir(request["directory"])
        os.environ.update(request["environment"])
        _program(request["directory"], *request["argv"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  # whatever the project raises belongs into its output
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _program(directory: str, program: str, *arguments: str) -> None:
    """`python FILE`, `alembic` or `deployguard`, as their console scripts start them."""
    sys.argv = [program, *arguments]
    if program == "python":
        sys.argv, sys.path[0] = list(arguments), directory
        runpy.run_path(arguments[0], run_name="__main__")
    elif program == "alembic":
        importlib.import_module("alembic.config").main(argv=list(arguments), prog=program)
    else:
        importlib.import_module("deployguard.cli.main").main()


if __name__ == "__main__":
    serve()
