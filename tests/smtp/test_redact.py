"""P16: what a client goes on to say after an AUTH that was refused is in no trace and no event."""

from __future__ import annotations

import base64

import pytest

from mailproto import smtp
from mailproto._core.machine import Signal
from mailproto.errors import RemoteProtocolError

PASSWORD = b"canary-Secret_77"
ENCODED = base64.b64encode(PASSWORD)
PLAIN = base64.b64encode(b"\0alice\0" + PASSWORD)


def session(*lines: bytes, mechanisms: tuple[str, ...], repair: bool = False) -> list[str]:
    """What a server shows of a session: its trace, events and exceptions."""
    shown: list[str] = []
    bare = smtp.BareNewlines.REPAIR if repair else smtp.BareNewlines.REJECT
    server = smtp.Server(
        tls=True,
        offer=smtp.Offer(mechanisms=mechanisms, burl=("imap",)),
        bare_newlines=bare,
        trace=lambda side, line: shown.append(repr(line)),
    )
    server.accept()
    server.receive_data(b"".join(line + b"\r\n" for line in (b"EHLO me", *lines)))
    try:
        while not isinstance(event := server.next_event(), Signal):
            shown.append(repr(event))
            if isinstance(event, smtp.Auth):
                server.send(smtp.Challenge(b""))
            elif not isinstance(event, smtp.RepairedLine):
                server.accept()
            shown.append(repr(server.data_to_send()))
    except RemoteProtocolError as error:
        shown += [str(error), repr(error.hint)]
    return shown


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize(
    "lines",
    [
        (b"AUTH LOGIN", b"YWxpY2U=", ENCODED),
        (b"AUTH PLAIN", PLAIN),
        (b"AUTH PLAIN", PASSWORD),
        (b"auth  plain", PLAIN),
        (b"AUTH", ENCODED, ENCODED),
        (b"AUTH0 LOGIN", b"YWxpY2U=", ENCODED),
        (b"BURL imap://a.example/o;uid=1;urlauth=submit+a:internal:" + PASSWORD + b" LST",),
        (b"BURL  imap://a.example/o;uid=1;urlath=submit+a:internal:" + PASSWORD + b" LST",),
    ],
)
def test_P16_responses_of_an_AUTH_that_was_refused(lines: tuple[bytes, ...], repair: bool) -> None:
    shown = "\n".join(session(*lines, b"NOOP", mechanisms=("SCRAM-SHA-256",), repair=repair))
    for secret in (PASSWORD, ENCODED, PLAIN, b"YWxpY2U="):
        assert secret.decode() not in shown
    assert "<hidden>" in shown
    assert "NOOP" in shown


def test_P16_what_follows_the_next_command_is_shown_again() -> None:
    shown = session(b"AUTH LOGIN", ENCODED, b"NOOP", b"FROB nicate", mechanisms=("SCRAM-SHA-1",))
    assert repr(b"FROB nicate") in shown


@pytest.mark.parametrize(
    "lines",
    [
        (b"AUTH PLAIN " + ENCODED * 1000,),
        (b"AUTHPLAIN " + ENCODED * 100,),
        (b"AUTH LOGIN", b"!", ENCODED * 1000),
        (b"AUTH LOGIN", ENCODED * 1000),
    ],
)
def test_P16_the_start_of_a_line_that_is_too_long(lines: tuple[bytes, ...]) -> None:
    shown = "\n".join(session(*lines, mechanisms=("LOGIN", "PLAIN")))
    assert "line longer than" in shown
    assert ENCODED.decode() not in shown
