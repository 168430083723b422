"""Short statements that are known word by word, for the dialects that have no second reader."""

from collections.abc import Callable
from typing import TypeAlias

from deployguard.operations import (
    ChangeTrigger,
    ControlTransaction,
    CreateObject,
    DropObject,
    Maintain,
    Operation,
    ReadRows,
    Reindex,
    RenameTable,
    RewriteTable,
    SetSetting,
    WriteRows,
)
from deployguard.sql.source import Source, dotted, fold

Operations: TypeAlias = tuple[Operation, ...]
# Settings that protect the data; everything else that a PRAGMA sets is a setting too, but named.
_READING_PRAGMAS = {
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "database_list", "foreign_key_check", "integrity_check", "quick_check", "compile_options", "user_version",
    "schema_version", "encoding", "page_count", "page_size", "collation_list", "function_list",
}  # fmt: skip


def phrase(source: Source) -> Operations | None:
    """The operations of a statement that begins with words we know; None for all others."""
    for words, reader in _PHRASES:
        if source.words(*words) and (found := reader(source, len(words))):
            return found
    return None


def _name(source: Source, at: int) -> tuple[str, int]:
    """A possibly qualified name at token ``at``, and the token behind it."""
    parts: list[str] = []
    while at < len(source.tokens):
        token = source.tokens[at]
        if token.kind == "quoted" or (token.kind == "string" and token.text.startswith('"')):
            parts.append(token.text[1:-1])
        elif token.kind == "word":
            parts.append(fold(token.text, quoted=False, dialect=source.dialect))
        else:
            return "", at
        at += 1
        if at >= len(source.tokens) or source.tokens[at].text != ".":
            break
        at += 1
    return dotted(*parts), at


def _transaction(action: str) -> Callable[[Source, int], Operations | None]:
    def read(source: Source, at: int) -> Operations | None:
        rest = {token.word for token in source.tokens[at:]}
        allowed = {
            "transaction",
            "work",
            "deferred",
            "immediate",
            "exclusive",
            "read",
            "write",
            "only",
        }
        return (ControlTransaction(action),) if rest <= allowed else None

    return read


def _savepoint(action: str) -> Callable[[Source, int], Operations | None]:
    def read(source: Source, at: int) -> Operations | None:
        name, end = _name(source, at)
        return (ControlTransaction(action),) if name and end == len(source.tokens) else None

    return read


def _pragma(source: Source, at: int) -> Operations | None:
    name, end = _name(source, at)
    if not name:
        return None
    own = name.rpartition(".")[2]
    if own in _READING_PRAGMAS and (end == len(source.tokens) or source.tokens[end].text == "("):
        return (ReadRows(("sqlite_master",)),)
    if end == len(source.tokens):
        return (Maintain(f"pragma {own}"),)
    value = source.between(end + 1, len(source.tokens)).rstrip(") ")
    if own == "writable_schema" and value.strip("'\"").lower() in {"1", "on", "yes", "true"}:
        return (WriteRows("sqlite_master", "update"),)  # the next statement may break the file
    return (SetSetting(own, value),)


def _maintain(what: str) -> Callable[[Source, int], Operations | None]:
    return lambda _source, _at: (Maintain(what),)


def _vacuum(source: Source, at: int) -> Operations | None:
    # SQLite's VACUUM rewrites the whole file.
    return (RewriteTable("*", "vacuum"),) if len(source.tokens) == at else None


def _reindex(source: Source, at: int) -> Operations | None:
    name, _ = _name(source, at) if at < len(source.tokens) else ("*", at)
    return (Reindex("index", name),)


def _replace(source: Source, at: int) -> Operations | None:
    name, end = _name(source, at)
    values = any(token.word == "values" for token in source.tokens[end:])
    return (WriteRows(name, "merge", from_query=not values),) if name else None


def _trigger(source: Source, at: int) -> Operations | None:
    name, _ = _name(source, _past_exists(source, at))
    on = source.find("on")
    table, _ = _name(source, on) if on > 0 else ("", 0)
    return (ChangeTrigger(table, "create", name),) if table else None


def _drop_trigger(source: Source, at: int) -> Operations | None:
    name, end = _name(source, _past_exists(source, at))
    return (DropObject("trigger", name),) if name and end == len(source.tokens) else None


def _past_exists(source: Source, at: int) -> int:
    words = [token.word for token in source.tokens[at : at + 3]]
    if words[:3] == ["if", "not", "exists"]:
        return at + 3
    return at + 2 if words[:2] == ["if", "exists"] else at


def _virtual(source: Source, at: int) -> Operations | None:
    name, _ = _name(source, _past_exists(source, at))
    return (CreateObject("virtual table", name),) if name else None


def _rename(source: Source, at: int) -> Operations | None:
    old, end = _name(source, at)
    new, last = _name(source, end + 1)
    if source.find("to", start=end) == end + 1 and last == len(source.tokens) and old and new:
        return (RenameTable(old, new),)
    return None


def _set(source: Source, at: int) -> Operations | None:
    local = False
    if source.tokens[at:] and source.tokens[at].word in {"session", "local", "global"}:
        local = source.tokens[at].word == "local"
        at += 1
    while at < len(source.tokens) and source.tokens[at].text == "@":
        at += 1
    name, end = _name(source, at)
    several = any(token.text == "," for token in source.tokens[end:])
    if not name or end >= len(source.tokens) or source.tokens[end].text != "=" or several:
        return None
    return (SetSetting(name, source.between(end + 1, len(source.tokens)), local=local),)


_PHRASES: tuple[tuple[tuple[str, ...], Callable[[Source, int], Operations | None]], ...] = (
    (("begin",), _transaction("begin")),
    (("start", "transaction"), _transaction("begin")),
    (("commit",), _transaction("commit")),
    (("end",), _transaction("commit")),
    (("rollback", "to", "savepoint"), _savepoint("rollback to")),
    (("rollback", "to"), _savepoint("rollback to")),
    (("rollback",), _transaction("rollback")),
    (("savepoint",), _savepoint("savepoint")),
    (("release", "savepoint"), _savepoint("release")),
    (("release",), _savepoint("release")),
    (("pragma",), _pragma),
    (("analyze",), _maintain("analyze")),
    (("optimize", "table"), lambda s, at: (RewriteTable(_name(s, at)[0] or "*", "optimize"),)),
    (("vacuum",), _vacuum),
    (("reindex",), _reindex),
    (("replace", "into"), _replace),
    (("create", "trigger"), _trigger),
    (("create", "temp", "trigger"), _trigger),
    (("create", "temporary", "trigger"), _trigger),
    (("drop", "trigger"), _drop_trigger),
    (("create", "virtual", "table"), _virtual),
    (("rename", "table"), _rename),
    (("explain", "query", "plan"), lambda _s, _at: (ReadRows(()),)),
    (("show",), _maintain("show")),
    (("describe",), _maintain("describe")),
    (("set",), _set),
)
