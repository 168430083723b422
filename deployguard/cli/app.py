"""What one run of the command line knows: its configuration, how much to say, and what must not be said."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.errors import DeployguardError, UsageError

if TYPE_CHECKING:
    from deployguard.config import Config, DatabaseUrl, Environment

# A URL's user:password@, wherever it turns up; the known passwords are replaced before this.
_USER_INFO = re.compile(r"(?P<start>://[^\s:/@]*:)[^\s@/]+(?=@)")
_HIDDEN = "***"


class PipeClosed(Exception):
    """Nobody reads stdout any more."""


@dataclass(slots=True)
class App:
    """The state of one command. ``journaled`` is set once something may have been written to the journal."""

    config_path: Path | None = None
    verbose: int = 0
    journaled: bool = False
    _config: "Config | None" = None
    _secrets: set[str] = field(default_factory=set)

    def config(self) -> "Config":
        """The configuration, read once. Raises UsageError."""
        if self._config is None:
            from deployguard.config import load

            self._config = load(self.config_path, Path.cwd())
        return self._config

    def assume(self) -> bool:
        """Where no deployguard.toml is found, go by what `init` would write; whether that was needed."""
        from deployguard.config import find

        if self.config_path is not None or self._config is not None:
            return False
        try:
            find(Path.cwd().resolve())
        except UsageError:
            from deployguard.config.assumed import assumed

            self._config = assumed(Path.cwd().resolve())
            return True
        return False

    def environment(self, name: str | None) -> "Environment":
        """The named or the default environment. Raises UsageError."""
        return self.config().environment(name)

    def url(self, environment: "Environment") -> "DatabaseUrl":
        """The database URL of an environment; from here on its password is kept out of all output."""
        from deployguard.config import resolve_url

        url = resolve_url(environment, os.environ)
        self.hide(*url.secrets())
        return url

    def hide(self, *secrets: str) -> None:
        """Keep these texts out of all output."""
        self._secrets.update(secret for secret in secrets if secret)

    def redact(self, text: str) -> str:
        """The text without any secret that is known, and without the password of any URL."""
        for secret in sorted(self._secrets | self._configured_secrets(), key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return _USER_INFO.sub(rf"\g<start>{_HIDDEN}", text)

    def log_folders(self) -> tuple[Path, ...]:
        """Where a crash log belongs, the best place first; only folders that exist."""
        try:
            folder = self.config().state_directory
        except DeployguardError:
            return ()
        return (folder,) if folder.is_dir() else ()

    def _configured_secrets(self) -> set[str]:
        """Passwords of every environment whose variable is set: an error may stem from any of them."""
        from deployguard.config import (
            backup_url,
            key_lines,
            physical_url,
            resolve_url,
            state_url,
        )

        found: set[str] = set()
        for environment in self._config.environments.values() if self._config else ():
            found.update(key_lines(os.environ.get(environment.backup.identity_env, "")))
            for asked in (resolve_url, backup_url, physical_url, state_url):
                # not set, or no URL: then there is no password to hide
                with suppress(DeployguardError):
                    if (url := asked(environment, os.environ)) is not None:
                        found.update(url.secrets())
        return found
