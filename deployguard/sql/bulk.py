"""Long INSERTs made short: of many rows of literals one tells what the statement does."""

from deployguard.sql.source import Source
from deployguard.sql.tokens import Token

_LONG = 2_000  # tokens; a shorter statement is parsed in no time
_LITERALS = {"null", "true", "false", "default"}


def shortened(source: Source) -> Source:
    """The statement with its first row only, where every row is literals; else as it is."""
    tokens = source.tokens
    if len(tokens) < _LONG or tokens[0].word not in {"insert", "replace"}:
        return source
    values = next((at for at, one in enumerate(tokens) if _opens(one)), 0)
    if not values:
        return source
    first = at = _row(tokens, values + 1)
    while first and at < len(tokens) and tokens[at].text == ",":
        following = _row(tokens, at + 1)
        if not following:
            return source
        at = following
    if not first or at == first:
        return source
    end = tokens[at].start if at < len(tokens) else len(source.text)
    text = f"{source.text[: tokens[first - 1].end]} {source.text[end:]}"
    return Source.of(text, source.dialect)


def _opens(token: Token) -> bool:
    return token.depth == 0 and token.word in {"values", "value"}


def _row(tokens: tuple[Token, ...], at: int) -> int:
    """The token behind the row that begins at ``at``; 0 where it is not one of literals."""
    if at >= len(tokens) or tokens[at].text != "(":
        return 0
    depth = tokens[at].depth + 1
    for end in range(at + 1, len(tokens)):
        token = tokens[end]
        if token.depth < depth:
            return end + 1 if token.text == ")" else 0
        literal = token.kind in {"string", "number", "placeholder"} or token.word in _LITERALS
        if not literal and token.text not in {",", "-", "+"}:
            return 0
    return 0
