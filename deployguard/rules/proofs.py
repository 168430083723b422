"""What spares PostgreSQL a look at every row: a valid CHECK that says the same, columns that can't be NULL."""

import re
from collections.abc import Iterator

from deployguard.operations import AddConstraint, AttachPartition
from deployguard.rules.context import Context

_TYPES = (
    r"(?:date|timestamptz|timestamp(?: with(?:out)? time zone)?|time|uuid|integer|int|bigint|smallint|numeric"
    r"|text|character varying|varchar)"
)
_CAST = rf"\s*::\s*{_TYPES}(?:\(\d+\))?(?:\[\])?"
_ITEMS = r"array\[([^\]]*)\]"
_ANY = re.compile(rf"= any (?:\({_ITEMS}\)|\(\({_ITEMS}\)\))")  # how the server spells IN
_NAME = r"\"?(?P<column>[a-z_]\w*)\"?"
_TYPED = rf"\b{_TYPES}\s+(?=')"


def never_null(operation: AddConstraint, context: Context) -> bool:
    """Whether every column of the index that becomes a key is known to have no NULL; an unknown index is not."""
    columns = context.known.indexed.get(_index(operation, context), ())
    table = context.key(operation.table)
    known = context.proven | context.required
    return bool(columns) and all((table, column) in known for column in columns)


def may_be_null(operation: AddConstraint, context: Context) -> bool:
    """Whether a column of the index that becomes a key is known to take NULL."""
    columns = context.known.indexed.get(_index(operation, context), ())
    table = context.key(operation.table)
    return any((table, column) in context.facts.nullable for column in columns)


def _index(operation: AddConstraint, context: Context) -> str:
    schema, _, _ = context.key(operation.table).rpartition(".")
    own = operation.using_index or ""
    return f"{schema}.{own}" if schema and "." not in own else own


def proves(operation: AttachPartition, context: Context, *, null: bool = False) -> bool:
    """Whether a valid CHECK of the partition says what its bounds say, so that no row has to be looked at.

    Seen for one column: ``FROM (a) TO (b)`` is proven by ``c >= a AND c < b``, ``IN (a, b)`` by ``c IN (a, b)``; the
    column must be known to have no NULL, by the same CHECK, by another one or by its definition. With ``null``
    that is taken for granted.
    """
    table = context.key(operation.partition)
    valid = [
        part
        for (owner, _), one in context.known.conditions.items()
        if owner == table and one.valid
        for part in _conjuncts(one.expression)
    ]
    wanted = _bounds(context.sql)
    if not valid or not wanted:
        return False
    for column in sorted({match["column"] for part in valid if (match := re.match(_NAME, part))}):
        said = {part for part in valid if re.match(rf'"?{re.escape(column)}"?\b', part)}
        filled = null or (
            f"{column} is not null" in said or (table, column) in context.proven | context.required
        )
        if filled and all(_said(bound.replace("?", column), column, said) for bound in wanted):
            return True
    return False


def _said(bound: str, column: str, said: set[str]) -> bool:
    """Whether one of the conditions is the bound, or allows fewer values than a list of them does."""
    if bound in said:
        return True
    allowed = _values(bound, column)
    return any(values and values <= allowed for values in (_values(one, column) for one in said))


def _values(condition: str, column: str) -> set[str]:
    """Those that ``c IN (…)`` or ``c = …`` allows; none for other conditions."""
    match = re.fullmatch(
        rf"{re.escape(column)} (?:in \((?P<many>[^()]*)\)|= (?P<one>[^()]+))", condition
    )
    if match is None:
        return set()
    return {value.strip() for value in (match["many"] or match["one"]).split(",")}


def _conjuncts(expression: str) -> Iterator[str]:
    """The conditions of a CHECK that must all hold, in one spelling; an OR anywhere proves nothing."""
    text = _plain(expression)
    if re.search(r"\bor\b|\bnot\b(?!\s+null)", text):
        return
    if match := re.fullmatch(rf"\(*{_NAME} between (?P<low>\S+) and (?P<high>\S+?)\)*", text):
        yield f"{match['column']} >= {match['low']}"
        yield f"{match['column']} <= {match['high']}"
        return
    for part in re.split(r"\s+and\s+", text):
        one = part.strip()
        while one.startswith("(") and one.endswith(")"):
            one = one[1:-1].strip()
        one = one.lstrip("( ") if one.count("(") > one.count(")") else one
        one = one.rstrip(") ") if one.count(")") > one.count("(") else one
        yield one.replace('"', "")


def _bounds(sql: str) -> tuple[str, ...]:
    """What the bounds of ATTACH PARTITION demand, with ``?`` for the column; () for those of several columns."""
    text = _plain(sql)
    value = r"(?P<{}>'[^']*'|[^\s,()']+)"
    low, high = value.format("low"), value.format("high")
    if match := re.search(rf"for values from \({low}\) to \({high}\)", text):
        ends = (("? >= ", match["low"], "minvalue"), ("? < ", match["high"], "maxvalue"))
        return tuple(f"{sign}{end}" for sign, end, open_ in ends if end != open_)
    if match := re.search(r"for values in \((?P<values>[^()]+)\)", text):
        values = re.sub(r"\s*,\s*", ", ", match["values"])
        return (f"? = {values}",) if "," not in values else (f"? in ({values})",)
    return ()


def _plain(text: str) -> str:
    """Lower case outside of quotes, without casts, with single blanks around comparisons."""
    pieces = re.split(r"('(?:[^']|'')*')", text)
    lowered = "".join(piece if piece.startswith("'") else piece.lower() for piece in pieces)
    lowered = re.sub(rf"{_TYPED}|{_CAST}", "", lowered)
    lowered = re.sub(r"\s*(>=|<=|<>|=|<|>)\s*", r" \1 ", lowered)
    spaced = " ".join(lowered.split()).replace("( ", "(").replace(" )", ")")
    return _ANY.sub(lambda match: f"in ({match[1] or match[2]})", spaced)
