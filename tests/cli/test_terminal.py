"""What reaches a terminal or a pipe: colour, width and signs as the stream can bear them; questions only to people."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployguard.cli.reporter import TerminalReporter
from deployguard.cli.terminal import Out, data, interactive, people
from deployguard.cli.who import operator
from deployguard.formats import check_lines
from deployguard.model import Allowed, Denied
from tests.formats.reports import CRITICAL

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def out(
    *, colour: bool = False, utf8: bool = True, terminal: bool = False
) -> tuple[Out, io.StringIO]:
    stream = io.StringIO()
    return Out(stream, colour, utf8, 80, terminal), stream


def test_colour_marks_and_its_absence_changes_no_word() -> None:
    coloured, with_colour = out(colour=True)
    plain, without = out()
    coloured.lines(check_lines(CRITICAL))
    plain.lines(check_lines(CRITICAL))
    assert "\x1b[" in with_colour.getvalue()
    assert "\x1b[" not in without.getvalue()
    assert ESCAPE.sub("", with_colour.getvalue()) == without.getvalue()


def test_a_stream_that_is_not_utf8_gets_ascii() -> None:
    poor, stream = out(utf8=False)
    poor.lines(check_lines(CRITICAL))
    poor.raw("é → ü")
    assert stream.getvalue().isascii()
    assert "b017 -> b018" in stream.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_a_document_in_a_pipe_stays_what_it_is_whatever_the_locale(encoding: str) -> None:
    pipe = io.BytesIO()
    stream = io.TextIOWrapper(pipe, encoding=encoding)
    poor = Out(stream, colour=False, utf8=False, width=80, terminal=False)
    poor.raw('{"column": "größe → ü"}\n')
    assert json.loads(pipe.getvalue().decode("utf-8")) == {"column": "größe → ü"}


@pytest.mark.parametrize(
    ("environ", "colour"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False), ({}, False)],
)
def test_a_pipe_is_coloured_only_when_forced(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], colour: bool
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert data().colour is colour
    assert people().colour is colour


def in_a_terminal(code: str, typed: bytes = b"", **environ: str) -> str:
    """Run Python in a pseudo-terminal of 80 columns, type into it, and return what was shown."""
    pid, fd = pty.fork()
    if pid == 0:
        env = {**os.environ, "COLUMNS": "80", "TERM": "xterm", **environ}
        os.execve(sys.executable, [sys.executable, "-c", code], env)
    shown = b""
    sent = False
    try:
        while select.select([fd], [], [], 20)[0]:
            try:
                piece = os.read(fd, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            shown += piece
            if typed and not sent and b"stop:" in shown:
                sent = True
                os.write(fd, typed)
    finally:
        os.kill(pid, signal.SIGKILL)  # it has ended, or asks something that nobody answers
        os.close(fd)
        os.waitpid(pid, 0)
    return shown.decode(errors="replace")


ASK = """
from deployguard.cli.reporter import TerminalReporter
from tests.formats.reports import CRITICAL
approval = TerminalReporter("ada").ask_approval(CRITICAL.plan)
print("ANSWER", approval and (approval.by, approval.plan_digest[:4], approval.reason))
"""


def test_the_prompt_shows_the_plan_and_wants_the_environments_name() -> None:
    shown = in_a_terminal(ASK, b"production\nread it\n")
    assert "DG102 critical" in ESCAPE.sub("", shown)
    assert "Type production to approve this plan" in shown
    assert "ANSWER ('ada', '3f3f', 'read it')" in shown


@pytest.mark.parametrize("typed", [b"yes\n", b"y\n", b"\n", b"staging\n", b"\x04"])
def test_any_other_answer_is_no(typed: bytes) -> None:
    assert "ANSWER None" in in_a_terminal(ASK, typed)


def test_ctrl_c_at_the_prompt_interrupts() -> None:
    shown = in_a_terminal(ASK, b"\x03")
    assert "KeyboardInterrupt" in shown
    assert "ANSWER" not in shown


def test_a_confirmation_wants_exactly_the_expected_words() -> None:
    code = """
from deployguard.cli.reporter import TerminalReporter
print("ANSWER", TerminalReporter("ada").confirm("Rows will be lost.", "20260218-ab12"))
"""
    assert "ANSWER True" in in_a_terminal(code, b"20260218-ab12\n")
    assert "ANSWER False" in in_a_terminal(code, b"20260218\n")
    assert "Rows will be lost." in in_a_terminal(code, b"\n")


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("production\n"))
    assert not interactive()
    reporter = TerminalReporter("ada", out=out()[0])
    assert reporter.ask_approval(CRITICAL.plan) is None
    assert reporter.confirm("x", "y") is False


def test_no_color_is_respected_in_a_terminal() -> None:
    code = "from deployguard.cli.main import run; run(['no-such'])"
    assert "\x1b[" in in_a_terminal(
        "from deployguard.cli.terminal import data; data().problem('x')"
    )
    assert "\x1b[" not in in_a_terminal(
        "from deployguard.cli.terminal import data; data().problem('x')", NO_COLOR="1"
    )
    assert "No such command" in in_a_terminal(code)


def test_a_deploy_is_told_step_by_step_on_a_plain_stream() -> None:
    plain, stream = out()
    reporter = TerminalReporter("ada", out=plain)
    reporter.run_started("20260218-123001-ab12", "deploy", "production")
    reporter.step_started("backup", "Taking a backup")
    reporter.step_done(
        "backup", "Taking a backup", 2.5, {"id": "bookings-1", "bytes": 1536, "sha256": {"a": "b"}}
    )
    reporter.step_started("migrate", "Migrating")
    reporter.log_line("Running upgrade \x1b[31mb017 -> b018")
    reporter.step_failed("migrate", "Migrating", 12.0, "exit code 1: lock timeout")
    reporter.note("Way back: downgrade.")
    assert stream.getvalue().splitlines() == [
        "deploy 20260218-123001-ab12 of production",
        "  ✓ Taking a backup  1.5 kB, bookings-1  2.5 s",
        "    | Running upgrade \\x1b[31mb017 -> b018",
        "  ✗ Migrating  12 s",
        "    exit code 1: lock timeout",
        "  ▸ Way back: downgrade.",
    ]
    assert reporter.run == "20260218-123001-ab12"


def test_all_evidence_is_shown_when_more_is_asked_for() -> None:
    plain, stream = out()
    reporter = TerminalReporter("ada", verbose=1, out=plain)
    reporter.step_done(
        "backup", "Taking a backup", 0, {"bytes": 1536, "sha256": {"a": "b"}, "x": ""}
    )
    assert stream.getvalue().splitlines() == [
        "  ✓ Taking a backup",
        "      bytes 1.5 kB",
        "      sha256 {'a': 'b'}",
    ]


def test_what_takes_long_is_said_on_a_plain_stream_and_only_that() -> None:
    plain, stream = out()
    with plain.busy("Reading"):
        pass
    assert stream.getvalue() == ""
    with plain.busy("Waiting for the database"):
        time.sleep(1.3)
    assert stream.getvalue() == "Waiting for the database …\n"


def test_the_plan_is_shown_once() -> None:
    plain, stream = out()
    reporter = TerminalReporter("ada", out=plain)
    reporter.show_plan(CRITICAL.plan, Denied(("critical risk needs an approval",), True))
    reporter.show_plan(CRITICAL.plan, Allowed("approved by ada"))
    shown = stream.getvalue()
    assert shown.count("DG102 critical") == 1


def test_a_terminal_that_went_away_does_not_stop_a_deploy() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    reporter = TerminalReporter("ada", out=Out(Gone(), False, True, 80, False))
    reporter.note("still here")
    reporter.step_done("x", "X", 0.1, {})


def test_data_and_people_are_apart() -> None:
    code = (
        "from deployguard.cli.terminal import data, people\n"
        "data().raw('{}')\npeople().write('hello')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert (done.stdout, done.stderr) == ("{}\n", "hello\n")


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ("ada", {"GITHUB_ACTOR": "octocat"}, "ada"),
        (None, {"GITHUB_ACTOR": "octocat"}, "octocat"),
        (None, {"GITLAB_USER_LOGIN": "gitta"}, "gitta"),
        ("  ", {"SUDO_USER": "sue"}, "sue"),
    ],
)
def test_who_deploys(given: str | None, environ: dict[str, str], expected: str) -> None:
    assert operator(given, environ) == expected


def test_somebody_always_deploys() -> None:
    assert operator(None, {})
