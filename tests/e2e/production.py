"""Production as a team has it: a working copy with its deployguard.toml, and the stack that it deploys to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.commands import Command, Result
from tests.e2e.watching import Visitors, ask, until
from tests.support.docker import RELEASES, ROOT, Stack, run

BOOKINGS = Path("migrations_fixtures/bookings")
SAVED = "bookings_as_v1_has_it"
FULL = ("--auto-migrate", "--backup", "--health-check")
# A release that is not one of RELEASES has the revisions of another.
HEADS = RELEASES | {"broken": RELEASES["v2"], "broken3": RELEASES["v3"], "broken18": "b018"}


@dataclass(slots=True)
class Production:
    """One host: ``folder`` is the checkout that deploys are made from, ``stack`` what runs."""

    stack: Stack
    folder: Path
    release: str = ""
    configuration: str = ""
    commands: list[Command] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """What the host's environment holds, as README says: the secrets, and what compose fills in."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "GITLAB_"))}
        url = self.stack.database_url.replace("postgresql:", "postgresql+asyncpg:")
        return kept | self.stack.environment | {"DATABASE_URL": url, "COLUMNS": "110"}

    def set_up(self) -> None:
        """The checkout of v1 and its deployguard.toml, made by ``init`` and then edited as its comments say."""
        shutil.copy(ROOT / "docker-compose.prod.yml", self.folder)
        self.checkout("v1")
        made = self.run("init")
        assert made.code == 0, made.both
        self.edit("# health.urls = .*", f'health.urls = ["{self.stack.url}/health"]')
        checks = "{kind = 'container', service = 'web'}, {kind = 'sql', statement = 'SELECT 1'}"
        self.edit("# checks = .*", f"checks = [{checks}]")
        self.edit("# interval = .*", "interval = 0.3")
        self.edit("# name = .*|name = .*", 'name = "bookings"')
        self.edit("default_environment = .*", 'default_environment = "production"')
        self.configuration = (self.folder / "deployguard.toml").read_text()

    def checkout(self, release: str) -> None:
        """Bring the working copy to a release, and say that this is the image to run."""
        target = self.folder / BOOKINGS
        leave = shutil.ignore_patterns("wheels", "__pycache__", "*.db", ".deployguard")
        versions = target / "migrations" / "versions"
        shutil.rmtree(versions, ignore_errors=True)
        # Files that are there keep their inode: nginx has its configuration mounted.
        shutil.copytree(ROOT / BOOKINGS, target, ignore=leave, dirs_exist_ok=True)
        for file in versions.glob("b*.py"):
            if file.name.split("_")[0] > HEADS[release]:
                file.unlink()
        self.release = self.stack.tag = release

    def edit(self, pattern: str, line: str) -> None:
        """Replace a line of deployguard.toml."""
        file = self.folder / "deployguard.toml"
        text, count = re.subn(
            f"^({pattern})$", lambda _: line, file.read_text(), count=1, flags=re.MULTILINE
        )
        assert count == 1, f"{pattern!r} is not in\n{file.read_text()}"
        file.write_text(text)

    def start(self, *arguments: str, prefix: Sequence[str] = (), **environ: str) -> Command:
        """Start ``deployguard ARGUMENTS`` as somebody at a shell, or a pipeline, would."""
        folder = self.folder / ".said" / str(len(self.commands))
        folder.mkdir(parents=True)
        with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "deployguard", *arguments],
                cwd=self.folder,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
            )
        command = Command(process, folder)
        self.commands.append(command)
        return command

    def run(self, *arguments: str, timeout: float = 300, **environ: str) -> Result:
        """Run it to its end."""
        return self.start(*arguments, **environ).result(timeout)

    def deploy(self, *arguments: str, **environ: str) -> Result:
        return self.run("deploy", "--env", "production", *(arguments or FULL), **environ)

    def approved(self, *arguments: str) -> Result:
        """Deploy what needs an approval, with the digest that the refusal shows."""
        refused = self.deploy(*arguments)
        assert refused.code == 11, refused.both
        return self.deploy(*(arguments or FULL), "--approve", refused.digest, "--reason", "tests")

    def last(self) -> dict[str, object]:
        """The newest run, as ``show`` tells it."""
        shown = self.run("show", "--format", "json")
        assert shown.code == 0, shown.both
        return shown.document

    def backups(self) -> list[dict[str, object]]:
        """The backups that count, newest first."""
        listed = self.run("backup", "list", "--format", "json")
        assert listed.code == 0, listed.both
        return listed.document["backups"]

    @staticmethod
    def pending(checked: Result) -> list[str]:
        """The revisions of a check's JSON document."""
        return [one["id"] for one in checked.document["revisions"]]

    def versions(self) -> list[str]:
        """The image tags that web and worker run, sorted."""
        found = [*self.stack.containers("web"), *self.stack.containers("worker")]
        return sorted(one["image"].rpartition(":")[2] for one in found)

    def digests(self) -> set[str]:
        """The images that web and worker run."""
        found = [*self.stack.containers("web"), *self.stack.containers("worker")]
        assert all(one["state"] == "running" for one in found), found
        return {one["digest"] for one in found}

    def health(self) -> tuple[int, str]:
        """(status, version) through nginx."""
        return ask(self.stack.url + "/health")

    def secret_files(self) -> list[Path]:
        """Files below the checkout that hold the password: there should be none."""
        needle = self.stack.password.encode()
        return [
            path
            for path in self.folder.rglob("*")
            if path.is_file() and needle in path.read_bytes()
        ]

    def kept_databases(self) -> list[str]:
        """Databases that a restore has replaced."""
        return self.stack.sql(
            "SELECT datname FROM pg_database WHERE datname LIKE 'bookings\\_failed\\_%'", "postgres"
        ).split()

    def migrations(self) -> list[str]:
        """The migration containers that are there, running or ended."""
        label = f"label=com.docker.compose.project={self.stack.project}"
        return run(
            *("docker", "ps", "-a", "--format", "{{.Names}}", "--filter", label),
            *("--filter", "label=com.docker.compose.service=migration"),
        ).split()

    def book(self, guest: str) -> None:
        """Somebody books a room through nginx: a row more in bookings, guests and jobs."""
        address = f"{guest.replace(' ', '.').lower()}@example.org"
        day = 1 + self.stack.rows()["bookings"]
        wish = {
            "room": "room 1",
            "email": address,
            "full_name": guest,
            "starts_at": f"2027-01-{day:02}T15:00:00+00:00",
            "ends_at": f"2027-01-{day:02}T20:00:00+00:00",
        }
        request = urllib.request.Request(
            self.stack.url + "/bookings",
            data=json.dumps(wish).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201

    def until(
        self, command: Command, condition: Callable[[], bool], what: str, pause: float = 0.1
    ) -> None:
        """Wait for something that a command brings about; AssertionError with what it said when it ends before."""

        def there() -> bool:
            if condition():
                return True
            assert command.process.poll() is None, command.said()
            return False

        until(there, what, pause)

    def until_journaled(self, command: Command, step: str) -> None:
        """Wait until the deploy of ``command`` has begun a step."""
        path = self.folder / ".deployguard" / "journal.db"
        query = (
            "SELECT count(*) FROM events WHERE step = ?"
            " AND deploy = (SELECT id FROM deploys ORDER BY rowid DESC LIMIT 1)"
        )

        def begun() -> bool:
            if not path.exists():
                return False
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
                made = "SELECT count(*) FROM sqlite_master WHERE name = 'events'"
                if not link.execute(made).fetchone()[0]:  # the file is there before its tables are
                    return False
                return link.execute(query, [step]).fetchone()[0] > 0

        self.until(command, begun, f"the journal has {step}", pause=0.02)

    def until_said(self, command: Command, words: str) -> None:
        """Wait until the command has printed something."""
        self.until(command, lambda: words in " ".join(command.said().split()), f"it says {words!r}")

    @contextmanager
    def visitors(self) -> Iterator[Visitors]:
        """People who use the application meanwhile."""
        with Visitors(self.stack.url) as visitors:
            yield visitors

    @contextmanager
    def blocking(self, lock: str) -> Iterator[Callable[[], None]]:
        """Somebody else's transaction holds ``LOCK TABLE lock``; call what is yielded to let go."""
        name = f"blocker-{time.monotonic_ns()}"
        environment = self.environ | {"PGAPPNAME": name}
        argv = [
            *("docker", "compose", "-f", str(self.stack.file), "exec", "-T", "-e", "PGAPPNAME"),
            *("postgres", "psql", "-U", "bookings", "-d", "bookings", "-X", "-c"),
            f"BEGIN; LOCK TABLE {lock}; SELECT pg_sleep(900)",
        ]
        held = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}' AND wait_event = 'PgSleep'"
        process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

        def let_go() -> None:
            self.stack.sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
            )
            process.wait(30)

        try:
            until(lambda: self.stack.sql(held) == "1", "the table is locked")
            yield let_go
        finally:
            if process.poll() is None:
                let_go()
            process.communicate()

    def begin_again(self) -> None:
        """v1 on its own database, whatever was before; no journal, no backups, the configuration as it was made."""
        shutil.rmtree(self.folder / ".deployguard", ignore_errors=True)
        (self.folder / "deployguard.toml").write_text(self.configuration)
        self.checkout("v1")
        self._remove_one_offs()
        self.stack.compose("up", "-d", "--wait", "postgres")
        databases = self.stack.sql("SELECT datname FROM pg_database", "postgres").split()
        if SAVED in databases:
            for name in databases:
                if name.startswith("bookings") and name != SAVED:
                    self.stack.sql(f'DROP DATABASE "{name}" WITH (FORCE)', "postgres")
            self.stack.sql(f"CREATE DATABASE bookings TEMPLATE {SAVED}", "postgres")
        else:
            self.stack.migrate()
            self.stack.seed()
            self.stack.sql(f"CREATE DATABASE {SAVED} TEMPLATE bookings", "postgres")
        self.stack.compose("up", "-d", "--wait", "--no-build")
        until(lambda: self.health() == (200, "v1"), "v1 is in service")

    def end_all(self) -> None:
        """Nothing that a test started goes on."""
        for command in self.commands:
            if command.process.poll() is None:
                command.signal(signal.SIGKILL)
                command.process.wait(10)

    def tear_down(self) -> None:
        self.end_all()
        self.stack.down()

    def _remove_one_offs(self) -> None:
        label = f"label=com.docker.compose.project={self.stack.project}"
        left = run(
            *("docker", "ps", "-aq", "--filter", label),
            *("--filter", "label=com.docker.compose.oneoff=True"),
        ).split()
        if left:
            run("docker", "rm", "-f", "-v", *left)
