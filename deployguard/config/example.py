"""Writes deployguard.toml with every key, its default and its meaning: documentation and schema at once."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import MappingProxyType

from deployguard.config import (
    drill,
    encryption,
    health,
    notify,
    offsite,
    physical,
    quiesce,
    rds,
    retention,
    state,
    watch,
)
from deployguard.config.commands import commands
from deployguard.config.discover import ProjectFacts
from deployguard.config.schema import (
    BackupConfig,
    MigrateConfig,
    Policy,
    Project,
    ReadConfig,
    TargetConfig,
)

_KINDS = MappingProxyType(
    {
        "project": Project,
        "state": state.StateConfig,
        "read": ReadConfig,
        "migrate": MigrateConfig,
        "watch": watch.WatchConfig,
        "target": TargetConfig,
        "backup": BackupConfig,
        "retention": retention.RetentionConfig,
        "rds": rds.RdsConfig,
        "offsite": offsite.OffsiteConfig,
        "drill": drill.DrillConfig,
        "physical": physical.PhysicalConfig,
        "quiesce": quiesce.QuiesceConfig,
        "health": health.HealthConfig,
        "notify": notify.NotifyConfig,
    }
)

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "project": "Which Alembic project this is.",
        "state": "Where the journal lies when several hosts deploy; docs/state.md says more.",
        "read": "How pending revisions are read: the project's own env.py runs on a recorder, not on a database.",
        "migrate": "Where and how the migration runs.",
        "watch": "How a running migration is watched (PostgreSQL); docs/watching.md says more.",
        "target": "The running application.",
        "backup": "Where backups go, and how hard to try.",
        "retention": "Which backups are kept; only `backup prune` removes any. docs/retention.md says more.",
        "rds": 'Amazon RDS and Aurora, where store above is "rds"; docs/rds.md says what it needs.',
        "offsite": "Where copies of backups go; docs/offsite.md says more. Credentials never stand here.",
        "drill": "Where `backup verify --drill` restores a backup to, for practice.",
        "physical": "Base backups of the whole cluster and its write-ahead log; docs/physical.md says more.",
        "quiesce": "Writers that are held still around a risky migration.",
        "health": "When the application counts as healthy after the update.",
        "notify": "Who is told how deploys and backups end; docs/notifications.md says more.",
        "policy": "What each level demands. High and critical always need an approval and a verified backup.",
    }
)

MEANINGS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "project": {
            "name": "In file names, container names and locks: letters, digits, - and _.",
            "alembic_ini": "Paths count from the folder of this file.",
            "section": "The section of alembic.ini.",
            "dialect": (
                "What production runs on: check --since and --from judge for it, whatever development has. "
                '"" is the dialect of the environment\'s URL, else postgresql.'
            ),
            "version_table": "Alembic's table (schema.table), when env.py configures another one.",
            "default_environment": 'Used without --env; "" is the only one, if there is only one.',
            "baseline": "What `deployguard baseline` wrote: findings of before that do not count any more.",
            "state": "Journal, locks and logs. Keep it out of version control and on a disk that stays.",
        },
        "state": state.MEANINGS,
        "read": {
            "python": "The project's interpreter as a list of words; [] is the one that runs deployguard.",
            "where": '"local", "compose" (in the migration service), or "auto": where the migration runs.',
            "pass_environment": "Names of further variables that env.py needs; all others are kept out.",
            "timeout": "Seconds.",
            "facts_days": "`check --facts FILE` says so when the file is older than so many days.",
        },
        "migrate": {
            "runner": '"local" (this interpreter) or "compose" (a one-off container of the service below).',
            "command": "A list of words, no shell. Use heads instead of head for several heads.",
            "downgrade_command": "{revision} is replaced.",
            "service": "The compose service that runs the command …",
            "profile": "… and the profile that keeps it from starting by itself.",
            "lock_timeout": "Seconds a statement waits for a lock before it gives up; 0 waits for ever.",
            "statement_timeout": (
                "Seconds a statement may run, by the plan's level, or one number; 0 is no limit (docs/watching.md)."
            ),
            "timeout": "Seconds the whole migration may run.",
            "retries": "How often a lock timeout, deadlock or serialization failure is tried again.",
            "transaction_per_revision": (
                "Each revision in a transaction of its own, unless env.py says otherwise or begins one itself."
            ),
        },
        "watch": watch.MEANINGS,
        "target": {
            "kind": '"none" (migrate only), "compose", or "commands" (systemctl and the like).',
            "compose_files": "Also used by the compose runner above.",
            "project_name": 'docker compose -p; "" is Compose\'s own choice.',
            "services": "The services that run the application's code; they are updated and rolled back.",
            "prepare": '"build" or "pull" images before anything changes; "none" when CI has done so.',
            "rolling": "Services whose new replicas start beside the old ones, and the proxy (docs/rolling.md).",
            "update": "commands: run in order to bring up the new version. Lists of words, no shell.",
            "rollback": "commands: put the former version, {version}, back; with [] a person must do that.",
            "stop": "commands: stop it, so that nobody writes while data goes back; [] leaves that to a person.",
            "start": "commands: start what `stop` stopped, as it was; both or neither.",
            "version": "commands: prints the version that is running; it is recorded.",
            "timeout": "Seconds.",
        },
        "backup": {
            "store": '"auto" (by the URL: a dump, or a copy of the file) or "rds" (snapshots, see below).',
            "directory": "Files are readable by their owner only.",
            "timeout": "Seconds for one try; for pg_dump, in which nothing more is written.",
            "tries": "How often a backup is tried …",
            "pause": "… and the seconds between.",
            "pg_bin": 'Folder of pg_dump and pg_restore; "" is PATH, else a container (docs/backups.md).',
            "format": '"directory" (dumped in parallel; SQLite: the file), "custom" (one file) or "plain" (.sql.gz).',
            "compression": '"auto", or what pg_dump can do, also with a level: "zstd:3", "lz4", "gzip:9", "none".',
            "jobs": "Tables that are dumped, counted and restored at once; 0 is one a processor, up to 4.",
            "database_url_env": "The variable with another URL to back up from: past PgBouncer, or of a replica.",
            "count_budget": "Seconds for counting rows exactly; of tables beyond it the planner's estimate is kept.",
            **encryption.MEANINGS,
            "slot": '"auto" counts what is written since a backup with a slot where PostgreSQL can; "never".',
            "slot_mb": "Megabytes of log that the slot may keep on the server before deployguard drops it.",
        },
        "retention": retention.MEANINGS,
        "rds": rds.MEANINGS,
        "offsite": offsite.MEANINGS,
        "drill": drill.MEANINGS,
        "physical": physical.MEANINGS,
        "quiesce": quiesce.MEANINGS,
        "health": health.MEANINGS,
        "notify": notify.MEANINGS,
    }
)

_HEADER = """\
# deployguard.toml, written by `deployguard init`.
# A line that begins with # and a key shows the default: change it by taking the # away.
# The tables below hold for every environment; [environments.NAME.…] overrides them key by key.
# Secrets never stand here: name the environment variable that holds the database URL.
"""

_ACCEPT = """\
# A finding that somebody takes on, with the reason; docs/suppression.md says more. It still counts for deploy.
# [[accept]]
#   The revision, and the code or the name of the rule.
# revision = "b017"
# rule = "index-not-concurrent"
# reason = "rooms has 40 rows"
#   Where in the revision: a line of its file, or a part of the statement; else anywhere.
# line = 16
# statement = "CREATE INDEX"
#   Only when judged for this dialect; else for any.
# dialect = "postgresql"
#   Open again after this day.
# expires = 2027-01-31
"""

_ONLY_VARIABLE = """\
#   The variable that env.py reads, and that holds the URL of the database you develop with. A URL without a
#   password may stand here instead, as database_url.
"""


def render_annotated(facts: ProjectFacts) -> str:
    """The annotated deployguard.toml for a project: every key of the schema, in its table, explained."""
    chosen = _choices(facts)
    parts = [_HEADER]
    parts += [_section(name, chosen.get(name, {})) for name in _KINDS]
    parts += [_policy(), _ACCEPT, _development(facts), _production(facts)]
    return "\n".join(parts)


def render_reference() -> str:
    """docs/configuration.md: the annotated example of a typical project, with its explanation around it."""
    facts = ProjectFacts(
        name="bookings",
        sqlite_url="sqlite:///bookings.db",
        compose_file="docker-compose.prod.yml",
        services=("web", "worker"),
        migration_service="migration",
        migration_profile="migration",
    )
    return _REFERENCE.format(example=render_annotated(facts))


def value(item: object) -> str:
    """A Python value as TOML text. Only what the schema holds: strings, numbers, booleans, lists of those."""
    if isinstance(item, tuple | list):
        return "[" + ", ".join(value(part) for part in item) + "]"
    if isinstance(item, bool):
        return str(item).lower()
    if is_dataclass(item):
        said = {spec.name: getattr(item, spec.name) for spec in fields(item)}
        told = [spec.name for spec in fields(item) if said[spec.name] != spec.default]
        shown = told or list(said)  # all of it is the default: then that is what is told
        return "{ " + ", ".join(f"{name} = {value(said[name])}" for name in shown) + " }"
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(item)


def _choices(facts: ProjectFacts) -> dict[str, dict[str, object]]:
    """What is set, not only explained: what differs from the defaults for this project."""
    found = {spec.name: getattr(facts, spec.name, None) for spec in fields(Project)}
    differs = {
        spec.name: found[spec.name]
        for spec in fields(Project)
        if found[spec.name] is not None and found[spec.name] != _default(spec)
    }
    chosen: dict[str, dict[str, object]] = {
        "project": {**differs, "default_environment": "development"}
    }
    if facts.compose_file:
        chosen["target"] = {"compose_files": (facts.compose_file,), "services": facts.services}
    chosen["migrate"] = commands(facts)
    if facts.migration_service:
        chosen["migrate"] |= {
            "service": facts.migration_service,
            "profile": facts.migration_profile or "migration",
        }
    return chosen


def _section(name: str, chosen: Mapping[str, object]) -> str:
    lines = [f"# {TITLES[name]}", f"[{name}]"]
    for spec in fields(_KINDS[name]):
        shown = chosen.get(spec.name, _default(spec))
        mark = "" if spec.name in chosen else "# "
        lines += [f"#   {MEANINGS[name][spec.name]}", f"{mark}{spec.name} = {value(shown)}"]
    return "\n".join(lines) + "\n"


def _default(spec: "Field[object]") -> object:
    if spec.default_factory is not MISSING:
        return spec.default_factory()
    return "" if spec.default is MISSING else spec.default


def _policy() -> str:
    policy = Policy()
    lines = [
        f"# {TITLES['policy']}",
        "[policy]",
        "#   check exits with 10 from this level on, when no --fail-on is given.",
        f'# fail_on = "{policy.fail_on}"',
        "#   Hours an approval is good for.",
        f"# approval_hours = {policy.approval_hours}",
        '#   approval: "automatic", "review" (--manual-migrate shows the plan and asks) or "approval";',
        '#   backup: "optional", "recommended" (the plan says so, --backup takes it) or "required".',
    ]
    for risk, need in policy.ladder.items():
        lines.append(f'# {risk} = {{ approval = "{need.approval}", backup = "{need.backup}" }}')
    return "\n".join(lines) + "\n"


def _development(facts: ProjectFacts) -> str:
    url = development_url(facts)
    named = (
        "#   A URL without a password may stand here; a relative SQLite path counts from this file.\n"
        f"database_url = {value(url)}\n"
        "#   The variable that env.py reads: it is given the URL above where it is not set.\n"
    )
    return (
        "[environments.development]\n"
        f"{named if url else _ONLY_VARIABLE}"
        f"database_url_env = {value(facts.url_env)}\n"
    )


def development_url(facts: ProjectFacts) -> str:
    """The SQLite URL to develop with; "" where the project does not run on SQLite, and only its variable counts."""
    made_up = f"sqlite:///{facts.name}.db" if facts.dialect == "sqlite" else ""
    return facts.sqlite_url or made_up


def _production(facts: ProjectFacts) -> str:
    lines = [
        "[environments.production]",
        "#   The variable that holds the URL; env.py reads the same one.",
        f"database_url_env = {value(facts.url_env)}",
    ]
    if facts.compose_file:
        lines.append('target.kind = "compose"')
    if facts.migration_service:
        lines.append('migrate.runner = "compose"')
    lines.append('# health.urls = ["http://127.0.0.1:8000/health"]')
    return "\n".join(lines) + "\n"


_REFERENCE = """\
# Configuration

One file, `deployguard.toml`, lies beside `alembic.ini` or above it. `deployguard init` writes it for the project
it finds, with every key in it; below is what it writes for a Compose application. deployguard looks for it in the
current folder and then in the folders above, or takes `--config PATH`.

- An unknown key, a wrong type or a password in a URL is an error (exit code 2) that names the place, and the
  nearest key that exists.
- Tables at the top hold for every environment. `[environments.NAME.TABLE]`, or `TABLE.key = …` inside
  `[environments.NAME]`, overrides them key by key.
- An environment has `database_url` (no password in it), `database_url_env` (the name of the variable that holds the
  URL), or both: then the variable counts where it is set, and the migration is given the URL in it where it is not.
- `[[accept]]` entries name findings that do not count for `check` any more ([suppression](suppression.md)).
- High and critical always need an approval and a verified backup; a file that says otherwise is refused.

```toml
{example}```
"""
