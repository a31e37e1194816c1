"""The times of each phase, by default those of RFC 5321 section 4.5.3.2."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.smtp import Timeouts

MINUTE = 60.0


def test_the_defaults_are_those_of_the_RFC() -> None:
    times = Timeouts()
    assert (times.greeting, times.mail, times.rcpt) == (5 * MINUTE, 5 * MINUTE, 5 * MINUTE)
    assert (times.data, times.block, times.end) == (2 * MINUTE, 3 * MINUTE, 10 * MINUTE)


def test_one_number_is_for_every_phase() -> None:
    assert Timeouts.of(7.0) == Timeouts(7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0)
    assert Timeouts.of(None) == Timeouts()
    own = Timeouts(data=1.0)
    assert Timeouts.of(own) is own


@pytest.mark.parity("smtp-client timeouts")
def test_each_phase_has_its_own() -> None:
    """A whole session, by DATA and by BDAT, with another number for each phase."""
    machine = smtp.Client(timeouts=Timeouts(1, 2, 3, 4, 5, 6, 7))

    def answer(data: bytes) -> None:
        machine.data_to_send()
        machine.receive_data(data)
        machine.next_event()

    def ask(command: smtp.Command, seconds: float, reply: bytes) -> None:
        machine.send(command)
        assert machine.timeout_hint == seconds
        answer(reply)

    assert machine.timeout_hint == 1
    answer(b"220 mx\r\n")
    ask(smtp.Ehlo("a"), 7, b"250-mx\r\n250-CHUNKING\r\n250 STARTTLS\r\n")
    ask(smtp.Mail(smtp.NULL_PATH), 2, b"250 ok\r\n")
    ask(smtp.Rcpt(smtp.POSTMASTER), 3, b"250 ok\r\n")
    ask(smtp.Data(), 4, b"354 go\r\n")
    machine.send(smtp.Body(b"x\r\n"))
    assert machine.timeout_hint == 5
    ask(smtp.EndOfMessage(), 6, b"250 ok\r\n")
    ask(smtp.Mail(smtp.NULL_PATH), 2, b"250 ok\r\n")
    ask(smtp.Rcpt(smtp.POSTMASTER), 3, b"250 ok\r\n")
    machine.send(smtp.Bdat(1, last=True))
    assert machine.timeout_hint == 6
    ask(smtp.Body(b"x"), 6, b"250 ok\r\n")
    ask(smtp.StartTLS(), 7, b"220 go\r\n")
    assert machine.timeout_hint == 7


@pytest.mark.parametrize("kind", [smtp.Quit, smtp.Noop, smtp.Rset])
def test_every_other_command_has_one_time(kind: type) -> None:
    assert Timeouts(other=9.0).waiting_for(kind) == 9.0
