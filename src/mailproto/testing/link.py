"""Two ends connected in memory: two machines (``Link``) or two flows (``converse``).

No socket, no clock, no thread: what happens depends only on the arguments, chunk sizes included.
TLS is modelled as a gate that both ends pass together once nothing is under way.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from inspect import isawaitable
from typing import Generic, cast

from typing_extensions import TypeVar

from mailproto._core.machine import PAUSED, ConnectionClosed, Signal
from mailproto.errors import DeadlineExceeded, TLSError
from mailproto.flows.effects import (
    Call,
    Close,
    Deadline,
    Effect,
    Flow,
    Read,
    Secured,
    StartTLS,
    Unread,
    Write,
)
from mailproto.testing.chop import Endpoint

__all__ = ["Link", "converse"]

C = TypeVar("C", bound=Endpoint)
S = TypeVar("S", bound=Endpoint)
T = TypeVar("T")
U = TypeVar("U")

STEPS = 1_000_000


def _sizes(sizes: Iterable[int]) -> Iterator[int | None]:
    """``sizes`` over and over; without any, ``None`` for everything at once."""
    listed: list[int | None] = [*sizes] or [None]
    return itertools.cycle(listed)


def _nothing(machine: Endpoint, event: object) -> None:
    """The answer of an application that only looks."""


class Link(Generic[C, S]):
    """A client machine and a server machine, back to back.

    ::

        link = Link(smtp.Client(), smtp.Server(), on_server=lambda server, event: server.accept())
        link.client.send(smtp.Ehlo("client.example"))
        link.pump()

    ``on_client`` and ``on_server`` are called with the machine and each event, and with ``PAUSED``;
    ``sizes`` are the sizes of the chunks that are delivered, over and over (empty: all at once).
    """

    def __init__(
        self,
        client: C,
        server: S,
        *,
        on_client: Callable[[C, object], object] = _nothing,
        on_server: Callable[[S, object], object] = _nothing,
        sizes: Iterable[int] = (),
    ) -> None:
        self.client = client
        self.server = server
        self.client_events: list[object] = []
        """Every event of the client so far."""
        self.server_events: list[object] = []
        """Every event of the server so far."""
        self.sent_by_client: bytearray = bytearray()
        """Every octet the client has sent, TLS or not."""
        self.sent_by_server: bytearray = bytearray()
        """Every octet the server has sent, TLS or not."""
        self._on_client = on_client
        self._on_server = on_server
        self._sizes = _sizes(sizes)
        self._to_client = bytearray()
        self._to_server = bytearray()

    def pump(self) -> None:
        """Go on until nothing moves any more. Lets RemoteProtocolError of either end through."""
        for _ in range(STEPS):
            moved = self._pull(self.server, self._on_server, self.server_events)
            moved |= self._pull(self.client, self._on_client, self.client_events)
            moved |= self._carry(self.client, self.sent_by_client, self._to_server)
            moved |= self._carry(self.server, self.sent_by_server, self._to_client)
            moved |= self._deliver(self._to_server, self.server)
            moved |= self._deliver(self._to_client, self.client)
            if not moved and not self._pass_tls_gate():
                return
        raise AssertionError(f"the link still moves after {STEPS} steps")

    def close_client(self) -> None:
        """The client hangs up: the server sees end of file behind what is under way."""
        self.pump()
        self.server.receive_data(b"")
        self.pump()

    def close_server(self) -> None:
        """The server hangs up: the client sees end of file behind what is under way."""
        self.pump()
        self.client.receive_data(b"")
        self.pump()

    @staticmethod
    def _pull(machine: Endpoint, answer: Callable[..., object], events: list[object]) -> bool:
        moved = False
        asked = False
        while True:
            event = machine.next_event()
            if event is PAUSED and not asked and not machine.awaiting_tls:
                asked = True
                answer(machine, event)
            elif isinstance(event, Signal | ConnectionClosed):
                return moved
            else:
                asked = False
                moved = True
                events.append(event)
                answer(machine, event)

    @staticmethod
    def _carry(machine: Endpoint, record: bytearray, wire: bytearray) -> bool:
        data = machine.data_to_send()
        record += data
        wire += data
        return bool(data)

    def _deliver(self, wire: bytearray, machine: Endpoint) -> bool:
        if not wire:
            return False
        size = next(self._sizes) or len(wire)
        machine.receive_data(bytes(wire[:size]))
        del wire[:size]
        return True

    def _pass_tls_gate(self) -> bool:
        if not (self.client.awaiting_tls and self.server.awaiting_tls):
            return False
        self.client.start_tls()
        self.server.start_tls()
        return True


class _End(Generic[T]):
    """One flow and what waits for it."""

    def __init__(self, flow: Flow[T], name: str) -> None:
        self.flow: Generator[Effect, object, T] = flow
        self.name = name
        self.inbox: deque[bytes] = deque()
        self.ended = False
        self.closed = False
        self.result: T | None = None
        self.error: Exception | None = None
        self.effect: Effect | None = None
        self.seconds: float | None = None
        self.begun = False

    def resume(self, value: object = None) -> None:
        """Send ``value`` into the flow, up to its next effect or its end."""
        try:
            self.effect = self.flow.send(value if self.begun else None)
        except StopIteration as stop:
            self.result, self.ended = stop.value, True
        except Exception as error:
            self.error, self.ended = error, True
        self.begun = True

    def throw(self, error: Exception) -> None:
        """Raise ``error`` in the flow, up to its next effect or its end."""
        try:
            self.effect = self.flow.throw(error)
        except StopIteration as stop:
            self.result, self.ended = stop.value, True
        except Exception as raised:
            self.error, self.ended = raised, True


def converse(left: Flow[T], right: Flow[U], *, sizes: Iterable[int] = ()) -> tuple[T, U]:
    """Run two flows against each other until both have ended; their results.

    The exception of ``left`` is raised, or else that of ``right``. When both wait, the one with
    the shorter deadline gets DeadlineExceeded, as if that time had passed; with no deadline that
    is an AssertionError. A flow that has ended closes its side. ``sizes`` as in ``Link``.
    """
    one, two = _End(left, "left"), _End(right, "right")
    chunk_sizes = _sizes(sizes)
    one.resume()
    two.resume()
    for _ in range(STEPS):
        if one.ended and two.ended:
            break
        moved = _step(one, two, chunk_sizes)
        moved |= _step(two, one, chunk_sizes)
        if not moved:
            _time_passes(one, two)
    else:
        raise AssertionError(f"the conversation has not ended after {STEPS} steps")
    for error in (one.error, two.error):
        if error is not None:
            raise error
    return cast("T", one.result), cast("U", two.result)


def _step(end: _End[T], peer: _End[U], sizes: Iterator[int | None]) -> bool:
    """Do one effect of ``end`` if it can be done now."""
    if end.ended:
        return False
    effect = end.effect
    match effect:
        case Write(data):
            if not peer.ended:
                peer.inbox.append(data)
            end.resume()
        case Close():
            end.closed = True
            end.resume()
        case Deadline(seconds):
            end.seconds = seconds
            end.resume()
        case Unread(data):
            end.inbox.appendleft(data)
            end.resume()
        case Call(function):
            _call(end, function)
        case Read(wakeup):
            if wakeup is not None and wakeup.is_set:
                wakeup.is_set = False
                end.resume(None)
            elif end.inbox:
                end.resume(_take(end.inbox, next(sizes)))
            elif peer.ended or peer.closed or end.closed:
                end.resume(b"")
            else:
                return False
        case StartTLS():
            return _handshake(end, peer)
        case None:
            return False
    return True


def _take(inbox: deque[bytes], size: int | None) -> bytes:
    if size is None:
        data = b"".join(inbox)
        inbox.clear()
        return data
    first = inbox.popleft()
    if len(first) > size:
        inbox.appendleft(first[size:])
    return first[:size]


def _call(end: _End[T], function: Callable[[], object]) -> None:
    try:
        value = function()
    except Exception as error:
        end.throw(error)
        return
    if isawaitable(value):
        raise TypeError(f"{function!r} returned an awaitable: converse() has no event loop")
    end.resume(value)


def _handshake(end: _End[T], peer: _End[U]) -> bool:
    if end.inbox:
        end.throw(TLSError("octets that are no TLS handshake"))
    elif peer.ended:
        end.throw(TLSError("the peer closed the connection during the handshake"))
    elif isinstance(peer.effect, StartTLS) and not peer.inbox:
        end.resume(Secured())
        peer.resume(Secured())
    else:
        return False
    return True


def _time_passes(one: _End[T], two: _End[U]) -> None:
    """Both wait: the shorter deadline passes."""
    waiting = [
        (end.seconds, end.throw, end.name)
        for end in (one, two)
        if not end.ended and end.seconds is not None
    ]
    if not waiting:
        raise AssertionError(f"both ends wait: {one.effect!r} and {two.effect!r}")
    seconds, throw, name = min(waiting, key=lambda entry: entry[0])
    throw(DeadlineExceeded(f"{name} waited {seconds} seconds"))
