"""RESTORING: the steps of `deployguard backup restore`, which puts any backup in the place of the database."""

from typing import Final

from deployguard import backups
from deployguard.deploy import asking, guard, names, undo
from deployguard.deploy.before import backup_evidence, lock_database, undo_backup
from deployguard.deploy.change import StepFailed, has_target
from deployguard.deploy.run import Run, listed, strings, text
from deployguard.deploy.step import Evidence, Step
from deployguard.errors import (
    ApprovalMissing,
    BackupFailed,
    EnvironmentUnreachable,
)
from deployguard.model import BackupRecord

WITHOUT: Final = "without"  # what is typed to go on when no emergency backup can be taken


def _record(run: Run) -> BackupRecord:
    return run.world.named_backup(text(run.deploy.options, "backup"))


def verify(run: Run) -> Evidence:
    """Nothing is replaced by a backup that cannot be read to its end today."""
    record = _record(run)
    if not record.scope.whole:
        folder = run.world.config_path.parent / run.world.environment.backup.directory
        backups.whole_only(folder.resolve(), record)
    run.world.openable(record)
    verification = run.world.backups.verify(record)
    if not verification.ok:
        raise BackupFailed(
            f"The backup {record.id} could not be read back: {'; '.join(verification.evidence)}.",
            state="The database was not touched.",
            next_commands=("deployguard backup list",),
        )
    return {"id": record.id, "evidence": list(verification.evidence)}


def unfinished(run: Run) -> bool:
    """Whether the backup is not in place yet, so that what was found out before must be found out again."""
    return not undo.restored(run, _record(run))


def confirm(run: Run) -> Evidence:
    """Say per table what would be lost; go on only when the backup's id is typed."""
    record = _record(run)
    mark = run.world.backup_mark(record)
    with run.world.database() as database:
        now, name = database.row_counts(), database.name
        same = record.database == name and mark is not None
        writes = run.world.writes_since(database, mark) if same else None
    warning = asking.losses(record, now, _wrote(writes))
    if takes_safety_net(run):
        warning = f"{warning} An emergency backup of the present is taken first."
    if record.database != name:
        warning = f"The backup is of ANOTHER DATABASE: {record.database}, not {name}. {warning}"
    former = run.done(names.CONFIRM)
    # How often was written grows by itself (autovacuum); that nobody has is a proof, and what rows are lost counts.
    lost: Evidence = {"rows": asking.losses(record, now, ""), "still": writes == 0}
    if former is not None and former.get("lost") == lost:
        return former
    given = "" if former is not None else text(run.deploy.options, "confirm")
    if record.id not in (run.typed, given) and not run.world.reporter.confirm(warning, record.id):
        raise ApprovalMissing(
            f"Not confirmed. {warning}", next_commands=(_confirming(run, record.id),)
        )
    return {"by": run.world.by, "warning": warning, "lost": lost}


def _confirming(run: Run, backup: str) -> str:
    """What says yes where nobody can be asked: a restore that has begun to change something can only be resumed."""
    begun = run.done(names.ARM) is not None
    what = "resume" if begun else f"backup restore {backup}"
    return f"deployguard {what} --env {run.deploy.environment} --confirm {backup}"


def _wrote(writes: int | None) -> str:
    if writes is None:
        return "How much was written since the backup is unknown."
    if not writes:
        return "Nobody has written since the backup."
    return f"At most {writes} transaction(s) wrote since the backup."


def takes_safety_net(run: Run) -> bool:
    """Unless it was said beforehand that none is to be taken."""
    return run.deploy.options.get("emergency") is True


def safety_net(run: Run) -> Evidence:
    """An emergency backup of the present, read back; where there can be none, only a person may go on without."""
    world = run.world
    try:
        record = world.find_backup("emergency", run.id)
        if record is None:
            world.backups.preflight()
            record = world.take_backup("emergency", run.id)
        found = world.backups.verify(record)
    except (BackupFailed, EnvironmentUnreachable) as error:
        return _without(run, error.message)
    if not found.ok:
        why = f"{record.id} could not be read back: {'; '.join(found.evidence)}"
        return _without(run, why)
    return backup_evidence(record)


def _without(run: Run, why: str) -> Evidence:
    warning = (
        f"No emergency backup of the present could be taken: {why.rstrip('.')}. The restore keeps the"
        " present database under another name, on the same server, and nothing else would have it."
    )
    if not run.world.reporter.confirm(warning, WITHOUT):
        name, env = _record(run).id, run.deploy.environment
        again = f"deployguard backup restore {name} --env {env} --confirm {name}"
        raise BackupFailed(
            warning,
            state="The database was not touched.",
            next_commands=(f"{again} --no-emergency-backup",),
        )
    return {"missing": why, "by": run.world.by}


def arm(run: Run) -> Evidence:
    """Write down what runs and which revision it was made for."""
    with run.world.database() as database:
        current = run.world.revisions(database)
    return asking.arm(run) | {"current": listed(current)}


def restore(run: Run) -> Evidence:
    """Swap the backup in. The store answers a second call with what the first one did."""
    guard.locked(run)
    kept = run.world.backups.kept_name(run.id)
    run.note(names.RESTORE, kept_as=kept)
    progress = run.world.reporter.progress
    done = run.world.backups.restore(_record(run), kept_as=kept, on_progress=progress)
    run.world.reporter.note(f"The database as it was before the restore is kept as {done.kept_as}.")
    return {
        "backup": text(run.deploy.options, "backup"),
        "kept_as": done.kept_as,
        "rows": dict(done.counts),
        "seconds": done.seconds,
    }


def look(run: Run) -> Evidence:
    """The revision must be the backup's."""
    with run.world.database() as database:
        now = run.world.revisions(database)
    goal = _record(run).revision
    if set(now) != set(goal):
        raise StepFailed(
            f"The database is at {', '.join(now) or 'no revision'} instead of "
            f"{', '.join(goal) or 'no revision'}."
        )
    return {"revision": listed(now)}


def stays_down(run: Run) -> bool:
    """The application was made for another revision than the backup's; started, it might migrate forward again."""
    before = strings(run.of(names.ARM), "current")
    return has_target(run) and set(before) != set(_record(run).revision)


def starts(run: Run) -> bool:
    return has_target(run) and not stays_down(run)


def start(run: Run) -> Evidence:
    run.world.target.start()
    return {}


def checks_health(run: Run) -> bool:
    return starts(run) and run.world.environment.health.asks


def ended(run: Run) -> str:
    """How it ended, in words for people."""
    kept = text(run.of(names.RESTORE), "kept_as")
    done = f"{_record(run).id} was restored; the former database is kept as {kept}"
    if not stays_down(run):
        return done
    revision = ", ".join(_record(run).revision) or "no revision"
    stopped = "THE APPLICATION IS STOPPED" if run.world.target.can_stop else "stop the application"
    return f"{done}; {stopped}: it was made for another revision than {revision}"


RESTORING: Final[tuple[Step, ...]] = (
    Step(
        names.LOCK,
        "Locking the database against other deploys",
        lock_database,
        again=guard.unlocked,  # held by the process, so each process takes it
    ),
    Step(names.VERIFY_AGAIN, "Reading the backup back", verify, again=unfinished),
    Step(names.CONFIRM, "Asking for confirmation", confirm, again=unfinished),
    Step(
        names.SAFETY_NET,
        "Taking an emergency backup of the present",
        safety_net,  # a second call finds what the first one took
        undo=undo_backup,
        applies=takes_safety_net,
    ),
    Step(names.ARM, "Recording the point of first change", arm, arms=True),
    Step(
        names.STOP_APP,
        "Stopping the application",
        undo.stop_app,
        applies=has_target,
        again=unfinished,
    ),
    Step(
        names.RESTORE,
        "Restoring the backup into a new database and swapping it in",
        restore,
    ),
    Step(names.SCHEMA_BACK, "Looking at the schema", look),
    Step(names.APP_BACK, "Starting the application again", start, applies=starts),
    Step(
        names.HEALTH_BACK,
        "Waiting until it is healthy",
        undo.health_back,
        applies=checks_health,
    ),
)
