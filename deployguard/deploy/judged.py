"""The verdicts on what was read: those of the last check where nothing has changed, and no rule need be loaded."""

from collections.abc import Callable
from typing import Any, TypeVar  # what a kept entry turns out to be

from deployguard.model import Answers, Facts, Json, Revision, Verdict
from deployguard.revisions.store import Store, digest

T = TypeVar("T")


def judge(
    revisions: tuple[Revision, ...], facts: Facts, catalogue: Json, store: Store | None
) -> tuple[Verdict, ...]:
    """Judge the revisions by the whole book, knowing what the facts and the catalogue tell."""

    def anew() -> tuple[Verdict, ...]:
        from deployguard import rules

        return rules.judge(revisions, rules.enriched(facts, catalogue))

    return _once("verdicts", (revisions, facts), catalogue, store, anew)


def answers(verdicts: tuple[Verdict, ...], store: Store | None) -> Answers:
    """The four answers of the operators' checklist."""

    def anew() -> Answers:
        from deployguard import rules

        return rules.answers(verdicts)

    return _once("answers", verdicts, None, store, anew)


def _once(kind: str, given: object, more: Json, store: Store | None, anew: Callable[[], T]) -> T:
    """What ``anew`` gives, or gave for the same. Everything that it goes by must be in ``given`` and ``more``."""
    if store is None:
        return anew()
    from deployguard.revisions import codec
    from deployguard.revisions.kept import ours

    key = f"{kind}-{digest([ours(), codec.encode(given), more])}"
    kept = store.get(key)
    if kept is not None:
        found: Any = codec.decode(kept)
        return found  # type: ignore[no-any-return]  # sealed by us under a key that names the kind
    made = anew()
    store.put(key, codec.encode(made))
    return made
