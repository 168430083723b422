"""RECOVERY and ROLLBACK: the steps of the way back, for a deploy that failed and for `deployguard rollback`."""

from typing import Final

from deployguard.deploy import (
    asking,
    decision,
    export,
    guard,
    names,
    quiesce,
    source,
    source_back,
    to_ref,
    undo,
)
from deployguard.deploy.before import lock_database, undo_backup, uses_database
from deployguard.deploy.step import Step

_CHECKOUT: Final = "Checking the commit out beside the working copy"

_WAYS: Final[tuple[Step, ...]] = (
    Step(
        names.CHECKOUT,
        _CHECKOUT,
        source.check_out,
        applies=source_back.downgrades_by,
        again=source_back.missing,
    ),
    Step(
        names.VERIFY_AGAIN,
        "Reading the backup back once more",
        undo.verify_again,
        applies=decision.restores,
        again=undo.unfinished,
    ),
    Step(
        names.STOP_APP,
        "Stopping the application",
        undo.stop_app,
        applies=decision.stops_app,
        again=undo.unfinished,
    ),
    Step(
        names.LOOK_AGAIN,
        "Looking whether anybody wrote meanwhile",
        undo.look_again,
        applies=decision.is_automatic,
        again=undo.unfinished,
    ),
    Step(
        names.DOWNGRADE,
        "Downgrading the schema",
        undo.downgrade,
        probe=undo.probe_downgrade,
        applies=decision.downgrades,
    ),
    Step(
        names.EXPORT,
        "Writing down what others wrote since the backup",
        export.export,
        applies=export.applies,
        again=undo.unfinished,  # while nobody watched, more may have been written
    ),
    Step(
        names.RESTORE,
        "Restoring the backup into a new database and swapping it in",
        undo.restore,
        applies=decision.restores,
    ),
    Step(
        names.SCHEMA_BACK,
        "Looking at the schema",
        undo.schema_back,
        applies=decision.changes_schema,
    ),
    Step(
        names.APP_BACK,
        "Putting the previous application back",
        undo.app_back,
        applies=decision.puts_app_back,
    ),
    Step(
        names.HEALTH_BACK,
        "Waiting until it is healthy",
        undo.health_back,
        applies=decision.checks_health,
    ),
    Step(
        names.OPEN_UP,
        "Letting writers in again",
        quiesce.open_up,
        applies=quiesce.holds,
    ),
)

# After a failure past the point of first change; the same run goes on with these.
RECOVERY: Final[tuple[Step, ...]] = (
    Step(
        names.LOCK,
        "Locking the database against other deploys",
        lock_database,
        applies=uses_database,
        again=guard.unlocked,  # a resume comes here without the road before
    ),
    Step(names.DECIDE, "Deciding the way back", decision.decide, again=undo.void),
    *_WAYS,
)

# `deployguard rollback`: a run of its own.
ROLLBACK: Final[tuple[Step, ...]] = (
    Step(
        names.LOCK,
        "Locking the database against other deploys",
        lock_database,
        applies=decision.concerns_database,
        again=guard.unlocked,  # held by the process, so each process takes it
    ),
    Step(
        names.CHECKOUT,
        _CHECKOUT,
        source.check_out,
        applies=source_back.decides_by,
        again=source_back.missing,
    ),
    Step(
        names.CHECKOUT_REF,
        "Checking the commit out that it goes back to",
        to_ref.check_out,
        applies=to_ref.wanted,
        again=to_ref.missing,
    ),
    Step(names.DECIDE, "Deciding the way back", decision.decide_rollback),
    Step(
        names.CONFIRM,
        "Asking for confirmation",
        asking.confirm,
        applies=asking.needs_confirmation,
        again=undo.unfinished,  # it asks again when the numbers are others than those that were confirmed
    ),
    Step(
        names.SAFETY_NET,
        "Taking an emergency backup of the present",
        asking.safety_net,
        probe=asking.probe_safety_net,
        undo=undo_backup,
        applies=asking.takes_safety_net,
    ),
    Step(
        names.EMERGENCY,
        "Keeping what runs under an emergency tag",
        to_ref.keep,
        applies=to_ref.wanted,
    ),
    Step(
        names.BUILD,
        "Building the commit that it goes back to",
        to_ref.build,
        applies=to_ref.wanted,
    ),
    Step(
        names.ARM,
        "Recording the point of first change",
        asking.arm,
        arms=True,
    ),
    *_WAYS,
    Step(names.CLOSE, "Closing the deploy that was taken back", undo.close),
)
