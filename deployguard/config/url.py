"""A database URL, taken apart without SQLAlchemy and never shown with its password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode

from deployguard.errors import UsageError

_URL = re.compile(
    r"""^(?P<dialect>[A-Za-z][A-Za-z0-9_]*)(\+(?P<driver>[A-Za-z0-9_]+))?://
        ((?P<username>[^:/@?]*)(:(?P<password>.*))?@)?
        (?P<host>\[[^\]/?]+\]|[^/:?@]*)(:(?P<port>[0-9]*))?
        (/(?P<database>[^?]*))?
        (\?(?P<query>.*))?$""",
    re.VERBOSE | re.DOTALL,
)
_SECRET_KEYS = ("password", "passwd", "sslpassword")
_DUMMY_NAME = "deployguard"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of ``dialect+driver://username:password@host:port/database?query``, percent-decoded.

    ``dialect`` is SQLAlchemy's name ("postgresql", "sqlite", "mysql", …); ``driver`` is empty when the URL names
    none. The source is the SQLAlchemy manual, "Database URLs".
    """

    dialect: str
    driver: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: int | None = None
    database: str = ""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def raw(self) -> str:
        """The whole URL, password included: for a driver or a child's environment, never for output."""
        return self._render(self.password, self.query)

    def display(self) -> str:
        """The URL as a person may see it: ``***`` where a secret stands."""
        hidden = {k: "***" if k in _SECRET_KEYS else v for k, v in self.query.items()}
        return self._render("***" if self.password else "", hidden, quoted=False)

    def secrets(self) -> tuple[str, ...]:
        """Every text that output must not contain: passwords, plain and percent-encoded.

        A password that is also the name of the user, host or database hides nothing, and hiding it would cut
        holes into every table, backup and file of that name.
        """
        plain = [self.password, *(self.query.get(key, "") for key in _SECRET_KEYS)]
        told = {"", self.username, self.database, self.host}
        forms = {f for p in plain if p not in told for f in (p, quote(p, safe=""), quote_plus(p))}
        return tuple(sorted(forms, key=len, reverse=True))

    def at(self, host: str, port: int) -> "DatabaseUrl":
        """The same database, reached at another address."""
        return replace(self, host=host, port=port)

    def dummy(self) -> "DatabaseUrl":
        """A URL of the same dialect, driver and database name that leads nowhere and holds no secret."""
        if self.dialect == "sqlite":
            return DatabaseUrl("sqlite", self.driver, database=":memory:")
        return DatabaseUrl(
            self.dialect, self.driver, _DUMMY_NAME, _DUMMY_NAME, "127.0.0.1", 1, self.database
        )

    def sqlite_path(self, directory: Path) -> Path:
        """The file of a SQLite database; a relative path counts from ``directory``.

        Raises UsageError for an in-memory database and for ``file:`` URIs, which cannot be backed up and swapped.
        """
        if self.database in ("", ":memory:") or self.database.startswith("file:"):
            raise UsageError(
                f"{self.display()} is not a database file; deployguard needs sqlite:///path/to/file.db."
            )
        return (directory / self.database).resolve()

    def _render(self, password: str, query: Mapping[str, str], *, quoted: bool = True) -> str:
        enc = (lambda text: quote(text, safe="")) if quoted else (lambda text: text)
        user = enc(self.username) + (f":{enc(password)}" if password else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        driver = f"+{self.driver}" if self.driver else ""
        tail = ("?" + urlencode(query, safe="*/")) if query else ""
        path = f"/{self.database}" if self.database or self.dialect == "sqlite" else ""
        return f"{self.dialect}{driver}://{user + '@' if user else ''}{host}{port}{path}{tail}"


def parse_url(text: str, origin: str) -> DatabaseUrl:
    """Take a URL apart; ``origin`` names where it came from, since the URL itself is never shown.

    Raises UsageError when the text is no database URL.
    """
    match = _URL.match(text.strip())
    if match is None:
        raise UsageError(
            f"{origin} does not hold a database URL like postgresql://user:password@host:5432/name "
            "or sqlite:///file.db (a password's special characters must be percent-encoded)."
        )
    part = {name: value or "" for name, value in match.groupdict().items()}
    dialect = "postgresql" if part["dialect"] == "postgres" else part["dialect"].lower()
    return DatabaseUrl(
        dialect=dialect,
        driver=part["driver"].lower(),
        username=unquote(part["username"]),
        password=unquote(part["password"]),
        host=part["host"].strip("[]"),
        port=int(part["port"]) if part["port"] else None,
        database=part["database"],
        query=dict(parse_qsl(part["query"], keep_blank_values=True)),
    )
