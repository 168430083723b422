"""What decides from outside whether a revision does something dangerous: said when it was not seen, else silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.model import Opaque, Revision
from tests.revisions.projects import ENV, named, opaque, project, reading, revision, sql

DROP = 'op.drop_table("t")'
ADD = 'op.create_table("{}", sa.Column("id", sa.Integer))'
HEAD = """\
import contextlib, functools, os, sys
from os import environ
from typing import TYPE_CHECKING
from alembic import context
from shop import settings
from shop.settings import CLEAN, is_enabled
CONFIG = context.config
DROP_IT = os.environ.get("DROP_IT")
if "DROP_IT" in environ:
    WANTED = True
else:
    WANTED = False
try:
    import no_such_module
    HAS = True
except ImportError:
    HAS = False
TABLES = tuple(filter(None, os.environ.get("TABLES", "").split(",")))
class Settings:
    drop = bool(os.environ.get("DROP_IT"))
later = functools.partial(op.drop_table, "t")
def skip(function):
    return lambda **kw: None
def kept(function):
    return function
def helper(*, drop):
    if drop:
        op.drop_table("t")
def by_default(drop=os.environ.get("DROP_IT")):
    if drop:
        op.drop_table("t")
def nothing(): pass
"""
SETTINGS = "CLEAN = False\ndef is_enabled(name): return False\ndef get_flag(): return False\n"
ENV_ARGUMENTS = ENV.replace("run_migrations()", "run_migrations(tenant_id=None, live=True)")
ARGUMENTS = "tenant_id=None, live=False, **kw"

# What decides, and the same with what was seen to run in the end.
UNSEEN = {
    "parameter": f"if tenant_id:\n    {DROP}",
    "parameter, derived": f"name = (tenant_id or '').strip()\nif name:\n    {DROP}",
    "parameter, the rest": f"if kw.get('drop'):\n    {DROP}",
    "parameter, index": 'if tenant_id:\n    op.create_index("i", "t", ["id"])',
    "parameter, handed on": "helper(drop=tenant_id)",
    "parameter, and": f"tenant_id and {DROP}",
    "parameter, or": f"live or {DROP}",
    "parameter, ternary": f"{DROP} if tenant_id else None",
    "parameter, early return": f"if not tenant_id:\n    return\n{DROP}",
    "parameter, nested return": f"if live:\n    if not tenant_id:\n        return\n{DROP}",
    "parameter, return in a block": f"with contextlib.nullcontext():\n    if not tenant_id:\n        return\n{DROP}",
    "parameter, loop": "for name in tenant_id or ():\n    op.drop_table(name)",
    "parameter, comprehension": "[op.drop_table(name) for name in tenant_id or ()]",
    "parameter, while": f"while tenant_id:\n    {DROP}",
    "parameter, match": f"match tenant_id:\n    case None:\n        pass\n    case other:\n        {DROP}",
    "match guard": f"match 1:\n    case other if tenant_id:\n        {DROP}",
    "module, environment": f"if DROP_IT:\n    {DROP}",
    "module, branch": f"if WANTED:\n    {DROP}",
    "module, import": f"if HAS:\n    {DROP}",
    "module, loop": "for name in TABLES:\n    op.drop_table(name)",
    "class attribute": f"if Settings.drop:\n    {DROP}",
    "instance": f"settings_ = Settings()\nif settings_.drop:\n    {DROP}",
    "default": "by_default()",
    "arguments of the command": f'if "--drop" in sys.argv:\n    {DROP}',
    "attributes": f'if CONFIG.attributes.get("drop"):\n    {DROP}',
    "options": f'if op.get_context().opts.get("drop"):\n    {DROP}',
    "application, constant": f"if CLEAN:\n    {DROP}",
    "application, module": f"if settings.CLEAN:\n    {DROP}",
    "application, function": f'if is_enabled("drop"):\n    {DROP}',
    "application, getter": f"if settings.get_flag():\n    {DROP}",
    "partial": "drop = functools.partial(op.drop_table, 't')\nif tenant_id:\n    drop()",
    "partial of the module": "if tenant_id:\n    later()",
    "lambda": f"drop = lambda: {DROP}\nif tenant_id:\n    drop()",
    "chosen function": '(op.drop_table if tenant_id else print)("t")',
    "by name": 'if tenant_id:\n    getattr(op, "drop_" + "table")("t")',
    "except": f"try:\n    pass\nexcept Exception:\n    {DROP}",
    "try": f"try:\n    [][0]\n    {DROP}\nexcept IndexError:\n    pass",
    "suppress": f"with contextlib.suppress(IndexError):\n    [][0]\n    {DROP}",
    "except, return": f"try:\n    [][0]\nexcept IndexError:\n    return\n{DROP}",
}
SEEN = {
    "parameter": f"if live:\n    {DROP}",
    "parameter, handed on": "helper(drop=live)",
    "parameter, and": f"live and {DROP}",
    "parameter, ternary": f"{DROP} if live else None",
    "parameter, early return": f"if tenant_id:\n    return\n{DROP}",
    "parameter, match": f"match live:\n    case False:\n        pass\n    case _:\n        {DROP}",
    "module": f"if not DROP_IT:\n    {DROP}",
    "class attribute": f"if not Settings.drop:\n    {DROP}",
    "application": f"if not CLEAN:\n    {DROP}",
    "partial": "drop = functools.partial(op.drop_table, 't')\ndrop()",
    "partial of the module": "if live:\n    later()",
    "lambda": f"drop = lambda: {DROP}\nif live:\n    drop()",
    "chosen function": '(op.drop_table if live else print)("t")',
    "comprehension": '[op.drop_table(name) for name in ("t",)]',
    "while": f"while live:\n    {DROP}\n    break",
    "try": f"try:\n    {DROP}\nexcept Exception:\n    raise",
    "suppress": f"with contextlib.suppress(IndexError):\n    {DROP}",
    "type checking": f"if TYPE_CHECKING:\n    {DROP}",
    "dialect": f'match op.get_bind().dialect.name:\n    case "mysql":\n        {DROP}',
    "never consumed": '(op.drop_table(name) for name in ("t",))',
}

NEVER = ("type checking", "dialect", "never consumed")  # neither here nor on the target


def made(folder: Path, bodies: dict[str, str], decorator: str = "") -> dict[str, Revision]:
    """Each body as the upgrade of a revision of one chain, by its name here; each makes a table besides."""
    files = {"shop/settings.py": SETTINGS, "shop/__init__.py": ""}
    for number, body in enumerate(bodies.values()):
        after = f"r{number - 1}" if number else None
        work = f"{ADD.format(f'new{number}')}\n{body}"
        text = revision(f"r{number}", after, work, head=HEAD)
        files[f"r{number}"] = text.replace(
            "def upgrade():", f"{decorator}def upgrade({ARGUMENTS}):"
        ).replace("def downgrade():", "def downgrade(**_):")
    found = reading(project(folder, files, env=ENV_ARGUMENTS))
    return {name: named(found, f"r{number}") for number, name in enumerate(bodies)}


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Revision]:
    return made(tmp_path_factory.mktemp("unseen"), UNSEEN)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Revision]:
    return made(tmp_path_factory.mktemp("seen"), SEEN)


@pytest.mark.parametrize("name", UNSEEN)
def test_a_danger_that_was_left_out_is_said(unseen: dict[str, Revision], name: str) -> None:
    up = unseen[name].up
    assert "DROP TABLE t" not in sql(up)
    assert Opaque.EXTERNAL_INPUT in opaque(up)


@pytest.mark.parametrize("name", SEEN)
def test_a_danger_that_was_seen_is_no_reason_to_doubt(seen: dict[str, Revision], name: str) -> None:
    up = seen[name].up
    assert ("DROP TABLE t" in sql(up)) == (name not in NEVER)
    assert opaque(up) == {}


@pytest.mark.parametrize(("decorator", "said"), [("skip", True), ("kept", False)])
def test_a_decorator_that_leaves_out_the_body_is_said(
    tmp_path: Path, decorator: str, *, said: bool
) -> None:
    up = made(tmp_path, {"one": DROP}, f"@{decorator}\n")["one"].up
    assert (Opaque.EXTERNAL_INPUT in opaque(up)) == said


def test_a_function_that_is_called_by_a_made_up_name_is_followed(tmp_path: Path) -> None:
    env = ENV.replace("run_migrations()", 'run_migrations(engine="one")')
    body = 'globals()["upgrade_" + engine]()'
    text = revision("r0", None, body).replace("def upgrade():", "def upgrade(engine):")
    text += "\n\ndef upgrade_one():\n    {}\n\n\ndef upgrade_two():\n    {}\n"
    for name, works, said in (
        ("seen", ('op.drop_table("t")', "pass"), False),
        ("unseen", ('op.create_table("u")', 'op.drop_table("t")'), True),
    ):
        folder = project(tmp_path / name, {"r0": text.format(*works)}, env=env)
        up = named(reading(folder), "r0").up
        assert (Opaque.EXTERNAL_INPUT in opaque(up)) == said
