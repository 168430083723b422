"""Run programs: argv lists, never a shell; the only room that imports subprocess."""

from deployguard.process.attached import (
    missing_program,
    program_version,
    require,
    run,
    which,
)
from deployguard.process.detached import (
    Absent,
    Ended,
    Running,
    Spawned,
    State,
    follow,
    forget,
    look,
    spawn,
    stop,
)
from deployguard.process.identity import Identity, alive, boot_id, identify
from deployguard.process.output import Completed, Redactor

__all__ = [
    "Absent",
    "Completed",
    "Ended",
    "Identity",
    "Redactor",
    "Running",
    "Spawned",
    "State",
    "alive",
    "boot_id",
    "follow",
    "forget",
    "identify",
    "look",
    "missing_program",
    "program_version",
    "require",
    "run",
    "spawn",
    "stop",
    "which",
]
