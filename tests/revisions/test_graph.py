"""The graph is read from the files alone, whatever else is wrong with them, and refuses what is ambiguous."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.errors import UsageError
from deployguard.revisions.graph import Graph, build, load
from deployguard.revisions.location import Locations, locate
from deployguard.revisions.recorder.static import docstring, read_header

WHERE = Locations(Path("migrations"), (Path("migrations/versions"),))


def graph(**files: str) -> Graph:
    """Files by name: "a < b, c; labels=x; needs=y" is revision = its name after b and c."""
    return build(
        WHERE, ((Path(f"{name}.py"), text(name, rule).encode()) for name, rule in files.items())
    )


def text(name: str, rule: str) -> str:
    parts = dict(part.split("=") for part in rule.replace(" ", "").split(";") if "=" in part)
    after = [part for part in parts.get("after", "").split(",") if part]
    down = None if not after else after[0] if len(after) == 1 else tuple(after)
    labels = parts.get("labels")
    needs = parts.get("needs")
    return (
        f"revision = {parts.get('id', name)!r}\ndown_revision = {down!r}\n"
        f"branch_labels = {labels!r}\ndepends_on = {needs!r}\n"
    )


def test_a_line_of_revisions_is_pending_in_order() -> None:
    line = graph(c="after=b", a="", b="after=a")
    assert line.heads == ("c",)
    assert line.pending(()) == ("a", "b", "c")
    assert line.pending(("a",)) == ("b", "c")
    assert line.pending(("c",)) == ()
    assert line.pending(("a",), "b") == ("b",)
    assert line.pending(("a",), "+1") == ("b",)
    assert line.pending(("c",), "a") == ()


def test_an_empty_history_has_nothing_pending() -> None:
    assert graph().pending(()) == ()


def test_branches_meet_in_a_merge() -> None:
    merged = graph(a="", b="after=a", c="after=a", m="after=b,c")
    assert merged.heads == ("m",)
    assert set(merged.pending(("b",))) == {"c", "m"}
    assert merged.pending(("b", "c")) == ("m",)


def test_several_heads_are_refused_with_what_to_type() -> None:
    forked = graph(a="", b="after=a", c="after=a")
    with pytest.raises(UsageError, match="several heads: b, c") as raised:
        forked.pending(())
    assert raised.value.next_commands == ('alembic merge -m "merge heads" b c',)
    assert 'migrate.command = ["alembic", "upgrade", "heads"]' in str(raised.value)
    assert forked.pending(("a",), "heads") == ("b", "c")


def test_labels_name_a_branch() -> None:
    chains = graph(u1="labels=users", u2="after=u1", o1="labels=orders", o2="after=o1; needs=u1")
    assert chains.pending((), "users@head") == ("u1", "u2")
    assert chains.pending((), "orders@head") == ("u1", "o1", "o2")
    assert chains.pending((), "orders") == ("o1",)
    assert chains.pending(("u2",), "o2") == ("o1", "o2")


def test_identifiers_may_be_shortened_while_they_are_unique() -> None:
    line = graph(abc123="", abd456="after=abc")
    assert line.pending(("abc",), "abd4") == ("abd456",)
    with pytest.raises(UsageError, match="ambiguous"):
        line.pending((), "ab")


def test_an_unknown_current_revision_names_the_likely_reasons() -> None:
    with pytest.raises(UsageError, match=r"'feed'.*ahead of this code.*another branch.*deleted"):
        graph(a="").pending(("feed",))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a": "", "b": "id=a"}, "Two files declare the revision a: a.py and b.py"),
        ({"b": "after=a"}, "b.py.* comes after 'a', which no file declares"),
        ({"b": "needs=x"}, "comes after 'x'"),
        ({"a": "after=b", "b": "after=a"}, "a, b follow each other in a circle"),
        ({"a": "after=a"}, "circle"),
    ],
)
def test_impossible_graphs_are_errors(files: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        graph(**files)


def test_a_long_history_is_ordered_without_recursion() -> None:
    files = {f"r{n}": f"after=r{n - 1}" if n else "" for n in range(3000)}
    assert graph(**files).pending(("r2990",)) == tuple(f"r{n}" for n in range(2991, 3000))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('revision = "a"\ndown_revision = None', ("a", (), (), (), ())),
        ("revision: str = 'a'  # x\ndown_revision: str | None = 'b'", ("a", ("b",), (), (), ())),
        (
            'revision = "a"\ndown_revision = ("b", "c")\nbranch_labels = ("x",)\ndepends_on = ["d"]',
            ("a", ("b", "c"), ("x",), ("d",), ()),
        ),
        ('revision = "a"\ndown_revision = (\n  "b",\n  "c",\n)', ("a", ("b", "c"), (), (), ())),
        ('X = "a"\nrevision = X\ndown_revision = X + "b"', ("a", ("ab",), (), (), ())),
        (
            '"""\nrevision = "wrong"\n"""\nrevision = "a"\ndown_revision = None',
            ("a", (), (), (), ()),
        ),
        ('revision = "a"\ndown_revision = None\ndef upgrade(:\n', ("a", (), (), (), ())),
        ('revision = "a"\ndown_revision = f()', ("a", (), (), (), ("down_revision",))),
        ('revision = f()\ndown_revision = "b"', ("", ("b",), (), (), ("revision",))),
        ('revision = "a"\ndown_revision = 7', ("a", (), (), (), ("down_revision",))),
        ("def helper(): pass", None),
        ("if True: revision =", None),
    ],
)
def test_identifiers_are_read_without_running_the_file(
    source: str, expected: tuple[object, ...] | None
) -> None:
    found = read_header(source)
    assert (tuple(found) if found else None) == expected


def test_a_place_in_the_history_that_is_computed_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"a\.py computes its down_revision"):
        build(WHERE, [(Path("a.py"), b'revision = "a"\ndown_revision = f()')])


def test_messages_are_the_first_line_of_the_docstring() -> None:
    assert docstring('"""Add users.\n\nRevision ID: a\n"""') == "Add users."
    assert docstring("# -*- coding: utf-8 -*-\n'''One'''") == "One"
    assert docstring("import x") == ""


def write(folder: Path, ini: str, *folders: str, name: str = "alembic.ini") -> Path:
    for one in folders:
        (folder / one).mkdir(parents=True)
    (folder / name).write_text(ini)
    return folder


@pytest.mark.parametrize(
    ("ini", "versions"),
    [
        ("[alembic]\nscript_location = db", ("db/versions",)),
        ("[alembic]\nscript_location = %(here)s/db", ("db/versions",)),
        (
            "[alembic]\nscript_location = shop:db\nsqlalchemy.url = %(nothing)s",
            ("shop/db/versions",),
        ),
        ("[alembic]\nscript_location = db\nversion_locations = one two", ("one", "two")),
        ("[alembic]\nscript_location = db\nversion_locations = one, two", ("one", "two")),
        (
            (
                "[alembic]\nscript_location = db\npath_separator = os\n"
                "version_locations = %(here)s/one:%(here)s/two"
            ),
            ("one", "two"),
        ),
        (
            (
                "[alembic]\nscript_location = db\nversion_path_separator = newline\n"
                "version_locations =\n  one\n  two"
            ),
            ("one", "two"),
        ),
        (
            "[alembic]\nscript_location = db\nversion_path_separator = ;\nversion_locations = one;two",
            ("one", "two"),
        ),
    ],
)
def test_locations_are_where_alembic_would_look(
    tmp_path: Path, ini: str, versions: tuple[str, ...]
) -> None:
    folder = write(tmp_path, ini, "db/versions", "shop/db/versions", "one", "two")
    assert locate(folder, "alembic.ini", "alembic").versions == tuple(
        folder / one for one in versions
    )


def test_without_a_location_the_folder_of_the_ini_counts_when_env_py_is_there(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path, "[alembic]\n", "migrations/versions", name="migrations/alembic.ini")
    (folder / "migrations/env.py").write_text("")
    found = locate(folder, "migrations/alembic.ini", "alembic")
    assert found.versions == (folder / "migrations/versions",)


def test_pyproject_can_hold_the_configuration(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        '[tool.alembic]\nscript_location = "%(here)s/db"\nversion_locations = ["one", "two"]\n',
        "db",
        "one",
        "two",
        name="pyproject.toml",
    )
    for name in ("alembic.ini", "pyproject.toml"):
        assert locate(folder, name, "alembic").versions == (folder / "one", folder / "two")


@pytest.mark.parametrize(
    ("ini", "says"),
    [
        ("[other]\nscript_location = db", r"no section \[alembic\]; it has other"),
        ("[alembic]\nx = y", "no script_location"),
        ("[alembic]\nscript_location = nowhere", "nowhere .* does not exist"),
        ("no section at all", "cannot be read"),
    ],
)
def test_a_configuration_that_leads_nowhere_is_explained(
    tmp_path: Path, ini: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        locate(write(tmp_path, ini), "alembic.ini", "alembic")
    with pytest.raises(UsageError, match="no Alembic configuration"):
        locate(tmp_path, "other.ini", "alembic")


def test_subfolders_count_only_when_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path, "[alembic]\nscript_location = db", "db/versions/old/__pycache__")
    (folder / "db/versions/a.py").write_text('revision = "a"\ndown_revision = "b"')
    (folder / "db/versions/__init__.py").write_text("")
    (folder / "db/versions/old/b.py").write_text('revision = "b"\ndown_revision = None')
    with pytest.raises(UsageError, match="comes after 'b'"):
        load(folder)
    (folder / "alembic.ini").write_text(
        "[alembic]\nscript_location = db\nrecursive_version_locations = true"
    )
    assert load(folder).pending(()) == ("b", "a")


@pytest.mark.parametrize(
    "source",
    [
        '\ufeffrevision = "b" + "2"\ndown_revision = "b1"\n',
        '\ufeff"""Words."""\r\nrevision = f"b2"\r\ndown_revision = "b1"\r\n',
        'revision, down_revision = "b2", "b1"\n',
        '[revision, (down_revision, depends_on)] = ["b2", ("b1", None)]\n',
        'N = "2"\nrevision = f"b{N}"\ndown_revision = "b1"\n',
    ],
)
def test_identifiers_are_read_however_they_are_written(source: str) -> None:
    header = read_header(source)
    assert header is not None
    assert (header.revision, header.parents, header.unknown) == ("b2", ("b1",), ())


@pytest.mark.parametrize(
    "source",
    ["revision, down_revision = names()\n", 'revision = f"b{n:>3}"\ndown_revision = "b1"\n'],
)
def test_identifiers_that_are_computed_are_unknown(source: str) -> None:
    header = read_header(source)
    assert header is not None
    assert "revision" in header.unknown


def test_a_byte_order_mark_is_no_part_of_the_message() -> None:
    assert docstring('\ufeff"""Add a column."""') == "Add a column."
