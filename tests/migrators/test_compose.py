"""A migration in a compose container survives us; its exit code, its log and its image are found afterwards."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.config import MigrateConfig
from deployguard.containers import Engine
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.migrators import Absent, ComposeMigrator, Exited, Job, Migrator, Running, retryable
from deployguard.migrators.compose import run_argv
from deployguard.process import Redactor
from tests.support.docker import Stack, run
from tests.support.projects import Project
from tests.support.proxy import SocketProxy

JOB = Job("d1", "upgrade", timeout=120)
FILE = """
services:
  web: {image: "@BASE", command: [sleep, "60"], init: true}
  database: {image: "@BASE", command: [sleep, "60"], init: true}
  migration:
    image: "@BASE"
    profiles: [migration]
    depends_on: [database]
    environment: {URL: "${URL:-}", PGOPTIONS: "-c search_path=shop", PYTHONPATH: /srv}
"""
Make = Callable[..., ComposeMigrator]


def migrator_of(project: Project, engine: Engine, command: tuple[str, ...]) -> ComposeMigrator:
    config = MigrateConfig(runner="compose", command=command, downgrade_command=command)
    return ComposeMigrator(
        config, project.compose(), engine, project.name, project.folder / "state"
    )


@pytest.fixture
def make(compose_project: Project, engine: Engine) -> Make:
    compose_project.write(FILE)
    return lambda *command: migrator_of(compose_project, engine, command)


def test_argv_is_detached_named_labelled_and_holds_no_value() -> None:
    config = MigrateConfig(runner="compose", service="migration")
    argv = run_argv(config, Job("d9", "upgrade"), "deployguard-shop-d9-upgrade", ("PGAPPNAME", "A"))
    assert argv == (
        *("run", "-d", "--no-deps", "--name", "deployguard-shop-d9-upgrade"),
        *("--label", "deployguard.deploy=d9", "-e", "A", "-e", "PGAPPNAME"),
        *("migration", "alembic", "upgrade", "head"),
    )


@pytest.mark.docker
@pytest.mark.parametrize(
    ("checked", "fits"),
    [
        ("postgresql+asyncpg://u:canary@database:5432/shop", True),
        ("postgresql://u:canary@127.0.0.1:15432/shop", True),  # a published port
        ("postgresql://u:canary@staging:5432/shop", False),
        ("postgresql://u:canary@database:5432/other", False),
        ("sqlite:///shop", False),
    ],
)
def test_the_service_must_lead_to_the_database_that_is_checked(
    compose_project: Project, engine: Engine, checked: str, *, fits: bool
) -> None:
    theirs = "postgresql://u:canary@database:5432/shop"
    compose_project.write(FILE.replace("${URL:-}", theirs))
    compose_project.environ["URL"] = checked
    config = MigrateConfig(runner="compose")
    compose = compose_project.compose()
    migrator = ComposeMigrator(
        config, compose, engine, compose_project.name, compose_project.folder, "URL"
    )
    if fits:
        migrator.preflight()
        return
    with pytest.raises(UsageError, match="Both must lead to the same database") as caught:
        migrator.preflight()
    assert "canary" not in str(caught.value)


@pytest.mark.docker
def test_the_image_that_a_migration_would_run_in_is_told_by_its_id(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    migrator = make("true")
    reference = migrator.compose.project(profile="migration").image("migration")
    assert migrator.image() == engine.image_id(reference)
    assert migrator.image().startswith("sha256:")


@pytest.mark.docker
def test_exit_code_lines_and_evidence_without_starting_anything_else(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    compose_project.environ["URL"] = "u:canary@h"
    compose_project.secrets = ("canary",)
    migrator: Migrator = make("sh", "-c", "echo $URL; echo $PGAPPNAME$PGOPTIONS; exit 3")
    migrator.preflight()
    started = migrator.start(JOB)
    container = engine.container(started.name)
    assert container is not None
    assert started.evidence["container"] == container.id
    assert started.evidence["image"] == container.image
    assert container.labels["deployguard.deploy"] == "d1"
    lines: list[str] = []
    ended = migrator.follow(started, lines.append)
    assert (ended.code, ended.timed_out) == (3, False)
    assert lines == ["u:***@h", "deployguard:d1-c search_path=shop -c lock_timeout=5s"]
    assert ended.log_path.read_text().splitlines() == lines
    assert ended.log_path.stat().st_mode & 0o777 == 0o600
    assert engine.service_containers(compose_project.name, stopped=True) == ()
    kept = [p for p in (compose_project.folder / "state").rglob("*") if p.is_file()]
    assert not any("canary" in path.read_text() for path in kept)
    migrator.tidy(started)
    assert engine.container(started.name) is None
    assert isinstance(migrator.probe(JOB), Absent)
    assert list((compose_project.folder / "state" / "runs").iterdir()) == []


@pytest.mark.docker
def test_kill_9_of_deployguard_leaves_the_migration_and_its_exit_code(
    make: Make, compose_project: Project
) -> None:
    code = f"""
        import os
        from pathlib import Path
        from deployguard.config import MigrateConfig, TargetConfig
        from deployguard.containers import Compose, Engine
        from deployguard.migrators import ComposeMigrator, Job
        from deployguard.process import Redactor
        folder = Path({str(compose_project.folder)!r})
        command = ("sh", "-c", "echo one; sleep 8; echo two; exit 4")
        config = MigrateConfig(runner="compose", command=command)
        target = TargetConfig(kind="compose", project_name={compose_project.name!r})
        compose = Compose(target, folder, dict(os.environ), Redactor())
        migrator = ComposeMigrator(config, compose, Engine(), {compose_project.name!r}, folder / "state")
        started = migrator.start(Job("d1", "upgrade", timeout=120))
        migrator.follow(started, lambda line: print(line, flush=True))
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "one\n"
        ours.send_signal(signal.SIGKILL)
    migrator = make("never", "used")
    probe = migrator.probe(JOB)
    assert isinstance(probe, Running)
    lines: list[str] = []
    ended = migrator.follow(probe.started, lines.append)
    assert (ended.code, lines) == (4, ["one", "two"])
    after = migrator.probe(JOB)
    assert isinstance(after, Exited)
    assert after.code == 4


@pytest.mark.docker
def test_kill_9_at_any_moment_of_starting_is_found_or_never_runs(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    code = f"""
        import os
        from pathlib import Path
        from deployguard.config import MigrateConfig, TargetConfig
        from deployguard.containers import Compose, Engine
        from deployguard.migrators import ComposeMigrator, Job
        from deployguard.process import Redactor
        folder = Path({str(compose_project.folder)!r})
        config = MigrateConfig(runner="compose", command=("sh", "-c", "exit 7"))
        target = TargetConfig(kind="compose", project_name={compose_project.name!r})
        compose = Compose(target, folder, dict(os.environ), Redactor())
        engine = Engine()
        engine.ping()
        migrator = ComposeMigrator(config, compose, engine, {compose_project.name!r}, folder / "state")
        print("ready", flush=True)
        migrator.start(Job(os.environ["DEPLOY"], "upgrade", timeout=120))
    """
    states: set[type] = set()
    for attempt in range(16):
        if attempt > 5 and len(states) > 1:
            break  # on a busy machine it takes longer to get there
        job = Job(f"k{attempt}", "upgrade", timeout=120)
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            env=os.environ | {"DEPLOY": job.deploy},
            text=True,
        ) as ours:
            assert ours.stdout is not None
            assert ours.stdout.readline() == "ready\n"
            time.sleep(0.15 * attempt if attempt < 6 else 1.5 ** (attempt - 6))
            ours.send_signal(signal.SIGKILL)
        migrator = make("never", "used")
        probe = migrator.probe(job)
        states.add(type(probe))
        name = f"deployguard-{compose_project.name}-{job.name}"
        if isinstance(probe, Absent):
            time.sleep(2)
            assert engine.container(name) is None
        else:
            assert migrator.follow(probe.started, lambda _: None).code == 7
    assert Absent in states
    assert Exited in states or Running in states


@pytest.mark.docker
def test_a_container_that_was_made_and_never_begun_is_absent_for_good(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    name = f"deployguard-{compose_project.name}-{JOB.name}"
    label = f"com.docker.compose.project={compose_project.name}"
    run("docker", "create", "--name", name, "--label", label, "python:3.11-slim", "true")
    assert isinstance(make("true").probe(JOB), Absent)
    assert engine.container(name) is None


@pytest.mark.docker
def test_the_time_limit_is_kept_and_the_log_says_so(make: Make) -> None:
    migrator = make("python3", "-u", "-c", "import time; print('in'); time.sleep(60)")
    started = migrator.start(Job("d1", "upgrade", timeout=2))
    ended = migrator.follow(started, lambda _: None)
    assert ended.timed_out
    assert not ended.ok
    log = ended.log_path.read_text()
    assert "in\n" in log
    assert "deployguard: stopped after 2 seconds" in log
    assert "KeyboardInterrupt" in log


@pytest.mark.docker
def test_cancel_ends_what_ignores_signals(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    migrator = make("sh", "-c", "trap '' INT TERM; while :; do sleep 1; done")
    started = migrator.start(JOB)
    migrator.cancel(started)
    probe = migrator.probe(JOB)
    assert isinstance(probe, Exited)
    assert probe.code == 137


@pytest.mark.docker
def test_start_takes_over_what_runs_and_replaces_what_has_ended(make: Make, engine: Engine) -> None:
    migrator = make("sleep", "3")
    first = migrator.start(JOB)
    assert migrator.start(JOB) == first
    migrator.follow(first, lambda _: None)
    second = migrator.start(JOB)
    assert second.evidence["container"] != first.evidence["container"]
    migrator.cancel(second)


@pytest.mark.docker
def test_the_drivers_hook_is_mounted_and_the_images_path_kept(make: Make) -> None:
    code = (
        "import os, sys; names = [type(f).__name__ for f in sys.meta_path];"
        " print(os.environ['PYTHONPATH'], 'Finder' in names)"
    )
    migrator = make("python3", "-c", code)
    lines: list[str] = []
    migrator.follow(migrator.start(JOB), lines.append)
    assert lines == ["/opt/deployguard-session:/srv True"]


@pytest.mark.docker
def test_an_engine_that_cannot_see_our_folder_runs_it_without_the_hook(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("deployguard.migrators.compose.HOOK", tmp_path / "elsewhere")
    migrator = make("sh", "-c", "echo $PYTHONPATH $PGAPPNAME")
    lines: list[str] = []
    assert migrator.follow(migrator.start(JOB), lines.append).ok
    assert lines == ["/srv deployguard:d1"]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.docker
def test_a_container_that_somebody_removed_is_an_unknown_end(make: Make, engine: Engine) -> None:
    migrator = make("sleep", "60")
    started = migrator.start(JOB)
    run("docker", "rm", "-f", started.name)
    assert migrator.follow(started, lambda _: None).code is None
    migrator.cancel(started)
    migrator.tidy(started)


@pytest.mark.docker
# The docker library leaves its socket open when nobody is behind it any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_goes_away_and_comes_back_loses_no_line(
    make: Make, compose_project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    migrator = make("sh", "-c", "for i in $(seq 25); do echo line $i; sleep 0.2; done; exit 9")
    started = migrator.start(JOB)
    proxy = SocketProxy(tmp_path / "s")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy.path}")
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "line 5":
            proxy.close()
            threading.Timer(2.0, proxy.open).start()

    proxy.open()
    with Engine() as fragile:
        again = migrator_of(compose_project, fragile, ("unused",))
        assert again.follow(started, on_line).code == 9
    proxy.close()
    gc.collect()
    said = [line for line in lines if line.startswith("deployguard: ")]
    assert [line for line in lines if line not in said] == [f"line {i}" for i in range(1, 26)]
    assert len(said) == 1
    assert "the migration may go on" in said[0]


@pytest.mark.docker
def test_an_engine_that_stays_away_is_said_with_the_containers_name(
    make: Make, compose_project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("deployguard.migrators.compose.PATIENCE", 1.0)
    started = make("sleep", "60").start(JOB)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with Engine() as nobody, pytest.raises(EnvironmentUnreachable, match=started.name) as caught:
        migrator_of(compose_project, nobody, ("unused",)).follow(started, lambda _: None)
    assert "may still be running" in caught.value.state
    assert "deployguard resume" in caught.value.next_commands


@pytest.mark.docker
def test_an_unknown_service_and_a_missing_image_are_said_before_anything_runs(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    migrator = make("true")
    odd = MigrateConfig(runner="compose", service="migrate")
    with pytest.raises(UsageError, match=r"no service 'migrate'.*database, migration, web"):
        ComposeMigrator(odd, migrator.compose, engine, "x", compose_project.folder).preflight()
    compose_project.write(FILE.replace('"@BASE"\n    profiles', "no-such-image:v1\n    profiles"))
    with pytest.raises(EnvironmentUnreachable, match=r"image no-such-image:v1 .* not on this"):
        migrator.start(JOB)


@pytest.mark.docker
def test_a_container_that_cannot_start_says_what_compose_said(
    make: Make, compose_project: Project
) -> None:
    migrator = make("no-such-program")
    with pytest.raises(EnvironmentUnreachable, match=r"no-such-program"):
        migrator.start(JOB)
    assert isinstance(migrator.probe(JOB), Absent)


@pytest.mark.docker
@pytest.mark.slow
def test_a_blocked_migration_of_a_real_project_gives_up_and_may_be_retried(
    bookings_stack: Stack, tmp_path: Path, engine: Engine
) -> None:
    """The project's env.py is asynchronous (asyncpg), which reads no PGOPTIONS."""
    from deployguard.config import TargetConfig
    from deployguard.containers import Compose
    from tests.support.docker import COMPOSE_FILE

    stack = bookings_stack
    stack.tag = "v2"
    target = TargetConfig(
        kind="compose", compose_files=(str(COMPOSE_FILE),), project_name=stack.project
    )
    compose = Compose(
        target, COMPOSE_FILE.parent, os.environ | stack.environment, Redactor((stack.password,))
    )
    config = MigrateConfig(runner="compose", lock_timeout=2)
    migrator = ComposeMigrator(config, compose, engine, stack.project, tmp_path / "state")
    locks = "BEGIN; LOCK TABLE guests, bookings, rooms IN ACCESS SHARE MODE; SELECT pg_sleep(200)"
    held = (
        "SELECT count(*) FROM pg_locks"
        " WHERE mode = 'AccessShareLock' AND granted AND relation = 'guests'::regclass"
    )
    release = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'"
    argv = ("docker", "compose", "-p", stack.project, "-f", str(COMPOSE_FILE), "exec", "-T")
    with subprocess.Popen(
        [*argv, "postgres", "psql", "-U", "bookings", "-c", locks],
        env=os.environ | stack.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as holder:
        try:
            while stack.sql(held) != "1":
                time.sleep(0.1)
            blocked = migrator.follow(migrator.start(JOB), print)
            assert stack.sql(held) == "1"  # nobody let go: the migration gave up by itself
            assert not blocked.ok
            assert not blocked.timed_out
            assert retryable(blocked.log_path.read_text()[-8000:])
            assert stack.revision() == "b013"
            assert stack.sql(release) == "1"
        finally:
            holder.kill()
    again = migrator.follow(migrator.start(Job("d1", "upgrade", attempt=2)), print)
    assert again.ok
    assert stack.revision() == "b014"
