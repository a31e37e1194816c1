"""What SEARCH asks: texts found after decoding, without regard to case, in any chunks."""

from __future__ import annotations

import base64
import quopri
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto.message import Header, TextSearch, header_contains, index

MIXED = (
    b"Subject: =?utf-8?q?Caf=C3=A9?= menu\r\n"
    b"From: Ada <ada@example.org>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"preamble\r\n"
    b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nStra=DFe nach =\r\nHause\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes("<p>Größe</p>".encode())
    + b"--b\r\nContent-Type: image/png; name=picture.png\r\n\r\nhidden\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n"
    b"--b--\r\nepilogue\r\n"
)  # fmt: skip


def found(data: bytes, text: str, *, header: bool, size: int = 1 << 20) -> bool:
    search = TextSearch(index(data), text, header=header)
    octets = b"".join(data[start:end] for start, end in search.ranges)
    for start in range(0, len(octets), size):
        search.feed(octets[start : start + size])
    return search.found


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("text", "in_body", "in_text"),
    [
        ("STRASSE NACH HAUSE", True, True),
        ("straße", True, True),
        ("größe", True, True),
        ("GRÖSSE", True, True),
        ("inner body", True, True),
        ("subject: INNER", True, True),
        ("picture.png", True, True),
        ("café menu", False, True),
        ("ADA@EXAMPLE", False, True),
        ("hidden", False, False),
        ("=DF", False, False),
        ("hause<p>", False, False),
        ("", True, True),
    ],
)
def test_body_and_text(text: str, in_body: bool, in_text: bool, size: int) -> None:
    assert found(MIXED, text, header=False, size=size) == in_body
    assert found(MIXED, text, header=True, size=size) == in_text


def test_only_texts_need_to_be_read() -> None:
    search = TextSearch(index(MIXED), "nowhere", header=True)
    assert [MIXED[start:end][:5] for start, end in search.ranges] == [b"Stra=", b"PHA+R", b"inner"]
    assert TextSearch(index(MIXED), "ada", header=True).ranges == ()


def test_a_text_does_not_run_from_one_part_into_the_next() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"
    )
    assert found(data, "one", header=False)
    assert found(data, "two", header=False)
    assert not found(data, "onetwo", header=False)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    st.sampled_from(["8bit", "base64", "quoted-printable"]),
    st.integers(1, 30),
)
def test_P01_a_text_is_found_in_every_encoding_and_chunking(
    text: str, before: str, after: str, encoding: str, size: int
) -> None:
    octets = (before + text + after).encode()
    if encoding == "base64":
        octets = base64.encodebytes(octets)
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets)
    data = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        encoding.encode(),
        octets,
    )
    assert found(data, text.upper().lower(), header=False, size=size) == (
        text.upper().lower().casefold() in (before + text + after).casefold()
    )
    assert found(data, text, header=False, size=size)


def test_header_contains() -> None:
    header = Header.parse(
        b"To: a@example.org,\r\n b@example.org\r\nTo: =?iso-8859-1?q?J=F6rg?= <c@x>\r\n\r\n"
    )
    assert header_contains(header, b"TO", "B@Example")
    assert header_contains(header, b"to", "JÖRG")
    assert header_contains(header, b"to", "a@example.org, b@")
    assert header_contains(header, b"to", "")
    assert not header_contains(header, b"to", "d@")
    assert not header_contains(header, b"cc", "")


def test_P08_a_long_body_is_searched_in_little_memory() -> None:
    chunk = b"QUJDREVG" * 8192
    data = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    search = TextSearch(index(data + chunk * 100), "not there", header=True)
    tracemalloc.start()
    for _ in range(100):
        search.feed(chunk)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not search.found
    assert peak < 1_000_000
