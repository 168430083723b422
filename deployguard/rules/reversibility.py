"""DG6xx: what can't be taken back by a downgrade."""

from deployguard.model import Body, Risk, Way
from deployguard.rules.base import Answer, Found, Whole, rule
from deployguard.rules.context import Context


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


RULES = (no_downgrade,)
