"""Where a deploy is measured, and what each side of the comparison took there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Side:
    """The runs of one side: seconds of all, and of each of its parts."""

    total: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, parts: dict[str, float], total: float) -> None:
        self.total.append(total)
        for name, seconds in parts.items():
            self.parts.setdefault(name, []).append(seconds)


@dataclass(frozen=True)
class Place:
    """Where it is deployed to. ``reset`` puts the database back; ``bare`` are the tools by hand, (part, argv)."""

    name: str
    folder: Path
    environ: dict[str, str]
    reset: Callable[[], None]
    bare: tuple[tuple[str, list[str]], ...]
