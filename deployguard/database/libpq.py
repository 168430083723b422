"""A database URL as libpq's connection parameters, and as the environment variables of its programs.

Source: the PostgreSQL manual, "Parameter Key Words" and "Environment Variables" of libpq.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployguard.config import DatabaseUrl
from deployguard.errors import UsageError

CONNECT_TIMEOUT: Final = 10  # seconds
DEFAULT_PORT: Final = 5432
_VARIABLES: Final[Mapping[str, str]] = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "sslcert": "PGSSLCERT",
    "sslcrl": "PGSSLCRL",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
_WITHOUT_VARIABLE: Final = frozenset({"keepalives", "sslpassword"})
# How drivers other than libpq spell the one setting that must not be lost on the way.
_SSL_WORDS: Final[Mapping[str, str]] = {
    "true": "require",
    "1": "require",
    "false": "disable",
    "0": "disable",
}
# What the machine may tell a program besides where the database is.
_INHERITED: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT")
_TLS_FILES: Final[Mapping[str, str]] = {  # where libpq looks below HOME when nothing is said
    "PGSSLROOTCERT": "root.crt",
    "PGSSLCERT": "postgresql.crt",
    "PGSSLKEY": "postgresql.key",
    "PGSSLCRL": "root.crl",
}
_OUR_FILES: Final = frozenset({"PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR"})


def parameters(url: DatabaseUrl) -> dict[str, str]:
    """The parameters of libpq for ``url``; query keys of other drivers that it has no word for are left out."""
    found: dict[str, str] = {"connect_timeout": str(CONNECT_TIMEOUT)}
    named = {
        "host": url.host,
        "port": str(url.port or ""),
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
    }
    for key, value in url.query.items():
        word = key.lower()
        if word == "ssl":
            found["sslmode"] = _SSL_WORDS.get(value.lower(), value)
        elif (word in _VARIABLES or word in _WITHOUT_VARIABLE) and value:
            found[word] = value
    found.update({key: value for key, value in named.items() if value})
    return found


def environment(found: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The whole environment for a program of PostgreSQL: nothing of the connection needs to be in its argv.

    ``inherited`` is our own environment: of it only PATH and the like are handed on, and PG* variables that the
    URL does not overrule (a PGPASSFILE, for example).
    """
    kept = {name: inherited[name] for name in _INHERITED if name in inherited}
    kept |= {name: value for name, value in inherited.items() if name.startswith("PG")}
    if "host" in found or "hostaddr" in found:
        kept.pop("PGHOSTADDR", None)  # would overrule the URL's host
        kept.pop("PGSERVICE", None)
    return kept | {_VARIABLES[key]: value for key, value in found.items() if key in _VARIABLES}


def complete(
    found: Mapping[str, str], password: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """As ``environment``, for a program that sees none of our files but those of TLS, which it is told to use.

    Without them it would encrypt to whoever answers, where we would have refused.
    """
    home = Path(inherited.get("HOME") or "/nonexistent") / ".postgresql"
    around = environment({**found, **({"password": password} if password else {})}, inherited)
    for variable, name in _TLS_FILES.items():
        given = around.get(variable) or str(home / name)
        if Path(
            given
        ).is_file():  # else it is libpq's word "system", or the program says what is missing
            around[variable] = str(Path(given).resolve())
    return {name: value for name, value in around.items() if name not in _OUR_FILES}


def by_network(url: DatabaseUrl) -> bool:
    """Whether a server is asked by TCP: one on a socket of this machine is out of a container's reach."""
    host = url.query.get("host") or url.host
    return bool(host) and not host.startswith(("/", "@"))


def at(found: Mapping[str, str], address: tuple[str, int]) -> dict[str, str]:
    """The same connection by another address; the host's name stays, for certificates name it."""
    host, port = address
    return {**found, "hostaddr": host, "port": str(port)}


def port_of(found: Mapping[str, str]) -> int:
    """The TCP port of a connection. Raises UsageError."""
    text = found.get("port", str(DEFAULT_PORT))
    if not text.isdigit():
        raise UsageError(f"The database URL's port {text!r} is not a number.")
    return int(text)


def answers(host: str, port: int, timeout: float = 3.0) -> bool:
    """Whether something takes connections at ``host``: if not, the host may be one that only Docker knows."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False
