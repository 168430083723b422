"""The backup of a part of a database is for people: it is never put in a database's place."""

import shlex
from pathlib import Path
from typing import Final

from deployguard.backups.base import UNTOUCHED
from deployguard.backups.pgargv import form_of
from deployguard.errors import UsageError
from deployguard.model import BackupRecord

_PSQL: Final = "psql --set=ON_ERROR_STOP=1 --dbname=NAME"


def whole_only(folder: Path, record: BackupRecord) -> None:
    """Raises UsageError for the backup of a part: put in the place of a database, it would lose all the rest."""
    if record.scope.whole:
        return
    file = folder / record.folder / form_of(record).data
    by_hand = _encrypted(record, file) if record.recipients else _plain(record, file)
    raise UsageError(
        f"Backup {record.id} holds a part of the database ({record.scope}), so it is not put in its place."
        " It can be loaded by hand, into a database of your choice.",
        state=UNTOUCHED,
        next_commands=(by_hand,),
    )


def _plain(record: BackupRecord, file: Path) -> str:
    if record.layout == "plain":
        opened = "zcat" if file.suffix == ".gz" else "cat"
        return f"{opened} {shlex.quote(str(file))} | {_PSQL}"
    return f"pg_restore --dbname=NAME {shlex.quote(str(file))}"


def _encrypted(record: BackupRecord, file: Path) -> str:
    """With age's own program, and the file of an identity."""
    if record.layout == "directory":
        each = 'age --decrypt -i KEY -o NEW/"$(basename "$f" .age)" "$f"'
        all_ = f"mkdir -m 700 NEW && for f in {shlex.quote(str(file))}/*.age; do {each}; done"
        return f"{all_} && pg_restore --dbname=NAME NEW"
    decrypted = f"age --decrypt -i KEY {shlex.quote(f'{file}.age')}"
    if record.layout == "plain":
        return f"{decrypted} | {'zcat | ' if file.suffix == '.gz' else ''}{_PSQL}"
    return f"{decrypted} | pg_restore --dbname=NAME"
