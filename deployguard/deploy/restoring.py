"""RESTORING: the steps of `deployguard backup restore`, which puts any backup in the place of the database."""

from typing import Final

from deployguard import backups
from deployguard.deploy import asking, guard, names, undo
from deployguard.deploy.before import lock_database
from deployguard.deploy.change import StepFailed, has_target
from deployguard.deploy.run import Run, listed, strings, text
from deployguard.deploy.step import Evidence, Step
from deployguard.errors import ApprovalMissing, BackupFailed
from deployguard.model import BackupRecord


def _record(run: Run) -> BackupRecord:
    world = run.world
    folder = (world.config_path.parent / world.environment.backup.directory).resolve()
    return backups.find(folder, text(run.deploy.options, "backup"), world.environment.name)


def verify(run: Run) -> Evidence:
    """Nothing is replaced by a backup that cannot be read to its end today."""
    record = _record(run)
    if not record.scope.whole:
        folder = run.world.config_path.parent / run.world.environment.backup.directory
        backups.whole_only(folder.resolve(), record)
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
    with run.world.database() as database:
        now, name = database.row_counts(), database.name
    warning = asking.losses(record, now, "How much was written since the backup is unknown.")
    if record.database != name:
        warning = f"The backup is of ANOTHER DATABASE: {record.database}, not {name}. {warning}"
    former = run.done(names.CONFIRM)
    if former is not None and text(former, "warning") == warning:
        return former
    given = "" if former is not None else text(run.deploy.options, "confirm")
    if given != record.id and not run.world.reporter.confirm(warning, record.id):
        raise ApprovalMissing(
            f"Not confirmed. {warning}",
            next_commands=(
                f"deployguard backup restore {record.id} --env {run.deploy.environment} --confirm {record.id}",
            ),
        )
    return {"by": run.world.by, "warning": warning}


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
    return starts(run) and bool(run.world.environment.health.urls)


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
