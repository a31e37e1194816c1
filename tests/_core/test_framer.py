"""The framer against a naive reading of the whole input, under every chunking."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.framer import Framer, LineTooLong

pieces = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"\r\n\r\n", b"ab\r\ncd", b"\n\r"]),
        st.binary(max_size=6),
    ).filter(bool),
    max_size=90,
)


@given(pieces)
def test_P01_lines_are_those_of_the_whole_input(chunks: list[bytes]) -> None:
    *expected, rest = b"".join(chunks).split(b"\r\n")
    framer, lines = Framer(), list[bytes]()
    for chunk in chunks:
        framer.feed(chunk)
        while (line := framer.line(1000)) is not None:
            lines.append(line)
    assert lines == expected
    assert len(framer) == len(rest)


@given(pieces, st.lists(st.integers(0, 8)))
def test_P01_lines_and_blocks_in_any_order_lose_nothing(
    chunks: list[bytes], steps: list[int]
) -> None:
    """0 asks for a line, 1 peeks, 2 reads and puts back, others read as many octets."""
    framer, read, whole = Framer(), b"", b"".join(chunks)
    waiting = list(chunks)
    for step in steps:
        if waiting:
            framer.feed(waiting.pop(0))
        if step == 0:
            line = framer.line(1000)
            fed = whole[: len(whole) - sum(map(len, waiting))]
            at = fed.find(b"\r\n", len(read))
            assert line == (None if at < 0 else fed[len(read) : at])
            read += b"" if line is None else line + b"\r\n"
        elif step == 1:
            data, offset = framer.peek()
            framer.skip(min(offset + 1, len(data)))
            read += data[offset : offset + 1]
        elif step == 2:
            block = framer.read(4)
            framer.unread(block[1:])
            read += block[:1]
        else:
            block = framer.read(step)
            assert len(block) <= step
            assert block or not len(framer)
            read += block
        assert whole.startswith(read)
        assert len(framer) == len(whole) - len(read) - sum(map(len, waiting))


@given(pieces, st.integers(1, 40))
def test_P09_what_is_missing_is_missing(chunks: list[bytes], least: int) -> None:
    """Asking again is for nothing while octets are missing; none are once there are enough."""
    framer, waiting = Framer(), b""
    for chunk in chunks:
        framer.feed(chunk)
        waiting += chunk
        if framer.missing:
            assert framer.missing == least - len(waiting)
            assert b"\r\n" not in waiting
        gathered = framer.gather(least)
        assert gathered or framer.missing == least - len(waiting) > 0
        assert gathered or b"\r\n" not in waiting
        if gathered:
            data, offset = framer.peek()
            assert waiting.startswith(data[offset:])
            framer.skip(len(data))
            waiting = waiting[len(data) - offset :]
    framer.feed(b"")
    assert not framer.missing
    assert framer.gather(least) is bool(waiting)


@given(st.integers(0, 40), st.integers(1, 12), st.binary(max_size=5))
def test_P13_a_line_over_the_limit_is_refused_however_it_is_cut(
    size: int, cut: int, rest: bytes
) -> None:
    limit = 20
    data = b"x" * size + b"\r\n" + rest
    framer = Framer()
    with pytest.raises(LineTooLong) if size + 2 > limit else _nothing():
        for start in range(0, len(data), cut):
            framer.feed(data[start : start + cut])
            line = framer.line(limit)
            if line is not None:
                assert line == b"x" * size
                break


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_the_error_shows_how_the_line_began() -> None:
    framer = Framer()
    framer.feed(b"x" * 90)
    framer.feed(b"y" * 90)
    with pytest.raises(LineTooLong) as caught:
        framer.line(100)
    assert caught.value.start == b"x" * 64


def test_end_of_file_comes_after_what_was_received() -> None:
    framer = Framer()
    framer.feed(b"NOOP\r\n")
    framer.feed(b"")
    assert framer.ended
    assert not framer.eof
    assert framer.line(100) == b"NOOP"
    assert framer.eof


def test_clear_forgets_everything() -> None:
    framer = Framer()
    framer.feed(b"NO")
    framer.feed(b"OP\r\n")
    framer.clear()
    assert len(framer) == 0
    framer.feed(b"A\r\n")
    assert framer.line(10) == b"A"


def test_P08_tiny_pieces_cost_little_more_than_their_octets() -> None:
    framer = Framer()
    framer.feed(b"x")
    tracemalloc.start()
    try:
        for number in range(6000):
            framer.feed(b"%02d" % (number % 100))
            assert framer.line(12_288) is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3 * len(framer)
