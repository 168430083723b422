"""Recipients are looked at as the file is read; a secret key in their place is refused and never shown."""

from pathlib import Path

import pytest

from deployguard.config import key_lines, parse
from deployguard.config.schema import BackupConfig
from deployguard.errors import UsageError
from tests.support import identities

PAIR = identities.made()


def backup(**keys: object) -> BackupConfig:
    document = {
        "project": {"name": "bookings"},
        "environments": {"production": {"database_url_env": "DATABASE_URL"}},
        "backup": keys,
    }
    return parse(document, Path("/x/deployguard.toml")).environment().backup


def test_recipients_of_age_and_of_ssh_are_taken(tmp_path: Path) -> None:
    keys = [identities.by_ssh(tmp_path, kind).recipient for kind in ("ed25519", "rsa")]
    wanted = (PAIR.recipient, *keys)
    found = backup(encrypt_to=list(wanted), identity_env="BACKUP_IDENTITY")
    assert (found.encrypt_to, found.identity_env) == (wanted, "BACKUP_IDENTITY")
    assert not found.restore_by_hand


def test_every_mistyped_letter_of_a_recipient_is_found() -> None:
    for at in range(4, len(PAIR.recipient)):
        other = "q" if PAIR.recipient[at] != "q" else "p"
        with pytest.raises(UsageError, match=r"recipient 1: its checksum is wrong"):
            backup(encrypt_to=[PAIR.recipient[:at] + other + PAIR.recipient[at + 1 :]])
    for other in (PAIR.recipient[:-1], PAIR.recipient + "q", "age1", PAIR.recipient + "é"):
        with pytest.raises(UsageError, match="checksum"):
            backup(encrypt_to=[other])


def test_what_is_no_whole_ssh_key_is_refused(tmp_path: Path) -> None:
    kind, data, comment = identities.by_ssh(tmp_path).recipient.split(" ")
    for text in (f"{kind} {data[:-8]} {comment}", f"{kind} x", kind, f"ssh-rsa {data}", "", "ann"):
        with pytest.raises(UsageError, match="encrypt_to, recipient 2"):
            backup(encrypt_to=[PAIR.recipient, text])


def test_a_secret_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    for secret in (PAIR.identity, PAIR.identity.lower(), identities.by_ssh(tmp_path).identity):
        with pytest.raises(UsageError, match="SECRET key") as caught:
            backup(encrypt_to=[secret])
        shown = str(caught.value) + "".join(caught.value.next_commands)
        assert not any(line in shown for line in secret.splitlines())
        (tmp_path / "key-ed25519").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"encrypt_to": [PAIR.recipient, PAIR.recipient]}, "twice"),
        ({"identity_env": "A", "identity_file_env": "B"}, "one of them will do"),
        ({"encrypt_to": [PAIR.recipient], "store": "rds"}, "RDS are encrypted by AWS"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        backup(**keys)


def test_every_line_of_an_identity_is_kept_out_of_what_is_shown(tmp_path: Path) -> None:
    text = f"# created: today\n# public key: {PAIR.recipient}\n{PAIR.identity}\n"
    assert key_lines(text) == (PAIR.identity,)
    pem = identities.by_ssh(tmp_path).identity
    assert set(key_lines(pem)) >= set(pem.splitlines()[1:-2])
    assert key_lines("") == ()
