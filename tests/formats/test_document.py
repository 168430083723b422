"""The JSON documents: their shape is a promise, and each is one that a parser reads."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deployguard.accept import Baseline, entries
from deployguard.accept.baseline import document as baseline_document
from deployguard.formats import CheckReport, check_document, render
from deployguard.formats.document import (
    backup_document,
    backups_document,
    deploy_document,
    history_document,
    status_document,
)
from deployguard.formats.kept_document import disk_document, prune_document, standing_document
from tests.formats.reports import (
    ACCEPTED,
    BACKUP,
    CRITICAL,
    DEPLOY,
    DIGEST,
    DISK,
    DRILLED,
    NOTHING,
    PATH,
    PRUNE,
    STANDING,
    STATUS,
    many,
)

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA_PAGE = DOCS / "report-schema.md"
CHECK_SCHEMA = json.loads((DOCS / "schema" / "check-1.json").read_text(encoding="utf-8"))
BASELINE_SCHEMA = json.loads((DOCS / "schema" / "baseline-1.json").read_text(encoding="utf-8"))


def loaded(document: Any) -> Any:
    return json.loads(render(document))


def keys(document: Any) -> set[str]:
    """Every key at any depth; the names inside mappings of names are left out by their parents."""
    if isinstance(document, list):
        return {key for item in document for key in keys(item)}
    if not isinstance(document, dict):
        return set()
    found = set(document)
    for key, item in document.items():
        if key not in ("files", "counts", "tools", "release", "classes"):
            found |= keys(item)
    return found


def test_the_check_document_holds_the_whole_report() -> None:
    document = loaded(check_document(CRITICAL))
    assert document["schema"] == "deployguard.check/1"
    assert (document["level"], document["pending"], document["failed"]) == ("critical", 1, True)
    assert (document["needs_approval"], document["needs_backup"]) == (True, True)
    assert document["digest"] == DIGEST
    revision = document["revisions"][0]
    assert revision["findings"][0]["rule"] == "DG102"
    assert (revision["findings"][0]["path"], revision["findings"][0]["line"]) == (PATH, 16)
    assert revision["locks"][0]["mode"] == "ACCESS EXCLUSIVE"
    assert revision["undo"]["way"] == "downgrade-loses-data"
    assert revision["up"] == [{"sql": "ALTER TABLE guests DROP COLUMN fax", "line": 16}]


def described(schema: Any) -> set[str]:
    """Every key that a schema names at any depth."""
    if isinstance(schema, list):
        return {key for item in schema for key in described(item)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", {})) | set(schema.get("required", []))
    return own | {key for item in schema.values() for key in described(item)}


@pytest.mark.parametrize("report", [CRITICAL, NOTHING, ACCEPTED, many(30)], ids=lambda _: "report")
def test_the_check_document_is_as_its_schema_says(report: CheckReport) -> None:
    document = loaded(check_document(report))
    jsonschema.Draft202012Validator(CHECK_SCHEMA).validate(document)
    assert keys(document) <= described(CHECK_SCHEMA)


def test_the_schemas_are_schemas_and_refuse_what_is_wrong() -> None:
    for schema in (CHECK_SCHEMA, BASELINE_SCHEMA):
        jsonschema.Draft202012Validator.check_schema(schema)
    wrong = loaded(check_document(CRITICAL)) | {"level": "severe"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(CHECK_SCHEMA).validate(wrong)


def test_the_baseline_is_as_its_schema_says() -> None:
    made = Baseline().with_dialect("postgresql", entries(CRITICAL.plan.verdicts))
    document = loaded(baseline_document(made))
    assert document["dialects"]["postgresql"]["b018"]["findings"]
    jsonschema.Draft202012Validator(BASELINE_SCHEMA).validate(document)


def test_both_levels_are_told_where_something_is_accepted() -> None:
    document = loaded(check_document(ACCEPTED))
    assert (document["level"], document["level_with_accepted"]) == ("medium", "critical")
    assert (document["failed"], document["needs_approval"]) == (False, True)
    first, second, third = document["revisions"][0]["findings"]
    assert first["accepted"] == {"reason": "nobody has a fax", "at": f"{PATH}:15"}
    assert second["accepted"] == {"reason": "baseline", "at": None}
    assert third["accepted"] is None


def test_nothing_pending_has_no_level_and_does_not_fail() -> None:
    document = loaded(check_document(NOTHING))
    assert (document["level"], document["failed"], document["revisions"]) == (None, False, [])
    assert (document["needs_approval"], document["needs_backup"]) == (False, False)


def test_the_other_documents_name_their_schema() -> None:
    assert loaded(backup_document(BACKUP))["schema"] == "deployguard.backup/1"
    assert loaded(backup_document(BACKUP))["files"]["bookings.dump"]["size"] == 1536
    assert loaded(backups_document((BACKUP,)))["backups"][0]["counts"]["guests"] == 1200
    assert loaded(deploy_document(DEPLOY))["steps"][1]["state"] == "failed"
    assert loaded(history_document((DEPLOY,)))["deploys"][0]["id"] == DEPLOY.id
    assert loaded(status_document(STATUS))["unfinished"]["state"] == "running"


def test_every_key_is_explained_on_the_schema_page() -> None:
    explained = set(re.findall(r"`([a-z_0-9]+)`", SCHEMA_PAGE.read_text(encoding="utf-8")))
    documents = (
        check_document(CRITICAL),
        backups_document((BACKUP,)),
        deploy_document(DEPLOY),
        history_document((DEPLOY,)),
        status_document(STATUS),
        backup_document(DRILLED),
        prune_document(PRUNE),
        disk_document(DISK),
        standing_document(STANDING),
    )
    for document in documents:
        assert keys(loaded(document)) <= explained, keys(loaded(document)) - explained


def test_half_a_character_is_written_as_its_escape() -> None:
    written = render({"message": "a\ud800b"})
    assert json.loads(written.encode("utf-8")) == {"message": "a\ud800b"}
