"""The transaction that Alembic holds, and what a revision does to it by way of the driver."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .channel import Channel


class Transaction:
    """Knows the driver's connection that the migration runs on.

    A COMMIT that a revision asks the driver for reaches the server like one in the text. Alembic's own, around a
    revision and around an autocommit block, are no news.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.mine: Any = None
        self.used = False

    def follow(self, context: Any) -> None:
        """A revision begins; `context` is Alembic's MigrationContext."""
        proxied = getattr(getattr(context, "connection", None), "connection", None)
        self.mine = getattr(proxied, "dbapi_connection", None) or getattr(
            proxied, "connection", None
        )

    def executed(self, connection: Any) -> None:
        """A statement goes to the connection; another than the migration's own is told."""
        if connection is self.mine:
            self.used = True
        elif self.mine is not None and not self.channel.looking:
            self.channel.tell("apart")

    def ended(self, connection: Any, how: str) -> None:
        """The driver is told to commit or to roll back."""
        if self.mine is not None and connection is not self.mine:
            return
        used, self.used = self.used, False
        if used and self.channel.inside and not self.channel.looking and self._by_revision():
            self.channel.tell("sql", sql=how, tx=True, many=1, old=[], failed=False)

    def _by_revision(self) -> bool:
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "autocommit_block":
                return False
            if frame.f_code.co_filename == self.channel.path:
                return True
            frame = frame.f_back
        return False
