"""A process that has imported Alembic once and runs each command of a project in a fork of itself.

Started with `python -m`; reads one JSON request a line ({directory, argv, environment, output}) from stdin and answers
with the exit code. A fork costs some milliseconds, an interpreter that imports SQLAlchemy most of a second.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from typing import Any


def serve() -> None:
    import alembic.command  # warms the forks
    import alembic.config  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.ext.asyncio  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> None:
    """Runs `alembic …` or `python FILE …` as a shell in the project's folder would; never returns."""
    code = 1
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        os.chdir(request["directory"])
        os.environ.update(request["environment"])
        program, *arguments = request["argv"]
        if program == "python":
            sys.argv, sys.path[0] = arguments, request["directory"]
            runpy.run_path(arguments[0], run_name="__main__")
        else:
            from alembic.config import main

            main(argv=arguments, prog=program)
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


if __name__ == "__main__":
    serve()
