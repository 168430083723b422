"""Runs Alembic with every statement that SQLite executes written to a file: `python tracer.py FILE COMMAND …`."""

from __future__ import annotations

import runpy
import sqlite3
import sys
from typing import Any

_CONNECT = sqlite3.connect


def main() -> None:
    target, program, *arguments = sys.argv[1:]
    with open(target, "a", encoding="utf-8") as log:  # noqa: PTH123 - no need of another import

        def connect(*given: Any, **named: Any) -> sqlite3.Connection:
            connection = _CONNECT(*given, **named)
            connection.set_trace_callback(lambda text: print(repr(text), file=log, flush=True))
            return connection

        sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]
        if program == "alembic":
            from alembic.config import main as alembic

            alembic(argv=arguments, prog=program)
        else:
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
