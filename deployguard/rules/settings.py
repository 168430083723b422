"""DG508 to DG511: settings that take a protection away, or that do nothing."""

from typing import get_args

from deployguard.model import Risk
from deployguard.operations import Operation, SetSetting
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.known import seconds
from deployguard.rules.locks import locks

_LONG = 60.0  # seconds that statements may pile up behind one that waits


@rule(
    "DG508",
    "waits-without-limit",
    get_args(Operation),
    Risk.MEDIUM,
    effect="A statement that waits for its lock makes everybody who comes later wait behind it, reads"
    " too. A short lock_timeout ends that; here the revision has taken it away.",
    instead="Leave lock_timeout alone: deployguard sets a short one and tries again. A migration that"
    " runs without deployguard sets it to a few seconds.",
    bad=(
        "SET lock_timeout = 0; ALTER TABLE orders ADD COLUMN due date",
        "SET LOCAL lock_timeout = '10min'; ALTER TABLE orders ADD COLUMN due date",
    ),
    good=(
        "SET lock_timeout = '5s'; ALTER TABLE orders ADD COLUMN due date",
        "-- autocommit\nSET lock_timeout = 0\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
        "SET lock_timeout = 0; CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int",
        ("SET LOCAL lock_timeout = 0\n-- own transaction\nALTER TABLE orders ADD COLUMN due date"),
    ),
)
def waits_without_limit(op: Operation, ctx: Context) -> Answer:
    value = ctx.known.setting("lock_timeout") if ctx.postgresql else None
    limit = seconds(value) if value is not None else None
    if limit is None or 0 < limit <= _LONG:
        return None
    strong = [one for one in locks(op, ctx) if one.blocks in {"writes", "reads and writes"}]
    if not strong:
        return None
    return f"Waits for {strong[0].relation} with lock_timeout = {value}."


@rule(
    "DG509",
    "set-local-does-nothing",
    SetSetting,
    Risk.LOW,
    effect="SET LOCAL lasts to the end of a transaction; there is none here, so PostgreSQL warns and"
    " sets nothing.",
    instead="SET {name} = …, and RESET {name} afterwards",
    bad=("-- autocommit\nSET LOCAL lock_timeout = '5s'",),
    good=("SET LOCAL lock_timeout = '5s'", "-- autocommit\nSET lock_timeout = '5s'"),
)
def set_local_does_nothing(op: SetSetting, ctx: Context) -> Answer:
    if not ctx.postgresql or ctx.in_transaction or not op.local:
        return None
    return f"SET LOCAL {op.name} outside of a transaction does nothing."


@rule(
    "DG510",
    "checks-off",
    SetSetting,
    Risk.HIGH,
    effect="Foreign keys are not checked and triggers do not run from here on: rows that break the"
    " rules come in, and nothing finds them later.",
    instead="Leave it as it is, and change the rows in an order that the foreign keys allow.",
    bad=(
        "SET session_replication_role = replica",
        "SET LOCAL session_replication_role = 'replica'",
        "-- dialect: mysql\nSET SESSION sql_mode = ''",
        "-- dialect: sqlite\nPRAGMA ignore_check_constraints = ON",
        "-- dialect: sqlite\nPRAGMA journal_mode = OFF",
    ),
    good=(
        "SET session_replication_role = origin",
        "SET search_path = app",
        "-- dialect: mysql\nSET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
        "-- dialect: sqlite\nPRAGMA ignore_check_constraints = OFF; PRAGMA journal_mode = WAL",
    ),
)
def checks_off(op: SetSetting, ctx: Context) -> Answer:
    value = op.value.strip().strip("'\"").lower()
    if ctx.mysql:
        return _not_strict(op.name.lower(), value)
    if ctx.sqlite:
        return _unguarded(op.name.lower(), value)
    if not ctx.postgresql or op.name.lower() != "session_replication_role" or value != "replica":
        return None
    return "Turns triggers and the checks of foreign keys off."


def _unguarded(name: str, value: str) -> Answer:
    if name == "ignore_check_constraints" and value in {"1", "on", "true", "yes"}:
        return Found(
            "Turns CHECK constraints off.",
            why="Rows that break the rules come in from here on, and nothing finds them later.",
            instead="Leave them on, and write rows that comply.",
        )
    if name == "journal_mode" and value == "off":
        return Found(
            "Turns the rollback journal off.",
            why="No transaction can be rolled back any more, and a crash in the middle of one corrupts the file.",
            instead="Leave the journal on.",
        )
    return None


def _not_strict(name: str, value: str) -> Answer:
    # An expression that only adds to the mode (CONCAT(@@sql_mode, …)) keeps what is strict in it.
    strict = "strict_" in value or "traditional" in value or "@" in value or value == "default"
    if name == "sql_mode" and not strict:
        return Found(
            "Sets a sql_mode that is not strict.",
            Risk.MEDIUM,
            why="From here on values that do not fit are cut, or become 0 or '', instead of failing.",
            instead="Leave sql_mode alone, and write values that fit.",
        )
    return None


@rule(
    "DG511",
    "server-wide-setting",
    SetSetting,
    Risk.MEDIUM,
    effect="It holds for everybody on the server, no rollback and no downgrade takes it back, and other"
    " applications feel it too.",
    instead="Set it where the server is configured; in a revision, SET SESSION is enough.",
    bad=(
        "-- dialect: mysql\nSET GLOBAL max_connections = 10",
        "-- dialect: mysql\nSET @@GLOBAL.sql_mode = 'STRICT_ALL_TABLES'",
        "-- dialect: mysql\nSET PERSIST innodb_lock_wait_timeout = 5",
    ),
    good=("-- dialect: mysql\nSET SESSION lock_wait_timeout = 5",),
)
def server_wide_setting(op: SetSetting, ctx: Context) -> Answer:
    # On MySQL `local` says that it is this session's alone.
    if not ctx.mysql or op.local or op.name.lower() in {"names", "transaction", "schema"}:
        return None
    return f"Sets {op.name} for the whole server."


RULES = (waits_without_limit, set_local_does_nothing, checks_off, server_wide_setting)
