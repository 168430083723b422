"""Cuts one string into its SQL statements, each in its original wording."""

from bisect import bisect_left
from collections.abc import Iterable

from deployguard.sql.tokens import Token, mask, tokenize

_CLOSED = {"if", "while", "loop", "repeat"}
_BODIES = {"trigger", "function", "procedure", "event"}


def split(text: str, dialect: str) -> tuple[str, ...]:
    """The statements of ``text`` in order, without the semicolons; a text of comments only has none.

    On PostgreSQL the server's own grammar cuts; where it can't (a syntax error), and on other dialects, tokens do.
    """
    tokens = tokenize(text, dialect)
    if not tokens:
        return ()
    if dialect == "postgresql" and any(token.text == ";" for token in tokens):
        pieces = _postgres(text, mask(text, tokens, dialect), tokens)
        if pieces is not None:
            return pieces
    return tuple(_by_tokens(text, tokens, dialect))


def _postgres(text: str, masked: str, tokens: tuple[Token, ...]) -> tuple[str, ...] | None:
    import postgast

    try:
        pieces = postgast.split(masked)
    except (postgast.PgQueryError, UnicodeError):
        return None
    statements: list[str] = []
    at = first = 0
    for piece in pieces:
        start = masked.find(piece, at)
        at = start + len(piece)
        begin = bisect_left(tokens, start, lo=first, key=lambda token: token.start)
        last = bisect_left(tokens, at, lo=begin, key=lambda token: token.start)
        # What the grammar leaves out between two pieces is nothing but semicolons and comments.
        if start < 0 or any(token.text != ";" for token in tokens[first:begin]):
            return None
        if begin < last:
            statements.append(text[tokens[begin].start : tokens[last - 1].end])
        first = last
    return tuple(statements) if all(token.text == ";" for token in tokens[first:]) else None


def _by_tokens(text: str, tokens: tuple[Token, ...], dialect: str) -> Iterable[str]:
    statement: list[Token] = []
    open_blocks = 0
    for token in tokens:
        # PostgreSQL alone has semicolons inside parentheses: CREATE RULE … DO (a; b).
        inside = token.depth > 0 and dialect == "postgresql"
        if token.text == ";" and not inside and open_blocks == 0:
            if statement:
                yield text[statement[0].start : statement[-1].end]
            statement = []
            continue
        statement.append(token)
        open_blocks = max(0, open_blocks + _block(token, statement, dialect))
    if statement:
        yield text[statement[0].start : statement[-1].end]


def _block(token: Token, statement: list[Token], dialect: str) -> int:
    """+1 where a body of several statements opens, -1 where it closes."""
    if token.word in _CLOSED and len(statement) > 1 and statement[-2].word == "end":
        return 1 if _has_body(statement) else 0  # END IF closes no BEGIN
    if token.word not in {"begin", "atomic", "case", "end"} or not _has_body(statement):
        return 0
    if token.word == "end":
        return -1
    if token.word == "begin":
        return 0 if dialect == "postgresql" else 1
    return 1


def _has_body(statement: list[Token]) -> bool:
    return statement[0].word == "create" and any(token.word in _BODIES for token in statement[1:8])
