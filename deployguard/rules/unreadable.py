"""DG9xx: what could not be read completely, and how bad it has to be taken to be."""

import re

from deployguard.model import Opacity, Opaque, Risk
from deployguard.operations import Procedural, Unrecognised
from deployguard.rules.access import outside
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context

_REHEARSE = "Look at the revision yourself, and rehearse it on a copy of the database."
_SQL = "Write what it does as ordinary statements (op.execute), which can be read."


def _said(op: Opacity, code: Opaque, message: str) -> Answer:
    if op.code is not code:
        return None
    return Found(f"{message}{f': {op.detail}' if op.detail else '.'}", line=op.line)


@rule(
    "DG901",
    "failed",
    Opacity,
    Risk.CRITICAL,
    effect="Reading the revision stopped with an error: what it does, and whether"
    " it runs at all, is unknown.",
    instead=f"Make it run with what is installed here (read.python, read.pass_environment)."
    f" {_REHEARSE}",
    bad=("-- opaque: failed",),
    good=("ALTER TABLE orders ADD COLUMN a int",),
)
def failed(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(op, Opaque.FAILED, "The revision could not be read to its end")


@rule(
    "DG902",
    "data-dependent",
    Opacity,
    Risk.HIGH,
    effect="What it does depends on the rows it finds, and the"
    " rows of the target were not available when it was read.",
    instead=f"{_SQL} A single UPDATE … FROM can replace a loop over rows.",
    bad=("-- opaque: data-dependent", "-- opaque: data-dependent writes"),
    good=("SELECT 1",),
)
def data_dependent(op: Opacity, ctx: Context) -> Answer:
    del ctx
    answer = _said(op, Opaque.DATA_DEPENDENT, "Rows of a table decide what happens")
    if isinstance(answer, Found) and op.writes:
        return Found(answer.message, Risk.CRITICAL, answer.line)
    return answer


@rule(
    "DG903",
    "unseen-writes",
    Opacity,
    Risk.CRITICAL,
    effect="The source changes rows, but no such statement was seen: it runs for each row that the"
    " target has.",
    instead=f"{_SQL} Take a backup first.",
    bad=("-- opaque: unseen-writes",),
    good=("CREATE TABLE t (a int); INSERT INTO t VALUES (1)",),
)
def unseen_writes(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(
        op, Opaque.UNSEEN_WRITES, "Changes rows in ways that were not seen while it was read"
    )


@rule(
    "DG904",
    "application-helper",
    Opacity,
    Risk.CRITICAL,
    effect="The work is done by a module of the application that can't be imported here: what it"
    " does is unknown.",
    instead="Install the application in the interpreter of read.python, or copy the helper into"
    " the revision: an old revision"
    " must not change with the application anyway.",
    bad=("-- opaque: application-helper",),
    good=("CREATE TABLE t (a int)",),
)
def application_helper(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(op, Opaque.APPLICATION_HELPER, "Calls code that can't be imported here")


@rule(
    "DG905",
    "guarded",
    Opacity,
    Risk.HIGH,
    effect="What it does depends on what the database has, and the target was not asked.",
    instead="Check against the database itself (leave out --since), so that the question has its"
    " answer.",
    bad=("-- opaque: guarded",),
    good=("CREATE TABLE IF NOT EXISTS t (a int)",),
)
def guarded(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(op, Opaque.GUARDED, "An inspector decides what happens")


@rule(
    "DG906",
    "external-input",
    Opacity,
    Risk.HIGH,
    effect="A file, a variable, the network or the clock decides what happens: it can differ where"
    " it really runs.",
    instead="Put the values into the revision, or check on the machine and with the settings it"
    " will run with.",
    bad=("-- opaque: external-input",),
    good=("CREATE TABLE t (a int)",),
)
def external_input(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(
        op, Opaque.EXTERNAL_INPUT, "Something outside of the database decides what happens"
    )


@rule(
    "DG907",
    "procedural",
    (Procedural, Opacity),
    Risk.CRITICAL,
    effect="What it does is in code that runs inside the server, and that is not read.",
    instead=_SQL,
    bad=(
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident('orders'); END $$",
        "CALL tidy_up()",
        "SELECT tidy_up()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "-- opaque: procedural",
    ),
    good=(
        "SELECT lower('A')",
        "SELECT nextval('numbers')",
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('ok'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    ),
)
def procedural(op: Procedural | Opacity, ctx: Context) -> Answer:
    if isinstance(op, Opacity):
        return _said(op, Opaque.PROCEDURAL, "Runs code inside the server")
    if op.what.startswith("replace "):
        return None  # DG408
    match op.what:
        case "do":
            return "Runs a DO block whose statements can't all be read."
        case "copy program":
            return None  # DG802
        case "select function":
            return _called(op.name)
        case "create function" | "create procedure":
            return _created(op, ctx)
        case "call" | "execute":
            return f"Runs {op.what.upper()} {op.name}".strip() + "."
        case _:
            return Found(f"Runs {op.what.upper()} {op.name}".strip() + ".", Risk.HIGH)


def _created(op: Procedural, ctx: Context) -> Answer:
    """A body does nothing by being there; whoever calls it in this run is a finding of its own."""
    what = op.what.removeprefix("create ")
    message = f"Creates the {what} {op.name}; what its body does is not read."
    if re.search(r"\bsecurity\s+definer\b", ctx.sql, re.IGNORECASE):
        return Found(
            message,
            Risk.MEDIUM,
            why="Whoever may call it acts with the rights of its owner (SECURITY DEFINER).",
        )
    return Found(message, Risk.LOW, why="It runs when something calls it, not by being created.")


_SERVER = {
    "pg_terminate_backend": "ends the sessions of others",
    "pg_cancel_backend": "cuts off the statements of others",
    "pg_reload_conf": "changes the server's settings",
    "pg_rotate_logfile": "changes the server's log",
    "pg_promote": "makes a replica the primary",
    "pg_drop_replication_slot": "cuts a replica off",
}


def _called(name: str) -> Answer:
    """What is known of a function that a SELECT calls."""
    own = name.removeprefix("pg_catalog.")
    if outside(own):
        return None  # DG802
    if own in {"lo_unlink", "lo_truncate", "lo_put", "lowrite"}:
        return f"Calls {own}, which changes or deletes large objects."
    if own in _SERVER:
        message = f"Calls {own}, which {_SERVER[own]}."
        return Found(message, Risk.HIGH, why="No rollback takes that back.")
    return f"Calls the function {name}, which is not known."


@rule(
    "DG908",
    "unparsed",
    (Unrecognised, Opacity),
    Risk.CRITICAL,
    effect="What it does is unknown, so the worst is assumed.",
    instead=f"Write it in a form that can be read; if it is correct SQL, tell us. {_REHEARSE}",
    bad=(
        "ALTER TABLE orders FROBNICATE",
        "-- dialect: sqlite\nALTER TABLE orders FROBNICATE",
        "-- opaque: unparsed",
    ),
    good=("ALTER TABLE orders ADD COLUMN a int",),
)
def unparsed(op: Unrecognised | Opacity, ctx: Context) -> Answer:
    if isinstance(op, Opacity):
        return _said(op, Opaque.UNPARSED, "A statement could not be read")
    statement = " ".join(ctx.sql.split())
    shown = statement if len(statement) <= 60 else statement[:57] + "…"
    return f"Not understood: {shown} ({op.reason})."


@rule(
    "DG909",
    "empty",
    Opacity,
    Risk.HIGH,
    effect="The function has a body, yet nothing was seen: on another database, or with other"
    " rows, it may do something.",
    instead=_REHEARSE,
    bad=("-- opaque: empty",),
    good=("ANALYZE orders",),
)
def empty(op: Opacity, ctx: Context) -> Answer:
    del ctx
    return _said(op, Opaque.EMPTY, "Nothing was seen of what it does")


RULES = (
    failed,
    data_dependent,
    unseen_writes,
    application_helper,
    guarded,
    external_input,
    procedural,
    unparsed,
    empty,
)
