"""What the source says that it does (SQL in a text, op.drop_table), to be held against what was seen to run."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from deployguard.model import Statement
from deployguard.revisions.places import Function, called, text_of, with_heads

_QUIET = {"print", "info", "debug", "warning", "warn", "log", "error", "exception"}
# SQL that changes something; a second word tells it from a name or a sentence.
_SQL = re.compile(
    r"""(?: alter\s+(?:table|type|column|database|role|sequence|index|view|domain|schema|default)\b
      | drop\s+(?:table|column|index|schema|database|type|view|materialized|sequence|function|constraint
          |trigger|extension|policy|role|owned|domain|user|procedure|event|default|not|primary|foreign|key
          |check|partition)\b
      | create\s+(?:unique\s+index|index|trigger|rule|policy|or\s+replace)\b
      | rename\s+(?:table|to|column)\b | truncate\s+\w | lock\s+table | do\s+\$ | call\s+\w+\s*\(
      | update\s+\S+\s+set\b | insert\s+(?:into|or)\b | (?:delete\s+from|replace\s+into|merge\s+into)\b
      | (?:grant|revoke)\s.*\son\b | reindex\s | cluster\s | vacuum\s+full\b )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_METHOD = re.compile(r"(drop|rename|alter)(?:_(?!.*comment)|$)")
_COMMENT = re.compile(r"--[^\n]*\n|/\*.*?\*/", re.DOTALL)
_FILLED = re.compile(r"[%{:\\]")  # from here on the text is made when it runs


@dataclass(frozen=True, slots=True)
class Hint:
    """A place, first to last line, and the word or the beginning of the SQL that is seen once it has run."""

    line: int
    end: int
    word: str = ""
    text: str = ""
    later: bool = False  # it is only mentioned there, and called somewhere else


def hints(functions: Iterable[Function], constants: Mapping[str, ast.expr]) -> tuple[Hint, ...]:
    """What these functions say that they do; ``constants`` are the module's names."""
    found: dict[Hint, None] = {}
    for function in functions:
        told = _mentioned(function, constants)
        for line, end, node, handed in (*_nodes(function), *told):
            found.update(dict.fromkeys(_of(node, line, end, later=handed)))
    return tuple(found)


def unmet(
    given: Iterable[Hint], statements: Iterable[Statement], asked: frozenset[int]
) -> Iterator[Hint]:
    """The hints at which nothing was seen that answers them; ``asked`` are lines that asked something of a batch."""
    ran = [(one.line, _plain(one.sql)) for one in statements]
    hints = tuple(given)
    said = {line for one in hints if not one.later for line in range(one.line, one.end + 1)}
    for hint in hints:
        lines = range(hint.line, hint.end + 1)
        if hint.text:
            met = any(hint.text in sql for _, sql in ran)
        else:
            met = any(line in lines and hint.word in sql for line, sql in ran)
        if hint.later and not met:
            met = any(hint.word in sql and line not in said for line, sql in ran)
        if not met and asked.isdisjoint(lines):
            yield hint


def _nodes(function: Function) -> Iterator[tuple[int, int, ast.AST, bool]]:
    """First and last line of the statement, a node, and whether a call is handed it."""
    for statement, end, nodes in with_heads(function.body):
        if isinstance(statement, ast.Raise | ast.Assert):
            continue
        said = {
            id(inner)
            for node in nodes
            if isinstance(node, ast.Call) and called(node) in _QUIET
            for inner in ast.walk(node)
        }
        documents = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        parts = {
            id(inner) for node in nodes if isinstance(node, ast.JoinedStr) for inner in node.values
        }
        handed = {
            id(part)
            for node in nodes
            if isinstance(node, ast.Call)
            for part in (*node.args, *(one.value for one in node.keywords))
        }
        for node in nodes:
            if not documents and id(node) not in said | parts:
                yield statement.lineno, end, node, id(node) in handed


def _mentioned(
    function: Function, constants: Mapping[str, ast.expr]
) -> Iterator[tuple[int, int, ast.AST, bool]]:
    """The texts behind the module's names that the function uses."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    for name in sorted(names & set(constants)):
        for node in ast.walk(constants[name]):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                yield node.lineno, node.end_lineno or node.lineno, node, False


def _of(node: ast.AST, line: int, end: int, *, later: bool) -> Iterator[Hint]:
    if isinstance(node, ast.Attribute):
        if match := _METHOD.match(node.attr):
            yield Hint(line, end, word=match[1], later=later)
        return
    whole = text_of(node)
    if isinstance(node, ast.JoinedStr):
        first = node.values[0] if node.values else None
        whole = text_of(first) if first is not None else ""
    for part in whole.split(";"):
        text = _FILLED.split(_plain(part), maxsplit=1)[0].strip()
        if _SQL.match(text):
            yield Hint(line, end, text=text)


def _plain(sql: str) -> str:
    return " ".join(_COMMENT.sub(" ", f"{sql}\n").lower().split())
