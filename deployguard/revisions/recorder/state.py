"""Everything the recorder knows while it runs: the request, the channel, the schema so far."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import ddl, system
from .answers import Answer, asks_the_system, described, version_rows
from .catalogue import Catalogue
from .control import Transaction
from .drivers import Connection
from .memory import memory_connection
from .unasked import Unasked, weighed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from .channel import Channel

# INSERT … SELECT
_COPIES = re.compile(
    r"\s*(with\b.*)?insert\s(?!.*\bvalues\b).*\bselect\b", re.IGNORECASE | re.DOTALL
)
_ROUNDS = 1_000  # so often with other parameters
_PORTIONS = 3  # so often a statement changes a row before it finds none


class State:
    """One for the process.

    `tier` is the way of running that is tried now; `forced` makes every engine use the request's dialect, where
    env.py takes its address from somewhere else.
    """

    def __init__(self, request: dict[str, Any], channel: Channel) -> None:
        self.request = request
        self.channel = channel
        self.control = Transaction(channel)
        self.tier = "command"
        self.forced = False
        self.mismatch = ""
        self.runs = 0
        self.complete = False
        # The version table and what is in it while a revision runs; of other branches it knows nothing.
        self.versions: tuple[str, tuple[str, ...]] = ("", ())
        self.batching = False
        self._said: Counter[tuple[str, str, str]] = Counter()
        # The history is replayed when somebody asks what it made, and not for those who never ask.
        self.unasked = request["replay"] == "asked"
        known = request["catalogue"] is not None or self.unasked
        self.heads: tuple[str, ...] = tuple(request["current"]) if known else ()
        self._sqlite: sqlite3.Connection | None = None
        self.catalogue = Catalogue(None)
        self.answers = Answer(self.catalogue)
        self.reset()

    def reset(self) -> None:
        """Go back to the schema that the request gives."""
        given = self.request["catalogue"]
        self.catalogue = Catalogue(given if given and "tables" in given else None)
        if self.unasked:
            self.catalogue = Unasked(self.channel.again)
        self.answers = Answer(self.catalogue)
        if self._sqlite is not None:
            self._fill(self._sqlite)

    def sqlite(self) -> sqlite3.Connection:
        """The one real database in memory that every SQLite engine shares."""
        if self._sqlite is None:
            self._sqlite = memory_connection(self)
            self._fill(self._sqlite)
        return self._sqlite

    def _fill(self, connection: sqlite3.Connection) -> None:
        with self.silence():
            connection.rollback()
            connection.executescript(
                "PRAGMA writable_schema=ON; DELETE FROM sqlite_master; PRAGMA writable_schema=OFF; VACUUM;"
            )
            for statement in (self.request["catalogue"] or {}).get("sql", ()):
                try:
                    connection.execute(statement)
                except connection.Error as error:
                    self.channel.note(
                        f"One object of the database could not be recreated for the reading: {error}"
                    )
            connection.commit()

    @contextmanager
    def silence(self) -> Iterator[None]:
        """What runs inside is ours, or the inspector's, and is not reported."""
        self.channel.looking += 1
        try:
            yield
        finally:
            self.channel.looking -= 1

    @contextmanager
    def question(self, what: str) -> Iterator[None]:
        """The inspector is asked; reported when a revision asks and the question is not part of another."""
        if not self.channel.looking and not self.batching:
            self.channel.tell("look", what=what, answered=self.catalogue.sure)
        with self.silence():
            yield

    def executing(
        self,
        text: str,
        context: Any,
        *,
        in_transaction: bool,
        many: int = 1,
        failed: bool = False,
        replaced: Sequence[list[str]] = (),
    ) -> None:
        """A statement reaches the driver: report it, and move the catalogue on."""
        if self.channel.looking:
            return
        if not self.channel.revision and self.tier != "bare":
            self.channel.send("around", sql=text)
        if self.unasked and self.channel.upgrading and weighed(text):
            self.channel.again()
        construct = getattr(getattr(context, "compiled", None), "statement", None)
        dialect = getattr(context, "dialect", None)
        old = [*ddl.old_types(self.catalogue, construct, text, dialect), *replaced]
        self.channel.tell("sql", sql=text, tx=in_transaction, many=many, old=old, failed=failed)
        if self._sqlite is not None and asks_the_system(text):
            self.channel.tell("look", what="a query of the system catalogue")
        if self._sqlite is None:
            self.catalogue.moving = True
            ddl.advance(self.catalogue, construct, text, dialect)
            self.catalogue.moving = False

    def asked(self) -> None:
        """To be called before the schema as a whole is compared or told: it must be known by then."""
        if self.unasked:
            self.channel.again()

    def exhausted(self, text: str, parameters: Any) -> bool:
        """The same statement again and again: a loop over portions, which ends when no row is left."""
        if _COPIES.match(text):
            return True  # from tables that are empty here
        key, whatever = (
            (self.channel.revision, text, repr(parameters)),
            (self.channel.revision, text, ""),
        )
        self._said[key] += 1
        self._said[whatever] += 1
        return self._said[key] >= _PORTIONS or self._said[whatever] >= _ROUNDS

    def answer(
        self, text: str, context: Any, parameters: Any, many: int
    ) -> tuple[Any, list[tuple[Any, ...]]]:
        """What the fake driver's cursor holds after a statement."""
        if asks_the_system(text) and not self.channel.looking:
            known = self.request["dialect"] == "postgresql"
            found = system.ask(self.catalogue, text, parameters) if known else None
            what = "a query of the system catalogue"
            self.channel.tell("look", what=what, answered=found is not None)
            if found is not None:
                return described(found[0]), found[1]
        if self.versions[0] and not self.channel.looking:
            rows = version_rows(text, *self.versions)
            if rows is not None:
                return described(["version_num"]), rows
        return self.answers.rows(text, context, many)

    def connect(self, dialect: Any) -> Any:
        """The connection that takes the place of the dialect's own."""
        if dialect.name == "sqlite":
            return self.sqlite()
        return Connection(self, dialect.driver, dialect.paramstyle)
