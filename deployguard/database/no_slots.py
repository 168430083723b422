"""A database that keeps no replication slots: what came after a backup cannot be looked up in it."""

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from deployguard.database.base import VERSION_TABLE
from deployguard.database.changes import Changes, Line
from deployguard.model import Json

if TYPE_CHECKING:
    from deployguard.database.slot import Slot


class NoSlots:
    """The slots' part of ``Database``, for a file."""

    def changes_since(
        self,
        slot: Json,  # noqa: ARG002 - one shape for every dialect
        known: Collection[str],  # noqa: ARG002 - see above
        version_table: str = VERSION_TABLE,  # noqa: ARG002 - see above
        schema: str | None = None,  # noqa: ARG002 - see above
    ) -> Changes:
        return Changes(missing="a file has no replication slot")

    def changes(
        self,
        slot: Json,  # noqa: ARG002 - see above
    ) -> contextlib.AbstractContextManager[Iterator[Line]]:
        return contextlib.nullcontext(iter(()))

    def slots(self) -> "tuple[Slot, ...]":
        return ()

    def drop_slot(self, name: str) -> bool:  # noqa: ARG002 - see above
        return False
