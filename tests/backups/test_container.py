"""A PostgreSQL that only its compose network knows, backed up and restored with the tools in its container."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deployguard.backups import BackupRequest, Site, pgtools
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.containers import Engine, find_address, find_container
from deployguard.process import Completed, Redactor
from tests.support import docker

pytestmark = pytest.mark.docker


@pytest.fixture
def stack() -> Iterator[docker.Stack]:
    found = docker.Stack("bookings")
    try:
        found.compose("up", "-d", "--wait", "postgres")
        yield found
    finally:
        found.down()


def test_it_is_backed_up_verified_and_restored_with_nothing_installed_here(
    stack: docker.Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgtools, "SYSTEM", ())
    stack.sql(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('b1');"
        "CREATE TABLE t (id int, x text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 50000) i"
    )
    with Engine() as engine:

        def inside(
            argv: tuple[str, ...],
            *,
            environment: Mapping[str, str] | None = None,
            stdin_path: Path | None = None,
            stdout_path: Path | None = None,
            timeout: float | None = None,
            redact: Redactor | None = None,
            moving: Callable[[], object] | None = None,
        ) -> Completed:
            found = find_container(engine, "postgres", stack.project)
            assert found is not None
            return engine.exec(
                found.name,
                argv,
                environment=environment,
                stdin_path=stdin_path,
                stdout_path=stdout_path,
                timeout=timeout,
                redact=redact,
                moving=moving,
            )

        site = Site(
            url=parse_url(stack.database_url, "x"),
            directory=tmp_path,
            project="bookings",
            environment="production",
            config=BackupConfig(tries=1),
            address=lambda host, port: find_address(engine, host, port, stack.project),
            inside=inside,
            environ={"PATH": "/nowhere"},
        )
        backups = PostgresBackups(site)
        made = backups.take(BackupRequest("pre-deploy", "d-1"))
        assert made.counts == {"alembic_version": 1, "t": 50000}
        verified = backups.verify(made)
        assert verified.ok, verified.evidence
        dump = site.folder / made.id / "database.dump"
        drilled = backups.drill(made)
        assert drilled.ok, drilled.evidence
        assert any("schema is the one" in line for line in drilled.evidence)
        assert any("50001 rows in 2 tables" in line for line in drilled.evidence)
        whole = dump.read_bytes()
        dump.write_bytes(whole[: len(whole) // 2])
        assert not backups.verify(made).ok
        dump.write_bytes(whole)
        stack.sql("DELETE FROM t WHERE id > 10")
        kept = backups.kept_name("d-1")
        done = backups.restore(made, kept_as=kept, on_progress=lambda _: None)
    assert done.counts == made.counts
    assert stack.sql("SELECT count(*) FROM t") == "50000"
    assert stack.sql("SELECT count(*) FROM t", kept) == "10"
