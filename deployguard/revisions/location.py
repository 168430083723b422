"""Where a project keeps its revision files, read from alembic.ini or pyproject.toml without importing Alembic."""

import configparser
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployguard.errors import UsageError

_SEPARATORS = {"os": os.pathsep, "space": None, "newline": "\n", ":": ":", ";": ";"}


@dataclass(frozen=True, slots=True)
class Locations:
    """The script folder (with env.py) and the folders with revision files, absolute."""

    scripts: Path
    versions: tuple[Path, ...]
    recursive: bool = False


def locate(directory: Path, alembic_ini: str, section: str) -> Locations:
    """The folders that Alembic would use when it is started in `directory`.

    Raises:
        UsageError: there is no such file, section or folder.

    """
    ini = directory / alembic_ini
    settings = _settings(ini, section)
    location = settings.get("script_location", "").strip()
    if not location and (ini.parent / "env.py").is_file():
        location = str(ini.parent.absolute())  # Flask-Migrate says it when it runs
    if not location:
        raise UsageError(
            f"{ini} has no script_location in [{section}].",
            next_commands=("alembic init migrations", "deployguard check --help"),
        )
    roots = (directory, ini.parent, *_prepended(settings, directory))
    scripts = _folder(location, roots)
    if not scripts.is_dir():
        raise UsageError(
            f"The Alembic script folder {scripts} that {ini} names does not exist.",
            next_commands=(f"grep script_location {ini}",),
        )
    listed = settings.get("version_locations", "").strip()
    versions = (
        tuple(_folder(path, roots) for path in _split(listed, settings))
        if listed
        else (scripts / "versions",)
    )
    return Locations(
        scripts, versions, recursive=_true(settings.get("recursive_version_locations", ""))
    )


def _settings(ini: Path, section: str) -> Mapping[str, str]:
    if not ini.is_file():
        settings = _pyproject(ini.parent / "pyproject.toml")
        if settings is not None:
            return settings
        raise UsageError(
            f"There is no Alembic configuration at {ini}.",
            next_commands=("ls", "deployguard init"),
        )
    if ini.suffix == ".toml":
        return _pyproject(ini) or {}
    parser = configparser.ConfigParser({"here": str(ini.parent.absolute())}, strict=False)
    try:
        parser.read_string(ini.read_text(encoding="utf-8", errors="replace"), str(ini))
    except configparser.Error as error:
        raise UsageError(f"{ini} cannot be read: {error}") from error
    found = (
        {key: _get(parser, section, key) for key in parser[section]}
        if parser.has_section(section)
        else {}
    )
    if "script_location" not in found:
        found = {**(_pyproject(ini.parent / "pyproject.toml") or {}), **found}
    if not found and not parser.has_section(section):
        raise UsageError(
            f"{ini} has no section [{section}]; it has {', '.join(parser.sections()) or 'none'}.",
        )
    return found


def _get(parser: configparser.ConfigParser, section: str, key: str) -> str:
    try:
        return parser.get(section, key)
    except configparser.InterpolationError:
        # A value that only env.py fills in; ours have %(here)s at most.
        return parser.get(section, key, raw=True).replace("%(here)s", parser.defaults()["here"])


def _pyproject(path: Path) -> Mapping[str, str] | None:
    if not path.is_file():
        return None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("alembic")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        return None
    here = str(path.parent.absolute())
    settings = {"path_separator": "newline"}
    for key, value in table.items():
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        settings[key] = text.replace("%(here)s", here)
    return settings


def _split(listed: str, settings: Mapping[str, str]) -> list[str]:
    name = settings.get("path_separator") or settings.get("version_path_separator") or ""
    if name not in _SEPARATORS:
        # Alembic's way of before there was a setting: spaces or commas.
        return [part for part in re.split(r"[,\s]+", listed) if part]
    return [part.strip() for part in listed.split(_SEPARATORS[name]) if part.strip()]


def _prepended(settings: Mapping[str, str], directory: Path) -> list[Path]:
    entries = settings.get("prepend_sys_path", "").strip()
    return [directory / entry for entry in _split(entries, settings)] if entries else []


def _folder(location: str, roots: tuple[Path, ...]) -> Path:
    """The first of the roots under which the location exists; `package:folder` is looked for the same way."""
    package, *rest = location.split(":")
    relative = (
        Path(*package.split("."), *rest)
        if rest and not Path(location).is_absolute()
        else Path(location)
    )
    candidates = [root / relative for root in roots]
    if rest:
        candidates += [root / "src" / relative for root in roots]
    return next((path for path in candidates if path.is_dir()), candidates[0]).absolute()


def _true(value: str) -> bool:
    return value.strip().lower() in {"true", "1", "yes", "on"}
