"""The URLs of an environment: its database's, and those that backups are read from."""

from collections.abc import Mapping

from deployguard.config.schema import Environment
from deployguard.config.url import DatabaseUrl, parse_url
from deployguard.errors import UsageError


def resolve_url(environment: Environment, environ: Mapping[str, str]) -> DatabaseUrl:
    """The database URL of an environment: the variable's, where it is set, else the file's.

    Raises UsageError when neither is there, or when it is no URL.
    """
    url, variable = environment.database.url, environment.database.url_env
    if url and not environ.get(variable):
        return parse_url(url, f"[environments.{environment.name}] database_url")
    if not environ.get(variable):
        raise UsageError(
            f"The environment variable {variable}, which holds the database URL of "
            f"{environment.name!r}, is not set.",
            next_commands=(f"export {variable}=…",),
        )
    return parse_url(environ[variable], f"The environment variable {variable}")


def backup_url(environment: Environment, environ: Mapping[str, str]) -> DatabaseUrl | None:
    """The URL that backups are read from, where [backup] names a variable for it. Raises UsageError."""
    return _named(environment, environment.backup.database_url_env, environ)


def physical_url(environment: Environment, environ: Mapping[str, str]) -> DatabaseUrl | None:
    """The URL for base backups, where [physical] names a variable for it. Raises UsageError."""
    return _named(environment, environment.physical.database_url_env, environ)


def _named(
    environment: Environment, variable: str, environ: Mapping[str, str]
) -> DatabaseUrl | None:
    if not variable:
        return None
    if not environ.get(variable):
        raise UsageError(
            f"The environment variable {variable}, which holds the URL for backups of"
            f" {environment.name!r}, is not set.",
            next_commands=(f"export {variable}=…",),
        )
    return parse_url(environ[variable], f"The environment variable {variable}")
