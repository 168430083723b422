"""The commands that migrate a project, by what its files show."""

from pathlib import PurePosixPath

from deployguard.config.discover import ProjectFacts


def commands(facts: ProjectFacts) -> dict[str, object]:
    """How this project is migrated, where `alembic upgrade head` would not find it."""
    if facts.flask:
        folder = PurePosixPath(facts.alembic_ini).parent.as_posix()
        where = () if folder == "migrations" else ("-d", folder)
        begin: tuple[str, ...] = ("flask", "db")
        up, down = ("upgrade", *where), ("downgrade", *where)
    else:
        begin = ("alembic",)
        # In the service's image the folder of the ini is where the command runs.
        ini = PurePosixPath(facts.alembic_ini)
        path = ini.name if facts.migration_service else ini.as_posix()
        if path not in ("alembic.ini", "pyproject.toml"):
            begin += ("-c", path)
        if facts.section != "alembic":
            begin += ("-n", facts.section)
        up, down = ("upgrade", "head"), ("downgrade",)
    if begin == ("alembic",):
        return {}
    return {"command": (*begin, *up), "downgrade_command": (*begin, *down, "{revision}")}
