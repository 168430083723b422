"""A compressed file that was cut is told from a short one, whatever compressed it."""

import gzip
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from deployguard.backups import streams
from tests.support.required import missing

CONTENT = b"".join(b"%d\tanother row %d\n" % (i, i * 7919) for i in range(40_000)) + b"\\.\n\n\n"


def packed(folder: Path, kind: str, *flags: str) -> Path:
    plain = folder / "1.dat"
    plain.write_bytes(CONTENT)
    target = folder / f"1.dat.{kind}"
    if kind == "gz":
        target.write_bytes(gzip.compress(CONTENT))
        return target
    program = {"zst": "zstd", "lz4": "lz4"}[kind]
    if shutil.which(program) is None:
        missing(f"{program} is not here")
    subprocess.run([program, "-q", "-f", *flags, plain, target], check=True)
    return target


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("gz", ()),
        ("zst", ("--check",)),
        ("zst", ("--no-check",)),
        ("zst", ("-19",)),
        ("lz4", ()),
        ("lz4", ("--no-frame-crc", "-B4")),
        ("lz4", ("-BX", "--content-size")),
    ],
)
def test_every_cut_is_found(tmp_path: Path, kind: str, flags: tuple[str, ...]) -> None:
    path = packed(tmp_path, kind, *flags)
    assert streams.problem(path) == ""
    whole, chance = path.read_bytes(), random.Random(29)
    sizes = {len(whole) * percent // 100 for percent in range(0, 100, 5)}
    sizes |= {len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(200))}
    for size in sorted(sizes):
        path.write_bytes(whole[:size])
        assert streams.problem(path), size
    path.write_bytes(whole + whole)  # two frames, one behind the other, are whole
    assert streams.problem(path) == ""
    path.write_bytes(whole + b"x")
    assert streams.problem(path)


def test_any_flipped_bit_of_gzip_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = packed(tmp_path, "gz")
    whole, chance = path.read_bytes(), random.Random(31)
    for _ in range(60):
        broken = bytearray(whole)
        broken[chance.randrange(10, len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        assert streams.problem(path)


def test_rows_without_their_end_mark_are_found(tmp_path: Path) -> None:
    path = tmp_path / "1.dat.gz"
    for content, ok in ((CONTENT, True), (CONTENT[:-6], False), (b"", False)):
        path.write_bytes(gzip.compress(content))
        assert (streams.problem(path, b"\\.\n\n\n") == "") is ok
