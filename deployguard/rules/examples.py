"""The notation of a rule's examples, and how one is read into revisions: SQL with a few lines of comment.

-- dialect: sqlite          the dialect, postgresql unless said
-- server: 10.4             the server's version
-- was: t.a varchar(20)     a column's type before the run
-- exists: t                the live database was asked, and has this table, with rows
-- invalid: t.ix           … and an INVALID index ix on it
-- next revision            the statements after it are a new revision, in the same transaction
-- own transaction          a new revision in a transaction of its own
-- autocommit               the statements after it run outside a transaction; each line is one string
-- transaction              … and inside one again
-- down: DROP TABLE t        what the downgrade runs, in a transaction
-- downgrade: empty         the downgrade's body: empty, raises, missing; without it, it is not of interest
-- opaque: failed           what the reader says it could not see; "failed writes" where the source writes
"""

import re
from dataclasses import dataclass, replace

from deployguard.model import (
    Body,
    Evidence,
    Facts,
    Opacity,
    Opaque,
    Revision,
    Script,
    Statement,
    TableFact,
)
from deployguard.operations import Maintain
from deployguard.sql import lower

_WORD = re.compile(r"^--\s*(?P<word>[a-z ]+?)\s*(?::\s*(?P<value>.*))?$")


@dataclass(slots=True)
class _Reading:
    dialect: str = "postgresql"
    server: tuple[int, ...] = ()
    types: tuple[tuple[tuple[str, str], str], ...] = ()
    in_transaction: bool = True
    tables: tuple[TableFact, ...] | None = None
    invalid: frozenset[str] = frozenset()


def read(text: str) -> tuple[tuple[Revision, ...], Facts]:
    """The revisions of one example, oldest first, and what is known of the database."""
    state = _Reading()
    revisions = [_revision(1)]
    for number, line in enumerate(text.strip().splitlines(), start=1):
        match = _WORD.match(line.strip())
        if match is None:
            revisions[-1] = _with_sql(revisions[-1], line, number, state)
        elif match["word"] in {"next revision", "own transaction"}:
            own = match["word"] == "own transaction"
            revisions.append(_revision(len(revisions) + 1, own_transaction=own))
        else:
            revisions[-1] = _with_word(
                revisions[-1], match["word"], match["value"] or "", number, state
            )
    return tuple(revisions), Facts(
        state.dialect, state.server, state.tables, invalid_indexes=state.invalid
    )


def _revision(number: int, *, own_transaction: bool = False) -> Revision:
    up = Script(Body.PRESENT, line=1, own_transaction=own_transaction)
    # A downgrade that does nothing worth a word: the example is about the upgrade.
    down = Script(
        Body.PRESENT, line=1, statements=(Statement("ANALYZE", 1, (Maintain("analyze"),)),)
    )
    parents = (f"r{number - 1}",) if number > 1 else ()
    path = f"versions/r{number}.py"
    return Revision(f"r{number}", parents, path, "", "", up, down, Evidence.RECORDED)


def _with_sql(revision: Revision, line: str, number: int, state: _Reading) -> Revision:
    lowered = lower(line, state.dialect, old_types=dict(state.types))
    several = state.dialect == "postgresql" and not state.in_transaction and len(lowered) > 1
    statements = tuple(
        Statement(sql, number, operations, state.in_transaction, place if several else 0)
        for place, (sql, operations) in enumerate(lowered, start=1)
    )
    up = replace(revision.up, statements=revision.up.statements + statements)
    return replace(revision, up=up)


def _with_word(revision: Revision, word: str, value: str, number: int, state: _Reading) -> Revision:
    match word:
        case "dialect":
            state.dialect = value
        case "server":
            state.server = tuple(int(part) for part in value.split("."))
        case "was":
            column, _, type_text = value.partition(" ")
            table, _, name = column.rpartition(".")
            state.types = (*state.types, ((table, name), type_text))
        case "exists":
            state.tables = (*(state.tables or ()), TableFact(value, rows=1, bytes=8192))
        case "invalid":
            table, _, index = value.rpartition(".")
            state.tables = (*(state.tables or ()), TableFact(table, rows=1, bytes=8192))
            state.invalid = state.invalid | {index}
        case "autocommit" | "transaction":
            state.in_transaction = word == "transaction"
        case "downgrade":
            return replace(revision, down=Script(Body(value), line=number))
        case "down":
            down = tuple(
                Statement(sql, number, operations)
                for sql, operations in lower(value, state.dialect, old_types=dict(state.types))
            )
            return replace(revision, down=Script(Body.PRESENT, line=number, statements=down))
        case "opaque":
            code, _, writes = value.partition(" ")
            opacity = Opacity(Opaque(code), number, "as the example says", writes == "writes")
            up = replace(revision.up, opacities=(*revision.up.opacities, opacity))
            return replace(revision, up=up)
        case _:
            raise ValueError(f"unknown word in an example: {word}")
    return revision
