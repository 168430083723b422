"""Whether what AWS says of a snapshot is what was sealed; pure."""

from collections.abc import Mapping
from datetime import datetime

from deployguard.backups.rds_snapshots import Snapshot
from deployguard.model import BackupRecord, Json

_WORDS: Mapping[str, str] = {
    "arn": "its ARN",
    "source": "the instance or cluster it is of",
    "engine": "its engine",
    "version": "its engine's version",
    "encrypted": "whether it is encrypted",
    "gigabytes": "its storage (GB)",
    "created": "when it was taken",
}


def check(
    record: BackupRecord,
    facts: Mapping[str, Json],
    taken: Mapping[str, Json],
    found: Snapshot | None,
    now: datetime,
) -> tuple[list[str], list[str]]:
    """(problems, evidence). ``facts`` and ``taken`` are what was sealed, ``found`` is what AWS has now."""
    name = str(facts.get("name", ""))
    if taken.get("counts") != dict(record.counts) or taken.get("revision") != [*record.revision]:
        return ["the manifest's counts or revision are not those that were taken"], []
    if record.tools.get("snapshot") != name:
        return ["the manifest and snapshot.json name different snapshots"], []
    if found is None:
        return [f"the snapshot {name} does not exist any more"], []
    if found.tags.get("id") != record.id:
        return [f"the snapshot {name} carries the tag of another backup, or none"], []
    if found.status != "available":
        return [f"the snapshot {name} is {found.status}, not available"], []
    current = found.facts()
    problems = [
        f"the snapshot {name} is not the one that was taken: {word} was {facts.get(key)} and is {current[key]}"
        for key, word in _WORDS.items()
        if current[key] != facts.get(key)
    ]
    return problems, ([] if problems else _evidence(record, taken, found, now))


def _evidence(
    record: BackupRecord, taken: Mapping[str, Json], found: Snapshot, now: datetime
) -> list[str]:
    age = int((now - found.created).total_seconds() // 3600) if found.created else 0
    locked = "encrypted" if found.encrypted else "NOT encrypted"
    lines = [
        f"AWS has the snapshot {found.name}: available, {found.engine} {found.version}, {locked}",
        f"it is of {found.gigabytes} GB of storage and {age} hours old",
        "AWS does not let a snapshot be read: only a restore proves its contents",
    ]
    if not taken.get("read"):
        return [
            *lines,
            "the database could not be read when it was taken, so its rows were not counted",
        ]
    rows, tables = sum(record.counts.values()), len(record.counts)
    written = taken.get("rows_written_until_available")
    meanwhile = {0: "nobody wrote meanwhile", None: "how much was written meanwhile is unknown"}
    said = meanwhile.get(
        written if isinstance(written, int) else None,
        f"up to {written} rows were written meanwhile",
    )
    return [*lines, f"{rows} rows in {tables} tables were counted beside it, right before; {said}"]
