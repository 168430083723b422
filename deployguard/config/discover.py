"""Looks at a project's folder for what `init` can know by itself: alembic.ini, Compose file, names, variables."""

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deployguard.errors import UsageError

COMPOSE_NAMES = (
    "docker-compose.prod.yml",
    "docker-compose.prod.yaml",
    "compose.prod.yaml",
    "compose.prod.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
)
_SHOWN = 5  # of several files that could be meant
_SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "build", "dist"})
_VARIABLE = re.compile(
    r"\b([A-Z][A-Z0-9_]*(?:DATABASE|DB|POSTGRES|SQL)[A-Z0-9_]*_(?:URL|URI|DSN))\b"
)
_PLAIN_VARIABLE = re.compile(r"\b((?:DATABASE|DB|POSTGRES|SQLALCHEMY_DATABASE)_(?:URL|URI|DSN))\b")
_SQLITE = re.compile(r"""sqlite(?:\+\w+)?:///[^\s"'#?{}]+\.\w+""")
_VERSION_TABLE = re.compile(r"""\bversion_table\s*=\s*["'](\w+)["']""")
_FLASK = re.compile(r"^\s*from flask import .*\bcurrent_app\b|\bflask_migrate\b", re.MULTILINE)
_ANCHOR = re.compile(r"&([\w-]+)")
_MERGE = re.compile(r"^\s*<<:.*?\*([\w-]+)")
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[\w.-]+|\"[^\"]+\"|'[^']+'):(?P<rest>.*)$")

_DIALECT_SIGNS = (
    ("postgresql", r"postgres|psycopg|asyncpg|pg8000"),
    ("mariadb", r"mariadb"),  # its usual drivers say mysql
    ("mysql", r"mysql"),
    ("sqlite", r"sqlite"),
)
_NEEDS = ("pyproject.toml", "requirements*.txt", "requirements/*.txt", "Pipfile", "setup.cfg")


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What a project's files show; the defaults are what is assumed when they show nothing."""

    name: str
    alembic_ini: str = "alembic.ini"
    section: str = "alembic"
    version_table: str = "alembic_version"
    dialect: str = "postgresql"
    url_env: str = "DATABASE_URL"
    url_env_found: bool = True  # False: nothing names a variable, and url_env is only the usual one
    sqlite_url: str = ""  # a SQLite URL that the project itself names
    compose_file: str = ""
    services: tuple[
        str, ...
    ] = ()  # Compose services that are built from the project and start by themselves
    migration_service: str = ""
    migration_profile: str = ""
    flask: bool = False  # Flask-Migrate: env.py runs inside of the application's own command
    other_sections: tuple[str, ...] = ()  # further histories in the same alembic.ini


@dataclass(frozen=True, slots=True)
class ComposeService:
    """What a cautious look at a Compose file shows of one service."""

    name: str
    built: bool = False
    profiles: tuple[str, ...] = ()


def discover(directory: Path, environ: Mapping[str, str] = MappingProxyType({})) -> ProjectFacts:
    """Look at the project in ``directory``. Raises UsageError when no alembic.ini is in it or just below.

    Of ``environ``, only the scheme of the URL in the project's own variable counts.
    """
    ini = _alembic_ini(directory)
    section, script_location, others = _alembic_section(ini)
    texts = [_text(path) for path in _sources(directory, ini, script_location)]
    together = "\n".join(texts)
    compose = next((name for name in COMPOSE_NAMES if (directory / name).is_file()), "")
    composed = _text(directory / compose) if compose else ""
    services = compose_services(composed)
    migration = next((s for s in services if _migrates(s)), None)
    sqlite = _SQLITE.search(together)
    variable = _PLAIN_VARIABLE.search(together) or _VARIABLE.search(together)
    table = _VERSION_TABLE.search(together)
    url_env = variable[1] if variable else "DATABASE_URL"
    scheme = environ.get(url_env, "").partition(":")[0]
    needs = [_text(path) for pattern in _NEEDS for path in sorted(directory.glob(pattern))]
    return ProjectFacts(
        name=_project_name(directory),
        alembic_ini=ini.relative_to(directory).as_posix(),
        section=section,
        version_table=table[1] if table else "alembic_version",
        dialect=_dialect("\n".join([together, composed, scheme, *needs])),
        url_env=url_env,
        url_env_found=variable is not None,
        sqlite_url=sqlite[0] if sqlite else "",
        compose_file=compose,
        services=tuple(s.name for s in services if s.built and not s.profiles and s != migration),
        migration_service=migration.name if migration else "",
        migration_profile=migration.profiles[0] if migration and migration.profiles else "",
        flask=_FLASK.search(_text((script_location or ini.parent) / "env.py")) is not None,
        other_sections=others,
    )


def compose_services(text: str) -> tuple[ComposeService, ...]:
    """The services of a Compose file, by indentation; what is not written plainly is not seen.

    A YAML library would read more (flow mappings, extends), but this only fills in a draft that a person reads.
    """
    built: set[str] = set()  # anchors (&name) of blocks that have a build
    found: list[ComposeService] = []
    for section, key, rest, body in _blocks(text):
        anchor = _ANCHOR.search(rest)
        merged = {name for line in body for name in _MERGE.findall(line)}
        has_build = any(_plain_key(line) == "build" for line in body) or bool(merged & built)
        if anchor and has_build:
            built.add(anchor[1])
        if section == "services":
            found.append(ComposeService(key, has_build, _profiles(body)))
    return tuple(found)


def _blocks(text: str) -> Iterator[tuple[str, str, str, list[str]]]:
    """(top-level key, key, what follows it, lines below it) of each service and each top-level block."""
    section, depth = "", 0
    blocks: list[tuple[str, str, str, list[str]]] = []
    for line in text.splitlines():
        match = _KEY.match(line.rstrip())
        indent = len(match["indent"]) if match else 1
        if match and indent == 0:
            section, depth = match["key"], 0
            blocks.append(("", section, match["rest"], []))
        elif match and section == "services" and (depth == 0 or indent <= depth):
            depth = indent
            blocks.append((section, match["key"].strip("\"'"), match["rest"], []))
        elif blocks:
            blocks[-1][3].append(line.rstrip())
    return iter(blocks)


def _plain_key(line: str) -> str:
    match = _KEY.match(line)
    return match["key"] if match else ""


def _profiles(body: list[str]) -> tuple[str, ...]:
    for number, line in enumerate(body):
        match = _KEY.match(line)
        if match and match["key"] == "profiles":
            return _list_after(match["rest"], body[number + 1 :])
    return ()


def _list_after(rest: str, following: list[str]) -> tuple[str, ...]:
    """The items of ``key: [a, b]`` or of ``key:`` with one ``- item`` a line."""
    inline = rest.partition("#")[0].strip()
    if inline.startswith("["):
        items = inline.strip("[]").split(",")
        return tuple(item.strip().strip("\"'") for item in items if item.strip())
    items = []
    for line in following:
        if not line.strip().startswith("- "):
            break
        items.append(line.strip()[2:].split("#")[0].strip().strip("\"'"))
    return tuple(items)


def _migrates(service: ComposeService) -> bool:
    names = (service.name, *service.profiles)
    return any("migrat" in name.lower() or name.lower() == "alembic" for name in names)


def _dialect(text: str) -> str:
    """The dialect of production: the strictest one that the project mentions, since SQLite is for development."""
    for dialect, signs in _DIALECT_SIGNS:
        if re.search(signs, text, re.IGNORECASE):
            return dialect
    return "postgresql"


def _alembic_ini(directory: Path) -> Path:
    if (directory / "alembic.ini").is_file():
        return directory / "alembic.ini"
    if "script_location" in _tool_alembic(directory / "pyproject.toml"):
        return directory / "pyproject.toml"
    below = sorted(
        path
        for pattern in ("*/alembic.ini", "*/*/alembic.ini")
        for path in directory.glob(pattern)
        if not _skipped(path.relative_to(directory))
    )
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(path.relative_to(directory).as_posix() for path in below[:_SHOWN])
        more = f" and {len(below) - _SHOWN} more" if len(below) > _SHOWN else ""
        raise UsageError(
            f"There are several alembic.ini files: {names}{more}. Go to the project's own folder."
        )
    raise UsageError(
        f"There is no alembic.ini in {directory}, nor in a folder below it. Go to the folder of an Alembic"
        " project; `alembic init migrations` begins a new one.",
    )


def _alembic_section(ini: Path) -> tuple[str, Path | None, tuple[str, ...]]:
    """The section that names a script_location, that folder, and the other sections that name one."""
    if ini.suffix == ".toml":
        written = str(_tool_alembic(ini)["script_location"]).replace("%(here)s", str(ini.parent))
        return "alembic", ini.parent / written, ()
    parser = configparser.ConfigParser({"here": str(ini.parent)})
    try:
        parser.read_string(_text(ini))
        sections = [s for s in parser.sections() if parser.has_option(s, "script_location")]
        section = "alembic" if "alembic" in sections or not sections else sections[0]
        location = parser.get(section, "script_location", fallback="")
    except configparser.Error as error:
        raise UsageError(f"{ini.name} cannot be read: {error}") from error
    folder = ini.parent / location if location and ":" not in location else None
    if not location and (ini.parent / "env.py").is_file():
        folder = ini.parent  # Flask-Migrate says it when it runs
    return section, folder, tuple(one for one in sections if one != section)


def _sources(directory: Path, ini: Path, scripts: Path | None) -> Iterator[Path]:
    """The files that usually say where the database is, the likeliest first."""
    yield ini
    if scripts is not None:
        yield scripts / "env.py"
    for pattern in ("*.py", "*/*.py", "src/*/*.py"):
        for path in sorted(directory.glob(pattern)):
            likely = path.stem in ("settings", "config", "database", "db", "conf")
            if likely and not _skipped(path.relative_to(directory)):
                yield path


def _skipped(relative: Path) -> bool:
    return any(part.startswith(".") or part in _SKIPPED for part in relative.parts)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # init only looks for hints; a file that cannot be read gives none


def _project_name(directory: Path) -> str:
    document = _toml(directory / "pyproject.toml")
    tool = document.get("tool", {})
    poetry = tool.get("poetry", {}) if isinstance(tool, dict) else {}
    given = [t.get("name") for t in (document.get("project"), poetry) if isinstance(t, dict)]
    name = next((text for text in given if isinstance(text, str)), "")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", name or directory.resolve().name).strip("-_")
    return name.lower() or "app"


def _tool_alembic(path: Path) -> dict[str, object]:
    """``[tool.alembic]`` of pyproject.toml, which Alembic reads since 1.16."""
    tool = _toml(path).get("tool", {})
    found = tool.get("alembic", {}) if isinstance(tool, dict) else {}
    return found if isinstance(found, dict) else {}


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError:
        return {}
