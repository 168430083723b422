"""MariaDB is a dialect of its own, which SQLAlchemy makes from MySQL's and registers as an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.operations import AlterType, SetNotNull
from tests.revisions.projects import ENV, INI, chain, project, reading, revision, sql

FROM_INI = ENV.replace(
    'create_engine(os.environ["DATABASE_URL"])',
    'create_engine(context.config.get_main_option("sqlalchemy.url"))',
)
CREATE = """
    op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))
    op.alter_column("t", "id", existing_type=sa.Integer, type_=sa.BigInteger)
"""


@pytest.mark.parametrize("given", ["mariadb", "mariadb+pymysql", "mysql", "mysql+pymysql"])
@pytest.mark.usefixtures("main_versions")
def test_a_revision_is_recorded_with_and_without_a_driver(tmp_path: Path, given: str) -> None:
    folder = project(tmp_path / "p", {"r1": revision("r1", None, CREATE)})
    dialect = given.partition("+")[0]
    found = reading(folder, dialect=dialect, url=f"{given}://x:x@127.0.0.1:1/app")
    [one] = found.revisions
    assert not one.up.opacities
    assert sql(one.up)[-1] == "ALTER TABLE t MODIFY id BIGINT NULL"


@pytest.mark.parametrize("written", ["mysql+pymysql", "mariadb+pymysql"])
def test_a_url_in_alembic_ini_that_names_the_driver_is_followed(
    tmp_path: Path, written: str
) -> None:
    ini = INI.replace("driver://user:password@localhost/database", f"{written}://u@h/shop")
    folder = project(tmp_path / "p", {"r1": revision("r1", None, CREATE)}, env=FROM_INI, ini=ini)
    found = reading(folder, dialect="mariadb", url="mariadb://x:x@127.0.0.1:1/app")
    [one] = found.revisions
    assert not one.up.opacities
    assert len(sql(one.up)) == 2


@pytest.mark.parametrize(
    ("change", "old"),
    [
        ("ALTER TABLE pets MODIFY COLUMN `name` varchar(60) NOT NULL", "varchar(50)"),
        ("alter table `pets` change name name varchar(60) not null", "varchar(50)"),
        ("ALTER TABLE pets MODIFY height varchar(9)", "int"),
    ],
)
def test_the_old_type_of_a_change_in_plain_sql_comes_from_the_history(
    tmp_path: Path, change: str, old: str
) -> None:
    made = (
        "CREATE TABLE `pets` (`id` int NOT NULL AUTO_INCREMENT, name varchar(50) NOT NULL COMMENT 'a',"
        " size bigint, KEY ix (name)) ENGINE=InnoDB"
    )
    history = [
        f"op.execute({text!r})" for text in (made, "ALTER TABLE pets CHANGE size height int")
    ]
    folder = chain(tmp_path / "p", *history, f"op.execute({change!r})")
    url = "mysql+pymysql://x:x@127.0.0.1:1/app"
    found = reading(folder, dialect="mysql", url=url, current=("r2",))
    (one,) = found.revisions
    changed = [o for o in one.up.statements[0].operations if isinstance(o, AlterType)]
    assert [o.old_type for o in changed] == [old]
    assert not any(isinstance(o, SetNotNull) for o in one.up.statements[0].operations)
