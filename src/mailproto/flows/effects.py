"""What a conversation asks of its driver: the whole vocabulary between flows and transports.

A conversation (flow) is a plain generator. It yields effects, is sent their results, and returns
its own result; it knows no socket, no clock and no event loop, so that one text serves ``sync``
and ``aio``, clients and servers. Flows call one another with ``yield from``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import ParamSpec, TypeAlias, cast, overload

from attrs import field
from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.backend.directory import ClientCertificate, is_immediate
from mailproto.errors import DeadlineExceeded
from mailproto.sasl import ChannelBinding

__all__ = [
    "Call",
    "Close",
    "Deadline",
    "Effect",
    "Flow",
    "Read",
    "Secured",
    "StartTLS",
    "Unread",
    "Wakeup",
    "Write",
    "call",
    "call_blocking",
    "close",
    "deadline",
    "not_taken",
    "read",
    "start_tls",
    "too_late",
    "unread",
    "write",
]

T = TypeVar("T")
P = ParamSpec("P")


@frozen
class Secured:
    """What a TLS handshake has established beside the secrecy: what a login can rest on."""

    channel_bindings: tuple[ChannelBinding, ...] = ()
    """What binds to this connection, the default of RFC 5802 and RFC 9266 first."""
    client_certificate: ClientCertificate | None = None
    """Server only: the certificate of the client, which TLS has verified."""


class Wakeup:
    """Ends a ``Read`` from outside; ``set`` may be called from any thread, more than once.

    A server session gives ``wakeup.set`` to the store as the listener for changes. The driver
    puts its own hook into ``on_set``; what was set before the next ``Read`` is not lost.
    """

    __slots__ = ("is_set", "on_set")

    def __init__(self) -> None:
        self.is_set: bool = False
        self.on_set: Callable[[], None] | None = None

    def set(self) -> None:
        """Wake the session that waits in ``Read``, or the next one that begins to."""
        self.is_set = True
        hook = self.on_set
        if hook is not None:
            hook()


def _size(octets: bytes) -> str:
    return f"<{len(octets)} octets>"


@frozen
class Read:
    """Wait for octets. The result is what arrived, ``b""`` at end of file, ``None`` if woken.

    Raises DeadlineExceeded in the flow when the deadline in force passes, ConnectionLost when
    the connection breaks.
    """

    wakeup: Wakeup | None = None
    answer: Callable[[bytes], bytes | Flow[None]] | None = None
    """A way past the flow, which a driver may take for octets (not for the end of file). It gives
    what is to be sent before the next are read, for which the deadline in force begins anew unless
    it is ``b""``; or it gives a flow that must run first, which is then the result. What it raises
    is raised in the flow. Sent the octets, the flow does the same; and it may be sent ``None``
    where the peer was slow to take an answer."""


@frozen
class Write:
    """Send octets and wait until the transport has taken them (bounded buffering)."""

    data: bytes = field(repr=_size)
    """A password may be in them: only their number is shown."""


@frozen
class StartTLS:
    """Do the TLS handshake now, as client or server, as the driver was configured.

    The result is ``Secured``. Raises TLSError in the flow when it fails. Octets of the handshake
    never reach the flow.
    """


@frozen
class Deadline:
    """From now on reads and writes must be done within ``seconds`` in total; ``None``: no bound."""

    seconds: float | None


@frozen
class Call:
    """Call ``function`` outside the protocol (a store, a handler, a relay) and wait for it.

    The async driver awaits an awaitable result and runs ``blocking`` functions in a worker
    thread; the sync driver calls directly. What it raises is raised in the flow.
    """

    function: Callable[[], object]
    blocking: bool = False


@frozen
class Close:
    """Close the connection at once: what was begun on it cannot be ended in any other way.

    Used before raising an error after which the connection must not be used: half a message is
    out, or the server is not who it should be.
    """


@frozen
class Unread:
    """Put back the end of what was read: the next ``Read`` or ``StartTLS`` begins with it."""

    data: bytes = field(repr=_size)


Effect: TypeAlias = Read | Write | StartTLS | Deadline | Call | Close | Unread
Flow: TypeAlias = Generator[Effect, object, T]
"""A conversation with a result of type ``T``."""


def read(wakeup: Wakeup | None = None) -> Flow[bytes | None]:
    """Octets from the peer; ``b""`` at end of file; ``None`` if ``wakeup`` was set first."""
    return cast("bytes | None", (yield Read(wakeup)))


def write(data: bytes) -> Flow[None]:
    """Send ``data``; nothing happens for ``b""``."""
    if data:
        yield Write(data)


def start_tls(seconds: float | None = None) -> Flow[Secured]:
    """Do the TLS handshake; what it has established.

    A client gives it ``seconds``, and is told by DeadlineExceeded that it was the handshake.
    """
    if seconds is None:
        return cast("Secured", (yield StartTLS()))
    yield Deadline(seconds)
    try:
        return cast("Secured", (yield StartTLS()))
    except DeadlineExceeded:
        raise too_late("the end of the TLS handshake", seconds) from None


def deadline(seconds: float | None) -> Flow[None]:
    """Bound what follows to ``seconds`` in total."""
    yield Deadline(seconds)


def too_late(awaited: str, seconds: float) -> DeadlineExceeded:
    """What a client raises when ``awaited`` has not come in time."""
    return DeadlineExceeded(f"{awaited} has not come in {seconds:g} seconds")


def not_taken(seconds: float) -> DeadlineExceeded:
    """What a client raises when the server reads its content too slowly."""
    return DeadlineExceeded(
        f"the server has not taken a piece of the content in {seconds:g} seconds"
    )


def close() -> Flow[None]:
    """Close the connection at once."""
    yield Close()


def unread(data: bytes) -> Flow[None]:
    """Put ``data`` back; nothing happens for ``b""``."""
    if data:
        yield Unread(data)


@overload
def call(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Flow[T]: ...
@overload
def call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Flow[T]: ...
def call(function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
    """The result of ``function``, awaited where it is awaitable."""
    return cast("T", (yield Call(lambda: function(*args, **kwargs))))


@overload
def call_blocking(
    function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> Flow[T]: ...
@overload
def call_blocking(
    function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> Flow[T]: ...
def call_blocking(
    function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> Flow[T]:
    """The result of a ``function`` that may block for long, called off the event loop.

    On the loop it is called if it is an ``async def`` or marked ``backend.directory.immediate``.
    What it returns is awaited on the loop where it is awaitable: a directory, a store or a
    resolver may be written either way.
    """
    if is_immediate(function):
        return cast("T", (yield Call(lambda: function(*args, **kwargs))))
    result = yield Call(lambda: function(*args, **kwargs), blocking=True)
    if isawaitable(result):
        result = yield Call(lambda: result)
    return cast("T", result)
