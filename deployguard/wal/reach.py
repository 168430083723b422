"""How far the archived log reaches from a backup on, and what is missing on the way; pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from deployguard.wal.names import Place, is_segment, lsn, number_of, segment


@dataclass(frozen=True, slots=True)
class Reach:
    """``last`` is the newest segment that can be replayed without a gap ("" is none).

    ``missing`` are the names of those that are not there although later ones are.
    """

    last: str
    missing: tuple[str, ...]


def reach(names: Collection[str], histories: Mapping[int, str], start: Place, size: int) -> Reach:
    """Follow the log from ``start``, on the newest timeline that comes from its own.

    ``names`` are the files of the archive, ``histories`` the contents of the history files by their timeline.
    """
    line = _line(histories, start, size)
    there = {number_of(name, size) for name in names if is_segment(name)}
    ours = {place for place in there if any(place.timeline == one.timeline for one in line)}
    newest = max((place.number for place in ours), default=start.number - 1)
    last, missing = "", list[str]()
    for number in range(start.number, newest + 1):
        timeline = max(one.timeline for one in line if one.number <= number)
        name = segment(timeline, number, size)
        if Place(timeline, number) not in there:
            missing.append(name)
        elif not missing:
            last = name
    return Reach(last, tuple(missing))


def _line(histories: Mapping[int, str], start: Place, size: int) -> Sequence[Place]:
    """Each timeline on the way with the segment that it begins in."""
    for timeline in sorted(histories, reverse=True):
        ends = _ends(histories[timeline])
        if timeline <= start.timeline or start.timeline not in ends:
            continue
        line, former = [Place(start.timeline, 0)], start.timeline
        for later in sorted(one for one in (*ends, timeline) if one > start.timeline):
            line.append(Place(later, ends[former] // size))
            former = later
        return line
    return [Place(start.timeline, 0)]


def _ends(history: str) -> dict[int, int]:
    """Of each timeline before, the position at which it was left."""
    ends = {}
    for line in history.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit():
            ends[int(words[0])] = lsn(words[1])
    return ends
