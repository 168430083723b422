"""A database URL keeps every part through a round trip and never shows its password."""

import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from deployguard.config import DatabaseUrl, parse_url
from deployguard.errors import UsageError

URLS = (
    "postgresql://app:pw@db:5432/bookings",
    "postgresql+asyncpg://app:p%40ss%2Fword@db/bookings",
    "postgresql+psycopg://app@[::1]:5433/bookings?sslmode=require",
    "postgresql:///bookings?host=/var/run/postgresql",
    "postgresql://app:a:b@db/bookings",
    "mysql+pymysql://root@127.0.0.1/shop?charset=utf8mb4",
    "sqlite:///bookings.db",
    "sqlite+aiosqlite:////var/lib/app/bookings.db",
    "sqlite://",
)


@pytest.mark.parametrize("text", URLS)
def test_parts_are_those_that_sqlalchemy_sees(text: str) -> None:
    ours, theirs = parse_url(text, "test"), make_url(text)
    assert ours.dialect == theirs.get_backend_name()
    assert ours.username == (theirs.username or "")
    assert ours.password == (theirs.password or "")
    assert ours.host == (theirs.host or "")
    assert ours.port == theirs.port
    assert ours.database == (theirs.database or "")
    assert dict(ours.query) == dict(theirs.query)


@pytest.mark.parametrize("text", URLS)
def test_the_raw_url_leads_to_the_same_place(text: str) -> None:
    ours = parse_url(text, "test")
    assert parse_url(ours.raw, "test") == ours
    again = make_url(ours.raw)
    first = make_url(text)
    assert (again.password, again.host) == (first.password, first.host)
    assert (again.database or "") == (first.database or "")


@given(
    username=st.text(min_size=1, max_size=12),
    password=st.text(min_size=1, max_size=24),
    driver=st.sampled_from(["", "psycopg", "asyncpg"]),
)
def test_any_password_survives_the_round_trip(username: str, password: str, driver: str) -> None:
    url = DatabaseUrl("postgresql", driver, username, password, "db", 5432, "app")
    assert parse_url(url.raw, "test") == url
    assert make_url(url.raw).password == password


@given(password=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=8, max_size=24))
def test_no_password_in_what_people_see(password: str) -> None:
    url = DatabaseUrl("postgresql", "", "app", password, "db", 5432, "bookings")
    without = replace(url, password="")
    for secret in url.secrets():
        assume(secret not in without.raw + without.dummy().raw + repr(without))  # "127.0.0."
        assert secret not in url.display()
        assert secret not in repr(url)
        assert secret not in str(url)
        assert secret not in url.dummy().raw


def test_a_password_in_the_query_is_a_secret_too() -> None:
    url = parse_url("postgresql://db/app?user=app&password=hunter%202&sslpassword=k3y", "test")
    assert set(url.secrets()) == {"hunter 2", "hunter%202", "hunter+2", "k3y"}
    assert "hunter" not in url.display() + repr(url)
    assert "k3y" not in url.display() + repr(url)


def test_a_password_that_is_a_name_everybody_sees_hides_nothing() -> None:
    url = parse_url("postgresql://bookings:bookings@db/app", "test")
    assert url.secrets() == ()
    assert url.display() == "postgresql://bookings:***@db/app"


def test_secrets_are_longest_first_so_that_redaction_leaves_no_rest() -> None:
    secrets = parse_url("postgresql://app:a%40b@db/app", "test").secrets()
    assert secrets == tuple(sorted(secrets, key=len, reverse=True))
    assert {"a@b", "a%40b"} <= set(secrets)


def test_the_dummy_keeps_dialect_driver_and_name_and_leads_nowhere() -> None:
    dummy = parse_url("postgresql+asyncpg://app:pw@db.example:5432/bookings?ssl=1", "t").dummy()
    assert dummy.raw == "postgresql+asyncpg://deployguard:deployguard@127.0.0.1:1/bookings"
    assert parse_url("sqlite+aiosqlite:///x.db", "t").dummy().raw == "sqlite+aiosqlite:///:memory:"


def test_the_address_can_be_replaced() -> None:
    url = parse_url("postgresql+asyncpg://app:pw@db/bookings", "test")
    assert url.at("172.18.0.2", 5432).raw == "postgresql+asyncpg://app:pw@172.18.0.2:5432/bookings"


def test_postgres_is_another_name_of_postgresql() -> None:
    assert parse_url("postgres://db/app", "test").dialect == "postgresql"


@pytest.mark.parametrize(
    "text", ["", "bookings.db", "://db/app", "postgresql:/db", "postgresql://db:port/x"]
)
def test_text_that_is_no_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(text, "The environment variable X")
    assert "The environment variable X" in caught.value.message
    shown = "".join(traceback.format_exception(caught.value))
    assert not text or f"'{text}'" not in shown


def test_a_relative_sqlite_path_counts_from_the_configuration(tmp_path: Path) -> None:
    assert parse_url("sqlite:///data/x.db", "t").sqlite_path(tmp_path) == tmp_path / "data/x.db"
    assert parse_url("sqlite:////srv/x.db", "t").sqlite_path(tmp_path) == Path("/srv/x.db")


@pytest.mark.parametrize(
    "text", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x.db?uri=true"]
)
def test_a_database_that_is_no_file_cannot_be_backed_up(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="not a database file"):
        parse_url(text, "test").sqlite_path(tmp_path)
