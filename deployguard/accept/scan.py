"""A revision file → its directives, each with the lines that it covers; comments by tokenize, statements by ast."""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace

from deployguard.accept.directives import HOW, Accepts, Problem, in_a_string, read_comment

Span = tuple[int, int]  # first and last line, both included

_HINTS = (b"guard", b"deploy")
_NO_STATEMENT = (
    "it stands at no statement: put it on the line of the call, or directly above that, or for the "
    "whole revision on a line of its own above `def upgrade`"
)
_LAYOUT = (tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of a revision file.

    ``span`` None: it covers the whole revision. What stands at an operation inside of ``with
    op.batch_alter_table(…)`` also covers findings on ``batch``, the lines of that header, whose message names one of
    ``words``: Alembic runs the operations of a batch together, at its end.
    """

    says: Accepts
    line: int
    span: Span | None
    batch: Span | None = None
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scanned:
    """The directives of one file, and what was meant as one and is none."""

    directives: tuple[Directive, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Comment:
    text: str
    line: int
    column: int
    anchor: int  # the first line of the statement that it stands in, behind or directly above; 0 is none
    own_line: bool


def scan(source: bytes) -> Scanned:
    """Read one file. A file that is no Python has no directives: what is in it is critical anyway."""
    if not any(hint in source.lower() for hint in _HINTS):
        return Scanned()
    try:
        tree = ast.parse(source)
        comments = tuple(_comments(source))
        statements = _statements(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return Scanned()
    directives: list[Directive] = []
    problems = list(_strings(tree))
    for comment in comments:
        for read in read_comment(comment.text):
            if isinstance(read, str):
                problems.append(Problem(comment.line, read))
                continue
            placed = _placed(comment, read, statements)
            if isinstance(placed, Directive):
                directives.append(placed)
            else:
                problems.append(placed)
    return Scanned(tuple(directives), tuple(sorted(problems, key=lambda one: one.line)))


def _comments(source: bytes) -> Iterator[_Comment]:
    """Every comment with the statement that it belongs to."""
    waiting: list[_Comment] = []  # on lines of their own, directly above what comes next
    logical = 0  # the first line of the statement that is being read; 0 is none
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        line, column = token.start
        if token.type == tokenize.COMMENT:
            comment = _Comment(token.string, line, column, logical, own_line=False)
            if logical:
                yield replace(comment, own_line=not token.line[:column].strip())
            else:
                waiting.append(replace(comment, own_line=True))
        elif token.type == tokenize.NEWLINE:
            logical = 0
        elif token.type == tokenize.NL:
            if not logical and not token.line.strip():  # an empty line parts them
                yield from waiting
                waiting = []
        elif token.type not in _LAYOUT and not logical:
            logical = line
            yield from (replace(one, anchor=line) for one in waiting)
            waiting = []
    yield from waiting


@dataclass(frozen=True, slots=True)
class _Place:
    node: ast.stmt
    module_level: bool
    batch: ast.With | ast.AsyncWith | None


def _statements(tree: ast.Module) -> dict[int, _Place]:
    """First line → the outermost statement that begins there."""
    found: dict[int, _Place] = {}

    def walk(node: ast.AST, batch: ast.With | ast.AsyncWith | None, *, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt):
                walk(child, batch, top=False)
                continue
            found.setdefault(_first(child), _Place(child, top, batch))
            within = (
                child if isinstance(child, ast.With | ast.AsyncWith) and _batches(child) else batch
            )
            walk(child, within, top=False)

    walk(tree, None, top=True)
    return found


def _placed(comment: _Comment, says: Accepts, statements: dict[int, _Place]) -> Directive | Problem:
    place = statements.get(comment.anchor)
    alone = comment.own_line and comment.column == 0
    if place is None:
        if alone and comment.anchor == 0:
            return Directive(says, comment.line, None)
        return Problem(comment.line, _NO_STATEMENT)
    node = place.node
    if place.module_level:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            whole = node.name == "upgrade"
            return Directive(says, comment.line, None if whole else _span(node))
        if alone and comment.line < comment.anchor:
            return Directive(says, comment.line, None)
        return Problem(comment.line, _NO_STATEMENT)
    if place.batch is None:
        return Directive(says, comment.line, _span(node))
    header = (_first(place.batch), place.batch.body[0].lineno - 1)
    return Directive(
        says, comment.line, _span(node), (header[0], max(header)), frozenset(_words(node))
    )


def _strings(tree: ast.Module) -> Iterator[Problem]:
    alone = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            complaint = in_a_string(node.value, alone=id(node) in alone)
            if complaint:
                yield Problem(node.lineno, complaint)


def _first(node: ast.stmt) -> int:
    decorated = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    marks = node.decorator_list if isinstance(node, decorated) else []
    return min([node.lineno, *(one.lineno for one in marks)])


def _span(node: ast.stmt) -> Span:
    return _first(node), node.end_lineno or node.lineno


def _batches(node: ast.With | ast.AsyncWith) -> bool:
    calls = [item.context_expr for item in node.items]
    return any(
        isinstance(call, ast.Call)
        and (call.func.attr if isinstance(call.func, ast.Attribute) else "") == "batch_alter_table"
        for call in calls
    )


def _words(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value:
            yield inner.value


__all__ = ["HOW", "Directive", "Scanned", "Span", "scan"]
