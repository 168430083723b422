"""A reading is made once; whatever it rests on may change, and then it is made anew."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard import operations
from deployguard.model import Json, Opaque
from deployguard.revisions import codec, headers
from deployguard.revisions.graph import load
from deployguard.revisions.launcher import Compose, Local
from deployguard.revisions.reader import ProjectSource, Reading, ReadRequest, read
from deployguard.revisions.store import Store
from tests.revisions.projects import URLS, project, revision

ENV = """\
import json
import os
from pathlib import Path

from alembic import context
from sqlalchemy import create_engine

import tables

here = Path(__file__).parent
options = json.loads((here / "options.json").read_text())
extra = here / "extra.json"
try:
    options.update(json.loads(extra.read_text()))
except FileNotFoundError:
    pass
if os.environ.get("FLAVOUR") == "each" or (here / "each").exists():
    options["transaction_per_migration"] = True
with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
"""
CATALOGUE: Json = {"dialect": "postgresql", "tables": [{"name": "people", "columns": []}]}
LONG_AGO = 3.0  # seconds; see headers.FRESH


class AnewError(Exception):
    """The child would be started."""


def refuse(*_argv: object, **_options: object) -> NoReturn:
    raise AnewError


REQUEST = ReadRequest(
    "postgresql", URLS["postgresql"], "DATABASE_URL", ("r1",), catalogue=CATALOGUE
)


@dataclass
class Kept:
    """A project whose pending revision was read and kept."""

    folder: Path
    store: Store
    environ: dict[str, str] = field(default_factory=lambda: {"FLAVOUR": "one", **os.environ})
    request: ReadRequest = REQUEST
    first: Reading | None = None

    def source(self) -> ProjectSource:
        return ProjectSource(self.folder, pass_environment=("FLAVOUR",))

    def read(self) -> Reading:
        return read(self.source(), self.request, environ=self.environ, store=self.store)

    def again(self, **changes: object) -> Reading:
        """What is kept; AnewError when it may not be used."""
        source = replace(self.source(), **{k: v for k, v in changes.items() if k in PROJECT})  # type: ignore[arg-type]
        request = replace(self.request, **{k: v for k, v in changes.items() if k not in PROJECT})  # type: ignore[arg-type]
        return read(source, request, environ=self.environ, store=self.store, run=refuse)


PROJECT = {one.name for one in dataclasses.fields(ProjectSource)}


def make(folder: Path, pending: str, *, env: str = ENV) -> Kept:
    """A project whose second revision does `pending`, old enough to be kept."""
    project(
        folder / "project",
        {
            "r1": revision("r1", None, 'op.create_table("people", sa.Column("id", sa.Integer))'),
            "r2": revision("r2", "r1", pending, 'op.drop_column("people", "name")'),
            "app/tables.py": "PEOPLE = 'people'\n",
            "app/ticking.py": "import time\nNOW = time.time()\n",
            "app/later.py": "import uuid\ndef name():\n    return uuid.uuid4().hex\n",
            "migrations/options.json": "{}",
            "docs/page.md": "words",
        },
        env=env,
    )
    (folder / "project" / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations\nprepend_sys_path = app\n"
    )
    return Kept(folder / "project", Store(folder / "project" / ".deployguard" / "cache", b"s" * 32))


PENDING = """
import tables
op.add_column(tables.PEOPLE, sa.Column("name", sa.String(20), nullable=False))
op.execute("CREATE INDEX i ON people (name)")
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    made = make(tmp_path_factory.mktemp("kept"), PENDING)
    time.sleep(LONG_AGO)
    made.first = made.read()
    return made


@pytest.fixture
def kept(shared: Kept) -> Iterator[Kept]:
    """The project as it was read; what a test changes is put back."""
    before = {path: path.read_bytes() for path in shared.folder.rglob("*") if path.is_file()}
    environ = dict(shared.environ)
    yield shared
    shared.environ = environ
    for path in [path for path in shared.folder.rglob("*") if path.is_file()]:
        if path not in before:
            path.unlink()
    for path, content in before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            if path.is_relative_to(shared.store.folder):
                path.chmod(0o600)


def test_the_same_reading_comes_back_without_a_child(kept: Kept) -> None:
    assert kept.first is not None
    assert [one.id for one in kept.first.revisions] == ["r2"]
    assert len(kept.first.revisions[0].up.statements) == 2
    assert kept.again() == kept.first


def test_other_times_of_the_same_text_are_no_change(kept: Kept) -> None:
    for path in kept.folder.rglob("*.py"):
        os.utime(path)
    assert kept.again() == kept.first


def test_a_change_that_is_taken_back_is_none(kept: Kept) -> None:
    path = kept.folder / "migrations" / "env.py"
    text = path.read_text()
    path.write_text(text + "\n")
    with pytest.raises(AnewError):
        kept.again()
    path.write_text(text)
    assert kept.again() == kept.first


def _append(name: str) -> Callable[[Kept], object]:
    def change(kept: Kept) -> None:
        path = kept.folder / name
        path.write_text(path.read_text() + "\n# changed\n")

    return change


def _write(name: str, text: str = "{}") -> Callable[[Kept], object]:
    def change(kept: Kept) -> None:
        (kept.folder / name).write_text(text)

    return change


def _same_size_and_time(kept: Kept) -> None:
    """As an editor that keeps the times: only the time of the entry itself tells."""
    path = kept.folder / "migrations" / "versions" / "r2.py"
    facts = path.stat()
    path.write_text(path.read_text().replace("String(20)", "String(30)"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _variable(kept: Kept) -> None:
    kept.environ["FLAVOUR"] = "each"


def _path(kept: Kept) -> None:
    kept.environ["PYTHONPATH"] = str(kept.folder)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_append("migrations/versions/r2.py"), id="the revision"),
        pytest.param(_same_size_and_time, id="the revision, with its old time"),
        pytest.param(_append("migrations/env.py"), id="env.py"),
        pytest.param(_append("app/tables.py"), id="a module that was imported"),
        pytest.param(_append("migrations/options.json"), id="a file that env.py read"),
        pytest.param(_write("migrations/extra.json"), id="a file that env.py looked for in vain"),
        pytest.param(_write("migrations/each"), id="a file that env.py only looks for"),
        pytest.param(_write("app/sqlalchemy.py"), id="a module that would take another's place"),
        pytest.param(_write(".env", ""), id="settings that were not there"),
        pytest.param(_append("alembic.ini"), id="alembic.ini"),
        pytest.param(_write("pyproject.toml", ""), id="pyproject.toml"),
        pytest.param(_write("migrations/versions/r3.py", revision("r3", "r2", "pass")), id="a new revision"),
        pytest.param(_variable, id="a variable that env.py is given"),
        pytest.param(_path, id="where modules are looked for"),
    ],
)  # fmt: skip
def test_a_change_of_what_it_rests_on_makes_it_anew(
    kept: Kept, change: Callable[[Kept], object]
) -> None:
    assert kept.again() == kept.first
    change(kept)
    with pytest.raises(AnewError):
        kept.again()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "postgresql://x:x@127.0.0.1:1/other"},
        {"url_env": "OTHER_URL"},
        {"current": ()},
        {"target": "r2"},
        {"catalogue": {"dialect": "postgresql", "tables": []}},
        {"catalogue": None},
        {"only": frozenset({"r2"})},
        {"version_table": "versions"},
        {"command": ("alembic", "upgrade", "heads")},
        {"pass_environment": ()},
        {"timeout": 5.0},
        {"launcher": Local(("python3",))},
        {"launcher": Compose(("docker", "compose"), "web")},
    ],
    ids=str,
)
def test_another_question_has_another_answer(kept: Kept, changes: dict[str, object]) -> None:
    with pytest.raises(AnewError):
        kept.again(**changes)


def test_what_is_new_elsewhere_in_the_project_is_no_change(kept: Kept) -> None:
    (kept.folder / "docs" / "page.md").write_text("other words")
    (kept.folder / "docs" / "more.md").write_text("more words")
    assert kept.again() == kept.first


def test_a_poisoned_entry_is_not_believed(kept: Kept) -> None:
    (path,) = kept.store.folder.glob("reading-*.json")
    seal, _, body = path.read_bytes().partition(b"\n")
    entry = json.loads(body)
    entry["reading"]["revisions"] = []
    path.write_bytes(seal + b"\n" + json.dumps(entry).encode())
    with pytest.raises(AnewError):
        kept.again()


@pytest.mark.parametrize("forget", ["files", "folders", "reading"])
def test_an_entry_of_another_shape_is_not_used(kept: Kept, forget: str) -> None:
    (path,) = kept.store.folder.glob("reading-*.json")
    entry = json.loads(path.read_bytes().partition(b"\n")[2])
    for odd in (None, [], {}, [["x"]], "x"):
        kept.store.put(
            path.stem, {**entry, forget: odd} if odd != [] or forget == "reading" else odd
        )
        with pytest.raises(AnewError):
            kept.again()


PLAIN_ENV = ENV.replace("import tables\n", "")


@pytest.mark.parametrize(
    ("pending", "env"),
    [
        ("raise RuntimeError('no')", PLAIN_ENV),
        ("op.execute(open('/etc/hostname').read() and 'SELECT 1')", PLAIN_ENV),
        ("import application\napplication.upgrade(op)", PLAIN_ENV),
        ("import datetime\nop.execute(f\"UPDATE t SET a = '{datetime.datetime.now()}'\")", PLAIN_ENV),
        ("import ticking\nop.execute(f'DROP TABLE t{ticking.NOW}')", PLAIN_ENV),
        ("import later\nop.execute(f'DROP TABLE {later.name()}')", PLAIN_ENV),
        ("op.execute('SELECT 1')", "import subprocess\nsubprocess.run(['true'])\n" + PLAIN_ENV),
        ("op.execute('SELECT 1')", "import time\ntime.time()\n" + PLAIN_ENV),
        ("op.execute('SELECT 1')", "raise RuntimeError('no settings here')\n"),
    ],
    ids=["failed", "file", "helper", "clock", "clock of a module", "chance in a function", "program", "clock in env.py", "env.py fails"],
)  # fmt: skip
def test_what_may_be_otherwise_the_next_time_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pending: str, env: str
) -> None:
    monkeypatch.setattr(headers, "FRESH", -3600.0)
    monkeypatch.setattr("deployguard.revisions.kept.FRESH", -3600.0)
    made = make(tmp_path, pending, env=env)
    assert made.read().revisions
    with pytest.raises(AnewError):
        made.again()


def test_what_was_written_a_moment_before_is_not_kept(tmp_path: Path) -> None:
    made = make(tmp_path, PENDING)
    first = made.read()
    assert not any(one.code is Opaque.FAILED for one in first.revisions[0].up.opacities)
    with pytest.raises(AnewError):
        made.again()


# --- the headers of the history --------------------------------------------------------------------


def test_the_graph_is_the_same_from_the_store_and_from_the_files(kept: Kept) -> None:
    elsewhere = kept.folder.parent / "copy"
    shutil.copytree(kept.folder, elsewhere, dirs_exist_ok=True)
    for number in range(3, 40):
        name = f"r{number}"
        text = revision(name, f"r{number - 1}", "pass")
        (elsewhere / "migrations" / "versions" / f"{name}.py").write_text(text)
    (elsewhere / "migrations" / "versions" / "helper.py").write_text("x = 1\n")
    paths = sorted((elsewhere / "migrations" / "versions").glob("*.py"))
    plain = list(headers.headers(paths))
    time.sleep(LONG_AGO)
    list(headers.headers(paths, kept.store))
    (changed,) = [path for path in paths if path.name == "r7.py"]
    changed.write_text(revision("r7", "r5", "pass"))
    found = dict(headers.headers(paths, kept.store))
    assert found[changed] == headers.read_header(changed.read_text())
    assert {**dict(plain), changed: found[changed]} == found


def test_the_graph_follows_the_files_within_one_process(tmp_path: Path) -> None:
    made = make(tmp_path, PENDING)
    assert load(made.folder).heads == ("r2",)
    assert load(made.folder).heads == ("r2",)
    (made.folder / "migrations" / "versions" / "r3.py").write_text(revision("r3", "r2", "pass"))
    assert load(made.folder).heads == ("r3",)
    (made.folder / "migrations" / "versions" / "r3.py").unlink()
    assert load(made.folder).heads == ("r2",)


# --- a reading as JSON -----------------------------------------------------------------------------

NOUNS = [
    one
    for one in vars(operations).values()
    if isinstance(one, type) and dataclasses.is_dataclass(one)
]


@given(st.one_of([st.from_type(one) for one in NOUNS]))
@settings(max_examples=300, deadline=None)
def test_every_operation_survives_json(operation: object) -> None:
    assert codec.decode(json.loads(json.dumps(codec.encode(operation)))) == operation


def test_no_two_nouns_share_a_name() -> None:
    from deployguard import model

    names = [
        name
        for room in (operations, model)
        for name, one in vars(room).items()
        if isinstance(one, type) and one.__module__ == room.__name__
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "odd",
    [{"!": "os.system"}, {"!": "Reading"}, {"=": "Risk"}, {"=": "Risk", "v": "NONE"}, {}, [], "x"],
    ids=str,
)
def test_nothing_but_a_reading_is_made_of_json(odd: Json) -> None:
    assert codec.reading(odd) is None
