"""The lock that each operation takes on relations that were there before; measured by tests/rules.

PostgreSQL's claims are in postgres_locks.py; tests/rules/test_locks_measured.py runs every one on a real server.
"""

from deployguard.model import Lock
from deployguard.operations import (
    CreateIndex,
    CreateObject,
    CreateTable,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RebuildTable,
    Reindex,
    RewriteTable,
    SetSetting,
)
from deployguard.rules.context import Context
from deployguard.rules.modes import BUILD, MODES, REWRITE, SCAN, E, lock
from deployguard.rules.mysql_locks import mysql_locks
from deployguard.rules.postgres_locks import postgres_locks

__all__ = ["BUILD", "FILE", "MODES", "REWRITE", "SCAN", "lock", "locks"]

FILE = "the database file"


def locks(operation: Operation, context: Context) -> tuple[Lock, ...]:
    """What ``operation`` locks; a table that this run created is left out, since nobody uses it yet."""
    if isinstance(operation, SetSetting | ReadRows | Maintain | Procedural):
        return ()
    if context.sqlite:
        return _sqlite(operation, context)
    if context.mysql:
        return mysql_locks(operation, context)
    if not context.postgresql:
        table = getattr(operation, "table", "")
        known = isinstance(table, str) and table and not context.is_new(table)
        return (Lock(str(table), "unknown", "unknown"),) if known else ()
    return tuple(
        one
        for one in postgres_locks(operation, context)
        if not context.is_new(one.relation) and context.key(one.relation) not in context.objects
    )


def _sqlite(operation: Operation, context: Context) -> tuple[Lock, ...]:
    if isinstance(operation, CreateTable | CreateObject):
        return ()
    table = getattr(operation, "table", "")
    if isinstance(table, str) and table and context.is_new(table):
        return ()
    if isinstance(operation, RebuildTable | RewriteTable):
        return (Lock(FILE, E, "reads and writes", REWRITE),)
    build = isinstance(operation, CreateIndex | Reindex)
    return (Lock(FILE, E, "reads and writes", BUILD if build else ""),)
