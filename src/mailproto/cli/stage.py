"""Servers for the demonstration: two sites on loopback, each with its own store and users."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Generator, Iterable
from typing import Any, TypeVar

from attrs import frozen

from mailproto import aio
from mailproto._core.machine import Trace
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.tls import server_context

__all__ = ["Site", "Stage", "open_stage"]

T = TypeVar("T")

HOST = "127.0.0.1"


@frozen
class Site:
    """A running mail server: its services and the ports they listen on."""

    services: Services
    ports: dict[str, int]


class Stage:
    """An event loop in a thread of its own, and the servers on it."""

    def __init__(self, files: CertificateFiles) -> None:
        self._tls = server_context(files.cert, files.key)
        self._loop = asyncio.new_event_loop()
        self._servers: list[aio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def site(
        self,
        domain: str,
        users: dict[str, str],
        services: Iterable[str],
        *,
        relay: tuple[str, int] | None = None,
        relay_trace: Trace | None = None,
    ) -> Site:
        """Start a server for ``domain`` with some of ``services.PORTS``."""
        made = Services(
            store=MemoryStore(),
            directory=Users(users, [domain]),
            hostname=domain,
            next_hop=relay and aio.relay(*relay, domain=domain, trace=relay_trace),
        )

        async def listen() -> dict[str, int]:
            server = aio.Server(made.shutdown)
            self._servers.append(server)
            return {
                name: await server.listen(HOST, 0, made.sessions(name), tls=self._tls)
                for name in services
            }

        return Site(made, self._run(listen()))

    def close(self) -> None:
        """End the servers and the thread."""
        for server in self._servers:
            self._run(server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


@contextlib.contextmanager
def open_stage(files: CertificateFiles) -> Generator[Stage]:
    """A stage that is taken down at the end."""
    stage = Stage(files)
    try:
        yield stage
    finally:
        stage.close()
