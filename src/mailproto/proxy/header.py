"""The header as a value: the same class is what a reader yields and what ``serialize`` takes."""

from __future__ import annotations

import enum
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, TypeAlias

from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError
from mailproto.proxy.tlv import TLV

__all__ = [
    "Address",
    "Command",
    "Header",
    "InternetAddress",
    "Transport",
    "UnixAddress",
    "check_addresses",
]

UNIX_PATH = 108
"""Octets of each address of a Unix socket (section 2.2)."""


class Command(enum.Enum):
    """Why the proxy has connected (section 2.2)."""

    LOCAL = 0
    """For itself, to see whether the server is well: the ends are those of the socket."""
    PROXY = 1
    """On behalf of a client: the ends are those of the header, where it names them."""


class Transport(enum.Enum):
    """Address family and transport protocol of the client's connection (section 2.2)."""

    UNSPEC = 0x00
    """Unknown, ``UNKNOWN`` in version 1: the header has no addresses."""
    TCP4 = 0x11
    UDP4 = 0x12
    TCP6 = 0x21
    UDP6 = 0x22
    UNIX_STREAM = 0x31
    UNIX_DATAGRAM = 0x32


@frozen
class InternetAddress:
    """One end of a TCP or UDP connection."""

    ip: IPv4Address | IPv6Address
    port: int


@frozen
class UnixAddress:
    """One end of a connection of Unix sockets."""

    path: bytes
    """At most 108 octets; an abstract name begins with NUL."""


Address: TypeAlias = InternetAddress | UnixAddress


@frozen
class Header:
    """One PROXY header.

    ::

        PROXY TCP4 192.0.2.1 198.51.100.7 56324 25
    """

    version: Literal[1, 2]
    command: Command = Command.PROXY
    """Always ``PROXY`` in version 1."""
    transport: Transport = Transport.UNSPEC
    """``UNSPEC`` for ``LOCAL``, whatever the proxy wrote."""
    source: Address | None = None
    """The client's address; ``None`` with ``UNSPEC``, and then that of the socket counts."""
    destination: Address | None = None
    """What the client has connected to; ``None`` with ``UNSPEC``."""
    tlvs: tuple[TLV, ...] = ()
    """What else the proxy tells, in its order; of version 2 and ``PROXY`` only."""


_IP = {
    Transport.TCP4: IPv4Address,
    Transport.UDP4: IPv4Address,
    Transport.TCP6: IPv6Address,
    Transport.UDP6: IPv6Address,
}


def check_addresses(header: Header) -> None:
    """Raise LocalProtocolError unless both addresses are of the header's transport."""
    for address in (header.source, header.destination):
        if not _fits(address, header.transport):
            raise LocalProtocolError(f"{address!r} is no address of {header.transport.name}")


def _fits(address: Address | None, transport: Transport) -> bool:
    match address:
        case None:
            return transport is Transport.UNSPEC
        case UnixAddress(path):
            unix = transport in (Transport.UNIX_STREAM, Transport.UNIX_DATAGRAM)
            return unix and len(path) <= UNIX_PATH and path == until_end(path)
        case InternetAddress(ip, port):
            # A scope is known to one host only, and is no part of the 128 bits.
            scoped = isinstance(ip, IPv6Address) and ip.scope_id is not None
            return type(ip) is _IP.get(transport) and 0 <= port <= 0xFFFF and not scoped


def until_end(path: bytes) -> bytes:
    """The path in a field of a Unix address: up to NUL, or an abstract name without its padding."""
    return path.rstrip(b"\0") if path.startswith(b"\0") else path.partition(b"\0")[0]
