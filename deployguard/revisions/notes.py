"""What a person should know of how the revisions were read."""

from deployguard.model import Evidence
from deployguard.revisions.heard import Recording

_MOST = 3  # statements of env.py's that a note names
_SHOWN = 80  # letters of one


def told(recording: Recording) -> list[str]:
    """One sentence each, those of the child first."""
    notes = list(recording.notes)
    if recording.evidence is Evidence.SOURCE:
        notes.append(
            f"No migration could be run for reading, only the source was read: {recording.unreached[-1]}"
        )
    elif recording.evidence is Evidence.RECORDED_WITHOUT_ENV:
        notes.append(
            f"Read without the project's env.py, which did not run here: {recording.unreached[0]}"
        )
    elif recording.unreached:
        notes.append(
            f"Read through `alembic upgrade` instead of the project's command: {recording.unreached[0]}"
        )
    if recording.runs > 1:
        notes.append(
            f"env.py runs the migrations {recording.runs} times, for several schemas or databases; what is the same"
            " each time is told once."
        )
    if recording.around:
        shown = "; ".join(text[:_SHOWN] for text in recording.around[:_MOST])
        more = len(recording.around) - _MOST
        notes.append(f"env.py itself runs: {shown}{f' and {more} more' if more > 0 else ''}.")
    if recording.replayed:
        notes.append("The schema was not taken from the database but replayed from the history.")
    return notes
