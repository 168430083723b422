"""deployguard.toml → Config, strictly: an unknown key is an error that names the nearest key."""

import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from deployguard.config.accepted import parse_accepted, places
from deployguard.config.drill import DrillConfig
from deployguard.config.encryption import check_encryption
from deployguard.config.health import HealthConfig, check_health
from deployguard.config.keys import known
from deployguard.config.notify import NotifyConfig, check_addresses
from deployguard.config.offsite import OffsiteConfig, check_offsite
from deployguard.config.physical import PhysicalConfig, check_physical
from deployguard.config.quiesce import QuiesceConfig, check_quiesce
from deployguard.config.rds import RdsConfig
from deployguard.config.retention import RetentionConfig
from deployguard.config.retention import check as check_retention
from deployguard.config.rolling import check_rolling
from deployguard.config.schema import (
    BackupConfig,
    Config,
    DatabaseConfig,
    Environment,
    MigrateConfig,
    Policy,
    Project,
    ReadConfig,
    TargetConfig,
)
from deployguard.config.state import StateConfig, check_state
from deployguard.config.url import parse_url
from deployguard.config.watch import WatchConfig
from deployguard.errors import UsageError
from deployguard.model import ApprovalMode, BackupMode, Requirement, Risk

FILE_NAME = "deployguard.toml"
_T = TypeVar("_T")
_Table = Mapping[str, object]
_SECTIONS = (
    "state",
    "read",
    "migrate",
    "watch",
    "target",
    "backup",
    "retention",
    "rds",
    "drill",
    "physical",
    "offsite",
    "quiesce",
    "health",
    "notify",
    "policy",
)
# What pg_dump can compress with, and up to which level.
COMPRESSION = MappingProxyType({"auto": 0, "zstd": 22, "lz4": 12, "gzip": 9, "none": 0})
_LEVELS = MappingProxyType({str(risk): risk for risk in Risk})


def find(start: Path) -> Path:
    """The nearest deployguard.toml in ``start`` or a folder above it. Raises UsageError when there is none."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise UsageError(
        f"No {FILE_NAME} in {start} or any folder above it.", next_commands=("deployguard init",)
    )


def load(path: Path | None, cwd: Path) -> Config:
    """Read the configuration at ``path``, or the nearest one above ``cwd``. Raises UsageError."""
    path = find(cwd.resolve()) if path is None else (cwd / path).resolve()
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}.") from error
    try:
        return parse(document, path, places(text, path.name))
    except UsageError as error:  # it may lie in a folder above: say where
        to_type = error.next_commands or (f"${{EDITOR:-vi}} {shlex.quote(str(path))}",)
        raise UsageError(error.message, state=error.state, next_commands=to_type) from None


def parse(document: _Table, path: Path, accept_places: tuple[str, ...] = ()) -> Config:
    """Turn a parsed document into a Config; ``path`` anchors relative paths and names the file in errors.

    ``accept_places`` says where each ``[[accept]]`` stands.
    """
    known(document, ("project", "environments", "accept", *_SECTIONS), path.name)
    project = _build(Project, _table(document, "project", path.name), "[project]")
    if not project.name.replace("-", "").replace("_", "").isalnum() or not project.name.isascii():
        raise UsageError(f"[project] name {project.name!r}: use letters, digits, - and _ only.")
    named = _table(document, "environments", path.name)
    if not named:
        raise UsageError(f"{path.name} has no [environments.NAME] table.")
    shared = {section: _table(document, section, path.name) for section in _SECTIONS}
    environments = {
        name: _environment(name, _table(named, name, "[environments]"), shared) for name in named
    }
    accept = parse_accepted(document.get("accept", []), path.name, accept_places)
    config = Config(path, project, MappingProxyType(environments), accept)
    if project.default_environment:
        config.environment(project.default_environment)
    return config


def _environment(name: str, table: _Table, shared: Mapping[str, _Table]) -> Environment:
    where = f"[environments.{name}]"
    known(table, ("database_url", "database_url_env", *_SECTIONS), where)

    def section(kind: Callable[..., _T], key: str) -> _T:
        merged = _merge(shared[key], _table(table, key, where))
        return _build(kind, merged, f"[{key}] for {name!r}")

    target = section(TargetConfig, "target")
    if bool(target.stop) != bool(target.start):
        raise UsageError(f"[target] for {name!r} needs both stop and start, or neither.")
    check_rolling(target.rolling, target.services, target.kind, f"[target] for {name!r}")
    backup = check_encryption(section(BackupConfig, "backup"), f"[backup] for {name!r}")
    _check_compression(backup, f"[backup] for {name!r}")
    database = _database(table, where)
    return Environment(
        name=name,
        database=database,
        state=check_state(section(StateConfig, "state"), database.url_env, f"[state] for {name!r}"),
        read=section(ReadConfig, "read"),
        migrate=section(MigrateConfig, "migrate"),
        watch=section(WatchConfig, "watch"),
        target=target,
        backup=backup,
        retention=check_retention(
            section(RetentionConfig, "retention"), f"[retention] for {name!r}"
        ),
        rds=section(RdsConfig, "rds"),
        offsite=check_offsite(section(OffsiteConfig, "offsite"), f"[offsite] for {name!r}"),
        drill=section(DrillConfig, "drill"),
        physical=check_physical(
            section(PhysicalConfig, "physical"), backup.directory, f"[physical] for {name!r}"
        ),
        quiesce=check_quiesce(
            section(QuiesceConfig, "quiesce"), target.kind, f"[quiesce] for {name!r}"
        ),
        health=check_health(section(HealthConfig, "health"), f"[health] for {name!r}"),
        notify=_notify(_merge(shared["notify"], _table(table, "notify", where)), name),
        policy=_policy(
            _merge(shared["policy"], _table(table, "policy", where)), f"[policy] for {name!r}"
        ),
    )


def _notify(table: _Table, name: str) -> NotifyConfig:
    where = f"[notify] for {name!r}"
    return _build(NotifyConfig, check_addresses(table, where), where)


def _check_compression(backup: BackupConfig, where: str) -> None:
    method, colon, level = backup.compression.partition(":")
    highest = COMPRESSION.get(method)
    if highest is None:
        raise UsageError(
            f"{where} compression is {backup.compression!r}; use one of: {', '.join(COMPRESSION)}."
        )
    if colon and not (level.isascii() and level.isdigit() and 1 <= int(level) <= highest):
        levels = f"its level is 1 to {highest}" if highest else "it has no level"
        raise UsageError(f"{where} compression is {backup.compression!r}; {levels}.")
    if backup.format == "plain" and method not in ("auto", "gzip", "none"):
        raise UsageError(f'{where} compression: a dump of format "plain" can only be gzip or none.')


def _database(table: _Table, where: str) -> DatabaseConfig:
    url = _convert(table.get("database_url", ""), str, f"{where} database_url")
    variable = _convert(table.get("database_url_env", ""), str, f"{where} database_url_env")
    if not isinstance(url, str) or not isinstance(variable, str) or not (url or variable):
        raise UsageError(f"{where} needs database_url, database_url_env, or both.")
    parsed = parse_url(url, f"{where} database_url") if url else None
    if parsed and (parsed.password or parsed.secrets()):
        raise UsageError(
            f"{where} database_url holds a password. Put the URL into an environment variable and "
            'name that: database_url_env = "DATABASE_URL".'
        )
    return DatabaseConfig(url, variable)


def _policy(table: _Table, where: str) -> Policy:
    known(table, ("fail_on", "approval_hours", *_LEVELS), where)
    policy = Policy()
    ladder = dict(policy.ladder)
    for name, risk in _LEVELS.items():
        given = _table(table, name, where)
        known(given, ("approval", "backup"), f"{where} {name}")
        approval = _convert(
            given.get("approval", ladder[risk].approval), ApprovalMode, f"{where} {name}.approval"
        )
        backup = _convert(
            given.get("backup", ladder[risk].backup), BackupMode, f"{where} {name}.backup"
        )
        ladder[risk] = Requirement(ApprovalMode(str(approval)), BackupMode(str(backup)))
    always = Requirement(ApprovalMode.APPROVAL, BackupMode.REQUIRED)
    if ladder[Risk.HIGH] != always or ladder[Risk.CRITICAL] != always:
        raise UsageError(
            f"{where}: high and critical always need an approval and a verified backup; "
            "only low and medium can be configured."
        )
    fail_on = table.get("fail_on", str(policy.fail_on))
    if fail_on not in _LEVELS:
        raise UsageError(f"{where} fail_on is {fail_on!r}; use one of: {', '.join(_LEVELS)}.")
    hours = _convert(
        table.get("approval_hours", policy.approval_hours), int, f"{where} approval_hours"
    )
    return Policy(_LEVELS[str(fail_on)], int(str(hours)), MappingProxyType(ladder))


def _build(kind: Callable[..., _T], table: _Table, where: str) -> _T:
    hints = get_type_hints(kind)
    known(table, tuple(hints), where)
    values = {key: _convert(value, hints[key], f"{where} {key}") for key, value in table.items()}
    for spec in fields(kind):  # type: ignore[arg-type]  # every caller passes a dataclass
        if spec.default is MISSING and spec.default_factory is MISSING and spec.name not in values:
            raise UsageError(f"{where} needs {spec.name}.")
    return kind(**values)


def _convert(value: object, hint: object, where: str) -> object:
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        raise UsageError(f"{where} is {value!r}; use one of: {', '.join(get_args(hint))}.")
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if isinstance(value, str) and value in tuple(hint):
            return hint(value)
        raise UsageError(f"{where} is {value!r}; use one of: {', '.join(hint)}.")
    if isinstance(hint, UnionType):  # a plain value, or a table of its own
        plain, table = get_args(hint)
        hint = table if isinstance(value, dict) else plain
    if isinstance(hint, type) and is_dataclass(hint):
        return _build(hint, _table({where: value}, where, "the configuration"), where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{where} must be a list, not {value!r}.")
        return tuple(
            _convert(item, get_args(hint)[0], f"{where}[{i}]") for i, item in enumerate(value)
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(hint, type) or type(value) is not hint:
        wanted = getattr(hint, "__name__", str(hint))
        raise UsageError(f"{where} must be of type {wanted}, not {value!r}.")
    if isinstance(value, int | float) and value < 0:
        raise UsageError(f"{where} must not be negative.")
    return value


def _table(document: _Table, key: str, where: str) -> _Table:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise UsageError(f"{key!r} in {where} must be a table.")
    return value


def _merge(base: _Table, over: _Table) -> _Table:
    merged = dict(base)
    for key, value in over.items():
        former = merged.get(key)
        both = isinstance(value, dict) and isinstance(former, dict)
        merged[key] = {**former, **value} if both else value  # type: ignore[dict-item]  # `both`
    return merged
