"""The same child in a one-off container of the migration's service, whose image has the project and its interpreter."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from deployguard.model import Evidence
from deployguard.revisions.launcher import Compose
from tests.revisions.projects import named, reading, sql
from tests.support import docker

COMPOSE = """\
services:
  migration:
    image: {image}
    profiles: [migration]
    environment:
      DATABASE_URL: postgresql+asyncpg://bookings:${{POSTGRES_PASSWORD:?set it}}@nowhere.invalid:5432/bookings
"""


@pytest.mark.docker
def test_the_images_own_interpreter_reads_its_revisions(
    tmp_path: Path, copy_bookings: object, bookings_images: docker.Images
) -> None:
    project = copy_bookings(head="b019")  # type: ignore[operator]
    file = tmp_path / "compose.yml"
    file.write_text(COMPOSE.format(image=f"{bookings_images.name}:v3"))
    name = f"dgread{secrets.token_hex(4)}"
    launcher = Compose(("docker", "compose", "-f", str(file), "-p", name), "migration")
    environ = {**os.environ, "POSTGRES_PASSWORD": "hunter2", "DATABASE_URL": "not this one"}
    try:
        found = reading(
            project,
            current=("b014",),
            url="postgresql+asyncpg://dummy:dummy@127.0.0.1:1/bookings",
            launcher=launcher,
            environ=environ,
        )
    finally:
        docker.run("docker", "compose", "-f", str(file), "-p", name, "down", environment=environ)
    assert [one.id for one in found.revisions] == ["b015", "b016", "b017", "b018", "b019"]
    assert {one.evidence for one in found.revisions} == {Evidence.RECORDED}, found.notes
    last = named(found, "b019")
    assert sql(last.up) == ["DROP TABLE import_batches"]
    assert last.path == "migrations/versions/b019_drop_import_batches.py"
    assert "hunter2" not in repr(found)
