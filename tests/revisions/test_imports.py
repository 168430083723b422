"""What revisions import of the project is known by its files, without running anything."""

from __future__ import annotations

from pathlib import Path

from deployguard.revisions.imports import imported_files

TREE = {
    "migrations/versions/r1.py": "import os\nfrom shop.data import fill\nfrom . import shared\nimport sqlalchemy\n",
    "migrations/versions/r2.py": "from migrations.versions import r1\nimport not_here\n",
    "migrations/versions/shared.py": "from .deeper.below import x\n",
    "migrations/versions/deeper/below.py": "x = 1\n",
    "migrations/versions/unused.py": "",
    "migrations/__init__.py": "",
    "shop/__init__.py": "",
    "shop/data.py": "from shop import models as m, __version__\n",
    "shop/models.py": "import shop.data\ndef broken(:\n",
    "shop/unused.py": "",
}


def tree(folder: Path) -> Path:
    for name, text in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def names(folder: Path, *files: str) -> list[str]:
    found = imported_files([folder / name for name in files], [folder])
    return [path.relative_to(folder.resolve()).as_posix() for path in found]


def test_imports_are_followed_within_the_project(tmp_path: Path) -> None:
    assert names(tree(tmp_path), "migrations/versions/r1.py") == [
        "migrations/versions/deeper/below.py",
        "migrations/versions/shared.py",
        "shop/__init__.py",
        "shop/data.py",
        "shop/models.py",
    ]


def test_a_revision_that_imports_another_brings_what_that_imports(tmp_path: Path) -> None:
    found = names(tree(tmp_path), "migrations/versions/r2.py")
    assert "migrations/versions/r1.py" in found
    assert "shop/data.py" in found


def test_a_file_that_is_gone_or_broken_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import x\ndef f(:\n")
    (tmp_path / "x.py").write_text("")
    assert imported_files([tmp_path / "broken.py", tmp_path / "gone.py"], [tmp_path]) == ()
