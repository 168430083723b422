"""deployguard.toml → frozen Config, strict: an unknown key is an error naming the nearest key."""

from deployguard.config.drill import DrillConfig
from deployguard.config.encryption import key_lines
from deployguard.config.health import CheckConfig, HealthConfig
from deployguard.config.load import FILE_NAME, find, load, parse
from deployguard.config.notify import EVENTS, Event, NotifyConfig
from deployguard.config.offsite import OffsiteConfig, Place, parse_place
from deployguard.config.physical import PhysicalConfig
from deployguard.config.quiesce import QuiesceConfig
from deployguard.config.rds import RdsConfig
from deployguard.config.rolling import RollingConfig
from deployguard.config.schema import (
    AcceptConfig,
    Argv,
    BackupConfig,
    Checkout,
    Config,
    DatabaseConfig,
    Environment,
    MigrateConfig,
    Policy,
    Project,
    ReadConfig,
    StatementTimeout,
    TargetConfig,
)
from deployguard.config.state import StateConfig
from deployguard.config.url import DatabaseUrl, parse_url
from deployguard.config.urls import backup_url, physical_url, resolve_url, state_url
from deployguard.config.watch import WatchConfig

__all__ = [
    "EVENTS",
    "FILE_NAME",
    "AcceptConfig",
    "Argv",
    "BackupConfig",
    "CheckConfig",
    "Checkout",
    "Config",
    "DatabaseConfig",
    "DatabaseUrl",
    "DrillConfig",
    "Environment",
    "Event",
    "HealthConfig",
    "MigrateConfig",
    "NotifyConfig",
    "OffsiteConfig",
    "PhysicalConfig",
    "Place",
    "Policy",
    "Project",
    "QuiesceConfig",
    "RdsConfig",
    "ReadConfig",
    "RollingConfig",
    "StateConfig",
    "StatementTimeout",
    "TargetConfig",
    "WatchConfig",
    "backup_url",
    "find",
    "key_lines",
    "load",
    "parse",
    "parse_place",
    "parse_url",
    "physical_url",
    "resolve_url",
    "state_url",
]
