"""Gives asyncpg and pg8000, which read no PGOPTIONS, the session settings of this migration, and follows Alembic.

The project's own interpreter loads it through PYTHONPATH before anything else, so: standard library only, any
Python from 3.8, and whatever goes wrong here is said on stderr and never stops the project.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

HERE = Path(__file__).resolve().parent
SETTINGS = json.loads(os.environ.get("DEPLOYGUARD_SESSION") or "{}")
REVISIONS = os.environ.get("DEPLOYGUARD_REVISIONS") or ""  # "each", "theirs" or ""
NAME = "application_name"


def settle_asyncpg(module: Any) -> None:
    original = module.connect

    async def connect(*args: Any, **kwargs: Any) -> Any:
        # The project's own settings win, but not its name: by ours the surviving session is found.
        theirs = kwargs.get("server_settings") or {}
        ours = {NAME: SETTINGS[NAME]} if NAME in SETTINGS else {}
        kwargs["server_settings"] = {**SETTINGS, **theirs, **ours}
        return await original(*args, **kwargs)

    module.connect = module.connection.connect = connect


def settle_pg8000(module: Any) -> None:
    original = module.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        if NAME in SETTINGS:
            kwargs[NAME] = SETTINGS[NAME]
        connection = original(*args, **kwargs)
        before, connection.autocommit = connection.autocommit, True  # or a rollback undoes SET
        cursor = connection.cursor()
        for name, value in SETTINGS.items():
            if name != NAME:
                cursor.execute(f"SET {name} = '{value}'")
        cursor.close()
        connection.autocommit = before
        return connection

    module.connect = connect


def settle_alembic(module: Any) -> None:
    name = "deployguard_revisions"
    spec = importlib.util.spec_from_file_location(name, str(HERE / f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(name)
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    ours.settle(module, each=REVISIONS == "each")


DRIVERS = {"asyncpg": settle_asyncpg, "pg8000": settle_pg8000}
ALEMBIC = {"alembic.runtime.environment": settle_alembic}
SETTLE = {**(DRIVERS if SETTINGS else {}), **(ALEMBIC if REVISIONS else {})}


class Loader:
    """A module's own loader, and our change right after it has run."""

    def __init__(self, inner: Any, settle: Any) -> None:
        self.inner, self.settle = inner, settle

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        return self.inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.inner.exec_module(module)
        try:
            self.settle(module)
        except Exception as error:  # noqa: BLE001 - the project's import must not fail because of us
            sys.stderr.write(f"deployguard: {module.__name__} is left as it is: {error!r}\n")


def wrapped(loader: Any, settle: Any) -> Any:
    return Loader(loader, settle)


class Finder:
    """Finds the modules of SETTLE as everybody else does, and puts our loader around theirs."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        settle = SETTLE.pop(name, None)  # once: the search below comes by here again
        spec = importlib.util.find_spec(name) if settle else None
        if spec is not None and spec.loader is not None:
            spec.loader = wrapped(spec.loader, settle)
        return spec


def hand_over() -> None:
    """Load the sitecustomize that would have been loaded without us, if there is one."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


if SETTLE:
    sys.meta_path.insert(0, Finder())
hand_over()
