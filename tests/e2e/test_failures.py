"""What fails comes back, and what is said of production is true."""

from __future__ import annotations

import pytest

from tests.e2e.production import FULL, Production

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # a busy machine gets its time


def test_a_migration_that_fails_half_way_leaves_the_application_in_service(
    production: Production,
) -> None:
    production.stack.sql("UPDATE bookings SET ends_at = starts_at WHERE id = 7")
    rows, old = production.stack.rows(), production.digests()
    production.checkout("v3")
    with production.visitors() as visitors:
        failed = production.approved()  # stops at b016, whose check the row breaks
    assert failed.code == 21, failed.both
    assert visitors.answers > 50
    assert not visitors.bad
    assert "ck_bookings_ends_after_start" in failed.both
    revision = production.stack.revision()
    assert revision == "b013"  # b014 and b015 were taken back: nothing was in them yet
    assert f"revision is {revision}" in failed.words
    assert production.digests() == old
    assert production.stack.rows() == rows
    assert production.last()["state"] == "rolled-back"
    assert production.run("status").code == 0

    # What was wrong is put right; the same plan is approved anew (one approval, one try), and goes through.
    production.stack.sql("UPDATE bookings SET ends_at = starts_at + interval '1 day' WHERE id = 7")
    again = production.approved()
    assert again.code == 0, again.both
    assert production.stack.revision() == "b019"


def test_an_unhealthy_image_goes_back_and_a_schema_that_only_grew_stays(
    production: Production,
) -> None:
    rows, old = production.stack.rows(), production.digests()
    production.checkout("broken")
    failed = production.deploy()
    assert failed.code == 21, failed.both
    assert production.digests() == old
    assert production.versions() == ["v1", "v1", "v1"]
    assert production.health() == (200, "v1")
    assert production.stack.revision() == "b014"
    assert "revision is b014" in failed.words
    assert production.stack.rows() == rows
    assert [one["state"] for one in production.stack.containers("postgres")] == ["running"]


def test_an_unhealthy_image_after_drops_goes_back_by_restore_when_nobody_wrote(
    production: Production,
) -> None:
    production.checkout("broken18")
    production.stack.migrate("alembic", "upgrade", "b017")
    rows, old = production.stack.rows(), production.digests()
    faxes = production.stack.sql("SELECT count(fax) FROM guests")
    failed = production.approved()
    assert failed.code == 21, failed.both
    assert production.stack.revision() == "b017"
    assert production.stack.sql("SELECT count(fax) FROM guests") == faxes == "20"
    assert production.stack.rows() == rows
    assert production.digests() == old
    assert production.health() == (200, "v1")
    kept = production.kept_databases()
    assert len(kept) == 1
    assert kept[0] in failed.both
    assert production.stack.sql("SELECT version_num FROM alembic_version", kept[0]) == "b018"


def test_an_unhealthy_image_after_drops_and_writes_is_left_to_a_person(
    production: Production,
) -> None:
    rows = production.stack.rows()
    production.checkout("broken3")
    refused = production.deploy()
    command = production.start("deploy", *FULL, "--approve", refused.digest)
    production.until_journaled(command, "arm")
    production.book("A late guest")
    stuck = command.result()
    assert stuck.code == 22, stuck.both
    deploy = str(production.last()["id"])
    for word in (
        "b019",
        f"deployguard rollback {deploy} --restore",
        "deployguard resume",
    ):
        assert word in stuck.words
    assert production.deploy().code == 23  # until somebody has decided
    assert production.run("status").code == 23

    asked = production.run("rollback", deploy, "--restore")
    assert asked.code == 11, asked.both
    assert "bookings: 21 rows now, 20 in the backup" in asked.words
    back = production.run("rollback", deploy, "--restore", "--confirm", deploy)
    assert back.code == 0, back.both
    assert production.stack.rows() == rows
    assert production.versions() == ["v1", "v1", "v1"]
    (kept,) = production.kept_databases()
    assert production.stack.sql("SELECT count(*) FROM bookings", kept) == "21"
    assert production.run("status").code == 0
