"""``rollback --to-ref``: another commit in the place of what runs, where its revisions and the database agree.

The choice is the one of every way back (``rollback.choose``), over a situation that is measured for the commit: what
the database has that the commit does not know must only add, or be taken back without loss, or a person decides.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import getpid
from shlex import quote
from typing import TYPE_CHECKING, Final

from deployguard.deploy import names, source
from deployguard.deploy.assess import upgrade_target
from deployguard.deploy.commits import Named
from deployguard.deploy.facts import PlannedRevision, planned, straight
from deployguard.deploy.lossless import lossless
from deployguard.deploy.rollback import AppPhase, Choice, Situation, WayBack
from deployguard.deploy.run import RollbackOptions, Run, mapping, text
from deployguard.deploy.situation import expand_only
from deployguard.deploy.step import Evidence
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, Refused, UsageError
from deployguard.model import Release
from deployguard.state import Deploy, Kind, Status
from deployguard.targets.base import NOT_RUNNING

if TYPE_CHECKING:
    from deployguard.revisions.graph import Graph

TAG: Final = "deployguard-emergency-{run}"  # of what runs when it is put away: in git, and in names of images
BUILT: Final = "deployguard-{run}"  # in the names of the images that are built for it
LOOKED: Final = "look"  # the checkout of a run that is only imagined


def asked(world: World, subject: Deploy, options: RollbackOptions) -> RollbackOptions:
    """The options with the commit that ``to_ref`` names now. Raises UsageError, EnvironmentUnreachable."""
    if not options.to_ref:
        return options
    if world.environment.target.kind == "none":
        raise UsageError(
            "There is no application that a commit could be put in the place of: [target] kind is none."
        )
    if subject.status is not Status.DONE:
        raise UsageError(
            f"Deploy {subject.id} is {subject.status}; --to-ref replaces what a finished deploy put in service.",
            next_commands=(
                f"deployguard show {subject.id}",
                f"deployguard rollback {subject.id} --plan",
            ),
        )
    # An emergency must not wait for somebody to tidy the working copy.
    named = source.commits(world).name(options.to_ref, strict=False)
    world.reporter.note(f"{named.ref} is commit {named.commit}.")
    return replace(options, to_commit=named.commit, to_inside=named.inside)


def flag(ref: str) -> str:
    """The option as it is typed, with the blank before it; "" for none."""
    return f" --to-ref {quote(ref)}" if ref else ""


def named(run: Run) -> Named | None:
    """The commit that the rollback leads to; None where it leads to what ran before."""
    given = run.deploy.options
    commit = text(given, "to_commit")
    return Named(text(given, "to_ref"), commit, text(given, "to_inside")) if commit else None


def wanted(run: Run) -> bool:
    return named(run) is not None


def _needed(run: Run) -> Named:
    found = named(run)
    if found is None:
        raise AssertionError("the step applies to rollbacks to a commit only")
    return found


def _place(run: Run) -> str:
    return run.id or f"{LOOKED}-{getpid()}"


def check_out(run: Run) -> Evidence:
    there = _needed(run)
    for sentence in source.commits(run.world).check_out(_place(run), there):
        run.world.reporter.note(sentence)
    return {"ref": there.ref, "commit": there.commit}


def missing(run: Run) -> bool:
    there = named(run)
    built = run.done(names.BUILD) is not None  # then it has served
    return (
        there is not None
        and not built
        and not source.commits(run.world).present(_place(run), there)
    )


@contextmanager
def looking(run: Run) -> Iterator[None]:
    """The checkout that the choice needs is there in the block, and removed after it."""
    if not wanted(run):
        yield
        return
    check_out(run)
    try:
        yield
    finally:
        source.forget(run.world, _place(run))


# --- what the choice rests on


def measured(run: Run, seen: Situation) -> Situation:
    """The situation of the way to the commit. Raises UsageError and Refused where its revisions fit no way."""
    there = named(run)
    if there is None or seen.running != () or seen.survivors != 0 or seen.now is None:
        return seen  # which is refused, or is another way
    theirs = source.commits(run.world).graph(_place(run), there)
    if theirs.partial:
        raise Refused(
            f"Which revisions {there.ref} has is not known: its env.py decides where they lie.",
            state="This command changed nothing.",
            next_commands=(f"deployguard rollback {run.subject.id} --plan",),
        )
    with run.world.database() as database:
        now = run.world.revisions(database)
        strange, goal = _strange(run, theirs, now, there)
        done = _planned_of(run.subject, strange)
        loses, why = (
            None,
            f"{there.ref} lies before deploy {run.subject.id}, of which alone that is known",
        )
        if done is not None:
            loses, why = lossless(database, done)
    return replace(
        seen,
        before=goal,
        planned=now,
        now=now,
        known=True,
        claimed=False,
        schema_changed=False if not strange else seen.schema_changed,
        partial="" if not strange else seen.partial,
        unseen=bool(strange) and seen.unseen,
        app=AppPhase.SERVED,
        stoppable=run.world.target.can_stop,
        expand_only=expand_only(_known(run, strange)),
        lossless=loses,
        lossless_why=why,
        straight=straight(goal, done or ()),
        writes=None,
        backup="",
        verified=False,
    )


def _strange(
    run: Run, theirs: "Graph", now: tuple[str, ...], there: Named
) -> tuple[frozenset[str], tuple[str, ...]]:
    """(what the database has and the commit does not know, where it would be without that)."""
    unknown = [name for name in now if name not in theirs.nodes]
    ours = theirs if not unknown else run.world.graph()
    nowhere = [name for name in now if name not in ours.nodes]
    if nowhere:
        raise Refused(
            f"The database is at {', '.join(nowhere)}, which neither {there.ref} knows nor the revisions of"
            f" deploy {run.subject.id}.",
            state="This command changed nothing.",
            next_commands=("git log --all -- '*versions*'", f"deployguard show {run.subject.id}"),
        )
    applied = ours.ancestors(now)
    strange = frozenset(applied - set(theirs.nodes))
    heads = theirs.targets(upgrade_target(run.world.environment.migrate.command))
    more = sorted(theirs.ancestors(heads) - applied)
    if more:
        raise UsageError(
            f"{there.ref} has revisions that the database does not have ({', '.join(more[:5])}): it is no way back.",
            next_commands=(f"deployguard deploy --ref {quote(there.ref)}",),
        )
    rest = applied - strange
    followed = {parent for name in rest for parent in ours.above(name)}
    return strange, tuple(sorted(rest - followed)) if strange else now


def _planned_of(run: Run, strange: frozenset[str]) -> tuple[PlannedRevision, ...] | None:
    """Those revisions as the deploy's plan has them, in order; None when it did not have all of them."""
    found = tuple(one for one in planned(run.of(names.PLAN)) if one.id in strange)
    return found if len(found) == len(strange) else None


def _known(run: Run, strange: frozenset[str]) -> tuple[PlannedRevision, ...] | None:
    """The same from the plans of all deploys that were."""
    known: dict[str, PlannedRevision] = {}
    for row in run.world.journal.history(run.deploy.environment, 1000):
        if row.kind is Kind.DEPLOY:
            one = Run(run.world, row)
            for revision in planned(one.of(names.PLAN)):
                known.setdefault(revision.id, revision)  # the newest word counts
    return tuple(known[name] for name in strange) if strange <= known.keys() else None


def said(run: Run, choice: Choice, seen: Situation) -> Choice:
    """The choice in words that are true of a commit; with nothing that is strange to it there was nothing to undo."""
    there = named(run)
    if there is None or choice.way is not WayBack.APP_BACK or seen.moved:
        return choice
    return replace(choice, reasons=(f"{there.ref} knows every revision that the database has",))


def refuse_other(run: Run, seen: Situation, to: str) -> None:
    """Raises UsageError when a downgrade would not lead to where the commit's revisions end."""
    there = named(run)
    goal = seen.before[0] if seen.before else "base"
    if there is not None and to != goal:
        raise UsageError(
            f"The revisions of {there.ref} end at {goal}, not at {to}.",
            next_commands=(f"deployguard rollback {run.subject.id}{flag(there.ref)} --to {goal}",),
        )


def ways_by_hand(run: Run, seen: Situation) -> tuple[str, ...]:
    """What a person may type where no way to the commit is safe by itself; () where the rollback is to none."""
    there = named(run)
    if there is None or seen.running != () or seen.survivors != 0:
        return ()
    back = f"deployguard rollback {run.subject.id}{flag(there.ref)}"
    to = (
        [f"{back} --to {seen.before[0]}   # may lose rows; says which, and asks"]
        if seen.moved and len(seen.before) == 1
        else []
    )
    return (f"{back} --plan", *to, f"deployguard rollback {run.subject.id} --plan")


# --- what is done


def keep(run: Run) -> Evidence:
    """Before anything is replaced: names for the images that run, and a tag on the commit that they are of."""
    tag, commits = TAG.format(run=run.id), source.commits(run.world)
    release = run.world.target.current()
    evidence: Evidence = {
        "images": dict(release.images),
        "references": dict(release.references),
        "kept": dict(commits.keep(tag)),
    }
    commit = _running(run, release.images)
    if not commit:
        run.world.reporter.note("Which commit runs is not known, so only its images are kept.")
        return evidence
    try:
        commits.tag(tag, commit)
    except DeployguardError as error:  # its images are kept, which is what a way back starts
        run.world.reporter.note(f"The commit that runs has no emergency tag: {error}")
        return evidence | {"commit": commit, "untagged": str(error)}
    return evidence | {"commit": commit, "tag": tag}


def _running(run: Run, images: Mapping[str, str]) -> str:
    """The commit that these images are known to be of: that of the newest run which put them in service; else ""."""
    for row in run.world.journal.history(run.deploy.environment, 1000):
        one = Run(run.world, row)
        commit, seen = text(row.options, "to_commit"), one.of(names.APP_BACK)
        if row.kind is Kind.DEPLOY:
            commit = text(row.options, "commit") or text(one.of(names.PREFLIGHT), source.HEAD)
            seen = one.of(names.UPDATE_APP)
        elif not commit:
            continue  # it put back what an older run says more of
        then = mapping(seen, "images")
        both = [
            s for s, now in images.items() if NOT_RUNNING not in (now, then.get(s, NOT_RUNNING))
        ]
        if both and all(images[service] == then[service] for service in both):
            return commit
    return ""


def build(run: Run) -> Evidence:
    """Build the commit by names that nothing uses: what runs, and what a downgrade runs in, stays as it is."""
    built = source.commits(run.world).build(run.id, _needed(run), BUILT.format(run=run.id))
    return {
        "images": {s: image for s, (image, _) in built.items()},
        "names": {s: n for s, (_, n) in built.items()},
    }


def release(run: Run) -> Release:
    """What is to be started: what was built, and what ran before where nothing is built."""
    before, built = run.of(names.EMERGENCY), run.of(names.BUILD)
    images = {**mapping(before, "images"), **mapping(built, "images")}
    return Release(
        {service: str(image) for service, image in images.items()},
        {service: str(name) for service, name in mapping(before, "references").items()},
    )
