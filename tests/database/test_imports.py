"""Heavy libraries load only on the path that uses them."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from deployguard.backups import BackupRequest, Site, store
from deployguard.config import parse_url
from deployguard.database import connect
url = parse_url("sqlite:///app.db", "x")
connect(url, directory=Path(sys.argv[1])).facts()
store(Site(url, Path(sys.argv[1]), "p", "e")).preflight()
print({"sqlalchemy", "psycopg", "alembic", "docker"} & set(sys.modules))
from deployguard.database.postgresql import PostgresDatabase
print({"sqlalchemy", "alembic", "docker"} & set(sys.modules))
"""


def test_sqlite_needs_no_database_library_and_postgresql_only_its_driver(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", CODE, str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "set()\nset()\n"
