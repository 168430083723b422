"""Before anything is taken back: say what would be lost, ask, and take an emergency backup."""

from collections.abc import Mapping
from typing import Final

from deployguard.deploy import guard, names, situation, to_ref
from deployguard.deploy.before import backup_evidence, release_evidence
from deployguard.deploy.decision import downgrades, own_backup, restores, way
from deployguard.deploy.run import Run, strings, text
from deployguard.deploy.step import Evidence, Probed, Repeat, Settled
from deployguard.errors import ApprovalMissing, BackupFailed, DeployguardError, Refused
from deployguard.model import BackupRecord
from deployguard.state import Kind, Status

KEPT: Final = "It is kept whole, and no other backup of it is taken."


def needs_confirmation(run: Run) -> bool:
    """A restore always, a downgrade when it may lose data."""
    decided = run.of(names.DECIDE)
    to_before = text(decided, "to") in ("", *strings(decided, "before"))
    proven = decided.get("lossless") is True and to_before
    return restores(run) or (downgrades(run) and not proven)


def confirm(run: Run) -> Evidence:
    """Say per table what would be lost; go on only when the deploy's id is typed."""
    subject = run.subject
    said = warning(run)
    former = run.done(names.CONFIRM)
    if former is not None and text(former, "warning") == said:
        return former
    # What was typed beforehand was not meant for what has changed since it was first used.
    typed = subject.id in (run.typed, run.rollback.confirm if former is None else "")
    if not typed and not run.world.reporter.confirm(said, subject.id):
        flag = "--restore" if restores(run) else f"--to {text(run.of(names.DECIDE), 'to')}"
        back = f"deployguard rollback {subject.id}{to_ref.flag(run.rollback.to_ref)} {flag}"
        raise ApprovalMissing(
            f"Not confirmed. {said}",
            next_commands=(f"{back} --confirm {subject.id}",),
        )
    return {"by": run.world.by, "warning": said, "way": str(way(run))}


def warning(run: Run) -> str:
    """What the way back may lose, in words for the person who is to confirm it."""
    decided = run.of(names.DECIDE)
    if downgrades(run):
        why = text(decided, "lossless_why") or "what it drops was not measured"
        return f"The downgrade may lose data: {why}. An emergency backup is taken first."
    record = own_backup(run.subject)
    if run.done(names.CONFIRM) is not None:  # a resume: others may have gone on writing
        decided = situation.evidence(situation.measure(run.subject))
    if record is None:
        return "The backup is not there any more."
    with run.world.database() as database:
        now = database.row_counts()
    exact = decided.get("exact") is True
    return f"{losses(record, now, _wrote(decided), in_place=exact)} {KEPT}"


def _wrote(seen: Evidence) -> str:
    """What others wrote since the backup: row by row, else the bound, else that it is unknown."""
    writes = seen.get("writes")
    if seen.get("exact") is True:
        lines = "".join(f"\n    {line}" for line in strings(seen, "lost"))
        return (
            f"What others wrote since would be lost ({text(seen, 'wrote')}):{lines or ' nothing.'}"
        )
    if not isinstance(writes, int):
        return f"How much was written since the backup is {text(seen, 'wrote') or 'unknown'}."
    return (
        f"At most {writes} transaction(s) wrote since the backup, the migration's own among them."
    )


def losses(
    record: BackupRecord, now: Mapping[str, int], wrote: str, *, in_place: bool = False
) -> str:
    """What a restore of ``record`` would lose, per table that has other rows now.

    ``in_place``: ``wrote`` counts what was changed in place as well.
    """
    then = dict(record.counts)
    words = {table: f"{rows}" for table, rows in then.items()} | {
        table: "an unknown number" if rows is None else f"about {rows}"
        for table, rows in record.estimates.items()
    }
    rows = [
        f"    {table}: {now.get(table, 0)} rows now, {words.get(table, '0')} in the backup"
        for table in sorted({*now, *words})
        if now.get(table) != then.get(table)
    ]
    changed = "\n".join(rows) or "    every table has as many rows as in the backup"
    return (
        f"The restore puts the database back to {record.created:%Y-%m-%d %H:%M:%S %Z}. {wrote}\n{changed}\n"
        f"{'' if in_place else 'Rows that were changed in place are not counted. '}"
        "The present database is kept under another name."
    )


def safety_net(run: Run) -> Evidence:
    """An emergency backup of the present, read back, before anything is taken back."""
    record = run.world.take_backup("emergency", run.id)
    verification = run.world.backups.verify(record)
    if not verification.ok:
        raise BackupFailed(f"The emergency backup {record.id} could not be read back.")
    return backup_evidence(record)


def probe_safety_net(run: Run) -> Probed:
    record = run.world.find_backup("emergency", run.id)
    return Settled(backup_evidence(record)) if record else Repeat("there is none yet")


def takes_safety_net(run: Run) -> bool:
    """A restore keeps the present database whole, so it is its own safety net.

    A rename on PostgreSQL, a second name of the file on SQLite, the instance itself on RDS; nobody removes it but a
    person. A dump of it would only keep a failed production down for longer.
    """
    return downgrades(run)


def _sweep(run: Run, former: Run) -> None:
    """What the given up one may have left of its emergency backup goes with it: nobody would finish that any more."""
    if not former.begun(names.SAFETY_NET) or former.done(names.SAFETY_NET) is not None:
        return
    try:
        run.world.sweep_backups()
    except (DeployguardError, OSError) as error:
        run.world.reporter.note(f"What {former.id} left of a backup could not be removed: {error}")


def arm(run: Run) -> Evidence:
    """What runs now, at the last moment at which the rollback has changed nothing.

    From here on this is the rollback that counts: an earlier one of the same deploy that got stuck is given up.
    """
    if downgrades(run) and (why := guard.strange_image(run)):
        raise Refused(
            why, state="This command changed nothing.", next_commands=guard.lead_back(run)
        )
    for row in run.world.journal.history(run.deploy.environment, 1000):
        stuck = row.kind is Kind.ROLLBACK and row.unfinished and row.id != run.id
        if stuck and text(row.options, "deploy") == run.subject.id:
            _sweep(run, Run(run.world, row))
            run.world.journal.set_status(row.id, Status.FAILED, f"given up for {run.id}")
    return release_evidence(run)
