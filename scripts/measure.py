"""Measures the examples on every PostgreSQL that is here, and writes docs/measured.json.

Without an argument only those that the file does not have yet, or that failed for want of a relation; with --all
everything anew.
"""

import sys

from tests.rules.measuring import Bench
from tests.rules.recorded import (
    EXAMPLES,
    FILE,
    LACKING,
    Outline,
    measured_for,
    outline,
    recorded,
    render,
)
from tests.support import postgres


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--all"]):
        print(__doc__, file=sys.stderr)
        return 2
    here = [tree.version for tree in postgres.trees()]
    anew = here if arguments else []
    # What a version that is not here was seen to do stays as it is.
    found: dict[str, dict[int, Outline]] = {
        example: {
            version: statements
            for version, statements in recorded().get(example, {}).items()
            if version not in anew and not any(one.get("error") in LACKING for one in statements)
        }
        for example in EXAMPLES
    }
    with postgres.pool() as pool:
        for version in here:
            wanted = [
                text
                for text in EXAMPLES
                if measured_for(text, version) and version not in found[text]
            ]
            if wanted:
                bench = Bench(pool(version))
                for example in wanted:
                    found[example][version] = outline(bench.measure(example)[0])
                bench.close()
            print(f"measure: PostgreSQL {version}: {len(wanted)} examples", file=sys.stderr)
    FILE.write_text(render(found), encoding="utf-8")
    print(f"measure: wrote docs/{FILE.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
