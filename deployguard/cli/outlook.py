"""Says what a rollback would do: the four answers it rests on, each with its evidence."""

from typing import TYPE_CHECKING

from deployguard.cli.session import write
from deployguard.errors import Refused
from deployguard.formats import way_back
from deployguard.formats.report import WayBackView
from deployguard.model import Json

if TYPE_CHECKING:
    from deployguard.deploy.outlook import Outlook
    from deployguard.deploy.rollback import Situation


def write_outlook(outlook: "Outlook", form: str) -> int:
    """Write it to stdout; the exit code, that of a refusal where no way is safe by itself."""
    view = view_of(outlook)
    write(
        form,
        text=lambda width: way_back.way_back_lines(view, width),
        json=lambda: way_back.way_back_document(view),
        markdown=lambda: way_back.way_back_markdown(view),
    )
    return 0 if view.safe else Refused.exit_code


def view_of(outlook: "Outlook") -> WayBackView:
    """The outlook in words for people."""
    from deployguard.deploy.rollback import WayBack

    return WayBackView(
        deploy=outlook.deploy,
        way=str(outlook.choice.way),
        safe=outlook.choice.way is not WayBack.NEEDS_HUMAN,
        reasons=outlook.choice.reasons,
        state=outlook.where,
        answers=_answers(outlook),
        steps=outlook.steps,
        warning=outlook.warning,
        writes=_writes(outlook.seen),
        next_commands=outlook.next_commands,
        updates=outlook.updates,
    )


def _answers(outlook: "Outlook") -> tuple[tuple[str, str, str], ...]:
    seen = outlook.seen
    if not seen.moved and seen.now is not None:
        moved = ("Did the schema move?", "no", "the database is at the revision of before")
    elif seen.now is None:
        moved = ("Did the schema move?", "unknown", "the revision could not be read")
    else:
        way = f"{', '.join(seen.before) or 'base'} → {', '.join(seen.now) or 'base'}"
        moved = ("Did the schema move?", "yes", way)
    return (
        moved,
        (
            "Does the previous application work on the present schema?",
            "yes" if seen.expand_only else "no",
            "every revision that ran only adds"
            if seen.expand_only
            else "not every revision that ran only adds",
        ),
        (
            "Does the downgrade lose nothing now?",
            _word(seen.lossless),
            seen.lossless_why or "not measured",
        ),
        _written(seen),
        _backed_up(outlook),
    )


def _writes(seen: "Situation") -> Json:
    return {
        "transactions": seen.writes,
        "exact": seen.exact,
        "evidence": seen.wrote or None,
        "tables": [*seen.lost],
        "hidden": [*seen.hidden],
    }


def _written(seen: "Situation") -> tuple[str, str, str]:
    question, writes = "Has nobody written since the backup?", seen.writes
    if not seen.backup:
        return question, "unknown", "there is no backup to count from"
    if seen.exact:
        return question, "no" if writes else "yes", seen.wrote
    if writes is None:
        return question, "unknown", "it could not be counted"
    if not writes:
        return question, "yes", "proven by the database's own counters"
    return question, "no", f"at most {writes} transactions, the migration's own among them"


def _backed_up(outlook: "Outlook") -> tuple[str, str, str]:
    question = "Is there a verified backup?"
    if not outlook.seen.backup:
        return question, "no", "this deploy took none"
    if not outlook.backup:
        return question, "no", f"{outlook.seen.backup} is not there any more"
    if not outlook.seen.verified:
        return question, "no", f"{outlook.backup} was not read back"
    return question, "yes", f"{outlook.backup} was read back completely"


def _word(answer: bool | None) -> str:
    return "unknown" if answer is None else "yes" if answer else "no"
