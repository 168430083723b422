"""SFTP against a real sshd on loopback, with host keys, user keys and known hosts as ssh has them."""

import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_sftp import SftpStore
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from tests.backups.copying import FIRST, make, make_many, place, same
from tests.support import objects

MEGA = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[objects.Sshd]:
    with objects.sshd(tmp_path_factory.mktemp("ssh")) as running:
        yield running


@pytest.fixture(autouse=True)
def nas(server: objects.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own on the server."""
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    folder = server.folder / tmp_path.name
    folder.mkdir()
    return folder


def at(server: objects.Sshd, nas: Path, folder: Path, port: int = 0, **keys: object) -> Offsite:
    url = f"sftp://{server.user}@127.0.0.1:{port or server.port}{nas}"
    return place(folder, url, **({"timeout": 20} | keys))  # type: ignore[arg-type]


def test_a_copy_is_listed_fetched_and_deleted(
    server: objects.Sshd, nas: Path, tmp_path: Path
) -> None:
    made = make(tmp_path / "here", 3 * MEGA + 17)
    there = at(server, nas, tmp_path / "here")
    there.preflight()
    there.put(made)
    assert sorted(p.name for p in (nas / FIRST).iterdir()) == [
        "data",
        "evidence.json",
        "manifest.json",
    ]
    assert {stat.S_IMODE(p.stat().st_mode) for p in (nas / FIRST).iterdir()} == {0o600}
    assert there.listing().records == (made,)
    at(server, nas, tmp_path / "fresh").get("latest")
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    there.put(made)  # nothing to do
    (nas / FIRST / ".partial-data").write_bytes(b"left by somebody who died")
    there.delete(FIRST)
    assert list(nas.iterdir()) == []


def test_a_host_that_is_not_known_gets_nothing(
    server: objects.Sshd, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stands in the middle must not get the backups."""
    stranger = tmp_path / "home" / ".ssh"
    stranger.mkdir(parents=True)
    key = server.home / ".ssh" / "id_ed25519"
    (stranger / "config").write_text(f"Host *\n  IdentityFile {key}\n")
    monkeypatch.setenv("HOME", str(stranger.parent))
    with pytest.raises(EnvironmentUnreachable, match="not found in known_hosts"):
        at(server, nas, tmp_path / "here", tries=1).put(make(tmp_path / "here", 100))
    assert list(nas.iterdir()) == []


def test_a_key_that_is_not_allowed_is_said_so(
    server: objects.Sshd, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "home" / ".ssh"
    other.mkdir(parents=True)
    (other / "known_hosts").write_text((server.home / ".ssh" / "known_hosts").read_text())
    paramiko.RSAKey.generate(2048).write_private_key_file(str(other / "id_rsa"))
    monkeypatch.setenv("HOME", str(other.parent))
    with pytest.raises(EnvironmentUnreachable, match="Authentication"):
        at(server, nas, tmp_path, tries=1).preflight()


def test_a_folder_that_is_missing_is_not_made(
    server: objects.Sshd, nas: Path, tmp_path: Path
) -> None:
    made = make(tmp_path / "here", 100)
    there = at(server, nas / "unmounted", tmp_path / "here")
    with pytest.raises(BackupFailed, match="not there"):
        there.preflight()
    with pytest.raises(BackupFailed):
        there.put(made)
    assert list(nas.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten(
    server: objects.Sshd, nas: Path, tmp_path: Path
) -> None:
    theirs = make(tmp_path / "theirs", 5000)
    at(server, nas, tmp_path / "theirs").put(theirs)
    mine = make(tmp_path / "mine", 5000)
    with pytest.raises(BackupFailed, match="another backup"):
        at(server, nas, tmp_path / "mine").put(mine)
    assert same(tmp_path / "theirs", theirs, nas)


def test_what_was_damaged_on_its_way_is_sent_again(
    server: objects.Sshd, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = SftpStore._give_name, [1]

    def give_name(self: SftpStore, link: Any, growing: str, final: str, size: int) -> None:
        if final.endswith("/data") and left[0]:
            left[0] -= 1
            content = bytearray(Path(growing).read_bytes())
            content[7] ^= 1
            Path(growing).write_bytes(content)
        real(self, link, growing, final, size)

    monkeypatch.setattr(SftpStore, "_give_name", give_name)
    made = make(tmp_path / "here", 5000)
    at(server, nas, tmp_path / "here").put(made)
    assert left == [0]
    assert same(tmp_path / "here", made, nas)


class Cutting:
    """A TCP proxy that resets each of its first ``cuts`` connections after ``after`` bytes in either direction."""

    def __init__(self, target: int, cuts: int, after: int) -> None:
        self.target, self.cuts, self.after = target, cuts, after
        self.made = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.made += 1
                allowed = [self.after if self.made <= self.cuts else 1 << 60]
                far = socket.create_connection(("127.0.0.1", self.target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._pump, args=(source, sink, allowed), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, allowed: list[int]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                allowed[0] -= len(data)
                if allowed[0] < 0:
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def cutting(server: objects.Sshd) -> Iterator[Any]:
    made: list[Cutting] = []

    def cut(cuts: int, after: int) -> int:
        proxy = Cutting(server.port, cuts, after)
        made.append(proxy)
        known = server.home / ".ssh" / "known_hosts"
        key = known.read_text().splitlines()[0].split(maxsplit=1)[1]
        with known.open("a") as file:
            file.write(f"[127.0.0.1]:{proxy.port} {key}\n")
        return proxy.port

    yield cut
    for proxy in made:
        proxy.listener.close()


def test_a_connection_that_breaks_is_made_again(
    server: objects.Sshd, nas: Path, tmp_path: Path, cutting: Any
) -> None:
    made = make(tmp_path / "here", 2 * MEGA)
    port = cutting(2, MEGA)
    at(server, nas, tmp_path / "here", port).put(made)
    assert same(tmp_path / "here", made, nas)
    port = cutting(2, MEGA)
    at(server, nas, tmp_path / "fresh", port).get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")


def test_a_connection_that_always_breaks_lists_nothing(
    server: objects.Sshd, nas: Path, tmp_path: Path, cutting: Any
) -> None:
    made = make(tmp_path / "here", 2 * MEGA)
    with pytest.raises(EnvironmentUnreachable):
        at(server, nas, tmp_path / "here", cutting(99, MEGA), tries=2).put(made)
    there = at(server, nas, tmp_path / "here")
    assert there.listing().records == ()
    there.put(made)
    assert same(tmp_path / "here", made, nas)


@pytest.mark.parametrize("size", [3 * MEGA])
def test_kill_9_while_sending_lists_nothing_and_can_be_gone_on_with(
    server: objects.Sshd, nas: Path, tmp_path: Path, size: int
) -> None:
    made = make(tmp_path / "here", size)
    pid = os.fork()
    if pid == 0:

        def die(line: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        there = at(server, nas, tmp_path / "here")
        there.say = die  # at the first tenth
        with suppress(BaseException):
            there.put(made)
        os._exit(99)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    there = at(server, nas, tmp_path / "here")
    assert there.listing().records == ()
    there.put(made)
    assert same(tmp_path / "here", made, nas)
    assert not list((nas / FIRST).glob(".*"))


def test_many_files_go_and_come_several_at_once(
    server: objects.Sshd, nas: Path, tmp_path: Path
) -> None:
    made = make_many(tmp_path / "here")
    there = at(server, nas, tmp_path / "here", jobs=4)
    copy = there.put(made)
    assert set(copy.files) == {*made.files, "manifest.json"}
    assert there.listing().records == (made,)
    at(server, nas, tmp_path / "fresh", jobs=4).get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    # and what is damaged here is put right from there
    damaged = tmp_path / "here" / FIRST / "table-7"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    assert there.get(FIRST) == made
    assert same(tmp_path / "here", made, tmp_path / "fresh")
