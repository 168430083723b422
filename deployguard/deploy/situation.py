"""Measure what the choice of the way back needs: where the schema is, what would be lost, who has written."""

from collections.abc import Sequence

from deployguard.database import Database
from deployguard.deploy import migration, names
from deployguard.deploy.facts import PlannedRevision, applied, catalogue_digest, planned
from deployguard.deploy.lossless import lossless
from deployguard.deploy.rollback import AppPhase, Situation
from deployguard.deploy.run import Run, strings, text
from deployguard.deploy.step import Evidence
from deployguard.errors import EnvironmentUnreachable
from deployguard.gate import jsonable


def measure(run: Run, *, committed: bool = False) -> Situation:
    """The situation of a deploy, from its journal and from the world. ``committed``: it is in service."""
    before = strings(run.of(names.ARM), "current")
    if not run.begun(names.MIGRATE):
        # We never touched the schema: whatever others did to it is not ours to take back.
        return Situation(before, before, before, app=_phase(run, committed=committed))
    try:
        left = migration.end_sessions(run)
        with run.world.database() as database:
            return _measure(run, database, left, committed=committed)
    except EnvironmentUnreachable:
        goal = strings(run.of(names.PLAN), "heads")
        return Situation(before, goal, None, app=_phase(run, committed=committed))


def _measure(run: Run, database: Database, left: int, *, committed: bool) -> Situation:
    arm = run.of(names.ARM)
    before, goal = strings(arm, "current"), strings(run.of(names.PLAN), "heads")
    now = run.world.revisions(database)
    done = applied(planned(run.of(names.PLAN)), before, now)
    loses, why = (
        (None, "the revision is not on the planned way")
        if done is None
        else lossless(database, done)
    )
    former = strings(arm, "invalid")
    return Situation(
        before=before,
        planned=goal,
        now=now,
        known=done is not None,
        schema_changed=_schema(run, database) != text(arm, "catalogue"),
        survivors=left,
        invalid=tuple(name for name in database.invalid_indexes() if name not in former),
        app=_phase(run, committed=committed),
        stoppable=run.world.target.can_stop,
        expand_only=expand_only(done),
        lossless=loses,
        lossless_why=why,
        writes=_writes(run, database),
        backup=text(run.of(names.BACKUP), "id"),
        verified=run.of(names.VERIFY_BACKUP).get("ok") is True,
    )


def _schema(run: Run, database: Database) -> str:
    return catalogue_digest(database.catalogue(), run.world.project.version_table)


def expand_only(done: Sequence[PlannedRevision] | None) -> bool:
    """E: every revision that ran only adds, as the rules judged it."""
    return done is not None and all(revision.expand_only for revision in done)


def _writes(run: Run, database: Database) -> int | None:
    """W: what others wrote between backup and arming, plus since then; None is unknown."""
    arm = run.of(names.ARM)
    first = arm.get("writes_before")
    if not isinstance(first, int) or "mark" not in arm:
        return None
    later = run.world.writes_since(database, arm["mark"])
    return None if later is None else first + later


def _phase(run: Run, *, committed: bool) -> AppPhase:
    if committed or run.done(names.HEALTH) is not None or run.done(names.COMMIT) is not None:
        return AppPhase.SERVED if run.begun(names.UPDATE_APP) else AppPhase.UNTOUCHED
    if not run.begun(names.UPDATE_APP):
        return AppPhase.UNTOUCHED
    # Updated and never looked at: it may have taken requests for as long as nobody asked.
    updated = run.done(names.UPDATE_APP) is not None
    looked = run.begun(names.HEALTH)
    return AppPhase.SERVED if updated and not looked else AppPhase.SWITCHED


def evidence(seen: Situation) -> Evidence:
    """The situation as the journal keeps it."""
    document = jsonable(seen)
    return document if isinstance(document, dict) else {}
