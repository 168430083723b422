"""DG203 to DG208: constraints that block the table while every row is checked."""

from deployguard.model import Risk
from deployguard.operations import AddColumn, AddConstraint, Constraint, SetNotNull
from deployguard.rules.base import Answer, Found, filled, rule
from deployguard.rules.context import Context
from deployguard.rules.proofs import may_be_null, never_null

_SQLITE_COPY = "SQLite copies the table, and locks the whole database file while it does."
_BRIEF = "Run it at a quiet time."
_TWO_STEPS = (
    "Add it NOT VALID, and validate it in a revision of its own (transaction_per_migration=True):\n"
)

_NOT_NULL_18 = (
    _TWO_STEPS
    + 'op.execute("ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {columns} NOT VALID")\n'
    '# in the next revision\nop.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")'
)


@rule(
    "DG203",
    "add-foreign-key",
    (AddConstraint, AddColumn),
    Risk.MEDIUM,
    effect="Takes a SHARE ROW EXCLUSIVE lock on both tables and scans every row: writes to either wait"
    " until it is done. A row"
    " that points nowhere makes it fail.",
    instead=_TWO_STEPS + 'op.execute("ALTER TABLE {table} ADD CONSTRAINT {name}"\n'
    '    " FOREIGN KEY ({columns}) REFERENCES {references} NOT VALID")\n'
    '# in the next revision\nop.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")',
    sqlite_effect=_SQLITE_COPY,
    sqlite_instead=_BRIEF,
    bad=(
        "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id)",
        "ALTER TABLE orders ADD COLUMN user_id int DEFAULT 1 REFERENCES users (id)",
    ),
    good=(
        (
            "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id) NOT"
            " VALID"
        ),
        (
            "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE orders (user_id int); ALTER"
            " TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users (id)"
        ),
        "ALTER TABLE orders ADD COLUMN user_id int REFERENCES users (id)",
    ),
)
def add_foreign_key(op: AddConstraint | AddColumn, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    if isinstance(op, AddColumn):
        if Constraint.FOREIGN_KEY not in op.constraints or not op.default_sql:
            return None
        return f"Adds {op.table}.{op.column} with a default and a foreign key to {op.references}."
    if op.kind is not Constraint.FOREIGN_KEY or op.not_valid:
        return None
    columns = ", ".join(op.columns)
    return (
        f"Adds a foreign key from {op.table} ({columns}) to {op.references} and checks every row."
    )


@rule(
    "DG204",
    "add-check",
    (AddConstraint, AddColumn),
    Risk.MEDIUM,
    effect="Takes an ACCESS EXCLUSIVE lock and scans every row: reads and writes wait"
    " until it is done. A row that does not"
    " comply makes it fail.",
    instead=_TWO_STEPS + 'op.create_check_constraint("{name}", "{own}", "{expression}"{schema},'
    " postgresql_not_valid=True)\n"
    '# in the next revision\nop.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {name}")',
    sqlite_effect=_SQLITE_COPY,
    sqlite_instead=_BRIEF,
    bad=(
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (price > 0)",
        "ALTER TABLE orders ADD COLUMN price int CHECK (price > 0)",
    ),
    good=(
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (price > 0) NOT VALID",
        "CREATE TABLE orders (price int); ALTER TABLE orders ADD CHECK (price > 0)",
    ),
)
def add_check(op: AddConstraint | AddColumn, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    if isinstance(op, AddColumn):
        found = Constraint.CHECK in op.constraints
        return f"Adds {op.table}.{op.column} with a check and scans every row." if found else None
    if op.kind is not Constraint.CHECK or op.not_valid:
        return None
    return f"Adds the check {op.name or 'without a name'} ({op.expression}) to {op.table}."


@rule(
    "DG205",
    "add-unique",
    (AddConstraint, AddColumn),
    Risk.MEDIUM,
    effect="Takes an ACCESS EXCLUSIVE lock while its index is built: reads and writes wait"
    " until it is done. Duplicates make it fail.",
    instead='with op.get_context().autocommit_block():\n    op.create_index("{name}", "{own}",'
    " {columns_list}{schema},"
    " unique=True, postgresql_concurrently=True)\n# in the next revision\n"
    'op.execute("ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")',
    sqlite_effect=_SQLITE_COPY + " Duplicates make it fail.",
    sqlite_instead=_BRIEF,
    bad=(
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (email)",
        "ALTER TABLE users ADD COLUMN email text UNIQUE",
    ),
    good=(
        (
            "-- autocommit\nCREATE UNIQUE INDEX CONCURRENTLY uq ON users (email)\n-- own"
            " transaction\n-- transaction\n"
            "ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX uq"
        ),
        "CREATE TABLE users (email text); ALTER TABLE users ADD UNIQUE (email)",
    ),
)
def add_unique(op: AddConstraint | AddColumn, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    if isinstance(op, AddColumn):
        found = Constraint.UNIQUE in op.constraints
        return f"Adds {op.table}.{op.column} with a unique constraint." if found else None
    if op.kind is not Constraint.UNIQUE or op.using_index:
        return None
    return f"Makes {', '.join(op.columns)} of {op.table} unique."


@rule(
    "DG206",
    "add-primary-key",
    (AddConstraint, AddColumn),
    Risk.HIGH,
    effect="Takes an ACCESS EXCLUSIVE lock while every value is checked for NULL and the index is"
    " built: reads and writes wait"
    " until it is done. Duplicates and NULLs make it fail.",
    instead="Build a unique index concurrently, make the columns NOT NULL by way of a validated"
    " check, then\n"
    'op.execute("ALTER TABLE {table} ADD PRIMARY KEY USING INDEX …")',
    sqlite_effect=_SQLITE_COPY + " Duplicates make it fail.",
    sqlite_instead=_BRIEF,
    bad=(
        "ALTER TABLE orders ADD PRIMARY KEY (id)",
        "ALTER TABLE orders ADD COLUMN id int PRIMARY KEY",
        "ALTER TABLE orders ADD PRIMARY KEY USING INDEX ix",
    ),
    good=(
        "CREATE TABLE orders (id int); ALTER TABLE orders ADD PRIMARY KEY (id)",
        (
            "-- autocommit\nCREATE UNIQUE INDEX CONCURRENTLY uq ON old_orders (id)\n-- own transaction\n"
            "-- transaction\nALTER TABLE old_orders ADD CONSTRAINT nn CHECK (id IS NOT NULL) NOT VALID\n"
            "-- own transaction\nALTER TABLE old_orders VALIDATE CONSTRAINT nn\n-- own transaction\n"
            "ALTER TABLE old_orders ALTER id SET NOT NULL\n-- own transaction\n"
            "ALTER TABLE old_orders ADD CONSTRAINT key PRIMARY KEY USING INDEX uq"
        ),
    ),
)
def add_primary_key(op: AddConstraint | AddColumn, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    if isinstance(op, AddColumn):
        found = Constraint.PRIMARY_KEY in op.constraints
        return f"Adds {op.table}.{op.column} as the primary key." if found else None
    if op.kind is not Constraint.PRIMARY_KEY:
        return None
    if not op.using_index:
        return f"Makes {', '.join(op.columns)} the primary key of {op.table}."
    if never_null(op, ctx):
        return None
    # The database was asked, or the history, and does not say NOT NULL; otherwise nobody knows.
    told = ctx.fact(op.table) is not None or may_be_null(op, ctx)
    return Found(
        f"Makes the index {op.using_index} the primary key of {op.table}.",
        Risk.HIGH if told else Risk.LOW,
        why="Takes an ACCESS EXCLUSIVE lock; columns that may be NULL are looked at row by row"
        " under it.",
    )


@rule(
    "DG207",
    "add-exclude",
    AddConstraint,
    Risk.HIGH,
    effect="Takes an ACCESS EXCLUSIVE lock while its index is built; it can neither be NOT VALID"
    " nor be built concurrently.",
    instead="Plan a window for it, or move to a new table that has the constraint from the start.",
    bad=("ALTER TABLE stays ADD CONSTRAINT ex EXCLUDE USING gist (during WITH &&)",),
    good=(
        (
            "CREATE TABLE stays (during tstzrange); ALTER TABLE stays ADD EXCLUDE USING gist (during"
            " WITH &&)"
        ),
    ),
)
def add_exclude(op: AddConstraint, ctx: Context) -> Answer:
    if op.kind is not Constraint.EXCLUDE or ctx.is_new(op.table):
        return None
    return f"Adds the exclusion constraint {op.name or 'without a name'} to {op.table}."


@rule(
    "DG208",
    "set-not-null",
    (SetNotNull, AddConstraint),
    Risk.HIGH,
    effect="Takes an ACCESS EXCLUSIVE lock and scans every row: reads and writes wait"
    " until it is done. A NULL makes it fail, and"
    " the application that is still running fails where it leaves the column out.",
    instead="In three revisions, each in its own transaction:\n"
    'op.create_check_constraint("{column}_not_null", "{own}", "{column} IS NOT NULL"{schema},'
    " postgresql_not_valid=True)\n"
    'op.execute("ALTER TABLE {table} VALIDATE CONSTRAINT {column}_not_null")\n'
    'op.alter_column("{own}", "{column}", nullable=False{schema})  # no scan: the check proves it',
    sqlite_effect=_SQLITE_COPY
    + " A NULL makes it fail, and so does the running application where it leaves the column out.",
    sqlite_instead="Give the column a default first, and fill it in; require it in a later"
    " release.",
    bad=(
        "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (other IS NOT NULL) NOT VALID\n-- own"
            " transaction\n"
            "ALTER TABLE orders VALIDATE CONSTRAINT ck\n-- own transaction\nALTER TABLE orders ALTER"
            " note SET NOT NULL"
        ),
        (
            "-- server: 11.5\nALTER TABLE orders ADD CONSTRAINT ck CHECK (note IS NOT NULL)\n"
            "-- own transaction\nALTER TABLE orders ALTER note SET NOT NULL"
        ),
        "-- server: 18.0\nALTER TABLE orders ADD CONSTRAINT nn NOT NULL price",
    ),
    good=(
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (note IS NOT NULL) NOT VALID\n-- own"
            " transaction\n"
            "ALTER TABLE orders VALIDATE CONSTRAINT ck\n-- own transaction\n"
            "ALTER TABLE orders ALTER note SET NOT NULL; ALTER TABLE orders DROP CONSTRAINT ck"
        ),
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (note IS NOT NULL AND note <> '') NOT VALID\n"
            "-- own transaction\nALTER TABLE orders VALIDATE CONSTRAINT ck\n-- own transaction\n"
            "ALTER TABLE orders ALTER note SET NOT NULL"
        ),
        "CREATE TABLE orders (note text); ALTER TABLE orders ALTER note SET NOT NULL",
        "-- server: 18.0\nALTER TABLE orders ADD CONSTRAINT nn NOT NULL price NOT VALID",
    ),
)
def set_not_null(op: SetNotNull | AddConstraint, ctx: Context) -> Answer:
    if isinstance(op, AddConstraint):
        if op.kind is not Constraint.NOT_NULL or op.not_valid or not op.columns:
            return None
        column, instead = op.columns[0], filled(_NOT_NULL_18, op)
    else:
        column, instead = op.column, None
    proven = (ctx.key(op.table), column) in ctx.proven
    if ctx.is_new(op.table) or (proven and not (ctx.postgresql and ctx.older_than(12))):
        return None
    message = f"Requires a value in {op.table}.{column}."
    if ctx.postgresql and (ctx.key(op.table), column) in ctx.fresh.filled:
        return Found(
            message,
            instead=instead,
            why="Takes an ACCESS EXCLUSIVE lock and scans every row: reads and writes wait"
            " until it is done. This run has filled in what was missing, but the application that is still"
            " running fails where it leaves the column out.",
        )
    return Found(message, instead=instead)


RULES = (
    add_foreign_key,
    add_check,
    add_unique,
    add_primary_key,
    add_exclude,
    set_not_null,
)
