"""Before a restore displaces anything: everything that others wrote since the backup, in a file of its own."""

import json
import os
from pathlib import Path
from typing import Final

from deployguard.backups import sealed
from deployguard.database import Database
from deployguard.database.change_lines import documents
from deployguard.database.changes import Undecoded
from deployguard.deploy import decision, names, slots
from deployguard.deploy.run import Run, text
from deployguard.deploy.step import Evidence, PersonNeeded
from deployguard.errors import DeployguardError
from deployguard.model import Json

FOLDER: Final = "changes"
FORMAT: Final = "deployguard.changes/1"


def applies(run: Run) -> bool:
    """Where the deploy's backup has a slot; a person may have said that it goes without."""
    asked = run.rollback.without_export
    return decision.restores(run) and not asked and slots.made(run.subject) is not None


def path_of(run: Run) -> Path:
    return run.world.state / FOLDER / f"{run.subject.id}.jsonl"


def export(run: Run) -> Evidence:
    """Write the changes down, on the disk, readable by their owner only; a failure stops the restore."""
    path = path_of(run)
    run.note(names.EXPORT, path=str(path))
    try:
        with run.world.database() as database:
            kept = _write(run, database, path)
    except (DeployguardError, Undecoded, OSError) as error:
        raise _refused(run, error) from error
    run.world.reporter.note(
        f"What others wrote since the backup is in {path}: {kept['changes']} change(s) in"
        f" {kept['transactions']} transaction(s)."
    )
    return {"path": str(path), **kept}


def _write(run: Run, database: Database, path: Path) -> Evidence:
    """A whole file or none. ``end`` is its last line: without it the file is not complete."""
    subject = run.subject
    counted = slots.changes(subject, database)
    head: dict[str, Json] = {
        "format": FORMAT,
        "deploy": subject.id,
        "backup": text(subject.of(names.BACKUP), "id"),
        "database": database.name,
        "slot": slots.name_of(subject.id),
        "left_out": [*sorted(counted.own)],
        "made": run.world.clock().isoformat(),
        "not_shown": [*counted.hidden],
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    changes = transactions = 0
    try:
        with sealed.open_private(temporary) as file, database.changes(slots.made(subject)) as lines:
            file.write(_line(head))
            for document in documents(lines, counted.own):
                transactions += "commit" in document
                changes += "commit" not in document
                file.write(_line(document))
            file.write(_line({"end": True, "changes": changes, "transactions": transactions}))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sealed.flush(path.parent)
    return {"changes": changes, "transactions": transactions, "counted": counted.document()}


def _line(document: dict[str, Json]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def _refused(run: Run, error: Exception) -> PersonNeeded:
    """Nothing was displaced: the application is started as it was, and a person decides."""
    if run.done(names.STOP_APP) is not None:
        run.world.target.start()
    why = error.message if isinstance(error, DeployguardError) else str(error)
    name = run.subject.id
    return PersonNeeded(
        f"What others wrote since the backup could not be exported: {why.rstrip('.')}.",
        state="The data was not touched. The application runs again as it was before the way back.",
        next_commands=(
            f"deployguard rollback {name} --restore",
            f"deployguard rollback {name} --restore --without-export   # what they wrote stays in the kept database",
        ),
    )
