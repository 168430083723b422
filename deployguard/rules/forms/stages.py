"""What the safe forms are put together from: queries to look first, work outside a transaction, stages."""

from typing import Final

from deployguard.rules.forms import spelled
from deployguard.rules.forms.spelled import dotted, execute, identifier, own, quoted, schema

NEXT_REVISION: Final = "# in the next revision, with transaction_per_migration=True in env.py"
NEXT_RELEASE: Final = "# in the next release"
IN_BATCHES: Final = "# fill the old rows in batches, outside of a migration"
FIRST: Final = "# first: must find nothing:"
_BLOCK: Final = "with op.get_context().autocommit_block():"


def look_first(query: str) -> str:
    """A query to run before anything else: each row that it finds would make the migration fail."""
    return f"{FIRST} {' '.join(query.split())}"


def outside(line: str) -> tuple[str, str]:
    return _BLOCK, f"    {line}"


def duplicates(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(map(identifier, columns))
    filled = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    return look_first(
        f"SELECT {names}, count(*) FROM {dotted(table)} WHERE {filled}"  # noqa: S608 - shown, never run
        f" GROUP BY {names} HAVING count(*) > 1"
    )


def unique_index(table: str, name: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    return outside(
        f"op.create_index({quoted(name)}, {own(table)}, {spelled.listed(columns)}{schema(table)},"
        " unique=True, postgresql_concurrently=True)"
    )


def validate(table: str, name: str) -> str:
    return execute(f"ALTER TABLE {dotted(table)} VALIDATE CONSTRAINT {identifier(name)}")


def not_valid(table: str, name: str, expression: str) -> str:
    return (
        f"op.create_check_constraint({quoted(name)}, {own(table)}, {spelled.text(expression)}"
        f"{schema(table)}, postgresql_not_valid=True)"
    )
