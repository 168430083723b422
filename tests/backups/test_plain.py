"""A dump as plain SQL, fed through a pipe."""

import threading
import time
from pathlib import Path

import pytest

from deployguard.backups import plain


def test_a_reader_that_is_gone_before_the_writer_came_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, real, came = tmp_path / "database.sql", plain._write, threading.Event()
    dump.write_text("SELECT 1;\n")

    def late(path: Path, pipe: Path, timeout_known: bool) -> None:
        time.sleep(0.5)  # a busy machine
        came.set()
        real(path, pipe, timeout_known)

    def feed() -> None:
        with plain.fed(dump, timeout_known=True):
            pass  # a psql that ends at once

    monkeypatch.setattr(plain, "_write", late)
    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    feeding.join(60)
    assert not feeding.is_alive()
    assert came.is_set()
