"""Reads what people accept, from the revision files, the configuration and the baseline, and applies it."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from deployguard.accept import Accepted, Against, Baseline, Scanned, accept, entries, scan
from deployguard.accept.baseline import document, parse
from deployguard.config import AcceptConfig, Config
from deployguard.config.schema import BASELINE
from deployguard.errors import UsageError
from deployguard.model import Json, Revision, Verdict


class Unfit(UsageError):
    """Suppressions that cannot stand; ``problems`` are sentences that begin with file and line."""

    def __init__(self, problems: tuple[str, ...], message: str, command: str) -> None:
        super().__init__(message, next_commands=(command,))
        self.problems = problems


_SHOWN = 20  # problems in one error; a person mends them one by one


def applied(
    config: Config,
    verdicts: Sequence[Verdict],
    *,
    against: Against,
    bare: Callable[[], Sequence[Verdict]],
    known: Collection[str] | None,
) -> Accepted:
    """The verdicts with what is accepted. Raises UsageError naming every suppression that cannot stand.

    ``known`` are the project's revisions; None: nobody knows them all. ``bare`` is as in :func:`accept`.
    """
    baseline = read_baseline(config)
    done = accept(
        verdicts,
        {one.revision.id: _scanned(config.sources, one.revision) for one in verdicts},
        config.accept,
        baseline,
        against=against,
        bare=bare,
    )
    problems = [*done.problems, *_unknown(config.accept, known)]
    if problems:
        raise _error(problems, config)
    gone = sorted(baseline.revisions() - set(known)) if baseline and known is not None else []
    note = (
        f"{config.project.baseline} names revisions that are gone: {', '.join(gone[:5])}"
        f"{' …' if len(gone) > 5 else ''}. `deployguard baseline` writes it anew."
    )
    return Accepted(done.verdicts, (), (*done.notes, *([note] if gone else [])))


def read_baseline(config: Config) -> Baseline | None:
    """The baseline that the configuration names; None when there is none. Raises UsageError."""
    name = config.project.baseline
    path = config.directory / name
    if not name or (not path.exists() and name == BASELINE):
        return None
    return load_baseline(path, name)


def load_baseline(path: Path, name: str) -> Baseline:
    """Read one file; ``name`` is what errors call it. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"Cannot read the baseline {path}: {error}.",
            next_commands=(f"deployguard baseline -o {name}",),
        ) from error
    return parse(text, name)


def baseline_document(
    former: Baseline | None, dialect: str, verdicts: Sequence[Verdict]
) -> tuple[Json, int]:
    """(the document with what these verdicts found on one dialect, how many findings those are).

    What ``former`` knows of other dialects stays.
    """
    found = entries(verdicts)
    made = (former or Baseline()).with_dialect(dialect, found)
    return document(made), sum(len(entry.findings) for entry in found.values())


def _scanned(directory: Path, revision: Revision) -> Scanned:
    try:
        source = (directory / revision.path).read_bytes()
    except OSError:
        return Scanned()  # it was not read either, which is critical
    if hashlib.sha256(source).hexdigest() != revision.digest:
        raise UsageError(
            f"{revision.path} changed while it was read.", next_commands=("deployguard check",)
        )
    return scan(source)


def _unknown(given: Sequence[AcceptConfig], known: Collection[str] | None) -> list[str]:
    if known is None:
        return []
    return [
        f"{entry.place}: there is no revision {entry.revision!r}"
        for entry in given
        if entry.revision not in known
    ]


def _error(problems: Sequence[str], config: Config) -> Unfit:
    more = len(problems) - _SHOWN
    lines = [*problems[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]
    first = "A suppression" if len(problems) == 1 else f"{len(problems)} suppressions"
    place, _, rest = problems[0].partition(":")
    number = rest.partition(":")[0]
    path = config.directory / place
    editor = f"${{EDITOR:-vi}} +{number} {path}" if number.isdigit() else f"${{EDITOR:-vi}} {path}"
    return Unfit(tuple(problems), "\n".join([f"{first} cannot stand:", *lines]), editor)
