"""Every error a user can meet, and the exit code that tells a pipeline what state production is in.

    DeployguardError
    ├── UsageError                2  bad arguments, bad configuration; nothing changed
    ├── EnvironmentUnreachable    3  no database, no Docker engine, wrong password; nothing changed
    ├── Refused                  10  the risk is above the policy; nothing changed
    │   └── ApprovalMissing      11  no approval, an expired one, or one for another plan; nothing changed
    ├── BackupFailed             20  the backup failed or could not be verified; not migrated
    ├── RolledBack               21  the deploy failed; what it did is undone and healthy
    ├── NeedsHuman               22  failed, and the state is uncertain: a person must look
    ├── Busy                     23  another deploy is running, or one is unfinished
    └── Interrupted             130  stopped by the operator; the journal is left for ``resume``

0 is "done" or "nothing pending"; 1 is a bug of ours (the traceback goes to a log file).
"""

from typing import ClassVar


class DeployguardError(Exception):
    """A failure that is explained to a person: what happened, what state production is in, what to type next.

    ``message`` is one or a few sentences. ``state`` says what is true of production now.
    ``next_commands`` are shell commands, in order, that make sense from here.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, state: str = "Nothing changed.", next_commands: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.next_commands = next_commands


class UsageError(DeployguardError):
    """Arguments or configuration that cannot be right."""

    exit_code = 2


class EnvironmentUnreachable(DeployguardError):
    """The database, the Docker engine or a program that is needed does not answer."""

    exit_code = 3


class Refused(DeployguardError):
    """The policy does not allow this plan."""

    exit_code = 10


class ApprovalMissing(Refused):
    """The plan needs an approval that is missing, expired, or was given for another plan."""

    exit_code = 11


class BackupFailed(DeployguardError):
    """No verified backup exists, so nothing was migrated."""

    exit_code = 20


class RolledBack(DeployguardError):
    """The deploy failed, everything it did was undone, and the application is healthy."""

    exit_code = 21


class NeedsHuman(DeployguardError):
    """The state of production is uncertain; deployguard stopped and keeps its lock."""

    exit_code = 22


class Busy(DeployguardError):
    """Another deploy holds the lock, or an earlier one is unfinished."""

    exit_code = 23


class Interrupted(DeployguardError):
    """The operator stopped the run; the journal is left for ``deployguard resume``."""

    exit_code = 130
