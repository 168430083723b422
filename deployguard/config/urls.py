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
    return _named(environment, environment.backup.database_url_env, environ, "backups of")


def physical_url(environment: Environment, environ: Mapping[str, str]) -> DatabaseUrl | None:
    """The URL for base backups, where [physical] names a variable for it. Raises UsageError."""
    return _named(environment, environment.physical.database_url_env, environ, "backups of")


def state_url(environment: Environment, environ: Mapping[str, str]) -> DatabaseUrl | None:
    """The URL of the database with the journal, where [state] names a variable for it. Raises UsageError.

    Where it is named and not set, nothing else is taken instead: a journal elsewhere knows of no unfinished deploy.
    """
    variable = environment.state.url_env
    url = _named(environment, variable, environ, "the journal of")
    if url is not None and url.dialect != "postgresql":
        raise UsageError(
            f"The environment variable {variable} must hold the URL of a PostgreSQL database, not of"
            f" {url.dialect}. Without url_env in [state] the journal is a file in the state folder."
        )
    return url


def _named(
    environment: Environment, variable: str, environ: Mapping[str, str], what: str
) -> DatabaseUrl | None:
    if not variable:
        return None
    if not environ.get(variable):
        raise UsageError(
            f"The environment variable {variable}, which holds the URL for {what}"
            f" {environment.name!r}, is not set.",
            next_commands=(f"export {variable}=…",),
        )
    return parse_url(environ[variable], f"The environment variable {variable}")
