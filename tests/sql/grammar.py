"""PostgreSQL statements put together at random from the pieces of its grammar, the same ones for the same seed."""

import random
from collections.abc import Callable

NAMES = (
    "t",
    "orders",
    "Users",
    '"Order"',
    '"weird ""name"""',
    "größe",
    "t1",
    "select_",
    '"select"',
    "UPPER",
)
SCHEMAS = ("", "", "", "app.", "public.", '"My App".')
COLUMNS = ("id", "a", "B", '"c d"', "created_at", "total", '"order"', "ä", "note", "user_id")
TYPES = (
    "int", "integer", "BIGINT", "smallint", "text", "varchar", "varchar(20)", "character varying(255)", "char(3)",
    "numeric", "numeric(10,2)", "decimal(8, 3)", "real", "double precision", "boolean", "bool", "date", "time",
    "timestamp", "timestamptz", "timestamp with time zone", "timestamp(3) without time zone", "interval",
    "uuid", "json", "jsonb", "bytea", "inet", "cidr", "text[]", "int[]", "varchar(10)[]", "mood", "app.mood",
    '"Mood"', "citext", "tsvector", "int4range", "money", "bit(3)", "bit varying(5)", "xml", "point", "hstore",
)  # fmt: skip
LITERALS = (
    "1", "-5", "0.5", "'x'", "'it''s'", "''", "NULL", "true", "FALSE", "'2020-01-01'", "1e3", "'{}'::jsonb",
    "E'a\\nb'", "'a;b'", "'-- no'", "%s", "%(x)s", "$1", "1::bigint", "CAST('5' AS int)", "$$dollar$$",
)  # fmt: skip
CALLS = (
    "now()", "CURRENT_TIMESTAMP", "lower({e})", "coalesce({e}, {e})", "length({e})", "gen_random_uuid()",
    "random()", "nextval('s')", "my_function({e})", "app.my_function({e})", "nullif({e}, {e})", "md5({e}::text)",
    "greatest({e}, {e})", "extract(year FROM {e})", "date_trunc('day', {e})", "count(*)", "sum({e})", "max({e})",
    "string_agg({e}, ',')", "array_agg({e})", "row_number() OVER (ORDER BY {e})", "upper({e})", "round({e}, 2)",
    "jsonb_build_object('a', {e})", "to_char({e}, 'YYYY')", "pg_catalog.lower({e})", "unnest({e})", "concat({e}, {e})",
)  # fmt: skip
OPERATORS = (
    "=",
    "<>",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "->",
    "->>",
    "@>",
    "~",
    "!~*",
    "&&",
)
INDEX_NAMES = ("", "i ", "IF NOT EXISTS i ", '"My Index" ')
CLAUSES_OF_KEYS = ("", " ON DELETE CASCADE", " ON DELETE SET NULL ON UPDATE CASCADE", " DEFERRABLE INITIALLY DEFERRED",
                   " MATCH FULL", " NOT DEFERRABLE")  # fmt: skip


class Grammar:
    """Makes statements; what it makes is valid PostgreSQL in nearly every case."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, *choices: str) -> str:
        return self.random.choice(choices)

    def maybe(self, text: str, chance: float = 0.3) -> str:
        return text if self.random.random() < chance else ""

    def several(self, make: Callable[[], str], most: int = 3) -> str:
        return ", ".join(make() for _ in range(self.random.randint(1, most)))

    def name(self) -> str:
        return self.one(*NAMES)

    def table(self) -> str:
        return self.one(*SCHEMAS) + self.name()

    def column(self) -> str:
        return self.one(*COLUMNS)

    def columns(self) -> str:
        return ", ".join(self.random.sample(COLUMNS, self.random.randint(1, 3)))

    def expression(self, depth: int = 2) -> str:
        if depth == 0 or self.random.random() < 0.3:
            return self.one(*LITERALS, self.column(), self.column())
        kind = self.random.randrange(7)
        inner = self.expression(depth - 1)
        if kind <= 1:
            return f"{inner} {self.one(*OPERATORS)} {self.expression(depth - 1)}"
        if kind == 2:
            return self.one(*CALLS).replace("{e}", inner)
        if kind == 3:
            return f"({inner})"
        if kind == 4:
            return f"CASE WHEN {self.condition(depth - 1)} THEN {inner} ELSE NULL END"
        if kind == 5:
            return f"({inner})::{self.one(*TYPES[:30])}"
        return f"(SELECT {self.column()} FROM {self.table()} LIMIT 1)"

    def condition(self, depth: int = 1) -> str:
        one, other = self.expression(max(depth, 0)), self.expression(0)
        return self.one(
            f"{self.column()} = {other}",
            f"{self.column()} IS NULL",
            f"{self.column()} IS NOT NULL",
            f"{one} > {other}",
            f"{self.column()} IN (1, 2, 3)",
            f"{self.column()} IN (SELECT {self.column()} FROM {self.table()})",
            f"{self.column()} LIKE 'x%%'",
            f"{self.column()} BETWEEN 1 AND 5",
            f"NOT ({self.column()} = {other})",
            f"EXISTS (SELECT 1 FROM {self.table()} AS x WHERE x.id = 5)",
            f"{self.column()} = ANY (ARRAY[1, 2])",
            f"{self.column()} = 1 AND {self.column()} = {other} OR {self.column()} IS NULL",
            "true",
            "1 = 1",
        )

    def where(self, chance: float = 0.7) -> str:
        return self.maybe(f" WHERE {self.condition()}", chance)

    def default(self) -> str:
        return self.one(
            *LITERALS[:12], "now()", "CURRENT_TIMESTAMP", "gen_random_uuid()", "(now() AT TIME ZONE 'utc')",
            "my_default()", "nextval('app.s'::regclass)", "ARRAY[]::text[]", "(1 + 1)", "lower('X')", "random() * 5",
        )  # fmt: skip

    def tail(self) -> str:
        """What stands behind the type of a column."""
        parts = [
            self.maybe(" COLLATE " + self.one('"C"', 'pg_catalog."default"'), 0.05),
            self.maybe(f" DEFAULT {self.default()}", 0.35),
            self.maybe(self.one(" NOT NULL", " NULL", " CONSTRAINT nn NOT NULL"), 0.4),
            self.maybe(" UNIQUE", 0.08),
            self.maybe(f" CHECK ({self.condition()})", 0.1),
            self.maybe(f" REFERENCES {self.table()}{self.maybe(' (id)', 0.7)}{self.one(*CLAUSES_OF_KEYS)}", 0.12),
        ]  # fmt: skip
        if self.random.random() < 0.3:
            self.random.shuffle(parts)
        if self.random.random() < 0.06:
            return self.one(
                " GENERATED ALWAYS AS IDENTITY", " GENERATED BY DEFAULT AS IDENTITY (START WITH 5)",
                " GENERATED ALWAYS AS (id * 2) STORED", " PRIMARY KEY", " GENERATED ALWAYS AS (id + 1) VIRTUAL",
            )  # fmt: skip
        return "".join(parts)

    def definition(self) -> str:
        return f"{self.column()} {self.one(*TYPES, 'serial', 'BIGSERIAL')}{self.tail()}"

    def constraint(self) -> str:
        named = self.maybe(f"CONSTRAINT {self.name()} ", 0.7)
        return named + self.one(
            f"PRIMARY KEY ({self.columns()})",
            f"UNIQUE ({self.columns()})",
            f"CHECK ({self.condition()})",
            f"FOREIGN KEY ({self.column()}) REFERENCES {self.table()} (id){self.one(*CLAUSES_OF_KEYS)}",
            f"EXCLUDE USING gist ({self.column()} WITH =)",
            f"UNIQUE NULLS NOT DISTINCT ({self.column()})",
        )

    def create_table(self) -> str:
        seen = self.random.sample(COLUMNS, self.random.randint(1, 4))
        items = [f"{name} {self.one(*TYPES, 'serial')}{self.tail()}" for name in seen]
        items += [self.constraint() for _ in range(self.random.randint(0, 2))]
        head = self.one(
            "TABLE", "TABLE", "TABLE IF NOT EXISTS", "TEMPORARY TABLE", "UNLOGGED TABLE"
        )
        after = self.one(
            "", "", "", "", " WITH (fillfactor=70)", " PARTITION BY RANGE (id)", " TABLESPACE fast"
        )
        return f"CREATE {head} {self.table()} ({', '.join(items)}){after}"

    def create_other(self) -> str:
        return self.one(
            f"CREATE TABLE {self.table()} AS {self.select()}",
            f"CREATE {self.one('', 'OR REPLACE ')}VIEW {self.table()} AS {self.select()}",
            f"CREATE MATERIALIZED VIEW {self.table()} AS {self.select()}",
            f"CREATE TYPE {self.table()} AS ENUM ('a', 'b', 'it''s')",
            f"CREATE SEQUENCE {self.maybe('IF NOT EXISTS ')}{self.table()}{self.maybe(' START WITH 5')}",
            f"CREATE SCHEMA {self.maybe('IF NOT EXISTS ')}{self.name()}",
            f"CREATE DOMAIN {self.table()} AS int CHECK (VALUE > 0)",
            f"CREATE EXTENSION IF NOT EXISTS {self.name()}",
            f"CREATE TABLE {self.table()} PARTITION OF {self.table()} FOR VALUES FROM (1) TO (5)",
            f"CREATE TRIGGER {self.name()} AFTER INSERT ON {self.table()} FOR EACH ROW EXECUTE FUNCTION f()",
        )

    def index(self) -> str:
        items = self.several(
            lambda: self.one(
                f"{self.column()}", f"{self.column()} DESC NULLS LAST", f"lower({self.column()})",
                f"({self.column()} + 1)", f"{self.column()} text_pattern_ops", f'{self.column()} COLLATE "C"',
            )
        )  # fmt: skip
        return (
            f"CREATE {self.maybe('UNIQUE ')}INDEX {self.maybe('CONCURRENTLY ')}"
            f"{self.one(*INDEX_NAMES)}ON {self.maybe('ONLY ', 0.1)}{self.table()}"
            f"{self.maybe(' USING ' + self.one('btree', 'gin', 'hash'))} ({items})"
            f"{self.maybe(' INCLUDE (note)', 0.1)}{self.maybe(' WITH (fillfactor=80)', 0.1)}{self.where(0.2)}"
        )

    def action(self) -> str:
        column, table = self.column(), self.table()
        return self.one(
            f"ADD {self.maybe('COLUMN ', 0.8)}{self.maybe('IF NOT EXISTS ', 0.1)}{self.definition()}",
            f"ADD COLUMN {self.definition()}",
            f"DROP COLUMN {self.maybe('IF EXISTS ', 0.2)}{column}{self.maybe(' CASCADE', 0.2)}",
            f"ALTER {self.maybe('COLUMN ', 0.8)}{column} TYPE {self.one(*TYPES)}"
            f"{self.maybe(f' USING {column}::text')}",
            f"ALTER COLUMN {column} SET DATA TYPE {self.one(*TYPES)}",
            f"ALTER COLUMN {column} SET NOT NULL",
            f"ALTER COLUMN {column} DROP NOT NULL",
            f"ALTER COLUMN {column} SET DEFAULT {self.default()}",
            f"ALTER COLUMN {column} DROP DEFAULT",
            f"ADD {self.constraint()}",
            f"ADD CONSTRAINT c CHECK ({self.condition()}) NOT VALID",
            f"ADD CONSTRAINT c FOREIGN KEY ({column}) REFERENCES {table} (id) NOT VALID",
            "VALIDATE CONSTRAINT c",
            f"DROP CONSTRAINT {self.maybe('IF EXISTS ', 0.2)}c{self.maybe(' CASCADE', 0.2)}",
            "ADD CONSTRAINT c UNIQUE USING INDEX i",
            self.one(
                "OWNER TO bob",
                "SET (fillfactor=70)",
                "SET UNLOGGED",
                "ENABLE TRIGGER ALL",
                "CLUSTER ON i",
            ),
        )

    def alter(self) -> str:
        table = f"{self.maybe('IF EXISTS ', 0.1)}{self.maybe('ONLY ', 0.1)}{self.table()}"
        if self.random.random() < 0.2:
            return f"ALTER TABLE {table} " + self.one(
                f"RENAME TO {self.name()}",
                f"RENAME COLUMN {self.column()} TO {self.column()}",
                f"RENAME {self.column()} TO {self.column()}",
                f"RENAME CONSTRAINT a TO {self.name()}",
                "SET SCHEMA app",
                "ATTACH PARTITION p FOR VALUES IN (1)",
                "DETACH PARTITION p CONCURRENTLY",
            )
        return f"ALTER TABLE {table} {self.several(self.action, 2 if self.random.random() < 0.7 else 4)}"

    def drop(self) -> str:
        what = self.one(
            "TABLE",
            "TABLE",
            "INDEX",
            "VIEW",
            "MATERIALIZED VIEW",
            "SEQUENCE",
            "TYPE",
            "DOMAIN",
            "SCHEMA",
        )
        names = self.several(self.name if what == "SCHEMA" else self.table, 2)
        concurrent = self.maybe("CONCURRENTLY ") if what == "INDEX" and "," not in names else ""
        return f"DROP {what} {concurrent}{self.maybe('IF EXISTS ')}{names}{self.maybe(' CASCADE')}"

    def select(self, depth: int = 1) -> str:
        alias = self.maybe(" AS x", 0.5)
        source = f"{self.table()}{alias}"
        if self.random.random() < 0.3:
            source += f" {self.one('JOIN', 'LEFT JOIN', 'CROSS JOIN')} {self.table()} AS y"
            source += "" if "CROSS" in source else f" ON {self.condition()}"
        elif self.random.random() < 0.15 and depth:
            source = f"({self.select(depth - 1)}) AS sub"
        text = (
            f"SELECT {self.maybe('DISTINCT ', 0.1)}{self.one('*', self.several(self.expression))} FROM {source}"
            f"{self.where(0.5)}{self.maybe(f' GROUP BY {self.column()}', 0.15)}"
            f"{self.maybe(f' ORDER BY {self.column()} DESC', 0.2)}{self.maybe(' LIMIT 5', 0.2)}"
        )
        if depth and self.random.random() < 0.1 and "ORDER" not in text and "LIMIT" not in text:
            text += f" {self.one('UNION ALL', 'EXCEPT', 'INTERSECT')} SELECT {self.expression()} FROM {self.table()}"
        return text

    def cte(self) -> str:
        if self.random.random() < 0.85:
            return ""
        inner = self.one(self.select(), self.select(), f"DELETE FROM {self.table()} RETURNING *")
        return f"WITH q AS ({inner}) "

    def insert(self) -> str:
        source = self.one(
            f"VALUES ({self.several(lambda: self.expression(1))})",
            f"VALUES ({self.expression(1)}), ({self.expression(1)})",
            self.select(),
            "DEFAULT VALUES",
        )
        columns = "" if source == "DEFAULT VALUES" else self.maybe(f" ({self.columns()})", 0.7)
        after = self.one(
            "", "", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO UPDATE SET a = excluded.a"
        )
        return f"{self.cte()}INSERT INTO {self.table()}{columns} {source}{after}{self.maybe(' RETURNING id')}"

    def update(self) -> str:
        assigned = ", ".join(
            f"{column} = {self.one(self.expression(), 'DEFAULT')}"
            for column in self.random.sample(COLUMNS, self.random.randint(1, 2))
        )
        other = self.maybe(f" FROM {self.table()} AS y", 0.2)
        return f"{self.cte()}UPDATE {self.table()}{self.maybe(' AS x')} SET {assigned}{other}{self.where()}"

    def delete(self) -> str:
        other = self.maybe(f" USING {self.table()} AS y", 0.2)
        return f"{self.cte()}DELETE FROM {self.table()}{self.maybe(' AS x')}{other}{self.where()}"

    def other(self) -> str:
        return self.one(
            f"TRUNCATE {self.maybe('TABLE ')}{self.several(self.table, 2)}{self.maybe(' RESTART IDENTITY')}"
            f"{self.maybe(' CASCADE')}",
            f"COMMENT ON TABLE {self.table()} IS {self.one(repr('x'), 'NULL')}",
            f"COMMENT ON COLUMN {self.table()}.{self.column()} IS 'x'",
            f"ALTER INDEX {self.table()} RENAME TO {self.name()}",
            f"ALTER SEQUENCE {self.table()} RESTART WITH 5",
            f"ALTER TYPE {self.table()} ADD VALUE 'z'",
            f"ALTER TYPE {self.table()} RENAME TO {self.name()}",
            f"REINDEX {self.one('TABLE', 'INDEX')} {self.maybe('CONCURRENTLY ')}{self.table()}",
            f"VACUUM {self.maybe('FULL ')}{self.table()}",
            f"LOCK TABLE {self.table()} IN EXCLUSIVE MODE",
            f"GRANT SELECT ON {self.table()} TO bob",
            f"REFRESH MATERIALIZED VIEW {self.maybe('CONCURRENTLY ')}{self.table()}",
            f"COPY {self.table()} {self.one('FROM STDIN', 'TO STDOUT')}",
            f"SET {self.maybe('LOCAL ')}lock_timeout = '{self.random.randint(1, 9)}s'",
            f"SELECT setval('s', {self.random.randint(1, 99)})",
            f"MERGE INTO {self.table()} AS x USING {self.table()} AS y ON x.id = y.id"
            f" WHEN MATCHED THEN {self.one('DELETE', 'UPDATE SET a = 1', 'DO NOTHING')}",
        )

    def statement(self) -> str:
        makers = (
            self.create_table, self.create_table, self.create_other, self.index, self.alter, self.alter, self.alter,
            self.alter, self.drop, self.select, self.select, self.insert, self.insert, self.update, self.delete,
            self.other,
        )  # fmt: skip
        return self.random.choice(makers)()


def generated(count: int, seed: int = 20) -> tuple[str, ...]:
    """``count`` distinct statements."""
    grammar = Grammar(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[grammar.statement()] = None
    return tuple(found)
