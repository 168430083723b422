"""The steps from the first change on: migrate, look at the schema, update the application, health, data, commit."""

from collections.abc import Callable

from deployguard.deploy import limits, migration, names, slots, source
from deployguard.deploy.before import migrates
from deployguard.deploy.facts import applied, may_stay, planned
from deployguard.deploy.release import release_document, release_in
from deployguard.deploy.run import Run, listed, mapping, strings
from deployguard.deploy.step import Evidence, Probed, Unsettled
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Job
from deployguard.model import Health, HealthSample, Release, Vital


class StepFailed(DeployguardError):
    """A step after the point of first change failed. What production is in is decided by who catches this."""

    exit_code = 21


def pending(run: Run) -> bool:
    """Whether there is anything to migrate."""
    return migrates(run) and bool(run.of(names.PLAN).get("revisions"))


def has_target(run: Run) -> bool:
    return run.world.environment.target.kind != "none"


def checks_health(run: Run) -> bool:
    return run.options.health_check and run.world.environment.health.asks


def verifies_data(run: Run) -> bool:
    """The user's statements are asked after a migration, and whenever health is to be checked."""
    asked = run.options.health_check or pending(run)
    return asked and bool(run.world.environment.health.verify_sql)


def upgrade_job(run: Run) -> Job:
    settings = run.world.environment.migrate
    unlimited = 0 if run.of(names.PLAN).get("unlimited_up") is True else None
    longest = limits.statement_timeout(settings, run.of(names.PLAN))
    return Job(run.id, "upgrade", "head", settings.timeout, unlimited, statement_timeout=longest)


def migrate(run: Run) -> Evidence:
    """Run the project's own migration command; what counts is where the database is afterwards."""
    if run.of(names.PLAN).get("mixed_up") is True:
        run.world.reporter.note(
            "An index is built concurrently in one run with changes that lock tables, so lock_timeout stays: if "
            "it cuts the build off, an invalid index is left. Deployed by itself, the build may wait."
        )
    job = upgrade_job(run)
    ended = migration.drive(run, names.MIGRATE, job, lambda: _repeats(run))
    with run.world.database() as database:
        now = run.world.revisions(database)
    # None: it ended unseen; then only the version table can say whether it did what was planned.
    unseen = ended.code is None and set(now) == set(strings(run.of(names.PLAN), "heads"))
    if not ended.ok and not unseen:
        raise migration.failed(run, job, ended, now)
    return migration.evidence(run, names.MIGRATE, ended, now)


def _repeats(run: Run) -> str:
    """Why a second run of the command might do something twice; "" when only whole revisions went in."""
    revisions = planned(run.of(names.PLAN))
    with run.world.database() as database:
        now = run.world.revisions(database)
    done = applied(revisions, strings(run.of(names.ARM), "current"), now)
    return (
        "the revision is not on the planned way" if done is None else may_stay(revisions, done)[0]
    )


def probe_migrate(run: Run) -> Probed:
    before = frozenset(strings(run.of(names.ARM), "current"))
    goal = frozenset(strings(run.of(names.PLAN), "heads"))
    return migration.probe(run, names.MIGRATE, upgrade_job(run), before=before, goal=goal)


def schema_ok(run: Run) -> Evidence:
    """Exit code 0 is not success: the version table, the indexes and the server's sessions are."""
    goal = strings(run.of(names.PLAN), "heads")
    former = strings(run.of(names.ARM), "invalid")
    left = migration.end_sessions(run)
    with run.world.database() as database:
        slots.mind(run, database)
        now = run.world.revisions(database)
        invalid = [name for name in database.invalid_indexes() if name not in former]
    wrong = []
    if set(now) != set(goal):
        wrong.append(
            f"the database is at {', '.join(now) or 'no revision'} instead of {', '.join(goal)}"
        )
    if invalid:
        wrong.append(f"these indexes are invalid: {', '.join(invalid)}")
    if left:
        wrong.append(f"{left} server process(es) still work for the migration")
    if wrong:
        raise StepFailed(f"The migration said that it succeeded, but {'; '.join(wrong)}.")
    return {"revision": listed(now), "invalid": listed(invalid)}


def update_app(run: Run) -> Evidence:
    """Start the new version of the application.

    An update that was begun is always begun again, which changes nothing that runs as it should: "other images than
    before" may be half of the replicas, or a service that is down.
    """
    if moved := source.moved(run):
        raise StepFailed(
            f"What would be started is not what was built from the commit: {', '.join(moved)} was built or tagged"
            " anew meanwhile."
        )
    release = run.world.target.update(run.id, former_release(run))
    return release_document(release)


def former_release(run: Run) -> Release:
    """What the application ran when the deploy armed, and before that what it was then held still of."""
    armed, held = run.of(names.ARM), mapping(run.noted(names.QUIESCE), "release")
    return release_in(
        {kind: {**mapping(armed, kind), **mapping(held, kind)} for kind in (*armed, *held)}
    )


def bakes(run: Run) -> bool:
    return checks_health(run) and run.world.environment.health.bake > 0


def health(run: Run) -> Evidence:
    """Poll until the application is healthy or the deadline has come."""
    return _healthy(run, run.world.poll_health(_telling(run)))


def bake(run: Run) -> Evidence:
    """Go on asking: an application that was healthy once may not stay so."""
    return _healthy(run, run.world.bake(_telling(run)))


def _telling(run: Run) -> Callable[[HealthSample], None]:
    words = {True: "healthy", False: "not healthy", None: "unknown"}
    return lambda sample: run.world.reporter.progress(f"{words[sample.ok]}: {sample.detail}")


def _healthy(run: Run, found: Health) -> Evidence:
    if found.vital is Vital.INCONCLUSIVE:
        raise Unsettled(
            f"Whether the application is healthy is not known: {found.detail}.",
            state="The new version is in service; deployguard took nothing back, and keeps the way back open.",
            next_commands=(
                f"deployguard resume --env {run.deploy.environment}",  # asks again
                f"deployguard rollback {run.id}",
            ),
        )
    if not found.ok:
        raise StepFailed(f"The application is not healthy: {found.detail}")
    bad = sum(sample.ok is False for sample in found.samples)
    return {"detail": found.detail, "samples": len(found.samples), "bad": bad}


def verify_data(run: Run) -> Evidence:
    """Ask the user's own verification statements."""
    answers: Evidence = {}
    with run.world.database() as database:
        for statement in run.world.environment.health.verify_sql:
            ok, detail = database.check(statement)
            answers[statement] = detail
            if not ok:
                raise StepFailed(f"The verification statement {statement!r} failed: {detail}.")
    return answers
