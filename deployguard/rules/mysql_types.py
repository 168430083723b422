"""Which type changes of MySQL and MariaDB leave every row as it is.

Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html and, for MariaDB,
https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-instant-alter-algorithm/; the latter is measured by
tests/rules/test_mysql_measured.py.
"""

import re

_TYPE = re.compile(
    r"^(?P<name>[a-z]+(?:\s+(?:varying|precision))?)\s*(?:\((?P<inside>.*)\))?\s*(?P<tail>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint"}
_SAME = {
    "integer": "int", "dec": "decimal", "numeric": "decimal", "bool": "tinyint", "boolean": "tinyint",
    "character": "char", "character varying": "varchar", "double precision": "double",
}  # fmt: skip
# The length of a value takes one byte up to 255 bytes and two beyond; a character takes one to four.
_SURELY_SHORT, _SURELY_LONG = 255 // 4, 256


def unchanged_rows(old_text: str | None, new_text: str, dialect: str) -> bool | None:
    """Whether only the dictionary changes; None when the old type is not known."""
    if not old_text:
        return None
    old, new = _parts(old_text), _parts(new_text)
    if old is None or new is None:
        return False
    if old == new:
        return True
    (old_name, old_inside, old_tail), (new_name, new_inside, new_tail) = old, new
    if old_name != new_name or old_tail != new_tail:
        return False
    if old_name == "varchar":
        return _longer(int(old_inside or 0), int(new_inside or 0), dialect)
    if old_name in {"enum", "set"}:
        # New values behind the old ones; a SET that needs another byte is copied, and so is a long ENUM.
        before, after = _values(old_inside), _values(new_inside)
        limit = 255 if old_name == "enum" else 8
        return after[: len(before)] == before and len(after) <= limit
    return False


def _longer(old: int, new: int, dialect: str) -> bool:
    if new < old:
        return False
    return dialect == "mariadb" or new <= _SURELY_SHORT or old >= _SURELY_LONG


def _parts(text: str) -> tuple[str, str, str] | None:
    match = _TYPE.match(text.strip())
    if match is None:
        return None
    name = " ".join(match["name"].lower().split())
    name = _SAME.get(name, name)
    tail = " ".join(match["tail"].lower().split())
    inside = (match["inside"] or "").strip()
    if name in _INTEGERS:
        inside = ""  # a width for display
    elif name == "decimal":
        inside = (
            ",".join((*(part.strip() for part in inside.split(",") if part.strip()), "0")[:2])
            if inside
            else "10,0"
        )
    elif name not in {"enum", "set"}:
        inside = inside.replace(" ", "")
    if name == "varchar" and not inside.isdigit():
        return None
    tail = re.sub(r"\s*(?:character set|charset|collate)\s+\S+", "", f" {tail}").strip()
    return name, inside, tail


def _values(inside: str) -> list[str]:
    return re.findall(r"'(?:[^'\\]|\\.|'')*'", inside)
