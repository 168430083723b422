"""Measures every example on every PostgreSQL that is here, and writes docs/measured.json."""

import sys

from tests.rules.measuring import Bench
from tests.rules.recorded import EXAMPLES, FILE, Outline, measured_for, outline, recorded, render
from tests.support import postgres


def main() -> int:
    here = [tree.version for tree in postgres.trees()]
    # What a version that is not here was seen to do stays as it is.
    found: dict[str, dict[int, Outline]] = {
        example: {
            version: statements
            for version, statements in recorded().get(example, {}).items()
            if version not in here
        }
        for example in EXAMPLES
    }
    with postgres.pool() as pool:
        for version in here:
            bench = Bench(pool(version))
            for example in EXAMPLES:
                if measured_for(example, version):
                    found[example][version] = outline(bench.measure(example)[0])
            bench.close()
            print(f"measure: PostgreSQL {version} done", file=sys.stderr)
    FILE.write_text(render(found), encoding="utf-8")
    print(f"measure: wrote docs/{FILE.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
