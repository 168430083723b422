"""How long a statement of the migration may run: by the level of the plan, and where no limit fits. Pure.

A limit is there to end what surprises: work that the plan believes to be short, under locks that others wait for.
What is long by its nature, and in nobody's way or approved as it is, is not cut off half-way.
"""

import math
from collections.abc import Mapping
from typing import Final

from deployguard.config import MigrateConfig
from deployguard.deploy import atomic
from deployguard.model import Json, Plan, Script
from deployguard.operations import CreateTable, Maintain, Operation, RefreshView, WriteRows

CLIENT_CHECK: Final = 2  # seconds between the server's looks whether its client is still there
_SPARE: Final = 4  # times an estimate: it is one


def unhurried(plan: Plan) -> str:
    """Why a statement of the plan may take long without being a surprise; "" where each ought to be short."""
    for verdict in plan.verdicts:
        script = verdict.revision.up
        if script.opacities:
            return f"what {verdict.revision.id} does is not known completely"
        if any(map(_long, _operations(script))):
            return f"{verdict.revision.id} writes rows, and how many is not known"
        if any(lock.work and lock.blocks == "schema changes" for lock in verdict.locks):
            return f"{verdict.revision.id} reads a whole table, which keeps nobody waiting"
    return ""


def longest(plan: Plan) -> float:
    """Seconds of the longest work under a lock that is estimated; 0 where nothing is."""
    return max((lock.seconds or 0.0 for v in plan.verdicts for lock in v.locks), default=0.0)


def builds_concurrently(plan: Plan) -> bool:
    """Whether anything in it is built concurrently: cut off, it leaves an invalid index."""
    return any(atomic.builds_concurrently(verdict.revision.up) for verdict in plan.verdicts)


def statement_timeout(config: MigrateConfig, plan: Mapping[str, Json]) -> int:
    """Seconds a statement of the upgrade may run, by the plan step's evidence; 0 is no limit.

    A number that was configured holds whatever the plan does, but for concurrent builds.
    """
    setting = config.statement_timeout
    # The plan of an earlier version does not say whether it builds concurrently.
    if plan.get("concurrent_up") is not False:
        return 0
    if isinstance(setting, int):
        return setting
    if plan.get("unhurried") != "":
        return 0
    seconds = {
        "low": setting.low,
        "medium": setting.medium,
        "high": setting.high,
        "critical": setting.critical,
    }.get(str(plan.get("risk")), 0)
    estimate = plan.get("longest")
    expected = estimate if isinstance(estimate, int | float) else 0.0
    return max(seconds, math.ceil(_SPARE * expected)) if seconds else 0


def downgrade_timeout(config: MigrateConfig, *, concurrent: bool) -> int:
    """The same of a downgrade, whose level nobody judged: a way back is only cut off where a number says so."""
    setting = config.statement_timeout
    return setting if isinstance(setting, int) and not concurrent else 0


def _operations(script: Script) -> tuple[Operation, ...]:
    return tuple(one for statement in script.statements for one in statement.operations)


def _long(operation: Operation) -> bool:
    if isinstance(operation, CreateTable):
        return operation.from_query
    if isinstance(operation, WriteRows):
        return operation.verb != "insert" or operation.from_query  # a few values are not many rows
    if isinstance(operation, Maintain):
        return operation.what.lower().startswith(("analyze", "vacuum"))
    return isinstance(operation, RefreshView)
