"""What `backup schedule` prints works as it is printed: run by a shell, read by systemd, Compose and Celery."""

import importlib.util
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployguard.backups import schedule
from deployguard.cli.main import run
from deployguard.config.retention import EVERY
from deployguard.scheduled import back_up, standing
from deployguard.state import DeployLock
from tests.support.required import missing

TOML = """
[project]
name = "shop"
[backup]
tries = 1
[retention]
scheduled = { last = 1 }
every = "6h"
at = "03:05"
[environments."pro duction"]
database_url_env = "SHOP_URL"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder whose name every shell trips over, and its URL in a file for secrets."""
    folder = tmp_path / "a shop's 100% $HOME"
    folder.mkdir()
    database = tmp_path / "of$HOME&co.db"
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("CREATE TABLE rooms (name text)")
    connection.close()
    (folder / "deployguard.toml").write_text(TOML)
    (folder / "deployguard.env").write_text(f"SHOP_URL='sqlite:///{database}'\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SHOP_URL", raising=False)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(("backup", "schedule", *arguments)) == 0
    return capsys.readouterr().out


def backups(folder: Path) -> list[str]:
    manifests = (folder / ".deployguard" / "backups").glob("*/manifest.json")
    return [json.loads(path.read_text())["reason"] for path in manifests]


def as_cron_does(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a crontab: five fields, then a command for sh that a per cent sign without backslash ends."""
    written = line.rstrip("\n").split(" ", 5)[5]
    command = re.split(r"(?<!\\)%", written, maxsplit=1)[0].replace("\\%", "%")
    poor = {"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    return subprocess.run(
        ["/bin/sh", "-c", command], env=poor, cwd="/", capture_output=True, text=True, check=False
    )


def test_the_line_for_cron_runs_as_it_is_printed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = printed(capsys, "cron")
    assert line.startswith("5 3,9,15,21 * * * ")
    assert line.count("\n") == 1
    for _ in range(2):
        done = as_cron_does(line)
        assert (done.stdout, done.stderr) == ("", ""), (
            shop / ".deployguard/backup.log"
        ).read_text()
    assert backups(shop) == ["scheduled"]  # the first one was pruned
    assert (shop / ".deployguard/backup.log").stat().st_mode & 0o077 == 0


def test_cron_has_something_to_mail_when_it_failed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = printed(capsys, "cron", "--env-file", "nowhere.env")
    done = as_cron_does(line)
    assert "needs a look at" in done.stdout
    assert backups(shop) == []


def test_systemd_takes_the_units(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("no systemd-analyze: apt install systemd")
    units = tmp_path / "units"
    units.mkdir()
    assert printed(capsys, "systemd", "-o", str(units)) == ""
    names = sorted(path.name for path in units.iterdir())
    assert names == [
        "deployguard-backup-shop-pro-duction.service",
        "deployguard-backup-shop-pro-duction.timer",
    ]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "deployguard-backup" in line]
    assert (done.returncode, said) == (0, []), done.stderr
    for every in EVERY:
        timer = schedule.systemd(replace(job(), every=every))["deployguard-backup-shop-x.timer"]
        when = timer.partition("OnCalendar=")[2].splitlines()[0]
        subprocess.run(["systemd-analyze", "calendar", when], check=True, capture_output=True)


def test_the_words_of_a_unit_are_those_that_were_meant() -> None:
    service = schedule.systemd(replace(job(), config=Path('/a b/c"$d\\e%f.toml')))
    text = service["deployguard-backup-shop-x.service"]
    assert '--config "/a b/c\\"$$d\\\\e%%f.toml" backup create --class scheduled' in text
    assert "WorkingDirectory=/a b" in text


@pytest.mark.docker
def test_compose_takes_the_service_and_its_loop_takes_backups(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, "compose", "--network", "backend", "-o", str(tmp_path)) == ""
    [file] = tmp_path.glob("docker-compose.*.yml")
    with file.open("a") as more:
        more.write("networks:\n  backend:\n")
    full = subprocess.run(
        ["docker", "compose", "-f", str(file), "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 0, full.stderr
    service = json.loads(full.stdout)["services"]["deployguard-backup-shop-pro-duction"]
    assert plain(service["volumes"][0]["target"]) == str(shop)
    assert plain(service["working_dir"]) == str(shop)
    assert plain(service["environment"]["SHOP_URL"]).endswith("of$HOME&co.db")
    assert list(service["networks"]) == ["backend"]
    words = [plain(word) for word in (*service["entrypoint"], *service["command"])]
    looped(tmp_path, words, plain(service["environment"]["SHOP_URL"]), shop)
    assert backups(shop) == ["scheduled"]
    healthy = [plain(word) for word in service["healthcheck"]["test"]]
    assert healthy[0] == "CMD"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert subprocess.run(healthy[1:], env={"PATH": path}, check=False).returncode == 0


def plain(text: str) -> str:
    """`docker compose config` writes a dollar so that it can be read again."""
    return text.replace("$$", "$")


def looped(folder: Path, words: list[str], url: str, cwd: Path) -> None:
    """Run the loop in a shell whose sleep takes no time, until it sleeps for the third time."""
    tools = folder / "tools"
    tools.mkdir()
    sleep = tools / "sleep"
    sleep.write_text(
        f'#!/bin/sh\necho "$1" >>{tools}/slept\n'
        f'[ "$(wc -l <{tools}/slept)" -lt 3 ] || kill -TERM "$PPID"\n'
    )
    sleep.chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words, env={"PATH": path, "SHOP_URL": url}, cwd=cwd, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    for slept in (tools / "slept").read_text().split():
        assert 0 < int(slept) <= 6 * 3600


def test_the_entry_for_celery_can_be_imported_and_its_task_called(
    shop: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    celery = pytest.importorskip("celery")
    printed(capsys, "celery", "-o", str(tmp_path))
    [file] = tmp_path.glob("*.py")
    assert file.stem.isidentifier()
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    app = celery.Celery("shop", set_as_current=True)
    spec.loader.exec_module(module)
    app.conf.beat_schedule |= module.BEAT_SCHEDULE
    [(name, entry)] = app.conf.beat_schedule.items()
    assert app.tasks[entry["task"]].name == name
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({3, 9, 15, 21}, {5})
    url = (shop / "deployguard.env").read_text().split("'")[1]
    monkeypatch.setenv("SHOP_URL", url)
    monkeypatch.chdir("/")
    made = app.tasks[entry["task"]].apply()
    assert made.successful(), made.traceback
    assert made.result.startswith("shop-pro_duction-")
    assert backups(shop) == ["scheduled"]


def test_from_python_a_backup_is_taken_read_back_and_pruned(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", (shop / "deployguard.env").read_text().split("'")[1])
    file = shop / "deployguard.toml"
    assert standing(file).problems == ("There is no backup of pro duction at all.",)
    first = back_up(file)
    with DeployLock(shop / ".deployguard", "pro duction").hold("deploy", "ann"):
        second = back_up(file, "pro duction")
    assert (second.removed, "is held by ann" in second.unpruned) == ((), True)
    third = back_up(file, reason="manual", prune=False)
    assert third.record.reason == "manual"
    assert first.verification.ok
    assert back_up(file).removed == (second.record.id, first.record.id)
    assert standing(file).problems == ()


def test_from_python_copies_are_made_and_kept_too(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", (shop / "deployguard.env").read_text().split("'")[1])
    nas, file = tmp_path / "nas", shop / "deployguard.toml"
    nas.mkdir()
    file.write_text(f'{TOML}\n[offsite]\nurl = "file://{nas}"\n')
    first, second = back_up(file), back_up(file)
    assert first.copy is not None
    assert first.copy.url == f"file://{nas}/{first.record.id}"
    assert second.removed == (first.record.id,)
    assert [path.name for path in nas.iterdir() if path.is_dir()] == [second.record.id]
    nas.rename(tmp_path / "away")
    third = back_up(file)
    assert third.copy is None
    assert third.uncopied != ""
    assert third.removed == (second.record.id,)
    assert third.unpruned != ""


def test_where_there_are_copies_they_are_pruned_as_well() -> None:
    [line] = schedule.cron(replace(job(), offsite=True)).values()
    assert "prune --yes --env x && " in line
    assert line.count("--offsite") == 1
    [service, _] = schedule.systemd(replace(job(), offsite=True)).values()
    assert service.count("ExecStart=") == 3
    assert "--offsite" not in schedule.cron(job())["deployguard-backup-shop-x.cron"]


def job() -> schedule.Job:
    return schedule.Job(
        python="/usr/bin/python3",
        config=Path("/srv/deployguard.toml"),
        state=Path("/srv/.deployguard"),
        project="shop",
        environment="x",
        every="1d",
        at="02:30",
        path="/usr/bin:/bin",
    )


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("at", ["00:00", "02:30", "23:59"])
def test_all_of_them_run_at_the_same_times(every: str, at: str) -> None:
    made = replace(job(), every=every, at=at)
    hour, minute = map(int, at.split(":"))
    assert hour in made.hours
    interval, start = made.seconds
    now = datetime(2026, 2, 17, 12, 34, 56, tzinfo=UTC)
    times = set()
    for _ in range(24):
        passed = int(now.timestamp())
        now += timedelta(seconds=interval - (passed - start) % interval)  # as the loop sleeps
        assert now.minute == minute
        times.add(now.hour)
        assert not made.weekly or now.strftime("%a") == "Sun"
    assert times == set(made.hours)
    [line] = schedule.cron(made).values()
    fields = line.split(" ")[:5]
    assert fields[0] == str(minute)
    assert fields[1] in ("*", ",".join(map(str, sorted(times))))
    assert fields[4] == ("0" if made.weekly else "*")
