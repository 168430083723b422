"""Runs each revision of a project by itself on a real SQLite database with rows, and tells what became of them.

`python oracle.py FOLDER`: prints one JSON object, {revision: {"raised": text or "", "lost": [what was lost], …}}. A
program of its own: a generated revision may do anything to the process that runs it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

SECONDS = 2


def main(folder: Path) -> None:
    found = {}
    for path in sorted(folder.glob("r*.py")):
        if path.stem != "r0":
            with contextlib.redirect_stdout(io.StringIO()):
                found[path.stem] = _run(folder, path)
    print(json.dumps(found))


def _run(folder: Path, path: Path) -> dict[str, Any]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    number = path.stem[1:]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            _module(folder / "r0.py").upgrade()
            connection.exec_driver_sql(
                f"INSERT INTO t{number} (id, n, note) VALUES (1, 1, 'a'), (2, 2, 'b')"
            )
            before = _state(connection, number)
            raised = ""
            try:
                _module(path).upgrade()
            except BaseException as error:  # noqa: BLE001 - also SystemExit
                raised = f"{type(error).__name__}: {error}"
            return {"raised": raised, "lost": _lost(before, _state(connection, number))}


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _state(connection: sa.Connection, number: str) -> dict[str, Any]:
    inspector = sa.inspect(connection)
    tables = [name for name in inspector.get_table_names() if name.endswith(number)]
    columns = {name: [one["name"] for one in inspector.get_columns(name)] for name in tables}
    rows = {
        name: [
            list(row)
            for row in connection.exec_driver_sql(f"SELECT id, n, note FROM {name} ORDER BY id")
        ]
        for name, known in columns.items()
        if {"id", "n", "note"} <= set(known)
    }
    return {"tables": tables, "columns": columns, "rows": rows}


def _lost(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    lost = [f"table {name}" for name in before["tables"] if name not in after["tables"]]
    for name, columns in before["columns"].items():
        if name in after["tables"]:
            lost += [f"column {one}" for one in columns if one not in after["columns"][name]]
            kept = after["rows"].get(name)
            lost += ["rows"] if kept is not None and not _within(before["rows"][name], kept) else []
    return lost


def _within(rows: list[Any], others: list[Any]) -> bool:
    return all(row in others for row in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
