"""Makes the saga's World from the configuration: the one place that knows which room implements what."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deployguard.config import Config, Environment, state_url
from deployguard.deploy.keeping import kept
from deployguard.deploy.reporter import Reporter
from deployguard.deploy.surroundings import Surroundings
from deployguard.deploy.wiring_commit import with_commits
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.model import BackupRecord, Json
from deployguard.notify import Notifier

if TYPE_CHECKING:
    from deployguard.backups import BackupStore, Site


def wire(
    config: Config,
    environment: Environment,
    *,
    reporter: Reporter,
    by: str,
    environ: Mapping[str, str] | None = None,
    cached: bool = False,
    every: float = 0.0,
) -> World:
    """The collaborators of one environment. Nothing is dialled or started; raises UsageError for a bad URL.

    ``cached``: what is only shown may rest on a reading that was kept. ``every``: seconds between lines of progress.
    """
    from deployguard import backups, migrators, targets
    from deployguard.backups import beside
    from deployguard.containers import Engine

    outer = {**config.alembic_environ(), **(os.environ if environ is None else environ)}
    # Ours: no child inherits them.
    identity = outer.pop(environment.backup.identity_env, "")
    state = state_url(environment, outer)
    for one in config.environments.values():
        outer.pop(one.state.url_env, "")
    outside = (outer, reporter, Engine(outer), cached, every, identity, state)
    around = Surroundings(config, environment, *outside)
    site = around.site()
    store = backups.store(site)
    settings = (config, environment, around.environ, around.redact, around.engine)
    journal, lock = kept(
        config,
        environment,
        state,
        around.redact,
        target=around.database,
        address=around.address,
        waiting=reporter.note,
    )
    migrator = migrators.make(migrators.Setting(*settings))
    base = World(
        project=config.project,
        environment=environment,
        config_path=config.path,
        state=config.state_directory,
        by=around.redact(by),
        journal=journal,
        lock=lock,
        reporter=reporter,
        assess=around.assess,
        graph=around.graph,
        database=around.database,
        backups=store,
        migrator=migrator,
        target=targets.make(targets.Setting(*settings, reporter.progress)),
        # without an application there are no writers of ours
        quiescer=around.quiescer()
        if environment.quiesce.does and environment.target.kind != "none"
        else None,
        poll_health=lambda on_sample: around.poller(on_sample).poll(),
        bake=lambda on_sample: around.poller(on_sample).bake(),
        take_backup=lambda reason, deploy: _take_backup(around, site, store, reason, deploy),
        take_part=lambda reason, scope: store.take(around.request(reason, scope=scope)),
        find_backup=lambda reason, deploy: _find_backup(site, reason, deploy),
        named_backup=lambda name: backups.find(
            site.folder, name, backups.id_begin(site.project, site.environment)
        ),
        backup_mark=lambda record: beside.mark(site.folder, record),
        backup_slot=lambda record: beside.slot(site.folder, record),
        sweep_backups=store.sweep,
        openable=lambda record: _openable(site, record),
        unrestorable=lambda: _unrestorable(site),
        would_run=lambda current: around.would_run(current, migrator.image()),
        redact=around.redact,
        clock=_now,
        sleep=time.sleep,
        every=every,
        offsite=around.offsite if environment.offsite.url else None,
        notifier=Notifier(environment.notify, outer, around.redact),
    )
    if environment.target.kind == "compose":
        base = replace(base, image=around.image)
    return with_commits(base, around)


def _openable(site: "Site", record: BackupRecord | None) -> None:
    """What keeps this machine, or its role in the server, from a restore; beforehand nobody asks the server."""
    from deployguard.backups import opening, rights

    opening.openable(site, record)
    if record is not None:
        rights.check(site)


def _unrestorable(site: "Site") -> tuple[str, tuple[str, ...]] | None:
    from deployguard.backups import rights

    return rights.missing(site)


def _take_backup(
    around: Surroundings, site: "Site", store: "BackupStore", reason: str, deploy: str
) -> BackupRecord:
    """Take a backup; where writing stood before is kept beside it, so that a restore can say what came after."""
    from deployguard.backups import beside

    mark: Json = None
    with suppress(DeployguardError), around.database() as database:  # then that is unknown
        mark = database.writes_mark()
    record = store.take(around.request(reason, deploy or None))
    if mark:
        with suppress(OSError):
            beside.keep_mark(site.folder, record, mark)
    return record


def _find_backup(site: "Site", reason: str, deploy: str) -> BackupRecord | None:
    from deployguard import backups

    begin = backups.id_begin(site.project, site.environment)
    records = backups.listing(site.folder, begin).records
    return next((r for r in records if _counts(r, reason, deploy)), None)


def _counts(record: BackupRecord, reason: str, deploy: str) -> bool:
    return record.deploy == deploy and record.reason == reason and record.scope.whole


def _now() -> datetime:
    return datetime.now(UTC)
