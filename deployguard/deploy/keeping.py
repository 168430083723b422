"""Where the journal and the deploy lock of an environment are kept: on this host, or where several hosts see them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.config import Config, DatabaseUrl, Environment
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.state import DeployLock, Journal

if TYPE_CHECKING:
    from deployguard.database import Database
    from deployguard.database.base import Address
    from deployguard.database.lasting import Link

    Apart = Callable[[Link, bool], bool]

JOURNAL = "journal.db"


def journal_path(config: Config) -> Path:
    """Where the journal of a project is kept on this host."""
    return config.state_directory / JOURNAL


def kept(
    config: Config,
    environment: Environment,
    url: DatabaseUrl | None,
    redact: Callable[[str], str],
    *,
    target: "Callable[[], AbstractContextManager[Database]] | None" = None,
    address: "Address | None" = None,
    waiting: Callable[[str], None] = lambda said: None,  # noqa: ARG005 - nobody listens
) -> tuple[Journal, DeployLock]:
    """The journal and the lock; nothing is dialled. Without a ``target`` the journal can only be read.

    ``url``: of the database that [state] names, None where it names none.
    """
    if url is None:
        journal = Journal(journal_path(config), clock=_now, redact=redact)
        return journal, DeployLock(config.state_directory, environment.name)
    from deployguard.state.postgresql import PostgresStore
    from deployguard.state.shared_lock import SharedLock

    store = PostgresStore(
        url,
        project=config.project.name,
        schema=environment.state.schema,
        patience=float(environment.state.patience),
        apart=None if target is None else _apart(environment, target),
        address=address,
        waiting=waiting,
    )
    lock = SharedLock(config.state_directory, environment.name, store)
    return Journal(store, clock=_now, redact=redact), lock


def _apart(
    environment: Environment, target: "Callable[[], AbstractContextManager[Database]]"
) -> "Apart":
    """Refuse a journal that a restore of the target would take back with it."""

    def check(connection: "Link", there: bool) -> bool:
        from deployguard.database.nearness import nearness

        try:
            with target() as database:
                near = nearness(connection, database)
        except EnvironmentUnreachable as error:
            if there:  # asked again at the next write: without the database nothing can be migrated
                return False
            error.message = (
                "Whether the journal lies apart from the database that is deployed to cannot be asked."
                f" {error.message}"
            )
            raise
        if near.database:
            raise UsageError(
                f"The variable {environment.state.url_env} leads to the database that is deployed to. A restore would"
                " take the journal back as well, and with it what it must know of the restore.",
                next_commands=("createdb deployguard   # the journal needs a database of its own",),
            )
        if environment.backup.store == "rds" and near.server is not False:
            raise UsageError(
                f"The variable {environment.state.url_env} leads to the server that is deployed to. A snapshot holds"
                " the whole instance, so restoring one would take the journal back as well: keep it on another.",
            )
        return True

    return check


def _now() -> datetime:
    return datetime.now(UTC)
