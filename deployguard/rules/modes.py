"""The names of PostgreSQL's table locks, weakest first, and of the work that is done under them.

Source: https://www.postgresql.org/docs/current/explicit-locking.html
"""

from deployguard.model import Lock

ROW = "ROW EXCLUSIVE"
SUX = "SHARE UPDATE EXCLUSIVE"
S = "SHARE"
SRX = "SHARE ROW EXCLUSIVE"
E = "EXCLUSIVE"
AX = "ACCESS EXCLUSIVE"
MODES = ("ACCESS SHARE", "ROW SHARE", ROW, SUX, S, SRX, E, AX)
REWRITE, SCAN, BUILD = "rewrite", "scan", "index build"
BLOCKS = {S: "writes", SRX: "writes", E: "writes", AX: "reads and writes"}


def lock(relation: str, mode: str, work: str = "") -> Lock:
    return Lock(relation, mode, BLOCKS.get(mode, "schema changes"), work)


def dependents(name: str) -> str:
    """What a CASCADE takes along: no snapshot names all of it, so neither does a claim."""
    return f"what depends on {name}"


def domain(name: str) -> str:
    """The tables with a column of a domain, which no snapshot lists."""
    return f"every table that uses the domain {name}"
