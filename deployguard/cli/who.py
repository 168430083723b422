"""Who is deploying: the name that goes beside an approval and into the lock."""

import getpass
from collections.abc import Mapping

# The person that a CI system runs the job for; the sources are GitHub's and GitLab's pages on default variables.
_CI_NAMES = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN")


def operator(given: str | None, environ: Mapping[str, str]) -> str:
    """``--by``, else the person the CI job runs for, else the user of this machine (sudo's own user first)."""
    for name in (given, *(environ.get(key) for key in (*_CI_NAMES, "SUDO_USER"))):
        if name and name.strip():
            return name.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        return "unknown"
