"""deployguard.toml is read strictly: what is not understood is an error that names the place."""

from datetime import date
from pathlib import Path

import pytest

from deployguard.config import Config, backup_url, find, load, resolve_url
from deployguard.errors import UsageError
from deployguard.model import ApprovalMode, BackupMode, Risk

MINIMAL = """
[project]
name = "bookings"
[environments.development]
database_url = "sqlite:///bookings.db"
"""


def read(folder: Path, text: str) -> Config:
    (folder / "deployguard.toml").write_text(text, encoding="utf-8")
    return load(None, folder)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(folder, text)
    return caught.value.message


def test_a_minimal_file_gives_the_documented_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL)
    env = config.environment()
    assert env.name == "development"
    assert config.project.alembic_ini == "alembic.ini"
    assert env.migrate.command == ("alembic", "upgrade", "head")
    assert env.backup.tries == 3
    assert env.health.successes == 3
    assert env.policy.fail_on is Risk.HIGH
    assert config.state_directory == tmp_path / ".deployguard"


def test_the_file_is_found_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "deployguard.toml").write_text(MINIMAL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find(below) == tmp_path / "deployguard.toml"


def test_no_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "nowhere.toml", tmp_path)
    assert "nowhere.toml" in caught.value.message
    with pytest.raises(UsageError) as caught:
        find(tmp_path)
    assert caught.value.next_commands == ("deployguard init",)


@pytest.mark.parametrize(
    ("line", "place", "nearest"),
    [
        ("[migrat]\n", "deployguard.toml", "migrate"),
        ("[migrate]\nlock_timeot = 5\n", "[migrate]", "lock_timeout"),
        ("[environments.production]\ndatabase_url_evn = 'X'\n", "production", "database_url_env"),
        ("[policy.medium]\naproval = 'approval'\n", "medium", "approval"),
        (
            "[environments.staging]\ndatabase_url_env='X'\nhealth.url = []\n",
            "staging",
            "urls",
        ),
    ],
)
def test_an_unknown_key_names_its_place_and_the_nearest_key(
    tmp_path: Path, line: str, place: str, nearest: str
) -> None:
    message = refusal(tmp_path, MINIMAL + line)
    assert place in message
    assert f"did you mean {nearest!r}?" in message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[migrate]\ncommand = 'alembic upgrade head'\n", "must be a list"),
        ("[migrate]\nlock_timeout = '5'\n", "must be of type int"),
        ("[migrate]\nlock_timeout = true\n", "must be of type int"),
        ("[migrate]\nlock_timeout = -1\n", "must not be negative"),
        ("[migrate]\nrunner = 'kubernetes'\n", "use one of: local, compose"),
        ("[target]\nupdate = ['systemctl restart x']\n", "must be a list"),
        ("[policy]\nfail_on = 'severe'\n", "use one of: low, medium, high, critical"),
        ("[policy.low]\napproval = 'never'\n", "use one of: automatic, review, approval"),
        ("[read]\npython = [3]\n", "must be of type str"),
        ("read = 3\n", "must be a table"),
    ],
)
def test_a_wrong_value_says_what_is_wanted(tmp_path: Path, line: str, expected: str) -> None:
    text = line + MINIMAL if line.startswith("read") else MINIMAL + line
    assert expected in refusal(tmp_path, text)


def test_a_wrong_file_is_named_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deployguard.toml").write_text("[projct]\n")
    below = tmp_path / "src"
    below.mkdir()
    with pytest.raises(UsageError) as caught:
        load(None, below)
    assert caught.value.next_commands == (f"${{EDITOR:-vi}} {tmp_path / 'deployguard.toml'}",)


def test_text_that_is_no_toml_is_a_usage_error(tmp_path: Path) -> None:
    assert "not valid TOML" in refusal(tmp_path, "[project\n")


def test_an_environment_overrides_shared_tables_key_by_key(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        MINIMAL
        + """
[health]
successes = 7
urls = ["http://a/health"]
[policy.low]
approval = "review"
[environments.production]
database_url_env = "PROD_URL"
health.deadline = 9
migrate.runner = "compose"
policy.low.backup = "required"
""",
    )
    production, development = config.environment("production"), config.environment("development")
    assert (production.health.successes, production.health.deadline) == (7, 9.0)
    assert production.health.urls == ("http://a/health",)
    assert development.health.deadline == 60.0
    assert (production.migrate.runner, development.migrate.runner) == ("compose", "local")
    need = production.policy.requirement(Risk.LOW)
    assert need.approval is ApprovalMode.REVIEW
    assert need.backup is BackupMode.REQUIRED


@pytest.mark.parametrize("level", ["high", "critical"])
@pytest.mark.parametrize("key", ["approval = 'review'", "backup = 'recommended'"])
def test_high_and_critical_cannot_be_configured_below_the_floor(
    tmp_path: Path, level: str, key: str
) -> None:
    assert "always need" in refusal(tmp_path, MINIMAL + f"[policy.{level}]\n{key}\n")
    below = f"[environments.production]\ndatabase_url_env = 'X'\npolicy.{level}.{key}\n"
    assert "always need" in refusal(tmp_path, MINIMAL + below)


def test_a_password_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    line = "[environments.production]\ndatabase_url = 'postgresql://app:hunter2@db/app'\n"
    message = refusal(tmp_path, MINIMAL + line)
    assert "password" in message
    assert "hunter2" not in message


def test_an_environment_needs_a_source_of_its_url(tmp_path: Path) -> None:
    message = refusal(tmp_path, MINIMAL + "[environments.production]\n")
    assert "needs database_url" in message


def test_a_variable_that_is_set_goes_before_the_url_in_the_file(tmp_path: Path) -> None:
    keys = "database_url = 'sqlite:///file.db'\ndatabase_url_env = 'APP_URL'\n"
    both = read(tmp_path, MINIMAL + f"[environments.both]\n{keys}").environment("both")
    assert resolve_url(both, {}).database == "file.db"
    assert resolve_url(both, {"APP_URL": ""}).database == "file.db"
    assert resolve_url(both, {"APP_URL": "sqlite:///other.db"}).database == "other.db"


def test_an_unknown_environment_lists_those_that_exist(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL)
    with pytest.raises(UsageError, match="it has: development"):
        config.environment("producton")


def test_two_environments_and_no_default_asks_which(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL + "[environments.production]\ndatabase_url_env = 'X'\n")
    with pytest.raises(UsageError, match="Which environment"):
        config.environment()


def test_a_default_environment_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    text = MINIMAL.replace('name = "bookings"', 'name = "bookings"\ndefault_environment = "live"')
    assert "live" in refusal(tmp_path, text)


def test_the_url_comes_from_the_named_variable_and_only_from_there(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL + "[environments.production]\ndatabase_url_env = 'PROD_URL'\n")
    production = config.environment("production")
    url = resolve_url(production, {"PROD_URL": "postgresql://app:pw@db/app"})
    assert url.raw == "postgresql://app:pw@db/app"
    with pytest.raises(UsageError, match="PROD_URL") as caught:
        resolve_url(production, {"DATABASE_URL": "postgresql://app:pw@db/app"})
    assert "PROD_URL" in caught.value.next_commands[0]


def test_a_variable_that_holds_no_url_is_not_shown(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL + "[environments.production]\ndatabase_url_env = 'PROD_URL'\n")
    with pytest.raises(UsageError) as caught:
        resolve_url(config.environment("production"), {"PROD_URL": "s3cret-not-a-url"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("key", ["stop", "start"])
def test_stopping_and_starting_come_together(tmp_path: Path, key: str) -> None:
    assert "both stop and start" in refusal(tmp_path, MINIMAL + f"[target]\n{key} = [['true']]\n")


ACCEPT = '[[accept]]\nrevision = "b017"\nrule = "DG201"\nreason = "rooms has 40 rows"\n'


def test_accepted_findings_are_read_with_the_place_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "deployguard.toml"
    path.write_text(MINIMAL + ACCEPT + "line = 3\nexpires = 2027-01-31\n" + ACCEPT)
    first, second = load(path, tmp_path).accept
    assert (first.revision, first.rule, first.reason) == ("b017", "DG201", "rooms has 40 rows")
    assert (first.line, first.expires) == (3, date(2027, 1, 31))
    header = MINIMAL.count("\n") + 1
    assert (first.place, second.place) == (
        f"deployguard.toml:{header}",
        f"deployguard.toml:{header + 6}",
    )


def test_accepted_findings_in_an_inline_list_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "deployguard.toml"
    inline = 'accept = [{revision = "b017", rule = "DG201", reason = "r"}]\n'
    path.write_text(inline + MINIMAL)
    assert load(path, tmp_path).accept[0].place == "deployguard.toml: accept entry 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ACCEPT.replace('reason = "rooms has 40 rows"', ""), "needs a reason"),
        (ACCEPT.replace("rooms has 40 rows", "  "), "needs a reason"),
        (ACCEPT.replace('rule = "DG201"', ""), "needs a rule"),
        (ACCEPT + 'expires = "2027-01-31"\n', "must be a date"),
        (ACCEPT + "expires = 2027-01-31T00:00:00\n", "must be a date"),
        (ACCEPT + "line = -1\n", "line must be"),
        (ACCEPT + "line = true\n", "line must be"),
        (ACCEPT + "reasn = 1\n", "did you mean 'reason'"),
        (ACCEPT + 'dialect = "postgres"\n', "unknown dialect 'postgres'"),
        ("[accept]\n", "must be [[accept]] entries"),
        ("[[accept]]\nrevision = 17\n", "must be of type str"),
    ],
)
def test_an_accepted_finding_that_cannot_be_right_is_an_error(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "deployguard.toml"
    path.write_text(MINIMAL + text)
    with pytest.raises(UsageError) as error:
        load(path, tmp_path)
    assert said in error.value.message
    if "[[" in text and "did you mean" not in said:
        assert "deployguard.toml:" in error.value.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('compression = "bzip2"', "compression is 'bzip2'; use one of: auto, zstd"),
        ('compression = "gzip:10"', "its level is 1 to 9"),
        ('compression = "zstd:"', "its level is 1 to 22"),
        ('compression = "auto:3"', "it has no level"),
        ('format = "plain"\ncompression = "zstd"', "can only be gzip or none"),
        ('format = "tar"', "use one of: directory, custom, plain"),
    ],
)
def test_what_pg_dump_cannot_do_is_refused(tmp_path: Path, words: str, said: str) -> None:
    path = tmp_path / "deployguard.toml"
    path.write_text(
        f'[project]\nname = "p"\n[backup]\n{words}\n[environments.e]\ndatabase_url_env = "U"\n'
    )
    with pytest.raises(UsageError) as caught:
        load(path, tmp_path)
    assert said in caught.value.message


def test_the_url_for_backups_is_read_from_its_own_variable(tmp_path: Path) -> None:
    path = tmp_path / "deployguard.toml"
    path.write_text(
        '[project]\nname = "p"\n[environments.e]\ndatabase_url_env = "U"\n'
        'backup.database_url_env = "DIRECT"\n[environments.plain]\ndatabase_url_env = "U"\n'
    )
    config = load(path, tmp_path)
    given = {"U": "postgresql://u:p@pool/d", "DIRECT": "postgresql://u:canary@db/d"}
    found = backup_url(config.environment("e"), given)
    assert found is not None
    assert (found.host, found.password) == ("db", "canary")
    assert backup_url(config.environment("plain"), given) is None
    with pytest.raises(UsageError, match="DIRECT, which holds the URL for backups of 'e', is not"):
        backup_url(config.environment("e"), {"U": given["U"]})
    with pytest.raises(UsageError) as caught:
        backup_url(config.environment("e"), {"DIRECT": "canary"})
    assert "canary" not in caught.value.message
