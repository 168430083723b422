"""What must be true right before something is changed: the lock is held, and what will run is what was planned."""

from collections.abc import Mapping
from itertools import takewhile

from deployguard.deploy import names
from deployguard.deploy.run import Run, mapping, strings, text
from deployguard.deploy.step import Evidence, PersonNeeded
from deployguard.errors import UsageError
from deployguard.model import Json, Plan
from deployguard.state import Kind

WHOLE = (
    "plan"  # instead of the files, where these alone do not tell: all that is pending, read anew
)
IMAGE = "image"  # its name among the files: the image that a migration runs in


def unlocked(run: Run) -> bool:
    """Whether this process has no lock in the database server (any more)."""
    return run.lock is None or not run.lock.held()


def lock_lost(run: Run) -> bool:
    """Whether the lock that this process took has been lost; another host may have it by now."""
    return run.lock is not None and not run.lock.held()


def locked(run: Run) -> None:
    """Past the first change: raises PersonNeeded when the lock was lost."""
    if lock_lost(run):
        raise PersonNeeded(
            "The lock in the database server was lost: its session was ended, or the server was replaced.",
            state="Another host may be at work on this database. This step changed nothing.",
            next_commands=_look(run),
        )


def would_run(run: Run, current: tuple[str, ...]) -> Evidence:
    """What a migration would run now: revision → digest of its file, and the image's id."""
    return {**run.world.would_run(current)}


def ready(run: Run, step: str) -> None:
    """Right before a migration is started, also by a resume: raises PersonNeeded when it isn't the planned one."""
    locked(run)
    if step == names.DOWNGRADE:
        known_image(run)
    if step != names.MIGRATE:
        return
    plan = run.of(names.PLAN)
    different = differences(mapping(plan, "would_run"), would_run(run, strings(plan, "current")))
    if different:
        raise PersonNeeded(
            f"What would run is not what was planned and approved: {'; '.join(different)}.",
            state="The migration was not started. What earlier steps did is in place.",
            next_commands=(
                *_look(run),
                f"deployguard resume --env {run.deploy.environment} --forward   # once the files are as planned",
            ),
        )


def strange_image(run: Run) -> str:
    """Why a downgrade may not know what it is to take back; "" where the image that it would run in does.

    The one that migrated does, and so does one that a deploy was planned in since: it knew where the database is.
    Whoever names the revision (``--to``) answers for it.
    """
    subject = run.subject
    migrated = _image(subject)
    if not migrated or run.rollback.to:
        return ""
    now = run.world.migrator.image()
    if now == migrated:
        return ""
    rows = run.world.journal.history(run.deploy.environment, 1000)
    since = takewhile(lambda row: row.id != subject.id, rows)
    if now in {_image(Run(run.world, row)) for row in since if row.kind is Kind.DEPLOY}:
        return ""
    other = f"in the image {now}, not in {migrated}, which migrated"
    return f"The downgrade would run {other}; it may not know the revisions."


def known_image(run: Run) -> None:
    """Before the application is stopped for a downgrade, and before that begins: raises PersonNeeded."""
    if why := strange_image(run):
        raise PersonNeeded(
            why,
            state="The downgrade was not started.",
            next_commands=(*_look(run), *lead_back(run)),
        )


def lead_back(run: Run) -> tuple[str, ...]:
    """What lets the migration's service run in the image that migrated again."""
    service = run.world.environment.migrate.service
    return (
        f"docker compose config --images {service}   # the NAME that it starts by",
        f"docker tag {_image(run.subject)} NAME",
    )


def _image(run: Run) -> str:
    """What the deploy was planned to migrate in; "" where that is no image."""
    return text(mapping(run.of(names.PLAN), "would_run"), IMAGE)


def _look(run: Run) -> tuple[str, ...]:
    return (f"deployguard show {run.id}", f"deployguard status --env {run.deploy.environment}")


_NAMES = {IMAGE: "the image of the migration", WHOLE: "the plan", "env.py": "env.py"}


def differences(planned: Mapping[str, Json], now: Mapping[str, Json]) -> tuple[str, ...]:
    """What differs between two answers of ``would_run``, as sentences; pure."""
    said = []
    for name in sorted({*planned, *now}):
        what = _NAMES.get(name, name if name.endswith(".py") else f"revision {name}")
        if name not in now:
            said.append(f"{what} is gone")
        elif name not in planned:
            said.append(f"{what} is new")
        elif planned[name] != now[name]:
            said.append(f"{what} has changed")
    return tuple(said)


def refuse_elsewhere(run: Run, plan: Plan) -> None:
    """Refuse a plan whose env.py migrates another database than the one that was asked. Raises UsageError."""
    if not plan.elsewhere or run.done(names.ARM) is not None:
        return  # past the point of first change nothing is refused any more
    variable = run.world.environment.database.url_env
    take = (
        f"Let env.py take the URL from {variable}"
        if variable
        else "Name the variable that env.py takes the URL from in database_url_env"
    )
    raise UsageError(
        f"{plan.elsewhere} What was checked and backed up is not what would be migrated.\n{take}. Where env.py puts"
        " the address together from other variables, name them in pass_environment of [read].",
        next_commands=(
            f"$EDITOR {run.world.config_path}",
            f"deployguard check --env {plan.environment}",
        ),
    )
