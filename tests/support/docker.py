"""The bookings application in real containers, one compose project a stack."""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgres import free_port

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.prod.yml"
BUILD = ROOT / "scripts" / "build-bookings"

# The releases of the demo, and the last revision that each of them has.
RELEASES = {
    "v1": "b013",  # the application at its newest works on every schema from here on
    "v2": "b014",  # one column more: low
    "v3": "b019",  # the rest: an index, a check, an enum value, and two drops
}


class DockerError(RuntimeError):
    """A docker command failed; the message has its output."""


def run(*argv: str, environment: dict[str, str] | None = None, timeout: float = 180) -> str:
    """The command's stdout; DockerError when it fails."""
    done = subprocess.run(
        argv,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise DockerError(f"{' '.join(argv)} → {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@functools.cache
def missing() -> str | None:
    """Why Docker tests can't run here, or None when they can."""
    for argv in (("docker", "info"), ("docker", "compose", "version")):
        try:
            run(*argv, timeout=15)
        except FileNotFoundError:
            return "there is no docker command"
        except subprocess.TimeoutExpired:
            return f"`{' '.join(argv)}` did not answer within 15 seconds"
        except DockerError as error:
            last = str(error).strip().splitlines()[-1]
            return f"`{' '.join(argv)}` failed: {last}"
    return None


@dataclass(slots=True)
class Images:
    """Images of the bookings application, built once a test session under a name of its own."""

    name: str = field(default_factory=lambda: f"bookings-test-{secrets.token_hex(4)}")
    built: list[str] = field(default_factory=list)

    def build(self, tag: str, *, head: str | None = None, broken: bool = False) -> str:
        """Build `name:tag` unless it is there; `head` is the last revision that it has."""
        image = f"{self.name}:{tag}"
        if image not in self.built:
            argv = [str(BUILD), image]
            argv += ["--head", head] if head else []
            argv += ["--broken"] if broken else []
            run(*argv, timeout=300)
            self.built.append(image)
        return image

    def build_all(self) -> None:
        """The releases v1, v2 and v3, and `broken`: v2 with a /health that always answers 503."""
        for tag, head in RELEASES.items():
            self.build(tag, head=head)
        self.build("broken", head=RELEASES["v2"], broken=True)

    def remove(self) -> None:
        names = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", self.name).split()
        if names:
            subprocess.run(["docker", "rmi", "-f", *names], capture_output=True, check=False)


@dataclass(slots=True)
class Stack:
    """docker-compose.prod.yml as a project of its own; `tag` is the image that compose would start."""

    image: str
    tag: str = "v1"
    project: str = field(default_factory=lambda: f"dgtest{secrets.token_hex(4)}")
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    file: Path = COMPOSE_FILE

    @property
    def environment(self) -> dict[str, str]:
        """What the compose file reads; give it to every process that calls compose."""
        return {
            "BOOKINGS_IMAGE": self.image,
            "BOOKINGS_TAG": self.tag,
            "BOOKINGS_PORT": str(self.port),
            "POSTGRES_PASSWORD": self.password,
            "COMPOSE_PROJECT_NAME": self.project,
        }

    @property
    def url(self) -> str:
        """Where nginx answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """As the containers know it: the host `postgres` exists inside their network only."""
        return f"postgresql://bookings:{self.password}@postgres:5432/bookings"

    def compose(self, *arguments: str, timeout: float = 180) -> str:
        argv = ("docker", "compose", "-p", self.project, "-f", str(self.file), *arguments)
        return run(*argv, environment=self.environment, timeout=timeout)

    def up(self) -> None:
        """Database first, then its schema as `tag` has it, then everything, healthy."""
        self.compose("up", "-d", "--wait", "postgres")
        self.migrate()
        self.compose("up", "-d", "--wait", "--no-build")

    def migrate(self, *command: str) -> str:
        """Run the migration service (`alembic upgrade head` unless told) and return its output."""
        return self.compose(
            "--profile", "migration", "run", "--rm", "--no-deps", "-T", "migration", *command
        )

    def sql(self, statement: str, database: str = "bookings") -> str:
        """Run SQL as the database's owner; rows are lines, columns are separated by `|`."""
        return self.compose(
            *("exec", "-T", "postgres", "psql", "-U", "bookings", "-d", database),
            *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement),
        ).strip()

    def revision(self) -> str:
        return self.sql("SELECT version_num FROM alembic_version")

    def seed(self, bookings: int = 20) -> None:
        """Rooms, guests and bookings that every schema from b013 on accepts."""
        self.sql(SEED.replace(":bookings", str(bookings)))

    def rows(self) -> dict[str, int]:
        """Exact row counts of the application's tables."""
        tables = self.sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version' ORDER BY 1"
        ).split()
        return {table: int(self.sql(f'SELECT count(*) FROM "{table}"')) for table in tables}

    def containers(self, service: str) -> list[dict[str, str]]:
        """`docker inspect`'s view of the service's containers, one flat record each."""
        ids = self.compose("ps", "-a", "-q", service).split()
        found = json.loads(run("docker", "inspect", *ids)) if ids else []
        return [
            {
                "id": one["Id"],
                "name": one["Name"].lstrip("/"),
                "image": one["Config"]["Image"],
                "digest": one["Image"],
                "state": one["State"]["Status"],
                "health": one["State"].get("Health", {}).get("Status", ""),
            }
            for one in found
        ]

    def down(self) -> None:
        """Remove everything of the project: one-off containers, volumes and networks as well."""
        label = f"label=com.docker.compose.project={self.project}"
        left = run("docker", "ps", "-aq", "--filter", label).split()
        if left:
            subprocess.run(["docker", "rm", "-f", "-v", *left], capture_output=True, check=False)
        self.compose("--profile", "migration", "down", "-v", "--remove-orphans")


SEED = """
INSERT INTO venues (name, city) VALUES ('Old Mill', 'Ghent');
INSERT INTO rooms (name, capacity, price_cents, venue_id)
    SELECT 'room ' || n, 2 + n % 4, 5000 + 100 * n, 1 FROM generate_series(1, 5) n;
INSERT INTO guests (full_name, email, fax)
    SELECT 'Guest ' || n, 'guest' || n || '@example.org', '+32 9 ' || n
    FROM generate_series(1, :bookings) n;
INSERT INTO bookings (room_id, guest_id, reference, starts_at, ends_at, status, total_cents)
    SELECT 1 + n % 5, n, 'BK-' || n, timestamptz '2026-01-01 15:00Z' + n * interval '1 day',
           timestamptz '2026-01-02 11:00Z' + n * interval '1 day', 'confirmed', 5000
    FROM generate_series(1, :bookings) n;
INSERT INTO jobs (kind, booking_id, done_at) SELECT 'confirm', id, now() FROM bookings;
INSERT INTO import_batches (source, row_count) VALUES ('card index', 812), ('spreadsheet', 96);
"""
