"""What a recorded dialect does with statements and transactions: members for its class, by name."""

from __future__ import annotations

from typing import Any

_LEVELS = ("AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE")


def isolation() -> dict[str, Any]:
    """Isolation levels: of them only AUTOCOMMIT matters here."""

    def set_level(_self: Any, connection: Any, level: Any) -> None:
        connection.autocommit = str(level).replace("_", " ").upper() == "AUTOCOMMIT"

    return {
        "set_isolation_level": set_level,
        "get_isolation_level": lambda self, connection: (
            "AUTOCOMMIT" if connection.autocommit else "READ COMMITTED"
        ),
        "get_default_isolation_level": lambda self, connection: "READ COMMITTED",
        "reset_isolation_level": lambda self, connection: setattr(connection, "autocommit", False),
        "get_isolation_level_values": lambda self, connection: list(_LEVELS),
        "detect_autocommit_setting": lambda self, connection: bool(connection.autocommit),
        "set_readonly": lambda self, connection, value: None,
        "set_deferrable": lambda self, connection, value: None,
    }


def execution() -> dict[str, Any]:
    """Statements, with the context that tells what they were made of."""

    def execute(
        _self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> None:
        cursor.execute(statement, parameters, context=context)

    def execute_many(
        _self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> None:
        cursor.executemany(statement, parameters, context=context)

    def execute_plain(_self: Any, cursor: Any, statement: Any, context: Any = None) -> None:
        cursor.execute(statement, None, context=context)

    return {
        "do_execute": execute,
        "do_executemany": execute_many,
        "do_execute_no_params": execute_plain,
        "do_set_input_sizes": lambda self, *args: None,
    }


def returning(base: Any) -> dict[str, Any]:
    """INSERT … RETURNING of many rows: one statement, as SQLAlchemy 2 sends it; its rows are made up in order."""
    many = bool(getattr(base, "use_insertmanyvalues", False)) and base.name == "postgresql"
    return {
        "use_insertmanyvalues": False,
        "use_insertmanyvalues_wo_returning": False,
        "insert_executemany_returning": many,
        "insert_executemany_returning_sort_by_parameter_order": many,
    }
