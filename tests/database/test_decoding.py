"""The plugin's text is read back as what was written, whatever stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.database.changes import Changes, fold, per_table
from deployguard.database.decoding import Change, Edge, Message, Undecoded, decode

TYPES = ("integer", "text", "character varying", "text[]", '"odd]: \'type"', 'a."B"[]')


def test_the_edges_of_a_transaction() -> None:
    assert decode("BEGIN 727") == Edge(begins=True)
    ended = decode("COMMIT 727 (at 2026-02-18 10:30:00.000000+00)")
    assert ended == Edge(begins=False, at="2026-02-18 10:30:00.000000+00")


def test_rows_with_keys_and_without() -> None:
    line = "table public.t: UPDATE: old-key: id[integer]:2 new-tuple: id[integer]:7 v[text]:'it''s'"
    assert decode(line) == Change(
        "update", (("public", "t"),), {"id": "7", "v": "it's"}, {"id": "2"}
    )
    assert decode("table public.t: DELETE: id[integer]:7") == Change(
        "delete", (("public", "t"),), key={"id": "7"}
    )
    assert decode("table public.t: DELETE: (no-tuple-data)") == Change("delete", (("public", "t"),))
    long = "table public.t: UPDATE: id[integer]:1 v[text]:unchanged-toast-datum b[bit]:B'101'"
    assert decode(long) == Change(
        "update", (("public", "t"),), {"id": "1", "b": "101"}, unchanged=("v",)
    )


def test_tables_that_were_emptied_together() -> None:
    line = 'table public.t, "a.b"."c, d": TRUNCATE: restart_seqs cascade'
    assert decode(line) == Change("truncate", (("public", "t"), ("a.b", "c, d")))
    assert decode("message: transactional: 1 prefix: x, sz: 1 content:y") == Message()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "SOMETHING new",
        "table public.t: UPSERT: id[integer]:1",
        "table public.t: INSERT: id[integer]:1 and more",
        "table public.t: INSERT: v[text]:'open",
        "table public.t: UPDATE: old-key: id[integer]:1",
        "table public.t: INSERT: v[text:'x'",
        "table public.t, public.u: INSERT: id[integer]:1",
    ],
)
def test_what_is_not_understood_is_never_taken_for_nothing(line: str) -> None:
    with pytest.raises(Undecoded):
        decode(line)


def quoted_name(name: str) -> str:
    """As quote_identifier writes it."""
    plain = name and name[0] in LETTERS and all(c in LETTERS + "0123456789" for c in name)
    return name if plain else '"' + name.replace('"', '""') + '"'


LETTERS = "abcdefghijklmnopqrstuvwxyz_"
NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)
VALUES = st.one_of(st.none(), st.text().map(lambda text: text.replace("\0", "")))


@given(
    schema=NAMES,
    table=NAMES,
    key=st.dictionaries(NAMES, VALUES, max_size=3),
    new=st.dictionaries(NAMES, st.tuples(st.sampled_from(TYPES), VALUES), min_size=1, max_size=4),
)
def test_whatever_stands_in_names_and_values_comes_back(
    schema: str, table: str, key: dict[str, str | None], new: dict[str, tuple[str, str | None]]
) -> None:
    def said(values: dict[str, tuple[str, str | None]]) -> str:
        return "".join(
            f" {quoted_name(name)}[{kind}]:"
            + ("null" if value is None else "'" + value.replace("'", "''") + "'")
            for name, (kind, value) in values.items()
        )

    old = said({name: ("text", value) for name, value in key.items()})
    before = f" old-key:{old} new-tuple:" if key else ""
    line = f"table {quoted_name(schema)}.{quoted_name(table)}: UPDATE:{before}{said(new)}"
    values = {name: value for name, (_, value) in new.items()}
    assert decode(line) == Change("update", ((schema, table),), values, key)


def lines(*transactions: tuple[int, list[str]]) -> list[tuple[str, int, str]]:
    return [
        ("0/1", xid, text)
        for xid, inner in transactions
        for text in (f"BEGIN {xid}", *inner, f"COMMIT {xid} (at now)")
    ]


INSERT = "table public.bookings: INSERT: id[integer]:1"
VERSION = "table public.alembic_version: UPDATE: old-key: version_num[text]:'a' new-tuple: version_num[text]:'{}'"


def counted(*transactions: tuple[int, list[str]]) -> Changes:
    return fold(lines(*transactions), version_table=("public", "alembic_version"), known=("a", "b"))


def test_the_migration_is_not_counted_and_others_are() -> None:
    found = counted(
        (1, [INSERT, INSERT]),
        (2, [INSERT, VERSION.format("b"), INSERT]),
        (3, ["table public.bookings: DELETE: id[integer]:1", "table s.t: UPDATE: id[integer]:1"]),
        (4, []),
    )
    assert found.tables == {"bookings": (2, 0, 1, 0), "s.t": (0, 1, 0, 0)}
    assert (found.transactions, found.bare, found.rows, found.writes) == (2, 1, 4, 3)
    assert found.own == {2}
    assert str(found) == (
        "bookings +2 -1, s.t ~1, 4 rows in 2 transactions, 1 that changed no row (DDL, ANALYZE or large objects)"
    )
    assert per_table(found) == ("bookings: 2 inserted, 1 deleted", "s.t: 1 updated")


def test_a_transaction_that_names_a_strange_revision_is_somebody_elses() -> None:
    assert counted((1, [VERSION.format("z"), INSERT])).transactions == 1
    assert counted((1, [VERSION.format("z"), VERSION.format("b")])).transactions == 1
    untold = "table public.alembic_version: DELETE: (no-tuple-data)"
    assert counted((1, [untold, INSERT])).transactions == 1


def test_only_a_count_without_gaps_proves_that_nobody_wrote() -> None:
    assert Changes().writes == 0
    assert Changes(hidden=("a sequence moved",)).writes is None
    assert Changes(transactions=2, hidden=("a sequence moved",)).writes == 2
    assert Changes(missing="the slot is lost").writes is None
