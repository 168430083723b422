"""The write-ahead journal: one transaction an event, on the disk before the next thing happens."""

import json
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from deployguard.errors import UsageError
from deployguard.model import Approval, Json
from deployguard.state.records import UNFINISHED, Deploy, Event, EventKind, Kind, StateError, Status
from deployguard.state.sqlite import SqliteStore
from deployguard.state.store import Row, Store

_DEPLOY = (
    "id, environment, kind, started, by, host, status, digest, summary, finished, plan, options"
)


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """What runs did and do, kept in ``place``: a file of this host, or a store that several hosts share.

    ``redact`` is applied to every text that is written: the last wall before a secret would be kept. All methods
    raise StateError when the place cannot be used.
    """

    def __init__(
        self,
        place: Path | Store,
        *,
        clock: Callable[[], datetime] = _now,
        redact: Callable[[str], str] = str,
        host: str = "",
    ) -> None:
        self.store: Store = SqliteStore(place) if isinstance(place, Path) else place
        self.host = host or socket.gethostname()
        self._clock = clock
        self._redact = redact

    def close(self) -> None:
        self.store.close()

    def begin(
        self, environment: str, kind: Kind, by: str, options: Mapping[str, Json] | None = None
    ) -> Deploy:
        """Write a new run, status running; its id is the time and four random hexadecimal digits."""
        now = self._clock()
        deploy = Deploy(
            id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            environment=environment,
            kind=kind,
            started=now,
            by=self._redact(by),
            host=self.host,
            status=Status.RUNNING,
            options=options or {},
        )
        self.store.write(
            "INSERT INTO deploys (id, environment, kind, started, by, host, status, options) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                deploy.id,
                environment,
                kind,
                now.isoformat(),
                deploy.by,
                deploy.host,
                deploy.status,
                options_text := self._dump(deploy.options),
            ),
        )
        kept = self.store.rows("SELECT host, by, options FROM deploys WHERE id = ?", (deploy.id,))
        if kept != [(deploy.host, deploy.by, options_text)]:  # another's, of the same second
            raise StateError(f"The id {deploy.id} is taken by another run; start again.")
        return deploy

    def set_plan(self, deploy: str, digest: str, plan: Mapping[str, Json]) -> None:
        """Keep the plan that the run follows."""
        self.store.write(
            "UPDATE deploys SET digest = ?, plan = ? WHERE id = ?",
            (digest, self._dump(plan), deploy),
        )

    def record(
        self, deploy: str, step: str, kind: EventKind, evidence: Mapping[str, Json] | None = None
    ) -> None:
        """Append one event; when this returns it is on the disk."""
        self.store.write(
            "INSERT INTO events (uid, deploy, at, step, kind, evidence) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (
                secrets.token_hex(16),
                deploy,
                self._clock().isoformat(),
                step,
                kind,
                self._dump(evidence or {}),
            ),
        )

    def set_status(self, deploy: str, status: Status, summary: str = "") -> None:
        """Change how a run stands; a status outside UNFINISHED also sets the time it finished."""
        finished = None if status in UNFINISHED else self._clock().isoformat()
        self.store.write(
            "UPDATE deploys SET status = ?, summary = ?, finished = ? WHERE id = ?",
            (status, self._redact(summary), finished, deploy),
        )

    def approve(self, environment: str, approval: Approval) -> None:
        """Keep an approval."""
        expires = approval.expires.isoformat() if approval.expires else None
        self.store.write(
            "INSERT INTO approvals (uid, plan_digest, environment, by, reason, at, expires) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                secrets.token_hex(16),
                approval.plan_digest,
                environment,
                self._redact(approval.by),
                self._redact(approval.reason),
                approval.at.isoformat(),
                expires,
            ),
        )

    def approvals(self, digest: str) -> tuple[Approval, ...]:
        """The approvals that were given for exactly this plan, newest first."""
        rows = self.store.rows(
            "SELECT plan_digest, by, reason, at, expires FROM approvals "
            "WHERE plan_digest = ? ORDER BY seq DESC",
            (digest,),
        )
        return tuple(
            Approval(d, by, why, datetime.fromisoformat(at), _time(end))
            for d, by, why, at, end in rows
        )

    def last_done(self, digest: str, step: str, *, other_than: str) -> datetime | None:
        """When any other run of this plan was last done with a step; None is never."""
        rows = self.store.rows(
            "SELECT max(e.at) FROM events e JOIN deploys d ON d.id = e.deploy "
            "WHERE d.digest = ? AND d.id <> ? AND e.step = ? AND e.kind = ?",
            (digest, other_than, step, EventKind.DONE),
        )
        return _time(rows[0][0]) if rows else None

    def get(self, deploy: str) -> Deploy | None:
        """The run with exactly this id."""
        return next(iter(self._deploys("id = ?", deploy)), None)

    def find(self, text: str) -> Deploy:
        """The run whose id starts (or ends) with ``text``. Raises UsageError for none or several."""
        size = len(text)
        found = self._deploys(
            "substr(id, 1, ?) = ? OR substr(id, length(id) - ? + 1) = ?", size, text, size, text
        )
        if len(found) == 1:
            return found[0]
        several = ", ".join(deploy.id for deploy in found[:5])
        raise UsageError(
            f"{text!r} names several deploys: {several}." if found else f"No deploy {text!r}.",
            next_commands=("deployguard history",),
        )

    def history(
        self,
        environment: str | None = None,
        limit: int = 20,
        *,
        status: Status | None = None,
        since: datetime | None = None,
    ) -> tuple[Deploy, ...]:
        """Runs, newest first; only those that stand like ``status``, or were begun at ``since`` or later."""
        wanted = {
            "environment = ?": environment,
            "status = ?": status,
            # all are written in UTC, so that text sorts as time
            "started >= ?": since.astimezone(UTC).isoformat() if since else None,
        }
        given = {words: value for words, value in wanted.items() if value is not None}
        return self._deploys(" AND ".join(given) or "id <> ''", *given.values(), limit=limit)

    def unfinished(self, environment: str) -> Deploy | None:
        """The newest run of this environment that left work behind, if there is one."""
        return next(iter(self.all_unfinished(environment)), None)

    def all_unfinished(self, environment: str) -> tuple[Deploy, ...]:
        """Every run that left work behind, newest first: a stuck rollback leaves its deploy unfinished too."""
        return self._deploys("environment = ? AND status IN (?, ?, ?)", environment, *UNFINISHED)

    def events(self, deploy: str) -> tuple[Event, ...]:
        """All events of a run, oldest first."""
        rows = self.store.rows(
            "SELECT seq, deploy, at, step, kind, evidence FROM events WHERE deploy = ? ORDER BY seq",
            (deploy,),
        )
        return tuple(
            Event(seq, name, datetime.fromisoformat(at), step, EventKind(kind), json.loads(text))
            for seq, name, at, step, kind, text in rows
        )

    def _deploys(
        self, where: str, *values: str | int, limit: int | None = None
    ) -> tuple[Deploy, ...]:
        most = f" LIMIT {limit:d}" if limit is not None else ""
        query = (
            f"SELECT {_DEPLOY} FROM deploys WHERE {where} ORDER BY started DESC, rowid DESC{most}"  # noqa: S608 - ours
        )
        return tuple(map(_deploy, self.store.rows(query, values)))

    def _dump(self, document: Mapping[str, Json]) -> str:
        return json.dumps(_clean(dict(document), self._redact), ensure_ascii=False)


def _clean(value: Json, redact: Callable[[str], str]) -> Json:
    """Redact every text of a document, before JSON's escapes could hide a secret from the redactor."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_clean(item, redact) for item in value]
    if isinstance(value, dict):
        return {key: _clean(item, redact) for key, item in value.items()}
    return value


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def _deploy(row: Row) -> Deploy:
    text = [str(cell) if cell is not None else "" for cell in row]
    name, environment, kind, started, by, host, status, digest, summary, finished, plan, options = (
        text
    )
    return Deploy(
        id=name,
        environment=environment,
        kind=Kind(kind),
        started=datetime.fromisoformat(started),
        by=by,
        host=host,
        status=Status(status),
        digest=digest,
        summary=summary,
        finished=_time(finished),
        plan=json.loads(plan),
        options=json.loads(options),
    )
