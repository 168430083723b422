"""Stand in for Alembic's run_migrations: every revision up and then down, bounded, and never in each other's way."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from . import address, batch, quoting
from .believed import believed
from .channel import Limit, describe, failure_line
from .guard import bounded
from .modules import Unimportable, load_lazily

if TYPE_CHECKING:
    from .state import State


class OtherDialect(Exception):
    """env.py connects to another kind of database than the one that is asked about."""


def install(state: State) -> None:
    """Patch Alembic: the run, the version table, the loading of revision files, and its way to give up."""
    from alembic import util
    from alembic.runtime.migration import MigrationContext

    def give_up(message: str, *_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError(message)

    def run(self: Any, **arguments: Any) -> None:
        _run(state, self, arguments)

    # Replaying the history needs every module; otherwise only those that are asked for.
    request = state.request
    everything = request["partial"] or request["replay"] == "always"
    wanted = None if everything else frozenset(request["pending"])
    util.load_python_file = load_lazily(util.load_python_file, wanted, request["known"])
    util.err = give_up
    # Alembic has no hook for these; in the child nothing may reach a database, so its methods are replaced.
    MigrationContext.run_migrations = run  # type: ignore[method-assign]
    MigrationContext.get_current_heads = lambda self: state.heads  # type: ignore[method-assign]
    MigrationContext._ensure_version_table = lambda self, purge=False: None  # type: ignore[method-assign]
    MigrationContext._has_version_table = lambda self: True  # type: ignore[method-assign]
    batch.install(state)


def _run(state: State, context: Any, arguments: dict[str, Any]) -> None:
    request = state.request
    if context.as_sql:
        raise RuntimeError("the command runs in offline mode")
    connects = address.of(context.dialect) if state.tier != "bare" else None
    if connects is not None:
        state.channel.send("connects", **connects)
    if context.dialect.name != request["dialect"]:
        state.mismatch = context.dialect.name
        raise OtherDialect(context.dialect.name)
    history, pending = _scripts(state, context)
    if state.runs:
        state.reset()
    state.runs += 1
    table = context.version_table
    state.channel.send(
        "run",
        tier=state.tier,
        transactional=bool(context.impl.transactional_ddl),
        each=_each(state, context, len(pending)),
        version_table=f"{context.version_table_schema}.{table}"
        if context.version_table_schema
        else table,
        replayed=len(history) > len(pending),
        steps=[
            [script.revision, script.path, list(script._versioned_down_revisions)]
            for script in pending
        ],
    )
    if context.on_version_apply_callbacks:
        state.channel.note("env.py's on_version_apply callbacks were not run.")
    asked = {script.revision for script in pending}
    replayed, told = len(history) > len(pending), False
    for script in history:
        silent = script.revision not in asked
        if replayed and not silent and not told:
            told = True
            state.channel.send("schema", schema=believed(state.catalogue, context.dialect.name))
        _one(state, context, script, "upgrade", arguments, silent=silent)
    for script in reversed(pending):
        _one(state, context, script, "downgrade", arguments, silent=False)
    state.complete = True
    state.channel.send("complete")


def _each(state: State, context: Any, pending: int) -> bool:
    """Whether each revision has a transaction of its own; where it can't have one, that is said."""
    if not getattr(context, "_in_external_transaction", False):
        return bool(context._transaction_per_migration)
    if pending > 1 and context.impl.transactional_ddl and state.tier != "bare":
        state.channel.note(
            "All revisions run in one transaction, which env.py begins itself: one that fails takes all of them back,"
            " and each lock is held until the last one is done."
        )
    return False


def _scripts(state: State, context: Any) -> tuple[list[Any], list[Any]]:
    """(all revisions to run in order, those of them that are asked for).

    Without a catalogue the history up to the current revisions comes first, to know the schema.
    """
    request = state.request
    current = tuple(request["current"])
    replay = request["replay"] == "always"
    try:
        if request["only"]:
            everything = _steps(context, "heads", ())
            pending = [script for script in everything if script.revision in request["pending"]]
            return (everything if replay else pending), pending
        if request["target"] in request["command"] or context.script is None:
            steps = context._migrations_fn(current, context)
            pending = [step.revision for step in steps if getattr(step, "is_upgrade", False)]
        else:
            pending = _steps(context, request["target"], current)
    except Exception:
        if state.tier != "bare":
            raise
        # The last way of running: the order that was read from the files.
        pending = [context.script.get_revision(name) for name in request["pending"]]
    if not replay or not current:
        return pending, pending
    return [*_steps(context, current, ()), *pending], pending


def _steps(context: Any, target: Any, heads: tuple[str, ...]) -> list[Any]:
    return [step.revision for step in context.script._upgrade_revs(target, heads)]


def _one(
    state: State,
    context: Any,
    script: Any,
    direction: str,
    arguments: dict[str, Any],
    *,
    silent: bool,
) -> None:
    channel, request = state.channel, state.request
    function = getattr(script.module, direction, _no_upgrade if direction == "upgrade" else None)
    if function is None:
        return
    path = getattr(script.module, "__file__", None) or script.path
    if script.revision in request["skip"]:
        return
    # Signals reach the main thread only; elsewhere the parent's limit must do.
    main = threading.current_thread() is threading.main_thread()
    channel.enter(script.revision, path, direction, silent=silent)
    at = script._versioned_down_revisions if direction == "upgrade" else (script.revision,)
    state.versions = (context.version_table, tuple(at))
    state.control.follow(context)
    quoting.follow()
    try:
        limit = bounded(request["revision_seconds"]) if main else nullcontext()
        with limit, context.begin_transaction(_per_migration=True):
            function(**arguments)
    except (Exception, SystemExit, Limit) as error:
        _failed(state, error, path, script.revision, direction, silent=silent)
    finally:
        channel.leave()


def _no_upgrade(**_arguments: Any) -> None:
    raise AttributeError("it has no upgrade function")


def _failed(
    state: State, error: BaseException, path: str, revision: str, direction: str, *, silent: bool
) -> None:
    if silent:
        if direction == "upgrade":
            state.channel.note(
                f"Revision {revision} of the history could not be replayed: {describe(error)}"
            )
        return
    if isinstance(error, Unimportable):
        state.channel.send("fail", kind="import", line=getattr(error, "line", 0), what=str(error))
        return
    kind = (
        "limit"
        if isinstance(error, Limit)
        else "exit"
        if isinstance(error, SystemExit)
        else "error"
    )
    state.channel.send("fail", kind=kind, line=failure_line(error, path), what=describe(error))
