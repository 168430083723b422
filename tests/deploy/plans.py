"""Plans for tests, built by the real gate from hand-made verdicts."""

import hashlib
from collections.abc import Iterator

from deployguard import gate
from deployguard.config import Policy
from deployguard.model import (
    Answers,
    Body,
    Evidence,
    Finding,
    Opacity,
    Plan,
    Revision,
    Risk,
    Script,
    Statement,
    Undo,
    Verdict,
    Way,
)
from deployguard.operations import AddColumn, CreateTable, DropColumn, DropTable, Operation

ANSWERS = Answers("no", "no", "no", "yes")
CREATE = CreateTable("notes", ("id", "text"))
ADD = AddColumn("rooms", "colour", "text")
DROP = DropColumn("rooms", "size")


def verdict(
    name: str = "b",
    parent: str | None = "a",
    *,
    risk: Risk = Risk.LOW,
    expand: bool = True,
    way: Way = Way.LOSSLESS,
    operations: tuple[Operation, ...] = (ADD,),
    sql: str = "ALTER TABLE rooms ADD COLUMN colour text",
    file: str = "file",
    opacities: tuple[Opacity, ...] = (),
    in_transaction: bool = True,
    message: str = "m",
) -> Verdict:
    up = Script(Body.PRESENT, 10, (Statement(sql, 11, operations, in_transaction),), opacities)
    revision = Revision(
        id=name,
        parents=(parent,) if parent else (),
        path=f"versions/{name}.py",
        message=f"change {name}",
        digest=hashlib.sha256(file.encode()).hexdigest(),
        up=up,
        down=Script(Body.PRESENT, 20, tuple(_taken_back(operations))),
        evidence=Evidence.RECORDED,
    )
    found = (
        ()
        if risk is Risk.LOW
        else (Finding("DG102", risk, name, revision.path, 11, message, "why", "instead"),)
    )
    return Verdict(revision, risk, found, (), Undo(way, "because"), expand)


def _taken_back(operations: tuple[Operation, ...]) -> Iterator[Statement]:
    """The downgrade that people write: it drops what the upgrade made."""
    for operation in reversed(operations):
        match operation:
            case CreateTable(table):
                yield Statement(f"DROP TABLE {table}", 21, (DropTable(table),))
            case AddColumn(table, column):
                sql = f"ALTER TABLE {table} DROP COLUMN {column}"
                yield Statement(sql, 21, (DropColumn(table, column),))
            case _:
                pass


def plan(
    *verdicts: Verdict,
    current: tuple[str, ...] = ("a",),
    policy: Policy | None = None,
    environment: str = "production",
    identity: str = "server/1",
    notes: tuple[str, ...] = (),
) -> Plan:
    return gate.make_plan(
        environment=environment,
        target="postgresql://app@db/app",
        identity=identity,
        dialect="postgresql",
        current=current,
        heads=(verdicts[-1].revision.id,) if verdicts else current,
        verdicts=verdicts,
        answers=ANSWERS,
        policy=policy or Policy(),
        notes=notes,
    )
