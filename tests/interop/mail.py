"""Sample messages and the three ways of reaching a server, for the tests of client programs."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from interop.conftest import MailServer

SENDER = "sender@elsewhere.test"
RECIPIENT = "alice@peer.test"
USER = "alice"


class Lane(enum.Enum):
    """How a connection is protected."""

    PLAIN = "plain"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


every_lane = pytest.mark.parametrize("lane", list(Lane), ids=[lane.value for lane in Lane])


def smtp_port(server: MailServer, lane: Lane) -> int:
    """The port a sender uses: without TLS it delivers to the domain, with TLS it submits."""
    return {
        Lane.PLAIN: server.smtp,
        Lane.STARTTLS: server.submission,
        Lane.IMPLICIT: server.smtps,
    }[lane]


def imap_port(server: MailServer, lane: Lane) -> int:
    return server.imaps if lane is Lane.IMPLICIT else server.imap


def pop3_port(server: MailServer, lane: Lane) -> int:
    return server.pop3s if lane is Lane.IMPLICIT else server.pop3


def make_message(subject: str = "hello", *, lines: int = 3) -> bytes:
    """A message with what breaks weak programs: leading dots, a long line, 8-bit text."""
    body = [f"line {number} of {subject}" for number in range(lines)]
    body += [".leading dot", "..two dots", ".", "x" * 900, "caf\u00e9", "", "From here on", ""]
    head = [
        f"From: Sender <{SENDER}>",
        f"To: Alice <{RECIPIENT}>",
        f"Subject: {subject}",
        "Date: Mon, 01 Jun 2026 12:00:00 +0000",
        f"Message-ID: <{subject.replace(' ', '.')}@elsewhere.test>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
    ]
    return "".join(f"{line}\r\n" for line in (*head, *body)).encode()


def make_utf8_message(subject: str = "gr\u00fc\u00dfe") -> bytes:
    """A message whose header has UTF-8 as it is (RFC 6532)."""
    return (
        f"From: J\u00f6rg <j\u00f6rg@elsewhere.test>\r\nTo: <j\u00f6rg@peer.test>\r\n"
        f"Subject: {subject}\r\nMessage-ID: <utf8@elsewhere.test>\r\n"
        "Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        "\r\n.caf\u00e9\r\n"
    ).encode()


def body_of(message: bytes) -> bytes:
    """What follows the header; line ends become CRLF, as programs on Unix store LF."""
    text = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return text.partition(b"\r\n\r\n")[2]


def header_of(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").partition(b"\n\n")[0].replace(b"\n", b"\r\n") + b"\r\n"


def assert_same_mail(received: bytes, sent: bytes) -> None:
    """The body is the same octet for octet; the header may have gained trace fields before it."""
    assert body_of(received) == body_of(sent)
    assert header_of(received).endswith(header_of(sent))
