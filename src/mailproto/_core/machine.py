"""The endpoint that all six machines share: signals, input, output, end of file, TLS gate, trace.

A machine is pulled: the application stores octets with ``receive_data`` and asks for one event
after the other, because its answer to one command may change what the next octets mean.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from mailproto._core.framer import Framer, LineTooLong
from mailproto._core.frozen import frozen
from mailproto._core.outbox import Outbox
from mailproto.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NEED_DATA", "PAUSED", "ConnectionClosed", "Machine", "Signal", "Trace"]

Event = TypeVar("Event")
Item = TypeVar("Item")

Trace: TypeAlias = "Callable[[Literal['C', 'S'], bytes], None]"
"""Called with the side that speaks and one line without its CRLF, secrets replaced."""


class Signal(enum.Enum):
    """Why ``next_event()`` has no event."""

    NEED_DATA = "NEED_DATA"
    PAUSED = "PAUSED"


NEED_DATA: Final = Signal.NEED_DATA
"""The network owes the machine: call ``receive_data`` with what arrives next."""

PAUSED: Final = Signal.PAUSED
"""You owe the machine an answer: a ``send``, or ``start_tls`` after the handshake."""


@frozen
class ConnectionClosed:
    """The peer has closed its side at a point where the protocol allows it.

    ``next_event()`` returns it again from then on.
    """


class Machine(ABC, Generic[Event, Item]):
    """One end of one connection, without I/O, clock or thread.

    ::

        m.receive_data(data)   # store; b"" is end of file; raises nothing for a peer's fault
        m.next_event()         # Event | NEED_DATA | PAUSED; raises RemoteProtocolError
        m.send(item)           # raises LocalProtocolError and changes nothing
        m.data_to_send()       # look after every send() and every next_event()
        m.start_tls()          # the handshake is done; the machine was PAUSED since the boundary

    Subclasses implement ``_advance`` (one event from the input), ``send`` and ``_begin`` (the
    state of a fresh connection, called by ``__init__`` and by ``start_tls``).
    """

    __slots__ = ("_awaiting_tls", "_failure", "_input", "_output", "_tls", "_trace")

    _upgrade: ClassVar[str] = "STARTTLS"
    """The command behind which TLS begins."""

    def __init__(self, *, tls: bool = False, trace: Trace | None = None) -> None:
        self._input = self._framer()
        self._output = Outbox()
        self._failure: RemoteProtocolError | None = None
        self._awaiting_tls = False
        self._tls = tls
        self._trace = trace
        self._begin()

    @property
    def tls(self) -> bool:
        """Whether the octets of this connection are protected by TLS."""
        return self._tls

    @property
    def awaiting_tls(self) -> bool:
        """Whether the handshake is due: send what is left, do it, then call ``start_tls``."""
        return self._awaiting_tls

    @property
    def failed(self) -> bool:
        """Whether a RemoteProtocolError has ended receiving."""
        return self._failure is not None

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Store octets from the peer; ``b""`` means that it closed its side.

        Nothing is parsed here and nothing is raised. After a failure the octets are dropped.
        """
        if self._failure is None:
            self._input.feed(data if type(data) is bytes else bytes(data))

    def next_event(self) -> Event | ConnectionClosed | Signal:
        """The next event, ``NEED_DATA`` or ``PAUSED``.

        Raises RemoteProtocolError when framing or trust is lost, and again on every later call.
        """
        if self._input.missing:
            return NEED_DATA
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        try:
            if self._awaiting_tls:
                return self._at_tls_gate()
            return self._advance()
        except LineTooLong as error:
            start = self._quotable(error.start)
            failure = RemoteProtocolError(f"{error}, beginning with {start!r}")
            failure.hint = self._hint_for(failure, line_too_long=True)
            self._fail(failure)
            raise failure from None
        except RemoteProtocolError as error:
            if error.hint is None:
                error.hint = self._hint_for(error, line_too_long=False)
            self._fail(error)
            raise

    def data_to_send(self) -> bytes:
        """Octets for the peer, once; ``b""`` when there are none."""
        return self._output.take()

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS: only the configuration is kept.

        Raises LocalProtocolError unless the machine waits for the handshake.
        """
        if not self._awaiting_tls:
            raise LocalProtocolError(f"start_tls() without an accepted {self._upgrade}")
        if len(self._input):
            # The handshake ran although plaintext was waiting: it must never be parsed.
            self._at_tls_boundary_fail()
            return
        self._awaiting_tls = False
        self._tls = True
        self._input = self._framer()
        self._output.clear()
        self._begin()

    @abstractmethod
    def send(self, item: Item) -> None:
        """Queue ``item`` for the peer; raises LocalProtocolError and then changes nothing."""

    @abstractmethod
    def _begin(self) -> None:
        """Set all state of the conversation to that of a fresh connection."""

    @abstractmethod
    def _advance(self) -> Event | ConnectionClosed | Signal:
        """Make one event of the input."""

    def _framer(self) -> Framer:
        """An empty buffer for the input."""
        return Framer()

    def _hint_for(self, error: RemoteProtocolError, *, line_too_long: bool) -> object:
        """The reply that a server may send before it closes; clients have none."""
        return None

    def _quotable(self, start: bytes) -> bytes:
        """The start of a line that is too long, as an exception may show it."""
        return start

    def _await_tls(self) -> None:
        """Close the gate: from here on only TLS may follow."""
        self._awaiting_tls = True

    def _fail(self, failure: RemoteProtocolError) -> None:
        self._failure = failure
        self._input.clear()

    def _at_tls_gate(self) -> ConnectionClosed | Signal:
        if len(self._input):
            raise RemoteProtocolError(f"plaintext was received after {self._upgrade}, before TLS")
        return ConnectionClosed() if self._input.ended else PAUSED

    def _at_tls_boundary_fail(self) -> None:
        try:
            self._at_tls_gate()
        except RemoteProtocolError as error:
            error.hint = self._hint_for(error, line_too_long=False)
            self._fail(error)
