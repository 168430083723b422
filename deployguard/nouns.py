"""The standard library's frozen, slotted dataclass, made in a third of the time: every command makes over a hundred.

``dataclasses`` compiles six methods of each class from text. Only ``__init__`` needs that; the others are the same
for all classes once a class knows the names of its fields. To a type checker this is ``dataclasses.dataclass``.
"""

import dataclasses
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    _T = TypeVar("_T")

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type[_T]], type[_T]]:
        """Both must be true; they are named so that it reads, and checks, as the standard library's."""
        if not (frozen and slots):
            raise TypeError("a noun is frozen and has slots")
        return _noun

    def _noun(kind: type[_T]) -> type[_T]:
        made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(kind)
        names = made.__match_args__
        values = attrgetter(*names) if len(names) > 1 else _few(*names)
        given = vars(kind)
        own = {
            "__init__": _initializer(made),
            "__repr__": _repr,
            "__eq__": _equality(values),
            "__hash__": lambda self: hash(values(self)),
            "__setattr__": _refuse_to_set,
            "__delattr__": _refuse_to_delete,
            "__getstate__": lambda self: [getattr(self, name) for name in names],
            "__setstate__": _set_state,
        }
        for name, value in own.items():
            if name not in given:
                setattr(made, name, value)
        return made

    def _few(*names: str) -> Callable[[object], object]:
        return attrgetter(*names) if names else lambda _self: ()

    def _initializer(kind: type) -> Callable[..., None]:
        scope: dict[str, Any] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
        arguments, lines = [], []
        for one in dataclasses.fields(kind):
            name, value = one.name, one.name
            if one.default is not dataclasses.MISSING:
                scope[f"_{name}"] = one.default
                arguments.append(f"{name}=_{name}")
            elif one.default_factory is not dataclasses.MISSING:
                scope[f"_{name}"] = one.default_factory
                arguments.append(f"{name}=_missing")
                value = f"_{name}() if {name} is _missing else {name}"
            else:
                arguments.append(name)
            lines.append(f"  _set(self, {name!r}, {value})")
        inner = "\n".join([f" def __init__(self, {', '.join(arguments)}):", *lines])
        text = f"def _make({', '.join(scope)}):\n{inner}\n  return\n return __init__"
        found: dict[str, Callable[..., Callable[..., None]]] = {}
        # In the names of its own module, where its annotations mean something.
        exec(text, vars(sys.modules[kind.__module__]), found)  # noqa: S102 - as dataclasses does; the names are ours
        made = found["_make"](**scope)
        made.__qualname__ = f"{kind.__qualname__}.__init__"
        made.__annotations__ = {
            **{one.name: one.type for one in dataclasses.fields(kind)},
            "return": None,
        }
        made.__module__ = kind.__module__
        return made

    def _equality(values: Callable[[object], object]) -> Callable[[object, object], bool]:
        def equal(self: object, other: object) -> bool:
            if type(other) is not type(self):
                return NotImplemented
            return values(self) == values(other)

        return equal

    def _repr(self: object) -> str:
        shown = (one for one in dataclasses.fields(self) if one.repr)
        parts = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in shown)
        return f"{type(self).__qualname__}({parts})"

    def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(_self: object, name: str) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def _set_state(self: object, state: list[object]) -> None:
        for one, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, one.name, value)


__all__ = ["dataclass"]
