"""What an upgrade and then its downgrade leave different from before: told only where the operations tell it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployguard.operations import Operation
from deployguard.rules.forms.spelled import sa_type
from deployguard.rules.known import Key
from deployguard.rules.schema import Schema
from deployguard.rules.things import Place, Thing, Was, named
from deployguard.rules.types import parse, same


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the schema differs after the downgrade from what it was before the upgrade."""

    unknown: bool  # something ran that was not read: nothing is claimed
    left: tuple[str, ...] = ()  # "leaves the index ix", "does not bring back the column t.c", …
    fails: tuple[str, ...] = ()  # "drops the column t.c, which is not there", …


def compare(upward: Iterable[Operation], downward: Iterable[Operation], key: Key) -> Comparison:
    """Replay both directions on a schema of which only the operations are known."""
    schema = Schema(key)
    for operation in upward:
        schema.apply(operation)
    schema.turn()
    for operation in downward:
        schema.apply(operation)
    if schema.unknown:
        return Comparison(unknown=True)
    left = tuple(dict.fromkeys(_differences(schema)))
    return Comparison(unknown=False, left=left, fails=tuple(dict.fromkeys(schema.fails)))


def _differences(schema: Schema) -> Iterator[str]:
    places = {
        thing.origin: place for place, thing in schema.things.items() if thing.here and thing.origin
    }
    for place, thing in schema.things.items():
        if _goes_with_its_table(schema, place, thing):
            continue
        if thing.here:
            yield from _here(place, thing)
        elif thing.was is Was.PRESENT and place not in places:
            # A table or column that only the downgrade drops is lost data: another finding, and a worse one.
            dropped = thing.back and place[0] not in {"table", "column"}
            if dropped:
                yield f"drops {named(place)}, which the upgrade did not make"
            elif not thing.back:
                yield f"does not bring back {named(place)}"


def _goes_with_its_table(schema: Schema, place: Place, thing: Thing) -> bool:
    """Whether all that is to be said is said of the table itself: it is new, gone or has another name."""
    owner = thing.table if place[0] == "index" else place[1]
    table = schema.things.get(("table", "", owner))
    return table is not None and (table.origin != ("table", "", owner) or not table.here)


def _here(place: Place, thing: Thing) -> Iterator[str]:
    if thing.origin is None:
        if thing.was is Was.ABSENT:
            again = ", so that the next upgrade fails" if place[0] in {"table", "type"} else ""
            yield f"leaves {named(place)}{again}"
        return
    if thing.origin != place:
        yield f"leaves {named(thing.origin)} as {place[2]}"
        return
    yield from _attributes(place, thing)


def _attributes(place: Place, thing: Thing) -> Iterator[str]:
    """A column that was there before: what the upgrade set and the downgrade did not set back."""
    for what, value in thing.set_up.items():
        back = thing.set_back.get(what)
        if what == "type":
            unchanged = _surely_same(thing.old_type, value)
            differs = back is not None and _surely_differ(thing.old_type, back)
            if back is None and not unchanged:
                yield f"leaves {named(place)} with the type {value}"
            elif differs:
                yield f"gives {named(place)} the type {back}, which was {thing.old_type}"
        elif back is None or (back == value and what == "null"):
            yield f"leaves {named(place)} {value}"


def _surely_same(old: str | None, new: str) -> bool:
    one, other = parse(old) if old else None, parse(new)
    return one is not None and other is not None and same(one, other)


def _surely_differ(old: str | None, new: str) -> bool:
    """Only of types that are known by one name: an enum's or an extension's may be written in several ways."""
    if not old or not sa_type(old) or not sa_type(new):
        return False
    return not _surely_same(old, new)
