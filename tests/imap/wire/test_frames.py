"""Framing: literals apart from text, any chunks, linear time, limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap.framing import frame, frames
from mailproto._core.framer import Framer, LineTooLong
from mailproto.imap.streamed import LiteralChunk, Streamed
from mailproto.imap.wire.frames import Frame, FrameReader, LiteralHeader, literal_header
from mailproto.testing.chop import octets, splits
from mailproto.testing.growth import assert_linear


def steps(chunks: list[bytes], on_literal: str = "collect", limit: int = 1000) -> list[object]:
    framer = Framer()
    reader = FrameReader(framer)
    found: list[object] = []
    for chunk in chunks:
        framer.feed(chunk)
        while (step := reader.advance(limit)) is not None:
            if isinstance(step, LiteralHeader):
                getattr(reader, on_literal)()
            elif isinstance(step, LiteralChunk) and found and isinstance(found[-1], bytes):
                found[-1] += step.data
            else:
                found.append(step.data if isinstance(step, LiteralChunk) else step)
    return found


SAMPLE = b"a LOGIN {3}\r\njoe {5+}\r\na\r\nb}\r\nb X ~{0}\r\n\r\nc {2}{3}\r\nabc d\r\n"


@pytest.mark.parametrize("on_literal", ["collect", "stream", "discard"])
def test_P01_frames_do_not_depend_on_chunks(on_literal: str) -> None:
    whole = steps([SAMPLE], on_literal)
    for chunks in splits(SAMPLE):
        assert steps(list(chunks), on_literal) == whole


def test_what_is_in_a_frame() -> None:
    assert frames(SAMPLE) == [
        Frame(b"a LOGIN {3}\r\n {5+}\r\n", (b"joe", b"a\r\nb}")),
        Frame(b"b X ~{0}\r\n", (b"",)),
        Frame(b"c {2}{3}\r\n d", (b"abc",)),
    ]
    assert steps([SAMPLE], "stream") == [
        b"joea\r\nb}",
        Frame(b"a LOGIN {3}\r\n {5+}\r\n", (Streamed(3), Streamed(5))),
        Frame(b"b X ~{0}\r\n", (Streamed(0),)),
        b"abc",
        Frame(b"c {2}{3}\r\n d", (Streamed(3),)),
    ]


@given(st.lists(st.binary(max_size=8), max_size=4), st.binary(max_size=8))
def test_literals_are_found_again(literals: list[bytes], tail: bytes) -> None:
    tail = tail.replace(b"\r", b"").replace(b"\n", b"").replace(b"}", b"")
    wire = b"".join(b"x {%d}\r\n%b" % (len(data), data) for data in literals) + tail
    found = frame(wire + b"\r\n")
    assert found.literals == tuple(literals)
    assert found.octets() == wire


@pytest.mark.parametrize(
    ("line", "header"),
    [
        (b"{5}", LiteralHeader(5)),
        (b"a {5+}", LiteralHeader(5, False)),
        (b"a ~{5}", LiteralHeader(5, True, True)),
        (b"a {005}", LiteralHeader(5)),
        (b"a {9223372036854775807}", LiteralHeader(2**63 - 1)),
        (b"a {9223372036854775808}", LiteralHeader(2**63)),
        (b"a {%b}" % (b"9" * 5000), LiteralHeader(2**63)),
        (b"a {}", None),
        (b"a {+}", None),
        (b"a {-5}", None),
        (b"a { 5}", None),
        (b"a {5 }", None),
        (b"a {5++}", None),
        (b"a {5_0}", None),
        (b"a {\xd9\xa1}", None),
        (b"a 5}", None),
        (b"a {5} ", None),
        (b"{5}\n", None),
    ],
)
def test_P17_literal_headers_are_strict(line: bytes, header: LiteralHeader | None) -> None:
    assert literal_header(line) == header


def test_P25_only_crlf_ends_a_line() -> None:
    odd = b"\r x \n y \x0b\x0c\x85 \xe2\x80\xa8 \0 \r"
    assert frames(b"a" + odd + b"\r\n") == [Frame(b"a" + odd)]


def test_an_abandoned_frame_leaves_nothing() -> None:
    framer = Framer()
    framer.feed(b"a LOGIN {3}\r\nb NOOP\r\n")
    reader = FrameReader(framer)
    assert reader.advance(100) == LiteralHeader(3)
    assert reader.advance(100) == LiteralHeader(3), "the decision is still due"
    reader.abandon()
    assert reader.advance(100) == Frame(b"b NOOP")


def test_a_limit_counts_all_lines_of_a_frame() -> None:
    assert steps([b"a {1}\r\nxb {1}\r\nyc\r\n"], limit=17) == [
        Frame(b"a {1}\r\nb {1}\r\nc", (b"x", b"y"))
    ]
    for chunks in ([b"a {1}\r\nxb {1}\r\nyc\r\n"], octets(b"a {1}\r\nxb {1}\r\nyc\r\n")):
        with pytest.raises(LineTooLong):
            steps(chunks, limit=16)


@pytest.mark.parametrize("size", [1, 1448, 1 << 30])
@pytest.mark.parametrize(
    "unit",
    [b"a {9}\r\n123456789", b"x" * 16, b"a {9}\r\n123456789\r\n", b"{" * 16, b"{99}}{\r\n    "],
)
def test_P09_framing_is_linear(unit: bytes, size: int) -> None:
    def framing(count: int) -> Callable[[], object]:
        data = unit * count + b"\r\n"
        chunks = [data[i : i + size] for i in range(0, len(data), size)]
        return lambda: steps(chunks, limit=1 << 30)

    assert_linear(framing, 500 if size == 1 else 4_000)
