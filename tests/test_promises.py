"""The page of promises names tests that exist, and some for each of the twelve."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = re.findall(
    r"^\| (?P<promise>[A-Z][^|]*) \| (?P<proof>`tests/[^|]*) \|$",
    (ROOT / "docs" / "promises.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_there_are_twelve() -> None:
    assert len(ROWS) == 12


@pytest.mark.parametrize(("promise", "proof"), ROWS)
def test_each_is_proven_by_tests_that_exist(promise: str, proof: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", proof)
    assert len(named) == proof.count("`") // 2, promise
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file}::{test}"
