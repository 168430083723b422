"""DG508 to DG510: settings that take a protection away, or that do nothing."""

from typing import get_args

from deployguard.model import Risk
from deployguard.operations import Operation, SetSetting
from deployguard.rules.base import Answer, rule
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
    ),
    good=("SET session_replication_role = origin", "SET search_path = app"),
)
def checks_off(op: SetSetting, ctx: Context) -> Answer:
    value = op.value.strip().strip("'\"").lower()
    if not ctx.postgresql or op.name.lower() != "session_replication_role" or value != "replica":
        return None
    return "Turns triggers and the checks of foreign keys off."


RULES = (waits_without_limit, set_local_does_nothing, checks_off)
