"""Where env.py leads is told apart: our dummy, the real database, or somewhere else."""

from pathlib import Path

import pytest

from deployguard.config import DatabaseUrl, parse_url
from deployguard.revisions.connects import Connects, elsewhere, sentence

REAL = parse_url("postgresql+psycopg://app:secret@db.example.org/shop", "x")
FILE = parse_url("sqlite:///data/shop.db", "x")


def is_elsewhere(one: Connects, real: DatabaseUrl, directory: Path = Path("/project")) -> bool:
    return elsewhere((one,), (real.dummy(), real), directory) == (one,)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (Connects("postgresql", "127.0.0.1", "1", "shop"), False),
        (Connects("postgresql", "localhost", "1", "shop"), False),
        (Connects("postgresql", "127.0.0.1", "1", "other"), True),
        (Connects("postgresql", "db.example.org", "5432", "shop"), False),
        (Connects("postgresql", "DB.example.org", "", "shop"), False),
        (Connects("postgresql", "db.example.org", "5433", "shop"), True),
        (Connects("postgresql", "localhost", "5432", "shop"), True),
        (Connects("postgresql", "", "", ""), True),
        (Connects("postgresql", "", "", "", own=True), False),
        (Connects("sqlite", "", "", "shop.db"), True),
        (Connects("mysql", "127.0.0.1", "1", "shop"), True),
    ],
)
def test_a_server_is_the_dummy_the_real_one_or_another(one: Connects, expected: bool) -> None:
    assert is_elsewhere(one, REAL) is expected


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (":memory:", False),
        ("", False),
        ("/project/:memory:", False),
        ("file::memory:?cache=shared", False),
        ("data/shop.db", False),
        ("/project/data/shop.db", False),
        ("/project/data/../data/shop.db", False),
        ("file:/project/data/shop.db?mode=rw", False),
        ("shop.db", True),
        ("/other/data/shop.db", True),
    ],
)
def test_a_file_is_ours_in_every_spelling(database: str, expected: bool) -> None:
    assert is_elsewhere(Connects("sqlite", database=database), FILE) is expected


def test_what_is_said_names_no_user_and_no_password() -> None:
    one = Connects("postgresql", "other.example.org", "5433", "shop")
    said = sentence((one,), REAL.display(), "DATABASE_URL")
    assert "postgresql://other.example.org:5433/shop" in said
    assert "DATABASE_URL" in said
    assert "secret" not in said
    assert sentence((), "x", "y") == ""
