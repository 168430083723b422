"""Who decides a value, and by which words a call is known that decides nothing, asks, or acts."""

import re
from collections.abc import Mapping
from enum import IntEnum

INSPECTS = {"inspect", "from_engine", "reflect", "has_table", "has_column", "has_index"}
KNOWN = {"get_bind", "get_context", "is_offline_mode", "get_x_argument", "f", "get_main_option"}
QUIET = {"print", "info", "debug", "warning", "warn", "log", "getLogger", "error", "exception"}
PURE = set(
    """set list tuple dict frozenset len any all sorted str int bool isinstance getattr hasattr zip enumerate
    range next iter filter map min max sum abs reversed repr type lower upper strip startswith endswith
    split join format replace get items keys values union intersection difference index count issubset
    first scalar fetchone fetchall scalar_one scalar_one_or_none scalars all mappings one one_or_none
    rowcount copy update insert delete where values bindparams label in_ is_ isnot is_not asc desc""".split()  # noqa: SIM905 - a list of words
)
BUILDS = {"update", "insert", "delete"}  # or do it, when an ORM's query is asked
RUNS = {"execute", "scalar", "scalars", "exec_driver_sql"}
ASKS = re.compile(r"^_*(get|has|is|check)_(?!.*create)|(^|_)(exists?|present|missing)$")
HELPS = re.compile(r"_*(create|add|drop|rename|alter|ensure|safe)_(?!all$)")
SERVER = re.compile(r"\s*(show\s|select\s+(version|current_\w+)\b)", re.IGNORECASE)


class Level(IntEnum):
    """Who decides: nobody but the file and the dialect, the schema too, whoever calls, or something not known here.

    GIVEN is the same each time the same thing calls: what env.py passes, the machine, the application's settings.
    """

    FIXED = 0
    SCHEMA = 1
    GIVEN = 2
    OPEN = 3


# What a recording has in the place of the target's own; its version is known with its schema.
BY_TARGET = {
    "environ": Level.OPEN,
    "url": Level.OPEN,
    "argv": Level.GIVEN,
    "platform": Level.GIVEN,
    "attributes": Level.GIVEN,  # of Alembic's Config: whoever made it sets them
    "opts": Level.GIVEN,  # of its context: what env.py configures
    "server_version_info": Level.SCHEMA,
    "default_schema_name": Level.SCHEMA,
}
_OF_SCHEMA = re.compile(r"table|column|index|constraint|key|enum|type|exist|inspect|reflect")
_OF_MACHINE = {"os": {"environ", "name"}, "sys": {"argv", "platform"}}
_OPERATES = re.compile(
    r"(add_column|bulk_insert|drop_\w+|alter_\w+|rename_\w+"
    r"|create_(index|foreign_key|primary_key|\w+_constraint))$"
)


def inspects(name: str) -> bool:
    """By its name: an inspector's question, or a function of the application's that asks one."""
    return name not in KNOWN and (name in INSPECTS or ASKS.search(name) is not None)


def of_schema(name: str) -> bool:
    """By its name: what a helper of the application asks is how the schema is, and not how the application is set."""
    return _OF_SCHEMA.search(name) is not None


def operates(name: str) -> bool:
    """By its name: one of Alembic's operations that may hurt; a new table does not."""
    return name in RUNS or _OPERATES.match(name) is not None


def outside(taken: Mapping[str, tuple[str, str]], application: set[str]) -> frozenset[str]:
    """The names that a file takes from the application, the environment or the machine.

    `taken` maps a name to its module and its name there, "" for a module as a whole.
    """
    return frozenset(
        name
        for name, (module, there) in taken.items()
        if module in application or there in _OF_MACHINE.get(module, ())
    )
