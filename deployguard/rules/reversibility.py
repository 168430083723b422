"""DG6xx: what can't be taken back by a downgrade."""

from deployguard.model import Body, Risk, Way
from deployguard.operations import Operation
from deployguard.rules.base import Answer, Found, Whole, rule
from deployguard.rules.context import Context
from deployguard.rules.returning import compared, fails_back, operations
from deployguard.rules.undo import destroyed_back, readable


@rule(
    "DG601",
    "no-downgrade",
    Whole,
    Risk.LOW,
    effect="There is no way back by downgrade: only a backup undoes this revision.",
    instead="def downgrade():\n    …  # the opposite of upgrade(), in the opposite order",
    bad=(
        "ALTER TABLE orders ADD COLUMN a int\n-- downgrade: empty",
        "CREATE TABLE t (a int)\n-- downgrade: raises",
        "CREATE TABLE t (a int)\n-- downgrade: missing",
    ),
    good=(
        "ANALYZE orders\n-- downgrade: empty",
        "CREATE TABLE t (a int); DROP TABLE t\n-- downgrade: empty",
    ),
)
def no_downgrade(whole: Whole, ctx: Context) -> Answer:
    del ctx
    down = whole.revision.down
    if down.body is Body.PRESENT or whole.undo.way is Way.NOTHING:
        return None
    what = {
        Body.MISSING: "There is no downgrade().",
        Body.EMPTY: "downgrade() does nothing.",
        Body.RAISES: "downgrade() only raises.",
    }
    return Found(what[down.body], line=down.line or whole.up.line)


def _known(whole: Whole) -> bool:
    return whole.down.body is Body.PRESENT and readable(whole.up) and readable(whole.down)


def _upward(whole: Whole) -> tuple[Operation, ...]:
    return tuple(operations(whole.up))


@rule(
    "DG602",
    "downgrade-destroys",
    Whole,
    Risk.MEDIUM,
    effect="The downgrade drops what was there before the upgrade: whoever takes the revision back"
    " loses data that the revision never touched.",
    instead="Let downgrade() take back what upgrade() made, and nothing else.",
    bad=(
        "ALTER TABLE orders ADD COLUMN a int\n-- down: DROP TABLE orders",
        "ALTER TABLE orders ADD COLUMN a int\n-- down: ALTER TABLE orders DROP COLUMN b",
        "CREATE INDEX CONCURRENTLY ix ON orders (a)\n-- down: DROP INDEX ix; TRUNCATE orders",
    ),
    good=(
        "ALTER TABLE orders ADD COLUMN a int\n-- down: ALTER TABLE orders DROP COLUMN a",
        "CREATE TABLE IF NOT EXISTS t (a int)\n-- down: DROP TABLE t",
        "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u\n-- down: DROP TABLE u",
    ),
)
def downgrade_destroys(whole: Whole, ctx: Context) -> Answer:
    del ctx
    if not _known(whole):
        return None
    lost = destroyed_back(_upward(whole), whole.down, whole.before)
    return Found(f"The downgrade {', and '.join(lost)}.", line=whole.down.line) if lost else None


@rule(
    "DG603",
    "downgrade-not-inverse",
    Whole,
    Risk.LOW,
    effect="After upgrade and downgrade the schema is not what it was: the previous application"
    " may miss something, and the next upgrade may fail on what is there already.",
    instead="def downgrade():\n    …  # the opposite of each step of upgrade(), in the opposite order",
    bad=(
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (a mood)\n-- down: DROP TABLE t",
        (
            "ALTER TABLE orders ADD COLUMN a int; ALTER TABLE orders ADD COLUMN b int\n"
            "-- down: ALTER TABLE orders DROP COLUMN a"
        ),
    ),
    good=(
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (a mood)\n-- down: DROP TABLE t; DROP TYPE mood",
        (
            "ALTER TABLE orders ADD COLUMN a int REFERENCES users (id); ALTER TABLE orders ADD COLUMN b int\n"
            "-- down: ALTER TABLE orders DROP COLUMN a; ALTER TABLE orders DROP COLUMN b"
        ),
    ),
)
def downgrade_not_inverse(whole: Whole, ctx: Context) -> Answer:
    del ctx
    if not _known(whole):
        return None
    left = compared(_upward(whole), whole.down, whole.before).left
    if not left:
        return None
    shown = ", and ".join(left[:3]) + (f", and {len(left) - 3} more" if len(left) > 3 else "")
    return Found(f"The downgrade {shown}.", line=whole.down.line)


@rule(
    "DG604",
    "downgrade-fails",
    Whole,
    Risk.MEDIUM,
    effect="When it is needed, the downgrade stops with an error: only a backup takes the revision"
    " back.",
    instead="with op.get_context().autocommit_block():\n    …  # what PostgreSQL refuses in a transaction",
    bad=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)\n-- down: DROP INDEX CONCURRENTLY ix",
        "ALTER TABLE orders ADD COLUMN a int\n-- down: ALTER TABLE orders ADD COLUMN a int",
    ),
    good=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)\n-- down: DROP INDEX ix",
        "ALTER TABLE orders ADD COLUMN a int\n-- down: ALTER TABLE orders DROP COLUMN a",
    ),
)
def downgrade_fails(whole: Whole, ctx: Context) -> Answer:
    del ctx
    if whole.down.body is not Body.PRESENT or not readable(whole.up):
        return None
    fails = fails_back(_upward(whole), whole.down, whole.before)
    if not fails:
        return None
    line, why = fails[0]
    return Found(f"The downgrade fails: {why}.", line=line or whole.down.line)


RULES = (no_downgrade, downgrade_destroys, downgrade_not_inverse, downgrade_fails)
