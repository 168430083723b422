"""The safe form that a finding offers must be one: run through Alembic, it passes the book itself."""

import io
import re

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from deployguard.model import Body, Evidence, Facts, Revision, Script, Statement
from deployguard.operations import Unrecognised
from deployguard.rules import judge
from deployguard.rules.examples import read
from deployguard.sql import lower

PASTEABLE = {
    "DG201": "CREATE UNIQUE INDEX ix ON app.orders (a, b)",
    "DG202": "DROP INDEX app.ix",
    "DG203": "ALTER TABLE app.orders ADD FOREIGN KEY (user_id) REFERENCES app.users (id)",
    "DG204": "ALTER TABLE app.orders ADD CONSTRAINT ck CHECK (price > 0)",
    "DG205": "ALTER TABLE orders ADD UNIQUE (a, b)",
    "DG208": "ALTER TABLE app.orders ALTER COLUMN note SET NOT NULL",
    "DG211": "REINDEX TABLE app.orders",
}  # fmt: skip


def steps(code: str) -> list[tuple[str, bool]]:
    """Each directive of a safe form as (its SQL, in a transaction?), in order."""
    found: list[tuple[str, bool]] = []
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer}
    )
    op = Operations(context)
    lines = [line for line in code.splitlines() if line.strip()]
    block = ""
    for line in [*lines, ""]:
        if line.startswith("    ") and block:
            block += "\n" + line
            continue
        if block.startswith("with "):
            inner = "\n".join(text.removeprefix("    ") for text in block.splitlines()[1:])
            found.append((rendered(inner, op, buffer), False))
        elif block.startswith("op."):
            found.append((rendered(block, op, buffer), True))
        block = line
    return found


def rendered(code: str, op: Operations, buffer: io.StringIO) -> str:
    buffer.seek(0)
    buffer.truncate()
    exec(code, {"op": op, "sa": sa})
    return buffer.getvalue()


@pytest.mark.parametrize("code", PASTEABLE)
def test_the_safe_form_passes_the_book_with_the_users_own_names(code: str) -> None:
    revisions, facts = read(PASTEABLE[code])
    (finding,) = judge(revisions, facts)[0].findings
    assert finding.rule == code
    safe = [
        Revision(
            f"s{number}",
            (),
            "s.py",
            "",
            "",
            Script(
                Body.PRESENT,
                1,
                tuple(
                    Statement(text, 1, operations, in_transaction)
                    for text, operations in lower(sql, "postgresql")
                ),
                own_transaction=True,
            ),
            Script(
                Body.PRESENT,
                1,
                (Statement("ANALYZE t", 1, lower("ANALYZE t", "postgresql")[0][1]),),
            ),
            Evidence.RECORDED,
        )
        for number, (sql, in_transaction) in enumerate(steps(finding.instead))
    ]
    assert safe, finding.instead
    operations = [one for item in safe for text in item.up.statements for one in text.operations]
    assert operations
    assert not any(isinstance(one, Unrecognised) for one in operations)
    tables = {getattr(one, "table", "") for one in operations} - {""}
    assert tables <= {re.search(r"(app\.)?orders", PASTEABLE[code] + " orders")[0]}
    assert [
        one.rule for verdict in judge(safe, Facts("postgresql")) for one in verdict.findings
    ] == []
