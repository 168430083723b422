"""The steps of a run that works with another commit than the working copy's: check it out, build it, tag it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from deployguard.deploy import names, slots
from deployguard.deploy.commits import Commits, Named
from deployguard.deploy.run import DeployOptions, Run, mapping, text
from deployguard.deploy.step import Evidence
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, UsageError
from deployguard.model import Json
from deployguard.state import Deploy, StateError

HEAD: Final = "built_from"  # the commit of a clean working copy that images were built from
_NAMED: Final = "named"  # noted before a build: name → id of the image that it led to, "" for none


def asked(world: World, options: DeployOptions) -> DeployOptions:
    """The options with the commit that ``ref`` names now, for good. Raises as ``Commits.name``."""
    if not options.ref:
        return options
    named = commits(world).name(options.ref, strict=True)
    world.reporter.note(f"{named.ref} is commit {named.commit}.")
    return replace(options, commit=named.commit, inside=named.inside)


def commits(world: World) -> Commits:
    if world.commits is None:
        raise UsageError("This project's commits cannot be built here.")
    return world.commits


def named(options: Mapping[str, Json]) -> Named | None:
    """The commit that a deploy was asked for; None is the working copy."""
    commit = text(options, "commit")
    return Named(text(options, "ref"), commit, text(options, "inside")) if commit else None


def of_commit(run: Run) -> bool:
    """Whether the deploy is of a commit that must be checked out."""
    return named(run.deploy.options) is not None


def check_out(run: Run) -> Evidence:
    """A checkout of its own, below the state folder; the working copy stays as it is."""
    wanted = named(run.subject.deploy.options)
    if wanted is None:
        raise AssertionError("the step applies to deploys of a commit only")
    for sentence in commits(run.world).check_out(run.subject.id, wanted):
        run.world.reporter.note(sentence)
    return {"ref": wanted.ref, "commit": wanted.commit}


def gone(run: Run) -> bool:
    """Whether the checkout is needed and not there (any more).

    Once the migration ran, going forward needs none; nothing that is changed already may depend on git.
    """
    wanted = named(run.subject.deploy.options)
    if wanted is None or run.done(names.MIGRATE) is not None:
        return False
    return not commits(run.world).present(run.subject.id, wanted)


def working_copy(run: Run) -> Evidence:
    """The commit that the working copy is at while it is deployed, as far as that can be known."""
    try:
        head = run.world.commits.head() if run.world.commits else None
    except (DeployguardError, OSError):
        head = None
    return {"working_copy": head} if head else {}


def build(run: Run) -> Evidence:
    """Build the images of the deploy's commit; where it is of the working copy, say of which commit that is.

    The build moves the names that compose starts; where they led is noted first, once, for ``unbuild``.
    """
    wanted = named(run.deploy.options)
    if wanted is None:
        return _built_from(run)
    if _NAMED not in run.noted(names.PREFLIGHT):
        here = commits(run.world).images()
        before: dict[str, Json] = {name: image for image, name in here.values()}
        run.note(names.PREFLIGHT, **{_NAMED: before})
    built = commits(run.world).build(run.id, wanted)
    return {"built": {service: image for service, (image, _) in built.items()}}


def _built_from(run: Run) -> Evidence:
    """The commit that the working copy's images are about to be built of; {} where they may be of none."""
    here = run.world.commits
    if here is None or run.world.environment.target.prepare != "build":
        return {}
    try:
        head = here.head() if here.clean() else None
    except (DeployguardError, OSError):
        head = None
    return {HEAD: head} if head else {}


def moved(run: Run) -> tuple[str, ...]:
    """The names that somebody led elsewhere since the build, of what is to be started; () for a working copy."""
    built = mapping(run.of(names.PREFLIGHT), "built")
    if not built:
        return ()
    settings = run.world.environment
    here = commits(run.world).images()
    over = {settings.migrate.service} - set(settings.target.services)  # its work is done by now
    found = [here.get(service, ("", service)) for service in built if service not in over]
    wanted = [image for service, image in built.items() if service not in over]
    pairs = zip(found, wanted, strict=True)
    return tuple(sorted({name for (now, name), image in pairs if now != image}))


def unbuild(run: Run) -> None:
    """Nothing was deployed: the names lead to what they led to before, whatever was built."""
    if before := _named_before(run):
        commits(run.world).lead(before)


def taken_back(run: Run) -> None:
    """The deploy was taken back: its slot goes, and no name leads to what was built for it. What fails is told."""
    slots.drop(run, "the deploy was taken back")
    before, built = _named_before(run), mapping(run.of(names.PREFLIGHT), "built")
    if not before or not built:
        return
    try:
        commits(run.world).lead(before, {str(image) for image in built.values()})
    except (DeployguardError, OSError) as error:
        run.world.reporter.note(f"Names of images still lead to what was taken back: {error}")


def _named_before(run: Run) -> dict[str, str]:
    noted = mapping(run.noted(names.PREFLIGHT), _NAMED)
    return {name: str(image) for name, image in noted.items()}


def sweep(world: World) -> None:
    """Remove the checkouts that no unfinished run needs; also what a crash has left."""
    if world.commits is None:
        return
    with suppress(StateError):  # it must hide no error of the run; a later one sweeps
        rows = world.journal.history(world.environment.name, 1000)
        used = any(text(row.options, "commit") or text(row.options, "to_commit") for row in rows)
        world.commits.sweep(_needed(rows), used=used)


def forget(world: World, name: str) -> None:
    """Remove one checkout unless an unfinished run needs it. Without the lock nothing else may be swept."""
    with suppress(StateError):
        if name not in _needed(world.journal.history(world.environment.name, 1000)):
            commits(world).remove(name)


def _needed(rows: Sequence[Deploy]) -> frozenset[str]:
    unfinished = [row for row in rows if row.unfinished]
    return frozenset(name for row in unfinished for name in (row.id, text(row.options, "deploy")))
