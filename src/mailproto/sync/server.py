"""Listening sockets with threads: every accepted connection runs one flow in its own thread."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, ParamSpec, Self

from mailproto.flows.serving import (
    Network,
    Peer,
    SessionFactory,
    conversations,
    is_worth_a_log,
)
from mailproto.flows.shutdown import Shutdown
from mailproto.sync.driver import Driver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection

__all__ = ["Server"]

P = ParamSpec("P")

_BACKLOG: Final = 512
_log = logging.getLogger("mailproto")


class Server:
    """Listeners that share one ``Shutdown``.

    ::

        with sync.Server() as server:
            port = server.listen("127.0.0.1", 0, session_factory)
            ...  # until it is time to go

    ``shutdown`` is given to the session flows, which tell their peers when it is requested.
    """

    def __init__(self, shutdown: Shutdown | None = None) -> None:
        self.shutdown: Shutdown = Shutdown() if shutdown is None else shutdown
        self._listeners: list[socket.socket] = []
        self._threads: set[threading.Thread] = set()
        self._drivers: set[Driver] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._drivers)

    def listen(
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
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listeners.append(listener)
        self._run(self._accept, listener, factory, tls)
        return int(listener.getsockname()[1])

    def close(self, grace: float = 5.0) -> None:
        """Stop listening, tell every session, and cut those not done after ``grace`` seconds."""
        for listener in self._listeners:
            # Wakes the thread that waits in accept(), which close() alone does not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._listeners.clear()
        self.shutdown.request()
        end = time.monotonic() + grace
        with self._lock:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        for driver in tuple(self._drivers):
            driver.cut()

    def _run(self, target: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        def body() -> None:
            try:
                target(*args, **kwargs)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=body, daemon=True)
        # Started before the lock is released: ``close`` joins every thread that it finds.
        with self._lock:
            self._threads.add(thread)
            thread.start()

    def _accept(
        self,
        listener: socket.socket,
        factory: SessionFactory,
        tls: ssl.SSLContext | None,
    ) -> None:
        while True:
            try:
                connection, remote = listener.accept()
            except OSError:
                if listener.fileno() < 0 or self.shutdown.requested:
                    return
                # Out of descriptors, or the peer was gone already: others may yet come.
                time.sleep(0.05)
                continue
            self._run(self._session, connection, remote, factory, tls)

    def _session(
        self,
        connection: socket.socket,
        remote: object,
        factory: SessionFactory,
        tls: ssl.SSLContext | None,
    ) -> None:
        driver = Driver(connection, tls=tls, server_side=True)
        with self._lock:
            self._drivers.add(driver)
        # The address that accept() told: a client that has reset the connection has none any more,
        # but what it sent before can still be read.
        local: object = None
        with contextlib.suppress(OSError):
            local = connection.getsockname()
        try:
            driver.run(factory(Peer.of(remote, local, starttls=tls is not None)))
        except Exception as error:
            if is_worth_a_log(error):
                _log.exception("a session ended with an error")
        finally:
            driver.close()
            with self._lock:
                self._drivers.discard(driver)
