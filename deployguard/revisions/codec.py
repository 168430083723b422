"""A reading as JSON and back; only our own nouns are ever made from it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any  # the fields of any noun

from deployguard import model, operations
from deployguard.model import Json

if TYPE_CHECKING:
    from deployguard.revisions.reader import Reading

_NOUN, _WORD, _SET, _PAIRS = "!", "=", "*", "@"


def encode(value: object) -> Json:
    """The JSON of a noun, or of what one is made of. Raises TypeError for anything else."""
    if isinstance(value, Enum):  # before str and int, which our enumerations are
        return {_WORD: type(value).__name__, "v": value.name}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        kept = {one.name: encode(getattr(value, one.name)) for one in fields(value)}
        return {_NOUN: type(value).__name__, **kept}
    if isinstance(value, tuple):
        return [encode(one) for one in value]
    if isinstance(value, frozenset):
        return {_SET: [encode(one) for one in sorted(value)]}
    if isinstance(value, Mapping):
        return {_PAIRS: [[encode(key), encode(one)] for key, one in value.items()]}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def decode(value: Json) -> Any:
    """What ``encode`` was given. Raises ValueError, TypeError or KeyError for what it never wrote."""
    if isinstance(value, list):
        return tuple(map(decode, value))
    if not isinstance(value, dict):
        return value
    if _NOUN in value:
        named = {name: decode(one) for name, one in value.items() if name != _NOUN}
        return _nouns()[str(value[_NOUN])](**named)
    if _WORD in value:
        return _words()[str(value[_WORD])][str(value["v"])]
    if _SET in value:
        return frozenset(decode(value[_SET]))
    return dict(decode(value[_PAIRS]))


def reading(value: Json) -> "Reading | None":
    """The reading that was encoded; None when this is something else."""
    from deployguard.revisions.reader import Reading

    try:
        found = decode(value)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, Reading) else None


@cache
def _nouns() -> Mapping[str, type]:
    from deployguard.revisions import reader

    rooms = (operations, model, reader)
    known = (one for room in rooms for one in vars(room).values())
    return {one.__name__: one for one in known if isinstance(one, type) and is_dataclass(one)}


@cache
def _words() -> Mapping[str, type[Enum]]:
    known = (one for room in (operations, model) for one in vars(room).values())
    return {one.__name__: one for one in known if isinstance(one, type) and issubclass(one, Enum)}
