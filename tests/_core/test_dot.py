"""Dot transparency against a naive reading by lines, under every chunking."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto._core.dot import (
    BareNewlines,
    Stuffer,
    Unstuffer,
    find_bare_newline,
    open_line,
    stuffed,
    whole,
)
from mailproto._core.framer import Framer
from mailproto.testing.chop import splits

END = b"\r\n.\r\n"

fragments = st.sampled_from(
    [b".", b"..", b"\r\n", b"\r\n.", b"\r\n..\r\n", b"a", b"line", b"\r", b"\n", b"\n.\n", b"\r."]
)
proper = st.lists(
    st.sampled_from([b".", b"..", b"\r\n", b"\r\n.", b"a", b"line", b".\r\n", b"\xff\x00"])
).map(b"".join)
hostile = st.lists(fragments, max_size=14).map(b"".join)


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *sorted(p % (len(data) + 1) for p in positions), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def stuff_naively(content: bytes) -> bytes:
    """RFC 5321 section 4.5.2, line by line."""
    lines = content.split(b"\r\n")
    wire = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return wire + (b".\r\n" if content.endswith(b"\r\n") or not content else END)


def unstuff(
    chunks: list[bytes], policy: BareNewlines = BareNewlines.REJECT, before: bytes = b""
) -> tuple[bytes, bytes | None, int | None]:
    """Content, what came behind the end (``None`` without an end), offset of a bare newline."""
    framer, unstuffer, content = Framer(), Unstuffer(policy), b""
    ended = False
    for number, chunk in enumerate(chunks):
        if number == 0 and before:
            framer.feed(before + chunk)
            assert framer.line(100) == before[:-2]
        elif chunk:
            framer.feed(chunk)
        while not ended and len(framer):
            piece, ended = unstuffer.read(framer)
            content += piece
    rest = b""
    while piece := framer.read(1 << 20):
        rest += piece
    return content, rest if ended else None, unstuffer.bare


def unstuff_naively(wire: bytes) -> tuple[bytes, bytes | None]:
    end = (b"\r\n" + wire).find(END)
    body = wire if end < 0 else wire[:end]
    lines = body.split(b"\r\n")
    content = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    return content, None if end < 0 else wire[end + 3 :]


@given(proper, st.lists(st.integers(0, 200), max_size=8))
def test_P03_the_wire_is_that_of_the_whole_content(content: bytes, cuts: list[int]) -> None:
    stuffer = Stuffer()
    wire = b"".join(map(stuffer.feed, cut(content, cuts))) + stuffer.finish()
    assert wire == stuff_naively(content)
    assert wire == b"".join(stuffed(content))
    assert (b"\r\n" + wire).find(END) == len(wire) - 3


@given(hostile, st.lists(st.integers(0, 200), max_size=8))
def test_P03_no_content_whatever_holds_a_terminator(content: bytes, cuts: list[int]) -> None:
    stuffer = Stuffer()
    wire = b"".join(map(stuffer.feed, cut(content, cuts))) + stuffer.finish()
    assert (b"\r\n" + wire).find(END) == len(wire) - 3


@given(proper, st.lists(st.integers(0, 200), max_size=8), st.binary(max_size=9))
def test_P01_unstuffing_undoes_stuffing(content: bytes, cuts: list[int], rest: bytes) -> None:
    stuffer = Stuffer()
    wire = stuffer.feed(content) + stuffer.finish()
    expected = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    bare = find_bare_newline(content)
    result = unstuff(cut(wire + rest, cuts), BareNewlines.PASS)
    assert result == (expected, rest, None if bare < 0 else result[2])


@pytest.mark.parametrize("before", [b"", b"DATA\r\n"])
@given(
    wire=hostile,
    cuts=st.lists(st.integers(0, 200), max_size=8),
    policy=st.sampled_from(BareNewlines),
)
def test_P02_the_end_is_where_a_reading_of_the_whole_finds_it(
    before: bytes, wire: bytes, cuts: list[int], policy: BareNewlines
) -> None:
    wire += END + b"rest"
    expected, rest = unstuff_naively(wire)
    body = wire[: len(wire) - len(rest or b"") - 3]
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", body)
    content, behind, offset = unstuff(cut(wire, cuts), policy, before)
    assert behind == rest
    assert offset == (bare.start() if bare else None)
    if bare is None or policy is BareNewlines.PASS:
        assert content == expected
    elif policy is BareNewlines.REPAIR:
        assert content == re.sub(rb"\r\n|\r|\n", b"\r\n", expected)
    else:
        assert expected.startswith(content)
        assert find_bare_newline(content) == -1


@given(st.sampled_from([b"", b"+OK\r\n"]), hostile | proper, st.sampled_from([END, b"x", b""]))
def test_P02_what_is_taken_whole_is_what_a_reading_in_pieces_finds(
    before: bytes, wire: bytes, end: bytes
) -> None:
    wire += end + b"rest"
    framer = Framer()
    framer.feed(before + wire)
    framer.skip(len(before))
    content = whole(framer)
    found, behind, bare = unstuff([wire], BareNewlines.PASS)
    if content is None:
        assert framer.rest() == wire
        plain = b"." not in wire.removesuffix(behind or b"")[:-3]
        assert behind is None or found == b"" or bare is not None or not plain
    else:
        assert (content, framer.rest(), None) == (found, behind, bare)


NEAR = [
    b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n", b"\r\n. \r\n", b"\r\n..\r\n", b"\x0b.\x0b", b"\x0c.\r\n", b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\n\r.\n\r",
]  # fmt: skip


@pytest.mark.parametrize("policy", BareNewlines)
@pytest.mark.parametrize("near", NEAR, ids=repr)
def test_P02_P25_nothing_but_crlf_dot_crlf_ends_content(near: bytes, policy: BareNewlines) -> None:
    wire = b"a" + near + b"MAIL FROM:<x@y>" + END + b"QUIT\r\n"
    results = {unstuff(chunks, policy) for chunks in splits(wire, randoms=8)}
    assert len(results) == 1
    content, rest, bare = results.pop()
    assert rest == b"QUIT\r\n"
    if policy is BareNewlines.PASS:
        assert content == unstuff_naively(wire)[0] + b"\r\n" or b"MAIL" in content
    bare_in_near = find_bare_newline(b"a" + near + b"M") >= 0
    assert (bare is not None) == bare_in_near


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..x\r\n.\r\n", b".x\r\n"),
    ],
)
def test_the_first_octet_begins_a_line(wire: bytes, content: bytes) -> None:
    for chunks in splits(wire, randoms=4):
        assert unstuff(chunks) == (content, b"", None)


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"\xff"])).map(b"".join))
def test_find_bare_newline_is_what_a_pattern_finds(data: bytes) -> None:
    match = re.search(rb"\r(?!\n|\Z)|(?<!\r)\n", data)
    assert find_bare_newline(data) == (match.start() if match else -1)


@given(
    width=st.integers(28, 90),
    before=st.sampled_from(
        [b"", b"Subject: x\r\n\r\n", b"x" * 3000, b"\n", b"\r", b"a\r\nb\r\n", b"AA\r\n"]
    ),
    behind=st.sampled_from(
        [b"", b"==", b"==\r\n", b"\r", b"\r\r", b"\n", b"\r\n\r\n", b"--a--\r\n", b"x" * 3000]
    ),
    places=st.lists(st.integers(0, 1 << 16), max_size=2),
    octets=st.sampled_from([b"\r", b"\n", b"x", b"\r\n"]),
)
def test_P02_no_bare_newline_hides_among_lines_of_equal_length(
    width: int, before: bytes, behind: bytes, places: list[int], octets: bytes
) -> None:
    attachment = (b"A" * width + b"\r\n") * (8000 // width)
    data = bytearray(before + attachment + behind)
    for place in places:
        place %= len(data)
        data[place : place + len(octets)] = octets
    match = re.search(rb"\r(?!\n|\Z)|(?<!\r)\n", data)
    assert find_bare_newline(bytes(data)) == (match.start() if match else -1)


@pytest.mark.parametrize(
    "line", [b".\r\n", b"..\r\n", b"a.b.c\r\n", b".a.b.c.d\r\n", b"a\r\n" * 300 + b".\r\n"]
)
@pytest.mark.parametrize("lines", [1, 7, 8, 9, 200])
@pytest.mark.parametrize("policy", BareNewlines)
def test_P03_many_dots_are_undone_like_few(line: bytes, lines: int, policy: BareNewlines) -> None:
    content = b".\r\n" + line * lines
    wire = stuff_naively(content)
    stuffer = Stuffer()
    assert stuffer.feed(content) + stuffer.finish() == wire
    for size in (len(wire), 1000, 7):
        chunks = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert unstuff([*chunks, b".x\r\n"], policy) == (content, b".x\r\n", None)
    bare = wire.rindex(b"\r\n", 0, -3)
    kept = {
        BareNewlines.REJECT: b"",
        BareNewlines.REPAIR: b"\r\n\r\n",
        BareNewlines.PASS: b"\n\r\n",
    }
    hostile = wire[:bare] + b"\n" + wire[bare:]
    assert unstuff([hostile], policy) == (content[:-2] + kept[policy], b"", bare)


@given(st.lists(st.integers(0, 12), max_size=30), st.lists(st.integers(0, 300), max_size=6))
def test_open_line_sees_every_line_over_the_limit(sizes: list[int], cuts: list[int]) -> None:
    limit = 9
    data = b"\r\n".join(b"x" * size for size in sizes)
    size = 0
    for chunk in cut(data, cuts):
        size = open_line(chunk, size, limit)
        if size < 0:
            break
    finished = sizes[:-1]
    if size >= 0:
        assert max(finished, default=0) <= limit
        assert size == (sizes[-1] if sizes else 0) or data.endswith(b"\r\n")
    else:
        assert max(sizes) > limit


def test_nothing_is_read_where_nothing_waits() -> None:
    unstuffer, source = Unstuffer(), Framer()
    assert unstuffer.read(source) == (b"", False)
    source.feed(b"x\r")
    assert unstuffer.read(source) == (b"x", False)
    assert unstuffer.read(source) == (b"", False)
    source.feed(b"\n.\r\nNOOP\r\n")
    assert unstuffer.read(source) == (b"\r\n", True)
    assert source.line(100) == b"NOOP"


def test_a_stuffer_knows_of_an_open_CR() -> None:
    stuffer = Stuffer()
    assert not stuffer.after_cr
    stuffer.feed(b"x\r")
    assert stuffer.after_cr
    stuffer.feed(b"\n")
    assert not stuffer.after_cr
