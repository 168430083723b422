"""URLs of every driver become libpq's words, and secrets stay out of argv."""

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
