"""Make every SQLAlchemy engine of this process use the recorder, whatever its dialect and driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import address, checkfirst, executing
from .drivers import fake_dbapi
from .memory import sqlite_dbapi
from .reflection import QUESTIONS, Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import State

# SQLAlchemy 1.4 does not say that an engine is for asyncio; the driver that env.py names does.
_ASYNCHRONOUS = ("+asyncpg", "+aiosqlite", "+aiomysql", "+asyncmy", "+psycopg_async")
_FAMILIES = ("PGDialect", "MySQLDialect", "OracleDialect", "MSDialect")


def install(state: State) -> None:
    """Patch SQLAlchemy: dialect classes, connections, and the arguments of create_engine."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine, url

    kinds: dict[type, type] = {}
    original = url.URL._get_entrypoint

    def recorded(found: Any) -> type:
        kind = found if isinstance(found, type) else type(found)  # mariadb's is an object
        if hasattr(kind, "_deployguard"):
            return kind
        if kind not in kinds:
            build = _sqlite if kind.name == "sqlite" else _fake  # type: ignore[attr-defined]  # a dialect class
            kinds[kind] = build(kind, state, recorded)
        return kinds[kind]

    # SQLAlchemy asks nobody for a dialect: in the child it is given ours, so its method is replaced.
    url.URL._get_entrypoint = lambda self: recorded(original(self))  # type: ignore[method-assign]
    event.listen(
        Engine, "do_connect", lambda dialect, _record, _args, _kwargs: state.connect(dialect)
    )
    _keep_connections()
    _patch_create_engine(state)
    checkfirst.install(state)


def _keep_connections() -> None:
    """A revision that is stopped in the middle of a statement must not cost the others their connection."""
    from sqlalchemy.engine import Connection
    from sqlalchemy.pool import Pool

    def nothing(_self: Any, *_given: Any, **_named: Any) -> None:
        return None

    Connection.invalidate = nothing  # type: ignore[assignment]  # there is no server that went away
    Pool._invalidate = nothing  # type: ignore[assignment]  # the same


def _patch_create_engine(state: State) -> None:
    import sqlalchemy
    from sqlalchemy import engine
    from sqlalchemy.engine import create
    from sqlalchemy.engine.url import make_url

    original = create.create_engine

    def create_engine(url: Any, **options: Any) -> Any:
        given = url, dict(options)
        # A connection made by the project itself would bypass the recorder.
        for name in ("creator", "pool", "module", "connect_args"):
            options.pop(name, None)
        options["hide_parameters"] = True
        if state.forced:
            asked = options.get("_is_async") or make_url(url).drivername.endswith(_ASYNCHRONOUS)
            url = forced(state.request["url"], asynchronous=bool(asked))
        made = original(url, **options)
        address.note(made, *given)
        return made

    for module in (create, engine, sqlalchemy):
        module.create_engine = create_engine  # type: ignore[attr-defined]  # the same function in three places


def forced(address: str, *, asynchronous: bool) -> Any:
    """The request's URL, with a driver of the kind that is wanted."""
    from sqlalchemy.engine.url import make_url

    url = make_url(address)
    name = url.get_backend_name()
    drivers = {"postgresql": "asyncpg", "sqlite": "aiosqlite", "mysql": "aiomysql"}
    if asynchronous and name in drivers:
        return url.set(drivername=f"{name}+{drivers[name]}")
    return url.set(drivername=name)


def _common(base: Any, state: State, recorded: Callable[[type], type]) -> dict[str, Any]:
    def on_connect(self: Any) -> Any:
        level = getattr(self, "isolation_level", None)
        if level is None or hasattr(self, "_on_connect_isolation_level"):
            return None
        return lambda connection: self.set_isolation_level(connection, level)  # SQLAlchemy 1.4

    return {
        "supports_statement_cache": False,
        "get_dialect_cls": classmethod(lambda cls, url: recorded(base.get_dialect_cls(url))),
        "get_async_dialect_cls": classmethod(
            lambda cls, url: recorded(
                getattr(base, "get_async_dialect_cls", base.get_dialect_cls)(url)
            )
        ),
        "on_connect": on_connect,
        "on_connect_url": lambda self, url: self.on_connect(),
        "create_connect_args": lambda self, url: ([], {}),
        "get_driver_connection": lambda self, connection: connection,
        "do_terminate": lambda self, connection: connection.close(),
        "do_ping": lambda self, connection: True,
        "is_disconnect": lambda self, *error: False,
        "_deployguard": state,
    }


def _sqlite(base: type, state: State, recorded: Callable[[type], type]) -> type:
    members = _common(base, state, recorded)
    module = sqlite_dbapi()
    driver = classmethod(lambda cls, **_kw: module)

    def question(name: str) -> Any:
        def ask(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            with state.question(_asked(name, args, kwargs)):
                return getattr(base, name)(self, connection, *args, **kwargs)

        return ask

    def unseen(name: str) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with state.silence():
                return getattr(base, name)(self, *args, **kwargs)

        return call

    members.update({name: question(name) for name in QUESTIONS if hasattr(base, name)})
    members.update(
        {
            name: unseen(name)
            for name in ("initialize", "get_isolation_level", "set_isolation_level")
        }
    )
    members.update(import_dbapi=driver, dbapi=driver)
    return type("Recorded" + base.__name__, (base,), _awaiting(base, members))


def _fake(base: type, state: State, recorded: Callable[[type], type]) -> type:
    members = _common(base, state, recorded)
    driver = fake_dbapi()
    answers = Answers(state)
    family = next((kind for kind in base.__mro__ if kind.__name__ in _FAMILIES), None)

    def init(self: Any, dbapi: Any = None, **options: Any) -> None:
        # Without a driver the dialects skip what they would look up in it.
        base.__init__(self, **options)  # type: ignore[misc]  # the dialect's own
        self.dbapi = dbapi or driver

    def initialize(self: Any, connection: Any) -> None:
        self.server_version_info = _version(state, self.name)
        self.default_schema_name = _default_schema(state, self)
        self.default_isolation_level = "READ COMMITTED"
        with state.silence():
            if family is not None:
                family.initialize(self, connection)  # type: ignore[attr-defined]  # a dialect class
        self._backslash_escapes = self.name != "postgresql"

    def question(name: str) -> Any:
        def ask(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            with state.question(_asked(name, args, kwargs)):
                return getattr(answers, name)(self, connection, *args, **kwargs)

        return ask

    dbapi = classmethod(lambda cls, **_kw: driver)
    members.update({name: question(name) for name in QUESTIONS})
    members.update(_inherited_multi(base))
    members.update(executing.isolation())
    members.update(executing.execution())
    members.update(executing.returning(base))
    members.update(
        {
            "__init__": init,
            "initialize": initialize,
            "import_dbapi": dbapi,
            "dbapi": dbapi,
            "_load_enums": lambda self, connection, schema=None: answers.get_enums(
                self, connection, schema
            ),
            "_get_server_version_info": lambda self, connection: _version(state, self.name),
            "_mariadb_normalized_version_info": property(lambda self: _version(state, "mariadb")),
            "_get_default_schema_name": lambda self, connection: _default_schema(state, self),
            "_check_max_identifier_length": lambda self, connection: None,
            "_set_backslash_escapes": lambda self, connection: None,
            "_detect_charset": lambda self, connection: "utf8mb4",
            "_detect_sql_mode": lambda self, connection: setattr(self, "_sql_mode", ""),
            "_detect_casing": lambda self, connection: 0,
        }
    )
    return type("Recorded" + base.__name__, (base,), _awaiting(base, members))


def _awaiting(base: type, members: dict[str, Any]) -> dict[str, Any]:
    """An asynchronous connection insists that something was awaited while a statement ran."""
    if not getattr(base, "is_async", False):
        return members

    def awaiting(execute: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            _breathe()
            return execute(self, *args, **kwargs)

        return call

    names = ("do_execute", "do_executemany", "do_execute_no_params")
    awaited = {name: awaiting(members.get(name, getattr(base, name))) for name in names}
    return {**members, **awaited}


def _breathe() -> None:
    from sqlalchemy import exc, util

    async def nothing() -> None:
        return None

    coroutine = nothing()
    try:
        util.await_only(coroutine)
    except exc.MissingGreenlet:  # the synchronous way in: nobody waits
        coroutine.close()


def _inherited_multi(base: type) -> dict[str, Any]:
    """SQLAlchemy 2 asks for many tables at once (2.1 also whether they exist); its default asks for each."""
    from sqlalchemy.engine.default import DefaultDialect

    return {
        name: value
        for name, value in vars(DefaultDialect).items()
        if name.startswith(("get_multi_", "has_multi_"))
    }


def _asked(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    about = next(
        (str(value) for value in (*args, kwargs.get("table_name")) if isinstance(value, str)), ""
    )
    return f"{name}({about})"


def _version(state: State, dialect: str) -> tuple[int, ...]:
    assumed = {"postgresql": (16, 0), "mariadb": (10, 11)}
    return state.catalogue.server_version or assumed.get(dialect, (8, 0, 36))


def _default_schema(state: State, dialect: Any) -> str:
    return state.catalogue.default_schema if dialect.name == "postgresql" else "main"
