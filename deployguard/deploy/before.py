"""The steps before the first change: lock, look, plan, approve, back up, arm. Stopping in any of them is safe."""

from shlex import quote

from deployguard import gate
from deployguard.deploy import foreseen, guard, names, offsite, slots, source, telling
from deployguard.deploy.facts import plan_evidence
from deployguard.deploy.release import release_document
from deployguard.deploy.run import Run, mapping, strings, text
from deployguard.deploy.shape import schema_mark
from deployguard.deploy.step import Evidence, Probed, Repeat, Settled
from deployguard.errors import (
    ApprovalMissing,
    BackupFailed,
    Busy,
    EnvironmentUnreachable,
    Refused,
    UsageError,
)
from deployguard.gate import Mode
from deployguard.model import Allowed, Approval, BackupRecord, Decision, Denied, Json, Plan
from deployguard.targets.base import UpdateFailed


def armed(run: Run) -> bool:
    """Whether the point of first change is passed."""
    return run.done(names.ARM) is not None


def not_armed(run: Run) -> bool:
    return not armed(run)


def migrates(run: Run) -> bool:
    """Whether this deploy concerns the database's schema at all."""
    return run.options.mode is not Mode.SKIP


def uses_database(run: Run) -> bool:
    return migrates(run) or run.options.backup


def takes_backup(run: Run) -> bool:
    """As the plan demanded it when it was made, or as it was asked for; never of a file that isn't there yet."""
    plan = run.of(names.PLAN)
    wanted = run.options.backup or plan.get("needs_backup") is True
    return wanted and plan.get("absent") is not True


def lock_database(run: Run) -> Evidence:
    """The lock inside the database server, which keeps a deploy from another host out. A crash frees it."""
    database = run.held.enter_context(run.world.database())
    identity = database.identity()
    _same_database(run, identity)
    run.lock = run.held.enter_context(database.advisory_lock(identity))
    database.close()  # the lock has a connection of its own; this one is only in the way of a restore
    return {
        "database": identity,
        "by": run.world.by,
        "session": run.lock.session(),
        "place": run.world.place,
    }


def _same_database(run: Run, identity: str) -> None:
    """What a run began on one database is never gone on with, or taken back, on another."""
    former = text(run.of(names.LOCK), "database") or text(run.subject.of(names.LOCK), "database")
    if former and former != identity:
        raise Busy(
            f"{run.subject.deploy.kind} {run.subject.id} was made on the database {former}, but the environment"
            f" {run.deploy.environment!r} now leads to {identity}.",
            state="This command changed nothing.",
            next_commands=(f"deployguard show {run.subject.id}",),
        )


def preflight(run: Run) -> Evidence:
    """Everything that can be found out to be missing before anything is touched."""
    world, asked = run.world, run.options
    health = world.environment.health
    if asked.health_check and not health.asks and not health.verify_sql:
        raise UsageError(
            "--health-check has nothing to check: [health] names neither urls, checks nor verify_sql.",
            next_commands=(f"$EDITOR {world.config_path}",),
        )
    if asked.quiesce and world.quiescer is None:
        raise UsageError(
            "--quiesce has nothing to hold still: [quiesce] names neither services, maintenance_file nor on.",
            next_commands=(f"$EDITOR {world.config_path}",),
        )
    world.target.preflight()
    if world.quiescer is not None:
        world.quiescer.preflight()
    if migrates(run):
        world.migrator.preflight()
    if asked.backup:
        offsite.ready(world)
    evidence = source.build(run)
    world.target.prepare()
    if uses_database(run):
        slots.sweep(world)
    updates = foreseen.told(world)
    for sentence in updates:
        world.reporter.note(sentence)
    return evidence | ({"updates": list(updates)} if updates else {})


def make_plan(run: Run) -> Evidence:
    """Read what is pending now; a plan that differs from the one this deploy began with is another plan."""
    with (
        run.world.database() as database
    ):  # the files first: one that changes meanwhile is found later
        files = guard.would_run(run, run.world.revisions(database))
    plan = run.world.assess()
    former = text(run.of(names.PLAN), "digest")
    if former and former != plan.digest:
        raise ApprovalMissing(
            f"What would run has changed since deploy {run.id} began: the plan was {former[:12]} and is now "
            f"{plan.digest[:12]}.",
            next_commands=(f"deployguard check --env {plan.environment}",),
        )
    guard.refuse_elsewhere(run, plan)
    run.plan = plan
    run.world.journal.set_plan(run.id, plan.digest, gate.document(plan))
    needed = gate.needs_backup(plan, asked=run.options.backup)
    with run.world.database() as database:
        # A SQLite file that the migration will make; no server says 0.
        absent = database.size() == 0
    if needed and absent:
        run.world.reporter.note("There is no database yet, so there is nothing to back up.")
    elif needed:
        offsite.ready(run.world)
    run.world.reporter.show_plan(plan, _decide(run, plan, None))
    return plan_evidence(plan, needs_backup=needed) | {"absent": absent, "would_run": files}


def approve(run: Run) -> Evidence:
    """Let the gate decide, with the approval that was given, found, or is asked for now."""
    plan = run.plan
    if plan is None:
        raise AssertionError("the plan step runs in every process that comes here")
    given = _given(run, plan)
    found = [*given, *_unused(run, plan), None]
    decisions = [(_decide(run, plan, approval), approval) for approval in found]
    allowed = next((pair for pair in decisions if isinstance(pair[0], Allowed)), decisions[0])
    decision, approval = allowed
    if isinstance(decision, Denied) and decision.needs_approval:
        approval = telling.ask_approval(run, plan)
        if approval is not None:
            given, decision = (approval,), _decide(run, plan, approval)
    if isinstance(decision, Denied):
        raise _refused(run, plan, decision)
    kept = run.world.journal.approvals(plan.digest)
    for fresh in (approval for approval in given if approval not in kept):
        run.world.journal.approve(plan.environment, fresh)
    evidence: Evidence = {"digest": plan.digest, "because": decision.because}
    return evidence | ({"by": approval.by, "reason": approval.reason} if approval else {})


def _decide(run: Run, plan: Plan, approval: Approval | None) -> Decision:
    world = run.world
    return gate.decide(plan, world.environment.policy, approval, world.clock(), run.options.mode)


def _given(run: Run, plan: Plan) -> tuple[Approval, ...]:
    digest = run.options.approve
    if not digest:
        return ()
    if not gate.is_approved_by(digest, plan):
        pending = ", ".join(v.revision.id for v in plan.verdicts) or "nothing"
        raise ApprovalMissing(
            f"--approve {digest} is not this plan's digest. The plan now is: {pending} "
            f"({plan.risk or 'no'} risk), digest {plan.digest}.",
            next_commands=(
                f"deployguard check --env {plan.environment}",
                _approving_command(run, plan),
            ),
        )
    # It was given when the deploy was asked for; a resume by somebody else, later, does not give it anew.
    return (Approval(plan.digest, run.deploy.by, run.options.reason, run.deploy.started),)


def _unused(run: Run, plan: Plan) -> tuple[Approval, ...]:
    """The approvals of this plan that no other deploy has used: one covers one crossing of the first change."""
    used = run.world.journal.last_done(plan.digest, names.ARM, other_than=run.id)
    kept = run.world.journal.approvals(plan.digest)
    return tuple(approval for approval in kept if used is None or approval.at > used)


def _refused(run: Run, plan: Plan, decision: Denied) -> Refused:
    kind = ApprovalMissing if decision.needs_approval else Refused
    return kind(
        f"Not migrated: {'; '.join(decision.reasons)}. The plan's digest is {plan.digest}.",
        next_commands=(
            *([] if plan.commit else [f"deployguard check --env {plan.environment}"]),
            _approving_command(run, plan),
        ),
    )


def _approving_command(run: Run, plan: Plan) -> str:
    asked = run.options
    words = ["deployguard deploy", f"--{asked.mode}-migrate", f"--env {plan.environment}"]
    words += [f"--ref {quote(asked.ref)}"] if asked.ref else []
    words += ["--backup"] if asked.backup else []
    words += ["--quiesce"] if asked.quiesce else []
    words += ["--health-check"] if asked.health_check else []
    return " ".join([*words, f"--approve {plan.digest}"])


def take_backup(run: Run) -> Evidence:
    """Back the database up; where writing stood is noted first, so that what came after can be counted."""
    with run.world.database() as database:
        name = slots.name_of(run.id) if slots.wanted(run) else ""
        run.note(names.BACKUP, mark=database.writes_mark(), slot=name, slot_dropped="")
    record = run.world.take_backup("pre-deploy", run.id)
    return backup_evidence(record) | {"slot": run.world.backup_slot(record)}


def backup_is_old(run: Run) -> bool:
    """Whether a resume before the first change must take the backup anew: it is proven current, or it is not."""
    if armed(run):
        return False
    mark = run.noted(names.BACKUP).get("mark")
    if mark is None:
        return True
    with run.world.database() as database:
        return run.world.writes_since(database, mark) != 0


def backup_is_unread(run: Run) -> bool:
    """Whether the backup is another one than that which was read back."""
    read = text(run.of(names.VERIFY_BACKUP), "id")
    return not armed(run) and read != text(run.of(names.BACKUP), "id")


def probe_backup(run: Run) -> Probed:
    """A backup is there when its manifest is: that is written last.

    One that an earlier attempt of this deploy sealed is another: where writing stood was noted anew since.
    """
    record = run.world.find_backup("pre-deploy", run.id)
    if record is None or record.id == text(run.of(names.BACKUP), "id"):
        return Repeat("there is no sealed backup of this attempt")
    return Settled(backup_evidence(record) | {"slot": run.world.backup_slot(record)})


def backup_evidence(record: BackupRecord) -> Evidence:
    files: dict[str, Json] = {name: digest for name, (_, digest) in record.files.items()}
    return {
        "id": record.id,
        "folder": record.folder,
        "bytes": record.size,
        "seconds": record.seconds,
        "sha256": files,
    }


def undo_backup(run: Run) -> None:
    """A half-written backup is removed; a complete one stays, it harms nobody. Its slot goes, which keeps log."""
    slots.drop(run, "the deploy stopped before its first change")
    run.world.sweep_backups()


def verify_backup(run: Run) -> Evidence:
    """Read the whole backup back. Without this nothing is migrated that needs one."""
    name = text(run.of(names.BACKUP), "id")
    record = run.world.find_backup("pre-deploy", run.id)
    if record is None or record.id != name:
        raise BackupFailed(f"The backup {name} that was just taken is not there any more.")
    verification = run.world.backups.verify(record)
    if not verification.ok:
        raise BackupFailed(
            f"The backup {name} could not be read back: {'; '.join(verification.evidence)}.",
            state="Nothing was migrated and nothing else changed.",
            next_commands=(f"deployguard backup verify {name}", "deployguard backup list"),
        )
    return {"id": name, "ok": True, "evidence": list(verification.evidence)}


def release_evidence(run: Run) -> Evidence:
    """What the application runs now."""
    try:
        release = run.world.target.current()
    except UpdateFailed as error:  # it speaks of an update; nothing was updated here
        raise EnvironmentUnreachable(error.message) from error
    return release_document(release)


def _as_planned(run: Run, current: tuple[str, ...], *, size: int) -> None:
    """Raises Refused when the database or what would run is not what was planned, approved and backed up."""
    plan, why = run.of(names.PLAN), ""
    planned = strings(plan, "current")
    different = guard.differences(mapping(plan, "would_run"), guard.would_run(run, planned))
    if set(current) != set(planned):
        why = (
            f"The database moved from {', '.join(planned) or 'no revision'} to "
            f"{', '.join(current) or 'no revision'} since the plan was made: somebody else migrates it."
        )
    elif different:
        why = f"What would run has changed since the plan was made: {'; '.join(different)}."
    elif plan.get("absent") is True and size:
        why = (
            "There was no database when the plan was made, so no backup was taken; "
            "now there is one: somebody made it, or its volume was mounted late."
        )
    if why:
        raise Refused(why, next_commands=(f"deployguard check --env {run.deploy.environment}",))


def arm(run: Run) -> Evidence:
    """Write down how production is, at the last moment at which nothing has been changed."""
    if guard.lock_lost(run):
        raise Refused(
            "The lock in the database server was lost: its session was ended, or the server was replaced.",
            next_commands=(f"deployguard status --env {run.deploy.environment}",),
        )
    evidence = release_evidence(run)
    if not migrates(run):
        return evidence
    with run.world.database() as database:
        current = run.world.revisions(database)
        _as_planned(run, current, size=database.size())
        evidence |= schema_mark(database, run.world.project.version_table)
        mark = run.noted(names.BACKUP).get("mark")
        if mark is not None:
            evidence["writes_before"] = run.world.writes_since(database, mark)
    return evidence | {"current": list(current)}
