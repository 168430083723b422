"""The journal's tables in PostgreSQL, and the forward-only steps that bring an older schema up to date."""

from typing import Final

# Each entry takes the schema from version i to i + 1. Entries are never edited after a release, only added.
MIGRATIONS: Final = (
    (
        """
        CREATE TABLE deploys (
            rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
            id TEXT PRIMARY KEY,
            environment TEXT NOT NULL,
            kind TEXT NOT NULL,
            started TEXT NOT NULL,
            by TEXT NOT NULL,
            host TEXT NOT NULL,
            status TEXT NOT NULL,
            digest TEXT NOT NULL DEFAULT '',
            summary TEXT NOT NULL DEFAULT '',
            finished TEXT,
            plan TEXT NOT NULL DEFAULT '{}',
            options TEXT NOT NULL DEFAULT '{}'
        )""",
        "CREATE INDEX deploys_by_environment ON deploys (environment, started)",
        """
        CREATE TABLE events (
            seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            uid TEXT NOT NULL UNIQUE,
            deploy TEXT NOT NULL REFERENCES deploys (id),
            at TEXT NOT NULL,
            step TEXT NOT NULL,
            kind TEXT NOT NULL,
            evidence TEXT NOT NULL DEFAULT '{}'
        )""",
        "CREATE INDEX events_by_deploy ON events (deploy, seq)",
        """
        CREATE TABLE approvals (
            seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            uid TEXT NOT NULL UNIQUE,
            plan_digest TEXT NOT NULL,
            environment TEXT NOT NULL,
            by TEXT NOT NULL,
            reason TEXT NOT NULL,
            at TEXT NOT NULL,
            expires TEXT
        )""",
        "CREATE INDEX approvals_by_digest ON approvals (plan_digest)",
        # Who holds, or held last, the deploy lock of an environment; whether it is held, the server's locks say.
        """
        CREATE TABLE holders (
            environment TEXT PRIMARY KEY,
            session INTEGER NOT NULL,
            holder TEXT NOT NULL
        )""",
    ),
)
