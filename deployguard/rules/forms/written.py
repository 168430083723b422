"""What an operation leaves out of a constraint or an index is read back from the statement itself."""

from dataclasses import dataclass

from deployguard.operations import AddConstraint, CreateIndex
from deployguard.sql.tokens import Token, tokenize

_ACTIONS = {
    ("cascade",): "CASCADE", ("restrict",): "RESTRICT", ("set", "null"): "SET NULL",
    ("set", "default"): "SET DEFAULT", ("no", "action"): "NO ACTION",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as written: the columns that it points at, its options, and all of its text."""

    columns: tuple[str, ...]
    options: tuple[tuple[str, str], ...]  # Alembic's keyword → value as Python
    text: str  # from FOREIGN KEY on
    complete: bool  # nothing is in it that the fields do not say


def name(token: Token) -> str:
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return token.text.lower()


def foreign_key(sql: str, op: AddConstraint) -> ForeignKey | None:
    """The foreign key over ``op.columns`` in the text of an ALTER TABLE; None when it is not found."""
    tokens = tokenize(sql, "postgresql")
    for at, token in enumerate(tokens):
        if token.word != "foreign" or at + 2 >= len(tokens) or tokens[at + 1].word != "key":
            continue
        columns, after = names(tokens, at + 2)
        if columns == op.columns and after < len(tokens) and tokens[after].word == "references":
            return _foreign_key(sql, tokens, at, after + 1)
    return None


def names(tokens: tuple[Token, ...], at: int) -> tuple[tuple[str, ...], int]:
    """The names in the parentheses that open at ``at``, and the token behind them; () for anything else."""
    if at >= len(tokens) or tokens[at].text != "(":
        return (), at
    found: list[str] = []
    for place in range(at + 1, len(tokens)):
        token = tokens[place]
        if token.text == ")":
            return tuple(found), place + 1
        if token.text == ",":
            continue
        if token.kind not in {"word", "quoted"}:
            return (), at
        found.append(name(token))
    return (), at


def _foreign_key(sql: str, tokens: tuple[Token, ...], start: int, at: int) -> ForeignKey:
    depth = tokens[start].depth
    end = next(
        (
            place
            for place in range(at, len(tokens))
            if tokens[place].depth == depth and tokens[place].text in {",", ";"}
        ),
        len(tokens),
    )
    at += 1  # the name of the table that it points at
    while at + 1 < end and tokens[at].text == ".":
        at += 2
    columns, at = names(tokens, at)
    words = [token.word for token in tokens[at:end]]
    text = sql[tokens[start].start : tokens[end - 1].end]
    options = _options(words)
    if options is None:
        return ForeignKey(columns, (), text, complete=False)
    return ForeignKey(columns, options, text, complete=bool(columns))


def _options(words: list[str]) -> tuple[tuple[str, str], ...] | None:
    """The options behind REFERENCES as Alembic's keywords; None when one is not known."""
    found: list[tuple[str, str]] = []
    while words:
        read = _option(words)
        if read is None:
            return None
        keyword, value, used = read
        words = words[used:]
        if keyword:
            found.append((keyword, value))
    return tuple(found)


def _option(words: list[str]) -> tuple[str, str, int] | None:
    match words:
        case ["on", ("delete" | "update") as when, *rest]:
            for size in (2, 1):
                action = _ACTIONS.get(tuple(rest[:size]))
                # What follows in parentheses, as in SET NULL (column), Alembic has no word for.
                if action and not (len(rest) > size and rest[size] == ""):
                    return f"on{when}", f'"{action}"', 2 + size
            return None
        case ["match", ("full" | "partial" | "simple") as how, *_]:
            return "match", f'"{how.upper()}"', 2
        case ["not", "deferrable", *_]:
            return "", "", 2
        case ["deferrable", *_]:
            return "deferrable", "True", 1
        case ["initially", ("deferred" | "immediate") as when, *_]:
            return "initially", f'"{when.upper()}"', 2
        case _:
            return None


def referred(sql: str) -> tuple[str, ...]:
    """The columns that the only REFERENCES in a statement points at; () for the other table's primary key."""
    tokens = tokenize(sql, "postgresql")
    starts = [at for at, token in enumerate(tokens) if token.word == "references"]
    if len(starts) != 1:
        return ()
    at = starts[0] + 2
    while at + 1 < len(tokens) and tokens[at].text == ".":
        at += 2
    return names(tokens, at)[0]


def check(sql: str) -> str:
    """The expression of the only CHECK in a statement; "" when there is none or more than one."""
    tokens = tokenize(sql, "postgresql")
    starts = [
        at
        for at, token in enumerate(tokens)
        if token.word == "check" and at + 1 < len(tokens) and tokens[at + 1].text == "("
    ]
    if len(starts) != 1:
        return ""
    opening = tokens[starts[0] + 1]
    for token in tokens[starts[0] + 2 :]:
        if token.text == ")" and token.depth == opening.depth:
            return sql[opening.end : token.start].strip()
    return ""


def plain_index(sql: str, op: CreateIndex) -> bool:
    """Whether the statement says nothing of the index but its name, its table and its columns."""
    tokens = tokenize(sql, "postgresql")
    on = next((at for at, token in enumerate(tokens) if token.word == "on"), -1)
    opening = next((at for at in range(on + 1, len(tokens)) if tokens[at].text == "("), len(tokens))
    between = [token.word for token in tokens[on + 1 : opening]]
    columns, end = names(tokens, opening)
    plain_method = "using" not in between or between[-2:] == ["using", "btree"]
    rest = [token.text for token in tokens[end:]]
    return on > 0 and columns == op.columns and plain_method and rest in ([], [";"])


def concurrent(sql: str, made_up: str) -> str:
    """CREATE INDEX or DROP INDEX as it was written, with CONCURRENTLY (and a name where it has none)."""
    for token in tokenize(sql, "postgresql"):
        if token.word == "index":
            rest = sql[token.end :].strip().rstrip(";").rstrip()
            named = "" if not rest.lower().startswith("on ") else f" {made_up}"
            return f"{sql[: token.end]} CONCURRENTLY{named} {rest}"
    return sql


def bare_index(sql: str) -> str:
    """CREATE INDEX as it was written, without CONCURRENTLY and IF NOT EXISTS."""
    tokens = tokenize(sql, "postgresql")
    at = next((at for at, token in enumerate(tokens) if token.word == "index"), -1)
    if at < 0:
        return sql
    after = at + 1
    if after < len(tokens) and tokens[after].word == "concurrently":
        after += 1
    if [token.word for token in tokens[after : after + 3]] == ["if", "not", "exists"]:
        after += 3
    rest = sql[tokens[after].start :] if after < len(tokens) else ""
    return f"{sql[: tokens[at].end]} {rest}"


def add_value(sql: str) -> str:
    """ALTER TYPE … ADD VALUE as it was written, with IF NOT EXISTS, for nothing can take it back."""
    tokens = tokenize(sql, "postgresql")
    for at, token in enumerate(tokens[:-1]):
        if token.word == "value" and tokens[at + 1].word != "if":
            rest = sql[token.end :].strip().rstrip(";").rstrip()
            return f"{sql[: token.end]} IF NOT EXISTS {rest}"
    return sql.strip().rstrip(";").rstrip()
