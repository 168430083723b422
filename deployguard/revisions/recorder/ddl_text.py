"""Move the catalogue on by common DDL text; what is not recognised leaves it as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .blocks import hides
from .ddl_columns import MODIFY, modify, text_column
from .ddl_keys import constrain
from .names import IDENTIFIER, NAME, split, top_level, unquoted

if TYPE_CHECKING:
    from .catalogue import Catalogue, Table

_TEXT: list[tuple[str, Callable[[Catalogue, re.Match[str]], None]]] = []
_ALTER_TYPE = re.compile(
    r"\s*alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?" + NAME + r"(\s.*)",
    re.IGNORECASE | re.DOTALL,
)
_PARTITION_BY = re.compile(r"\)\s*partition\s+by\b", re.IGNORECASE)
_CONSTRAINED = re.compile(r"\bcheck\b|\bnot\s+null\b", re.IGNORECASE)
_ALTER_ONE = r'alter\s+(?:column\s+)?("[^"]+"|\w+)\s+(?:set\s+data\s+)?type\s'


def advance(catalogue: Catalogue, text: str) -> None:
    """Apply the statements of one string."""
    for statement in re.split(r";\s*(?:\n|$)", text):
        for pattern, action in _COMPILED:
            match = pattern.match(statement)
            if match:
                action(catalogue, match)
                break
        else:
            catalogue.sure = catalogue.sure and not hides(statement, text)


def _named(catalogue: Catalogue, text: str) -> Table:
    schema, name = split(text)
    return catalogue.ensure(name, schema)


def retyped(text: str) -> list[tuple[str | None, str, str]]:
    """(schema, table, column) of every column whose type the text changes, or states anew as MySQL's MODIFY does."""
    found = []
    for match in _ALTER_TYPE.finditer(text):
        schema, table = split(match.group(1))
        names = re.findall(_ALTER_ONE, match.group(2), re.IGNORECASE)
        for part in top_level(match.group(2)):
            stated = re.match(r"\s*" + MODIFY, part, re.IGNORECASE)
            names += [stated.group(2)] if stated else []
        found += [(schema, table, unquoted(name)) for name in names]
    return found


def drop_table(catalogue: Catalogue, name: str, schema: str | None) -> None:
    catalogue.tables.pop((str(schema or catalogue.default_schema), name), None)


def _text(
    pattern: str,
) -> Callable[
    [Callable[[Catalogue, re.Match[str]], None]], Callable[[Catalogue, re.Match[str]], None]
]:
    def keep(
        action: Callable[[Catalogue, re.Match[str]], None],
    ) -> Callable[[Catalogue, re.Match[str]], None]:
        _TEXT.append((pattern, action))
        return action

    return keep


@_text(r"create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?NAME\s*\((.*)\)")
def _text_create_table(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    table = catalogue.ensure(name, schema)
    definition = _PARTITION_BY.split(match.group(2), maxsplit=1)
    table.partitioned = len(definition) > 1
    for part in top_level(definition[0]):
        column = re.match(r"\s*" + IDENTIFIER + r"\s+(.*)", part, re.DOTALL)
        if (
            not constrain(table, part)
            and column
            and column.group(1).lower()
            not in (
                "constraint",
                "primary",
                "foreign",
                "unique",
                "check",
                "exclude",
                "like",
                "key",
                "index",
                "fulltext",
            )
        ):
            text_column(table, column.group(1), column.group(2))


@_text(r"create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?NAME\s+partition\s+of\s+NAME")
def _text_create_partition(catalogue: Catalogue, match: re.Match[str]) -> None:
    """It has the parent's columns."""
    parent, table = (_named(catalogue, match.group(at)) for at in (2, 1))
    table.columns = {name: dict(column) for name, column in parent.columns.items()}
    table.partitioned = _PARTITION_BY.search(match.string) is not None
    catalogue.attach(parent, table)


@_text(r"drop\s+(?:table|view|materialized\s+view)\s+(?:if\s+exists\s+)?NAME")
def _text_drop_table(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    drop_table(catalogue, name, schema)


@_text(r"create\s+(?:or\s+replace\s+)?(?:materialized\s+)?view\s+(?:if\s+not\s+exists\s+)?NAME")
def _text_create_view(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    catalogue.ensure(name, schema).kind = "view"


@_text(r"alter\s+table\s+(?:if\s+exists\s+)?NAME\s+(attach|detach)\s+partition\s+NAME")
def _text_attach(catalogue: Catalogue, match: re.Match[str]) -> None:
    table, partition = (_named(catalogue, match.group(at)) for at in (1, 3))
    partition.parent = None
    if match.group(2).lower() == "attach":
        catalogue.attach(table, partition)


@_text(r"alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?NAME\s+(.*)")
def _text_alter_table(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    table = catalogue.ensure(name, schema)
    for part in top_level(match.group(2)):
        _text_alter(catalogue, table, part.strip())


def _text_alter(catalogue: Catalogue, table: Table, part: str) -> None:
    add = re.match(
        r"add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?" + IDENTIFIER + r"\s+(.*)",
        part,
        re.IGNORECASE | re.DOTALL,
    )
    if add and not constrain(table, part[3:]) and add.group(1).lower() != "exclude":
        text_column(table, add.group(1), add.group(2))
    if modify(table, part):
        return
    drop = re.match(
        r"drop\s+(column\s+|constraint\s+)?(?:if\s+exists\s+)?" + IDENTIFIER, part, re.IGNORECASE
    )
    proved = re.match(r"validate\s+constraint\s+" + IDENTIFIER, part, re.IGNORECASE)
    if proved:
        table.validate(unquoted(proved.group(1)))
        return
    renamed = re.match(
        r"rename\s+constraint\s+" + IDENTIFIER + r"\s+to\s+" + IDENTIFIER, part, re.IGNORECASE
    )
    if renamed:
        table.rename_constraint(unquoted(renamed.group(1)), unquoted(renamed.group(2)))
        return
    if drop and (drop.group(1) or "").lower().startswith("constraint"):
        table.drop_constraint(unquoted(drop.group(2)))
    elif drop:
        table.drop_column(unquoted(drop.group(2)))
    rename = re.match(
        r"rename\s+(?:column\s+)?" + IDENTIFIER + r"\s+to\s+" + IDENTIFIER, part, re.IGNORECASE
    )
    whole = re.match(r"rename\s+to\s+" + IDENTIFIER, part, re.IGNORECASE)
    if whole:
        catalogue.rename(table, unquoted(whole.group(1)))
    elif rename:
        table.rename_column(unquoted(rename.group(1)), unquoted(rename.group(2)))
    kind = re.match(_ALTER_ONE + r"\s*(.*?)(?:\s+using\b.*)?$", part, re.IGNORECASE | re.DOTALL)
    column = table.columns.get(unquoted(kind.group(1))) if kind else None
    if kind and column is not None:
        column["type"] = kind.group(2).strip()
    null = re.match(
        r"alter\s+(?:column\s+)?" + IDENTIFIER + r"\s+(set|drop)\s+not\s+null", part, re.IGNORECASE
    )
    column = table.columns.get(unquoted(null.group(1))) if null else None
    if null and column is not None:
        column["nullable"] = null.group(2).lower() == "drop"


@_text(r"create\s+type\s+NAME\s+as\s+enum\s*\((.*)\)")
def _text_create_enum(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    values = [value.replace("''", "'") for value in re.findall(r"'((?:[^']|'')*)'", match.group(2))]
    catalogue.enums[schema or catalogue.default_schema, name] = values


@_text(r"alter\s+type\s+NAME\s+add\s+value\s+(?:if\s+not\s+exists\s+)?'((?:[^']|'')*)'")
def _text_add_value(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    catalogue.enums.setdefault((schema or catalogue.default_schema, name), []).append(
        match.group(2)
    )


@_text(r"drop\s+type\s+(?:if\s+exists\s+)?NAME")
def _text_drop_type(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    catalogue.enums.pop((schema or catalogue.default_schema, name), None)


@_text(
    r"create\s+(unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?NAME\s+on\s+(?:only\s+)?NAME"
)
def _text_create_index(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(3))
    columns = re.search(r"\(([^()]*)\)", match.string[match.end() :])
    names = (
        [unquoted(part.split()[0]) for part in columns.group(1).split(",") if part.strip()]
        if columns
        else []
    )
    entry = {"name": split(match.group(2))[1], "columns": names, "unique": bool(match.group(1))}
    catalogue.ensure(name, schema).indexes.append(entry)


@_text(r"drop\s+index\s+(?:concurrently\s+)?(?:if\s+exists\s+)?NAME")
def _text_drop_index(catalogue: Catalogue, match: re.Match[str]) -> None:
    catalogue.drop_index(split(match.group(1))[1])


@_text(r"alter\s+index\s+(?:if\s+exists\s+)?NAME\s+rename\s+to\s+NAME")
def _text_rename_index(catalogue: Catalogue, match: re.Match[str]) -> None:
    old, new = split(match.group(1))[1], split(match.group(2))[1]
    for table in catalogue.tables.values():
        for index in table.indexes:
            index["name"] = new if index["name"] == old else index["name"]


@_text(r"create\s+extension\s+(?:if\s+not\s+exists\s+)?NAME")
def _text_create_extension(catalogue: Catalogue, match: re.Match[str]) -> None:
    catalogue.extensions.add(match.group(1).strip('"').lower())


@_text(r"create\s+domain\s+NAME\s+(?:as\s+)?(\w+)")
def _text_create_domain(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    key = (schema or catalogue.default_schema, name)
    catalogue.domains[key] = match.group(2)
    if _CONSTRAINED.search(match.string[match.end() :]):
        catalogue.constrained.add(key)


@_text(r"alter\s+domain\s+NAME\s+(?:add|set\s+not\s+null)\b")
def _text_constrain_domain(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    catalogue.constrained.add((schema or catalogue.default_schema, name))


@_text(r"drop\s+(schema|sequence|extension|domain)\s+(?:if\s+exists\s+)?NAME")
def _text_drop_other(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(2))
    key, kind = (schema or catalogue.default_schema, name), match.group(1).lower()
    if kind == "schema":
        catalogue.schemas.discard(name)
    elif kind == "extension":
        catalogue.extensions.discard(match.group(2).strip('"').lower())
    elif kind == "sequence":
        catalogue.sequences.discard(key)
    else:
        catalogue.domains.pop(key, None)
        catalogue.constrained.discard(key)


@_text(r"create\s+schema\s+(?:if\s+not\s+exists\s+)?NAME")
def _text_create_schema(catalogue: Catalogue, match: re.Match[str]) -> None:
    catalogue.schemas.add(split(match.group(1))[1])


@_text(r"create\s+sequence\s+(?:if\s+not\s+exists\s+)?NAME")
def _text_create_sequence(catalogue: Catalogue, match: re.Match[str]) -> None:
    schema, name = split(match.group(1))
    catalogue.sequences.add((schema or catalogue.default_schema, name))


_COMPILED = [
    (
        re.compile(
            r"\s*(?:--[^\n]*\n\s*)*" + pattern.replace("NAME", NAME), re.IGNORECASE | re.DOTALL
        ),
        action,
    )
    for pattern, action in _TEXT
]
