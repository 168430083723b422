"""URLs of every driver become libpq's words, and secrets stay out of argv."""

from pathlib import Path

import pytest

from deployguard.config import parse_url
from deployguard.database import libpq
from deployguard.errors import UsageError


@pytest.mark.parametrize("driver", ["", "+asyncpg", "+psycopg2", "+psycopg", "+pg8000"])
def test_any_driver_leads_to_the_same_place(driver: str) -> None:
    url = parse_url(f"postgresql{driver}://me:s%40cret@db:6543/app", "x")
    assert libpq.parameters(url) == {
        "connect_timeout": "10",
        "host": "db",
        "port": "6543",
        "user": "me",
        "password": "s@cret",
        "dbname": "app",
    }


def test_tls_survives_and_words_of_other_drivers_are_left_out() -> None:
    url = parse_url(
        "postgresql+asyncpg://me@db/app?ssl=verify-full&sslrootcert=/ca.pem"
        "&prepared_statement_cache_size=0",
        "x",
    )
    found = libpq.parameters(url)
    assert found["sslmode"] == "verify-full"
    assert found["sslrootcert"] == "/ca.pem"
    assert "prepared_statement_cache_size" not in found
    assert libpq.parameters(parse_url("postgresql://h/d?ssl=true", "x"))["sslmode"] == "require"


def test_the_environment_holds_the_whole_connection() -> None:
    url = parse_url("postgresql://me:pw@db:6543/app?sslmode=require", "x")
    ours = {"PATH": "/bin", "AWS_SECRET": "no", "PGPASSFILE": "/p", "PGHOSTADDR": "10.0.0.9"}
    assert libpq.environment(libpq.parameters(url), ours) == {
        "PATH": "/bin",
        "PGPASSFILE": "/p",
        "PGHOST": "db",
        "PGPORT": "6543",
        "PGUSER": "me",
        "PGPASSWORD": "pw",
        "PGDATABASE": "app",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "10",
    }


def test_a_socket_folder_in_the_query_is_kept() -> None:
    url = parse_url("postgresql:///app?host=/var/run/postgresql", "x")
    assert libpq.parameters(url)["host"] == "/var/run/postgresql"


def test_a_port_that_is_no_number_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="not a number"):
        libpq.port_of({"port": "x"})


def test_where_our_files_are_not_the_password_is_said_and_those_of_tls_are_named(
    tmp_path: Path,
) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("")
    ours = {"HOME": str(tmp_path), "PGPASSFILE": "/p", "PGSERVICEFILE": "/s", "PGTZ": "UTC"}
    found = libpq.complete({"host": "h", "sslcert": "/nowhere/c.crt"}, "s@cret", ours)
    assert found == {
        "HOME": str(tmp_path),
        "PGHOST": "h",
        "PGPASSWORD": "s@cret",
        "PGSSLROOTCERT": str(tmp_path / ".postgresql" / "root.crt"),
        "PGSSLCERT": "/nowhere/c.crt",
        "PGTZ": "UTC",
    }
    told = libpq.complete({"host": "h", "sslrootcert": "system"}, "", {})
    assert told == {"PGHOST": "h", "PGSSLROOTCERT": "system"}


def test_a_relative_file_of_tls_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("")
    monkeypatch.chdir(tmp_path)
    found = libpq.complete({"host": "h", "sslrootcert": "ca.pem"}, "", {})
    assert found["PGSSLROOTCERT"] == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("postgresql://h/d", True),
        ("postgresql:///d", False),
        ("postgresql:///d?host=/run/postgresql", False),
        ("postgresql://h/d?host=/run/postgresql", False),
    ],
)
def test_a_socket_of_this_machine_is_no_network(url: str, answer: bool) -> None:
    assert libpq.by_network(parse_url(url, "x")) is answer
