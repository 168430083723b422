"""DG8xx: who may see and do what, and what reaches outside of the database."""

import re

from deployguard.model import Risk
from deployguard.operations import AlterObject, ChangeAccess, Procedural, ReadRows, SetSetting
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context


@rule(
    "DG801",
    "access-change",
    (ChangeAccess, AlterObject, SetSetting),
    Risk.MEDIUM,
    effect="People or programs can see or do more, or less, than before. Owner, policy and row"
    " security take an ACCESS"
    " EXCLUSIVE lock on the table.",
    instead="Let somebody who knows the roles look at it, and keep it in a revision of its own.",
    bad=(
        "GRANT SELECT ON orders TO PUBLIC",
        "REVOKE ALL ON orders FROM bob",
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON orders USING (true)",
        "ALTER TABLE orders OWNER TO bob",
        "CREATE ROLE bob",
        "ALTER FUNCTION total(int) SECURITY DEFINER",
        "ALTER VIEW totals SET (security_invoker = false)",
        "SET ROLE admin",
    ),
    good=(
        "CREATE TABLE t (a int); GRANT SELECT ON t TO bob; ALTER TABLE t OWNER TO bob",
        "CREATE SEQUENCE numbers; GRANT USAGE ON SEQUENCE numbers TO bob",
        "RESET ROLE",
    ),
)
def access_change(op: ChangeAccess | AlterObject | SetSetting, ctx: Context) -> Answer:
    match op:
        case SetSetting(name, value):
            if name not in {"role", "session_authorization"} or value == "default":
                return None
            return Found(
                f"Goes on as {value}.",
                Risk.LOW,
                why="What is created from here on belongs to that role, and what it may not touch fails.",
            )
        case AlterObject("function" | "procedure" | "routine", name, action):
            defines = action.startswith("set ") and "security" in action
            return f"Changes with whose rights {name} runs." if defines else None
        case AlterObject("view", name, "set (options)") if not ctx.is_new_object(name):
            return f"Changes with whose rights, or how, the view {name} is read."
        case AlterObject():
            return None
        case ChangeAccess(what, name):
            return _access(what, name, ctx)


_IN_SCHEMA = re.compile(r"\bin\s+schema\s+\"?(?P<name>\w+)\"?\s+(?:grant|revoke)\b", re.IGNORECASE)
_VERBS = {"grant": "Grants access to", "revoke": "Revokes access to", "role": "Changes the role"}


def _access(what: str, names: str, ctx: Context) -> Answer:
    if names and all(
        ctx.is_made_here(name) or ctx.is_new_object(name) for name in names.split(", ")
    ):
        return None
    inside = _IN_SCHEMA.search(ctx.sql)
    if names == "default privileges" and inside and ctx.is_new_object(inside["name"]):
        return None
    return f"{_VERBS.get(what, f'Changes the {what} of')} {names or 'something'}."


# Functions and COPY forms that read or write files of the server, run programs there, or talk to other servers.
_OUTSIDE = re.compile(
    r"^(?:pg_catalog\.)?(?:dblink|pg_read_|pg_write_|pg_ls_|pg_stat_file|pg_file_|lo_import|lo_export|pg_logfile"
    r"|http_|aws_s3|aws_lambda|table_import_from_s3|query_export_to_s3)|(?:^|\.)(?:dblink|http_(?:get|post))",
)
_FILE = re.compile(r"^\s*copy\b.*\bto\s+'", re.IGNORECASE | re.DOTALL)


@rule(
    "DG802",
    "reaches-outside",
    (Procedural, ReadRows),
    Risk.HIGH,
    effect="It reads or writes files of the database server, runs a program there, or talks to"
    " another server: none of that is taken back when the transaction is, and none of it is in a"
    " backup.",
    instead="Do it in a program of its own, outside of the migration, where it can be repeated.",
    bad=(
        "COPY orders TO PROGRAM 'gzip > /tmp/orders.gz'",
        "COPY orders TO '/tmp/orders.csv'",
        "SELECT dblink_exec('host=other', 'DELETE FROM orders')",
        "SELECT lo_import('/etc/hosts')",
    ),
    good=("COPY orders TO STDOUT", "SELECT count(*) FROM orders"),
)
def reaches_outside(op: Procedural | ReadRows, ctx: Context) -> Answer:
    match op:
        case Procedural("copy program"):
            return "Runs a program on the database server."
        case Procedural("select function", name) if outside(name):
            return f"Calls {name}, which reaches outside of the database."
        case ReadRows() if _FILE.match(ctx.sql):
            return "Writes a file on the database server."
        case _:
            return None


def outside(name: str) -> bool:
    """Whether a function by this name leaves the database."""
    return _OUTSIDE.search(name) is not None


RULES = (access_change, reaches_outside)
