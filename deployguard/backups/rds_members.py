"""The instances of a cluster: a restored cluster has none, and without one it cannot be reached."""

from collections.abc import Mapping

from deployguard.backups.rds_api import Answer, Api
from deployguard.backups.rds_carry import member
from deployguard.backups.rds_source import CLUSTER, INSTANCE, Kind


def complete(api: Api, kind: Kind, live: Answer, new: Answer, tags: Mapping[str, str]) -> bool:
    """Whether the new cluster has as many available instances as the live one; makes those that are missing.

    The writer comes first: it is made first, and becomes the new cluster's writer.
    """
    if kind is not CLUSTER:
        return True
    name, ready = str(new["DBClusterIdentifier"]), True
    models = sorted(
        live.get("DBClusterMembers", ()), key=lambda one: not one.get("IsClusterWriter")
    )
    for number, model in enumerate(models, start=1):
        identifier = f"{name}-{number}"
        there = INSTANCE.describe(api, identifier)
        if there is None:
            like = INSTANCE.describe(api, str(model["DBInstanceIdentifier"]))
            if like is not None:
                api.site.say(f"making {identifier}, like {model['DBInstanceIdentifier']}")
                api("create_db_instance", **member(like, identifier, name, tags))
                ready = False
        elif there.get("DBInstanceStatus") != "available":
            ready = False
    return ready
