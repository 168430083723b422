"""The steps of the way back that act: stop, downgrade or restore, put the application back, look again."""

from dataclasses import replace
from typing import Final

from deployguard.backups.base import WrittenMeanwhile
from deployguard.database import Database
from deployguard.deploy import (
    guard,
    limits,
    migration,
    names,
    running,
    situation,
    source,
    to_ref,
)
from deployguard.deploy.change import StepFailed, former_release
from deployguard.deploy.decision import (
    downgrades,
    is_automatic,
    own_backup,
    way,
    ways_by_hand,
)
from deployguard.deploy.facts import planned
from deployguard.deploy.release import release_document
from deployguard.deploy.run import Run, listed, mapping, strings, text
from deployguard.deploy.shape import objects_of
from deployguard.deploy.step import Evidence, PersonNeeded, Probed
from deployguard.errors import BackupFailed
from deployguard.migrators.base import Absent, Job
from deployguard.model import BackupRecord, Vital
from deployguard.state import EventKind, Status

_SHOWN: Final = 6  # names of what differs, of a kind


def verify_again(run: Run) -> Evidence:
    """Read the backup back now: it lay on a disk since the deploy."""
    record = own_backup(run.subject)
    if record is None:
        raise BackupFailed(f"The backup of deploy {run.subject.id} is not there any more.")
    run.world.openable(record)
    verification = run.world.backups.verify(record)
    if not verification.ok:
        raise BackupFailed(
            f"The backup {record.id} could not be read back: {'; '.join(verification.evidence)}."
        )
    return {"id": record.id, "evidence": list(verification.evidence)}


def unfinished(run: Run) -> bool:
    """Whether the data did not go back yet, so that what was found out before must be found out again.

    While nobody watched, others may have written, and a person may have started the application.
    """
    if run.begun(names.RESTORE) and not restored(run, own_backup(run.subject)):
        return True
    if run.begun(names.RESTORE) or run.done(names.DOWNGRADE) is not None:
        return False
    if not run.begun(names.DOWNGRADE):
        return True
    if run.state(names.DOWNGRADE) is EventKind.INTENT:
        attempt = run.noted(names.DOWNGRADE).get("attempt")
        job = replace(_downgrade_job(run), attempt=attempt if isinstance(attempt, int) else 1)
        if not isinstance(run.world.migrator.probe(job), Absent):
            return False  # it runs, or its end is known: the step itself asks
    goal = set() if _destination(run) == "base" else {_destination(run)}
    with run.world.database() as database:
        return set(run.world.revisions(database)) != goal


def restored(run: Run, record: BackupRecord | None) -> bool:
    """Whether the backup is in the place of the database, whatever the journal knows of it."""
    if run.done(names.RESTORE) is not None:
        return True
    backups = run.world.backups
    return record is not None and backups.restored(record, kept_as=backups.kept_name(run.id))


def void(run: Run) -> bool:
    """Whether the decision no longer holds: the last look refused it, or a person went forward after it."""
    refused = run.state(names.LOOK_AGAIN) is EventKind.FAILED
    return unfinished(run) and (refused or not run.since(names.FORWARD, names.DECIDE))


def stop_app(run: Run) -> Evidence:
    if not run.world.target.can_stop:
        return {"skipped": "[target] names no way to"}
    if downgrades(run):
        guard.known_image(run)
    run.world.target.stop()
    return {}


def look_again(run: Run) -> Evidence:
    """The application wrote until it was stopped: what the decision rests on must still hold."""
    with run.world.database() as database:
        still = database.stillness()  # before it is measured: no write falls between the two
    seen = situation.measure(run.subject)
    holds = seen.lossless is True if downgrades(run) else seen.writes == 0
    if not holds:
        if run.done(names.STOP_APP) is not None:
            run.world.target.start()
        why = (
            seen.lossless_why
            if downgrades(run)
            else f"{seen.writes} transaction(s) wrote meanwhile"
        )
        raise PersonNeeded(
            f"The way back was stopped: {why}.",
            state="The data was not touched. The application runs again as it was before the way back.",
            next_commands=ways_by_hand(run.subject, seen),
        )
    return {"lossless": seen.lossless, "writes": seen.writes, "still": still}


def _destination(run: Run) -> str:
    """The revision that a downgrade goes to."""
    decided = run.of(names.DECIDE)
    before = strings(decided, "before")
    return text(decided, "to") or (before[0] if before else "base")


def _downgrade_job(run: Run) -> Job:
    unlimited = 0 if run.subject.of(names.PLAN).get("unlimited_down") is True else None
    settings = run.world.environment.migrate
    longest = limits.downgrade_timeout(settings, concurrent=unlimited == 0)
    return Job(
        run.id,
        "downgrade",
        _destination(run),
        settings.timeout,
        unlimited,
        statement_timeout=longest,
    )


def downgrade(run: Run) -> Evidence:
    """Downgrade in the new version's environment: the old one does not know the new revisions."""
    job = _downgrade_job(run)
    ended = migration.drive(run, names.DOWNGRADE, job, lambda: _repeats(run))
    with run.world.database() as database:
        now = run.world.revisions(database)
    destination = _destination(run)
    unseen = ended.code is None and set(now) == (set() if destination == "base" else {destination})
    if not ended.ok and not unseen:
        raise migration.failed(run, job, ended, now)
    return migration.evidence(run, names.DOWNGRADE, ended, now)


def _repeats(run: Run) -> str:
    """Why a second downgrade might do something twice; "" when each of its revisions is one transaction."""
    if _destination(run) not in strings(run.of(names.DECIDE), "before"):
        return "it goes further back than the plan, which says what may be repeated"
    steps = planned(run.subject.of(names.PLAN))
    return next((f"{one.id}: {one.down_non_atomic}" for one in steps if one.down_non_atomic), "")


def probe_downgrade(run: Run) -> Probed:
    seen = mapping(run.noted(names.DECIDE), "situation")
    destination = _destination(run)
    goal = frozenset(() if destination == "base" else (destination,))
    before = frozenset(strings(seen, "now"))
    return migration.probe(run, names.DOWNGRADE, _downgrade_job(run), before=before, goal=goal)


def restore(run: Run) -> Evidence:
    """Swap the backup in. The store answers a second call with what the first one did, so this can be repeated."""
    record = own_backup(run.subject)
    if record is None:
        raise BackupFailed(f"The backup of deploy {run.subject.id} is not there any more.")
    guard.locked(run)
    kept = run.world.backups.kept_name(run.id)
    run.note(names.RESTORE, kept_as=kept)
    still = run.of(names.LOOK_AGAIN).get("still", {}) if is_automatic(run) else None
    try:
        done = run.world.backups.restore(
            record, kept_as=kept, on_progress=run.world.reporter.progress, still=still
        )
    except WrittenMeanwhile as error:
        raise _written(run, error) from error
    run.world.reporter.note(f"The database as it was before the restore is kept as {done.kept_as}.")
    return {
        "backup": record.id,
        "kept_as": done.kept_as,
        "rows": dict(done.counts),
        "seconds": done.seconds,
    }


def _written(run: Run, error: WrittenMeanwhile) -> PersonNeeded:
    """Nothing was lost and nothing was swapped: the application is started as it was, and a person decides."""
    run.record(names.LOOK_AGAIN, EventKind.FAILED, {"error": error.message})
    if run.done(names.STOP_APP) is not None:
        run.world.target.start()
    return PersonNeeded(
        f"The way back was stopped: {error.message}",
        state="The data was not touched. The application runs again as it was before the way back.",
        next_commands=ways_by_hand(run.subject),
    )


def schema_back(run: Run) -> Evidence:
    """The revision must be the one that the way back leads to, and nothing may work on it any more."""
    destination = _destination(run)
    goal = set(strings(run.of(names.DECIDE), "before"))
    if downgrades(run):
        goal = set() if destination == "base" else {destination}
    elif (record := own_backup(run.subject)) is not None:
        goal = set(record.revision)
    left = migration.end_sessions(run)
    arm = run.subject.of(names.ARM)
    with run.world.database() as database:
        now = run.world.revisions(database)
        if set(now) != goal or left:
            raise StepFailed(
                f"The database is at {', '.join(now) or 'no revision'} instead of "
                f"{', '.join(sorted(goal)) or 'no revision'}; {left} session(s) of the migration still work."
            )
        former = strings(arm, "current")
        if downgrades(run) and goal == set(former) and "objects" in arm:
            _as_before(run, database, strings(arm, "objects"), strings(arm, "invalid"))
    return {"revision": listed(now)}


def _as_before(
    run: Run, database: Database, objects: tuple[str, ...], invalid: tuple[str, ...]
) -> None:
    """The version table only knows whole revisions: a part of one that failed outlives every downgrade.

    What the schema is made of is compared, not its text: a column that was dropped and made again comes last.
    """
    there = set(objects_of(database.catalogue(), run.world.project.version_table))
    more, fewer = sorted(there - set(objects)), sorted(set(objects) - there)
    spoilt = sorted(set(database.invalid_indexes()) - set(invalid))
    wrong = [
        f"{what}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
        for what, names in (("more", more), ("missing", fewer), ("invalid", spoilt))
        if names
    ]
    if wrong:
        raise StepFailed(
            "The database is at the revision of before, but its schema is not as it was "
            f"({'; '.join(wrong)}): a part of a revision stayed"
        )


def app_back(run: Run) -> Evidence:
    """The previous release is started again; every database change is finished by now."""
    wanted = to_ref.release(run) if to_ref.wanted(run) else former_release(run.subject)
    return release_document(run.world.target.put_back(wanted, run.id))


_NOT: Final = {Vital.UNHEALTHY: "not healthy", Vital.INCONCLUSIVE: "perhaps not healthy"}


def health_back(run: Run) -> Evidence:
    found = run.world.poll_health(lambda sample: run.world.reporter.progress(sample.detail))
    if not found.ok:
        raise StepFailed(
            f"After the way back the application is {_NOT[found.vital]}: {found.detail}"
        )
    return {"detail": found.detail, "samples": len(found.samples)}


def close(run: Run) -> Evidence:
    """The deploy that was taken back is finished with this."""
    running.tidy(running.family(run.subject))
    source.taken_back(run.subject)
    if run.subject is not run:
        run.world.journal.set_status(
            run.subject.id, Status.ROLLED_BACK, f"taken back by {run.id}: {way(run)}"
        )
    return {"deploy": run.subject.id}
