"""One statement's original text, and the fragments of it (types, defaults, conditions) that operations quote."""

from bisect import bisect_left
from dataclasses import dataclass

from deployguard.sql.tokens import Token, mask, tokenize

_AFTER_TYPE = {
    "add", "after", "alter", "always", "as", "auto_increment", "autoincrement", "by", "cascade", "check",
    "collate", "comment", "compression", "constraint", "default", "deferrable", "drop", "first",
    "generated", "identity", "initially", "invisible", "key", "not", "null", "on", "primary", "references",
    "rename", "restrict", "set", "storage", "unique", "using", "visible",
}  # fmt: skip
# PostgreSQL's own limit; longer identifiers are cut by the server, with a notice.
_IDENTIFIER_BYTES = 63


@dataclass(frozen=True, slots=True)
class Source:
    """A statement as written, its tokens, and the text with driver parameters masked (same offsets)."""

    text: str
    dialect: str
    tokens: tuple[Token, ...]
    masked: str

    @classmethod
    def of(cls, text: str, dialect: str) -> "Source":
        tokens = tokenize(text, dialect)
        return cls(text, dialect, tokens, mask(text, tokens, dialect))

    def index(self, offset: int) -> int:
        """The token that starts at ``offset`` or is the first behind it."""
        return bisect_left(self.tokens, offset, key=lambda token: token.start)

    def character(self, byte: int) -> int:
        """A character offset for one counted in UTF-8 bytes, as PostgreSQL counts."""
        if self.masked.isascii():
            return byte
        return len(self.masked.encode()[:byte].decode(errors="ignore"))

    def between(self, first: int, last: int) -> str:
        """The text from token ``first`` up to, not including, token ``last``."""
        if first >= last or first >= len(self.tokens):
            return ""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end]

    def clause_end(self, first: int, stops: set[str], *, depth: int) -> int:
        """The token where a clause of a column definition ends: a stop word, a comma, the closing parenthesis."""
        for at in range(first, len(self.tokens)):
            token = self.tokens[at]
            if token.depth < depth or (
                token.depth == depth and (token.text == "," or token.word in stops)
            ):
                return at
        return len(self.tokens)

    def type_at(self, first: int) -> str:
        """The type that starts at token ``first``, as written."""
        if first >= len(self.tokens):
            return ""
        depth = self.tokens[first].depth
        if self.tokens[first].text in {",", ")"} or self.tokens[first].word in _AFTER_TYPE:
            return ""  # SQLite: a column without a type
        return self.between(first, self.clause_end(first + 1, _AFTER_TYPE, depth=depth))

    def default_after(self, first: int) -> str:
        """The expression behind DEFAULT in the column definition that goes on at token ``first``; "" without one."""
        if first >= len(self.tokens):
            return ""
        depth = self.tokens[first].depth
        end = self.clause_end(first, set(), depth=depth)
        for at in range(first, end):
            token = self.tokens[at]
            if token.depth == depth and token.word == "default" and not self._word(at - 1, "by"):
                return self.expression_at(at + 1)
        return ""

    def expression_at(self, first: int) -> str:
        """The expression of a DEFAULT whose first token is ``first``."""
        if first >= len(self.tokens):
            return ""
        depth = self.tokens[first].depth
        # The first token is part of it whatever it is: DEFAULT NULL.
        return self.between(first, self.clause_end(first + 1, _AFTER_TYPE, depth=depth))

    def using_after(self, first: int) -> str:
        """The expression of the USING that belongs to the type at token ``first``; "" without one."""
        if first >= len(self.tokens):
            return ""
        end = self.clause_end(first, set(), depth=self.tokens[first].depth)
        at = self.find("using", start=first)
        return self.between(at, end) if 0 < at <= end else ""

    def parenthesis_after(self, first: int) -> str:
        """What stands inside the first parenthesis at or behind token ``first``."""
        for at in range(first, len(self.tokens)):
            if self.tokens[at].text == "(":
                end = at + 1
                while end < len(self.tokens) and self.tokens[end].depth > self.tokens[at].depth:
                    end += 1
                return self.between(at + 1, end)
        return ""

    def find(self, *words: str, start: int = 0) -> int:
        """The token behind the first place at or after ``start`` where ``words`` stand in a row; -1 without one."""
        for at in range(start, len(self.tokens) - len(words) + 1):
            if all(self._word(at + step, word) for step, word in enumerate(words)):
                return at + len(words)
        return -1

    def words(self, *words: str) -> bool:
        """Whether the statement begins with these words."""
        return all(self._word(at, word) for at, word in enumerate(words))

    def _word(self, at: int, word: str) -> bool:
        return 0 <= at < len(self.tokens) and self.tokens[at].word == word


def fold(name: str, *, quoted: bool, dialect: str) -> str:
    """An identifier as our operations name it: unquoted ones in lower case, cut where PostgreSQL cuts them."""
    folded = name if quoted else name.lower()
    if dialect == "postgresql":
        return folded.encode()[:_IDENTIFIER_BYTES].decode(errors="ignore")
    return folded


def dotted(*parts: str) -> str:
    """``schema.name`` from parts of which the first ones may be empty."""
    return ".".join(part for part in parts if part)


def serial(type_text: str) -> bool:
    """Whether PostgreSQL makes a sequence of its own for a column of this type."""
    return type_text.strip().strip('"').lower() in {
        "smallserial", "serial", "bigserial", "serial2", "serial4", "serial8",
    }  # fmt: skip
