"""Hostile header values: whatever reads them is linear in their octets and does not recur."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import pytest

from mailproto.message import Header, decode_words, envelope, index, parse_addresses, parse_date
from mailproto.testing.growth import assert_linear

PIECES = [
    b"(", b")", b"<", b"[", b'"', b"\\", b'"\\', b",", b":", b";", b"@", b".", b"a", b" ", b"a@b,",
    b"a:b;", b"(a)", b"=?", b"=?a?q?", b"=?a?b?QQ==?= ", b"=?utf-8?q?=41?=", b"a=b;", b"a*0*=%41;",
    b"\r\n ", b"\n", b"\r", b"x: y\r\n", b"junk\r\n", b"\xff", b"1 Jan ", b"--",
]  # fmt: skip

NESTING = [b"(", b"<", b"a:"]

READERS: dict[str, Callable[[bytes], object]] = {
    "fields": lambda value: Header.parse(value).get(b"x"),
    "envelope": lambda value: envelope(Header.parse(b"To: " + value + b"\r\n\r\n")),
    "addresses": parse_addresses,
    "words": decode_words,
    "date": parse_date,
    "content type": lambda value: index(
        b"Content-Type: a/b; " + value + b"\r\n\r\n"
    ).root.content_type.parameter("a"),
    "disposition": lambda value: (
        index(b"Content-Disposition: a; " + value + b"\r\n\r\n").root.disposition
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_P09_linear_time(name: str) -> None:
    for piece in PIECES:

        def read(octets: int, piece: bytes = piece) -> Callable[[], object]:
            value = piece * (octets // len(piece))
            return lambda: READERS[name](value)

        assert_linear(read, 2_000)


@pytest.mark.parametrize("name", READERS)
def test_P10_depth(name: str) -> None:
    failures = list[BaseException]()

    def work() -> None:
        try:
            for piece in NESTING:
                READERS[name](piece * 100_000)
        except BaseException as error:
            failures.append(error)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(before)
    assert failures == []
