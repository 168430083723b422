"""MySQL's statements about the server, the session, access and transactions, read word by word.

Source: https://dev.mysql.com/doc/refman/8.4/en/sql-server-administration-statements.html
"""

from collections.abc import Callable

from deployguard.operations import (
    ChangeAccess,
    ControlTransaction,
    LockTable,
    Maintain,
    Operation,
    Procedural,
    RewriteTable,
    SetSetting,
)
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.source import dotted


def _lock(reader: Reader) -> Operations:
    reader.one_of("table", "tables")
    found: list[Operation] = []
    while True:
        table = reader.table()
        if reader.word not in {"read", "write", "low_priority"}:
            reader.take("as")
            reader.name()
        reader.take("low_priority")
        mode = reader.one_of("read", "write")
        reader.take("local")
        found.append(LockTable(table, mode))
        if not reader.take(","):
            break
    return tuple(found)


def _unlock(reader: Reader) -> Operations:
    reader.one_of("table", "tables")
    return reader.last(Maintain("unlock tables"))


def _maintain(verb: str) -> Callable[[Reader], Operations]:
    def read(reader: Reader) -> Operations:
        reader.take_one("no_write_to_binlog", "local")
        reader.one_of("table", "tables")
        names = reader.tables()
        if verb in {"optimize", "repair"}:
            return tuple(RewriteTable(name, f"{verb} table") for name in names)
        return (Maintain(verb),)

    return read


def _only_says(what: str) -> Callable[[Reader], Operations]:
    return lambda _reader: (Maintain(what),)


def _access(what: str) -> Callable[[Reader], Operations]:
    def read(reader: Reader) -> Operations:
        on = reader.source.find("on")
        name = ""
        if on > 0:
            target = Reader(reader.source, on)
            target.take_one("table", "procedure", "function")
            parts = [target.next().text.strip("`")]
            while target.take("."):
                parts.append(target.next().text.strip("`"))
            name = ".".join(parts)
        return (ChangeAccess(what, name),)

    return read


def _procedural(what: str) -> Callable[[Reader], Operations]:
    def read(reader: Reader) -> Operations:
        name = reader.table() if reader.token.kind in {"word", "quoted"} else ""
        return (Procedural(what, name),)

    return read


def _transaction(action: str) -> Callable[[Reader], Operations]:
    words = {"transaction", "work", "and", "chain", "no", "release", "with", "consistent", "snapshot", "read",
             "write", "only", ",", "not"}  # fmt: skip

    def read(reader: Reader) -> Operations:
        if action == "rollback" and (reader.take("to") or reader.take("work", "to")):
            reader.take("savepoint")
            reader.name()
            return reader.last(ControlTransaction("rollback to"))
        if action in {"savepoint", "release"}:
            if action == "release":
                reader.expect("savepoint")
            reader.name()
            return reader.last(ControlTransaction(action))
        if not {token.text.lower() for token in reader.source.tokens[reader.at :]} <= words:
            raise Unknown(action)
        return (ControlTransaction(action),)

    return read


def _start(reader: Reader) -> Operations:
    reader.expect("transaction")
    return _transaction("begin")(reader)


def _set(reader: Reader) -> Operations:
    if reader.take_one("names", "charset") or reader.take("character", "set"):
        return (SetSetting("names", reader.value()),)
    if reader.word in {"password", "role"} or reader.sees("default", "role"):
        return (ChangeAccess("role"),)
    if (
        reader.take("transaction")
        or reader.take("session", "transaction")
        or reader.take("global", "transaction")
    ):
        return (
            SetSetting("transaction", reader.source.between(reader.at, len(reader.source.tokens))),
        )
    reader.at = 1
    found: list[Operation] = []
    while True:
        found.append(_assignment(reader))
        if not reader.take(","):
            break
    reader.end()
    return tuple(found)


def _assignment(reader: Reader) -> SetSetting:
    scope = reader.take_one("session", "global", "local", "persist", "persist_only")
    marks = 0
    while reader.take("@"):
        marks += 1
    if marks == 2 and reader.peek(1).text == ".":
        scope = reader.next().word
        reader.next()
    name = reader.name()
    if marks == 1:
        name = f"@{name}"
    while reader.take("."):
        name = dotted(name, reader.name())
    if not reader.take("="):
        reader.expect(":", "=")
    first = reader.at
    while not reader.done and not (
        reader.token.text == "," and reader.token.depth == reader.source.tokens[first].depth
    ):
        reader.next()
    value = reader.source.between(first, reader.at)
    if not value or ("(" in value and "select" in value.lower()):
        raise Unknown("SET to a query")
    return SetSetting(name, value, local=scope not in {"global", "persist", "persist_only"})


def _use(reader: Reader) -> Operations:
    return reader.last(SetSetting("schema", reader.name()))


def _flush(reader: Reader) -> Operations:
    locks = any(token.word in {"lock", "export"} for token in reader.source.tokens)
    return (LockTable("*", "read"),) if locks else (Maintain("flush"),)


SERVER: dict[str, Callable[[Reader], Operations]] = {
    "lock": _lock,
    "unlock": _unlock,
    "analyze": _maintain("analyze"),
    "check": _maintain("check"),
    "checksum": _maintain("checksum"),
    "optimize": _maintain("optimize"),
    "repair": _maintain("repair"),
    "show": _only_says("show"),
    "describe": _only_says("describe"),
    "desc": _only_says("describe"),
    "help": _only_says("help"),
    "explain": _only_says("explain"),
    "signal": _only_says("signal"),
    "deallocate": _only_says("deallocate"),
    "flush": _flush,
    "use": _use,
    "set": _set,
    "grant": _access("grant"),
    "revoke": _access("revoke"),
    "begin": _transaction("begin"),
    "start": _start,
    "commit": _transaction("commit"),
    "rollback": _transaction("rollback"),
    "savepoint": _transaction("savepoint"),
    "release": _transaction("release"),
    "call": _procedural("call"),
    "execute": _procedural("execute"),
    "prepare": _procedural("prepare"),
    "kill": _procedural("kill"),
    "install": _procedural("install"),
    "uninstall": _procedural("uninstall"),
    "purge": _procedural("purge"),
    "reset": _procedural("reset"),
    "change": _procedural("change"),
    "stop": _procedural("stop"),
    "shutdown": _procedural("shutdown"),
    "xa": _procedural("xa"),
}
