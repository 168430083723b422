"""Encrypted backups: sealed only once they were read back, opened by their recipients only, nothing left in the plain."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import (
    BackupRequest,
    BackupStore,
    Site,
    age,
    catalogue,
    opening,
    room,
    sealed,
    store,
)
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import (
    BackupFailed,
    EnvironmentUnreachable,
    UsageError,
)
from deployguard.model import BackupRecord
from tests.backups.copying import place, same
from tests.support import identities

ROOT = Path(__file__).parents[2]
NAME = "BACKUP_IDENTITY"
SECRET = "a row that nobody may read"
FORMATS = ["directory", "plain"]  # the file itself, and SQL
PAIR, OTHER = identities.made(), identities.made()


def quiet(line: str) -> None:
    pass


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "live").mkdir()
    with closing(sqlite3.connect(tmp_path / "live" / "app.db", isolation_level=None)) as link:
        link.executescript(
            "CREATE TABLE alembic_version (version_num TEXT);"
            "INSERT INTO alembic_version VALUES ('b014');"
            "CREATE TABLE bookings (id INTEGER PRIMARY KEY, note TEXT);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            f" INSERT INTO bookings (note) SELECT '{SECRET}' || hex(randomblob(40)) FROM n"
        )
    return Site(
        url=parse_url("sqlite:///live/app.db", "x"),
        directory=tmp_path,
        project="app",
        environment="production",
        config=BackupConfig(tries=1, encrypt_to=(PAIR.recipient,), identity_env=NAME),
    )


def here(site: Site, identity: str = PAIR.identity, **changes: object) -> BackupStore:
    """The store on a machine that has an identity ("" has none)."""
    config = replace(site.config, **changes)  # type: ignore[arg-type]
    return store(replace(site, identity=identity, config=config))


def nothing_open(site: Site) -> bool:
    names = [path.name for path in site.folder.iterdir()]
    return not [
        name for name in names if name.startswith((sealed.OPENED, sealed.PARTIAL, ".drill"))
    ]


def lose(site: Site) -> None:
    with closing(sqlite3.connect(site.directory / "live" / "app.db")) as link, link:
        link.execute("DELETE FROM bookings WHERE id > 10")


def rows(site: Site) -> int:
    with closing(sqlite3.connect(site.directory / "live" / "app.db")) as link:
        return int(link.execute("SELECT count(*) FROM bookings").fetchone()[0])


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_taken_without_an_identity_and_restored_with_one(site: Site, form: str) -> None:
    made = here(site, "", format=form).take(BackupRequest())
    assert (made.format, made.recipients) == (3, 1)
    assert catalogue.listing(site.folder).records == (made,)
    name = "database.sql.gz.age" if form == "plain" else "database.sqlite3.age"
    assert set(made.files) == {name, "evidence.json"}
    folder = site.folder / made.id
    assert not [path for path in folder.iterdir() if SECRET.encode() in path.read_bytes()]
    found = here(site, format=form).verify(made)
    assert found.ok, found.evidence
    assert f"decrypted with the identity in ${NAME}" in found.evidence
    lose(site)
    done = here(site).restore(made, kept_as="kept.db", on_progress=quiet)
    assert (dict(done.counts), rows(site)) == (dict(made.counts), 5000)
    assert nothing_open(site)


def test_without_an_identity_reading_back_says_what_it_did_not_look_at(site: Site) -> None:
    made = here(site, "").take(BackupRequest())
    found = here(site, "").verify(made)
    assert found.ok
    said = " ".join(found.evidence)
    assert f"its contents were not read: that needs the identity in ${NAME}" in said
    assert "decrypted and read completely when the backup was sealed" in said
    nameless = here(site, "", identity_env="").verify(made)
    assert "[backup] identity_env or identity_file_env names" in " ".join(nameless.evidence)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_ssh_will_do_and_any_recipient_opens_it(
    site: Site, tmp_path: Path, kind: str
) -> None:
    key = identities.by_ssh(tmp_path, kind)
    made = here(site, "", encrypt_to=(PAIR.recipient, key.recipient)).take(BackupRequest())
    assert made.recipients == 2
    for identity in (PAIR.identity, key.identity, f"# mine\n{OTHER.identity}\n{PAIR.identity}\n"):
        assert "decrypted with" in " ".join(here(site, identity).verify(made).evidence)


def test_the_identity_can_lie_in_a_file_of_its_owner(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "identity"
    path.write_text(f"# public key: {PAIR.recipient}\n{PAIR.identity}\n")
    site = replace(
        site,
        config=replace(site.config, identity_env="", identity_file_env="WHERE"),
        environ={**os.environ, "WHERE": str(path)},
    )
    made = store(site).take(BackupRequest())
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(UsageError, match="read by others") as caught:
            store(site).verify(made)
        assert caught.value.next_commands == (f"chmod 600 {path}",)
    path.chmod(0o600)
    assert "decrypted with" in " ".join(store(site).verify(made).evidence)
    path.unlink()
    with pytest.raises(UsageError, match="No such file"):
        store(site).verify(made)
    unset = replace(site, environ={})
    assert "were not read" in " ".join(store(unset).verify(made).evidence)


@pytest.mark.parametrize("act", ["verify", "restore", "drill"])
def test_another_identity_is_a_clear_error_and_nothing_is_touched(site: Site, act: str) -> None:
    made = here(site, "").take(BackupRequest())
    lose(site)
    with pytest.raises(UsageError, match="of none of its 1 recipient") as caught:
        acting(here(site, OTHER.identity), act, made)
    assert OTHER.identity not in str(caught.value)
    assert rows(site) == 10
    assert nothing_open(site)


@pytest.mark.parametrize("act", ["restore", "drill"])
def test_without_an_identity_nothing_is_restored(site: Site, act: str) -> None:
    made = here(site, "").take(BackupRequest())
    lose(site)
    with pytest.raises(UsageError, match=rf"needs the identity in \${NAME}, which is not set"):
        acting(here(site, ""), act, made)
    assert rows(site) == 10
    assert nothing_open(site)


def acting(backups: BackupStore, act: str, made: BackupRecord) -> None:
    if act == "restore":
        backups.restore(made, kept_as="kept.db", on_progress=quiet)
    elif act == "drill":
        backups.drill(made)
    else:
        backups.verify(made)


@pytest.mark.parametrize(
    "text",
    ["nonsense", "AGE-SECRET-KEY-1", PAIR.identity[:-1], "# only words", PAIR.recipient],
    ids=["nonsense", "begun", "cut", "comment", "recipient"],
)
def test_an_identity_that_is_none_is_a_clear_error_that_does_not_show_it(
    site: Site, text: str
) -> None:
    made = here(site, "").take(BackupRequest())
    with pytest.raises(UsageError, match=rf"\${NAME} holds no identity") as caught:
        here(site, text).verify(made)
    assert text[15:] == "" or text[15:] not in caught.value.message


def test_a_key_of_ssh_with_a_passphrase_says_so(site: Site, tmp_path: Path) -> None:
    key = identities.by_ssh(tmp_path, phrase="not-a-secret")
    made = here(site, "").take(BackupRequest())
    with pytest.raises(UsageError, match="has a passphrase"):
        here(site, key.identity).verify(made)


@pytest.mark.parametrize("form", FORMATS)
def test_a_drill_opens_it_and_is_kept_beside_it(site: Site, form: str) -> None:
    made = here(site, format=form).take(BackupRequest())
    assert here(site).drill(made).ok
    assert (site.folder / made.id / "drill.json").exists()
    assert nothing_open(site)


@pytest.mark.parametrize("form", FORMATS)
def test_a_copy_goes_off_site_as_it_is_and_is_restored_from_there(
    site: Site, tmp_path: Path, form: str
) -> None:
    (tmp_path / "nas").mkdir()
    made = here(site, "", format=form).take(BackupRequest())
    place(site.folder, f"file://{tmp_path}/nas").put(made)
    elsewhere = replace(site, config=replace(site.config, directory="elsewhere"))
    fetched = place(elsewhere.folder, f"file://{tmp_path}/nas").get(made.id)
    assert fetched == made
    assert same(site.folder, made, elsewhere.folder)
    lose(site)
    here(elsewhere).restore(fetched, kept_as="kept.db", on_progress=quiet)
    assert rows(site) == 5000


@pytest.mark.parametrize("identity", [PAIR.identity, ""], ids=["identity", "none"])
@pytest.mark.parametrize("form", FORMATS)
def test_truncation_at_every_5_percent_is_caught(site: Site, form: str, identity: str) -> None:
    """With the identity also where the manifest was made to fit what was left."""
    backups = here(site, identity, format=form)
    made = backups.take(BackupRequest())
    name = next(name for name in made.files if name.endswith(".age"))
    path = site.folder / made.id / name
    whole = path.read_bytes()
    for percent in range(0, 100, 5):
        path.write_bytes(whole[: len(whole) * percent // 100])
        assert not backups.verify(made).ok, percent
        if identity:
            assert caught(backups, forged(made, path)), percent
    path.write_bytes(whole)
    assert backups.verify(made).ok
    assert nothing_open(site)


@pytest.mark.parametrize("form", FORMATS)
def test_any_flipped_bit_is_caught(site: Site, form: str) -> None:
    backups, chance = here(site, format=form), random.Random(17)
    made = backups.take(BackupRequest())
    for name in made.files:
        path = site.folder / made.id / name
        whole = path.read_bytes()
        for _ in range(20):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(made).ok
            assert not here(site, "").verify(made).ok
            if name != sealed.EVIDENCE:
                assert caught(backups, forged(made, path))
        path.write_bytes(whole)
    assert backups.verify(made).ok
    assert nothing_open(site)


def forged(made: BackupRecord, path: Path) -> BackupRecord:
    return replace(
        made, files={**made.files, path.name: (path.stat().st_size, sealed.digest(path))}
    )


def caught(backups: BackupStore, made: BackupRecord) -> bool:
    """A damaged header may look like one for others: that is an error of its own."""
    try:
        return not backups.verify(made).ok
    except UsageError:
        return True


def test_frames_are_looked_at_without_an_identity(site: Site) -> None:
    backups = here(site, "")
    made = backups.take(BackupRequest())
    path = site.folder / made.id / "database.sqlite3.age"
    whole = path.read_bytes()
    header = whole.index(b"\n--- ") + 1
    payload = whole.index(b"\n", header) + 1 + 16
    piece = 65536 + 16
    for size in (0, 10, header, payload - 16, payload, payload + 15, payload + piece + 3):
        path.write_bytes(whole[:size])
        assert not backups.verify(forged(made, path)).ok, size
    path.write_bytes(whole)
    assert backups.verify(made).ok


def test_what_cannot_be_read_back_is_never_sealed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that are sealed are decrypted and read: a fault between the dump and the disk is found at once."""
    real = age.Sealing.close

    def damaged(self: age.Sealing, path: Path) -> Path:
        made = real(self, path)
        content = bytearray(made.read_bytes())
        content[-100] ^= 1
        made.write_bytes(content)
        return made

    monkeypatch.setattr(age.Sealing, "close", damaged)
    with pytest.raises(BackupFailed, match="damaged") as caught_:
        here(site, "").take(BackupRequest())
    assert caught_.value.exit_code == 20
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}


def test_a_missing_library_is_told_before_anything_is_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = here(site).take(BackupRequest())
    monkeypatch.setitem(sys.modules, "pyrage", None)
    acts: list[Callable[[], object]] = [
        lambda: here(site).preflight(),
        lambda: here(site).take(BackupRequest()),
        lambda: here(site).verify(made),
    ]
    for act in acts:
        with pytest.raises(EnvironmentUnreachable, match="pyrage") as caught_:
            act()
        assert caught_.value.next_commands == ("pip install 'deployguard[encrypt]'",)
    assert here(site, "").verify(made).ok
    assert catalogue.listing(site.folder).records == (made,)


def test_what_was_open_when_deployguard_was_killed_is_swept_by_the_next_reader(site: Site) -> None:
    made = here(site).take(BackupRequest())
    code = (
        "import os, signal, sys, pickle\n"
        "from deployguard.backups import opening\n"
        "site, record = pickle.load(sys.stdin.buffer)\n"
        "with opening.opened(site, record) as there:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import pickle

    simple = replace(replace(site, identity=PAIR.identity), now=os.getpid, say=print)  # type: ignore[arg-type]
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((simple, made)), cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    [left] = site.folder.glob(f"{sealed.OPENED}*")
    assert left.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in left.iterdir())
    assert (left / "database.sqlite3").exists()
    assert here(site).verify(made).ok
    assert nothing_open(site)


def test_a_folder_that_is_open_is_not_swept(site: Site) -> None:
    made = here(site).take(BackupRequest())
    with opening.opened(replace(site, identity=PAIR.identity), made) as there:
        assert here(site).sweep() == ()
        assert (site.folder / there.folder / "database.sqlite3").exists()
    assert nothing_open(site)


def test_no_key_is_in_the_manifest_or_beside_it(site: Site) -> None:
    made = here(site).take(BackupRequest())
    here(site).verify(made)
    for path in (site.folder / made.id).iterdir():
        content = path.read_bytes()
        assert PAIR.identity.encode() not in content
        assert PAIR.recipient.encode() not in content


def test_an_old_manifest_is_not_encrypted_and_a_strange_method_is_not_read(site: Site) -> None:
    import json

    made = here(site).take(BackupRequest())
    path = site.folder / made.id / sealed.MANIFEST
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | {"encryption": {"method": "rot13", "recipients": 1}}))
    assert "method that there is not" in catalogue.listing(site.folder).problems[0]
    plain = here(site, encrypt_to=()).take(BackupRequest())
    assert (plain.format, plain.recipients) == (2, 0)
    assert b"encryption" not in (site.folder / plain.id / sealed.MANIFEST).read_bytes()


@pytest.fixture
def large(site: Site) -> Iterator[Path]:
    path = site.directory / "large"
    with path.open("wb") as file:
        file.truncate(192 << 20)
    yield path
    path.unlink(missing_ok=True)


def test_memory_does_not_grow_with_a_file(large: Path) -> None:
    code = (
        "import resource, sys, pathlib\n"
        "from deployguard.backups import age\n"
        "key = age.sealing((sys.argv[2],))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "made = key.close(pathlib.Path(sys.argv[1]))\n"
        "with open('/dev/null', 'wb') as target: age.decrypt(made, target, key.own)\n"
        "made.unlink()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    argv = [sys.executable, "-c", code, str(large), PAIR.recipient]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32 << 10  # KiB


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_one_clear_error_and_no_damage(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", small], check=True)
    try:
        config = replace(site.config, directory="small/backups", format=form)  # type: ignore[arg-type]
        there = replace(site, config=config)
        made = here(there, "").take(BackupRequest())
        subprocess.run(["dd", "if=/dev/zero", f"of={small}/fill", "bs=64k"], check=False)
        with pytest.raises(BackupFailed, match="not enough room"):
            here(there).restore(made, kept_as="kept.db", on_progress=quiet)
        monkeypatch.setattr(room, "need", lambda *_: None)  # somebody else is quicker
        with pytest.raises(BackupFailed, match="is full"):
            here(there).restore(made, kept_as="kept.db", on_progress=quiet)
        with pytest.raises(BackupFailed, match="is full"):
            here(there).take(BackupRequest())
        assert nothing_open(there)
        assert catalogue.listing(there.folder).records == (made,)
    finally:
        subprocess.run(["umount", small], check=True)
