"""Programs are run to their end, with their output streamed, redacted, and no orphans left."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Redactor, program_version, require, run

PYTHON = sys.executable


def ended(pid: int, within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_lines_arrive_while_the_program_still_runs() -> None:
    seen: list[tuple[str, float]] = []
    began = time.monotonic()
    run(
        ["sh", "-c", "echo first; sleep 0.6; echo second >&2"],
        on_line=lambda line: seen.append((line, time.monotonic() - began)),
    )
    assert [line for line, _ in seen] == ["first", "second"]
    assert seen[1][1] - seen[0][1] > 0.3


def test_exit_code_and_both_streams_are_kept_apart() -> None:
    done = run(["sh", "-c", "printf 'a\\nb'; echo c >&2; exit 7"])
    assert (done.code, done.stdout, done.stderr, done.ok) == (7, "a\nb", "c\n", False)
    assert done.why() == "exit code 7: c"


def test_secrets_are_hidden_in_lines_and_in_what_is_kept() -> None:
    seen: list[str] = []
    done = run(
        ["sh", "-c", "echo dsn://u:hunter22@h; echo hunter2 >&2"],
        redact=Redactor(("hunter2", "hunter22", "")),
        on_line=seen.append,
    )
    assert sorted(seen) == ["***", "dsn://u:***@h"]
    assert "hunter" not in done.stdout + done.stderr + repr(done)


def test_a_plain_word_is_hidden_alone_and_not_inside_a_name() -> None:
    redact = Redactor(("note",))
    assert redact("app:note@db footnotes note_id") == "app:***@db footnotes note_id"
    assert redact(r"first\nnote\n") == r"first\n***\n"
    assert Redactor(("n0te",))("footn0tes") == "foot***s"


def test_a_redactor_does_not_show_its_secrets() -> None:
    assert "hunter2" not in repr(Redactor(("hunter2",)))


def test_output_that_is_not_utf8_and_cut_inside_a_character_is_survived() -> None:
    code = "import os,time; os.write(1,b'\\xc3'); time.sleep(.2); os.write(1,b'\\xa4\\n\\xff\\n')"
    assert run([PYTHON, "-c", code]).stdout == "ä\n\ufffd\n"


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    done = run(["sh", "-c", f"sleep 60 & echo $! > {note}; echo partial; sleep 60"], timeout=0.7)
    assert done.timed_out
    assert not done.ok
    assert time.monotonic() - began < 30
    assert done.stdout == "partial\n"
    assert ended(int(note.read_text()))


def test_timeout_kills_a_program_that_ignores_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.process.attached.GRACE", 0.3)
    done = run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.3)
    assert done.timed_out
    assert done.code == -signal.SIGKILL


def test_interrupt_ends_the_program_and_is_passed_on(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"echo $$ > {note}; sleep 60"])
    timer.join()
    assert ended(int(note.read_text()))


def test_an_error_of_the_listener_ends_the_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def fail(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="now"):
        run(["sh", "-c", f"echo $$ > {note}; echo now; sleep 60"], on_line=fail)
    assert ended(int(note.read_text()))


def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_us() -> None:
    began = time.monotonic()
    done = run(["sh", "-c", "sleep 60 & echo done"])
    assert done.stdout == "done\n"
    assert time.monotonic() - began < 30


def test_input_is_given_whole_and_may_be_ignored() -> None:
    assert len(run(["cat"], input=b"x" * 1_000_000).stdout) == 1_000_000
    assert run(["true"], input=b"x" * 1_000_000).code == 0


def test_without_input_the_program_reads_nothing_of_ours() -> None:
    assert run(["cat"], timeout=5).stdout == ""


def test_standard_output_goes_to_a_private_file_untouched(tmp_path: Path) -> None:
    target = tmp_path / "dump"
    target.write_text("older and longer than what comes now")
    target.chmod(0o644)
    done = run(
        ["sh", "-c", "printf 'secret\\000\\377'; echo err >&2"],
        stdout_path=target,
        redact=Redactor(("secret",)),
    )
    assert target.read_bytes() == b"secret\x00\xff"
    assert target.stat().st_mode & 0o777 == 0o600
    assert (done.stdout, done.stderr) == ("", "err\n")


def test_environment_is_exactly_what_is_given() -> None:
    assert run(["/usr/bin/env"], env={"ONLY": "this"}).stdout == "ONLY=this\n"


def test_a_missing_program_is_named_with_how_to_get_it() -> None:
    with pytest.raises(EnvironmentUnreachable, match=r"no-such-program was not found. Install"):
        run(["no-such-program"])
    with pytest.raises(EnvironmentUnreachable, match=r"pg_dump was not found.*pg_bin"):
        require("pg_dump", path="/nonexistent")


def test_a_missing_folder_and_a_file_that_is_no_program_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnreachable, match=r"folder .* does not exist"):
        run(["true"], cwd=tmp_path / "gone")
    (tmp_path / "text").write_text("")
    with pytest.raises(EnvironmentUnreachable, match="may not be run"):
        run([str(tmp_path / "text")])


def test_version_is_the_first_line_or_nothing() -> None:
    assert (program_version([PYTHON, "--version"]) or "").startswith("Python 3.")
    assert program_version(["no-such-program", "--version"]) is None
    assert program_version(["false"]) is None


def test_a_signalled_program_says_so() -> None:
    done = run(["sh", "-c", "kill -9 $$"])
    assert (done.code, done.why()) == (-9, "it was ended by signal 9")


def test_a_file_can_be_the_input(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"\x00\xff" * 300_000)
    assert run(["cat"], stdin_path=source, stdout_path=target).ok
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(FileNotFoundError):
        run(["cat"], stdin_path=tmp_path / "gone")
