"""The commands on base backups, from the first one to the new cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.cli.main import run
from tests.support import physical as support
from tests.support.physical import Cluster

CONFIG = """
[project]
name = "bookings"
[physical]
directory = "physical"
wal_directory = "{wal}"
pg_bin = "{bin}"
database_url_env = "PHYSICAL_URL"
keep = {{ last = 1 }}
[environments.production]
database_url_env = "DATABASE_URL"
[environments.development]
database_url = "sqlite:///x.db"
[environments.cloud]
database_url_env = "DATABASE_URL"
backup.store = "rds"
rds.instance = "shop"
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with support.cluster(support.tree()) as made:
        yield made


@pytest.fixture
def project(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    text = CONFIG.format(wal=cluster.wal, bin=cluster.server.bin)
    (cluster.root / "deployguard.toml").write_text(text)
    monkeypatch.chdir(cluster.root)
    monkeypatch.setenv("DATABASE_URL", cluster.server.url("app").replace("deployer", "nobody"))
    monkeypatch.setenv("PHYSICAL_URL", cluster.server.url("app"))
    return cluster


class Says:
    """Runs a command and reads the document that it writes."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys, self.err = capsys, ""

    def __call__(self, *words: str, code: int = 0, env: str = "production") -> dict[str, object]:
        self.capsys.readouterr()
        got = run(["backup", "physical", *words, "--env", env, "--format", "json"])
        shown = self.capsys.readouterr()
        self.err = shown.err
        assert got == code, shown.err
        found = json.loads(shown.out) if shown.out else {}
        assert isinstance(found, dict)
        return found


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Says:
    return Says(capsys)


def test_the_whole_road(project: Cluster, says: Says, capsys: pytest.CaptureFixture[str]) -> None:
    first = says("create")
    assert first["schema"] == "deployguard.physical-backup/1"
    assert project.server.password not in says.err + json.dumps(first)
    assert says("check")["problems"] == "none"
    project.sql("DELETE FROM bookings")
    mark = says("mark", "emptied")
    assert mark["next_commands"]
    second = says("create")
    (listed, older) = says("list")["backups"]  # type: ignore[misc]
    assert (listed["id"], older["id"]) == (second["base_backup"], first["base_backup"])
    assert listed["verified"] is True
    assert "as copied" in str(says("verify", "latest")["verified"])
    there = says("restore", "latest", "--restore-point", "emptied", "--into", "emptied")
    assert there["from"] == first["base_backup"]
    assert there["revision"] == "b014"
    assert there["rows"] == "1 in 2 tables"
    assert Path(str(there["cluster"])) == project.root / "emptied"
    dry = says("prune")
    assert [(one["id"], one["keep"]) for one in dry["backups"]] == [  # type: ignore[attr-defined]
        (second["base_backup"], True),
        (first["base_backup"], False),
    ]
    assert len(says("list")["backups"]) == 2  # type: ignore[arg-type]
    assert says("prune", "--yes")["done"] is True
    assert len(says("list")["backups"]) == 1  # type: ignore[arg-type]
    for form in ("text", "markdown"):
        for words in (["list"], ["prune"]):
            assert run(["backup", "physical", *words, "--env", "production", "--format", form]) == 0
            assert str(second["base_backup"]) in capsys.readouterr().out


def test_a_deploy_and_the_other_backups_know_nothing_of_them(
    project: Cluster, says: Says, capsys: pytest.CaptureFixture[str]
) -> None:
    says("create")
    for words in (["show", "latest"], ["restore", "latest"]):
        assert run(["backup", *words, "--env", "production"]) == 2
        assert "There is no backup 'latest'" in capsys.readouterr().err


def test_exactly_one_target_is_given(project: Cluster, says: Says) -> None:
    says("restore", "latest", "--into", "new", code=2)
    assert "Say where to" in says.err
    says("restore", "latest", "--into", "new", "--end", "--consistent", code=2)
    says("restore", "latest", "--into", "new", "--to", "yesterday", code=2)
    assert not (project.root / "new").exists()


def test_incremental_is_refused_with_the_version_that_has_it(project: Cluster, says: Says) -> None:
    if project.server.version >= 17:
        pytest.skip("this server takes them")
    says("create", "--incremental", code=2)
    assert f"PostgreSQL {project.server.version}; incremental base backups came with 17" in says.err


def test_what_has_no_cluster_to_copy_is_told_what_to_do(project: Cluster, says: Says) -> None:
    says("create", env="development", code=2)
    assert "Base backups are of PostgreSQL clusters" in says.err
    says("create", env="cloud", code=2)
    assert "backup rds recover" in says.err


def test_damage_ends_with_twenty(project: Cluster, says: Says) -> None:
    made = says("create")
    folder = project.root / "physical" / str(made["base_backup"])
    (folder / "data" / "PG_VERSION").write_text("99\n")
    says("verify", "latest", code=20)
    assert "PG_VERSION" in says.err
    listed = says("list")["backups"]
    assert listed[0]["verified"] is False  # type: ignore[index]
    says("restore", str(made["base_backup"]), "--consistent", "--into", "new", code=20)
    assert not (project.root / "new").exists()
