"""May this environment's role put a backup in the place of the live database? Asked before anything is stopped."""

from typing import Final

from deployguard.backups.base import UNTOUCHED, Site
from deployguard.errors import DeployguardError, UsageError

# A restore makes a database like the live one, which belongs to the live one's owner, and renames both.
_QUERY: Final = """
    SELECT current_user,
           (SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user),
           pg_get_userbyid(datdba),
           pg_has_role(current_user, datdba, 'MEMBER')
    FROM pg_database WHERE datname = current_database()
"""


def missing(site: Site) -> tuple[str, tuple[str, ...]] | None:
    """Why a restore would be refused by the server, and what to type; None when it would not, or nobody can tell."""
    if site.url.dialect != "postgresql" or site.config.store == "rds":
        return None
    from deployguard.database.postgresql import PostgresDatabase

    try:
        with PostgresDatabase(site.url, address=site.address) as database:
            [(role, creates, owner, member)] = database.session.rows(_QUERY)
    except DeployguardError:
        return None  # the restore itself meets what is wrong, and says so
    if not creates:
        why = f"The role {role} may not create databases, and a restore makes a new one"
        return why, (f"psql -c 'ALTER ROLE \"{role}\" CREATEDB'   # as a superuser",)
    if not member:
        why = f"The role {role} is not a member of {owner}, who owns the database; a restore renames it"
        return why, (f'psql -c \'GRANT "{owner}" TO "{role}"\'   # as a superuser',)
    return None


def check(site: Site) -> None:
    """Raises UsageError when the server would refuse a restore."""
    found = missing(site)
    if found is not None:
        raise UsageError(f"{found[0]}.", state=UNTOUCHED, next_commands=found[1])
