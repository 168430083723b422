"""The JSON documents: their shape is a promise, and each is one that a parser reads."""

import json
import re
from pathlib import Path
from typing import Any

from deployguard.formats import check_document, render
from deployguard.formats.document import (
    backup_document,
    backups_document,
    deploy_document,
    history_document,
    status_document,
)
from tests.formats.reports import BACKUP, CRITICAL, DEPLOY, DIGEST, NOTHING, PATH, STATUS

SCHEMA_PAGE = Path(__file__).parents[2] / "docs" / "report-schema.md"


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
        if key not in ("files", "counts", "tools", "release"):
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
    )
    for document in documents:
        assert keys(loaded(document)) <= explained, keys(loaded(document)) - explained
