"""Which database env.py would have connected to: the recorder takes its place, but where it leads is evidence."""

from __future__ import annotations

from typing import Any

_MARK = "_deployguard_address"


def note(engine: Any, url: Any, options: dict[str, Any]) -> None:
    """Keep with an engine where its own URL and arguments lead to."""
    setattr(engine.dialect, _MARK, _address(url, options))


def of(dialect: Any) -> dict[str, Any] | None:
    """Where the engine of this dialect leads to; None when nothing tells."""
    found: dict[str, Any] | None = getattr(dialect, _MARK, None)
    return found


def _address(given: Any, options: dict[str, Any]) -> dict[str, Any] | None:
    from sqlalchemy.engine.url import make_url

    try:
        url = make_url(given)
    except Exception:  # create_engine itself says what is wrong with it
        return None
    arguments = options.get("connect_args") or {}
    query = dict(url.query)

    def first(*names: str) -> str:
        for name in names:
            value = arguments.get(name) or query.get(name)
            if value:
                return str(value[0] if isinstance(value, (tuple, list)) else value)
        return ""

    return {
        "dialect": url.get_backend_name(),
        "host": first("host") or url.host or "",
        "port": first("port") or str(url.port or ""),
        "database": first("database", "dbname", "db") or url.database or "",
        # A connection that the project makes by itself may lead anywhere.
        "own": any(options.get(name) for name in ("creator", "pool", "module")),
    }
