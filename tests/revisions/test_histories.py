"""Histories as large and as odd as those of public projects: merges, branches, renamed tables, two bases, odd files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from deployguard.model import Evidence, Json
from deployguard.revisions.graph import load
from tests.revisions.projects import ENV, named, project, reading, revision, sql

pytestmark = pytest.mark.usefixtures("oldest_and_ours")

LENGTH = 500


def history(length: int) -> dict[str, str]:
    """One long chain that branches and merges now and then, and a second base that never joins it."""
    chance = random.Random(7)
    files: dict[str, str] = {}
    tips = [_named(0)]
    files[_named(0)] = revision(_named(0), None, _create("t0"), 'op.drop_table("t0")')
    for number in range(1, length):
        name = _named(number)
        if len(tips) > 1 and chance.random() < 0.3:
            text = revision(name, tips[0], "pass").replace(
                f"down_revision = {tips[0]!r}", f"down_revision = {tuple(tips)!r}"
            )
            tips = [name]
        elif chance.random() < 0.04:
            # A branch: it begins beside the newest revision, not behind it.
            text = revision(name, _named(max(0, number - 5)), _create(f"t{number}"))
            tips = [*tips, name] if _named(max(0, number - 5)) not in tips else [name]
        else:
            text = revision(name, tips[-1], _work(chance, number))
            tips[-1] = name
        files[name] = text
    if len(tips) > 1:
        files["last"] = revision("last", tips[0], "pass").replace(
            f"down_revision = {tips[0]!r}", f"down_revision = {tuple(tips)!r}"
        )
    return files


def _named(number: int) -> str:
    return f"{number * 7919 % 2**48:012x}"


def _create(table: str) -> str:
    return f'op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))'


def _work(chance: random.Random, number: int) -> str:
    return chance.choice(
        [
            _create(f"t{number}"),
            f'op.add_column("t0", sa.Column("c{number}", sa.Text))',
            f'op.execute("UPDATE t0 SET n = {number}")',
            f'op.create_index("ix{number}", "t0", ["n"])',
            "pass",
            f'if not sa.inspect(op.get_bind()).has_table("t{number}"):\n    {_create(f"t{number}")}',
        ]
    )


def test_every_revision_of_a_long_and_branching_history_is_read(tmp_path: Path) -> None:
    files = history(LENGTH)
    folder = project(tmp_path, files)
    graph = load(folder)
    assert len(graph.nodes) == len(files) >= LENGTH
    assert len(graph.heads) == 1
    found = reading(folder, timeout=120)
    assert len(found.revisions) == len(files)
    assert {one.evidence for one in found.revisions} == {Evidence.RECORDED}
    read = [one for one in found.revisions if not one.up.opacities]
    assert len(read) >= 0.98 * len(files)
    seen = set()
    for one in found.revisions:
        assert set(one.parents) <= seen
        seen.add(one.id)


def test_only_what_is_pending_is_read_of_it(tmp_path: Path) -> None:
    files = history(LENGTH)
    folder = project(tmp_path, files)
    order = load(folder).ordered()
    last = order[-1]
    parents = load(folder).nodes[last].parents
    found = reading(folder, current=parents, catalogue={"dialect": "postgresql", "tables": []})
    assert [one.id for one in found.revisions] == [last]


def test_two_bases_and_labels_are_upgraded_together(tmp_path: Path) -> None:
    files = {
        "a1": revision("a1", None, _create("a")).replace(
            "branch_labels = None", "branch_labels = ('left',)"
        ),
        "b1": revision("b1", None, _create("b")).replace(
            "branch_labels = None", "branch_labels = ('right',)"
        ),
        "a2": revision("a2", "a1", 'op.drop_table("b")').replace(
            "depends_on = None", "depends_on = 'b1'"
        ),
    }
    folder = project(tmp_path, files)
    found = reading(folder, target="heads", command=("alembic", "upgrade", "heads"))
    assert [one.id for one in found.revisions].index("a2") == 2
    assert sorted(found.heads) == ["a2", "b1"]
    left = reading(folder, target="left@head", command=("alembic", "upgrade", "left@head"))
    assert [one.id for one in left.revisions][-1] == "a2"
    assert len(left.revisions) == 3


def test_odd_files_are_revisions_like_others(tmp_path: Path) -> None:
    folder = project(tmp_path, {"r1": revision("r1", None, _create("t"))})
    versions = folder / "migrations" / "versions"
    text = revision("r2", "r1", 'op.drop_table("t")')
    latin = "# -*- coding: latin-1 -*-\n" + text.replace("Revision r2", "R\xe9vision")
    (versions / "2024 01 (copy of) second.py").write_bytes(latin.encode("latin-1"))
    bom = revision("r3", "r2", _create("u"))
    (versions / "r3.py").write_bytes(b"\xef\xbb\xbf" + bom.encode())
    huge = 'op.execute("INSERT INTO u (n) VALUES " + ", ".join(f"({n})" for n in range(20_000)))'
    (versions / "r4.py").write_text(revision("r4", "r3", huge))
    many = 'for n in range(600):\n    op.execute(f"INSERT INTO u (n) VALUES ({n})")'
    (versions / "r5.py").write_text(revision("r5", "r4", many).replace("\n", "\r\n"))
    found = reading(folder)
    assert [one.up.opacities for one in found.revisions] == [()] * 5
    assert {one.evidence for one in found.revisions} == {Evidence.RECORDED}
    assert len(sql(named(found, "r4").up)[0]) > 160_000
    assert len(named(found, "r5").up.statements) == 600


def test_tenants_are_told_once_and_counted(tmp_path: Path) -> None:
    env = ENV.replace(
        "with engine.connect() as connection:",
        'for tenant in ("a", "b", "c"):\n  with engine.connect() as connection:\n'
        "    connection.exec_driver_sql(f'SET search_path TO {tenant}')",
    )
    files = {"r1": revision("r1", None, _create("t"))}
    found = reading(project(tmp_path, files, env=env))
    assert len(named(found, "r1").up.statements) == 1
    assert any("runs the migrations 3 times" in note for note in found.notes)
    assert found.around == tuple(f"SET search_path TO {name}" for name in "abc")


LIVE: Json = {"dialect": "postgresql", "tables": []}


@pytest.mark.parametrize(
    ("env", "inside"),
    [
        (ENV, False),
        (ENV.replace('DATABASE_URL"])', 'DATABASE_URL"], isolation_level="AUTOCOMMIT")'), False),
        (ENV.replace("transaction_per_migration=True", "transaction_per_migration=False"), True),
    ],
)
def test_whether_a_statement_runs_in_a_transaction_is_env_pys_affair(
    tmp_path: Path, env: str, *, inside: bool
) -> None:
    files = {"r1": revision("r1", None, _create("t"))}
    up = named(reading(project(tmp_path, files, env=env), catalogue=LIVE), "r1").up
    assert up.statements[0].in_transaction == ("AUTOCOMMIT" not in env)
    assert up.own_transaction == (not inside)
