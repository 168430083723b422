"""`deployguard check` says of every scenario exactly what its expected.toml says: on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tests.migrations_fixtures.checking import check_live, check_replayed, having
from tests.migrations_fixtures.scenarios import Case, Warm


@having("postgresql", "live")
def test_check_of_a_postgresql_database(
    warm: Warm, case: Case, tmp_path: Path, postgres_database: str
) -> None:
    check_live(warm, case, "postgresql", tmp_path, case.url(postgres_database))


@having("postgresql", "replayed")
def test_check_for_postgresql_without_a_database(warm: Warm, case: Case, tmp_path: Path) -> None:
    check_replayed(warm, case, "postgresql", tmp_path)
