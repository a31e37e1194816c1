"""The endpoint all machines share, with the smallest protocol there is: a line, and START."""

from __future__ import annotations

import pytest

from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Machine, Signal
from mailproto.errors import LocalProtocolError, RemoteProtocolError


class Lines(Machine[bytes, bytes]):
    """Yields lines; START is the boundary before TLS, and FAIL a fault of the peer."""

    def _begin(self) -> None:
        self.seen: list[bytes] = []

    def _advance(self) -> bytes | ConnectionClosed | Signal:
        line = self._input.line(10)
        if line is None:
            return ConnectionClosed() if self._input.eof else NEED_DATA
        if line == b"FAIL":
            raise RemoteProtocolError("failed", hint=b"own hint")
        if line == b"START":
            self._await_tls()
        self.seen.append(line)
        return line

    def send(self, item: bytes) -> None:
        self._output.write(item)


class Hinting(Lines):
    """A server: it has something to say to a peer that failed."""

    def _hint_for(self, error: RemoteProtocolError, *, line_too_long: bool) -> object:
        return b"too long" if line_too_long else b"goodbye"


def test_lines_in_and_out() -> None:
    machine = Lines()
    machine.receive_data(memoryview(b"one\r\ntw"))
    assert machine.next_event() == b"one"
    assert machine.next_event() is NEED_DATA
    machine.receive_data(bytearray(b"o\r\n"))
    machine.receive_data(b"")
    assert machine.next_event() == b"two"
    assert machine.next_event() == ConnectionClosed()
    assert machine.next_event() == ConnectionClosed()
    machine.send(b"out")
    assert machine.data_to_send() == b"out"
    assert machine.data_to_send() == b""


@pytest.mark.parametrize(("kind", "hint"), [(Lines, None), (Hinting, b"too long")])
def test_P13_a_line_that_is_too_long_is_final(kind: type[Lines], hint: object) -> None:
    machine = kind()
    machine.receive_data(b"0123456789\r\nnext\r\n")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=r"than 10 octets.*0123456789") as error:
            machine.next_event()
        assert error.value.hint == hint
        machine.receive_data(b"next\r\n")
    assert machine.failed


@pytest.mark.parametrize("kind", [Lines, Hinting])
def test_P13_a_fault_is_final_and_keeps_its_hint(kind: type[Lines]) -> None:
    machine = kind()
    machine.receive_data(b"FAIL\r\nnext\r\n")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as error:
            machine.next_event()
        assert error.value.hint == b"own hint"
    assert machine.seen == []


def test_P05_the_boundary_before_TLS() -> None:
    machine = Lines()
    with pytest.raises(LocalProtocolError):
        machine.start_tls()
    machine.receive_data(b"one\r\nSTART\r\n")
    machine.next_event()
    assert machine.next_event() == b"START"
    assert machine.awaiting_tls
    assert machine.next_event() is PAUSED
    machine.send(b"left over")
    machine.start_tls()
    assert (machine.tls, machine.awaiting_tls, machine.seen) == (True, False, [])
    assert machine.data_to_send() == b""
    machine.receive_data(b"two\r\n")
    assert machine.next_event() == b"two"


def test_P21_an_end_instead_of_a_handshake() -> None:
    machine = Lines()
    machine.receive_data(b"START\r\n")
    machine.next_event()
    machine.receive_data(b"")
    assert machine.next_event() == ConnectionClosed()


@pytest.mark.parametrize(("kind", "hint"), [(Lines, None), (Hinting, b"goodbye")])
@pytest.mark.parametrize("asks_first", [True, False])
def test_P05_plaintext_behind_the_boundary_is_never_read(
    kind: type[Lines], hint: object, asks_first: bool
) -> None:
    """Whether the application asks for an event before the handshake, or only does it."""
    machine = kind()
    machine.receive_data(b"START\r\nNEXT\r\n")
    machine.next_event()
    if not asks_first:
        machine.start_tls()
    with pytest.raises(RemoteProtocolError, match="plaintext") as error:
        machine.next_event()
    assert error.value.hint == hint
    assert machine.seen == [b"START"]
    assert not machine.tls
