"""Cutting a string into statements must never cut inside a quote, a comment or a body."""

import pytest

from deployguard.sql.split import split

CASES = {
    "SELECT 1; SELECT 2": ("SELECT 1", "SELECT 2"),
    "SELECT ';'; SELECT E'\\';'": ("SELECT ';'", "SELECT E'\\';'"),
    'SELECT ";" FROM t; SELECT 2;': ('SELECT ";" FROM t', "SELECT 2"),
    "SELECT 1 -- ; not\n; SELECT 2": ("SELECT 1", "SELECT 2"),
    "SELECT 1 /* ; /* ; */ ; */ + 1; SELECT 2": ("SELECT 1 /* ; /* ; */ ; */ + 1", "SELECT 2"),
    "DO $$ BEGIN x; END $$; SELECT 2": ("DO $$ BEGIN x; END $$", "SELECT 2"),
    "SELECT $a$ ; $$ ; $a$; SELECT 2": ("SELECT $a$ ; $$ ; $a$", "SELECT 2"),
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END; SELECT 2": (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
        "SELECT 2",
    ),
    "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 2": (
        "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)",
        "SELECT 2",
    ),
    "INSERT INTO t VALUES (%(a)s); SELECT 'é'; SELECT %s": (
        "INSERT INTO t VALUES (%(a)s)",
        "SELECT 'é'",
        "SELECT %s",
    ),
    "": (),
    " ; ;; ": (),
    "-- only words\n/* and these */": (),
}


@pytest.mark.parametrize("text", CASES)
def test_postgresql_statements_are_cut_where_the_server_cuts_them(text: str) -> None:
    assert split(text, "postgresql") == CASES[text]


@pytest.mark.parametrize("text", [text for text in CASES if "E'" not in text])
def test_tokens_cut_like_the_grammar(text: str) -> None:
    """One syntax error at the end makes the grammar give up; the statements before it stay the same."""
    cut = split(f"{text} ; SELEC", "postgresql")
    assert cut == (*CASES[text], "SELEC")


@pytest.mark.parametrize(
    ("dialect", "text", "count"),
    [
        ("sqlite", "CREATE TRIGGER a AFTER INSERT ON t BEGIN DELETE FROM b; END; SELECT 1", 2),
        ("sqlite", "BEGIN; INSERT INTO t VALUES ('a;b'); COMMIT", 3),
        ("sqlite", "SELECT [a;b]; SELECT `a;b`", 2),
        ("mysql", "SELECT 'it\\'s;'; # a; comment\nSELECT 2", 2),
        ("mysql", 'SELECT "a;b"; SELECT 2', 2),
        ("postgresql", "SELECT 'never closed; SELECT 2", 1),
    ],
)
def test_other_dialects_are_cut_by_their_own_quotes(dialect: str, text: str, count: int) -> None:
    assert len(split(text, dialect)) == count
