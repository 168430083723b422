"""age identities for tests, made anew each time: nothing secret lies in this repository."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyrage


@dataclass(frozen=True)
class Pair:
    """A recipient, and the identity that belongs to it."""

    recipient: str
    identity: str


def made() -> Pair:
    key = pyrage.x25519.Identity.generate()
    return Pair(str(key.to_public()), str(key))


def by_ssh(folder: Path, kind: str = "ed25519", phrase: str = "") -> Pair:
    path = folder / f"key-{kind}"
    size = ["-b", "2048"] if kind == "rsa" else []
    argv = ["ssh-keygen", "-q", "-t", kind, *size, "-N", phrase, "-C", "ann@desk", "-f", path]
    subprocess.run(argv, check=True)
    return Pair(path.with_suffix(".pub").read_text().strip(), path.read_text())
