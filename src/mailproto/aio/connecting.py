"""How an asyncio client reaches its server: one TCP connection and a driver on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

from mailproto.aio.driver import Driver
from mailproto.errors import ConnectionLost

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from mailproto.flows.effects import Flow

__all__ = ["Client", "Driver", "dial"]

T = TypeVar("T")


async def dial(
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    timeout: float | None,
    server_hostname: str | None = None,
) -> Driver:
    """Connect to ``host`` within ``timeout`` seconds; raises ConnectionLost, saying where to.

    ``server_hostname`` is what the certificate must name, by default ``host``.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            _, driver = await loop.create_connection(
                lambda: Driver(tls=tls, server_hostname=server_hostname or host), host, port
            )
    except TimeoutError as error:
        raise ConnectionLost(f"cannot connect to {host} port {port}: timed out") from error
    except OSError as error:
        raise ConnectionLost(f"cannot connect to {host} port {port}: {error}") from error
    return driver


class Client:
    """What the asyncio clients share: a driver, and an end that leaves nothing open."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and not self._driver.closed:
            await self._say_goodbye()
        await self.close()

    @property
    def local_address(self) -> str:
        """The host part of our end's address; empty for a socket without one."""
        return self._driver.local_address

    @property
    def closed(self) -> bool:
        """Whether the connection can be used no more."""
        return self._driver.closed

    async def close(self) -> None:
        """Close the connection without a word to the server."""
        self._driver.close()
        await self._driver.wait_closed()

    async def _say_goodbye(self) -> None:
        """End the session as the protocol has it."""

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow of your own on the connection, made of those of ``session``."""
        return await self._driver.run(flow)
