"""Make a new instance or cluster like the one in service, after AWS has made it: what a restore does not take."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployguard.backups import rds_carry
from deployguard.backups.rds_api import Answer, Api
from deployguard.backups.rds_members import complete
from deployguard.backups.rds_source import Kind


@dataclass(slots=True)
class Settler:
    """Does what is left to do, a bit at each look. ``tags`` are put on the instances of a new cluster."""

    api: Api
    kind: Kind
    tags: Mapping[str, str]
    changed: bool = False  # once: what AWS then shows differently is compared, not changed again

    def settled(self, live: Answer, new: Answer) -> bool:
        """Whether the new one needs nothing more; else AWS was asked for something, and it is to be waited for."""
        if not complete(self.api, self.kind, live, new, self.tags):
            return False
        if self.changed:
            return True
        changes, name = rds_carry.changes(self.kind, live, new), str(new[self.kind.key])
        self.changed = True
        if changes:
            self.api.site.say(
                f"changing {', '.join(changes)} of {name} to what {live[self.kind.key]} has"
            )
            self.api(
                f"modify_{self.kind.noun}",
                **{self.kind.key: name},
                ApplyImmediately=True,
                **changes,
            )
            return False
        if rds_carry.needs_reboot(new):
            self.api.site.say(f"rebooting {name}: its parameters wait for that")
            self.api("reboot_db_instance", DBInstanceIdentifier=name)
            return False
        return True
