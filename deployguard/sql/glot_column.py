"""Columns and constraints, of CREATE TABLE and of ALTER TABLE, lowered from sqlglot's trees."""

from dataclasses import dataclass, field

from sqlglot import exp

from deployguard.operations import AddColumn, AddConstraint, Constraint, Volatility
from deployguard.sql.functions import volatility
from deployguard.sql.glot_names import (
    Unknown,
    child,
    children,
    identifier,
    identifiers,
    need,
    only,
    table,
    token_at,
)
from deployguard.sql.source import Source, serial


@dataclass(slots=True)
class _Column:
    """What the constraints of one column definition add up to."""

    nullable: bool = True
    generated: str = ""
    references: str | None = None
    kinds: list[Constraint] = field(default_factory=list)


def column(table_name: str, node: exp.ColumnDef, source: Source) -> AddColumn:
    """A column definition, of CREATE TABLE or of ADD COLUMN."""
    only(node, "this", "kind", "constraints", "exists", "position")
    at = token_at(child(node, "this"), source)
    type_text = source.type_at(at + 1)
    default_sql = source.default_after(at + 1)
    found = _Column(generated="serial" if serial(type_text) else "")
    for item in children(node, "constraints"):
        only(item, "this", "kind")
        _column_constraint(found, child(item, "kind"), at, source)
    return AddColumn(
        table_name,
        identifier(node.this, source),
        type_text,
        nullable=found.nullable,
        default=volatility(default_sql, source.dialect) if default_sql else Volatility.NONE,
        default_sql=default_sql,
        generated=found.generated,
        constraints=tuple(found.kinds),
        references=found.references,
        if_not_exists=bool(node.args.get("exists")),
    )


def _column_constraint(found: _Column, kind: exp.Expression, at: int, source: Source) -> None:
    match kind:
        case exp.NotNullColumnConstraint():
            found.nullable = found.nullable and bool(kind.args.get("allow_null"))
        case exp.PrimaryKeyColumnConstraint():
            found.kinds.append(Constraint.PRIMARY_KEY)
            found.nullable = False
        case exp.UniqueColumnConstraint():
            found.kinds.append(Constraint.UNIQUE)
        case exp.CheckColumnConstraint():
            found.kinds.append(Constraint.CHECK)
        case exp.Reference():
            found.kinds.append(Constraint.FOREIGN_KEY)
            found.references = _referenced(kind, source)
        case exp.GeneratedAsIdentityColumnConstraint() if kind.args.get("expression"):
            found.generated = _computed(at, source)  # without STORED or VIRTUAL sqlglot calls it so
        case exp.GeneratedAsIdentityColumnConstraint():
            found.generated, found.nullable = "identity", False
        case exp.ComputedColumnConstraint():
            found.generated = _computed(at, source)
        case (
            exp.DefaultColumnConstraint()
            | exp.CollateColumnConstraint()
            | exp.AutoIncrementColumnConstraint()
            | exp.CommentColumnConstraint()
            | exp.CharacterSetColumnConstraint()
            | exp.OnUpdateColumnConstraint()
        ):
            pass  # read from the text, or without a danger of its own
        case _:
            raise Unknown(f"column with {type(kind).__name__}")


def _computed(at: int, source: Source) -> str:
    depth = source.tokens[at].depth
    end = source.clause_end(at, set(), depth=depth)
    words = {token.word for token in source.tokens[at:end] if token.depth == depth}
    return "stored" if words & {"stored", "persistent", "persisted"} else "virtual"


def constraint(table_name: str, node: exp.Expression, source: Source) -> AddConstraint:
    """A table constraint, of CREATE TABLE or of ADD CONSTRAINT."""
    name = ""
    if isinstance(node, exp.Constraint):
        only(node, "this", "expressions")
        need(len(node.expressions) == 1)
        name = identifier(node.this, source)
        node = node.expressions[0]
    match node:
        case exp.ForeignKey():
            need(source.find("enforced") < 0)
            only(node, "expressions", "reference", "options", "delete", "update")
            return AddConstraint(
                table_name,
                Constraint.FOREIGN_KEY,
                name,
                columns=identifiers(node.expressions, source),
                references=_referenced(child(node, "reference"), source),
            )
        case exp.PrimaryKey():
            only(node, "expressions", "include", "options")
            columns = identifiers((_bare(item) for item in node.expressions), source)
            return AddConstraint(table_name, Constraint.PRIMARY_KEY, name, columns=columns)
        case exp.UniqueColumnConstraint():
            return _unique(table_name, name, node, source)
        case exp.CheckColumnConstraint():
            return AddConstraint(
                table_name, Constraint.CHECK, name, expression=_check_text(name, source)
            )
        case _:
            raise Unknown(f"constraint {type(node).__name__}")


def _bare(node: exp.Expression) -> exp.Expression:
    return child(node, "this") if isinstance(node, exp.Ordered) else node


def _unique(
    table_name: str, name: str, node: exp.UniqueColumnConstraint, source: Source
) -> AddConstraint:
    only(node, "this", "nulls", "include", "index_type", "options")
    body = child(node, "this")
    need(isinstance(body, exp.Schema))
    if body.args.get("this"):  # MySQL: UNIQUE name (a)
        name = identifier(body.this, source)
    columns = identifiers((_bare(item) for item in body.expressions), source)
    return AddConstraint(table_name, Constraint.UNIQUE, name, columns=columns)


def _check_text(name: str, source: Source) -> str:
    """The condition as written; only asked for one CHECK in a statement, or for a named one."""
    start = 0
    if name:
        for at, token in enumerate(source.tokens[:-1]):
            following = source.tokens[at + 1]
            if token.word == "constraint" and name in (
                following.word,
                following.text[1:-1].replace('""', '"'),
            ):
                start = at
                break
    at = source.find("check", start=start)
    return source.parenthesis_after(at) if at > 0 else ""


def _referenced(node: exp.Expression, source: Source) -> str:
    need(isinstance(node, exp.Reference))
    only(node, "this", "options")
    target = child(node, "this")
    return table(target.this if isinstance(target, exp.Schema) else target, source)
