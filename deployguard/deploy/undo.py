"""The steps of the way back that act: stop, downgrade or restore, put the application back, look again."""

from deployguard.deploy import migration, names, situation
from deployguard.deploy.change import StepFailed, former_release
from deployguard.deploy.decision import downgrades, own_backup, way, ways_by_hand
from deployguard.deploy.run import Run, listed, mapping, strings, text
from deployguard.deploy.step import Evidence, PersonNeeded, Probed
from deployguard.errors import BackupFailed
from deployguard.migrators.base import Job
from deployguard.state import Status


def verify_again(run: Run) -> Evidence:
    """Read the backup back now: it lay on a disk since the deploy."""
    record = own_backup(run.subject)
    if record is None:
        raise BackupFailed(f"The backup of deploy {run.subject.id} is not there any more.")
    verification = run.world.backups.verify(record)
    if not verification.ok:
        raise BackupFailed(
            f"The backup {record.id} could not be read back: {'; '.join(verification.evidence)}."
        )
    return {"id": record.id, "evidence": list(verification.evidence)}


def stop_app(run: Run) -> Evidence:
    run.world.target.stop()
    return {}


def look_again(run: Run) -> Evidence:
    """The application wrote until it was stopped: what the decision rests on must still hold."""
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
    return {"lossless": seen.lossless, "writes": seen.writes}


def _destination(run: Run) -> str:
    """The revision that a downgrade goes to."""
    decided = run.of(names.DECIDE)
    before = strings(decided, "before")
    return text(decided, "to") or (before[0] if before else "base")


def _downgrade_job(run: Run) -> Job:
    unlimited = 0 if run.subject.of(names.PLAN).get("concurrent_down") is True else None
    timeout = run.world.environment.migrate.timeout
    return Job(run.id, "downgrade", _destination(run), timeout, unlimited)


def downgrade(run: Run) -> Evidence:
    """Downgrade in the new version's environment: the old one does not know the new revisions."""
    ended = migration.drive(run, names.DOWNGRADE, _downgrade_job(run))
    with run.world.database() as database:
        now = run.world.revisions(database)
    destination = _destination(run)
    unseen = ended.code is None and set(now) == (set() if destination == "base" else {destination})
    if not ended.ok and not unseen:
        raise migration.failure(ended, now)
    return migration.evidence(ended, now)


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
    kept = run.world.backups.kept_name(run.id)
    run.note(names.RESTORE, kept_as=kept)
    restored = run.world.backups.restore(
        record, kept_as=kept, on_progress=run.world.reporter.progress
    )
    run.world.reporter.note(
        f"The database as it was before the restore is kept as {restored.kept_as}."
    )
    return {
        "backup": record.id,
        "kept_as": restored.kept_as,
        "rows": dict(restored.counts),
        "seconds": restored.seconds,
    }


def schema_back(run: Run) -> Evidence:
    """The revision must be the one that the way back leads to, and nothing may work on it any more."""
    destination = _destination(run)
    goal = set(strings(run.of(names.DECIDE), "before"))
    if downgrades(run):
        goal = set() if destination == "base" else {destination}
    elif (record := own_backup(run.subject)) is not None:
        goal = set(record.revision)
    left = migration.end_sessions(run)
    with run.world.database() as database:
        now = run.world.revisions(database)
    if set(now) != goal or left:
        raise StepFailed(
            f"The database is at {', '.join(now) or 'no revision'} instead of "
            f"{', '.join(sorted(goal)) or 'no revision'}; {left} session(s) of the migration still work."
        )
    return {"revision": listed(now)}


def app_back(run: Run) -> Evidence:
    """The previous release is started again; every database change is finished by now."""
    release = run.world.target.put_back(former_release(run.subject), run.id)
    return {"images": dict(release.images), "references": dict(release.references)}


def health_back(run: Run) -> Evidence:
    found = run.world.poll_health(lambda sample: run.world.reporter.progress(sample.detail))
    if not found.ok:
        raise StepFailed(f"After the way back the application is not healthy: {found.detail}")
    return {"detail": found.detail, "samples": len(found.samples)}


def close(run: Run) -> Evidence:
    """The deploy that was taken back is finished with this."""
    if run.subject is not run:
        run.world.journal.set_status(
            run.subject.id, Status.ROLLED_BACK, f"taken back by {run.id}: {way(run)}"
        )
    return {"deploy": run.subject.id}
