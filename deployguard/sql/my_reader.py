"""A cursor over the tokens of one MySQL, MariaDB or SQLite statement; whatever is not expected raises Unknown."""

from deployguard.operations import Operation
from deployguard.sql.source import Source, dotted, fold
from deployguard.sql.tokens import Token

Operations = tuple[Operation, ...]
_END = Token("end", "", 0, 0, 0)


class Unknown(Exception):  # no error: the statement then counts as not understood
    """The statement is not exactly one that this reader knows."""


class Reader:
    """Reads forward from token ``at``; the words are in lower case, names without their quotes."""

    def __init__(self, source: Source, at: int = 0) -> None:
        self.source = source
        self.at = at

    @property
    def token(self) -> Token:
        """The token that comes next; an empty one at the end."""
        return self.peek()

    @property
    def word(self) -> str:
        return self.peek().word

    @property
    def done(self) -> bool:
        return self.at >= len(self.source.tokens)

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.source.tokens[at] if at < len(self.source.tokens) else _END

    def next(self) -> Token:
        if self.done:
            raise Unknown("it ends too early")
        self.at += 1
        return self.source.tokens[self.at - 1]

    def sees(self, *words: str) -> bool:
        """Whether these words or marks come next."""
        return all(
            (self.peek(step).word or self.peek(step).text) == word
            for step, word in enumerate(words)
        )

    def take(self, *words: str) -> bool:
        """Pass these words or marks when they all come next."""
        if not self.sees(*words):
            return False
        self.at += len(words)
        return True

    def take_one(self, *words: str) -> str:
        """Pass one of these words when it comes next, and say which; "" when none does."""
        found = self.word or self.token.text
        if found not in words or self.done:
            return ""
        self.at += 1
        return found

    def expect(self, *words: str) -> None:
        if not self.take(*words):
            raise Unknown(f"{' '.join(words)} was expected, not {self.token.text!r}")

    def one_of(self, *words: str) -> str:
        found = self.take_one(*words)
        if not found:
            raise Unknown(f"one of {', '.join(words)} was expected, not {self.token.text!r}")
        return found

    def end(self) -> None:
        if not self.done:
            raise Unknown(f"more was written than is known: {self.token.text!r}")

    def last(self, operation: Operation) -> Operations:
        """``operation`` as the whole statement, when nothing more is written."""
        self.end()
        return (operation,)

    def name(self) -> str:
        """One identifier."""
        token = self.next()
        if token.kind == "quoted":
            closing = token.text[-1]
            return token.text[1:-1].replace(closing * 2, closing)
        if token.kind == "word":
            return fold(token.text, quoted=False, dialect=self.source.dialect)
        raise Unknown(f"a name was expected, not {token.text!r}")

    def table(self) -> str:
        """A name, with its schema where one is written."""
        first = self.name()
        return dotted(first, self.name()) if self.take(".") else first

    def tables(self) -> tuple[str, ...]:
        found = [self.table()]
        while self.take(","):
            found.append(self.table())
        return tuple(found)

    def group(self) -> str:
        """What stands inside the parenthesis that comes next."""
        self.expect("(")
        first, depth = self.at, self.peek(-1).depth
        while not self.done and not (self.token.text == ")" and self.token.depth == depth):
            self.at += 1
        inside = self.source.between(first, self.at)
        self.expect(")")
        return inside

    def columns(self) -> tuple[str, ...]:
        """The columns of a key: names with a length or an order; expressions are left out."""
        found: list[str] = []
        self.expect("(")
        while True:
            if self.token.text == "(":
                self.group()
            elif self.peek(1).text == "(" and self.peek(2).kind != "number":
                self.next()  # a function's name: an expression without its own parenthesis
                self.group()
            else:
                found.append(self.name())
                if self.token.text == "(":
                    self.group()
            self.take_one("asc", "desc")
            if not self.take(","):
                break
        self.expect(")")
        return tuple(found)

    def value(self) -> str:
        """A literal, a word, a placeholder or a parenthesis, as written."""
        first = self.at
        if self.token.text in {"+", "-"}:
            self.at += 1
        if self.token.text == "(":
            self.group()
        else:
            token = self.next()
            if token.kind == "mark":
                raise Unknown(f"a value was expected, not {token.text!r}")
            if token.word.startswith("_") and self.token.kind == "string":
                self.at += 1  # a character set's introducer: _utf8mb4'x'
            elif token.word in {"timestamp", "date", "time"} and self.token.kind == "string":
                self.at += 1
            while token.kind == "string" and self.token.kind == "string":
                self.at += 1
            if token.kind in {"word", "quoted"} and self.token.text == "(":
                self.group()
        return self.source.between(first, self.at)

    def if_exists(self) -> bool:
        return self.take("if", "exists")

    def if_not_exists(self) -> bool:
        return self.take("if", "not", "exists")
