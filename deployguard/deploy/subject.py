"""Which deploy a rollback is about, and when that deploy may not be taken back, or sent forward, any more."""

from itertools import takewhile

from deployguard.deploy import decision, names, words
from deployguard.deploy.run import RollbackOptions, Run, text
from deployguard.deploy.world import World
from deployguard.errors import UsageError
from deployguard.state import Deploy, Kind, Status

_BACK = (names.STOP_APP, names.DOWNGRADE, names.RESTORE, names.APP_BACK)


def refuse_forward(run: Run) -> None:
    """A way back that has begun to change something is gone to its end: half of it is no ground to go forward on."""
    begun = [step for step in _BACK if run.begun(step)]
    if run.deploy.kind is not Kind.DEPLOY or not begun:
        return
    raise UsageError(
        f"Deploy {run.id} is on its way back already ({', '.join(begun)}); it cannot go forward any more.",
        state=f"This command changed nothing. {words.last_step(run)}",
        next_commands=(
            f"deployguard resume --env {run.deploy.environment}",
            f"deployguard show {run.id}",
        ),
    )


def refuse_later(world: World, subject: Deploy, options: RollbackOptions) -> None:
    """What came after the subject must be taken back first, and what is unfinished must be finished."""
    rows = world.journal.history(world.environment.name, 1000)
    for row in takewhile(lambda row: row.id != subject.id, rows):
        own_try = row.kind is Kind.ROLLBACK and text(row.options, "deploy") == subject.id
        if row.unfinished and not own_try:
            raise words.unfinished(row)
        chosen = options.restore or bool(options.to)  # a person has said where it goes
        if row.kind is Kind.DEPLOY and row.status is Status.DONE and not chosen:
            raise UsageError(
                f"Deploy {row.id} came after {subject.id} and is in service: take that one back first.",
                next_commands=(f"deployguard rollback {row.id}",),
            )


def refuse_again(former: Run, options: RollbackOptions) -> None:
    """Data goes back once; after only the application went back, a person may still order the rest."""
    subject = former.deploy
    if subject.status is not Status.ROLLED_BACK:
        return
    rows = former.world.journal.history(subject.environment, 1000)
    tries = [Run(former.world, row) for row in rows if text(row.options, "deploy") == subject.id]
    ways = [
        decision.way(run) for run in (former, *tries) if run.done(names.SCHEMA_BACK) is not None
    ]
    if ways or not (options.to or options.restore):
        raise UsageError(
            f"Deploy {subject.id} was taken back already: {subject.summary}.",
            next_commands=(f"deployguard show {subject.id}",),
        )


def find(world: World, wanted: str) -> Deploy:
    """The deploy that a rollback is about."""
    name = world.environment.name
    if wanted:
        found = world.journal.find(wanted)
        if found.environment != name:
            raise UsageError(f"Deploy {found.id} was made in {found.environment!r}, not {name!r}.")
        if found.kind is not Kind.DEPLOY:
            raise UsageError(
                f"{found.id} is a {found.kind}; name the deploy to take back.",
                next_commands=(f"deployguard history --env {name}",),
            )
        return found
    rows = [row for row in world.journal.history(name, 1000) if row.kind is Kind.DEPLOY]
    for row in rows:
        if row.unfinished or row.status is Status.DONE:
            return row
    raise UsageError(
        f"No deploy in {name!r} can be taken back.",
        next_commands=(f"deployguard history --env {name}",),
    )
