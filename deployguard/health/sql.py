"""A statement that the application's own database answers with true."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployguard.errors import DeployguardError
from deployguard.health.base import Answer

if TYPE_CHECKING:
    from deployguard.database import Database


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """``database`` gives a new handle each time.

    A database that cannot be reached says nothing of the application.
    """

    statement: str
    database: "Callable[[], AbstractContextManager[Database]]"

    def ask(self) -> Answer:
        try:
            with self.database() as database:
                ok, detail = database.check(self.statement)
        except DeployguardError as error:
            return Answer(None, f"{self.statement!r} could not be asked: {error.message}")
        return Answer(ok, f"{self.statement!r}: {detail}")
