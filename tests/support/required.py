"""What a test needs of the machine: without it a person's run says so and goes on, and CI fails."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where CI is set: .ci/machine installs and starts everything that tests need."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what}, and CI must have it (.ci/machine brings it)")
    pytest.skip(what)
