"""What a server does not put up with: early talkers, TLS on a plain port, commands without end."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import RemoteProtocolError


def server(**options: object) -> smtp.Server:
    machine = smtp.Server("mx.example", **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    machine.data_to_send()
    return machine


def code(machine: smtp.Server, line: bytes) -> int:
    machine.receive_data(line + b"\r\n")
    machine.next_event()
    machine.accept()
    return int(machine.data_to_send()[:3])


def refusal(machine: smtp.Server) -> smtp.Reply:
    """The hint of the failure that is met, which can be sent and is the last thing."""
    with pytest.raises(RemoteProtocolError) as caught:
        while machine.next_event() is not smtp.NEED_DATA:
            machine.accept()
    hint = caught.value.hint
    assert isinstance(hint, smtp.Reply)
    machine.send(hint)
    machine.receive_data(b"NOOP\r\n")
    with pytest.raises(RemoteProtocolError):
        machine.next_event()
    return hint


@pytest.mark.parity("smtp-server early talkers and other protocols")
def test_octets_before_the_greeting_are_refused_if_asked_to() -> None:
    machine = smtp.Server("mx.example", refuse_early_talkers=True)
    assert machine.next_event() is smtp.PAUSED
    machine.receive_data(b"E")
    assert refusal(machine).code == 554
    assert machine.data_to_send() == b"554 The client spoke before the greeting\r\n"


def test_octets_before_the_greeting_wait_otherwise() -> None:
    machine = smtp.Server("mx.example")
    machine.receive_data(b"EHLO a\r\n")
    assert machine.next_event() is smtp.PAUSED
    machine.accept()
    assert machine.next_event() == smtp.Ehlo("a")


def test_who_waits_is_not_an_early_talker() -> None:
    machine = server(refuse_early_talkers=True)
    assert code(machine, b"EHLO a") == 250


@pytest.mark.parity("smtp-server early talkers and other protocols")
def test_P30_a_TLS_handshake_is_refused_at_its_first_octet() -> None:
    machine = server()
    machine.receive_data(b"\x16")
    assert refusal(machine).text == "TLS is not expected here"


IDLE = [b"NOOP", b"RSET", b"VRFY x", b"EXPN x", b"HELP", b"EHLO a", b"XFOO", b"STARTTLS", b"AUTH X"]


@pytest.mark.parity("smtp-server limits of commands and errors")
@pytest.mark.parametrize("line", IDLE)
def test_P08_commands_that_lead_nowhere_are_counted(line: bytes) -> None:
    machine = server(limits=smtp.SMTPServerLimits(idle_commands=3))
    code(machine, b"EHLO a")
    assert code(machine, line) != 421
    assert code(machine, line) != 421
    assert code(machine, line) == 421
    assert machine.closing


def test_a_message_is_progress() -> None:
    machine = server(limits=smtp.SMTPServerLimits(idle_commands=2))
    code(machine, b"EHLO a")
    for _ in range(3):
        for line in (b"NOOP", b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"DATA", b"."):
            assert code(machine, line) in (250, 354)
        assert code(machine, b"RSET") == 250
