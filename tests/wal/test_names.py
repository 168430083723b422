"""Names of the log's files and the positions they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.wal import Place, is_file, is_segment, lsn, lsn_text, number_of, segment

MB = 1 << 20


@given(
    st.integers(1, 0xFFFFFFFF),
    st.integers(0, (1 << 40) - 1),
    st.sampled_from([MB, 16 * MB, 1024 * MB]),
)
def test_a_segment_is_found_by_its_name_again(timeline: int, number: int, size: int) -> None:
    number %= (1 << 64) // size
    assert number_of(segment(timeline, number, size), size) == Place(timeline, number)


def test_segments_are_counted_over_the_end_of_a_log_file() -> None:
    # as pg_walfile_name says on servers with segments of 16 MB
    assert segment(1, lsn("0/FF000000") // (16 * MB), 16 * MB) == "0000000100000000000000FF"
    assert segment(1, lsn("1/0") // (16 * MB), 16 * MB) == "000000010000000100000000"


@given(st.integers(0, (1 << 64) - 1))
def test_a_position_is_read_as_it_is_written(position: int) -> None:
    assert lsn(lsn_text(position)) == position


@pytest.mark.parametrize("text", ["", "16", "x/y", "0/", "/0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        lsn(text)


@pytest.mark.parametrize(
    ("name", "file", "whole"),
    [
        ("000000010000000000000003", True, True),
        ("000000010000000000000003.partial", True, False),
        ("000000010000000000000003.00000028.backup", True, False),
        ("00000002.history", True, False),
        ("00000001000000000000000g", False, False),
        ("000000010000000000000003.gz", False, False),
        ("../000000010000000000000003", False, False),
        ("archive_status", False, False),
        ("000000010000000000000003\n", False, False),
    ],
)
def test_only_what_a_server_names_is_a_file_of_the_log(
    name: str, *, file: bool, whole: bool
) -> None:
    assert (is_file(name), is_segment(name)) == (file, whole)
