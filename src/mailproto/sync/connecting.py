"""How a blocking client reaches its server: one TCP connection and a driver on it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self, TypeVar

from mailproto.errors import ConnectionLost
from mailproto.sync.driver import Driver

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from mailproto.flows.effects import Flow

__all__ = ["Client", "Driver", "dial"]

T = TypeVar("T")


def dial(
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
    try:
        sock = socket.create_connection((host, port), timeout)
    except (OSError, ValueError) as error:
        # What cannot be a name of the DNS is a ValueError: a label of more than 63 octets, for one.
        raise ConnectionLost(f"cannot connect to {host} port {port}: {error}") from error
    return Driver(sock, tls=tls, server_hostname=server_hostname or host)


class Client:
    """What the blocking clients share: a driver, and an end that leaves nothing open."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None and not self._driver.closed:
            self._say_goodbye()
        self._driver.close()

    @property
    def local_address(self) -> str:
        """The host part of our end's address; empty for a socket without one."""
        return self._driver.local_address

    @property
    def closed(self) -> bool:
        """Whether the connection can be used no more."""
        return self._driver.closed

    def close(self) -> None:
        """Close the connection without a word to the server."""
        self._driver.close()

    def _say_goodbye(self) -> None:
        """End the session as the protocol has it."""

    def run(self, flow: Flow[T]) -> T:
        """Run a flow of your own on the connection, made of those of ``session``."""
        return self._driver.run(flow)
