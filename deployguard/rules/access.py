"""DG8xx: who may see and do what."""

from deployguard.model import Risk
from deployguard.operations import ChangeAccess
from deployguard.rules.base import Answer, rule
from deployguard.rules.context import Context


@rule(
    "DG801",
    "access-change",
    ChangeAccess,
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
    ),
    good=("CREATE TABLE t (a int); GRANT SELECT ON t TO bob; ALTER TABLE t OWNER TO bob",),
)
def access_change(op: ChangeAccess, ctx: Context) -> Answer:
    if op.name and ctx.is_made_here(op.name):
        return None
    verb = {"grant": "Grants access to", "revoke": "Revokes access to", "role": "Changes the role"}
    return f"{verb.get(op.what, f'Changes the {op.what} of')} {op.name or 'something'}."


RULES = (access_change,)
