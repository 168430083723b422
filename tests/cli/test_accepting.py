"""Accepting findings on a real project: in the revision, in the configuration, and by a baseline."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.conftest import Answer, Bookings, MakeBookings
from tests.formats.test_document import BASELINE_SCHEMA, CHECK_SCHEMA

DROP = "b018_drop_guest_fax.py"
OFFLINE = ("--from", "b017", "--dialect", "postgresql")


def revision(bookings: Bookings, name: str = DROP) -> Path:
    return bookings.folder / "migrations" / "versions" / name


def line_of_the_drop(bookings: Bookings) -> int:
    document = report(bookings.deployguard("check", *OFFLINE, "--format", "json"))
    return int(document["revisions"][0]["findings"][0]["line"])


def insert(bookings: Bookings, comment: str, *, behind: bool = False) -> None:
    """Put a comment above the call that drops the column, or behind it."""
    number = line_of_the_drop(bookings)
    path = revision(bookings)
    lines = path.read_text().splitlines()
    call = lines[number - 1]
    indent = call[: len(call) - len(call.lstrip())]
    lines[number - 1 : number] = [f"{call}  {comment}"] if behind else [f"{indent}{comment}", call]
    path.write_text("\n".join(lines) + "\n")


def report(answer: Answer) -> Any:
    document = json.loads(answer.out)
    jsonschema.Draft202012Validator(CHECK_SCHEMA).validate(document)
    return document


def accepted(bookings: Bookings) -> Any:
    return report(bookings.deployguard("check", *OFFLINE, "--format", "json"))["revisions"][0][
        "findings"
    ][0]["accepted"]


@pytest.mark.parametrize("behind", [True, False])
def test_a_comment_in_the_revision_is_enough_for_check(
    make_bookings: MakeBookings, behind: bool
) -> None:
    bookings = make_bookings("b018")
    assert bookings.deployguard("check", *OFFLINE).code == 10
    insert(bookings, '# deployguard: accept DG102 reason="always empty"', behind=behind)
    answer = bookings.deployguard("check", *OFFLINE)
    assert answer.code == 0, answer.err
    assert "DG102 critical accepted" in answer.out
    assert "always empty (migrations/versions/b018_drop_guest_fax.py:" in answer.out
    assert "Critical (what is accepted counts for deploy) needs an approval" in answer.out
    document = report(bookings.deployguard("check", *OFFLINE, "--format", "json"))
    assert (document["level"], document["level_with_accepted"]) == ("low", "critical")
    assert (document["needs_approval"], document["needs_backup"]) == (True, True)


def test_deploy_still_wants_its_approval(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    insert(bookings, '# deployguard: accept DG102 reason="always empty"')
    answer = bookings.deployguard("deploy", "--auto-migrate")
    assert answer.code == 11
    assert "critical risk needs an approval" in answer.err
    assert bookings.revision == "b013"


def test_accepting_changes_the_digest(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    before = report(bookings.deployguard("check", *OFFLINE, "--format", "json"))["digest"]
    bookings.configure('[[accept]]\nrevision = "b018"\nrule = "DG102"\nreason = "empty"\n')
    assert accepted(bookings) == {"reason": "empty", "at": "deployguard.toml:8"}
    assert report(bookings.deployguard("check", *OFFLINE, "--format", "json"))["digest"] != before


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# deployguard: accept DG102", "it gives no reason"),
        ('# deployguard: acept DG102 reason="x"', "must go on with `accept`"),
        ('# deployguard: accept DG999 reason="x"', "there is no rule 'DG999'"),
        ('# deployguard: accept DG201 reason="x"', "accepting DG201 matches no finding"),
    ],
)
def test_a_suppression_that_cannot_stand_is_usage_with_file_and_line(
    make_bookings: MakeBookings, comment: str, said: str
) -> None:
    bookings = make_bookings("b018")
    number = line_of_the_drop(bookings)
    insert(bookings, comment)
    answer = bookings.deployguard("check", *OFFLINE)
    assert (answer.code, answer.out) == (2, "")
    told = " ".join(answer.err.split())
    assert f"migrations/versions/{DROP}:{number}: " in told
    assert said in told
    deployed = bookings.deployguard("deploy", "--auto-migrate")
    assert deployed.code == 2
    assert bookings.revision == "b013"


def test_a_pull_request_is_told_at_the_line_of_the_comment(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    number = line_of_the_drop(bookings)
    insert(bookings, "# deployguard: accept DG102")
    answer = bookings.deployguard("check", *OFFLINE, "--format", "github")
    assert answer.code == 2
    place = f"file=migrations/versions/{DROP},line={number}"
    assert answer.out.startswith(f"::error title=deployguard suppression,{place}::it gives no")


def test_only_revisions_that_are_judged_are_asked(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    path = next(revision(bookings).parent.glob("b014_*.py"))
    path.write_text(path.read_text() + "\n# deployguard: acept\n")
    assert bookings.deployguard("check", *OFFLINE).code == 10
    assert bookings.deployguard("check", "--from", "b013", "--dialect", "sqlite").code == 2


def test_the_configuration_must_name_revisions_that_are_there(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    bookings.configure('[[accept]]\nrevision = "b999"\nrule = "DG102"\nreason = "x"\n')
    answer = bookings.deployguard("check", *OFFLINE)
    assert answer.code == 2
    assert "deployguard.toml:8: there is no revision 'b999'" in " ".join(answer.err.split())


def test_an_entry_for_a_revision_that_is_not_pending_waits(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    bookings.configure('[[accept]]\nrevision = "b014"\nrule = "DG102"\nreason = "x"\n')
    assert bookings.deployguard("check", *OFFLINE).code == 10


def test_a_batch_operation_is_accepted_where_it_stands(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    revision(bookings).write_text(
        '"""Drop two.\n\nRevises: b017\n"""\n\nfrom alembic import op\n\n'
        'revision = "b018"\ndown_revision = "b017"\n\n\ndef upgrade() -> None:\n'
        '    with op.batch_alter_table("guests") as batch:\n'
        '        batch.drop_column("fax")  # deployguard: accept DG102 reason="empty"\n'
        '        batch.drop_column("email")\n\n\ndef downgrade() -> None:\n    pass\n'
    )
    for dialect in ("postgresql", "sqlite"):
        document = report(
            bookings.deployguard(
                "check", "--from", "b017", "--dialect", dialect, "--format", "json"
            )
        )
        found = {
            one["message"]: one["accepted"]
            for one in document["revisions"][0]["findings"]
            if one["rule"] == "DG102"
        }
        assert sorted(bool(value) for value in found.values()) == [False, True]
        assert next(text for text, value in found.items() if value).find("fax") > 0


def test_a_baseline_takes_the_history_out_until_a_file_changes(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    written = bookings.deployguard("baseline", "--dialect", "postgresql")
    assert written.code == 0, written.err
    assert re.search(
        r"Wrote .*deployguard-baseline\.json: \d+ findings of 18 revisions",
        " ".join(written.out.split()),
    )
    path = bookings.folder / "deployguard-baseline.json"
    jsonschema.Draft202012Validator(BASELINE_SCHEMA).validate(json.loads(path.read_text()))
    for start in ("base", "b005", "b017"):
        answer = bookings.deployguard(
            "check", "--from", start, "--dialect", "postgresql", "--format", "json"
        )
        assert answer.code == 0, answer.err
        findings = [one for each in report(answer)["revisions"] for one in each["findings"]]
        assert all(one["accepted"]["reason"] == "baseline" for one in findings)
    assert accepted(bookings) == {"reason": "baseline", "at": None}
    revision(bookings).write_text(revision(bookings).read_text() + "\n")
    assert accepted(bookings) is None
    assert bookings.deployguard("check", *OFFLINE).code == 10


def test_a_baseline_keeps_what_it_says_of_other_dialects(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    for dialect in ("postgresql", "sqlite"):
        assert bookings.deployguard("baseline", "--dialect", dialect).code == 0
    path = bookings.folder / "deployguard-baseline.json"
    assert set(json.loads(path.read_text())["dialects"]) == {"postgresql", "sqlite"}
    before = path.read_text()
    assert bookings.deployguard("baseline", "--dialect", "sqlite").code == 0
    assert path.read_text() == before


def test_a_baseline_elsewhere_must_be_configured(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    answer = bookings.deployguard("baseline", "--dialect", "postgresql", "-o", "known.json")
    assert (answer.code, 'baseline = "known.json"' in answer.err) == (0, True)
    toml = bookings.folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace("[project]", '[project]\nbaseline = "known.json"'))
    assert accepted(bookings) == {"reason": "baseline", "at": None}
    (bookings.folder / "known.json").unlink()
    missing = bookings.deployguard("check", *OFFLINE)
    assert missing.code == 2
    assert "Cannot read the baseline" in missing.err
    (bookings.folder / "known.json").write_text("{}")
    assert bookings.deployguard("check", *OFFLINE).code == 2


def test_a_baseline_names_revisions_that_are_gone(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    assert bookings.deployguard("baseline", "--dialect", "postgresql").code == 0
    revision(bookings).unlink()
    answer = bookings.deployguard("check", "--from", "b016", "--dialect", "postgresql")
    assert "names revisions that are gone: b018" in " ".join(answer.out.split())


def test_one_run_shows_text_and_writes_for_the_machines(
    make_bookings: MakeBookings, tmp_path: Path
) -> None:
    bookings = make_bookings("b018")
    files = {form: tmp_path / f"out.{form}" for form in ("sarif", "gitlab", "junit", "json")}
    outputs = [f"--output={form}={path}" for form, path in files.items()]
    answer = bookings.deployguard("check", *OFFLINE, *outputs)
    assert (answer.code, "DG102 critical" in answer.out) == (10, True)
    assert json.loads(files["sarif"].read_text())["runs"][0]["results"][0]["ruleId"] == "DG102"
    assert json.loads(files["gitlab"].read_text())[0]["check_name"] == "DG102"
    assert files["junit"].read_text().startswith("<?xml")
    assert json.loads(files["json"].read_text())["level"] == "critical"


@pytest.mark.parametrize("given", ["sarif", "pdf=x", "sarif=", "=x"])
def test_an_output_that_cannot_be(make_bookings: MakeBookings, given: str) -> None:
    answer = make_bookings("b018").deployguard("check", *OFFLINE, "--output", given)
    assert answer.code == 2
    assert "FORMAT=FILE" in answer.err


def test_the_page_shows_what_works(make_bookings: MakeBookings) -> None:
    """The example of docs/suppression.md, as the file of a revision."""
    page = (Path(__file__).parents[2] / "docs" / "suppression.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    bookings = make_bookings("b018")
    head = '"""Two.\n\nRevises: b017\n"""\n\nfrom alembic import op\n\n'
    names = 'revision = "b018"\ndown_revision = "b017"\n\n\n'
    revision(bookings).write_text(f"{head}{names}{example}\n\ndef downgrade() -> None:\n    pass\n")
    found = report(bookings.deployguard("check", *OFFLINE, "--format", "json"))["revisions"][0]
    reasons = {one["rule"]: one["accepted"] for one in found["findings"]}
    assert {reasons["DG201"]["reason"], reasons["DG102"]["reason"]} == {
        "rooms has 40 rows",
        "always empty",
    }
    [toml] = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    bookings.configure(toml.replace("b017", "b018"))
    assert bookings.deployguard("check", *OFFLINE).code == 0
