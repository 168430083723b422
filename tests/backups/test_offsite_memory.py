"""What a copy takes of memory does not grow with the backup: sent, read back and fetched again."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import boto3
import pytest

from tests.backups.copying import make
from tests.support import objects

MEGA = 1 << 20
SIZES = (6, 120)

MEASURED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from deployguard.backups import catalogue
from tests.backups import copying
here = Path({here!r})
def at(folder):
    return copying.place(folder, {url!r}, endpoint_url={endpoint!r})
at(here).put(catalogue.find(here, "latest"))
at(here / "fresh").get("latest")
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(peak)  # of this program alone; ru_maxrss counts the one that started it
"""


def peak(here: Path, url: str, endpoint: str = "", environ: Mapping[str, str] = {}) -> int:
    """Bytes of memory that copying a backup to ``url`` and fetching it again took at most."""
    root = str(Path(__file__).parents[2])
    code = MEASURED.format(root=root, here=str(here), url=url, endpoint=endpoint)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    return int(done.stdout) * 1024


def grown(tmp_path: Path, where: Mapping[int, str], endpoint: str, **environ: str) -> int:
    used = []
    for size in SIZES:
        make(tmp_path / f"b{size}", size * MEGA)
        used.append(peak(tmp_path / f"b{size}", where[size], endpoint, environ))
    return used[1] - used[0]


def test_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in objects.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with objects.moto_server() as port:
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.Session().client("s3", endpoint_url=endpoint)
        for size in SIZES:
            client.create_bucket(Bucket=f"memory-{size}")
        where = {size: f"s3://memory-{size}" for size in SIZES}
        assert grown(tmp_path, where, endpoint) < 24 * MEGA


def test_sftp(tmp_path: Path) -> None:
    with objects.sshd(tmp_path / "ssh") as server:
        for size in SIZES:
            (server.folder / str(size)).mkdir()
        where = {size: f"{server.url}/{size}" for size in SIZES}
        assert grown(tmp_path, where, "", HOME=str(server.home)) < 24 * MEGA


def test_google_cloud_storage(tmp_path: Path) -> None:
    with objects.fake_gcs() as fake:
        where = {size: f"gs://bucket/{size}" for size in SIZES}
        assert grown(tmp_path, where, fake.url) < 32 * MEGA
        assert fake.largest < 20 * MEGA  # it is sent in chunks
