"""Writes (or with --check compares) the pages under docs/ that come from the code itself."""

import difflib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from deployguard import errors
from deployguard.cli.manual import render as render_commands
from deployguard.config.example import render_reference as render_configuration
from deployguard.rules import BOOK, measured, render_reference
from deployguard.rules.reference import Measured

DOCS = Path(__file__).resolve().parent.parent / "docs"


def render_rules() -> str:
    return render_reference(_measured())


def render_locks() -> str:
    """Everything that was measured and is not an example of a rule."""
    of_rules = {text for entry in BOOK for text in (*entry.bad, *entry.good)}
    found = _measured()
    return measured.page([text for text in found if text not in of_rules], found)


def _measured() -> Measured:
    return measured.load(json.loads((DOCS / "measured.json").read_text(encoding="utf-8")))


# A page that is generated: its name, and what makes its text.
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": render_commands,
    "configuration.md": render_configuration,
    "locks.md": render_locks,
    "rules.md": render_rules,
}


def missing_exit_codes() -> Iterator[str]:
    """Exit codes of the error tree that docs/exit-codes.md, which people write, does not explain."""
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    known = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DeployguardError)
    }
    for code in sorted((known | {0}) ^ explained):
        where = "errors.py" if code in explained else "docs/exit-codes.md"
        yield f"exit code {code} is missing from {where}"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    wrong = list(missing_exit_codes())
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present == text:
            continue
        if not arguments:
            path.write_text(text, encoding="utf-8")
            print(f"docs: wrote {path.relative_to(DOCS.parent)}", file=sys.stderr)
            continue
        wrong.append(f"docs/{name} is not current: run scripts/docs")
        changes = difflib.unified_diff(present.splitlines(), text.splitlines(), "now", "should be")
        print("\n".join(list(changes)[:40]), file=sys.stderr)
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
