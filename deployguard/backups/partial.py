"""The backup of a part of a database is for people: it is never put in a database's place."""

import shlex
from pathlib import Path

from deployguard.backups.base import UNTOUCHED
from deployguard.backups.pgargv import form_of
from deployguard.errors import UsageError
from deployguard.model import BackupRecord


def whole_only(folder: Path, record: BackupRecord) -> None:
    """Raises UsageError for the backup of a part: put in the place of a database, it would lose all the rest."""
    if record.scope.whole:
        return
    file = folder / record.folder / form_of(record).data
    by_hand = f"pg_restore --dbname=NAME {shlex.quote(str(file))}"
    if record.layout == "plain":
        opened = "zcat" if file.suffix == ".gz" else "cat"
        by_hand = f"{opened} {shlex.quote(str(file))} | psql --set=ON_ERROR_STOP=1 --dbname=NAME"
    raise UsageError(
        f"Backup {record.id} holds a part of the database ({record.scope}), so it is not put in its place."
        " It can be loaded by hand, into a database of your choice.",
        state=UNTOUCHED,
        next_commands=(by_hand,),
    )
