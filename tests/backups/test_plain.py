"""A dump as plain SQL, fed through a pipe."""

import re
import threading
import time
from pathlib import Path

import pytest

from deployguard.backups import pgtools, plain


def test_a_reader_that_is_gone_before_the_writer_came_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, real, came = tmp_path / "database.sql", plain._write, threading.Event()
    dump.write_text("SELECT 1;\n")

    def late(path: Path, pipe: Path, timeout_known: bool, restrict: bool) -> None:
        time.sleep(0.5)  # a busy machine
        came.set()
        real(path, pipe, timeout_known, restrict)

    def feed() -> None:
        with plain.fed(dump, timeout_known=True):
            pass  # a psql that ends at once

    monkeypatch.setattr(plain, "_write", late)
    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    feeding.join(60)
    assert not feeding.is_alive()
    assert came.is_set()


@pytest.mark.parametrize("restrict", [True, False])
def test_where_psql_knows_how_it_takes_no_commands_of_its_own_from_a_dump(
    tmp_path: Path, restrict: bool
) -> None:
    dump = tmp_path / "database.sql"
    body = "SELECT '\n\\unrestrict of a text\n';\n" + "SELECT 1;\n" * 200
    end = "--\n-- PostgreSQL database dump complete\n--\n\n"
    dump.write_text(f"--\n\\restrict AbC\n{body}{end}\\unrestrict AbC\n")
    with plain.fed(dump, timeout_known=True, restrict=restrict) as pipe:
        said = pipe.read_text()
    if not restrict:
        assert said == dump.read_text()
        return
    first, _, rest = said.partition("\n")
    assert re.fullmatch(r"\\restrict [0-9a-f]{32}", first)
    assert rest == f"--\n{body}{end}"


@pytest.mark.parametrize(
    ("version", "knows"),
    [
        ("15.13", False),
        ("15.14", True),
        ("17.6 ", True),
        ("12.22", False),
        ("18.0", True),
        ("18beta1", False),
    ],
)
def test_which_psql_knows_it(version: str, knows: bool) -> None:
    tools = pgtools.Tools(int(version[:2]), version.strip(), None)
    assert pgtools.restricts(tools) == knows
