"""The copy off-site: before the first change, and in nobody's way unless the configuration requires it."""

from deployguard.deploy import names
from deployguard.deploy.run import Run, text
from deployguard.deploy.step import Evidence, Probed, Repeat, Settled
from deployguard.deploy.world import World
from deployguard.errors import BackupFailed, DeployguardError
from deployguard.model import BackupRecord, OffsiteCopy
from deployguard.notify import Message


class NotCopied(BackupFailed):
    """A copy that the configuration requires could not be made."""


_HERE = "The backup is here, sealed and read back; only its copy is missing. Nothing was migrated."
_STILL = (
    "The backup is here, sealed and read back; only its copy is missing. That changes nothing else."
)


def ready(world: World) -> None:
    """Look that a backup can be taken, opened again, and copied where it must be. Raises what keeps it from that."""
    world.openable(None)
    if (found := world.unrestorable()) is not None:
        why, commands = found
        world.reporter.note(
            f"{why}: should this deploy need one, a person must do it. {commands[0]}"
        )
    world.backups.preflight()
    if world.offsite is not None and world.environment.offsite.required:
        world.offsite().preflight()


def copy(world: World, record: BackupRecord) -> tuple[OffsiteCopy | None, str]:
    """Copy a backup to the configured place: the copy, or why there is none.

    Raises BackupFailed when there must be one.
    """
    from deployguard.backups.offsite_base import has_data

    if world.offsite is None:
        return None, "no place is configured"
    if not has_data(record):
        return None, f"its data lie elsewhere ({record.store})"
    try:
        return world.offsite().put(record), ""
    except Exception as error:
        # Whatever a store's library raises: the data are safe here, and that is what the outcome goes by.
        why = _said(world, error)
        if world.environment.offsite.required:
            raise NotCopied(
                f"The backup {record.id} could not be copied off-site, which [offsite] requires: {why}.",
                state=_HERE,
                next_commands=(f"deployguard backup copy {record.id} --env {record.environment}",),
            ) from error
        said = f"The backup {record.id} was not copied off-site: {why}."
        world.reporter.note(said)
        title = f"{world.project.name} {world.environment.name}: off-site copy failed"
        again = (f"deployguard backup copy {record.id} --env {record.environment}",)
        world.notifier.tell(
            Message("offsite-failed", title, said, _STILL, again, deploy=record.deploy or "")
        )
        return None, why


def copies(run: Run) -> bool:
    """Whether this deploy took a backup, and a place for copies is configured."""
    return run.world.offsite is not None and bool(_backup(run))


def copy_backup(run: Run) -> Evidence:
    """Copy the backup that was just read back."""
    name = _backup(run)
    record = run.world.find_backup("pre-deploy", run.id)
    if record is None or record.id != name:
        raise BackupFailed(f"The backup {name} that was just read back is not there any more.")
    made, why = copy(run.world, record)
    if made is None:
        return {"id": name, "ok": False, "skipped": why}
    return _evidence(name, made)


def another(run: Run) -> bool:
    """Whether a resume before the first change must copy again: another backup, or the last try failed."""
    done = run.done(names.OFFSITE)
    if done is None or run.done(names.ARM) is not None:
        return False
    return text(done, "id") != _backup(run) or done.get("ok") is not True


def probe_copy(run: Run) -> Probed:
    """A copy is there when its manifest is: that is sent last."""
    record = run.world.find_backup("pre-deploy", run.id)
    if record is None or run.world.offsite is None:
        return Repeat("there is no backup to copy")
    try:
        made = run.world.offsite().find(record)
    except (DeployguardError, OSError) as error:
        return Repeat(f"the place did not say: {_said(run.world, error)}")
    if made is None:
        return Repeat("there is no complete copy")
    return Settled(_evidence(record.id, made))


def _backup(run: Run) -> str:
    return text(run.of(names.BACKUP), "id")


def _said(world: World, error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return world.redact(lines[0]).rstrip(".")


def _evidence(name: str, made: OffsiteCopy) -> Evidence:
    held = made.held_until.isoformat() if made.held_until else ""
    return {"id": name, "ok": True, "url": made.url, "manifest": made.manifest, "held_until": held}
