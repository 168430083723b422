"""Makes what the benchmark measures: projects with histories of any length, and a file of SQL statements."""

from pathlib import Path

ENV = """\
import os

from alembic import context
from sqlalchemy import create_engine, pool

url = os.environ["DATABASE_URL"]
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""

REVISION = '''\
"""change {number}

Revision ID: {revision}
Revises: {before}
Create Date: 2024-01-01 10:00:00.000000

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "{revision}"
down_revision: Union[str, None] = {down}
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    {up}


def downgrade() -> None:
    {back}
'''

STATEMENTS = (
    "CREATE TABLE orders_{n} (id bigserial PRIMARY KEY, customer_id bigint NOT NULL, state varchar(20))",
    "ALTER TABLE customers ADD COLUMN note_{n} text",
    "ALTER TABLE customers ADD COLUMN score_{n} integer NOT NULL DEFAULT 0",
    "CREATE INDEX ix_customers_{n} ON customers (note_{n})",
    "CREATE INDEX CONCURRENTLY ix_orders_{n} ON orders (customer_id, state)",
    "ALTER TABLE orders ALTER COLUMN total_{n} TYPE numeric(12, 2) USING total_{n}::numeric",
    "ALTER TABLE orders ADD CONSTRAINT fk_{n} FOREIGN KEY (customer_id) REFERENCES customers (id)",
    "ALTER TABLE orders ADD CONSTRAINT ck_{n} CHECK (total_{n} > 0) NOT VALID",
    "ALTER TABLE orders VALIDATE CONSTRAINT ck_{n}",
    "UPDATE customers SET note_{n} = lower(name) WHERE note_{n} IS NULL",
    "ALTER TABLE customers DROP COLUMN old_{n}",
    "ALTER TABLE customers RENAME COLUMN a_{n} TO b_{n}",
    "DROP INDEX ix_old_{n}",
    "ALTER TABLE customers ALTER COLUMN score_{n} SET NOT NULL",
    "CREATE UNIQUE INDEX uq_{n} ON customers (email_{n})",
    "INSERT INTO settings (name, value) VALUES ('key_{n}', 'on')",
    "DROP TABLE legacy_{n}",
    "COMMENT ON COLUMN customers.note_{n} IS 'what they said'",
    "CREATE TYPE mood_{n} AS ENUM ('happy', 'sad')",
    "ALTER TABLE customers ALTER COLUMN state_{n} SET DEFAULT 'new'",
)


def revision_id(number: int) -> str:
    """The identifier of the revision with this number, from 0."""
    return f"{number:012x}"


def project(folder: Path, length: int) -> Path:
    """A project whose history has ``length`` revisions; ten of them build and change each table."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (folder / "deployguard.toml").write_text(
        '[project]\nname = "bench"\ndialect = "postgresql"\n'
        '[environments.development]\ndatabase_url_env = "DATABASE_URL"\n'
    )
    (folder / "migrations" / "env.py").write_text(ENV)
    for number in range(length):
        revision = revision_id(number)
        up, back = _change(number)
        before = revision_id(number - 1) if number else ""
        text = REVISION.format(
            number=number,
            revision=revision,
            before=before,
            down=f'"{before}"' if before else None,
            up=up,
            back=back,
        )
        (versions / f"{revision}_change_{number}.py").write_text(text)
    return folder


def statements(count: int) -> list[str]:
    """Statements as migrations have them, dangerous and safe ones in turn."""
    kinds = len(STATEMENTS)
    return [STATEMENTS[n % kinds].format(n=n // kinds) for n in range(count)]


def of_statements(folder: Path, count: int) -> Path:
    """A project with one revision that executes ``count`` statements."""
    project(folder, 1)
    (path,) = (folder / "migrations" / "versions").glob("*.py")
    lines = "\n".join(f"    op.execute({text!r})" for text in statements(count))
    path.write_text(
        'from alembic import op\n\nrevision = "a"\ndown_revision = None\n\n\n'
        f"def upgrade():\n{lines}\n\n\ndef downgrade():\n    raise NotImplementedError\n"
    )
    return folder


def _change(number: int) -> tuple[str, str]:
    table, kind = f"t{number - number % 10}", number % 10
    if kind == 0:
        columns = (
            'sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(40))'
        )
        return f'op.create_table("{table}", {columns})', f'op.drop_table("{table}")'
    if kind == 4:
        name = f"ix_{table}_c3"
        return f'op.create_index("{name}", "{table}", ["c3"])', f'op.drop_index("{name}")'
    if kind == 7:
        return f"op.execute(\"UPDATE {table} SET c1 = 'x' WHERE c1 IS NULL\")", "pass"
    column = f'sa.Column("c{kind}", sa.String({10 + kind}), nullable=True)'
    return f'op.add_column("{table}", {column})', f'op.drop_column("{table}", "c{kind}")'
