"""The saga's world made of fakes, a reporter that remembers, and a journal that kills."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployguard.config import (
    DatabaseConfig,
    Environment,
    HealthConfig,
    MigrateConfig,
    OffsiteConfig,
    Project,
    QuiesceConfig,
    TargetConfig,
    parse_url,
)
from deployguard.deploy.world import World
from deployguard.model import (
    Approval,
    Decision,
    Health,
    HealthSample,
    Json,
    Plan,
    Risk,
    Verdict,
    Vital,
    Way,
)
from deployguard.state import DeployLock, EventKind, Journal
from deployguard.state.postgresql import PostgresStore
from deployguard.state.shared_lock import SharedLock
from tests.deploy.plans import CREATE, plan, verdict
from tests.deploy.production import (
    AFTER,
    BEFORE,
    NOW,
    V1,
    V2,
    FakeCommits,
    FakeDatabase,
    FakeMigrator,
    FakeOffsite,
    FakeQuiescer,
    FakeStore,
    FakeTarget,
    Production,
    graph,
)

__all__ = ["AFTER", "BEFORE", "NOW", "V1", "V2", "Production"]


@dataclass
class Recorder:
    """A reporter that remembers what it was told, and answers what it was given."""

    answers: list[Approval | None] = field(default_factory=list)
    types: str = ""
    told: list[tuple[str, str]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def run_started(self, deploy: str, kind: str, environment: str) -> None:
        self.told.append(("run", kind))

    def step_started(self, name: str, title: str) -> None:
        self.told.append(("started", name))

    def step_done(self, name: str, title: str, seconds: float, evidence: dict[str, Json]) -> None:
        self.told.append(("done", name))

    def step_failed(self, name: str, title: str, seconds: float, message: str) -> None:
        self.told.append(("failed", name))

    def part_done(self, title: str, seconds: float, *, pending: bool) -> None:
        self.told.append(("part", f"{title}{', pending' if pending else ''}"))

    def note(self, text: str) -> None:
        self.told.append(("note", text))

    def log_line(self, line: str) -> None:
        self.told.append(("log", line))

    def progress(self, text: str) -> None:
        self.told.append(("progress", text))

    def show_plan(self, plan: Plan, decision: Decision) -> None:
        self.plans.append(plan)

    def asks(self) -> bool:
        return bool(self.answers)

    def ask_approval(self, plan: Plan) -> Approval | None:
        self.told.append(("ask", plan.digest))
        return self.answers.pop(0) if self.answers else None

    def confirm(self, warning: str, expected: str) -> bool:
        self.told.append(("confirm", warning))
        return self.types == expected

    def steps(self, what: str = "done") -> list[str]:
        return [name for kind, name in self.told if kind == what]


class KillingJournal(Journal):
    """A journal whose process ends the ``nth`` time that it comes to a point: (step, "before-KIND" or "after-KIND")."""

    def __init__(
        self, folder: Path, at: tuple[str, str], die: Callable[[], None], nth: int = 1
    ) -> None:
        super().__init__(place(folder), clock=lambda: NOW)
        self._at, self._die, self._left = at, die, nth

    def record(
        self, deploy: str, step: str, kind: EventKind, evidence: Mapping[str, Json] | None = None
    ) -> None:
        self._point(step, f"before-{kind}")
        super().record(deploy, step, kind, evidence)
        self._point(step, f"after-{kind}")

    def _point(self, step: str, point: str) -> None:
        if (step, point) == self._at:
            self._left -= 1
            if not self._left:
                self._die()


def shares(folder: Path, url: str, schema: str, **options: float) -> None:
    """From now on the world in ``folder`` keeps its journal in that schema of a PostgreSQL database."""
    (folder / "shared.json").write_text(json.dumps({"url": url, "schema": schema, **options}))


def place(folder: Path) -> Path | PostgresStore:
    """Where the journal of the world in ``folder`` is: a file, or what ``shares`` said."""
    shared = folder / "shared.json"
    if not shared.exists():
        return folder / "state" / "journal.db"
    given = json.loads(shared.read_text())
    url = parse_url(given.pop("url"), "the test")
    return PostgresStore(url, project="bookings", apart=lambda *_: True, **given)


PENDING = verdict(AFTER, BEFORE, operations=(CREATE,))


def environment(
    *,
    target: str = "commands",
    offsite: OffsiteConfig | None = None,
    quiesce: QuiesceConfig | None = None,
    **health: object,
) -> Environment:
    values: dict[str, object] = {"urls": ("http://app/health",)} | health
    return Environment(
        name="production",
        database=DatabaseConfig(url="sqlite:///app.db"),
        migrate=MigrateConfig(retries=2),
        target=TargetConfig(kind=target),  # type: ignore[arg-type]
        offsite=offsite or OffsiteConfig(),
        quiesce=quiesce or QuiesceConfig(),
        health=HealthConfig(**values),  # type: ignore[arg-type]
    )


def make_world(
    folder: Path,
    *,
    pending: Verdict = PENDING,
    reporter: Recorder | None = None,
    journal: Journal | None = None,
    settings: Environment | None = None,
    interrupts: list[str] | None = None,
) -> World:
    """The saga's world around the production in ``folder``."""
    production = Production(folder)
    store = FakeStore(production)

    def assess() -> Plan:
        if production["revision"] == [AFTER]:
            return plan(current=(AFTER,))
        return plan(pending, current=tuple(production["revision"]))  # type: ignore[arg-type]

    def ask(when: str, key: str, on_sample: Callable[[HealthSample], None]) -> Health:
        production.happen(when)
        release = production["release"]
        ok: bool | None = bool(production["up"]) and release not in (production.says(key) or ())  # type: ignore[operator]
        if release in (production.says("unknown") or ()):  # type: ignore[operator]
            ok = None
        vital, said = {
            True: (Vital.HEALTHY, "200"),
            False: (Vital.UNHEALTHY, "503"),
            None: (Vital.INCONCLUSIVE, "nobody answers"),
        }[ok]
        sample = HealthSample(NOW, ok, said)
        on_sample(sample)
        return Health(vital, sample.detail, (sample,))

    def would_run(current: tuple[str, ...]) -> dict[str, str]:
        here = () if AFTER in current else (pending,)
        image = str(production.says("image") or "")
        files = {v.revision.id: v.revision.digest for v in here}
        return {**files, "image": image} if image else files

    journal = journal or Journal(place(folder), clock=lambda: NOW)
    lock = DeployLock(folder / "state", "production")
    if isinstance(journal.store, PostgresStore):
        lock = SharedLock(folder / "state", "production", journal.store)
    return World(
        project=Project("bookings"),
        environment=settings or environment(),
        config_path=folder / "deployguard.toml",
        state=folder / "state",
        by="ann",
        journal=journal,
        lock=lock,
        reporter=reporter or Recorder(),
        assess=assess,
        graph=lambda: graph(BEFORE, AFTER),
        database=lambda: FakeDatabase(production),  # type: ignore[arg-type,return-value]
        backups=store,  # type: ignore[arg-type]
        migrator=FakeMigrator(production, list(interrupts or ())),
        target=FakeTarget(production),  # type: ignore[arg-type]
        quiescer=FakeQuiescer(production),  # type: ignore[arg-type]
        poll_health=lambda on_sample: ask("poll", "sick", on_sample),
        bake=lambda on_sample: ask("bake", "sickens", on_sample),
        take_backup=store.take,
        find_backup=store.find,
        named_backup=store.named,
        backup_mark=store.mark,
        backup_slot=store.slot,
        sweep_backups=lambda: production.change("sweep"),
        would_run=would_run,
        redact=lambda text: text.replace("hunter2", "***"),
        clock=lambda: NOW,
        sleep=lambda seconds: None,
        image=lambda name: {"digest": f"app@{name}", "names": [f"app:{name[-3:]}"]},
        commits=FakeCommits(production),
        offsite=(lambda: FakeOffsite(production))  # type: ignore[arg-type,return-value]
        if (settings or environment()).offsite.url
        else None,
    )


def critical(**changes: object) -> Verdict:
    """A pending revision of critical risk whose downgrade loses data."""
    base = verdict(AFTER, BEFORE, risk=Risk.CRITICAL, expand=False, way=Way.RESTORE)
    return replace(base, **changes)  # type: ignore[arg-type]
