"""[physical] is looked through when it is read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deployguard.config import Environment, parse, physical_url
from deployguard.config.retention import Keep
from deployguard.errors import UsageError

START = '[project]\nname = "shop"\n[environments.production]\ndatabase_url_env = "DATABASE_URL"\n'


def read(text: str) -> Environment:
    return parse(
        tomllib.loads(START + "[physical]\n" + text), Path("deployguard.toml")
    ).environment()


def test_it_is_read_with_a_rule_of_its_own() -> None:
    found = read('max_rate = "50M"\ncompression = "none"\nkeep = { daily = 7 }').physical
    assert (found.max_rate, found.keep) == ("50M", Keep(daily=7))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('compression = "zstd"', "compression is 'zstd'"),
        ('compression = "gzip:10"', "compression is 'gzip:10'"),
        ('max_rate = "fast"', "max_rate is 'fast'"),
        ("keep = { last = 0 }", "keeps nothing"),
        ('directory = ".deployguard/backups"', "a folder of its own"),
        ('directory = ".deployguard/backups/physical"', "lies in"),
        ('wal_directory = ".deployguard/physical/wal"', "lies in directory"),
        ('checkpoint = "slow"', "use one of: fast, spread"),
        ('directry = "x"', "did you mean 'directory'"),
    ],
)
def test_what_cannot_be_right_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(text)


def test_a_variable_that_is_named_must_be_set() -> None:
    found = read('database_url_env = "COPY_URL"')
    with pytest.raises(UsageError, match="COPY_URL"):
        physical_url(found, {})
    url = physical_url(found, {"COPY_URL": "postgresql://u:p@h/db"})
    assert url is not None
    assert url.username == "u"
    assert physical_url(read(""), {}) is None
