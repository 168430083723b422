"""Who backups are encrypted to, and where the identity that opens them is: checked as the file is read, by shape.

Recipients are public keys and stand in deployguard.toml; an identity is secret and never does.
Source: age's specification (age-encryption.org/v1), BIP 173 (Bech32), RFC 4253 (SSH public keys).
"""

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from deployguard.errors import UsageError

if TYPE_CHECKING:
    from deployguard.config.schema import BackupConfig

_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_POLYNOMIAL: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_AGE: Final = "age"
_LENGTH: Final = 62  # of "age1…": the key's 32 bytes and the checksum
_SSH: Final = ("ssh-ed25519", "ssh-rsa")
_SHORT: Final = 16  # characters: what is shorter in an identity is no secret
MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "encrypt_to": "Recipients (age1…, ssh-ed25519 …, ssh-rsa …) that backups are encrypted to; [] is nobody.",
        "identity_env": 'The variable with the identity (the private key) that opens them; "" is none …',
        "identity_file_env": "… or the variable with the path of its file, which only its owner may read.",
        "restore_by_hand": "A deploy goes on where no identity is; then it can restore nothing by itself.",
    }
)


def check_encryption(backup: "BackupConfig", where: str) -> "BackupConfig":
    """The same table. Raises UsageError for recipients that are none, and for an identity that is named twice.

    What stands in the place of a recipient is never shown: it may be a secret key that somebody put there.
    """
    for number, recipient in enumerate(backup.encrypt_to, 1):
        problem = _problem(recipient)
        if problem:
            raise UsageError(f"{where} encrypt_to, recipient {number}: {problem}.")
    if len(set(backup.encrypt_to)) < len(backup.encrypt_to):
        raise UsageError(f"{where} encrypt_to names a recipient twice.")
    if backup.identity_env and backup.identity_file_env:
        raise UsageError(f"{where} names identity_env and identity_file_env; one of them will do.")
    if backup.encrypt_to and backup.store == "rds":
        raise UsageError(
            f'{where}: snapshots of RDS are encrypted by AWS; encrypt_to goes with store = "auto" only.'
        )
    return backup


def key_lines(text: str) -> tuple[str, ...]:
    """What no output may show of an identity: each of its lines."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if len(line) >= _SHORT and not line.startswith(("#", "--")))


def _problem(recipient: str) -> str:
    """Why a text is no recipient; "" when it is one."""
    if recipient.upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in recipient:
        return (
            "it is a SECRET key, which never stands here. Take it out, treat it as known to others, and name"
            " the recipient that belongs to it (`age-keygen -y`)"
        )
    if recipient.startswith(f"{_AGE}1"):
        return "" if _is_bech32(recipient) else "its checksum is wrong: it was not copied as it is"
    kind, _, rest = recipient.partition(" ")
    if kind in _SSH:
        return "" if _is_ssh(kind, rest.split(" ")[0]) else f"it is no whole {kind} key"
    return f'a recipient begins with "age1", "{_SSH[0]} " or "{_SSH[1]} "'


def _is_bech32(text: str) -> bool:
    """Whether this is a public X25519 key of age, by its checksum."""
    if len(text) != _LENGTH or any(letter not in _LETTERS for letter in text[4:]):
        return False
    letters = [_LETTERS.index(letter) for letter in text[4:]]
    expanded = [ord(c) >> 5 for c in _AGE] + [0] + [ord(c) & 31 for c in _AGE]
    check = 1
    for value in expanded + letters:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_POLYNOMIAL):
            check ^= term if top >> bit & 1 else 0
    return check == 1


def _is_ssh(kind: str, encoded: str) -> bool:
    """Whether the key itself says that it is of this kind, and is there to its end."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    fields, at = list[bytes](), 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        fields.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(data) or not fields or fields[0] != kind.encode():
        return False
    return len(fields) == (2 if kind == "ssh-ed25519" else 3) and all(fields)
