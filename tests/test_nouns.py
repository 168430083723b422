"""Nouns are what the standard library's frozen, slotted dataclasses are; they are only made faster."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import get_type_hints

import pytest

from deployguard import model, operations
from deployguard.nouns import dataclass

NOUNS = [
    one
    for room in (operations, model)
    for one in vars(room).values()
    if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == room.__name__
]


@dataclass(frozen=True, slots=True)
class Ours:
    name: str
    size: int = 3
    more: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="hidden", repr=False)

    @property
    def twice(self) -> int:
        return 2 * self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    name: str
    size: int = 3
    more: Mapping[str, int] = field(default_factory=dict)
    secret: str = field(default="hidden", repr=False)


@dataclass(frozen=True, slots=True)
class Alone:
    name: str


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


def test_it_is_made_shown_and_changed_like_a_dataclass() -> None:
    for given in (("a",), ("a", 4), ("a", 4, {"b": 1}), ("a", 4, {}, "s")):
        assert repr(Ours(*given)) == repr(Theirs(*given)).replace("Theirs", "Ours")  # type: ignore[arg-type]
    assert Ours(name="a", size=5).twice == 10
    assert replace(Ours("a"), size=9) == Ours("a", 9)
    assert Ours("a").more is not Ours("a").more
    assert [one.name for one in fields(Ours)] == [one.name for one in fields(Theirs)]
    assert Ours.__match_args__ == Theirs.__match_args__
    assert not hasattr(Ours("a"), "__dict__")
    assert dataclasses.asdict(Ours("a")) == dataclasses.asdict(Theirs("a"))


@pytest.mark.parametrize("given", [(), ("a", 1, {}, "s", 5)])
def test_wrong_arguments_are_refused(given: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="__init__"):
        Ours(*given)  # type: ignore[arg-type]


def test_equal_are_those_of_one_class_with_equal_fields() -> None:
    assert Ours("a") == Ours("a")
    assert Ours("a") != Ours("b")
    assert Ours("a") != Theirs("a")
    assert Alone("a") != ("a",)
    assert Alone("a") != "a"
    assert Alone("a") == Alone("a")
    assert Nothing() == Nothing()
    assert len({Alone("a"), Alone("a"), Alone("b"), Nothing(), Nothing()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a"))  # a mapping is in it


def test_it_is_frozen_and_survives_a_copy() -> None:
    one = Ours("a", 4, {"b": 1})
    with pytest.raises(FrozenInstanceError):
        one.size = 5  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.size
    with pytest.raises((FrozenInstanceError, AttributeError)):
        one.other = 5  # type: ignore[attr-defined]
    assert copy.deepcopy(one) == copy.copy(one) == pickle.loads(pickle.dumps(one)) == one


def test_it_can_be_matched() -> None:
    match Ours("a", 7):
        case Ours(name, size):
            assert (name, size) == ("a", 7)


def test_only_frozen_ones_with_slots_are_made() -> None:
    with pytest.raises(TypeError):
        dataclass(frozen=False, slots=True)


@pytest.mark.parametrize("kind", NOUNS)
def test_every_noun_tells_its_arguments(kind: type) -> None:
    given = inspect.signature(kind).parameters
    assert list(given) == [one.name for one in fields(kind)]  # type: ignore[arg-type]
    assert set(get_type_hints(kind.__init__)) == {*given, "return"}  # type: ignore[misc]
