"""What machines, serializers and values of POP3 refuse, each with what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3.parse import parse_scan_listings
from mailproto.pop3.serialize import serialize_listings

WRONG: Any = "no value of POP3"
# RFC 1939 section 7
TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"


def client(*, failed: bool = False) -> pop3.Client:
    made = pop3.Client(tls=True)
    made.receive_data(b"+OK\r\n")
    made.next_event()
    if failed:
        made.receive_data(b"+OK unasked\r\n")
        with pytest.raises(RemoteProtocolError):
            made.next_event()
    return made


def farewell_while_an_answer_is_due() -> None:
    server = pop3.Server(tls=True)
    server.accept()
    server.receive_data(b"CAPA\r\n")
    server.next_event()
    server.farewell(pop3.Err("bye"))


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda: client().send(WRONG), "not a POP3 command: str"),
        (lambda: client(failed=True).send(pop3.Capa()), "the connection has failed"),
        (lambda: serialize_listings(pop3.ScanListings({0: 1})), "message numbers from 1"),
        (lambda: serialize_listings(pop3.ScanListings({1: -1})), "sizes from 0"),
        (lambda: serialize_listings(pop3.ScanListings({1 << 32: 1})), "message numbers from 1"),
        (farewell_while_an_answer_is_due, "a farewell while an answer is due"),
    ],
)
def test_what_cannot_be_said_now_or_at_all(use: Callable[[], object], problem: str) -> None:
    with pytest.raises(LocalProtocolError, match=problem):
        use()


@pytest.mark.parametrize("lines", [b"1 007\r\n", b"1 00\r\n", b"1 5\r\n1 6\r\n", b"x\r\n"])
def test_P17_listings_that_are_read_line_by_line(lines: bytes) -> None:
    """Not in one piece: a needless zero, a number twice, no number."""
    assert parse_scan_listings(lines) is None


def test_response_codes_read_as_they_are_written() -> None:
    assert str(pop3.ResponseCode("SYS/TEMP")) == "SYS/TEMP"


def test_the_digest_of_APOP() -> None:
    """The example of RFC 1939 section 7, and SASLprep beyond ASCII (RFC 6856 section 2.2)."""
    assert pop3.apop_digest(TIMESTAMP, "tanstaaf") == "c4c9334bac560ecc979e58001b3e22fb"
    prepared = pop3.apop_digest(TIMESTAMP, "a\u00e9")
    assert pop3.apop_digest(TIMESTAMP, "a\u00ade\u0301") == prepared
    for unusable in ("\u0221", "a\u00e9\x07"):
        with pytest.raises(LocalProtocolError, match="SASLprep"):
            pop3.apop_digest(TIMESTAMP, unusable)


def test_the_package_knows_its_names_before_it_has_loaded_them() -> None:
    assert {"Client", "Server", "apop_digest"} <= set(dir(pop3))
    with pytest.raises(AttributeError, match="no attribute 'Frobnicate'"):
        _ = pop3.Frobnicate  # type: ignore[attr-defined]  # it is not there
