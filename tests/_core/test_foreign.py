"""Openings of other protocols, and commands of mail that look a little like them."""

from __future__ import annotations

import pytest

from mailproto._core.foreign import begins_tls, opens_another_protocol
from mailproto._core.framer import Framer


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"POST /x?y=z HTTP/1.0",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT mx.example:25 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET /" + b"x" * 1000 + b" HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r",
        b"SSH-2.0-OpenSSH_9.6",
    ],
)
def test_P30_other_protocols(line: bytes) -> None:
    assert opens_another_protocol(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"EHLO http.example",
        b"NOOP / HTTP",
        b"HELP HTTP/1.1",
        b"GET LIST INBOX",
        b"A1 SELECT HTTP/1.1",
        b"VRFY a GET / HTTP/1.1",
        b"SSH-1 NOOP",
        b"\x16\x02\x01",
        b"\x80.\x01\x03\x01",
    ],
)
def test_commands_of_mail(line: bytes) -> None:
    assert not opens_another_protocol(line)


def test_TLS_is_known_by_its_first_octet_and_nothing_is_consumed() -> None:
    framer = Framer()
    assert not begins_tls(framer)
    framer.feed(b"\x16")
    assert begins_tls(framer)
    assert len(framer) == 1
    other = Framer()
    other.feed(b"EHLO \x16")
    assert not begins_tls(other)
