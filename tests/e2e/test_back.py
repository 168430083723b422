"""A deploy that is in service is taken back: as it is proven safe, or as a person orders it."""

from __future__ import annotations

import pytest

from tests.e2e.production import Production

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # a busy machine gets its time


def test_a_restore_keeps_the_failed_database_and_says_what_is_lost(production: Production) -> None:
    rows, old = production.stack.rows(), production.digests()
    production.checkout("v3")
    assert production.approved().code == 0
    deploy = str(production.last()["id"])
    production.book("A new guest")

    refused = production.run("rollback", deploy)
    assert refused.code == 10, refused.both
    assert f"deployguard rollback {deploy} --restore" in refused.words
    asked = production.run("rollback", deploy, "--restore")
    assert asked.code == 11, asked.both
    for table in ("bookings", "guests", "jobs"):
        assert f"{table}: 21 rows now, 20 in the backup" in asked.words
    assert "import_batches: 0 rows now, 2 in the backup" in asked.words
    assert production.versions() == ["v3", "v3", "v3"]
    assert production.stack.revision() == "b019"
    assert not production.kept_databases()

    back = production.run("rollback", deploy, "--restore", "--confirm", deploy)
    assert back.code == 0, back.both
    assert production.stack.revision() == "b013"
    assert production.stack.rows() == rows
    assert production.digests() == old
    assert production.health() == (200, "v1")
    (kept,) = production.kept_databases()
    assert kept in back.both
    assert production.stack.sql("SELECT count(*) FROM bookings", kept) == "21"
    assert production.stack.sql("SELECT version_num FROM alembic_version", kept) == "b019"
    production.book("A guest after all")
    again = production.run("rollback", deploy, "--restore", "--confirm", deploy)
    assert again.code == 2, again.both  # it was taken back already
    assert production.stack.rows()["bookings"] == 21


def test_a_committed_deploy_goes_back_without_touching_a_schema_that_only_grew(
    production: Production,
) -> None:
    old = production.digests()
    production.checkout("v2")
    assert production.deploy("--auto-migrate").code == 0
    production.book("A new guest")
    back = production.run("rollback")
    assert back.code == 0, back.both
    assert production.stack.revision() == "b014"
    assert production.digests() == old
    assert production.stack.rows()["bookings"] == 21


def test_a_downgrade_runs_in_the_new_image_before_the_old_one_is_back(
    production: Production,
) -> None:
    old = production.digests()
    production.checkout("v2")
    assert production.deploy().code == 0
    deploy = str(production.last()["id"])
    production.book("A new guest")
    # Guests have a language since b014; whether it is worth keeping is for a person to say.
    production.stack.sql("UPDATE guests SET language = 'nl' WHERE id = 1")
    asked = production.run("rollback", deploy, "--to", "b013")
    assert asked.code == 11, asked.both
    back = production.run("rollback", deploy, "--to", "b013", "--confirm", deploy)
    assert back.code == 0, back.both
    assert production.stack.revision() == "b013"
    assert production.digests() == old
    assert production.stack.rows()["bookings"] == 21
    assert [one["reason"] for one in production.backups()] == ["emergency", "pre-deploy"]
