"""What goes through, and what it needs to: low risk by itself, critical with a digest and a backup."""

from __future__ import annotations

import pytest

from tests.e2e.commands import Result
from tests.e2e.production import FULL, Production
from tests.e2e.watching import Eavesdropper

MAINTENANCE = "migrations_fixtures/bookings/deploy/maintenance/on"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # a busy machine gets its time


def test_low_risk_goes_through_by_itself_and_tells_nobody_the_password(
    production: Production,
) -> None:
    rows, old = production.stack.rows(), production.digests()
    production.checkout("v2")
    assert read_twice(production).code == 0
    with Eavesdropper(production.stack.password) as listening:
        deployed = production.deploy()
    assert deployed.code == 0, deployed.both
    assert "1 revision migrated, application updated, healthy" in deployed.words
    assert "3 checks were good; 3 in a row" in deployed.words  # HTTP, containers, SQL
    assert production.stack.revision() == "b014"
    assert production.stack.rows() == rows
    assert production.versions() == ["v2", "v2", "v2"]
    assert production.digests().isdisjoint(old)
    assert production.health() == (200, "v2")
    assert len(production.backups()) == 1  # it was asked for; low risk needs none
    assert not listening.seen
    assert listening.heard == {"docker compose", "pg_dump"}
    assert production.stack.password not in deployed.both
    assert not production.secret_files()


def test_nothing_pending_updates_the_application_only_and_so_does_skip_migrate(
    production: Production,
) -> None:
    old = production.digests()
    production.checkout("v2")
    production.stack.migrate()
    rows = production.stack.rows()
    deployed = production.deploy("--health-check")  # a plain deploy: nobody could be asked
    assert deployed.code == 0, deployed.both
    assert "nothing to migrate, application updated, healthy" in deployed.words
    assert production.digests().isdisjoint(old)
    assert production.health() == (200, "v2")

    production.checkout("v3")
    skipped = production.deploy("--skip-migrate", "--health-check")
    assert skipped.code == 0, skipped.both
    assert production.health() == (200, "v3")
    assert production.stack.revision() == "b014"
    assert production.stack.rows() == rows
    assert not production.backups()
    status = production.run("status", "--format", "json")
    assert status.document["pending"] == ["b015", "b016", "b017", "b018", "b019"]


def test_writers_are_held_still_while_a_critical_migration_runs(production: Production) -> None:
    production.edit('# level = "never"', 'level = "high"')
    production.edit("# services = \\[\\]", 'services = ["worker"]')
    production.edit("# maintenance_file = .*", f'maintenance_file = "{MAINTENANCE}"')
    production.edit("# drain = .*", "drain = 1")
    production.checkout("v3")
    with production.visitors() as visitors:
        deployed = production.approved("--auto-migrate", "--backup", "--health-check")
    assert deployed.code == 0, deployed.both
    seen = [said for said in visitors.bad if said.startswith("/bookings")]
    assert seen, visitors.bad
    assert all("503 <!doctype html>" in said for said in seen)  # nothing but the page
    assert production.versions() == ["v3", "v3", "v3"]  # the worker runs again
    assert not (production.folder / MAINTENANCE).exists()
    steps = [step["name"] for step in production.last()["steps"]]
    order = ("quiesce", "backup", "migrate", "health", "open-up")
    assert sorted(order, key=steps.index) == list(order)


def test_critical_needs_its_digest_and_then_a_backup(production: Production) -> None:
    rows, old = production.stack.rows(), production.digests()
    production.checkout("v3")
    checked = read_twice(production)
    assert checked.code == 10
    refused = production.deploy("--auto-migrate", "--health-check")
    assert refused.code == 11, refused.both
    assert refused.digest == checked.document["digest"]
    assert f"--approve {refused.digest}" in refused.words
    wrong = production.deploy("--auto-migrate", "--approve", "0" * 64)
    assert wrong.code == 11, wrong.both
    assert refused.digest in wrong.both
    # Nothing changed.
    assert production.stack.revision() == "b013"
    assert production.stack.rows() == rows
    assert production.digests() == old
    assert not production.backups()

    deployed = production.deploy(*FULL, "--approve", refused.digest[:12], "--reason", "seen")
    assert deployed.code == 0, deployed.both
    assert production.stack.revision() == "b019"
    assert production.stack.rows() == {k: n for k, n in rows.items() if k != "import_batches"}
    assert production.versions() == ["v3", "v3", "v3"]
    assert production.health() == (200, "v3")
    _told_afterwards(production, rows)


def _told_afterwards(production: Production, rows: dict[str, int]) -> None:
    """status, history, show and the backup commands, on what the deploy has left."""
    (backup,) = production.backups()
    assert backup["revision"] == ["b013"]
    counts = {name: n for name, n in backup["counts"].items() if name != "alembic_version"}
    assert counts == rows
    shown = production.run("backup", "show", "latest")
    assert shown.code == 0
    assert str(backup["id"]) in shown.stdout
    verified = production.run("backup", "verify", str(backup["id"]))
    assert verified.code == 0, verified.both
    last = production.last()
    assert (last["state"], last["level"]) == ("done", "critical")
    assert last["backup"] == backup["id"]
    history = production.run("history", "--format", "json").document["deploys"]
    assert [one["state"] for one in history] == ["done", "failed", "failed"]
    status = production.run("status")
    assert status.code == 0, status.both
    for word in ("b019", ":v3 (", str(last["id"]), str(backup["id"])):
        assert word in status.stdout
    assert not production.secret_files()


def read_twice(production: Production) -> Result:
    """`check` reads in the migration's container, as configured; read here, the verdict is the same."""
    inside = production.run("check", "--format", "json")
    production.edit("# where = .*", 'where = "local"')
    here = production.run("check", "--format", "json")
    production.edit("where = .*", "# where")
    assert inside.code == here.code, inside.both + here.both
    assert inside.document == here.document
    assert inside.document["evidence"] == "recorded"
    return inside
