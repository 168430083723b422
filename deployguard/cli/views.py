"""The journal's rows as what the formats show."""

from collections.abc import Mapping, Sequence

from deployguard.cli.gist import everything, gist
from deployguard.errors import ApprovalMissing, Refused
from deployguard.formats import DeployView, StepView
from deployguard.model import Json
from deployguard.state import Deploy, Event, EventKind, Status

_REFUSALS = frozenset(error.__name__ for error in (Refused, ApprovalMissing))
_STATES = {
    EventKind.INTENT: "begun",
    EventKind.DONE: "done",
    EventKind.FAILED: "failed",
    EventKind.NOTE: "note",
    EventKind.PROBE: "asked",
}


def deploy_view(deploy: Deploy, events: Sequence[Event] = (), *, verbose: int = 0) -> DeployView:
    """One run; with ``verbose`` every event and all of its evidence, else how each step ended."""
    plan = _evidence(events, "plan")
    approved = _evidence(events, "approve")
    backup = _evidence(events, "backup")
    risk = plan.get("risk") or deploy.plan.get("risk") or ""
    return DeployView(
        id=deploy.id,
        kind=str(deploy.kind),
        environment=deploy.environment,
        state=str(deploy.status),
        started=deploy.started,
        ended=deploy.finished,
        risk="" if risk == "none" else str(risk),
        digest=deploy.digest,
        from_revisions=_strings(deploy.plan.get("current")),
        to_revisions=_strings(deploy.plan.get("heads")),
        by=deploy.by,
        host=deploy.host,
        backup=str(backup.get("id", "")),
        approved_by=str(approved.get("by", "")),
        approved_because=str(approved.get("reason", "")),
        log=_log(events),
        plan=deploy.plan,
        detail=deploy.summary,
        ref=_text(deploy.options.get("ref") or deploy.options.get("to_ref")),
        commit=_text(deploy.options.get("commit") or deploy.options.get("to_commit")),
        steps=_steps(events, verbose=verbose),
        refused=deploy.status is Status.FAILED and _refused(events),
    )


def _refused(events: Sequence[Event]) -> bool:
    failed = [e.evidence for e in events if e.kind is EventKind.FAILED]
    return bool(failed) and failed[-1].get("type") in _REFUSALS


def _steps(events: Sequence[Event], *, verbose: int) -> tuple[StepView, ...]:
    if verbose:
        shown = list(events)
    else:
        # The last word on each step, in the order in which the steps began.
        last = {e.step: e for e in events if e.kind is not EventKind.NOTE}
        shown = list(last.values())
    return tuple(
        StepView(
            e.step,
            _STATES[e.kind],
            e.at,
            ", ".join(everything(e.evidence)) if verbose else gist(e.step, e.evidence),
            _seconds(events, e),
            e.evidence,
        )
        for e in shown
    )


def _seconds(events: Sequence[Event], end: Event) -> float | None:
    """From the last beginning of a step to the event that ends it."""
    if end.kind not in (EventKind.DONE, EventKind.FAILED):
        return None
    begun = [
        e.at
        for e in events
        if e.step == end.step and e.kind is EventKind.INTENT and e.seq <= end.seq
    ]
    return (end.at - begun[-1]).total_seconds() if begun else None


def _log(events: Sequence[Event]) -> str:
    """The file that the last migration or downgrade wrote what it said to."""
    named = [_text(e.evidence.get("log")) for e in events if e.step in ("migrate", "downgrade")]
    return next((path for path in reversed(named) if path), "")


def _evidence(events: Sequence[Event], step: str) -> Mapping[str, Json]:
    done = [e.evidence for e in events if e.step == step and e.kind is EventKind.DONE]
    return done[-1] if done else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
