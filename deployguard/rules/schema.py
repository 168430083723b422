"""A small schema as a fold over operations, to see whether upgrade and downgrade lead back to where it began.

Only what the operations themselves tell is known: the first one on a thing says whether it was there before (who
drops it takes it to be there), IF [NOT] EXISTS leaves that open, and code that is not read leaves everything open.
"""

from dataclasses import dataclass, field

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterObject,
    AlterType,
    ChangeTrigger,
    Constraint,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    Operation,
    Procedural,
    RebuildTable,
    RenameColumn,
    RenameConstraint,
    RenameIndex,
    RenameTable,
    SetDefault,
    SetNotNull,
    SetSchema,
    Unrecognised,
)
from deployguard.rules.known import Key
from deployguard.rules.things import NAMELESS, Place, Thing, Was, mentions, named


@dataclass(slots=True)
class Schema:
    """Feed it the upgrade's operations, call :meth:`turn`, feed it the downgrade's, and ask."""

    key: Key
    things: dict[Place, Thing] = field(default_factory=dict)
    back: bool = False
    unknown: bool = False  # something ran that may have done anything
    fails: list[str] = field(default_factory=list)  # what the downgrade does that can't succeed

    def turn(self) -> None:
        self.back = True

    def apply(self, operation: Operation) -> None:
        match operation:
            case CreateTable() | DropTable() | RenameTable() | SetSchema():
                self._table(operation)
            case AddColumn() | DropColumn() | RenameColumn():
                self._column(operation)
            case AlterType() | SetNotNull() | DropNotNull() | SetDefault() | DropDefault():
                self._attribute(operation)
            case AddConstraint() | DropConstraint() | RenameConstraint():
                self._constraint(operation)
            case CreateIndex() | DropIndex() | RenameIndex():
                self._index(operation)
            case RebuildTable(_, changes) if changes is not None:
                for change in changes:
                    self.apply(change)
            case _:
                self._other(operation)

    # --- what can happen to a thing -------------------------------------------------------------

    def _make(
        self, place: Place, *, doubtful: bool = False, table: str = "", text: str = ""
    ) -> None:
        found = self.things.get(place)
        if found is None:
            # What only the downgrade makes may stand for something that went with a column or a table.
            was = Was.UNKNOWN if doubtful or self.back else Was.ABSENT
            self.things[place] = Thing(None, was, back=self.back, table=table, text=text)
            return
        if found.here and not doubtful:
            self._fail(f"makes {named(place)}, which is there already")
        # What was there before and comes again counts as brought back; how it looked is not known.
        found.origin = place if found.was is Was.PRESENT else None
        found.here, found.back, found.table, found.text = True, self.back, table, text
        found.set_up, found.set_back = {}, {}

    def _drop(self, place: Place, *, doubtful: bool = False) -> None:
        found = self.things.get(place)
        if found is None:
            was = Was.UNKNOWN if doubtful else Was.PRESENT
            self.things[place] = Thing(place, was, here=False, back=self.back)
            return
        if not found.here and not doubtful:
            self._fail(f"drops {named(place)}, which is not there")
        found.here, found.back = False, self.back

    def _move(self, old: Place, new: Place) -> None:
        thing = self.things.get(old) or Thing(old, Was.PRESENT)
        if not thing.here:
            self._fail(f"renames {named(old)}, which is not there")
        there = self.things.get(new)
        self.things[old] = Thing(old, thing.was, here=False, back=self.back)
        was = there.was if there else Was.ABSENT
        self.things[new] = Thing(
            thing.origin, was, thing.here, self.back, thing.table, thing.text,
            thing.set_up, thing.set_back, thing.old_type,
        )  # fmt: skip

    def _fail(self, why: str) -> None:
        if self.back:
            self.fails.append(why)

    def _of(self, table: str) -> list[Place]:
        """What belongs to a table."""
        return [
            place
            for place, thing in self.things.items()
            if place[1] == table or (place[0] == "index" and thing.table == table)
        ]

    # --- operations -----------------------------------------------------------------------------

    def _table(self, operation: CreateTable | DropTable | RenameTable | SetSchema) -> None:
        table = self.key(operation.table)
        match operation:
            case CreateTable():
                if not operation.temporary:
                    self._make(("table", "", table), doubtful=operation.if_not_exists)
            case DropTable():
                for place in self._of(table):
                    self.things[place].here, self.things[place].back = False, self.back
                self._drop(("table", "", table), doubtful=operation.if_exists)
            case RenameTable(_, to):
                schema, _, _ = table.rpartition(".")
                self._move_table(table, self.key(f"{schema}.{to}" if schema else to))
            case SetSchema(_, schema):
                self._move_table(table, self.key(f"{schema}.{table.rpartition('.')[2]}"))

    def _move_table(self, old: str, new: str) -> None:
        belonging = self._of(old)
        self._move(("table", "", old), ("table", "", new))
        for place in belonging:
            thing = self.things[place]
            if place[0] == "index":
                thing.table = new
            else:
                self.things[place[0], new, place[2]] = self.things.pop(place)

    def _column(self, operation: AddColumn | DropColumn | RenameColumn) -> None:
        table = self.key(operation.table)
        place = ("column", table, operation.column)
        match operation:
            case AddColumn():
                self._make(place, doubtful=operation.if_not_exists)
                for kind in operation.constraints:
                    self._make(
                        self._nameless("constraint", table), text=f"{kind} {operation.column}"
                    )
            case DropColumn():
                self._drop(place, doubtful=operation.if_exists)
                for other in self._of(table):
                    thing = self.things[other]
                    if (
                        other[0] != "column"
                        and thing.here
                        and mentions(thing.text, operation.column)
                    ):
                        thing.here, thing.back = False, self.back
            case RenameColumn(_, _, to):
                self._move(place, ("column", table, to))

    def _attribute(
        self, operation: AlterType | SetNotNull | DropNotNull | SetDefault | DropDefault
    ) -> None:
        place = ("column", self.key(operation.table), operation.column)
        thing = self.things.setdefault(place, Thing(place, Was.PRESENT))
        if not thing.here:
            self._fail(f"changes {named(place)}, which is not there")
        values = thing.set_back if self.back else thing.set_up
        match operation:
            case AlterType():
                if not thing.set_up and not self.back:
                    thing.old_type = operation.old_type
                values["type"] = operation.type
            case SetNotNull():
                values["null"] = "NOT NULL"
            case DropNotNull():
                values["null"] = "nullable"
            case SetDefault(_, _, default):
                values["default"] = f"with the default {default}"
            case DropDefault():
                values["default"] = "without a default"

    def _constraint(self, operation: AddConstraint | DropConstraint | RenameConstraint) -> None:
        table = self.key(operation.table)
        match operation:
            case AddConstraint(_, kind, name):
                if kind is Constraint.NOT_NULL:
                    return
                text = " ".join((*operation.columns, operation.expression))
                if operation.using_index:
                    self._drop(self._find_index(operation.using_index, table))
                place = ("constraint", table, name) if name else self._missing("constraint", table)
                self._make(place, text=text)
            case DropConstraint(_, name):
                place = ("constraint", table, name)
                if place not in self.things:
                    place = self._unnamed("constraint", table) or place
                self._drop(place, doubtful=operation.if_exists)
            case RenameConstraint(_, name, to):
                self._move(("constraint", table, name), ("constraint", table, to))

    def _index(self, operation: CreateIndex | DropIndex | RenameIndex) -> None:
        match operation:
            case CreateIndex(table, name, columns):
                owner = self.key(table)
                schema, _, _ = owner.rpartition(".")
                place = ("index", "", self.key(f"{schema}.{name}" if schema else name))
                if not name:
                    place = self._missing("index", owner)
                text = " ".join(name or NAMELESS for name in columns or ("",))
                self._make(place, doubtful=operation.if_not_exists, table=owner, text=text)
            case DropIndex(name):
                place = self._find_index(name, "")
                if place not in self.things:
                    place = self._unnamed("index", "") or place
                self._drop(place, doubtful=operation.if_exists)
            case RenameIndex(name, to):
                schema, _, _ = self.key(name).rpartition(".")
                new = self.key(f"{schema}.{to}" if schema else to)
                self._move(self._find_index(name, ""), ("index", "", new))

    def _find_index(self, name: str, table: str) -> Place:
        """The place of an index; its own name is enough where the search path says the schema."""
        schema, _, _ = table.rpartition(".")
        place = ("index", "", self.key(f"{schema}.{name}" if schema and "." not in name else name))
        if place in self.things:
            return place
        if "." in place[2]:
            return place
        alike = [p for p in self.things if p[0] == "index" and p[2].rpartition(".")[2] == place[2]]
        return alike[0] if len(alike) == 1 else place

    def _nameless(self, kind: str, table: str) -> Place:
        return (kind, table if kind != "index" else "", f"{NAMELESS}{len(self.things)}")

    def _missing(self, kind: str, table: str) -> Place:
        """Where something without a name goes: in place of one that the upgrade dropped, if there is one."""
        for place, thing in self.things.items():
            owned = place[0] == kind and (place[1] == table or kind == "index")
            if owned and self.back and not thing.here and thing.was is Was.PRESENT:
                return place
        return self._nameless(kind, table)

    def _unnamed(self, kind: str, table: str) -> Place | None:
        """Something without a name that an unknown name may mean: the server made one up."""
        for place, thing in self.things.items():
            if place[:2] == (kind, table) and place[2].startswith(NAMELESS) and thing.here:
                return place
        return None

    def _other(self, operation: Operation) -> None:
        match operation:
            case CreateType(name):
                self._make(("type", "", self.key(name)))
            case CreateObject(kind, name, replaces, exists):
                self._make((kind, "", self.key(name)), doubtful=replaces or exists)
            case DropObject(kind, name):
                kind = (
                    "type"
                    if kind == "domain" and ("type", "", self.key(name)) in self.things
                    else kind
                )
                self._drop((kind, "", self.key(name)), doubtful=operation.if_exists)
            case AlterObject(kind, name, action) if action.startswith("rename to "):
                schema, _, _ = self.key(name).rpartition(".")
                to = action.removeprefix("rename to ")
                new = self.key(f"{schema}.{to}" if schema else to)
                self._move((kind, "", self.key(name)), (kind, "", new))
            case ChangeTrigger(table, "create" | "drop" as action, name) if name:
                place = ("trigger", self.key(table), name)
                self._make(place) if action == "create" else self._drop(place)
            case Procedural(what, name) if what in {"create function", "create procedure"}:
                self._make(("function", "", self.key(name)), doubtful=True)
            case Procedural() | Unrecognised() | RebuildTable():
                self.unknown = True
            case _:
                pass
