"""Start of the recording child: shut the doors, install the recorder, run, and tell."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import Any

from .channel import Channel, Limit, describe


def main(request: dict[str, Any]) -> None:
    """Record what the request asks for. Never returns: the process ends here, whatever threads are left."""
    from . import guard, used

    looked_at = used.listen()
    secrets = guard.scrub(request)
    channel = Channel(request["nonce"], request["statements"], secrets)
    # In a container nobody else ends us when the parent's patience does.
    watch = threading.Timer(request["seconds"] + _GRACE, _EXIT, (124,))
    watch.daemon = True
    watch.start()
    code = 0
    try:
        _record(request, channel)
    except BaseException as error:
        channel.send("crash", why=describe(error))
        code = 70
    looked_at.tell(channel)
    channel.send("end")
    sys.stderr.flush()
    _EXIT(code)


_EXIT = os._exit
_GRACE = 10.0


def _record(request: dict[str, Any], channel: Channel) -> None:
    from . import command, engines, guard, steps
    from .state import State

    warnings.simplefilter("ignore")
    # Mako looks for it to colour its error pages, which nobody will see: a tenth of the child's time.
    modules: dict[str, Any] = sys.modules
    hidden = "pygments" not in modules
    if hidden:
        modules["pygments"] = None  # it cannot be imported
    try:
        import alembic
        import sqlalchemy
    except ImportError as error:
        channel.send("missing", why=str(error), python=sys.executable)
        return
    finally:
        if hidden:
            del modules["pygments"]
    channel.send(
        "start",
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        sqlalchemy=sqlalchemy.__version__,
        alembic=alembic.__version__,
    )
    state = State(request, channel)
    engines.install(state)
    steps.install(state)
    os._exit = _refused  # type: ignore[assignment]  # a revision that ends the process would silence the others
    guard.install(channel)
    command.run(state)


def _refused(code: int) -> None:
    raise Limit(f"it ends the process (os._exit({code}))")
