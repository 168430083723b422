"""STEPS: what a deploy does, in order. Read this first; each row names the function that does it.

The engine (``engine.py``) walks the table, journals ``intent → done`` around each row, and knows none by name. Adding
a step is adding a row: what it does, how the world can be asked about it after a crash, and when it applies.
"""

from typing import Final

from deployguard.deploy import before, change, committing, guard, names, offsite, quiesce, source
from deployguard.deploy.step import Step, always

STEPS: Final[tuple[Step, ...]] = (
    Step(
        names.LOCK,
        "Locking the database against other deploys",
        before.lock_database,
        applies=before.uses_database,
        again=guard.unlocked,  # held by the process, so each process takes it
    ),
    Step(
        names.CHECKOUT,
        "Checking the commit out beside the working copy",
        source.check_out,
        applies=source.of_commit,
        again=source.gone,
    ),
    Step(
        names.PREFLIGHT,
        "Checking tools and preparing the new version",
        before.preflight,
        undo=source.unbuild,
        again=before.not_armed,
    ),
    Step(
        names.PLAN,
        "Reading what is pending",
        before.make_plan,
        applies=before.migrates,
        again=before.not_armed,
    ),
    Step(
        names.APPROVE,
        "Asking the gate",
        before.approve,
        applies=before.migrates,
        again=before.not_armed,
    ),
    Step(
        names.QUIESCE,
        "Holding writers still",
        quiesce.close,
        undo=quiesce.undo,
        applies=quiesce.wanted,
        again=before.not_armed,  # it may have been started again meanwhile
    ),
    Step(
        names.BACKUP,
        "Taking a backup",
        before.take_backup,
        probe=before.probe_backup,
        undo=before.undo_backup,
        applies=before.takes_backup,
        again=before.backup_is_old,
    ),
    Step(
        names.VERIFY_BACKUP,
        "Reading the backup back",
        before.verify_backup,
        applies=before.takes_backup,
        again=before.backup_is_unread,
    ),
    Step(
        names.OFFSITE,
        "Copying the backup off-site",
        offsite.copy_backup,
        probe=offsite.probe_copy,
        applies=offsite.copies,
        again=offsite.another,
    ),
    Step(
        names.ARM,
        "Recording how production is",
        before.arm,
        arms=True,  # the point of first change: from here on a failure decides the way back
    ),
    Step(
        names.MIGRATE,
        "Migrating",
        change.migrate,
        probe=change.probe_migrate,
        applies=change.pending,
    ),
    Step(
        names.SCHEMA_OK,
        "Looking at the schema",
        change.schema_ok,
        applies=change.pending,
        again=always,  # a person, or a way back that was given up, may have moved it since
    ),
    Step(
        names.UPDATE_APP,
        "Updating the application",
        change.update_app,
        applies=change.has_target,
    ),
    Step(
        names.HEALTH,
        "Waiting until it is healthy",
        change.health,
        applies=change.checks_health,
    ),
    Step(
        names.VERIFY_DATA,
        "Asking the verification statements",
        change.verify_data,
        applies=change.verifies_data,
    ),
    Step(
        names.OPEN_UP,
        "Letting writers in again",
        quiesce.open_up,
        applies=quiesce.holds,
    ),
    Step(
        names.BAKE,
        "Watching it for a while",
        change.bake,
        applies=change.bakes,  # begun again after a crash: nobody watched meanwhile
    ),
    Step(names.COMMIT, "Committing", committing.commit),
)
