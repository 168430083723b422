"""Every rule over every statement of the pending run, in order: revisions in, verdicts out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from deployguard.model import Facts, Finding, Lock, Opacity, Opaque, Revision, Risk, Script, Verdict
from deployguard.operations import AddColumn, Operation, RebuildTable
from deployguard.rules.absent import without_absent
from deployguard.rules.base import Rule, Subject, Whole
from deployguard.rules.batch import collapse, spans
from deployguard.rules.context import Context
from deployguard.rules.estimates import timed, weighed
from deployguard.rules.expand import expand_only
from deployguard.rules.held import Step, held_with, hides_work, strongest, to_the_end, works
from deployguard.rules.locks import locks
from deployguard.rules.undo import judge_undo

_ByKind: TypeAlias = Mapping[type[Subject], Sequence[Rule]]  # the rules that look at a subject


def judge_run(
    book: Sequence[Rule], revisions: Sequence[Revision], facts: Facts
) -> tuple[Verdict, ...]:
    """One verdict a revision. What an earlier one made is known to the later ones."""
    by_kind: dict[type[Subject], list[Rule]] = defaultdict(list)
    for entry in book:
        for kind in entry.types:
            by_kind[kind].append(entry)
    context = Context.start(facts)
    verdicts: list[Verdict] = []
    for revision in revisions:
        context = context.begin(own_transaction=revision.up.own_transaction)
        verdict, context = _judge_one(by_kind, revision, context)
        verdicts.append(verdict)
    return tuple(verdicts)


def _judge_one(book: _ByKind, revision: Revision, before: Context) -> tuple[Verdict, Context]:
    up, down = collapse(revision.up, before.dialect), collapse(revision.down, before.dialect)
    covered = spans(revision.up, up)
    up, before = without_absent(up, before)
    undo = judge_undo(revision, up, down, before)
    findings: list[Finding] = []
    taken: list[Step] = []
    steps = tuple(one for statement in up.statements for one in statement.operations)
    context = replace(before, steps=steps, done=0)
    for statement, span in zip(up.statements, covered, strict=True):
        context = context.at(
            statement.sql, in_transaction=statement.in_transaction, place=statement.place
        )
        for operation in statement.operations:
            context = replace(context, done=context.done + 1)
            found = _on_operation(book, operation, context, revision, statement.line)
            findings += [replace(one, statements=(span,)) for one in found]
            new, context = _locks(operation, context)
            taken.append(Step(tuple(new), works(operation, new), context.in_transaction))
            context = context.after(operation)
    whole = Whole(revision, up, undo, down, before)
    findings += _findings(book, whole, context, revision, up.line)
    findings += _on_opacities(book, up, context, revision, findings)
    findings = _once(findings)
    findings.sort(key=lambda finding: (-finding.risk, finding.line, finding.rule))
    risk = max((finding.risk for finding in findings), default=Risk.LOW)
    verdict = Verdict(
        revision,
        risk,
        tuple(findings),
        strongest(to_the_end(taken, hidden=hides_work(up))),
        undo,
        expand_only(up, before),
    )
    return verdict, replace(context, sql="", in_transaction=True, steps=(), done=0)


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """A loop says the same over and over: one finding, which knows all the statements that it is about."""
    spans: dict[Finding, dict[tuple[int, int], None]] = {}
    for one in findings:
        spans.setdefault(one, {}).update(dict.fromkeys(one.statements))
    said = [replace(one, statements=tuple(found)) for one, found in spans.items()]
    # Locks that are held are one cause, whatever comes after them: the worst is told, the first where equal.
    piled = [one for one in said if one.rule == "DG214"]
    told = max(piled, key=lambda one: one.risk, default=None)
    return [one for one in said if one.rule != "DG214" or one is told]


def _locks(operation: Operation, context: Context) -> tuple[list[Lock], Context]:
    """The locks of one operation as others feel them: in a transaction each is held to its end."""
    key = context.key
    taken = timed(locks(operation, context), operation, context)
    new = [held_with(one, context.held.get(key(one.relation))) for one in taken]
    if not context.in_transaction or context.mysql:
        return new, context  # MySQL commits each change of the schema, and gives its locks up
    held = {**context.held, **{key(one.relation): one for one in new}}
    return new, replace(context, held=held)


def _on_operation(
    book: _ByKind, operation: Operation, context: Context, revision: Revision, line: int
) -> list[Finding]:
    """The findings on one operation; a rebuilt table is judged by what differs, and by itself where nothing does."""
    if isinstance(operation, RebuildTable) and operation.changes is not None:
        found: list[Finding] = []
        inner = replace(context, rebuilding=True)
        lines = operation.lines or (0,) * len(operation.changes)
        for change, at in zip(operation.changes, lines, strict=True):
            found += _findings(book, change, inner, revision, at or line)
            inner = inner.after(change)
        only_new = operation.changes and all(
            isinstance(one, AddColumn) for one in operation.changes
        )
        if found or only_new:
            # That the table is copied is said by what differs; what the copy itself endangers is not.
            about_it = _findings(book, operation, context, revision, line)
            return found + [one for one in about_it if one.rule != "DG212"]
    return list(_findings(book, operation, context, revision, line))


def _on_opacities(
    book: _ByKind,
    up: Script,
    context: Context,
    revision: Revision,
    so_far: list[Finding],
) -> Iterator[Finding]:
    """What the reader could not see; once, where a statement has already shown it."""
    known = {(finding.rule, finding.line) for finding in so_far}
    codes = {finding.rule for finding in so_far}
    for opacity in up.opacities:
        for finding in _findings(book, opacity, context, revision, opacity.line):
            once = opacity.code is Opaque.NON_ATOMIC and finding.rule in codes
            replaced = opacity.code is Opaque.PROCEDURAL and ("DG408", finding.line) in known
            if not once and not replaced and (finding.rule, finding.line) not in known:
                yield finding


def _findings(
    book: _ByKind, subject: Subject, context: Context, revision: Revision, line: int
) -> Iterator[Finding]:
    for entry in book.get(type(subject), ()):
        found = entry.found(subject, context)
        if found is not None and not isinstance(subject, Whole | Opacity):
            found = weighed(entry, found, subject, context)
        if found is not None and found.risk is not None:
            yield Finding(
                entry.code,
                found.risk,
                revision.id,
                revision.path,
                line if found.line is None else found.line,
                found.message,
                found.why or "",
                found.instead or "",
            )
