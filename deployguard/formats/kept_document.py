"""What prune, du and status say of the backups, as JSON documents; docs/report-schema.md promises their shape."""

from deployguard.formats.document import backup_document
from deployguard.formats.report import DiskUse, PruneReport, Standing
from deployguard.model import Json


def prune_document(report: PruneReport) -> Json:
    """What retention makes of the backups as ``deployguard.prune/1``."""
    return {
        "schema": "deployguard.prune/1",
        "environment": report.environment,
        "removed": report.done,
        "freed": report.freed,
        "backups": [
            {
                "id": fate.entry.record.id,
                "keep": fate.keep,
                "reasons": list(fate.reasons),
                "size": fate.entry.record.size,
                "reason": fate.entry.record.reason,
                "created": fate.entry.record.created.isoformat(),
            }
            for fate in report.fates
        ],
        "next": list(report.next_commands),
    }


def disk_document(report: DiskUse) -> Json:
    """What the backups take as ``deployguard.disk-use/1``; sizes in bytes."""
    return {
        "schema": "deployguard.disk-use/1",
        "environment": report.environment,
        "folder": report.folder,
        "count": report.count,
        "size": report.size,
        "classes": {name: {"count": count, "size": size} for name, count, size in report.classes},
        "largest": [entry.record.id for entry in report.largest],
        "others": report.others,
        "free": report.free,
        "total": report.total,
    }


def standing_document(report: Standing) -> Json:
    """Whether the backups are as they should be as ``deployguard.backup-status/1``; times in seconds."""
    return {
        "schema": "deployguard.backup-status/1",
        "environment": report.environment,
        "ok": not report.problems,
        "problems": list(report.problems),
        "notes": list(report.notes),
        "newest": backup_document(report.newest) if report.newest else None,
        "allowed": round(report.allowed.total_seconds()),
        "due": report.due.isoformat() if report.due else None,
        "counts": dict(report.counts),
        "next": list(report.next_commands),
    }
