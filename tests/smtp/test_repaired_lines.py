"""Command lines that a bare CR or LF ends, where the policy repairs (RFC 5321 section 2.3.8).

Clients that end lines so are there: shell scripts, and devices whose software nobody renews.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto._core.machine import Signal
from mailproto.errors import RemoteProtocolError
from mailproto.testing import assert_linear

_REPAIR = smtp.BareNewlines.REPAIR


def server(**settings: object) -> smtp.Server:
    machine = smtp.Server("mx.example", bare_newlines=_REPAIR, **settings)  # type: ignore[arg-type]  # names of Server's own
    machine.accept()
    machine.data_to_send()
    return machine


def events(machine: smtp.Server) -> list[object]:
    """What comes, each accepted, until there is no more."""
    found = list[object]()
    while not isinstance(event := machine.next_event(), Signal | smtp.ConnectionClosed):
        found.append(event)
        for _ in range(machine.replies_due):
            machine.accept()
    return found


@pytest.mark.parity("smtp-server bare LF in commands")
@pytest.mark.parametrize("end", ["\n", "\r"])
def test_P25_a_session_of_bare_newlines_is_told_line_by_line(end: str) -> None:
    machine = server()
    lines = ["HELO a", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET", "NOOP", "QUIT"]
    machine.receive_data("".join(line + end for line in lines).encode() + b"\r\n")
    found = events(machine)
    assert [event.line.decode() for event in found[::2]] == lines  # type: ignore[attr-defined]  # RepairedLine each
    assert [type(event) for event in found[1::2]] == [
        smtp.Helo,
        smtp.Mail,
        smtp.Rcpt,
        smtp.Rset,
        smtp.Noop,
        smtp.Quit,
    ]
    assert machine.data_to_send().count(b"\r\n") == len(lines)


_WIRE = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"NOOP", b"RSET", b" ", b"x", b"HELO a", b"\r\r\n"]),
    max_size=30,
).map(b"".join)


@given(_WIRE, st.lists(st.integers(1, 5), min_size=1), st.booleans())
@example(b"NOOP\r", [1], True)
@example(b"NOOP\r\nNOOP\rNOOP\n\r\n", [1], False)
def test_P01_P25_lines_end_where_a_reader_of_any_newline_ends_them(
    wire: bytes, sizes: list[int], ended: bool
) -> None:
    machine = server()
    found, at = list[object](), 0
    while at < len(wire):
        size = sizes[at % len(sizes)]
        machine.receive_data(wire[at : at + size])
        found += events(machine)
        at += size
    *lines, rest = re.split(rb"(\r\n?|\n)", wire)
    # A CR at the end is undecided until something follows, even if that is nothing.
    if ended:
        machine.receive_data(b"")
        if rest:
            with pytest.raises(RemoteProtocolError, match="inside a line"):
                events(machine)
        else:
            found += events(machine)
    elif not rest and lines and lines[-1] == b"\r":
        del lines[-2:]
    told = [event.line for event in found if isinstance(event, smtp.RepairedLine)]
    assert told == [
        line for line, end in zip(lines[::2], lines[1::2], strict=True) if end != b"\r\n"
    ]
    read = [event for event in found if not isinstance(event, smtp.RepairedLine)]
    assert len(read) == len(lines) // 2
    for line, event in zip(lines[::2], read, strict=True):
        plain = smtp.Server("mx.example")
        plain.accept()
        plain.receive_data(line + b"\r\n")
        assert type(event) is type(plain.next_event())


def test_P02_content_ends_as_ever() -> None:
    machine = server()
    machine.receive_data(b"HELO a\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n")
    events(machine)
    machine.receive_data(b"x\n.\nQUIT\n\r.\rQUIT\r\n.\r\nNOOP\n")
    body = b""
    assert machine.state is smtp.State.CONTENT
    while isinstance(event := machine.next_event(), smtp.Body):
        body += event.data
    assert (body, event) == (b"x\r\n.\r\nQUIT\r\n\r\n.\r\nQUIT\r\n", smtp.EndOfMessage(1))
    machine.accept()
    assert events(machine) == [smtp.RepairedLine(b"NOOP"), smtp.Noop()]


@pytest.mark.parametrize("line", [b"STARTTLS\nNOOP\n", b"STARTTLS\r\nNOOP\n", b"STARTTLS\n\n"])
def test_P05_nothing_is_read_behind_STARTTLS(line: bytes) -> None:
    machine = server(offer=smtp.Offer(starttls=True))
    machine.receive_data(b"EHLO a\n" + line)
    with pytest.raises(RemoteProtocolError, match="before TLS"):
        events(machine)


def test_P16_the_octets_of_AUTH_are_not_told() -> None:
    trace = list[bytes]()
    offer = smtp.Offer(mechanisms=("PLAIN", "LOGIN"), insecure_auth=True)
    machine = server(offer=offer, trace=lambda _, line: trace.append(line))
    machine.receive_data(b"EHLO a\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\n")
    found = [machine.next_event()]
    machine.next_event()
    machine.accept()
    found += [machine.next_event(), machine.next_event()]
    machine.send(smtp.Reply(535, "no"))
    machine.receive_data(b"AUTH LOGIN\n")
    found += [machine.next_event(), machine.next_event()]
    machine.send(smtp.Challenge(b"Password:"))
    machine.receive_data(b"c2VjcmV0\n")
    found += [machine.next_event(), machine.next_event()]
    assert found[-1] == smtp.AuthResponse(b"secret")
    shown = repr(found) + repr(trace)
    assert "AGFs" not in shown
    assert "c2Vj" not in shown


def test_P08_a_line_without_an_end_is_too_long() -> None:
    machine = server()
    for _ in range(12):
        machine.receive_data(b"x" * 1000)
        assert machine.next_event() is smtp.NEED_DATA
    machine.receive_data(b"x" * 1000)
    with pytest.raises(RemoteProtocolError) as caught:
        machine.next_event()
    assert caught.value.hint == smtp.Reply(500, "Line too long", smtp.EnhancedCode(5, 5, 2))


@pytest.mark.parametrize("piece", [1, 1448, 65536])
def test_P09_lines_of_any_end_cost_linear_time(piece: int) -> None:
    def prepare(size: int):
        wire = b"NOOP\n" * size

        def run() -> None:
            machine = server()
            for at in range(0, len(wire), piece):
                machine.receive_data(wire[at : at + piece])
                events(machine)
                machine.data_to_send()

        return run

    assert_linear(prepare, 400)
