"""Commands update an application that deployguard does not run; without an application nothing happens."""

import os
from pathlib import Path

import pytest

from deployguard.config import TargetConfig
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Release
from deployguard.process import Redactor
from deployguard.targets import CommandsTarget, NoTarget, Target, UpdateFailed


def commands(folder: Path, lines: list[str] | None = None, **config: object) -> CommandsTarget:
    target = TargetConfig(kind="commands", **config)  # type: ignore[arg-type]
    on_line = (lines if lines is not None else []).append
    return CommandsTarget(target, folder, dict(os.environ), Redactor(("hunter2",)), on_line)


def test_commands_run_in_order_and_the_version_is_recorded(tmp_path: Path) -> None:
    lines: list[str] = []
    target: Target = commands(
        tmp_path,
        lines,
        update=(("sh", "-c", "echo v2 > version; echo hunter2"), ("sh", "-c", "echo {deploy}")),
        version=("cat", "version"),
    )
    (tmp_path / "version").write_text("v1\n")
    assert target.current() == Release({"version": "v1"})
    assert target.update("d1", Release({})) == Release({"version": "v2"})
    assert lines == ["***", "d1"]
    assert not target.can_stop


def test_the_first_failing_command_stops_the_update(tmp_path: Path) -> None:
    target = commands(tmp_path, update=(("sh", "-c", "echo no >&2; exit 3"), ("touch", "late")))
    with pytest.raises(UpdateFailed, match="exit code 3: no") as caught:
        target.update("d1", Release({}))
    assert caught.value.exit_code == 22
    assert not (tmp_path / "late").exists()


def test_a_command_that_hangs_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(UpdateFailed, match="ran longer than"):
        commands(tmp_path, update=(("sleep", "30"),), timeout=1).update("d1", Release({}))


def test_put_back_runs_the_rollback_commands_with_the_old_version(tmp_path: Path) -> None:
    target = commands(
        tmp_path,
        update=(("sh", "-c", "echo v2 > version"),),
        rollback=(("sh", "-c", 'echo {version} > version; echo "$DEPLOYGUARD_DEPLOY" > by'),),
        version=("cat", "version"),
    )
    (tmp_path / "version").write_text("v1\n")
    before = target.current()
    target.update("d1", Release({}))
    assert target.put_back(before, "d1") == before
    assert (tmp_path / "by").read_text() == "d1\n"


def test_a_rollback_that_leads_elsewhere_is_no_success(tmp_path: Path) -> None:
    target = commands(tmp_path, update=(("true",),), rollback=(("true",),), version=("echo", "v2"))
    with pytest.raises(UpdateFailed, match="'v2' and not 'v1'"):
        target.put_back(Release({"version": "v1"}), "d1")


def test_without_rollback_commands_nothing_is_taken_for_the_former_version(tmp_path: Path) -> None:
    target = commands(tmp_path, update=(("sh", "-c", "echo x >> runs"),))
    target.update("d1", Release({}))
    with pytest.raises(UpdateFailed, match=r"no rollback commands.*\(v1\)"):
        target.put_back(Release({"version": "v1"}), "d1")
    assert (tmp_path / "runs").read_text() == "x\n"


def test_stop_and_start_commands_make_it_stoppable(tmp_path: Path) -> None:
    target = commands(
        tmp_path,
        update=(("sh", "-c", "echo updated >> runs"),),
        stop=(("sh", "-c", "echo stopped >> runs"),),
        start=(("sh", "-c", "echo started >> runs"),),
    )
    assert target.can_stop
    target.stop()
    target.start()
    assert (tmp_path / "runs").read_text() == "stopped\nstarted\n"


def test_what_cannot_be_stopped_is_not_started(tmp_path: Path) -> None:
    target = commands(tmp_path, update=(("sh", "-c", "echo updated >> runs"),))
    target.stop()
    target.start()
    assert not (tmp_path / "runs").exists()


def test_a_stop_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(UpdateFailed, match="exit code 1"):
        commands(tmp_path, update=(("true",),), stop=(("false",),)).stop()


def test_a_version_command_that_fails_is_no_version(tmp_path: Path) -> None:
    with pytest.raises(UpdateFailed, match="could not tell the version"):
        commands(tmp_path, version=("false",)).current()


def test_missing_programs_are_found_before(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnreachable, match="no-such-program"):
        commands(tmp_path, update=(("true",), ("no-such-program",))).preflight()
    with pytest.raises(EnvironmentUnreachable, match=r"scripts/restart"):
        commands(tmp_path, update=(("scripts/restart",),)).preflight()
    (tmp_path / "restart").write_text("#!/bin/sh\necho restarted\n")
    (tmp_path / "restart").chmod(0o755)
    target = commands(tmp_path, update=(("./restart",),), version=("true",))
    target.preflight()
    target.update("d1", Release({}))


def test_no_target_does_nothing() -> None:
    target: Target = NoTarget()
    target.preflight()
    assert target.update("d1", Release({})) == Release({})
    assert target.put_back(Release({}), "d1") == Release({})
    assert (target.can_stop, target.running(), target.stopped()) == (False, True, False)
