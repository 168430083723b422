"""The write-ahead journal: one SQLite transaction an event, on the disk before the next thing happens."""

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any  # a row of SQLite: its cells' types are the schema's business

from deployguard.errors import UsageError
from deployguard.model import Approval, Json
from deployguard.state.records import UNFINISHED, Deploy, Event, EventKind, Kind, StateError, Status
from deployguard.state.schema import open_state

_DEPLOY = "id, environment, kind, started, by, status, digest, summary, finished, plan, options"


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The state file at ``path``, opened at its first use.

    ``redact`` is applied to every text that is written: the last wall before a secret would be kept. All methods
    raise StateError when the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = _now,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.path = path
        self._clock = clock
        self._redact = redact
        self._opened: sqlite3.Connection | None = None
        self._guard = RLock()  # the migration log may be followed in a thread

    def close(self) -> None:
        with self._guard:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def begin(
        self, environment: str, kind: Kind, by: str, options: Mapping[str, Json] | None = None
    ) -> Deploy:
        """Write a new run, status running; its id is the time and four random hexadecimal digits."""
        now = self._clock()
        name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        deploy = Deploy(
            name, environment, kind, now, self._redact(by), Status.RUNNING, options=options or {}
        )
        with self._transaction() as sql:
            sql.execute(
                "INSERT INTO deploys (id, environment, kind, started, by, status, options) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    deploy.id,
                    environment,
                    kind,
                    now.isoformat(),
                    deploy.by,
                    deploy.status,
                    self._dump(deploy.options),
                ),
            )
        return deploy

    def set_plan(self, deploy: str, digest: str, plan: Mapping[str, Json]) -> None:
        """Keep the plan that the run follows."""
        with self._transaction() as sql:
            sql.execute(
                "UPDATE deploys SET digest = ?, plan = ? WHERE id = ?",
                (digest, self._dump(plan), deploy),
            )

    def record(
        self, deploy: str, step: str, kind: EventKind, evidence: Mapping[str, Json] | None = None
    ) -> None:
        """Append one event; when this returns it is on the disk."""
        with self._transaction() as sql:
            sql.execute(
                "INSERT INTO events (deploy, at, step, kind, evidence) VALUES (?, ?, ?, ?, ?)",
                (deploy, self._clock().isoformat(), step, kind, self._dump(evidence or {})),
            )

    def set_status(self, deploy: str, status: Status, summary: str = "") -> None:
        """Change how a run stands; a status outside UNFINISHED also sets the time it finished."""
        finished = None if status in UNFINISHED else self._clock().isoformat()
        with self._transaction() as sql:
            sql.execute(
                "UPDATE deploys SET status = ?, summary = ?, finished = ? WHERE id = ?",
                (status, self._redact(summary), finished, deploy),
            )

    def approve(self, environment: str, approval: Approval) -> None:
        """Keep an approval."""
        expires = approval.expires.isoformat() if approval.expires else None
        with self._transaction() as sql:
            sql.execute(
                "INSERT INTO approvals (plan_digest, environment, by, reason, at, expires) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
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
        rows = self._rows(
            "SELECT plan_digest, by, reason, at, expires FROM approvals "
            "WHERE plan_digest = ? ORDER BY seq DESC",
            digest,
        )
        return tuple(
            Approval(d, by, why, datetime.fromisoformat(at), _time(end))
            for d, by, why, at, end in rows
        )

    def last_done(self, digest: str, step: str, *, other_than: str) -> datetime | None:
        """When any other run of this plan was last done with a step; None is never."""
        rows = self._rows(
            "SELECT max(e.at) FROM events e JOIN deploys d ON d.id = e.deploy "
            "WHERE d.digest = ? AND d.id <> ? AND e.step = ? AND e.kind = ?",
            digest,
            other_than,
            step,
            EventKind.DONE,
        )
        return _time(rows[0][0])

    def get(self, deploy: str) -> Deploy | None:
        """The run with exactly this id."""
        rows = self._rows(f"SELECT {_DEPLOY} FROM deploys WHERE id = ?", deploy)  # noqa: S608 - columns
        return _deploy(rows[0]) if rows else None

    def find(self, text: str) -> Deploy:
        """The run whose id starts (or ends) with ``text``. Raises UsageError for none or several."""
        rows = self._rows(
            f"SELECT {_DEPLOY} FROM deploys WHERE substr(id, 1, length(?1)) = ?1 "  # noqa: S608 - columns
            "OR substr(id, -length(?1)) = ?1 ORDER BY started DESC, id DESC",
            text,
        )
        if len(rows) == 1:
            return _deploy(rows[0])
        several = ", ".join(str(row[0]) for row in rows[:5])
        raise UsageError(
            f"{text!r} names several deploys: {several}." if rows else f"No deploy {text!r}.",
            next_commands=("deployguard history",),
        )

    def history(self, environment: str | None = None, limit: int = 20) -> tuple[Deploy, ...]:
        """Runs, newest first."""
        rows = self._rows(
            f"SELECT {_DEPLOY} FROM deploys WHERE ?1 IS NULL OR environment = ?1 "  # noqa: S608 - columns
            "ORDER BY started DESC, rowid DESC LIMIT ?2",
            environment,
            limit,
        )
        return tuple(map(_deploy, rows))

    def unfinished(self, environment: str) -> Deploy | None:
        """The newest run of this environment that left work behind, if there is one."""
        return next(iter(self.all_unfinished(environment)), None)

    def all_unfinished(self, environment: str) -> tuple[Deploy, ...]:
        """Every run that left work behind, newest first: a stuck rollback leaves its deploy unfinished too."""
        rows = self._rows(
            f"SELECT {_DEPLOY} FROM deploys WHERE environment = ? AND status IN (?, ?, ?) "  # noqa: S608 - columns
            "ORDER BY started DESC, rowid DESC",
            environment,
            *UNFINISHED,
        )
        return tuple(map(_deploy, rows))

    def events(self, deploy: str) -> tuple[Event, ...]:
        """All events of a run, oldest first."""
        rows = self._rows(
            "SELECT seq, deploy, at, step, kind, evidence FROM events WHERE deploy = ? ORDER BY seq",
            deploy,
        )
        return tuple(
            Event(seq, name, datetime.fromisoformat(at), step, EventKind(kind), json.loads(text))
            for seq, name, at, step, kind, text in rows
        )

    def _rows(self, query: str, *values: str | int | None) -> list[tuple[Any, ...]]:
        with self._guard:
            try:
                with closing(self._connection().execute(query, values)) as cursor:
                    return cursor.fetchall()
            except sqlite3.Error as error:
                raise self._broken(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            sql = self._connection()
            try:
                sql.execute("BEGIN IMMEDIATE")
                yield sql
                sql.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._broken(error) from error
            finally:
                if sql.in_transaction:  # also after Ctrl-C between two statements
                    sql.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_state(self.path)
        return self._opened

    def _broken(self, error: sqlite3.Error) -> StateError:
        return StateError(
            f"The journal {self.path} cannot be used: {error}.",
            state="What was being done is in the journal up to its last event.",
            next_commands=("deployguard status",),
        )

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


def _deploy(row: tuple[Any, ...]) -> Deploy:
    text = [str(cell) if cell is not None else "" for cell in row]
    name, environment, kind, started, by, status, digest, summary, finished, plan, options = text
    return Deploy(
        id=name,
        environment=environment,
        kind=Kind(kind),
        started=datetime.fromisoformat(started),
        by=by,
        status=Status(status),
        digest=digest,
        summary=summary,
        finished=_time(finished),
        plan=json.loads(plan),
        options=json.loads(options),
    )
