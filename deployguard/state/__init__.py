"""What deployguard itself remembers: the journal of deploys, the approvals, and the deploy lock."""

from deployguard.state.journal import Journal
from deployguard.state.lock import DeployLock, Holder, busy, holder, last_holder, lives
from deployguard.state.records import (
    UNFINISHED,
    Deploy,
    Event,
    EventKind,
    Kind,
    StateError,
    Status,
)
from deployguard.state.schema import prepare_folder

__all__ = [
    "UNFINISHED",
    "Deploy",
    "DeployLock",
    "Event",
    "EventKind",
    "Holder",
    "Journal",
    "Kind",
    "StateError",
    "Status",
    "busy",
    "holder",
    "last_holder",
    "lives",
    "prepare_folder",
]
