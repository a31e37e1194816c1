"""The blocking driver: runs a flow over a socket, in the calling thread.

A deadline bounds a whole phase, not one read: each wait gets what is left of it.
"""

from __future__ import annotations

import contextlib
import inspect
import selectors
import socket
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar, cast

from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    MailError,
    OutcomeUnknown,
    RemoteProtocolError,
    TLSError,
    TransportError,
)
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
    Wakeup,
    Write,
)
from mailproto.flows.tls import TLSChannel

if TYPE_CHECKING:
    import ssl

__all__ = ["Driver"]

T = TypeVar("T")
_RECEIVE = 256 * 1024
_LINGER = 2.0
_TOO_LATE = "the peer did not finish in time"
_FATAL = (TransportError, RemoteProtocolError, OutcomeUnknown)
"""Errors after which a connection is of no use, wherever in a flow they come from."""


class _Alarm:
    """Lets another thread end a wait for ``sock``: a pair of sockets, selected beside it."""

    def __init__(self, sock: socket.socket) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(sock, selectors.EVENT_READ)
        self.selector.register(self.reader, selectors.EVENT_READ)

    def ring(self) -> None:
        # Full means that it will wake anyway; closed means that nobody sleeps.
        with contextlib.suppress(OSError):
            self._writer.send(b"w")

    def silence(self) -> None:
        with contextlib.suppress(OSError):
            self.reader.recv(4096)

    def close(self) -> None:
        self.selector.close()
        self.reader.close()
        self._writer.close()


class Driver:
    """Runs flows over one connected socket, one flow at a time.

    ``tls`` is the context for a ``StartTLS`` effect and ``server_hostname`` the name to verify.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        # One write is one batch of replies or commands: waiting for more only costs time.
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._context = tls
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._seconds: float | None = None
        self._deadline: float | None = None
        self._channel: TLSChannel | None = None
        self._alarm: _Alarm | None = None
        self._unread = b""
        self._closed = False
        self._running = False

    @property
    def channel(self) -> TLSChannel | None:
        """The TLS session, once there is one."""
        return self._channel

    @property
    def local_address(self) -> str:
        """The host part of our end's address; empty for a socket without one."""
        name: object = self._socket.getsockname()
        return str(cast("tuple[object, ...]", name)[0]) if isinstance(name, tuple) else ""

    @property
    def closed(self) -> bool:
        """Whether ``close`` or ``abort`` was called, or a flow has left the connection unusable."""
        return self._closed

    def run(self, flow: Flow[T]) -> T:
        """Run ``flow`` to its end and return its result.

        An exception that leaves the flow midway (a deadline, an interrupt) closes the connection,
        since nobody could tell what the next reply belongs to. Answers such as CommandFailed
        leave it as it is, and so does what is raised before the flow has done anything.
        Raises RuntimeError while another flow runs: in another thread, or in what called this.
        """
        if self._closed:
            flow.close()
            raise ConnectionLost("the connection is closed")
        if self._running:
            flow.close()
            raise RuntimeError("another operation is under way on this connection")
        self._running = True
        result: object = None
        error: Exception | None = None
        begun = False
        try:
            while True:
                effect = flow.throw(error) if error is not None else flow.send(result)
                result, error, begun = None, None, True
                try:
                    result = self._perform(effect)
                except Exception as caught:
                    error = caught
        except StopIteration as stop:
            value: T = stop.value
            return value
        except MailError as failure:
            if failure is error or isinstance(failure, _FATAL):
                self.abort()
            raise
        except BaseException as failure:
            if begun or not isinstance(failure, Exception):
                self.abort()
            raise
        finally:
            self._running = False
            self._seconds = self._deadline = None

    def close(self) -> None:
        """Close the connection, with a TLS close alert where there is TLS."""
        if self._closed:
            return
        self._deadline = time.monotonic() + _LINGER
        with contextlib.suppress(TransportError, OSError):
            if self._channel is not None:
                self._channel.close()
                self._send(self._channel.outgoing())
            if self._server_side:
                self._drain()
        self.abort()

    def _drain(self) -> None:
        """Read on for a moment: a socket closed with octets unread resets the connection, and
        the peer may lose the last reply.
        """
        self._socket.shutdown(socket.SHUT_WR)
        while self._receive():
            pass

    def cut(self) -> None:
        """End the connection from another thread: what waits on it fails."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """Close the connection at once."""
        self._closed = True
        self._socket.close()
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None

    def _perform(self, effect: Effect) -> object:
        if isinstance(effect, Read):
            return self._read_and_answer(effect)
        if isinstance(effect, Write):
            self._write(effect.data)
            return None
        if isinstance(effect, Deadline):
            self._seconds = effect.seconds
            self._bound()
            return None
        if isinstance(effect, Call):
            result = effect.function()
            if inspect.isawaitable(result):
                if isinstance(result, Coroutine):
                    result.close()
                raise TypeError("the blocking driver got an awaitable from what it has called")
            return result
        if isinstance(effect, Close):
            self.abort()
            return None
        if isinstance(effect, Unread):
            self._unread = effect.data + self._unread
            return None
        assert isinstance(effect, StartTLS)
        return self._start_tls()

    # --- waiting

    def _bound(self) -> None:
        """Begin the time of the deadline in force anew."""
        seconds = self._seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _set_timeout(self) -> None:
        """Give the next call on the socket what is left of the deadline."""
        if self._deadline is None:
            self._socket.settimeout(None)
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(_TOO_LATE)
        self._socket.settimeout(left)

    def _woken(self, wakeup: Wakeup) -> bool:
        """Wait for octets or for ``wakeup``; true when it was ``wakeup``."""
        if self._alarm is None:
            self._alarm = _Alarm(self._socket)
        alarm = self._alarm
        wakeup.on_set = alarm.ring
        if wakeup.is_set:
            return True
        timeout = None
        if self._deadline is not None:
            timeout = max(0.0, self._deadline - time.monotonic())
        ready = alarm.selector.select(timeout)
        if not ready:
            raise DeadlineExceeded(_TOO_LATE)
        return all(key.fileobj is alarm.reader for key, _ in ready)

    def _consume_wakeup(self, wakeup: Wakeup) -> None:
        wakeup.is_set = False
        if self._alarm is not None:
            self._alarm.silence()

    # --- octets

    def _receive(self, wakeup: Wakeup | None = None) -> bytes | None:
        """Octets off the wire; ``None`` when woken."""
        if wakeup is not None and self._woken(wakeup):
            return None
        self._set_timeout()
        try:
            return self._socket.recv(_RECEIVE)
        except TimeoutError:
            raise DeadlineExceeded(_TOO_LATE) from None
        except ConnectionResetError:
            return b""
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from error

    def _read(self, wakeup: Wakeup | None) -> bytes | None:
        if wakeup is not None and wakeup.is_set:
            self._consume_wakeup(wakeup)
            return None
        if self._unread:
            put_back, self._unread = self._unread, b""
            return put_back
        channel = self._channel
        while True:
            if channel is not None and (plain := channel.read()) is not None:
                return plain
            data = self._receive(wakeup)
            if data is None:
                assert wakeup is not None
                self._consume_wakeup(wakeup)
                return None
            if channel is None:
                return data
            channel.feed(data)

    def _read_and_answer(self, reading: Read) -> object:
        """Read, and go on as long as there are answers to what was read."""
        while True:
            data = self._read(reading.wakeup)
            if not data or reading.answer is None:
                return data
            reply = reading.answer(data)
            if not isinstance(reply, bytes):
                return reply
            if reply:
                self._bound()
                self._write(reply)

    def _write(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.write(data)
            data = self._channel.outgoing()
        self._send(data)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._set_timeout()
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                raise DeadlineExceeded(_TOO_LATE) from None
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {error}") from error

    def _start_tls(self) -> Secured:
        if self._context is None:
            raise MailError("StartTLS without a TLS context")
        channel = TLSChannel(
            self._context, server_side=self._server_side, server_hostname=self._server_hostname
        )
        if self._unread:
            channel.feed(self._unread)
            self._unread = b""
        while not self._handshake(channel):
            channel.feed(self._receive() or b"")
        self._channel = channel
        return channel.secured()

    def _handshake(self, channel: TLSChannel) -> bool:
        try:
            done = channel.handshake()
        except TLSError:
            # The alert tells the peer why.
            with contextlib.suppress(TransportError):
                self._send(channel.outgoing())
            raise
        self._send(channel.outgoing())
        return done
