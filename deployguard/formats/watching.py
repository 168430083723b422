"""What was seen of a migration's sessions, in words and bars; the shape of the JSON is in docs/report-schema.md."""

from collections.abc import Sequence
from typing import Final

from deployguard.formats import words
from deployguard.formats.spans import BLANK, Line, Span, Style, clean, one_line, paragraph
from deployguard.model import Json
from deployguard.observation import Build, Client, Observation, Replica, Surroundings

BAR: Final = 20  # columns
_SHOWN: Final = 8  # sessions of a kind


def bar(share: float | None) -> str:
    """A bar of BAR columns and the percentage; where that is not known, an empty bar without a number."""
    if share is None:
        return "░" * BAR
    full = int(share * BAR)
    return f"{'█' * full}{'░' * (BAR - full)} {int(share * 100)} %"


def build(item: Build) -> str:
    """What is built, how far its present phase is."""
    what = f"index {item.index}" if item.index else f"an index on {item.table}"
    count = (
        f" ({item.done} of {item.total} sessions)" if "waiting" in item.phase and item.total else ""
    )
    known = bar(item.share) if item.total else ""
    return clean(f"{what}: {item.phase}{count} {known}".rstrip())


def who(client: Client) -> str:
    """A session: its process, its name, and what it is at, as far as that is told."""
    name = "" if client.ours else client.application or client.user
    at = [
        part
        for part in (one_line(name), client.state or ("state not visible" if client.hidden else ""))
        if part
    ]
    if client.transaction is not None:
        at.append(f"transaction open for {words.seconds(client.transaction)}")
    return f"process {client.pid} ({', '.join(at)})" if at else f"process {client.pid}"


def waits(client: Client) -> str:
    """What a session waits for, and how long already."""
    since = f" {words.seconds(client.waiting)}" if client.waiting is not None else ""
    on = f" on {client.on}" if client.on not in ("", "transactionid", "virtualxid") else ""
    what = f"{client.mode}{on}" if on else f"the end of a transaction ({client.on or client.mode})"
    return one_line(f"waits{since} for {what}")


def blockers(seen: Observation, client: Client) -> str:
    """Whom a session waits for."""
    named = []
    for pid in client.blockers[:_SHOWN]:
        other = seen.client(pid)
        if pid == 0:
            named.append("a prepared transaction")
        else:
            named.append(who(other) if other else f"process {pid}")
    more = len(client.blockers) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def queue(seen: Observation) -> str:
    """How many wait behind the migration; "" when nobody does."""
    count = len(seen.queue)
    if not count:
        return ""
    longest = max((c.waiting or 0.0 for c in seen.queue), default=0.0)
    noun = "1 session waits" if count == 1 else f"{count} sessions wait"
    return f"{noun} behind it, the longest for {words.seconds(longest)}"


def gist(seen: Observation) -> str:
    """The one line of it that matters most; "" when there is nothing to tell."""
    ours = {client.pid for client in seen.ours}
    parts = [build(item) for item in seen.builds if item.pid in ours]
    waiting = next((c for c in seen.ours if c.blockers), None)
    if waiting is not None:
        parts.append(f"{waits(waiting)}, behind {blockers(seen, waiting)}")
    parts.append(queue(seen))
    return "; ".join(part for part in parts if part)


def line(seen: Observation) -> str:
    """All of it in one line, for a log."""
    names = ", ".join(sorted({one_line(client.application) for client in seen.ours}))
    if names:
        return f"{names}: {gist(seen) or 'nobody waits behind it'}"
    waiting = sum(1 for client in seen.clients if client.blockers)
    noun = "1 session waits for a lock" if waiting == 1 else f"{waiting} sessions wait for locks"
    others = [noun] if waiting else []
    others += [_shut(client) for client in seen.shut[:1]]
    others += [build(item) for item in seen.builds[:1]]
    return "; ".join(["no migration of deployguard's runs", *others])


def mark(seen: Observation) -> object:
    """What a change of is worth a line: not every second, and not every percent."""
    return (
        tuple(client.pid for client in seen.ours),
        tuple(client.pid for client in seen.ours if client.blockers),
        len(seen.queue),
        sum(1 for client in seen.clients if client.blockers),
        tuple(client.pid for client in seen.shut),
        tuple((item.pid, item.phase, int((item.share or 0) * 10)) for item in seen.builds),
    )


def watch_lines(seen: Observation, around: Surroundings | None, width: int) -> list[Line]:
    """The whole view."""
    width = min(width, 110)
    lines: list[Line] = []
    for client in seen.ours:
        lines += _client(seen, client, width)
    lines += (
        paragraph(queue(seen), width, indent=2, style=Style.BAD)
        if seen.ours and queue(seen)
        else []
    )
    if seen.ours and not seen.queue:
        lines.append((Span("  nobody waits behind it", Style.GOOD),))
    if not seen.ours:
        lines.append((Span("No migration of deployguard's runs in this database.", Style.DIM),))
    lines += _section("Index builds", [build(item) for item in seen.builds], width)
    lines += _section(
        "Waiting", [_waiting(seen, c) for c in seen.clients if c.blockers and not c.ours], width
    )
    lines += _section("Locks that keep everybody out", [_shut(c) for c in seen.shut], width)
    facts = _facts(seen, around)
    lines += [BLANK] if facts else []
    hang = max((len(name) for name, _ in facts), default=0) + 2
    for name, text in facts:
        lines += paragraph(text, width, label=name, hang=hang)
    return lines


def watch_document(database: str, seen: Observation) -> Json:
    """One look as ``deployguard.watch/1``."""
    around = seen.around
    return {
        "schema": "deployguard.watch/1",
        "database": database,
        "migration": [_client_document(client) for client in seen.ours],
        "queue": [client.pid for client in seen.queue],
        "waiting": [_client_document(c) for c in seen.clients if c.blockers and not c.ours],
        "exclusive": [_client_document(client) for client in seen.shut],
        "longest_transaction": _client_document(seen.longest) if seen.longest else None,
        "not_visible": seen.hidden,
        "builds": [
            {
                "pid": item.pid,
                "table": item.table,
                "index": item.index or None,
                "phase": item.phase,
                "done": item.done,
                "total": item.total or None,
            }
            for item in seen.builds
        ],
        "replicas": _replicas(around),
        "invalid_indexes": _listed(around.invalid if around else None),
        "size": around.size if around else None,
        "free": around.free if around else None,
        "temporary": around.temporary if around else None,
    }


def _client(seen: Observation, client: Client, width: int) -> list[Line]:
    lines: list[Line] = [
        (Span(one_line(client.application), Style.TITLE), Span(f"  {who(client)}"))
    ]
    if client.blockers:
        text = f"{waits(client)}, behind {blockers(seen, client)}"
        lines += paragraph(text, width, indent=2, style=Style.MEDIUM)
    elif client.wait:
        lines += paragraph(f"waits for {client.wait}", width, indent=2, style=Style.DIM)
    return lines


def _waiting(seen: Observation, client: Client) -> str:
    return f"{who(client)} {waits(client)}, behind {blockers(seen, client)}"


def _shut(client: Client) -> str:
    if client.holds:
        return f"{who(client)} holds {one_line(client.holds)}"
    return f"{who(client)} {waits(client)}"


def _section(title: str, items: Sequence[str], width: int) -> list[Line]:
    if not items:
        return []
    lines: list[Line] = [BLANK, (Span(title, Style.TITLE),)]
    for item in items[:_SHOWN]:
        lines += paragraph(item, width, indent=2)
    if len(items) > _SHOWN:
        lines.append((Span(f"  and {len(items) - _SHOWN} more", Style.DIM),))
    return lines


def _facts(seen: Observation, around: Surroundings | None) -> list[tuple[str, str]]:
    facts = []
    longest = seen.longest
    if longest is not None and longest.transaction is not None:
        facts.append(("oldest transaction", who(longest)))
    if seen.hidden:
        told = f"of {seen.hidden} sessions no state and no age (needs pg_read_all_stats); who waits for whom is"
        facts.append(("not visible", told))
    if around is None:
        return facts
    facts.append(("replicas", _replica_words(around.replicas)))
    invalid = "unknown" if around.invalid is None else ", ".join(around.invalid) or "none"
    facts.append(("invalid indexes", invalid))
    size = "unknown" if around.size is None else words.size(around.size)
    free = (
        "free on its disk: not visible"
        if around.free is None
        else f"{words.size(around.free)} free on its disk"
    )
    if around.temporary:
        size += f", and {words.size(around.temporary)} of temporary files"
    facts.append(("database", f"{size}; {free}"))
    return facts


def _replica_words(replicas: Sequence[Replica] | None) -> str:
    if replicas is None:
        return "unknown"
    return ", ".join(map(replica, replicas)) or "none"


def replica(item: Replica) -> str:
    """How far behind a replica is, as far as that is told."""
    if item.hidden:
        return f"{one_line(item.name)}: not visible (needs pg_read_all_stats)"
    behind = (
        "position not known" if item.behind is None else f"{words.size(max(item.behind, 0))} behind"
    )
    lag = f", {words.seconds(item.lag)}" if item.lag is not None else ""
    return f"{one_line(item.name)} ({item.state}): {behind}{lag}"


def _client_document(client: Client) -> Json:
    return {
        "pid": client.pid,
        "application": client.application or None,
        "state": client.state or None,
        "wait": client.wait or None,
        "transaction_seconds": _rounded(client.transaction),
        "waiting_seconds": _rounded(client.waiting),
        "lock_mode": client.mode or None,
        "lock_on": client.on or None,
        "blocked_by": list(client.blockers),
        "holds": client.holds or None,
        "visible": not client.hidden,
    }


def _replicas(around: Surroundings | None) -> Json:
    if around is None or around.replicas is None:
        return None
    return [
        {
            "name": item.name,
            "state": item.state or None,
            "bytes_behind": item.behind,
            "lag_seconds": _rounded(item.lag),
            "visible": not item.hidden,
        }
        for item in around.replicas
    ]


def _listed(items: Sequence[str] | None) -> Json:
    return None if items is None else [*items]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
