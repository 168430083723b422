"""What the findings and the answers of the checklist say is English."""

from deployguard.rules import answers, judge
from deployguard.rules.examples import read


def test_writes_that_were_not_seen_are_told_in_a_sentence() -> None:
    told = answers(judge(*read("-- opaque: unseen-writes"))).bulk_data
    assert told.startswith("yes, it changes rows in ways that were not seen while it was read: ")


def test_several_tables_are_locked() -> None:
    held = "ALTER TABLE customers ADD COLUMN a int; ALTER TABLE orders ADD COLUMN a int"
    for text, said in (
        (f"{held}; ALTER TABLE users VALIDATE CONSTRAINT fk", "customers, orders are locked"),
        (
            "ALTER TABLE orders ADD a int; ALTER TABLE users VALIDATE CONSTRAINT fk",
            "orders is locked",
        ),
    ):
        (verdict,) = judge(*read(text))
        assert any(said in one.message for one in verdict.findings), text
