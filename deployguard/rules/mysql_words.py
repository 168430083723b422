"""What the rules say on MySQL and MariaDB, where PostgreSQL's reasons and ways out do not fit.

Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html and
https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html
"""

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """A rule's effect and way out on MySQL; an empty one keeps what the rule says everywhere."""

    effect: str = ""
    instead: str = ""


_METADATA = (
    "It waits for every transaction that uses the table, all later ones wait behind it, and it commits"
    " at once: nothing can be rolled back."
)
_COPY = f"The server copies the table: nobody writes to it until the copy is done. {_METADATA}"
_GHOST = (
    "Use gh-ost or pt-online-schema-change for a table of some size; or add a new column, write both, fill it in"
    " batches, and switch over."
)
_GUARDED = 'op.execute("ALTER TABLE {table} %s, ALGORITHM=INPLACE, LOCK=NONE")'

MYSQL: Mapping[str, Words] = {
    "DG102": Words(
        "The values are gone for good, indexes on the column lose it, and the application that is still running"
        " fails where it names the column (an ORM names all of them).",
    ),
    "DG103": Words(
        "Rows are gone for good: no downgrade brings them back, only a backup does, and the statement commits at"
        " once, so that not even a rollback does.",
        "Delete what must go in batches from a script of its own, after a backup; or keep the rows.",
    ),
    "DG106": Words(
        instead="Seed reference data in the revision that creates the table, or from the application; let a second"
        " run do no harm: INSERT … SELECT … WHERE NOT EXISTS, by a unique key.",
    ),
    "DG201": Words(
        "InnoDB builds most indexes while others go on writing, but not all (FULLTEXT, SPATIAL, the first one of"
        f" its kind), and it never says so before. {_METADATA}",
        _GUARDED % "ADD INDEX {name} ({columns})",
    ),
    "DG202": Words(
        f"Queries that used the index become slow at once. {_METADATA}",
        "Make it INVISIBLE first (IGNORED on MariaDB), look for slow queries, and drop it in a later release with\n"
        'op.execute("ALTER TABLE {index_owner} DROP INDEX {index}, ALGORITHM=INPLACE, LOCK=NONE")',
    ),
    "DG203": Words(
        f"A row that points nowhere makes it fail. {_COPY}",
        "Look for rows that point nowhere first. With foreign_key_checks=0 the server adds it in place, and looks"
        " at no row.",
    ),
    "DG204": Words(
        f"A row that does not comply makes it fail. {_COPY}",
        "Look for rows that do not comply first, and plan a window for a large table.",
    ),
    "DG205": Words(
        f"Duplicates make it fail, after the index has been built. {_METADATA}",
        "Look for duplicates first, then\n" + _GUARDED % "ADD UNIQUE INDEX {name} ({columns})",
    ),
    "DG206": Words(
        "The rows are kept in the order of the primary key, so that the whole table is rewritten. Duplicates and"
        f" NULLs make it fail. {_METADATA}",
        _GHOST,
    ),
    "DG208": Words(
        "The table is rewritten. A NULL makes it fail, or becomes 0 or '' where the server is not strict, and the"
        " application that is still running fails where it leaves the column out.",
        "Give the column a default, deploy, fill the old rows in batches; require it in a later release:\n"
        + _GUARDED % "MODIFY {column} … NOT NULL",
    ),
    "DG210": Words(
        "Others wait until the lock is given up: with SHARED or READ those who write, with EXCLUSIVE or WRITE all.",
        "Leave it out, or demand LOCK=NONE: the server then refuses what can't be done online.",
    ),
    "DG211": Words(
        _METADATA,
        "Run it when nothing long is running, and let it give up instead of holding up others:\n"
        'op.execute("SET SESSION lock_wait_timeout = 5")',
    ),
    "DG301": Words(
        f"Values that do not fit are cut where the server is not strict. {_COPY} What MODIFY and CHANGE leave out"
        " (NOT NULL, the default, the comment) is lost.",
        f"{_GHOST} Where only the dictionary should change, say so: ALGORITHM=INSTANT.",
    ),
    "DG302": Words(f"The default is computed for each row. {_COPY}", _GHOST),
    "DG303": Words(f"Every row gets a value of its own. {_COPY}", _GHOST),
    "DG304": Words(
        f"The table and all its indexes are rewritten, and most ways of it keep writers out. {_METADATA}",
        f"{_GHOST} Or demand that nobody is blocked: ALGORITHM=INPLACE, LOCK=NONE.",
    ),
    "DG402": Words(
        instead="Rename it and leave a view of the old name behind; between the two the old name is missing:\n"
        'op.rename_table("{own}", "{to}"{schema})\nop.execute("CREATE VIEW {own} AS SELECT * FROM {to}")',
    ),
    "DG403": Words(
        "The rows that are there get 0, '' or a date of zeros without a word, and the application that is still"
        " running fails with each row that it inserts without the column.",
    ),
    "DG405": Words(
        "Rows that break the rule can come in from now on, and then the constraint can't be put back.",
    ),
    "DG502": Words(
        "Alembic believes that its own transaction is still open: a failure afterwards leaves part of the revision"
        " done. A schema change commits anyway.",
        "Leave the transaction to Alembic.",
    ),
    "DG801": Words(
        "Somebody can do more, or less, than before; it takes effect at once and no rollback takes it back.",
    ),
}
