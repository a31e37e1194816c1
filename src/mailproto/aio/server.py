"""Listening sockets for asyncio: every accepted connection runs one flow in its own ``Driver``."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Final, Self

from mailproto.aio.driver import Driver
from mailproto.flows.serving import (
    Network,
    Peer,
    SessionFactory,
    conversations,
    is_worth_a_log,
)
from mailproto.flows.shutdown import Shutdown

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection

__all__ = ["Server"]

_BACKLOG: Final = 512
# Seconds for handlers that are cancelled to come to an end.
_CLEARANCE: Final = 1.0
_log = logging.getLogger("mailproto")


class Server:
    """Listeners that share one ``Shutdown``.

    ::

        async with aio.Server() as server:
            port = await server.listen("127.0.0.1", 0, session_factory)
            ...  # until it is time to go

    ``shutdown`` is given to the session flows, which tell their peers when it is requested.
    """

    def __init__(self, shutdown: Shutdown | None = None) -> None:
        self.shutdown: Shutdown = Shutdown() if shutdown is None else shutdown
        self._listeners: list[asyncio.Server] = []
        self._open = _OpenConnections()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open.drivers)

    async def listen(
        self,
        host: str,
        port: int,
        factory: SessionFactory,
        *,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        proxied_by: Collection[Network] = (),
    ) -> int:
        """Accept connections on ``host`` and ``port`` (0: the system chooses); return the port.

        ``tls`` is for STARTTLS, or from the first octet with ``implicit_tls``. Connections from
        the networks ``proxied_by`` must begin with a PROXY header, before TLS, which then tells
        the session's ``Peer``; one without is closed, and logged. From everywhere else a header
        is what the protocol makes of it.
        Raises OSError when the address cannot be had.
        """
        factory = conversations(factory, implicit_tls=implicit_tls, proxied_by=tuple(proxied_by))
        listener = await asyncio.get_running_loop().create_server(
            functools.partial(_Connection, self._open, factory, tls),
            host,
            port,
            backlog=_BACKLOG,
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, tell every session, and cut those not done after ``grace`` seconds.

        What they wait for, such as a method of a handler, is cancelled then.
        """
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self.shutdown.request()
        try:
            await asyncio.wait_for(self._open.none.wait(), grace)
        except TimeoutError:
            sessions = [connection.cut() for connection in tuple(self._open.drivers)]
            # One turn of the loop: transports call connection_lost.
            await asyncio.sleep(0)
            if sessions:
                await asyncio.wait(sessions, timeout=_CLEARANCE)


class _OpenConnections:
    """The connections of one server, and an event for when there are none."""

    def __init__(self) -> None:
        self.drivers: set[_Connection] = set()
        self.none = asyncio.Event()
        self.none.set()

    def add(self, driver: _Connection) -> None:
        self.drivers.add(driver)
        self.none.clear()

    def discard(self, driver: _Connection) -> None:
        self.drivers.discard(driver)
        if not self.drivers:
            self.none.set()


class _Connection(Driver):
    """The driver of an accepted connection: starts its flow and closes behind it."""

    def __init__(
        self,
        connections: _OpenConnections,
        factory: SessionFactory,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(tls=tls, server_side=True)
        self._connections = connections
        self._factory = factory
        self._session: asyncio.Future[object] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        remote: object = transport.get_extra_info("peername")
        local: object = transport.get_extra_info("sockname")
        starttls = self._context is not None
        self._session = self.start(self._factory(Peer.of(remote, local, starttls=starttls)))
        self._session.add_done_callback(self._session_ended)

    def cut(self) -> asyncio.Future[object]:
        """End the connection, and what its session waits for; done when that has ended."""
        self.abort()
        self._cancel_call()
        return self._session

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._session.done():
            self._connections.discard(self)

    def _session_ended(self, done: asyncio.Future[object]) -> None:
        if not done.cancelled():
            error = done.exception()
            if error is not None and is_worth_a_log(error):
                _log.error("a session ended with an error", exc_info=error)
        self.close()
        if self._gone.is_set():
            self._connections.discard(self)
