"""Reports as JSON documents; the shape is promised in docs/report-schema.md."""

import json
from datetime import datetime

from deployguard.formats.report import (
    BackupEntry,
    CheckReport,
    DeployView,
    StatusReport,
    StepView,
)
from deployguard.model import (
    Drilled,
    Finding,
    Json,
    OffsiteCopy,
    Pin,
    Script,
    Verdict,
    Verification,
)


def render(document: Json) -> str:
    """One JSON document with a newline at its end; keys keep their order."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    # Half a character cannot be written; as its escape it is JSON again.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_document(report: CheckReport) -> Json:
    """The report of ``check`` as ``deployguard.check/1``."""
    plan = report.plan
    return {
        "schema": "deployguard.check/1",
        "environment": plan.environment,
        "database": plan.target,
        "dialect": plan.dialect,
        "current": list(plan.current),
        "heads": list(plan.heads),
        "level": str(plan.open_risk) if plan.open_risk else None,
        "level_with_accepted": str(plan.risk) if plan.risk else None,
        "pending": len(plan.verdicts),
        "fail_on": str(report.fail_on),
        "failed": report.failed,
        "policy": {
            "approval": str(plan.requirement.approval),
            "backup": str(plan.requirement.backup),
        },
        "needs_approval": report.needs_approval,
        "needs_backup": report.needs_backup,
        "answers": {
            "drops": plan.answers.drops,
            "bulk_data": plan.answers.bulk_data,
            "blocks": plan.answers.blocks,
            "way_back": plan.answers.way_back,
        },
        "evidence": str(report.evidence) if report.evidence else None,
        "digest": plan.digest,
        "notes": list(plan.notes),
        "revisions": [_verdict(verdict) for verdict in plan.verdicts],
        "next": list(report.next_commands),
    }


def backup_document(entry: BackupEntry) -> Json:
    """One backup as ``deployguard.backup/1``; ``files`` maps a name to its size in bytes and sha256."""
    record = entry.record
    return {
        "schema": "deployguard.backup/1",
        "id": record.id,
        "store": record.store,
        "environment": record.environment,
        "database": record.database,
        "created": _time(record.created),
        "reason": record.reason,
        "deploy": record.deploy,
        "revision": list(record.revision),
        "git_commit": record.git_commit,
        "git_tag": record.git_tag,
        "images": dict(record.images),
        "folder": record.folder,
        "size": record.size,
        "seconds": record.seconds,
        "files": {
            name: {"size": size, "sha256": sha256} for name, (size, sha256) in record.files.items()
        },
        "counts": dict(record.counts),
        "estimates": dict(record.estimates),
        "scope": str(record.scope),
        "layout": record.layout,
        "compression": record.compression,
        "jobs": record.jobs,
        "encryption": {"method": "age", "recipients": record.recipients}
        if record.recipients
        else None,
        "tools": dict(record.tools),
        "verification": _verification(entry.verification),
        "drill": _drill(entry.drill),
        "pin": _pin(entry.pin),
        "age": None if entry.age is None else round(entry.age.total_seconds()),
        "where": list(entry.places),
        "copies": [copy_facts(copy) for copy in entry.copies],
    }


def backups_document(entries: tuple[BackupEntry, ...]) -> Json:
    """Several backups as ``deployguard.backups/1``, newest first."""
    return {
        "schema": "deployguard.backups/1",
        "backups": [backup_document(entry) for entry in entries],
    }


def deploy_document(view: DeployView) -> Json:
    """One deploy of the journal as ``deployguard.deploy/1``: with its plan, and all evidence of each step."""
    plan: Json = dict(view.plan) or None
    steps: list[Json] = [_step(step) | {"evidence": dict(step.evidence)} for step in view.steps]
    return {"schema": "deployguard.deploy/1", **_deploy(view), "plan": plan, "steps": steps}


def history_document(views: tuple[DeployView, ...]) -> Json:
    """The deploys of an environment as ``deployguard.history/1``, newest first."""
    return {"schema": "deployguard.history/1", "deploys": [_deploy(view) for view in views]}


def status_document(report: StatusReport) -> Json:
    """Where an environment stands as ``deployguard.status/1``."""
    return {
        "schema": "deployguard.status/1",
        "environment": report.environment,
        "database": report.target,
        "current": None if report.current is None else list(report.current),
        "heads": list(report.heads),
        "pending": None if report.pending is None else list(report.pending),
        "last": _deploy(report.last) if report.last else None,
        "unfinished": _deploy(report.unfinished) if report.unfinished else None,
        "lock": report.lock or None,
        "server_lock": report.server_lock or None,
        "backup": backup_document(report.backup) if report.backup else None,
        "release": dict(report.release),
        "notes": list(report.notes),
        "next": list(report.next_commands),
    }


def _deploy(view: DeployView) -> dict[str, Json]:
    return {
        "id": view.id,
        "kind": view.kind,
        "environment": view.environment,
        "state": view.state,
        "started": _time(view.started),
        "ended": _time(view.ended) if view.ended else None,
        "level": view.risk or None,
        "digest": view.digest or None,
        "from": list(view.from_revisions),
        "to": list(view.to_revisions),
        "by": view.by,
        "host": view.host or None,
        "ref": view.ref or None,
        "commit": view.commit or None,
        "backup": view.backup or None,
        "approved_by": view.approved_by or None,
        "approved_because": view.approved_because or None,
        "log": view.log or None,
        "detail": view.detail,
        "steps": [_step(step) for step in view.steps],
    }


def _step(step: StepView) -> dict[str, Json]:
    return {
        "name": step.name,
        "state": step.state,
        "at": _time(step.at),
        "seconds": step.seconds,
        "detail": step.detail,
    }


def _verdict(verdict: Verdict) -> Json:
    revision = verdict.revision
    return {
        "id": revision.id,
        "parents": list(revision.parents),
        "depends_on": list(revision.depends_on),
        "labels": list(revision.labels),
        "path": revision.path,
        "sha256": revision.digest,
        "message": revision.message,
        "level": str(verdict.open_risk),
        "level_with_accepted": str(verdict.risk),
        "evidence": str(revision.evidence),
        "expand_only": verdict.expand_only,
        "findings": [_finding(finding) for finding in verdict.findings],
        "locks": [
            {
                "relation": lock.relation,
                "mode": lock.mode,
                "blocks": lock.blocks,
                "work": lock.work,
                "seconds": lock.seconds,
                "basis": lock.basis,
            }
            for lock in verdict.locks
        ],
        "undo": {"way": str(verdict.undo.way), "reason": verdict.undo.reason},
        "up": _statements(revision.up),
        "down": _statements(revision.down),
    }


def _statements(script: Script) -> list[Json]:
    return [{"sql": statement.sql, "line": statement.line} for statement in script.statements]


def _finding(finding: Finding) -> Json:
    return {
        "rule": finding.rule,
        "level": str(finding.risk),
        "path": finding.path,
        "line": finding.line,
        "message": finding.message,
        "why": finding.why,
        "instead": finding.instead,
        "accepted": {"reason": finding.accepted, "at": finding.accepted_at or None}
        if finding.accepted
        else None,
    }


def _drill(drill: Drilled | None) -> Json:
    if drill is None:
        return None
    return {
        "ok": drill.ok,
        "at": _time(drill.at),
        "seconds": drill.seconds,
        "evidence": list(drill.evidence),
    }


def _pin(pin: Pin | None) -> Json:
    if pin is None:
        return None
    return {"reason": pin.reason, "by": pin.by, "at": _time(pin.at) if pin.at else None}


def copy_facts(copy: OffsiteCopy) -> dict[str, Json]:
    """What is known of an off-site copy; ``files`` maps a name to what proved that it is the same."""
    return {
        "url": copy.url,
        "at": _time(copy.at),
        "manifest": copy.manifest,
        "files": dict(copy.files),
        "held_until": _time(copy.held_until) if copy.held_until else None,
    }


def _verification(verification: Verification | None) -> Json:
    if verification is None:
        return None
    return {
        "ok": verification.ok,
        "at": _time(verification.at),
        "evidence": list(verification.evidence),
    }


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
