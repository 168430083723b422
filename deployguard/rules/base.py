"""What a rule is: one function that carries its own documentation and its own tests."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeAlias, TypeVar, cast

from deployguard.model import Opacity, Revision, Risk, Script, Undo
from deployguard.operations import AddConstraint, Constraint, Operation
from deployguard.rules.context import Context
from deployguard.rules.forms import mysql, safe_form
from deployguard.rules.mysql_words import MYSQL


@dataclass(frozen=True, slots=True)
class Whole:
    """A revision as a whole, for rules that look further than one statement."""

    revision: Revision
    up: Script  # with SQLite's batch copies put together
    undo: Undo
    down: Script  # likewise
    before: Context


Subject: TypeAlias = Operation | Opacity | Whole
S = TypeVar("S", bound=Subject)


@dataclass(frozen=True, slots=True)
class Found:
    """A rule's answer where it needs to say more than a message; None keeps what the rule says."""

    message: str
    risk: Risk | None = None
    line: int | None = None
    why: str | None = None
    instead: str | None = None
    only_time: bool | None = None  # see Rule.only_time


Answer: TypeAlias = str | Found | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One hazard. ``effect`` and ``instead`` are for people; ``instead`` may name the operation's fields in braces.

    ``bad`` and ``good`` are examples in the notation of rules/examples.py: each bad one yields this rule's code,
    each good one yields nothing from the whole book. Both are run by the tests and shown in the reference.
    """

    code: str
    name: str
    risk: Risk
    effect: str
    instead: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    types: tuple[type[Subject], ...]
    check: Callable[[Subject, Context], Answer]
    sqlite_effect: str = ""
    sqlite_instead: str = ""
    only_time: bool = False

    def found(self, subject: Subject, context: Context) -> Found | None:
        """The rule's finding on ``subject``, complete; None when it has nothing to say."""
        answer = self.check(subject, context)
        if answer is None:
            return None
        given = Found(answer) if isinstance(answer, str) else answer
        if context.mysql and self.code in MYSQL:
            # What a rule says case by case is about PostgreSQL.
            own = MYSQL[self.code]
            given = replace(
                given,
                why=own.effect or given.why,
                instead=mysql.index(subject, context) or own.instead or given.instead,
            )
        effect = self.sqlite_effect if context.sqlite and self.sqlite_effect else self.effect
        instead = self.sqlite_instead if context.sqlite and self.sqlite_instead else self.instead
        pasteable = "" if given.instead else safe_form(self.code, subject, context)
        return Found(
            given.message,
            given.risk or self.risk,
            given.line,
            given.why or effect,
            pasteable or filled(given.instead or instead, subject),
            given.only_time,
        )


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def filled(template: str, subject: Subject) -> str:
    """``template`` with the subject's own names; ``{{`` stands for a brace."""
    return template.format_map(_Blank(names(subject)))


def names(subject: Subject) -> dict[str, str]:
    """What a template may name: every field, and the forms that Alembic's directives want."""
    if isinstance(subject, Whole | Opacity):
        return {}
    found: dict[str, str] = {}
    for entry in fields(subject):
        value = getattr(subject, entry.name)
        if isinstance(value, str):
            found[entry.name] = value
        elif isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            found[entry.name] = ", ".join(value) or "…"
            quoted = ", ".join(f'"{item}"' for item in value)
            found[f"{entry.name}_list"] = f"[{quoted or '…'}]"
    # MySQL names an index with its table: DropIndex("t.ix").
    found["index_owner"], _, found["index"] = found.get("name", "").rpartition(".")
    schema, _, own = found.get("table", "").rpartition(".")
    found["own"] = own or "…"
    if found.get("name") == "" and own:
        # The database makes up a name for it; a safe form in two steps needs one that is known.
        found["name"] = "_".join([own, *getattr(subject, "columns", ()), _suffix(subject)])
    found["schema"] = f', schema="{schema}"' if schema else ""
    return found


class Decorator(Protocol):
    """Takes the function of one rule."""

    def __call__(self, function: Callable[[S, Context], Answer], /) -> Rule: ...


def _suffix(subject: Subject) -> str:
    kind = subject.kind if isinstance(subject, AddConstraint) else None
    return {Constraint.FOREIGN_KEY: "fkey", Constraint.CHECK: "check", None: "idx"}.get(kind, "key")


def rule(
    code: str,
    name: str,
    types: type[Subject] | tuple[type[Subject], ...],
    risk: Risk,
    *,
    effect: str,
    instead: str,
    bad: tuple[str, ...],
    good: tuple[str, ...],
    sqlite_effect: str = "",
    sqlite_instead: str = "",
    only_time: bool = False,
) -> Decorator:
    """Make a :class:`Rule` of a function that answers for one subject of ``types``, which its annotation repeats."""

    def decorate(function: Callable[[S, Context], Answer], /) -> Rule:
        kinds = types if isinstance(types, tuple) else (types,)

        def check(subject: Subject, context: Context) -> Answer:
            if not isinstance(subject, kinds):
                return None
            return function(cast("S", subject), context)

        return Rule(
            code, name, risk, effect, instead, bad, good, kinds, check,
            sqlite_effect, sqlite_instead, only_time,
        )  # fmt: skip

    return decorate
