"""What a listener knows of a connection, and how a conversation begins on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, cast

from mailproto._core.frozen import frozen
from mailproto.flows.effects import Flow, deadline, start_tls

__all__ = ["Peer", "SessionFactory", "under_tls"]

_HANDSHAKE: Final = 60.0


@frozen
class Peer:
    """The two ends of an accepted connection, as the socket tells them."""

    address: str
    """Host of the client (``127.0.0.1``), or the path of a Unix socket."""
    port: int
    """Port of the client; 0 for a Unix socket."""
    local_address: str
    """Host that was connected to."""
    local_port: int
    """Port that was connected to."""

    @classmethod
    def of(cls, remote: object, local: object) -> Peer:
        """From the names that ``getpeername`` and ``getsockname`` give."""
        return cls(*_host_and_port(remote), *_host_and_port(local))


def _host_and_port(name: object) -> tuple[str, int]:
    if isinstance(name, tuple):
        host, port = cast("tuple[object, object]", name[:2])
        return str(host), int(str(port))
    return str(name or ""), 0


SessionFactory: TypeAlias = Callable[[Peer], Flow[None]]
"""Makes the conversation for one accepted connection: a new machine and the flow that serves it."""


def under_tls(session: Flow[None]) -> Flow[None]:
    """Do the TLS handshake first, within a minute: implicit TLS (RFC 8314 section 3)."""
    yield from deadline(_HANDSHAKE)
    yield from start_tls()
    yield from session
