"""What the tests of backup stores share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.aws import Aws, serve
from tests.support.postgres import Server


@pytest.fixture
def live(
    request: pytest.FixtureRequest, postgres_database: str, postgres_server: Server
) -> Iterator[str]:
    """A database with the SCHEMA of the test's module; what restores made of it is dropped afterwards."""
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(request.module.SCHEMA.encode())
    yield postgres_database
    name = postgres_database.rsplit("/", 1)[1]
    found = postgres_server.sql(
        f"SELECT datname FROM pg_database WHERE starts_with(datname, '{name}_')"
    )
    for each in found.split():
        postgres_server.drop_database(each)


@pytest.fixture(scope="module")
def aws_server() -> Iterator[Aws]:
    """AWS behind the fault proxy, one for a file."""
    with serve() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty account; boto3 finds it and its credentials in the environment."""
    aws_server.reset()
    for name, value in aws_server.environment().items():
        monkeypatch.setenv(name, value)
    return aws_server


@pytest.fixture
def instance(aws: Aws) -> Iterator[Any]:
    """The instance `bookings`; a client that asks moto itself, behind the program's back."""
    rds = aws.client()
    rds.create_db_instance(
        DBInstanceIdentifier="bookings",
        Engine="postgres",
        EngineVersion="16.3",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
        StorageEncrypted=True,
    )
    yield rds
    rds.close()
