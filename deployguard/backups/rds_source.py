"""What is backed up, an RDS instance or an Aurora cluster: the API's words for each, and what is refused first."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from deployguard.backups.base import failed
from deployguard.backups.rds_api import Answer, Api, AwsError
from deployguard.config import DatabaseUrl, RdsConfig
from deployguard.errors import BackupFailed, UsageError

PREFIX: Final = "deployguard:"  # of the tags that are ours
ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "postgresql": ("postgres", "aurora-postgresql"),
    "mysql": ("mysql", "aurora-mysql", "mariadb"),
    "mariadb": ("mariadb", "mysql", "aurora-mysql"),
}
# States from which AWS comes back to "available" by itself; in any other nobody can take a snapshot.
PASSING: Final = re.compile(
    r"available|backing-up|creating|modifying|rebooting|renaming|starting|maintenance|upgrading|configuring-.*|"
    r"resetting-master-credentials|storage-.*optimization|storage-config-upgrade|converting-to-vpc|moving-to-vpc"
)
READY: Final = ("available", "storage-optimization")
_IDENTIFIER: Final = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_TAG: Final = re.compile(r"[^\w .:/=+@-]", re.ASCII)
_PLACES: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Kind:
    """The words of the RDS API for an instance, or for a cluster. Source: the Amazon RDS API Reference."""

    word: str  # for people
    noun: str  # as it stands in names of calls: "db_instance"
    upper: str  # as it stands in names of arguments: "DBInstance"
    state: str
    resource: str  # an id that survives renames

    @property
    def key(self) -> str:
        return f"{self.upper}Identifier"

    @property
    def snapshot(self) -> str:
        """The prefix of a snapshot's fields: "DBSnapshot" or "DBClusterSnapshot"."""
        return "DBSnapshot" if self.noun == "db_instance" else "DBClusterSnapshot"

    @property
    def snapshot_noun(self) -> str:
        return "db_snapshot" if self.noun == "db_instance" else "db_cluster_snapshot"

    def describe(self, api: Api, name: str) -> Answer | None:
        """What AWS knows of one; None when there is none of this name."""
        return one(
            api,
            f"describe_{self.noun}s",
            f"{self.upper}s",
            f"{self.upper}NotFound",
            {self.key: name},
        )


INSTANCE: Final = Kind("instance", "db_instance", "DBInstance", "DBInstanceStatus", "DbiResourceId")
CLUSTER: Final = Kind("cluster", "db_cluster", "DBCluster", "Status", "DbClusterResourceId")


def one(
    api: Api, operation: str, key: str, missing: str, arguments: Mapping[str, Any]
) -> Answer | None:
    """The first item of an answer; None where AWS says that there is no such thing."""
    try:
        found: list[Answer] = api(operation, **arguments)[key]
    except AwsError as error:
        if error.code == missing:
            return None
        raise
    return found[0] if found else None


def chosen(config: RdsConfig) -> tuple[Kind, str]:
    """What is configured. Raises UsageError unless it is exactly one."""
    if bool(config.instance) == bool(config.cluster):
        raise UsageError(
            '[backup] store = "rds" needs [rds] instance or [rds] cluster: the identifier of the one that'
            " database_url leads to.",
            next_commands=("aws rds describe-db-instances",),
        )
    kind = INSTANCE if config.instance else CLUSTER
    name = config.instance or config.cluster
    if not _IDENTIFIER.fullmatch(name) or len(name) > 63:
        raise UsageError(f"[rds] {kind.word} {name!r} is not an identifier of RDS.")
    return kind, name.lower()


def refuse(kind: Kind, name: str, found: Answer, url: DatabaseUrl) -> str:
    """Raises BackupFailed or UsageError for what cannot be snapshot, or is not what the URL leads to; pure.

    A sentence when nothing shows whether the URL leads there: "" when it does.
    """
    engine, state = str(found.get("Engine", "")), str(found.get(kind.state, ""))
    known = ENGINES.get(url.dialect, ())
    if engine not in known:
        raise UsageError(
            f"The RDS {kind.word} {name} runs {engine or 'an unknown engine'}, and the database URL is of"
            f" {url.dialect}: deployguard takes snapshots of {', '.join(known) or 'no such databases'} there."
        )
    if kind is INSTANCE and (cluster := found.get("DBClusterIdentifier")):
        raise UsageError(
            f'{name} belongs to a cluster, whose storage is one: set [rds] cluster = "{cluster}".'
        )
    if not PASSING.fullmatch(state):
        raise failed(
            f"The RDS {kind.word} {name} is {state or 'in no known state'}; a snapshot can only be taken while it"
            " is available.",
            f"aws rds describe-{kind.noun.replace('_', '-')}s --{kind.noun.replace('_', '-')}-identifier {name}",
        )
    return _leads_there(kind, name, found, url)


def endpoint(kind: Kind, found: Answer) -> tuple[str, int | None]:
    """The address under which applications reach it; "" while it has none."""
    where = found.get("Endpoint")
    if kind is CLUSTER:
        return str(where or ""), found.get("Port")
    return (
        (str(where.get("Address", "")), where.get("Port"))
        if isinstance(where, Mapping)
        else ("", None)
    )


def _leads_there(kind: Kind, name: str, found: Answer, url: DatabaseUrl) -> str:
    address, _ = endpoint(kind, found)
    host = url.host.lower()
    if host == address.lower():
        return ""
    amazon = host.endswith((".rds.amazonaws.com", ".rds.amazonaws.com.cn"))
    if (
        amazon
        and ".proxy-" not in host
        and host not in map(str.lower, found.get("CustomEndpoints", ()))
    ):
        raise UsageError(
            f"The database URL leads to {host}, and the {kind.word} {name} is {address}: what is backed up must"
            " be what is migrated."
        )
    return f"nothing shows that {host} leads to the {kind.word} {name} ({address}); it is taken as configured"


def snapshot_name(
    pattern: str, *, project: str, environment: str, reason: str, at: datetime
) -> str:
    """The identifier of a snapshot; pure. Raises UsageError for a pattern that makes none."""
    words = {
        "time": at.astimezone(UTC).strftime("%Y%m%d-%H%M%S"),
        "project": project,
        "environment": environment,
        "reason": reason,
    }
    unknown = [word for word in _PLACES.findall(pattern) if word not in words]
    if unknown or "{time}" not in pattern:
        what = (
            f"does not know {{{unknown[0]}}}"
            if unknown
            else "needs {time}, or two would have one name"
        )
        raise UsageError(f"[rds] snapshot {pattern!r} {what}.")
    filled = _PLACES.sub(lambda match: words[match[1]], pattern)
    name = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9-]", "-", filled)).strip("-")
    if not _IDENTIFIER.fullmatch(name) or len(name) > 200:
        raise UsageError(f"[rds] snapshot {pattern!r} makes {name!r}, which RDS does not take.")
    return name.lower()


def own_tags(config: RdsConfig, ours: Mapping[str, str]) -> list[dict[str, str]]:
    """The configured tags, and ours, in the API's form and characters; pure. Raises UsageError."""
    tags: dict[str, str] = {}
    for text in config.tags:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or key.startswith(("aws:", PREFIX)):
            raise UsageError(
                f"[rds] tags: {text!r} is not key=value, or the key is not yours to set."
            )
        tags[key.strip()] = value.strip()
    tags |= {PREFIX + key: value for key, value in ours.items() if value}
    return [
        {"Key": _TAG.sub("_", key)[:128], "Value": _TAG.sub("_", value)[:256]}
        for key, value in tags.items()
    ]


def tags_of(found: Answer) -> dict[str, str]:
    """Our tags on something, without their prefix."""
    return {
        str(tag["Key"]).removeprefix(PREFIX): str(tag.get("Value", ""))
        for tag in found.get("TagList", ())
        if str(tag["Key"]).startswith(PREFIX)
    }


def described(api: Api, kind: Kind, name: str) -> Answer:
    """The instance or cluster. Raises BackupFailed when there is none."""
    found = kind.describe(api, name)
    if found is None:
        raise BackupFailed(
            f"There is no RDS {kind.word} {name} in {api.region}, or it belongs to another account.",
            next_commands=(
                f"aws rds describe-{kind.noun.replace('_', '-')}s --region {api.region}",
            ),
        )
    return found


def kept_name(name: str, deploy: str) -> str:
    """The identifier that the one in service gets when it is replaced; pure."""
    tail = re.sub(r"[^a-z0-9]+", "-", f"failed-{deploy}".lower()).strip("-")[:50]
    return f"{name[: 62 - len(tail)].rstrip('-')}-{tail}"


def check_name(name: str) -> None:
    """Raises UsageError for what cannot be an instance's or a cluster's identifier."""
    if not _IDENTIFIER.fullmatch(name) or len(name) > 63 or name != name.lower():
        raise UsageError(
            f"{name!r} cannot be an identifier of RDS: small letters, digits and single hyphens."
        )
