"""The text of a comment → what it accepts: the grammar of ``# deployguard: accept …``, and what is wrong with one.

    # deployguard: accept DG201, drop-column [dialect=NAME] [expires=YYYY-MM-DD] reason="…"

Whatever looks like a directive and is none is a problem, never nothing: a suppression that is silently ignored is
worse than none.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from deployguard.config.accepted import DIALECTS

HOW = '# deployguard: accept DG201 reason="…"'

_START = re.compile(r"#\s*deployguard\s*:\s*", re.IGNORECASE)
_VERB = re.compile(r"(\w*)")
_PART = re.compile(
    r"""\s*(?:
        (?P<key>[A-Za-z]+)\s*=\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<bare>[^\s"'#]*))
      | (?P<rule>[A-Za-z][\w-]*)
      | (?P<comma>,)
    )""",
    re.VERBOSE,
)
_END = re.compile(r"\s*(?=#|$)")
# Words that somebody writes who means to accept something.
_VERBS = ("accept", "ignore", "disable", "allow", "suppress", "skip", "noqa")
_NAMED = re.compile(r"#\s*([A-Za-z][\w-]*(?: ?guard)?)\s*:", re.IGNORECASE)
_LOOSE = re.compile(r"\bdeploy[-_ ]?guard\W{0,3}(\w+)(.*)", re.IGNORECASE | re.DOTALL)
_TELLING = re.compile(r"\bDG\d|\breason\s*=", re.IGNORECASE)
_IN_SQL = re.compile(r"(?:--|/\*)\s*deploy[-_ ]?guard\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something that was meant as a directive is none. ``line`` is 1-based."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Accepts:
    """What one directive says: rules as they were written, on which dialect ("" is any), for how long, and why."""

    rules: tuple[str, ...]
    reason: str
    dialect: str = ""
    expires: date | None = None


def read_comment(comment: str) -> Iterator[Accepts | str]:
    """The directives in one comment, which begins with ``#``; for a malformed one a sentence that says so."""
    found = _START.search(comment)
    if found is None:
        if complaint := _lookalike(comment):
            yield complaint
        return
    while found is not None:
        read, end = _read(comment, found.end())
        yield read
        found = _START.search(comment, end)


def in_a_string(text: str, *, alone: bool) -> str:
    """A complaint about a directive inside of a string, where it has no effect; "" is none.

    ``alone`` is a string that is a statement by itself: a docstring.
    """
    loose = _LOOSE.search(text) if alone else None
    meant = loose is not None and _is_verb(loose[1]) and _TELLING.search(loose[2])
    if _IN_SQL.search(text) or meant:
        return f"a directive inside of a string has no effect: make it a Python comment, {HOW}"
    return ""


def _read(comment: str, start: int) -> tuple[Accepts | str, int]:
    """(what the directive at ``start`` says, where it ends)."""
    verb = _VERB.match(comment, start)
    word = verb[1] if verb else ""
    if word.lower() != "accept":
        return f"a comment that begins with `deployguard:` must go on with `accept`: {HOW}", len(
            comment
        )
    position = start + len(word)
    rules: list[str] = []
    values: dict[str, str] = {}
    while not (end := _END.match(comment, position)):
        part = _PART.match(comment, position)
        if part is None:
            rest = comment[position:].strip()
            return f"cannot read {rest!r}: {HOW}", len(comment)
        if complaint := _take(part, rules, values):
            return complaint, len(comment)
        position = part.end()
    return _made(rules, values), end.end()


def _take(part: re.Match[str], rules: list[str], values: dict[str, str]) -> str:
    """Put one part of the directive where it belongs; a sentence when it cannot be right."""
    if part["rule"]:
        rules.append(part["rule"])
    if not part["key"]:
        return ""
    key = part["key"].lower()
    if key not in ("reason", "dialect", "expires"):
        return f"unknown key {part['key']!r}; known: reason, dialect, expires"
    if key in values:
        return f"{key} stands there twice"
    if key == "reason" and part["quoted"] is None:
        return 'the reason needs quotes: reason="…"'
    quoted = part["quoted"]
    values[key] = re.sub(r"\\(.)", r"\1", quoted[1:-1]) if quoted else part["bare"]
    return ""


def _made(rules: list[str], values: dict[str, str]) -> Accepts | str:
    if not rules:
        return f"it names no rule: {HOW}"
    reason = " ".join(values.get("reason", "").split())
    if not reason:
        return f"it gives no reason: {HOW}"
    dialect = values.get("dialect", "")
    if "dialect" in values and dialect not in DIALECTS:
        return f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}"
    try:
        expires = date.fromisoformat(values["expires"]) if "expires" in values else None
    except ValueError:
        return f"expires is {values['expires']!r}; write it as 2027-01-31"
    return Accepts(tuple(dict.fromkeys(rules)), reason, dialect, expires)


def _lookalike(comment: str) -> str:
    """A complaint about a comment that its writer takes for a directive; "" is none."""
    for named in _NAMED.finditer(comment):
        name = re.sub(r"[-_ ]", "", named[1].lower())
        if (
            name != "deployguard"
            and difflib.SequenceMatcher(None, name, "deployguard").ratio() < 0.85
        ):
            continue
        return f"{named[1]!r} is not how a directive begins: {HOW}"
    loose = _LOOSE.search(comment)
    if loose and _is_verb(loose[1]) and _TELLING.search(loose[2]):
        return f"this looks like a directive and is none: {HOW}"
    return ""


def _is_verb(word: str) -> bool:
    return bool(difflib.get_close_matches(word.lower(), _VERBS, 1, 0.75))
