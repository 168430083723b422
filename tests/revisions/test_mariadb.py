"""MariaDB is a dialect of its own, which SQLAlchemy makes from MySQL's and registers as an object."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.revisions.projects import ENV, INI, project, reading, revision, sql

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
