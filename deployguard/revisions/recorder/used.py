"""What the reading rests on: which files, folders and modules were looked at while it was made.

The parent may keep a reading as long as none of them has changed. What cannot be watched (another program, the
network) is told as a reason not to keep it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .channel import Channel

_LISTED = frozenset(("os.listdir", "os.scandir", "glob.glob", "glob.glob/2"))
_STARTED = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"))
_REACHED = frozenset(("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"))
_PASSING = ("/proc/", "/dev/", "/sys/")


class Used:
    """An audit hook that only listens."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.missed: set[str] = set()  # those of them that were looked for and not there
        self.folders: set[str] = set()
        self.reasons: set[str] = set()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if isinstance(args[0], (str, bytes)):
                self.files.add(os.path.abspath(os.fsdecode(args[0])))
        elif event in _LISTED:
            if isinstance(args[0], (str, bytes)):
                self.folders.add(os.path.abspath(os.fsdecode(args[0])))
        elif event in _STARTED:
            self.reasons.add("another program was started")
        elif event in _REACHED:
            self.reasons.add("the network was looked for")

    def tell(self, channel: Channel) -> None:
        """Report it; whatever is asked of the file system from here on is ours."""
        files, folders, reasons = set(self.files), set(self.folders), sorted(self.reasons)
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                files.add(os.path.abspath(path))
            try:
                folders.update(map(os.path.abspath, getattr(module, "__path__", ())))
            except Exception:  # a package that makes its path up
                reasons = [*reasons, "a package has no fixed folder"]
        files.update([_source(path) for path in files if path.endswith(".pyc")])
        folders.update(os.path.abspath(entry or os.curdir) for entry in sys.path)
        channel.send(
            "used",
            files=sorted(path for path in files if not path.startswith(_PASSING)),
            folders=sorted(path for path in folders if not path.startswith(_PASSING)),
            missed=sorted(self.missed),
            reasons=reasons,
        )


def _source(path: str) -> str:
    folder, name = os.path.split(path)
    if os.path.basename(folder) == "__pycache__":
        return os.path.join(os.path.dirname(folder), name.split(".", 1)[0] + ".py")
    return path


def listen() -> Used:
    """Begin to listen, for good: an audit hook cannot be removed."""
    used = Used()
    sys.addaudithook(used)
    for name in ("stat", "lstat", "access"):
        setattr(os, name, _noticed(getattr(os, name), used))
    return used


def _noticed(original: Callable[..., Any], used: Used) -> Callable[..., Any]:
    """The same, remembering what was asked for: whether a file is there may decide, and no audit event tells.

    Not folders that are there: they change whenever something in them does, and their names are told by others.
    """
    is_folder, exists = os.path.isdir, os.path.lexists
    busy = False

    def asked(path: Any, *args: Any, **options: Any) -> Any:
        nonlocal busy
        if not busy and isinstance(path, (str, bytes, os.PathLike)):
            busy = True
            try:
                name = os.path.abspath(os.fsdecode(path))
                if not is_folder(name):
                    used.files.add(name)
                    if not exists(name):
                        used.missed.add(name)
            finally:
                busy = False
        return original(path, *args, **options)

    return asked
