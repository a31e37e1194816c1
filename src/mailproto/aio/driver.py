"""The asyncio driver: a ``BufferedProtocol`` that runs a flow straight from its callbacks.

A flow that waits for octets is resumed by ``buffer_updated`` itself: no task, no stream and no
future per read. Only ``Call`` with an awaitable or blocking function makes a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import inspect
from typing import TYPE_CHECKING, Final, TypeVar, cast

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
    Unread,
    Wakeup,
    Write,
)
from mailproto.flows.tls import TLSChannel

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable

__all__ = ["Driver"]

T = TypeVar("T")

# What one read of the socket can bring: little until a peer has sent that much at once.
_SMALL: Final = 4 * 1024
_LARGE: Final = 64 * 1024
_BUFFERED: Final = 256 * 1024
"""Octets that wait for the flow before the transport is told to stop reading."""


_LINGER: Final = 2.0
"""Seconds in which a peer may still read the last reply before the connection is cut."""


class _Wait(enum.Enum):
    """What a suspended flow waits for."""

    READ = enum.auto()
    WRITE = enum.auto()
    HANDSHAKE = enum.auto()
    CALL = enum.auto()


# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_READ: Final = _Wait.READ
_UNREACHABLE: Final = (None, _Wait.CALL)
"""Where a flow is not to be resumed by what happens to the connection."""
_FATAL: Final = (TransportError, RemoteProtocolError, OutcomeUnknown)
"""Errors after which a connection is of no use, wherever in a flow they come from."""
_WAITING: Final = object()
"""The result of an effect that is not done yet."""


class Driver(asyncio.BufferedProtocol):
    """Runs flows over one asyncio transport, one flow at a time.

    ``tls`` is the context for a ``StartTLS`` effect and ``server_hostname`` the name to verify.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = tls
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._transport: asyncio.Transport | None = None
        self._channel: TLSChannel | None = None
        self._handshake: TLSChannel | None = None
        self._flow: Flow[object] | None = None
        self._done: asyncio.Future[object] | None = None
        self._task: asyncio.Future[object] | None = None
        self._buffer = memoryview(bytearray(_SMALL))
        self._reads_much = False
        self._received: list[bytes] = []
        self._received_size = 0
        self._reading_paused = False
        self._writing_paused = False
        self._eof = False
        self._lost: Exception | None = None
        self._seconds: float | None = None
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        # None while the flow runs, or when there is none.
        self._waits_for: _Wait | None = None
        # The effect of a flow that waits for octets.
        self._reading: Read = Read()
        self._wakeup: Wakeup | None = None
        self._effect_error: Exception | None = None
        self._begun = False
        self._closed = False
        self._gone = asyncio.Event()

    @property
    def channel(self) -> TLSChannel | None:
        """The TLS session, once there is one."""
        return self._channel

    @property
    def local_address(self) -> str:
        """The host part of our end's address; empty for a socket without one."""
        transport = self._transport
        name: object = None if transport is None else transport.get_extra_info("sockname")
        return str(cast("tuple[object, ...]", name)[0]) if isinstance(name, tuple) else ""

    @property
    def closed(self) -> bool:
        """Whether the connection can be used no more."""
        return self._closed

    async def run(self, flow: Flow[T]) -> T:
        """Run ``flow`` to its end and return its result.

        An exception or a cancellation that leaves the flow midway closes the connection, since
        nobody could tell what the next reply belongs to. Answers such as CommandFailed leave it
        as it is, and so does what is raised before the flow has done anything.
        """
        return cast("T", await self.start(flow))

    def start(self, flow: Flow[T]) -> asyncio.Future[object]:
        """Begin to run ``flow``; the future has its result, and cancels it when cancelled."""
        done: asyncio.Future[object] = self._loop.create_future()
        if self._closed:
            flow.close()
            done.set_exception(ConnectionLost("the connection is closed"))
            return done
        if self._flow is not None:
            flow.close()
            raise RuntimeError("another operation is under way on this connection")
        self._flow = cast("Flow[object]", flow)
        self._done = done
        self._begun = False
        done.add_done_callback(self._cancelled)
        self._resume(None)
        return done

    def close(self) -> None:
        """Send what is queued and close, with a TLS close alert where there is TLS.

        A server reads and drops for a moment what its peer still sends: a socket that is closed
        with octets unread resets the connection, and the peer may lose the last reply.
        """
        if self._closed:
            return
        if self._channel is not None:
            self._channel.close()
            self._send_raw(self._channel.outgoing())
        self._shut()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._eof or not self._server_side:
            transport.close()
            return
        self._received.clear()
        if self._reading_paused:
            transport.resume_reading()
        try:
            transport.write_eof()
        except OSError:
            # The peer has reset the connection, and asyncio has yet to say so.
            transport.abort()
        else:
            self._timer = self._loop.call_later(_LINGER, transport.abort)

    async def wait_closed(self) -> None:
        """Return when the transport is gone."""
        await self._gone.wait()

    def abort(self) -> None:
        """Close the connection at once."""
        self._shut()
        if self._transport is not None:
            self._transport.abort()

    def _shut(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- running the flow

    def _resume(self, result: object, error: Exception | None = None) -> None:
        flow, done = self._flow, self._done
        assert flow is not None
        assert done is not None
        self._waits_for = None
        try:
            while True:
                self._effect_error = error
                effect = flow.throw(error) if error is not None else flow.send(result)
                error = None
                self._begun = True
                try:
                    result = self._perform(effect)
                except Exception as caught:
                    error = caught
                if result is _WAITING and error is None:
                    if self._timer is None:
                        # The deadline may have passed in a call, and still holds.
                        self._arm_timer()
                    return
        except StopIteration as stop:
            self._finish()
            if not done.done():
                done.set_result(stop.value)
        except MailError as failure:
            self._finish()
            if failure is self._effect_error or isinstance(failure, _FATAL):
                self.abort()
            if not done.done():
                done.set_exception(failure)
        except BaseException as failure:
            self._finish()
            if self._begun or not isinstance(failure, Exception):
                self.abort()
            if not done.done():
                done.set_exception(failure)
            if not isinstance(failure, Exception):
                raise

    def _finish(self) -> None:
        self._flow = None
        self._done = None
        self._wakeup = None
        self._seconds = self._deadline = None

    def _cancelled(self, done: asyncio.Future[object]) -> None:
        if done.cancelled() and self._done is done:
            flow, task = self._flow, self._task
            self._finish()
            if task is not None:
                task.cancel()
            if flow is not None:
                flow.close()
            self.abort()

    def _perform(self, effect: Effect) -> object:
        if type(effect) is Read:
            return self._read(effect)
        if type(effect) is Write:
            return self._write(effect.data)
        if type(effect) is Deadline:
            self._seconds = seconds = effect.seconds
            self._deadline = None if seconds is None else self._loop.time() + seconds
            self._arm_timer()
            return None
        if type(effect) is Call:
            return self._call(effect)
        if type(effect) is Close:
            self.abort()
            return None
        if type(effect) is Unread:
            self._received.insert(0, effect.data)
            self._received_size += len(effect.data)
            return None
        return self._start_tls()

    def _read(self, reading: Read) -> object:
        wakeup = reading.wakeup
        if wakeup is not None and wakeup.is_set:
            wakeup.is_set = False
            return None
        if self._received:
            return self._take()
        if self._eof:
            return b""
        if self._lost is not None:
            raise self._lost
        if wakeup is not None and self._wakeup is not wakeup:
            self._wakeup = wakeup
            wakeup.on_set = self._woken_anywhere
            if wakeup.is_set:
                wakeup.is_set = False
                return None
        self._reading = reading
        self._waits_for = _READ
        return _WAITING

    def _arrived(self, data: bytes) -> None:
        """Give octets to the flow that waits for them, or have them answered past it."""
        answer = self._reading.answer
        if answer is None or not data:
            self._resume(data)
            return
        try:
            reply = answer(data)
            if isinstance(reply, bytes):
                if reply:
                    if self._seconds is not None:
                        self._deadline = self._loop.time() + self._seconds
                        if self._timer is None:
                            self._arm_timer()
                    self._write(reply)
                return
        except Exception as error:
            self._resume(None, error)
            return
        self._resume(reply)

    def _take(self) -> bytes:
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._received_size = 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def _write(self, data: bytes) -> object:
        if self._lost is not None:
            raise self._lost
        transport = self._transport
        if transport is None or transport.is_closing():
            # asyncio has met an error, and tells of it in the next turn of the loop.
            raise ConnectionLost("the connection broke")
        if self._channel is not None:
            self._channel.write(data)
            data = self._channel.outgoing()
        transport.write(data)
        if self._writing_paused:
            self._waits_for = _Wait.WRITE
            return _WAITING
        return None

    def _send_raw(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    def _call(self, effect: Call) -> object:
        if effect.blocking:
            waiting: Awaitable[object] = self._loop.run_in_executor(None, effect.function)
        else:
            result = effect.function()
            if not inspect.isawaitable(result):
                return result
            waiting = cast("Awaitable[object]", result)
        self._waits_for = _Wait.CALL
        self._task = asyncio.ensure_future(waiting)
        self._task.add_done_callback(self._called)
        return _WAITING

    def _cancel_call(self) -> None:
        """Cancel what the flow awaits, which goes on with ConnectionLost; a thread cannot be."""
        if isinstance(self._task, asyncio.Task):
            self._task.cancel()

    def _called(self, task: asyncio.Future[object]) -> None:
        self._task = None
        if self._flow is None:
            if not task.cancelled():
                task.exception()
            return
        if task.cancelled():
            self._resume(None, ConnectionLost("the call was cancelled"))
            return
        error = task.exception()
        if error is None:
            self._resume(task.result())
        elif isinstance(error, Exception):
            self._resume(None, error)
        else:
            raise error

    def _start_tls(self) -> object:
        if self._context is None:
            raise MailError("StartTLS without a TLS context")
        self._handshake = TLSChannel(
            self._context, server_side=self._server_side, server_hostname=self._server_hostname
        )
        for data in self._received:
            self._handshake.feed(data)
        self._received.clear()
        self._received_size = 0
        secured = self._shake()
        if secured is not None:
            return secured
        self._waits_for = _Wait.HANDSHAKE
        return _WAITING

    def _shake(self) -> Secured | None:
        """Go on with the handshake; what it has established when it is done."""
        channel = self._handshake
        assert channel is not None
        try:
            done = channel.handshake()
        except TLSError:
            self._handshake = None
            raise
        finally:
            self._send_raw(channel.outgoing())
        if not done:
            return None
        self._handshake = None
        self._channel = channel
        self._decrypt()
        return channel.secured()

    def _decrypt(self) -> None:
        """Move what is decrypted to the octets that wait for the flow."""
        channel = self._channel
        assert channel is not None
        while (plain := channel.read()) is not None:
            if not plain:
                self._eof = True
                break
            self._received.append(plain)
            self._received_size += len(plain)
        self._send_raw(channel.outgoing())

    # --- callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio sets TCP_NODELAY by itself."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport puts what it reads: asyncio's own buffers cost more than the rest."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand octets to the flow if it waits for them, else keep a bounded amount."""
        data = bytes(self._buffer[:nbytes])
        if (nbytes >= _SMALL) is not self._reads_much:
            self._reads_much = nbytes >= _SMALL
            self._buffer = memoryview(bytearray(_LARGE if self._reads_much else _SMALL))
        if self._closed:
            return
        if self._waits_for is _READ and self._channel is None:
            self._arrived(data)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Octets under TLS, or for which nobody waits."""
        try:
            if self._handshake is not None:
                self._handshake.feed(data)
                secured = self._shake()
                if secured is not None:
                    self._resume(secured)
                return
            if self._channel is not None:
                self._channel.feed(data)
                self._decrypt()
            else:
                self._received.append(data)
                self._received_size += len(data)
        except TLSError as error:
            self._fail(error)
            return
        if self._waits_for is _READ:
            if self._received:
                self._arrived(self._take())
            elif self._eof:
                self._resume(b"")
        elif self._received_size > _BUFFERED and not self._reading_paused:
            self._reading_paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Pass the end of file on; the flow decides when to close."""
        if self._closed:
            return False
        if self._handshake is not None:
            self._fail(TLSError("the peer closed the connection during the TLS handshake"))
            return True
        if self._channel is not None:
            self._channel.feed(b"")
            with contextlib.suppress(TLSError):
                self._decrypt()
        self._eof = True
        if self._waits_for is _READ:
            self._arrived(self._take() if self._received else b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the flow, wherever it waits."""
        self._lost = ConnectionLost(f"the connection broke: {exc}" if exc else "it was closed")
        self._gone.set()
        self._shut()
        waits_for = self._waits_for
        if self._flow is None or waits_for in _UNREACHABLE:
            return
        if waits_for is _READ and (exc is None or isinstance(exc, ConnectionResetError)):
            self._eof = True
            self._resume(b"")
        else:
            self._resume(None, self._lost)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._writing_paused = False
        if self._waits_for is _Wait.WRITE:
            self._resume(None)

    # --- wakeups and deadlines

    def _woken_anywhere(self) -> None:
        """Called by ``Wakeup.set`` from any thread; the loop may be gone when a server ends."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woken)

    def _woken(self) -> None:
        wakeup = self._wakeup
        awaited = self._waits_for is _READ and self._reading.wakeup is wakeup
        if awaited and wakeup is not None and wakeup.is_set:
            wakeup.is_set = False
            self._resume(None)

    def _arm_timer(self) -> None:
        # A later deadline needs no new timer: the old one looks again when it fires.
        if self._deadline is None:
            return
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        if self._deadline is None or self._flow is None:
            return
        if self._loop.time() < self._deadline:
            self._arm_timer()
        elif self._waits_for not in _UNREACHABLE:
            self._fail(DeadlineExceeded("the peer did not finish in time"))

    def _fail(self, error: Exception) -> None:
        """Raise ``error`` in the flow, or keep it for the next effect when none runs."""
        if self._flow is not None and self._waits_for not in _UNREACHABLE:
            self._handshake = None
            self._resume(None, error)
        else:
            self._lost = error
