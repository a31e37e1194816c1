"""The framer that ends lines at a bare CR or LF too; what servers make of it is tested in smtp."""

from __future__ import annotations

import pytest

from mailproto._core.framer import LineTooLong
from mailproto._core.repairing import RepairingFramer
from mailproto.testing import splits


def lines_of(pieces: list[bytes], limit: int = 100) -> list[tuple[bytes, bool]]:
    """The lines, and whether each has ended at a bare CR or LF."""
    framer = RepairingFramer()
    found: list[tuple[bytes, bool]] = []
    for piece in [*pieces, b""]:
        framer.feed(piece)
        while True:
            line = framer.line(limit)
            if line is None and framer.bare is not None:
                line = framer.line(limit)
                assert line is not None
                found.append((line, True))
            elif line is None:
                break
            else:
                found.append((line, False))
    return found


def test_P01_P25_a_line_ends_where_it_ends_however_it_is_cut() -> None:
    data = b"a\r\nb\rc\n\r\n\rd\r\n"
    expected = [
        (b"a", False), (b"b", True), (b"c", True), (b"", False), (b"", True), (b"d", False),
    ]  # fmt: skip
    for pieces in splits(data):
        assert lines_of(pieces) == expected


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b""])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_P13_a_line_over_the_limit_with_its_end_or_without(end: bytes, piece: int) -> None:
    data = b"x" * 30 + end
    framer = RepairingFramer()
    with pytest.raises(LineTooLong) as raised:
        for start in range(0, len(data), piece):
            framer.feed(data[start : start + piece])
            framer.line(20)
        framer.feed(b"")
        framer.line(20)
    assert raised.value.limit == 20
    assert raised.value.start.startswith(b"x" * 20)


def test_a_line_of_just_the_limit_is_none_too_long() -> None:
    assert lines_of([b"x" * 18 + b"\r\n", b"y" * 19 + b"\n"], limit=20) == [
        (b"x" * 18, False),
        (b"y" * 19, True),
    ]


def test_P05_what_is_cleared_is_forgotten_with_the_line_that_was_to_be_told() -> None:
    framer = RepairingFramer()
    framer.feed(b"a\nb\r\n")
    assert framer.line(100) is None
    assert framer.bare == b"a"
    framer.clear()
    assert framer.bare is None
    assert framer.line(100) is None
