"""Bring a snapshot back: a new instance or cluster beside the live one, checked, then switched by two renames.

The live one is never deleted, only renamed. Every step is told from what AWS has (``rds_roles``), so that a call that
was killed at any moment is finished by calling again.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from deployguard.backups import rds_carry, rds_snapshots, sealed
from deployguard.backups.base import UNTOUCHED, Say, WrittenMeanwhile
from deployguard.backups.rds_api import Answer, AwsError, AwsUnreachable
from deployguard.backups.rds_check import check_rows
from deployguard.backups.rds_evidence import let_in, look_beside, read_revision, shut_out
from deployguard.backups.rds_roles import Role, Step, Stuck, following, mark, new_name
from deployguard.backups.rds_settle import Settler
from deployguard.backups.rds_source import CLUSTER, PREFIX, check_name, endpoint, tags_of
from deployguard.backups.rds_wait import GaveUp, Patience, Seen, Stopwatch, Wait, judge, progress
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.model import BackupRecord, Json, Restored

if TYPE_CHECKING:
    from deployguard.backups.rds import RdsBackups

# What AWS says when a step was done already, or something still goes on: looked at again.
_AGAIN: Final = ("AlreadyExists", "InvalidDBInstanceState", "InvalidDBClusterState", "NotFound")
REMEMBERED: Final = 300.0  # seconds that the former one may still answer under the live name
_RENAMES: Final = (Step.CHECK, Step.TAKE_OVER)


@dataclass(slots=True)
class Switch:
    """One restore: what has the live name is kept under ``kept``, and what the backup makes gets the live name."""

    store: "RdsBackups"
    record: BackupRecord
    kept: str
    say: Say
    still: Json
    this: str = field(init=False)
    new: str = field(init=False)
    half: bool = field(default=False, init=False)  # the live name is given up, or about to be
    settler: Settler = field(init=False)
    _shut: bool = field(default=False, init=False)
    _took_over: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        check_name(self.kept)
        self.this = mark(self.record.id, self.kept)
        self.new = new_name(self.store.name, self.this)
        self.settler = Settler(self.store.api, self.store.kind, {"restore": self.this})

    def found(self) -> dict[str, Answer | None]:
        """What AWS has under the three names."""
        kind, api = self.store.kind, self.store.api
        return {name: kind.describe(api, name) for name in (self.store.name, self.new, self.kept)}

    def role(self, found: Answer | None) -> Role | None:
        if found is None:
            return None
        return Role(str(found.get(self.store.kind.state, "")), tags_of(found))

    def done(self) -> bool:
        live = self.role(self.store.kind.describe(self.store.api, self.store.name))
        return live is not None and live.made_by(self.this)

    def run(self) -> None:
        """Do what is left to be done. Raises BackupFailed, UsageError or WrittenMeanwhile."""
        rds = self.store.site.rds
        patience = Patience(rds.timeout, rds.poll, ())
        watch, moved, before = Stopwatch(self.store.site.sleep), 0.0, ""
        while True:
            found = self.found()
            live, new, kept = map(self.role, found.values())
            self.half = kept is not None or live is None
            step = following(live, new, kept, self.this)
            if isinstance(step, Stuck):
                raise UsageError(
                    f"{self.store.name}, {self.new} and {self.kept} are not as this restore leaves them: {step.why}.",
                    state=self.state,
                )
            if step is Step.DONE:
                return
            seen = _busiest(live, new, kept)
            if (now := f"{step} {seen}") != before:
                before, moved = now, watch.seconds
                self.say(f"{step.value}: {progress(seen)}")
            verdict = judge(seen, watch.seconds, watch.seconds - moved, patience)
            if isinstance(verdict, GaveUp):
                raise self.failed(f"The restore came to a stop: {verdict.why}.")
            self._do(step, found)
            watch.pause(verdict.seconds if isinstance(verdict, Wait) else rds.poll)

    def _do(self, step: Step, found: Mapping[str, Answer | None]) -> None:
        try:
            if step is Step.RESTORE:
                self._make(_there(found[self.store.name]))
            elif step is Step.CHECK:
                self._check(_there(found[self.store.name]), _there(found[self.new]))
            elif step is Step.TAKE_OVER:
                self._took_over = True
                self._rename(self.new, self.store.name)
        except AwsError as error:
            passes = isinstance(error, AwsUnreachable) and step in _RENAMES
            if not passes and not error.code.endswith(_AGAIN):
                raise
            self.say(f"{error.message} Looking again.")

    def _make(self, live: Answer) -> None:
        self.say(f"looking at backup {self.record.id} again")
        seen = self.store.verify(self.record)
        if not seen.ok:
            raise self.failed(
                f"Backup {self.record.id} does not count any more and cannot be restored: {seen.evidence[0]}."
            )
        for sentence in losing(live):
            self.say(f"Note: {sentence}.")
        kind, api = self.store.kind, self.store.api
        arguments = rds_carry.restoring(
            kind, live, {"restore": self.this, "id-restored": self.record.id}
        )
        snapshot = self.record.tools["snapshot"]
        self.say(f"restoring the snapshot {snapshot} to the new {kind.word} {self.new}")
        if kind is CLUSTER:
            one = rds_snapshots.find(api, kind, snapshot)
            engine = one.engine if one else ""
            arguments |= {"SnapshotIdentifier": snapshot, "Engine": engine}
        else:
            arguments["DBSnapshotIdentifier"] = snapshot
        call = (
            "restore_db_cluster_from_snapshot"
            if kind is CLUSTER
            else "restore_db_instance_from_db_snapshot"
        )
        api(call, **{kind.key: self.new}, **arguments)

    def _check(self, live: Answer, new: Answer) -> None:
        """Nothing is renamed before the new one is as the live one, and has in it what was backed up."""
        kind = self.store.kind
        if not self.settler.settled(live, new):
            return
        if different := rds_carry.differences(kind, live, new):
            raise self.failed(
                f"The new {kind.word} {self.new} is not like {self.store.name}: {'; '.join(different)}."
            )
        taken = sealed.read_json(self.store.site.folder / self.record.folder / sealed.EVIDENCE)
        said = check_rows(self.record, taken, look_beside(self.store.site, *endpoint(kind, new)))
        if said.problem:
            raise self.failed(
                f"The new {kind.word} {self.new} was not taken into service: {said.problem}."
            )
        self.say(said.evidence)
        self._give_up_name(live)

    def _give_up_name(self, live: Answer) -> None:
        kind, api = self.store.kind, self.store.api
        api(
            "add_tags_to_resource",
            ResourceName=live[f"{kind.upper}Arn"],
            Tags=[{"Key": f"{PREFIX}replaced-by", "Value": self.this}],
        )
        if self.still is not None:
            rows = shut_out(self.store.site, self.still)
            if rows != 0:
                raise WrittenMeanwhile(rows)
            self._shut = True
        self._rename(self.store.name, self.kept)

    def wait_for_name(self) -> None:
        """After the renames, until the live name leads to the new one: names are remembered for a while."""
        watch, site = Stopwatch(self.store.site.sleep), self.store.site
        while self._took_over and watch.seconds < REMEMBERED:
            if read_revision(site) == self.record.revision:
                return
            self.say(f"waiting until {site.url.host} leads to the restored {self.store.kind.word}")
            watch.pause(site.rds.poll)

    def let_in(self) -> None:
        """After a failure: if the live one is still in service, applications are let in again."""
        kind, api = self.store.kind, self.store.api
        if not self._shut:
            return
        with api.hurried(), suppress(EnvironmentUnreachable):
            live = self.role(kind.describe(api, self.store.name))
            if live is not None and live.status == "available" and not live.made_by(self.this):
                let_in(self.store.site)
                self._shut = False

    def _rename(self, name: str, to: str) -> None:
        kind = self.store.kind
        self.say(f"renaming the {kind.word} {name} to {to}")
        arguments: dict[str, Any] = {kind.key: name, f"New{kind.key}": to, "ApplyImmediately": True}
        with (
            self.store.api.hurried()
        ):  # whether it was done shows when we look, not when we ask again
            self.store.api(f"modify_{kind.noun}", **arguments)

    @property
    def state(self) -> str:
        if not self.half:
            return UNTOUCHED
        return (
            f"The former {self.store.kind.word} is kept as {self.kept}, and {self.new} has not the name"
            f" {self.store.name} yet: nothing answers there. The same command again goes on from here."
        )

    def failed(self, message: str) -> BackupFailed:
        kind = self.store.kind.noun.replace("_", "-")
        look = f"aws rds describe-{kind}s --{kind}-identifier {self.new} --region {self.store.api.region}"
        return BackupFailed(message, state=self.state, next_commands=(look,))


def restore(
    store: "RdsBackups", record: BackupRecord, kept_as: str, say: Say, still: Json
) -> Restored:
    """Finish the restore, wherever it stands."""
    began = time.monotonic()
    taken = sealed.read_json(store.site.folder / record.folder / sealed.EVIDENCE)
    if not taken.get("read"):
        raise UsageError(
            f"The database could not be read when {record.id} was taken, so nothing tells whether a restored one is"
            " right. Restore the snapshot by hand.",
            state=UNTOUCHED,
            next_commands=("aws rds restore-db-instance-from-db-snapshot help",),
        )
    switch = Switch(store, record, kept_as, say, still)
    try:
        try:
            switch.run()
        except BaseException:
            switch.let_in()
            raise
    except EnvironmentUnreachable as error:
        raise switch.failed(error.message) from None
    switch.wait_for_name()
    counts = look_beside(store.site).counts
    return Restored(store.name, kept_as, counts, time.monotonic() - began)


def restored(store: "RdsBackups", record: BackupRecord, kept_as: str) -> bool:
    """Whether this restore has been done."""
    return Switch(store, record, kept_as, store.site.say, None).done()


def losing(live: Answer) -> tuple[str, ...]:
    """What hangs on the live one and will not hang on the new one; sentences."""
    said = []
    replicas = (
        live.get("ReadReplicaDBInstanceIdentifiers") or live.get("ReadReplicaIdentifiers") or ()
    )
    if replicas:
        said.append(
            f"the read replicas {', '.join(replicas)} stay with the former one; make new ones"
        )
    if live.get("MasterUserSecret"):
        said.append(
            "AWS manages the master password: the new one has that of the snapshot; turn it on again"
        )
    return tuple(said)


def _busiest(*roles: Role | None) -> Seen:
    """The status that is waited for: that of the first which is not available."""
    there = [role.status for role in roles if role is not None]
    return Seen(next((status for status in there if status != "available"), "available"))


def _there(found: Answer | None) -> Answer:
    if found is None:
        raise AssertionError("the step is only taken when it is there")
    return found
