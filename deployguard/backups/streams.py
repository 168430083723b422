"""Is a compressed file there to its very end? pg_restore does not ask: it takes a file that was cut for a short one.

gzip is decompressed whole, against its own checksum. Of zstd and LZ4 every block's header is followed to the frame's
end mark; the blocks themselves are decompressed by pg_restore.
Source: RFC 1952 (gzip), RFC 8878 (zstd), the LZ4 frame format.
"""

import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 18
_ZSTD: Final = 0xFD2FB528
_LZ4: Final = 0x184D2204
_SKIPPABLE: Final = 0x184D2A50  # … to 0x184D2A5F: anything may lie in it
_CUT: Final = "it ends in the middle"


class Broken(Exception):
    """The file is not whole; the text says how."""


def problem(path: Path, ending: bytes = b"") -> str:
    """Why a file is not whole; "" when it is. The kind is told by the name: .gz, .zst, .lz4, else plain.

    ``ending`` is what the decompressed contents must end with, where we decompress them ourselves. Memory stays flat.
    """
    try:
        if path.suffix == ".zst":
            _framed(path, _ZSTD, _zstd_frame)
        elif path.suffix == ".lz4":
            _framed(path, _LZ4, _lz4_frame)
        else:
            _read(path, ending)
    except Broken as error:
        return f"{path.name} is not whole: {error}"
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    return ""


def _read(path: Path, ending: bytes) -> None:
    tail = b""
    for block in blocks(path):
        tail = (tail + block)[-max(1, len(ending)) :]
    if not tail.endswith(ending):
        raise Broken("its contents have no end mark")


def blocks(path: Path) -> Iterator[bytes]:
    """The contents of a plain or gzip file, in pieces of bounded size. Raises Broken or OSError."""
    with path.open("rb") as file:
        if path.suffix != ".gz":
            while block := file.read(BLOCK):
                yield block
            return
        yield from _gunzip(file)


def lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends; a very long one comes in pieces, of which the last one only has the end.

    Raises Broken or OSError.
    """
    rest = b""
    for block in blocks(path):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > BLOCK:
            # What is told by its beginning is short; of a long one the pieces do not matter.
            yield rest
            rest = b""
    if rest:
        yield rest


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    member, left = zlib.decompressobj(wbits=31), file.read(BLOCK)
    while True:
        try:
            block = member.decompress(left, BLOCK)
        except zlib.error as error:
            raise Broken(str(error)) from None
        if block:
            yield block
        left = member.unconsumed_tail or file.read(BLOCK)
        if member.eof:
            left = member.unused_data + (left if not member.unconsumed_tail else b"")
            if not left:
                return
            member = zlib.decompressobj(wbits=31)  # another one behind it
        elif not left and not block:
            raise Broken(_CUT)


def _framed(path: Path, magic: int, frame: Callable[[BinaryIO], None]) -> None:
    size = path.stat().st_size
    if size == 0:
        raise Broken("it is empty")
    with path.open("rb") as file:
        while file.tell() < size:
            found = _number(file, 4)
            if found & ~0xF == _SKIPPABLE:
                _skip(file, _number(file, 4))
            elif found == magic:
                frame(file)
            else:
                raise Broken("a frame does not begin where the one before has ended")
            if file.tell() > size:
                raise Broken(_CUT)


def _zstd_frame(file: BinaryIO) -> None:
    flags = _number(file, 1)
    single, content = flags >> 5 & 1, flags >> 6
    _skip(file, (0 if single else 1) + (0, 1, 2, 4)[flags & 3])
    _skip(file, (single, 2, 4, 8)[content])
    last = 0
    while not last:
        header = _number(file, 3)
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            raise Broken("a block is of a kind that there is not")
        _skip(file, 1 if kind == 1 else size)
    _skip(file, 4 if flags >> 2 & 1 else 0)


def _lz4_frame(file: BinaryIO) -> None:
    flags = _number(file, 1)
    if flags >> 6 != 1:
        raise Broken("its frame is of a version that there is not")
    _skip(file, 1 + (8 if flags >> 3 & 1 else 0) + (4 if flags & 1 else 0) + 1)
    while size := _number(file, 4):
        _skip(file, (size & 0x7FFFFFFF) + (4 if flags >> 4 & 1 else 0))
    _skip(file, 4 if flags >> 2 & 1 else 0)


def _number(file: BinaryIO, size: int) -> int:
    data = file.read(size)
    if len(data) < size:
        raise Broken(_CUT)
    return int.from_bytes(data, "little")


def _skip(file: BinaryIO, size: int) -> None:
    file.seek(size, os.SEEK_CUR)
