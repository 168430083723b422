"""The safe form of an index on MySQL and MariaDB: the statement as it was written, which may block nobody."""

import re

from deployguard.operations import AddConstraint, Constraint, CreateIndex
from deployguard.rules.context import Context
from deployguard.rules.forms.spelled import execute

_STATED = re.compile(r"\b(?:algorithm|lock)\s*=", re.IGNORECASE)
_CREATES = re.compile(r"\s*create\b", re.IGNORECASE)
_ALTERS = re.compile(r"\s*alter\b", re.IGNORECASE)


def index(operation: object, ctx: Context) -> str:
    """With lengths of prefixes, order and all; "" where the statement is not one to add to."""
    unique = isinstance(operation, AddConstraint) and operation.kind is Constraint.UNIQUE
    text = ctx.sql.strip().rstrip(";").rstrip()
    if not (isinstance(operation, CreateIndex) or unique) or _STATED.search(text):
        return ""
    # A FULLTEXT or SPATIAL index can't be built while others write.
    lock = "SHARED" if isinstance(operation, CreateIndex) and operation.kind else "NONE"
    first = "Look for duplicates first, then\n" if unique else ""
    if _CREATES.match(text):
        return f"{first}{execute(f'{text} ALGORITHM=INPLACE LOCK={lock}')}"
    if _ALTERS.match(text):
        return f"{first}{execute(f'{text}, ALGORITHM=INPLACE, LOCK={lock}')}"
    return ""
