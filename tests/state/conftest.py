"""The journal's two places: each test of the journal runs against both."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployguard.config import parse_url
from deployguard.state import Journal
from deployguard.state.postgresql import PostgresStore
from deployguard.state.store import Store

URL = "STATE_URL"  # the variable that tells a child


@dataclass
class Place:
    """Where a test keeps its journal; ``url`` is empty for a file."""

    folder: Path
    url: str = ""

    def store(self, **options: object) -> Store | Path:
        if not self.url:
            return self.folder / "state" / "journal.db"
        return shared(self.url, **options)

    def journal(self, **options: object) -> Journal:
        return Journal(self.store(), **options)  # type: ignore[arg-type]

    @property
    def code(self) -> str:
        """A line of Python that makes ``journal`` in a child."""
        if not self.url:
            return f"journal = Journal(Path({str(self.folder / 'state' / 'journal.db')!r}))"
        return (
            "import os; from tests.state.conftest import shared; "
            f"journal = Journal(shared(os.environ[{URL!r}]))"
        )

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, URL: self.url}


def shared(url: str, **options: object) -> PostgresStore:
    """A journal in PostgreSQL that may be written, for the project that all these tests are of."""
    given = {"project": "bookings", "patience": 30.0, "apart": lambda *_: True, **options}
    return PostgresStore(parse_url(url, "the test"), **given)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("postgres_database") if request.param == "postgresql" else ""
    return Place(tmp_path, url)
