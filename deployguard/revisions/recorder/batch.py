"""Alembic does a whole batch at its end, and on SQLite by a copy: say what is really asked for, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ddl import type_text

if TYPE_CHECKING:
    from .state import State

_DIRECTIVES = (
    "alter_column",
    "add_column",
    "drop_column",
    "add_constraint",
    "drop_constraint",
    "drop_index",
)

# What can be asked of a batch; it is done at its end, where the `with` stands.
_ASKED = (
    *_DIRECTIVES,
    "rename_table",
    "create_index",
    "create_table_comment",
    "drop_table_comment",
)


def install(state: State) -> None:
    """Patch Alembic's batch implementation: its own look at the table is no guard, and what it does is explained.

    Before a copy, a `batch` event tells the columns and indexes that the table has, and each directive as its line
    (0: unknown) and an ALTER statement in PostgreSQL's form (`asked`).
    """
    from alembic.operations import batch

    flush, create = batch.BatchOperationsImpl.flush, batch.ApplyBatchImpl._create

    def flushing(self: Any) -> None:
        state.batching = True
        self.batch = _Lined(state, self.batch, self.__dict__.get("deployguard_lines", []))
        try:
            flush(self)
        finally:
            state.batching, state.channel.standing = False, 0

    def creating(self: Any, op_impl: Any) -> None:
        _put_in_order(self)
        columns = [
            [str(column.name), type_text(column.type, op_impl.dialect), bool(column.nullable)]
            for column in self.table.columns
        ]
        state.channel.tell(
            "batch",
            table=str(self.table.name),
            columns=columns,
            indexes=[str(name) for name in self.indexes],
            asked=[
                *self.__dict__.get("deployguard_asked", []),
                *([0, text] for text in _differences(state, self)),
            ],
        )
        try:
            create(self, op_impl)
        finally:
            state.channel.tell("batched")

    for name in _ASKED:
        noted = getattr(batch.BatchOperationsImpl, name, None)
        if noted is not None:
            setattr(batch.BatchOperationsImpl, name, _told(state, noted))
    for name in _DIRECTIVES:
        setattr(
            batch.ApplyBatchImpl, name, _noted(state, name, getattr(batch.ApplyBatchImpl, name))
        )
    batch.BatchOperationsImpl.flush = flushing  # type: ignore[method-assign]  # the one way in
    batch.ApplyBatchImpl._create = creating  # type: ignore[method-assign]  # the one way in


def _differences(state: State, batch: Any) -> list[str]:
    """What `copy_from` says otherwise than the table is: what it leaves out is not copied, and lost."""
    if state.request["dialect"] != "sqlite":
        return []
    names, copied = _Names(batch), batch.table.columns
    with state.silence():
        actual = state.sqlite().execute(
            'SELECT name, "notnull" OR pk FROM pragma_table_info(?)', (str(batch.table.name),)
        )
        known = [(str(name), bool(required)) for name, required in actual]
    lost = [f"DROP COLUMN {names.quote(name)}" for name, _ in known if name not in copied]
    stricter = [
        f"ALTER COLUMN {names.quote(name)} SET NOT NULL"
        for name, required in known
        if name in copied and not (required or copied[name].nullable)
    ]
    return [f"{names.table} {change}" for change in (*lost, *stricter)]


def _put_in_order(batch: Any) -> None:
    """Alembic collects these from sets of objects; the same revision must read the same each time."""
    batch.named_constraints = dict(sorted(batch.named_constraints.items(), key=_first_as_text))
    batch.indexes = dict(sorted(batch.indexes.items(), key=_first_as_text))
    batch.unnamed_constraints.sort(key=_described)


def _first_as_text(item: tuple[Any, Any]) -> str:
    return str(item[0])


def _described(constraint: Any) -> tuple[str, list[str], str]:
    columns = [str(column.name) for column in getattr(constraint, "columns", ())]
    return type(constraint).__name__, columns, str(getattr(constraint, "sqltext", ""))


class _Lined(list[Any]):
    """What was asked of a batch; as each is carried out, it stands at the line where it was asked for.

    Only what is done one by one: a copy is made of all of it together, behind the last one.
    """

    def __init__(self, state: State, asked: list[Any], lines: list[int]) -> None:
        super().__init__(asked)
        self._state, self._lines = state, lines

    def __iter__(self) -> Any:
        lines = self._lines if len(self._lines) == len(self) else [0] * len(self)
        for line, asked in zip(lines, super().__iter__()):  # noqa: B905 - the child may run on Python 3.9
            self._state.channel.standing = line
            yield asked
        self._state.channel.standing = 0


def _told(state: State, original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        state.channel.tell("did")
        before = len(self.batch)
        found = original(self, *args, **kwargs)
        lines = self.__dict__.setdefault("deployguard_lines", [])
        lines += [state.channel.line()] * (len(self.batch) - before)
        return found

    return call


def _noted(state: State, name: str, original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = self.__dict__.setdefault("deployguard_asked", [])
        statements: Any = _STATEMENTS[name]
        line = state.channel.standing
        asked += [[line, text] for text in statements(self, _Names(self), *args, **kwargs)]
        return original(self, *args, **kwargs)

    return call


class _Names:
    """Quoted names of the table at hand."""

    def __init__(self, batch: Any) -> None:
        self.dialect = batch.impl.dialect
        self.quote = self.dialect.identifier_preparer.quote
        self.table = "ALTER TABLE " + self.quote(str(batch.table.name))

    def columns(self, columns: Any) -> str:
        return ", ".join(self.quote(str(getattr(column, "name", column))) for column in columns)


def _alter_column(batch: Any, names: _Names, _table: Any, column: Any, **asked: Any) -> list[str]:
    existing = batch.columns.get(str(column))
    head = f"{names.table} ALTER COLUMN {names.quote(str(column))} "
    statements = []
    if asked.get("type_") is not None:
        from sqlalchemy.types import to_instance

        old = type_text(existing.type, names.dialect) if existing is not None else ""
        new = type_text(to_instance(asked["type_"]), names.dialect)
        if old != new:
            statements.append(f"{head}TYPE {new}")
    nullable = asked.get("nullable")
    if nullable is not None and (existing is None or bool(existing.nullable) != bool(nullable)):
        statements.append(head + ("DROP NOT NULL" if nullable else "SET NOT NULL"))
    if asked.get("server_default", False) is not False:
        text = _default(asked["server_default"])
        statements.append(head + ("SET DEFAULT " + text if text else "DROP DEFAULT"))
    name = asked.get("name")
    if name is not None and str(name) != str(column):
        old_name, new_name = names.quote(str(column)), names.quote(str(name))
        statements.append(f"{names.table} RENAME COLUMN {old_name} TO {new_name}")
    return statements


def _add_column(_batch: Any, names: _Names, _table: Any, column: Any, **_asked: Any) -> list[str]:
    parts = [
        names.table,
        "ADD COLUMN",
        names.quote(str(column.name)),
        type_text(column.type, names.dialect),
    ]
    default = _default(column.server_default)
    if default:
        parts.append("DEFAULT " + default)
    if not column.nullable:
        parts.append("NOT NULL")
    return [" ".join(parts)]


def _drop_column(_batch: Any, names: _Names, _table: Any, column: Any, **_asked: Any) -> list[str]:
    return [f"{names.table} DROP COLUMN {names.quote(str(column.name))}"]


def _add_constraint(_batch: Any, names: _Names, constraint: Any) -> list[str]:
    kind = type(constraint).__name__
    named = (
        f"CONSTRAINT {names.quote(str(constraint.name))} "
        if isinstance(constraint.name, str)
        else ""
    )
    if kind == "CheckConstraint":
        body = f"CHECK ({constraint.sqltext})"
    elif kind == "ForeignKeyConstraint":
        target = constraint.elements[0].target_fullname.rsplit(".", 1)[0]
        body = f"FOREIGN KEY ({names.columns(constraint.column_keys)}) REFERENCES {target}"
    else:
        kind = "PRIMARY KEY" if kind.startswith("Primary") else "UNIQUE"
        body = f"{kind} ({names.columns(constraint.columns)})"
    return [f"{names.table} ADD {named}{body}"]


def _drop_constraint(_batch: Any, names: _Names, constraint: Any) -> list[str]:
    return [f"{names.table} DROP CONSTRAINT {names.quote(str(constraint.name))}"]


def _drop_index(_batch: Any, names: _Names, index: Any, **_asked: Any) -> list[str]:
    return [f"DROP INDEX {names.quote(str(index.name))}"]


def _default(value: Any) -> str:
    if value is None or value is False:
        return ""
    value = getattr(value, "arg", value)
    if isinstance(value, str):
        return "'{}'".format(value.replace("'", "''"))
    return str(getattr(value, "text", value))


_STATEMENTS = {
    "alter_column": _alter_column,
    "add_column": _add_column,
    "drop_column": _drop_column,
    "add_constraint": _add_constraint,
    "drop_constraint": _drop_constraint,
    "drop_index": _drop_index,
}
