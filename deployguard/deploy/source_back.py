"""The checkout of a deploy's commit on its way back: only where the way goes by its revisions."""

from collections.abc import Iterator
from contextlib import contextmanager

from deployguard.deploy import decision, source
from deployguard.deploy.run import Run
from deployguard.deploy.world import World


def decides_by(run: Run) -> bool:
    """Whether the way is chosen by the revisions of a commit that the deploy was of."""
    by_revisions = bool(run.rollback.to or run.rollback.to_ref)
    return by_revisions and source.named(run.subject.deploy.options) is not None


def downgrades_by(run: Run) -> bool:
    """Whether a downgrade runs from that commit's files; in a container it runs from the image."""
    local = run.world.environment.migrate.runner == "local"
    of_commit = source.named(run.subject.deploy.options) is not None
    return local and of_commit and decision.downgrades(run)


def missing(run: Run) -> bool:
    """Whether the checkout is not there (any more)."""
    wanted = source.named(run.subject.deploy.options)
    return wanted is not None and not source.commits(run.world).present(run.subject.id, wanted)


@contextmanager
def looking(world: World, run: Run) -> Iterator[None]:
    """What ``decides_by`` needs is there in the block, and removed after it unless an unfinished run needs it."""
    if not decides_by(run):
        yield
        return
    made = missing(run)
    if made:
        source.check_out(run)
    try:
        yield
    finally:
        if made:
            source.forget(world, run.subject.id)
