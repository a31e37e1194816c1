"""The index against the stdlib's email parser, the faults of real mail, and hostile messages."""

from __future__ import annotations

import email
import email.message
import email.policy
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailproto.message import Header, Index, Indexer, IndexLimits, Part, index
from mailproto.message import indexing as indexing_module
from mailproto.testing.strategies.message import hostile, messages


def parts_of(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(part.parts)
        if part.message is not None:
            waiting.append(part.message)


def in_chunks(data: bytes, sizes: list[int]) -> Index:
    indexer = Indexer()
    start = 0
    for size in sizes:
        indexer.feed(data[start : start + size])
        start += size
        # Asking makes it work at every border, not only when a block has gathered.
        assert indexer.header is None or indexer.header.start == 0
    indexer.feed(data[start:])
    return indexer.close()


# ----------------------------------------------------------------------- the stdlib as the truth


def text(octets: bytes) -> str:
    return octets.decode("ascii", "surrogateescape")


def assert_same(ours: Part, theirs: email.message.Message, data: bytes) -> None:
    waiting: list[tuple[Part, object]] = [(ours, theirs)]
    while waiting:
        part, other = waiting.pop()
        assert isinstance(other, email.message.Message)
        assert part.content_type.media.decode() == other.get_content_type()
        assert [(text(f.name), text(f.body).lstrip(" \t")) for f in part.header.fields] == [
            (name, str(value)) for name, value in other.raw_items()
        ]
        if part.content_type.multipart:
            inside: object = other.get_payload()
            assert isinstance(inside, list)
            waiting += zip(part.parts, inside, strict=True)
        elif part.message is not None:
            inside = other.get_payload()
            assert isinstance(inside, list)
            waiting.append((part.message, inside[0]))
        else:
            assert data[part.body : part.end] == other.get_payload(decode=True)


@given(messages())
@example(
    b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\nContent-Type:\r\n\r\nx\r\n--b--"
)
@example(b"From ada\r\nA: b\r\n\r\nx")
@example(b"From ada\r\nFrom bob\r\nA: b\r\n\r\nx")
@example(b"From ada\r\n\r\nA: b\r\n\r\nx")
@example(b"From ada\r\ntext\r\n\r\nx")
@example(b"From ada\r\n--\r\n\r\nx")
@example(b"From ada\r\n")
@example(b"From ada")
@example(b"Content-Type: message/rfc822\r\n\r\nFrom ada\r\ntext\r\n\r\nx")
@example(b"Content-Type: message/rfc822\r\n\r\nFrom ada\r\n")
def test_the_tree_is_that_of_the_stdlib(data: bytes) -> None:
    assert_same(index(data).root, email.message_from_bytes(data), data)


@given(messages(b"\n"))
def test_messages_with_bare_line_feeds_too(data: bytes) -> None:
    assert_same(index(data).root, email.message_from_bytes(data), data)


@given(messages() | messages(b"\n") | hostile)
def test_offsets_are_in_order_and_lines_are_counted(data: bytes) -> None:
    found = index(data)
    assert found.size == len(data) == found.root.end
    assert found.lines == data.count(b"\n")
    for part in parts_of(found.root):
        header = part.header
        assert header.start <= header.blank <= header.end == part.body <= part.end
        assert data[header.blank : header.end] in (b"", b"\r\n", b"\n")
        assert part.lines == data.count(b"\n", part.body, part.end)
        for field in header.fields:
            octets = data[field.start : field.end]
            assert octets.startswith(field.name)
            assert octets.rstrip(b"\r\n").endswith(field.body.rstrip(b"\r\n"))
        inside = part.parts if part.message is None else (part.message,)
        ends = [part.body, *(each.end for each in inside)]
        starts = [*(each.start for each in inside), part.end]
        assert all(end <= start for end, start in zip(ends, starts, strict=True))
        assert bool(part.parts) == part.content_type.multipart


@given(messages() | messages(b"\n") | hostile, st.lists(st.integers(1, 40), max_size=40))
@example(b"a" * 997 + b": x\r\n\r\n", [997])
@example(b"a" * 998 + b": x\r\n\r\n", [998])
@example(b"From " + b"a" * 991 + b"\r\njunk\r\n\r\nx", [998])
@example(b"From " + b"a" * 992 + b"\r\njunk\r\n\r\nx", [998])
def test_P01_chop_invariance(data: bytes, sizes: list[int]) -> None:
    whole = index(data)
    assert in_chunks(data, sizes) == whole
    assert in_chunks(data, [1] * len(data)) == whole


def test_P01_chop_invariance_in_real_blocks() -> None:
    body = b"".join(b"line %d - of -- text\r\n--b%d\r\n" % (n, n) for n in range(20_000))
    data = b"Content-Type: multipart/mixed; boundary=b19999\r\n\r\n" + body * 2 + b"end"
    whole = index(data)
    assert len(whole.root.parts) == 2
    for size in (1000, 4095, 4096, 4097, 32_768, 65_537):
        assert in_chunks(data, [size] * (len(data) // size)) == whole


# ------------------------------------------------------------------------------------- examples


def tree(data: bytes) -> object:
    """Types and bodies: a leaf as (type, body), a container as (type, [parts])."""

    def shown(part: Part) -> object:
        media = part.content_type.media.decode()
        if part.message is not None:
            return media, [shown(part.message)]
        if part.parts:
            return media, [shown(each) for each in part.parts]
        return media, data[part.body : part.end]

    return shown(index(data).root)


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def test_the_example_of_rfc_2046_section_5_1_1() -> None:
    data = crlf(b"""From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
""")
    first = b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    second = b"This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n"
    assert tree(data) == ("multipart/mixed", [("text/plain", first), ("text/plain", second)])
    one, two = index(data).root.parts
    assert (one.lines, two.lines) == (1, 2)
    assert one.content_type.parameter("charset") == "us-ascii"


def test_the_digest_of_rfc_2046_section_5_1_5() -> None:
    data = crlf(b"""Content-Type: multipart/mixed; boundary="---- main boundary ----"

------ main boundary ----

...Introductory text or table of contents...

------ main boundary ----
Content-Type: multipart/digest;
 boundary="---- next message ----"

------ next message ----

From: someone-else
Subject: my opinion

...body goes here ...

------ next message ----

From: someone-else-again
Subject: my different opinion

... another body goes here...

------ next message ------

------ main boundary ------
""")
    intro = b"...Introductory text or table of contents...\r\n"
    assert tree(data) == (
        "multipart/mixed",
        [
            ("text/plain", intro),
            (
                "multipart/digest",
                [
                    ("message/rfc822", [("text/plain", b"...body goes here ...\r\n")]),
                    ("message/rfc822", [("text/plain", b"... another body goes here...\r\n")]),
                ],
            ),
        ],
    )


MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", ("text/plain", b""), id="nothing"),
        pytest.param(b"\r\n", ("text/plain", b""), id="only a blank line"),
        pytest.param(b"Subject: x", ("text/plain", b""), id="header without an end"),
        pytest.param(b"Subject: x\r\n", ("text/plain", b""), id="no blank line"),
        pytest.param(b"\r\nbody", ("text/plain", b"body"), id="no header"),
        pytest.param(b"no colon\r\nbody", ("text/plain", b"no colon\r\nbody"), id="no field"),
        pytest.param(b"A: b\r\njunk\r\nC: d\r\n\r\nx", ("text/plain", b"x"), id="junk in header"),
        pytest.param(b"From ada\r\nA: b\r\n\r\nx", ("text/plain", b"x"), id="mailbox file line"),
        pytest.param(
            b">From ada\r\njunk\r\n\r\nx",
            ("text/plain", b"junk\r\n\r\nx"),
            id="mailbox file line, no field",
        ),
        pytest.param(
            b"From : ada\r\njunk\r\n\r\nx", ("text/plain", b"x"), id="a field with a blank"
        ),
        pytest.param(
            MIXED + b"--b\r\nFrom ada\r\n--b--\r\n",
            ("multipart/mixed", [("text/plain", b"")]),
            id="only a mailbox file line",
        ),
        pytest.param(
            MIXED + b"--b\r\n\r\none\r\n--b\r\n\r\ntwo",
            ("multipart/mixed", [("text/plain", b"one"), ("text/plain", b"two")]),
            id="no final boundary",
        ),
        pytest.param(MIXED, ("multipart/mixed", [("text/plain", b"")]), id="no parts"),
        pytest.param(
            MIXED + b"--other\r\n\r\nx\r\n",
            ("multipart/mixed", [("text/plain", b"")]),
            id="wrong boundary",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx",
            ("multipart/mixed", [("text/plain", b"")]),
            id="no boundary parameter",
        ),
        pytest.param(
            MIXED + b"--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--",
            (
                "multipart/mixed",
                [("text/plain", b""), ("text/plain", b""), ("text/plain", b"")],
            ),
            id="empty parts",
        ),
        pytest.param(
            MIXED + b"--b\r\nContent-Type: text/html\r\n--b--\r\n",
            ("multipart/mixed", [("text/html", b"")]),
            id="part without a blank line",
        ),
        pytest.param(
            MIXED + b"--b\r\nHello\r\n\r\nworld\r\n--b--\r\n",
            ("multipart/mixed", [("text/plain", b"Hello\r\n\r\nworld")]),
            id="part without a header",
        ),
        pytest.param(
            MIXED
            + b"--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
            + b"--bb\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n--bb\r\n",
            (
                "multipart/mixed",
                [("multipart/mixed", [("text/plain", b"x")]), ("text/plain", b"y")],
            ),
            id="inner multipart ended by the outer boundary",
        ),
        pytest.param(
            MIXED
            + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            + b"--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n",
            (
                "multipart/mixed",
                [("multipart/mixed", [("text/plain", b"x")]), ("text/plain", b"y")],
            ),
            id="the same boundary twice",
        ),
        pytest.param(
            MIXED + b"--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n--b--\r\n",
            ("multipart/mixed", [("message/rfc822", [("text/plain", b"")])]),
            id="inner message cut short",
        ),
        pytest.param(
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            b"QTogYg==\r\n",
            ("message/rfc822", [("text/plain", b"QTogYg==\r\n")]),
            id="encoded inner message",
        ),
        pytest.param(
            MIXED.replace(b"\r\n", b"\n") + b"--b\n\none\r\n--b\n\ntwo\n--b--\n",
            ("multipart/mixed", [("text/plain", b"one"), ("text/plain", b"two")]),
            id="mixed line ends",
        ),
        pytest.param(
            MIXED + b"--b \t\r\n\r\none\r\n --b\r\nx--b\r\n--b-- \r\n--b\r\nepilogue",
            ("multipart/mixed", [("text/plain", b"one\r\n --b\r\nx--b")]),
            id="padding, and look-alikes that are no delimiters",
        ),
    ],
)
def test_faults_of_real_mail(data: bytes, expected: object) -> None:
    assert tree(data) == expected


def test_P25_only_crlf_or_lf_ends_a_line() -> None:
    for other in (b"\r", b"\x0b", b"\x0c", b"\x85", "\u2028".encode(), b"\0"):
        data = MIXED + b"--b\r\n\r\none" + other + b"--b--" + other + b"two\r\n--b--\r\n"
        body = b"one" + other + b"--b--" + other + b"two"
        assert tree(data) == ("multipart/mixed", [("text/plain", body)])


def test_eight_bit_headers_are_kept() -> None:
    data = b"Subject: caf\xe9 \xc3\xa9\r\nX-\xff: no field\r\n\r\n"
    (field,) = index(data).root.header.fields
    assert field.value == b"caf\xe9 \xc3\xa9"


def test_the_mime_fields_of_a_part() -> None:
    part = index(
        b"Content-Type: Text/HTML (a comment); charset=utf-8\r\n"
        b"Content-Transfer-Encoding: Base64\r\n"
        b"Content-ID: <1@x>\r\nContent-Description: =?utf-8?q?x?=\r\nContent-MD5: Q2hlY2s=\r\n"
        b'Content-Disposition: attachment; filename="a b"\r\nContent-Language: en, de-AT\r\n'
        b"Content-Location: http://example.org/\r\n\r\n"
    ).root
    assert (part.content_type.type, part.content_type.subtype) == (b"Text", b"HTML")
    assert part.encoding == b"Base64"
    assert (part.id, part.description, part.md5) == (b"<1@x>", b"=?utf-8?q?x?=", b"Q2hlY2s=")
    assert part.disposition is not None
    assert part.disposition.type == b"attachment"
    assert part.disposition.parameter("filename") == "a b"
    assert part.languages == (b"en", b"de-AT")
    assert part.location == b"http://example.org/"
    bare = index(b"").root
    assert (bare.encoding, bare.id, bare.disposition, bare.languages) == (b"7bit", None, None, ())


def test_the_outermost_header_is_there_before_the_end() -> None:
    indexer = Indexer()
    headers = list[Header | None]()
    for piece in (b"Subject: x\r\n", b"\r\nbody"):
        indexer.feed(piece)
        headers.append(indexer.header)
    assert headers[0] is None
    assert headers[1] is not None
    assert headers[1].get(b"subject") == b"x"
    found = indexer.close()
    assert indexer.close() == found


# --------------------------------------------------------------------------------------- limits


def nested(levels: int) -> bytes:
    """Multiparts inside of each other."""
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(levels)
    )


def small_stack(work: Callable[[], object]) -> object:
    """The result of ``work`` where 200 nested calls are too many."""
    results = list[object]()
    thread = threading.Thread(target=lambda: results.append(work()))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(before)
    return results[0]


@pytest.mark.parametrize(
    "data",
    [
        nested(100_000),
        b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
        b"Content-Type: text/plain" + b"(" * 100_000 + b"\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" * 100_000,
    ],
    ids=["multiparts", "messages", "comments", "parts", "header repeated"],
)
def test_P10_depth(data: bytes) -> None:
    found = small_stack(lambda: index(data, IndexLimits(parts=1_000_000)))
    assert isinstance(found, Index)
    assert found.size == len(data)
    deepest, part = 0, found.root
    while part.parts or part.message:
        part = part.message or part.parts[-1]
        deepest += 1
    assert deepest <= IndexLimits().depth + 1


def test_limits_end_the_structure_and_leave_the_offsets_right() -> None:
    assert not index(nested(10)).limited
    deep = index(nested(60))
    assert deep.limited
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 50
    found = index(many, IndexLimits(parts=10))
    assert found.limited
    assert len(found.root.parts) == 9
    assert found.root.parts[-1].end == len(many)
    header = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 90) for n in range(100)) + b"\r\n"
    cut = index(header + b"body", IndexLimits(header=1000))
    assert cut.limited
    assert (cut.root.body, cut.root.end) == (len(header), len(header) + 4)
    assert [field.name for field in cut.root.header.fields] == [b"X-%d" % n for n in range(10)]
    assert all(field.end - field.start > 90 for field in cut.root.header.fields)


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
def test_P01_limits_are_met_at_the_same_place_in_every_chunking(size: int) -> None:
    data = nested(60) + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 90) for n in range(100)) + b"\r\n"
    limits = IndexLimits(header=1000, headers=3000, parts=30)
    whole = index(data, limits)
    indexer = Indexer(limits)
    for start in range(0, len(data), size):
        indexer.feed(data[start : start + size])
        _ = indexer.header
    assert indexer.close() == whole


@pytest.mark.parametrize(
    "piece",
    [b"x" * 999 + b"\r\n", b"--b\r\n", b"X: y\r\n", b"\n--", b"-", b"--b--", b"A:\r\n " * 20],
)
@pytest.mark.parametrize("begin", [b"", MIXED, MIXED + b"--b\r\n\r\n"], ids=["", "top", "part"])
def test_P08_memory_is_bounded(begin: bytes, piece: bytes) -> None:
    chunk = piece * (65_536 // len(piece))
    limits = IndexLimits(header=10_000, headers=100_000, parts=100)
    peaks = list[int]()
    for chunks in (20, 100):
        tracemalloc.start()
        indexer = Indexer(limits)
        indexer.feed(begin)
        for _ in range(chunks):
            indexer.feed(chunk)
        indexer.close()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 1_500_000


def work_of(data: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Octets searched for delimiters plus steps and calls made: what the time is made of."""
    total = 0
    search = indexing_module._Boundary.search
    step = Indexer._step

    def counted_search(
        self: indexing_module._Boundary, buffer: bytes, base: int, at: int, end: int
    ) -> None:
        nonlocal total
        if self.next - base < at or not self.found:
            total += max(0, end - max(self.next - base, at))
        search(self, buffer, base, at, end)

    def counted_step(self: Indexer) -> bool:
        nonlocal total
        total += 50 + 20 * len(self._boundaries)
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(indexing_module._Boundary, "search", counted_search)
        patch.setattr(Indexer, "_step", counted_step)
        indexer = Indexer()
        for start in range(0, len(data), size):
            total += 10
            indexer.feed(data[start : start + size])
        indexer.close()
    return total


@pytest.mark.parametrize("size", [1, 1460, 1 << 30])
@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"X: y\r\n"),
        (b"", b"x"),
        (MIXED, b"\n--"),
        (MIXED, b"--b\r\n"),
        (MIXED, b"--b\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\n"),
        (nested(35), b"\r\n--c"),
        (nested(35), b"--b0\r\n\r\n"),
    ],
    ids=["header", "long line", "hyphens", "parts", "new boundaries", "deep", "deep parts"],
)
def test_P09_linear_work(
    begin: bytes, piece: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 200_000 // len(piece)
    once = work_of(begin + piece * count, size, monkeypatch)
    twice = work_of(begin + piece * 2 * count, size, monkeypatch)
    # What begins the message is worked on once; the rest may at most double.
    assert twice <= 2.1 * once
