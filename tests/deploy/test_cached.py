"""What is shown may rest on a kept reading; what is deployed is read anew."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config import load
from deployguard.deploy.assess import CACHE
from deployguard.deploy.wiring import wire
from deployguard.deploy.world import World
from deployguard.revisions import reader
from tests.deploy.fakes import Recorder
from tests.deploy.real import EXPAND, Small, small


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        made.revision("r2", *EXPAND)
        yield made


def world_of(project: Small, **options: bool) -> World:
    config = load(None, project.folder)
    return wire(
        config,
        config.environment(),
        reporter=Recorder(),
        by="ann",
        environ=project.environ(),
        **options,
    )


def test_only_a_check_uses_and_fills_the_cache(
    project: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {**project.environ(), "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
    monkeypatch.setattr(Small, "environ", lambda _self: environ)
    folder = load(None, project.folder).state_directory / CACHE
    world = world_of(project)
    plan = world.assess()
    assert not folder.exists()
    time.sleep(2.5)  # what has only just been written is not kept
    checking = world_of(project, cached=True)
    assert checking.assess() == plan
    assert list(folder.glob("reading-*.json"))
    children: list[object] = []
    record = reader.record

    def counted(*given: object, **options: object) -> object:
        children.append(given)
        return record(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "record", counted)
    assert checking.assess() == plan
    assert not children
    assert world.assess() == plan
    assert len(children) == 1
    for one in (world, checking):
        one.journal.close()
