"""The session settings of a migration, in the environment that its driver reads: pure."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployguard.config import MigrateConfig
from deployguard.migrators.base import Job

# A folder with a sitecustomize.py for drivers that read no PG… variables, and for Alembic; see there.
HOOK: Final = Path(__file__).with_name("session")
HOOK_VARIABLE: Final = "DEPLOYGUARD_SESSION"
REVISIONS_VARIABLE: Final = "DEPLOYGUARD_REVISIONS"


def session_environment(
    config: MigrateConfig, job: Job, existing: Mapping[str, str], *, hook: str | None
) -> dict[str, str]:
    """The variables to add for one job; what ``existing`` says already is kept, ours comes after it.

    PGAPPNAME and PGOPTIONS are read by libpq (psycopg2, psycopg; PostgreSQL manual, "Environment Variables").
    ``hook`` is the folder of HOOK as the migration's interpreter sees it, None where it sees none: other drivers and
    Alembic are left alone then.
    """
    settings = _settings(config, job)
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    kept = existing.get("PGOPTIONS", "").strip()
    added = {
        "PGAPPNAME": job.application_name,
        "PGOPTIONS": f"{kept} {options}".strip(),
    }
    if hook is not None:
        behind = existing.get("PYTHONPATH", "")
        added["PYTHONPATH"] = f"{hook}:{behind}" if behind else hook
        added[HOOK_VARIABLE] = json.dumps({"application_name": job.application_name, **settings})
        added[REVISIONS_VARIABLE] = "each" if config.transaction_per_revision else "theirs"
    return added


def _settings(config: MigrateConfig, job: Job) -> dict[str, str]:
    lock = config.lock_timeout if job.lock_timeout is None else job.lock_timeout
    return {
        name: f"{seconds}s"
        for name, seconds in (
            ("lock_timeout", lock),
            ("statement_timeout", job.statement_timeout),
            ("client_connection_check_interval", job.client_check),
        )
        if seconds  # 0 is PostgreSQL's own default: none; and the role may have one, which stays
    }
