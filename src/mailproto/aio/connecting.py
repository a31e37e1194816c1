"""How an asyncio client reaches its server: one TCP connection and a driver on it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from mailproto.aio.driver import Driver
from mailproto.errors import ConnectionLost

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from mailproto.flows.effects import Flow

__all__ = ["Client", "Driver", "Opening", "dial", "opening"]

T = TypeVar("T")
P = ParamSpec("P")
C = TypeVar("C", bound="AbstractAsyncContextManager[object]")


class Opening(Coroutine[object, object, C]):
    """What ``connect`` and ``serve`` return: await it, or use it in ``async with`` at once.

    ::

        client = await aio.smtp.connect("mail.example.com")
        async with aio.smtp.connect("mail.example.com") as client:
            ...
    """

    __slots__ = ("_coroutine", "_opened")

    def __init__(self, coroutine: Coroutine[object, object, C]) -> None:
        self._coroutine = coroutine
        self._opened: C | None = None

    def __await__(self) -> Generator[object, object, C]:
        return self._coroutine.__await__()

    def send(self, value: object) -> object:
        """As a coroutine has it."""
        return self._coroutine.send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
        /,
    ) -> object:
        """As a coroutine has it."""
        error = kind if isinstance(kind, BaseException) else value
        assert isinstance(error, BaseException)
        return self._coroutine.throw(error)

    def close(self) -> None:
        """As a coroutine has it."""
        self._coroutine.close()

    async def __aenter__(self) -> C:
        self._opened = await self._coroutine
        await self._opened.__aenter__()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._opened is not None
        await self._opened.__aexit__(kind, error, traceback)


def opening(function: Callable[P, Coroutine[object, object, C]]) -> Callable[P, Opening[C]]:
    """Have a coroutine function return an ``Opening``."""

    @functools.wraps(function)
    def opened(*args: P.args, **kwargs: P.kwargs) -> Opening[C]:
        return Opening(function(*args, **kwargs))

    return opened


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
    except (OSError, ValueError) as error:
        # What cannot be a name of the DNS is a ValueError: a label of more than 63 octets, for one.
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
