"""A small lexer: where words, quotes, comments and parentheses of one SQL text begin and end."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

# White space is ASCII's only: to the servers every other character may be a part of a name.
_COMMON = r"""
    (?P<space>[ \t\n\r\f\v]+)
  | (?P<comment>--[^\n]*)
"""
# PostgreSQL's comment ends at a carriage return, too: what follows is run.
_COMMON_POSTGRES = r"""
    (?P<space>[ \t\n\r\f\v]+)
  | (?P<comment>--[^\n\r]*)
"""
# MySQL wants white space behind the dashes: 5--3 is a sum there.
_COMMON_MYSQL = r"""
    (?P<space>[ \t\n\r\f\v]+)
  | (?P<comment>--(?=[\s\x00-\x1f]|\Z)[^\n]*)
"""
_PLACEHOLDER = r"""
  | (?P<placeholder>%\(\w+\)s\b|%s\b|\$\d+|(?<!:):[A-Za-z_]\w*|\?(?![|&?]))
"""
_POSTGRES = r"""
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*')
  | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
"""
_SQLITE = r"""
  | (?P<string>[xX]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
"""
_MYSQL = r"""
  | (?P<hash>\#[^\n]*)
  | (?P<string>(?:[nNbBxX])?'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
  | (?P<quoted>`(?:[^`]|``)*`)
"""
_REST = r"""
  | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<mark>::|.)
"""


class Token(
    NamedTuple
):  # a history has a hundred thousand of them: a dataclass takes four times as long to make
    """One token; offsets in characters, ``depth`` counts the parentheses that are open around it."""

    kind: str  # "word", "quoted", "string", "number", "placeholder" or "mark"
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        """The word in lower case; empty for every other kind of token."""
        return self.text.lower() if self.kind == "word" else ""


@cache
def _pattern(dialect: str) -> re.Pattern[str]:
    quotes = {"sqlite": _SQLITE, "mysql": _MYSQL, "mariadb": _MYSQL}.get(dialect, _POSTGRES)
    common = _COMMON_MYSQL if _executable(dialect) else _COMMON
    if quotes is _POSTGRES:
        common = _COMMON_POSTGRES
    return re.compile(common + quotes + _PLACEHOLDER + _REST, re.VERBOSE | re.DOTALL)


_DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")
# MySQL runs what stands in /*! … */ and MariaDB in /*M! … */, so that only the marks themselves are no tokens.
_RUN = re.compile(r"/\*M?!\d*|\*/")


@lru_cache(maxsize=2)  # a text of one statement is asked for twice, and it may be long
def tokenize(text: str, dialect: str) -> tuple[Token, ...]:
    """Every token of ``text`` without white space and comments; never fails.

    A quote that is never closed takes the rest of the text with it, as one mark: it does not parse anyway.
    """
    pattern = _pattern(dialect)
    tokens: list[Token] = []
    at = depth = 0
    while at < len(text):
        kind, end = _next(pattern, text, at, dialect)
        if kind not in {"space", "comment", "hash"}:
            piece = text[at:end]
            if piece == ")":
                depth = max(0, depth - 1)
            tokens.append(Token(kind, piece, at, end, depth))
            if piece == "(":
                depth += 1
        at = end
    return tuple(tokens)


def _next(pattern: re.Pattern[str], text: str, at: int, dialect: str) -> tuple[str, int]:
    special = _special(text, at, dialect) if text[at] in _SPECIAL else None
    if special is not None:
        return special
    match = pattern.match(text, at)
    if (
        match is None or match.lastgroup is None
    ):  # "." with DOTALL matches anything; kept for safety
        return "mark", at + 1
    if match.group() in {"'", '"', "`"}:
        return "mark", len(text)
    return match.lastgroup, match.end()


_SPECIAL = "/*$"


def _special(text: str, at: int, dialect: str) -> tuple[str, int] | None:
    """What no regular expression finds the end of, and MySQL's marks; None for an ordinary sign."""
    if _executable(dialect) and (mark := _RUN.match(text, at)):
        return "space", mark.end()
    if text.startswith("/*", at):
        return "comment", _comment_end(text, at, nested=dialect == "postgresql")
    if dialect == "postgresql" and (tag := _DOLLAR.match(text, at)):
        close = text.find(tag.group(), tag.end())
        if close < 0:
            return "mark", len(text)
        return "string", close + len(tag.group())
    return None


def _executable(dialect: str) -> bool:
    return dialect in {"mysql", "mariadb"}


def _comment_end(text: str, at: int, *, nested: bool) -> int:
    level, position = 1, at + 2
    while level and position < len(text):
        if text.startswith("*/", position):
            level -= 1
            position += 2
        elif nested and text.startswith("/*", position):
            level += 1
            position += 2
        else:
            position += 1
    return position


def mask(text: str, tokens: tuple[Token, ...], dialect: str) -> str:
    """``text`` with a driver's ``%s`` and ``%(name)s`` as parameters that a parser knows, every offset kept."""
    if _executable(dialect):
        text = _without_comments(text, tokens)
    filler = "$1" if dialect == "postgresql" else "?"
    pieces: list[str] = []
    at = 0
    for token in tokens:
        if token.kind == "placeholder" and token.text.startswith("%"):
            pieces += [text[at : token.start], filler.ljust(token.end - token.start)]
            at = token.end
    return "".join([*pieces, text[at:]])


def _without_comments(text: str, tokens: tuple[Token, ...]) -> str:
    """``text`` with nothing but spaces between the tokens: what MySQL runs in a comment is no comment then."""
    pieces: list[str] = []
    at = 0
    for token in tokens:
        pieces += [" " * (token.start - at), token.text]
        at = token.end
    return "".join([*pieces, " " * (len(text) - at)])
