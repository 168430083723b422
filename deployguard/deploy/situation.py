"""Measure what the choice of the way back needs: where the schema is, what would be lost, who has written."""

from collections.abc import Sequence
from dataclasses import replace

from deployguard.database import Database
from deployguard.database.changes import Changes, per_table
from deployguard.deploy import names, running, slots
from deployguard.deploy.facts import (
    PlannedRevision,
    applied,
    may_stay,
    planned,
    straight,
)
from deployguard.deploy.lossless import lossless
from deployguard.deploy.rollback import AppPhase, Situation
from deployguard.deploy.run import Run, strings, text
from deployguard.deploy.shape import catalogue_digest
from deployguard.deploy.step import Evidence
from deployguard.errors import DeployguardError, EnvironmentUnreachable
from deployguard.gate import jsonable


def measure(run: Run, *, committed: bool = False, acting: bool = True) -> Situation:
    """The situation of a deploy, from its journal and from the world.

    ``committed``: it is in service. ``acting``: the way back is past its first change, so what still works for the
    deploy is ended; without it nothing is touched, and what works is only told.
    """
    before = strings(run.of(names.ARM), "current")
    family = running.family(run)
    phase = _phase(run, committed=committed)
    if not any(one.begun(step) for one in family for step in _CHANGES):
        # We never touched the schema: whatever others did to it is not ours to take back.
        return Situation(before, before, before, app=phase)
    goal = strings(run.of(names.PLAN), "heads")
    dark = Situation(before, goal, None, app=phase)
    gone_back = any(one.begun(step) for one in family for step in (names.DOWNGRADE, names.RESTORE))
    looked = run.done(names.SCHEMA_OK) is not None  # and it was there
    try:
        said_well = not looked and not gone_back and running.said_well(run)
        if acting:
            running.end(family)
        dark = replace(dark, claimed=said_well, running=running.programs(family))
    except EnvironmentUnreachable:
        dark = replace(dark, running=None)
    try:
        if not dark.running:  # else they work for a program that is there
            left = running.end_sessions(family) if acting else running.sessions(family)
            dark = replace(dark, survivors=left)
        with run.world.database() as database:
            # Its locks would keep a count waiting, and it decides anyway.
            if dark.running != () or dark.survivors:
                return replace(dark, now=run.world.revisions(database))
            return _measure(run, database, dark)
    except EnvironmentUnreachable:
        return dark


_CHANGES = (names.MIGRATE, names.DOWNGRADE, names.RESTORE)


def _measure(run: Run, database: Database, known: Situation) -> Situation:
    arm, revisions = run.of(names.ARM), planned(run.of(names.PLAN))
    before, now = known.before, run.world.revisions(database)
    done = applied(revisions, before, now)
    loses, why = (
        (None, "the revision is not on the planned way")
        if done is None
        else lossless(database, done)
    )
    partial, unseen = may_stay(revisions, done or ())
    former = strings(arm, "invalid")
    later = run.world.writes_since(database, arm["mark"]) if "mark" in arm else None
    bound = _writes(arm, later)
    counted = slots.changes(run, database)
    exact = counted.writes
    return replace(
        known,
        now=now,
        known=done is not None,
        schema_changed=_schema(run, database) != text(arm, "catalogue"),
        invalid=tuple(name for name in database.invalid_indexes() if name not in former),
        partial=partial,
        unseen=unseen,
        later=later,
        stoppable=run.world.target.can_stop,
        expand_only=expand_only(done),
        lossless=loses,
        lossless_why=why,
        straight=straight(before, done or ()),
        writes=bound if exact is None else exact,
        exact=exact is not None,
        wrote=_wrote(bound, counted),
        lost=per_table(counted),
        hidden=counted.hidden,
        backup=text(run.of(names.BACKUP), "id"),
        verified=run.of(names.VERIFY_BACKUP).get("ok") is True,
        locked=_locked(run),
    )


def _schema(run: Run, database: Database) -> str:
    return catalogue_digest(database.catalogue(), run.world.project.version_table)


def _locked(run: Run) -> str:
    """Why the backup of a deploy cannot be opened here; "" when it can, or is not there."""
    record = run.world.find_backup("pre-deploy", run.id)
    try:
        if record is not None:
            run.world.openable(record)
    except DeployguardError as error:
        return error.message.rstrip(".")
    return ""


def expand_only(done: Sequence[PlannedRevision] | None) -> bool:
    """E: every revision that ran only adds, as the rules judged it."""
    return done is not None and all(revision.expand_only for revision in done)


def _writes(arm: Evidence, later: int | None) -> int | None:
    """W: what others wrote between backup and arming, plus since then; None is unknown."""
    first = arm.get("writes_before")
    return first + later if isinstance(first, int) and later is not None else None


def _wrote(bound: int | None, counted: Changes) -> str:
    """W with its evidence: what the slot holds, else the bound, else why nothing is known."""
    besides = f"; not shown by it: {', '.join(counted.hidden)}" if counted.hidden else ""
    if counted.writes is not None:
        return f"slot: {counted} since the backup{besides}"
    held = counted.missing or f"slot: {counted}{besides}"
    if bound is None:
        return f"unknown ({held})"
    return (
        f"at most {bound} transaction(s) since the backup, the migration's own among them ({held})"
    )


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
