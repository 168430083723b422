"""What `init` writes is the schema: every key, in its table, loadable as it is and with every line taken in."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from deployguard.config import load
from deployguard.config.commands import commands
from deployguard.config.discover import ProjectFacts, compose_services, discover
from deployguard.config.drill import DrillConfig
from deployguard.config.example import MEANINGS, render_annotated, value
from deployguard.config.load import parse
from deployguard.config.retention import RetentionConfig
from deployguard.config.schema import (
    AcceptConfig,
    BackupConfig,
    HealthConfig,
    MigrateConfig,
    Policy,
    Project,
    ReadConfig,
    TargetConfig,
)
from deployguard.config.watch import WatchConfig
from deployguard.errors import UsageError
from deployguard.model import Risk

SCHEMA = {
    "project": Project,
    "read": ReadConfig,
    "migrate": MigrateConfig,
    "target": TargetConfig,
    "backup": BackupConfig,
    "retention": RetentionConfig,
    "drill": DrillConfig,
    "watch": WatchConfig,
    "health": HealthConfig,
}
FACTS = ProjectFacts(
    name="bookings",
    compose_file="docker-compose.prod.yml",
    services=("web", "worker"),
    migration_service="migration",
    migration_profile="migration",
)
COMPOSE = """\
x-app: &app
  build: .
services:
  db:
    image: postgres:15
    healthcheck:
      test: [CMD, pg_isready]
  web:
    build:
      context: .
    ports: ["8000:8000"]
  worker:
    build: .   # the same image
  migration:
    build: .
    profiles: ["migration"]
  tools:
    build: .
    profiles:
      - debug
volumes:
  data:
"""


def uncommented(text: str) -> str:
    """The example with every default taken in; explanations are indented behind their #."""
    return re.sub(r"^# (?=[a-z_.]+ = |\[\[)", "", text, flags=re.MULTILINE)


def test_every_key_of_the_schema_is_in_it_in_its_table() -> None:
    document = tomllib.loads(uncommented(render_annotated(FACTS)))
    for table, kind in SCHEMA.items():
        assert list(document[table]) == [f.name for f in fields(kind)], table
        assert set(MEANINGS[table]) == {f.name for f in fields(kind)}
    [entry] = document["accept"]
    assert [*entry, "place"] == [f.name for f in fields(AcceptConfig)]
    assert set(document["policy"]) == {"fail_on", "approval_hours", *map(str, Risk)}
    assert set(document["environments"]) == {"development", "production"}


def test_it_loads_and_its_comments_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "deployguard.toml"
    path.write_text(render_annotated(FACTS), encoding="utf-8")
    as_written = load(path, tmp_path)
    path.write_text(uncommented(render_annotated(FACTS)), encoding="utf-8")
    taken_in = load(path, tmp_path)
    assert as_written.project == taken_in.project
    assert as_written.accept == ()
    assert taken_in.accept[0].rule == "index-not-concurrent"
    assert as_written.environment("development") == taken_in.environment("development")
    assert taken_in.environment("development").policy == Policy()
    production = as_written.environment("production")
    assert (production.target.kind, production.migrate.runner) == ("compose", "compose")
    assert production.target.services == ("web", "worker")
    assert production.database.url_env == "DATABASE_URL"


def test_strange_names_cannot_leave_their_string(tmp_path: Path) -> None:
    facts = ProjectFacts(name="x", services=('a"]\n[policy', "\x7f"), compose_file="c.yml")
    document = tomllib.loads(render_annotated(facts))
    assert document["target"]["services"] == ['a"]\n[policy', "\x7f"]


def test_values_are_toml() -> None:
    assert value(("a", ("b",), 1, 2.5, True)) == '["a", ["b"], 1, 2.5, true]'


def test_a_compose_project_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Shop.Front"\n')
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (tmp_path / "docker-compose.prod.yml").write_text(COMPOSE)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/env.py").write_text(
        "url = os.environ['SHOP_DATABASE_URL']\n"
        "context.configure(connection=c, version_table='shop_version')\n"
    )
    assert discover(tmp_path) == ProjectFacts(
        name="shop-front",
        version_table="shop_version",
        url_env="SHOP_DATABASE_URL",
        compose_file="docker-compose.prod.yml",
        services=("web", "worker"),
        migration_service="migration",
        migration_profile="migration",
    )


def test_a_sqlite_project_in_a_subfolder_with_its_own_section(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db/alembic.ini").write_text(
        "[bookings]\nscript_location = alembic\nsqlalchemy.url = sqlite:///shop.sqlite3\n"
    )
    facts = discover(tmp_path)
    assert (facts.alembic_ini, facts.section) == ("db/alembic.ini", "bookings")
    assert (facts.sqlite_url, facts.dialect) == ("sqlite:///shop.sqlite3", "sqlite")
    assert not facts.url_env_found
    document = tomllib.loads(render_annotated(facts))
    assert document["environments"]["development"]["database_url"] == "sqlite:///shop.sqlite3"


@pytest.mark.parametrize(
    ("file", "text", "dialect"),
    [
        ("alembic.ini", "sqlalchemy.url = postgresql://localhost/shop\n", "postgresql"),
        ("alembic.ini", "sqlalchemy.url = mysql+pymysql://localhost/shop\n", "mysql"),
        ("requirements.txt", "psycopg[binary]==3.2\n", "postgresql"),
        ("requirements/base.txt", "asyncpg\n", "postgresql"),
        ("pyproject.toml", '[project]\nname = "p"\ndependencies = ["PyMySQL"]\n', "mysql"),
        ("compose.yaml", "services:\n  db:\n    image: postgres:16\n", "postgresql"),
        ("compose.yaml", "services:\n  db:\n    image: mariadb:11\n", "mariadb"),
        ("alembic.ini", "sqlalchemy.url = driver://user@localhost/shop\n", "postgresql"),
    ],
)
def test_a_project_on_a_server_is_not_given_a_sqlite_database(
    tmp_path: Path, file: str, text: str, dialect: str
) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = m\n")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    with (tmp_path / file).open("a") as writing:
        writing.write(text)
    document = tomllib.loads(render_annotated(discover(tmp_path)))
    assert document["environments"]["development"] == {"database_url_env": "DATABASE_URL"}
    assert document["project"]["dialect"] == dialect


def test_the_variable_of_the_project_says_what_it_runs_on(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = m\n")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "env.py").write_text("os.environ['SHOP_DB_URL']\n")
    facts = discover(tmp_path, {"SHOP_DB_URL": "mysql+pymysql://u:secret@h/shop"})
    assert facts.dialect == "mysql"
    assert "secret" not in render_annotated(facts)
    assert "sqlite" not in str(tomllib.loads(render_annotated(facts)))


def test_a_server_in_production_and_sqlite_in_development_stay_what_they_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nsqlalchemy.url = sqlite:///shop.db\n")
    (tmp_path / "requirements.txt").write_text("psycopg\n")
    document = tomllib.loads(render_annotated(discover(tmp_path)))
    assert document["environments"]["development"]["database_url"] == "sqlite:///shop.db"
    assert document["project"]["dialect"] == "postgresql"


def test_a_project_that_configures_alembic_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.alembic]\nscript_location = "%(here)s/db"\n'
    )
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "env.py").write_text("os.environ['MAIN_DB_URL']\n")
    facts = discover(tmp_path)
    assert (facts.name, facts.alembic_ini, facts.url_env) == ("x", "pyproject.toml", "MAIN_DB_URL")


def test_the_bookings_fixture_is_understood() -> None:
    fixture = Path(__file__).parents[2] / "migrations_fixtures" / "bookings"
    facts = discover(fixture)
    assert (facts.name, facts.url_env, facts.dialect) == ("bookings", "DATABASE_URL", "postgresql")


def test_no_alembic_project_is_a_usage_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no alembic\.ini"):
        discover(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "alembic.ini").write_text("[alembic]\n")
    with pytest.raises(UsageError, match=r"a/alembic\.ini, b/alembic\.ini"):
        discover(tmp_path)


def test_the_compose_file_of_the_repository_is_understood() -> None:
    text = (Path(__file__).parents[2] / "docker-compose.prod.yml").read_text(encoding="utf-8")
    seen = {s.name: (s.built, s.profiles) for s in compose_services(text)}
    assert seen == {
        "nginx": (False, ()),
        "web": (True, ()),
        "worker": (True, ()),
        "migration": (True, ("migration",)),
        "postgres": (False, ()),
    }


def test_services_are_read_by_indentation() -> None:
    seen = {s.name: (s.built, s.profiles) for s in compose_services(COMPOSE)}
    assert seen == {
        "db": (False, ()),
        "web": (True, ()),
        "worker": (True, ()),
        "migration": (True, ("migration",)),
        "tools": (True, ("debug",)),
    }


FLASK_ENV = "from flask import current_app\nurl = os.environ['DATABASE_URL']\n"


@pytest.mark.parametrize(
    ("ini", "text", "env", "command"),
    [
        ("migrations/alembic.ini", "[alembic]\n", FLASK_ENV, ["flask", "db", "upgrade"]),
        ("db/alembic.ini", "[alembic]\n", FLASK_ENV, ["flask", "db", "upgrade", "-d", "db"]),
        (
            "db/alembic.ini",
            "[alembic]\nscript_location = %(here)s\n",
            "",
            ["alembic", "-c", "db/alembic.ini", "upgrade", "head"],
        ),
        (
            "alembic.ini",
            "[wards]\nscript_location = %(here)s\n",
            "",
            ["alembic", "-n", "wards", "upgrade", "head"],
        ),
        (
            "alembic.ini",
            "[alembic]\nscript_location = %(here)s\n",
            "",
            ["alembic", "upgrade", "head"],
        ),
    ],
)
def test_the_command_is_the_one_that_finds_the_project(
    tmp_path: Path, ini: str, text: str, env: str, command: list[str]
) -> None:
    path = tmp_path / ini
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    (path.parent / "env.py").write_text(env)
    migrate = parse(
        tomllib.loads(render_annotated(discover(tmp_path))), tmp_path / "deployguard.toml"
    ).environment(None)
    assert list(migrate.migrate.command) == command
    down = [word for word in command if word not in ("upgrade", "head")]
    at = 2 if command[0] == "flask" else len(down)
    down.insert(at, "downgrade")
    assert list(migrate.migrate.downgrade_command) == [*down, "{revision}"]


def test_other_histories_in_the_same_file_are_known(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(
        "[alembic:a]\nscript_location = a\n[alembic:b]\nscript_location = b\n[loggers]\nkeys = root\n"
    )
    facts = discover(tmp_path)
    assert (facts.section, facts.other_sections) == ("alembic:a", ("alembic:b",))


@pytest.mark.parametrize(
    ("ini", "service", "command"),
    [
        ("alembic.ini", "", None),
        ("db/alembic.ini", "", ["alembic", "-c", "db/alembic.ini", "upgrade", "head"]),
        ("db/alembic.ini", "migration", None),  # the image has it where the command runs
        ("db/other.ini", "migration", ["alembic", "-c", "other.ini", "upgrade", "head"]),
    ],
)
def test_the_command_finds_the_ini_where_it_runs(
    ini: str, service: str, command: list[str] | None
) -> None:
    facts = ProjectFacts(name="app", alembic_ini=ini, migration_service=service)
    found = commands(facts).get("command")
    assert (None if found is None else [*found]) == command
