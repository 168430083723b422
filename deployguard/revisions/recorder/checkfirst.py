"""`ENUM.create(checkfirst=True)` looks whether the type exists: that is no guard, it creates what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import State


def install(state: State) -> None:
    """Patch what SQLAlchemy asks before it creates or drops a named type.

    Both ways of a creation are harmless. A drop that does not take place here might take place on the target, so
    that is reported as a look.
    """
    for maker, ask in _methods(("NamedTypeGenerator", "_can_create_type"), "Generator"):
        setattr(maker, ask, _asking(state, getattr(maker, ask), reported=False))
    for dropper, ask in _methods(("NamedTypeDropper", "_can_drop_type"), "Dropper"):
        setattr(dropper, ask, _asking(state, getattr(dropper, ask), reported=True))


def _methods(name: tuple[str, str], old: str) -> list[tuple[Any, str]]:
    try:
        from sqlalchemy.dialects.postgresql import named_types
    except ImportError:  # before SQLAlchemy 2
        from sqlalchemy.dialects.postgresql import ENUM

        word = name[1].replace("_type", "_enum")
        return [(getattr(ENUM, f"Enum{old}"), word)]
    return [(getattr(named_types, name[0]), name[1])]


def _asking(state: State, original: Any, *, reported: bool) -> Any:
    def ask(self: Any, kind: Any) -> Any:
        with state.silence():
            go = original(self, kind)
        if not go and reported:
            state.channel.tell("look", what=f"whether the type {kind.name} exists")
        return go

    return ask
