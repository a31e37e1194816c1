"""Version 1: one line of text, at most 107 octets with its CRLF (section 2.1)."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from mailproto._core.strict import number
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.proxy.header import Command, Header, InternetAddress, Transport

__all__ = ["LONGEST", "PREFIX", "parse", "serialize", "size"]

PREFIX: Final = b"PROXY "
LONGEST: Final = 107
"""Octets of the longest line with its CRLF."""

# A number has no zero before it, lest somebody read it as octal. Whether the digits are an address
# is for ipaddress to say; proxies write the last 32 bits of mapped addresses as those of IPv4.
_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) " + _PORT + b" " + _PORT
)
_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")

_CLASSES: Final[dict[Transport, type[IPv4Address | IPv6Address]]] = {
    Transport.TCP4: IPv4Address,
    Transport.TCP6: IPv6Address,
}


def size(start: bytes) -> int | None:
    """The octets of the line that begins so, ``None`` while they are not all there.

    ``start`` has at most ``LONGEST`` octets. Raises RemoteProtocolError for a line that is too
    long, and for LF without CR.
    """
    end = start.find(b"\n")
    if end < 0:
        if len(start) >= LONGEST:
            raise RemoteProtocolError(f"PROXY header: no CRLF in {LONGEST} octets: {start!r}")
        return None
    if not start.endswith(b"\r", 0, end):
        raise RemoteProtocolError(f"PROXY header: LF without CR: {start[: end + 1]!r}")
    return end + 1


def parse(line: bytes) -> Header:
    """The header of one line, CRLF included. Raises RemoteProtocolError."""
    text = line[:-2]
    if _UNKNOWN.fullmatch(text):
        return Header(1)
    found = _LINE.fullmatch(text)
    if found is None:
        raise RemoteProtocolError(f"PROXY header: not a line of version 1: {text!r}")
    transport = Transport[found[1].decode("ascii")]
    source = _address(transport, found[2], found[4])
    destination = _address(transport, found[3], found[5])
    return Header(1, Command.PROXY, transport, source, destination)


def _address(transport: Transport, ip: bytes, port: bytes) -> InternetAddress:
    value = number(port, 0xFFFF)
    if value is None:
        raise RemoteProtocolError(f"PROXY header: not a port: {port!r}")
    try:
        return InternetAddress(_CLASSES[transport](ip.decode("ascii")), value)
    except AddressValueError:
        raise RemoteProtocolError(
            f"PROXY header: not an address of {transport.name}: {ip!r}"
        ) from None


def serialize(header: Header) -> bytes:
    """The line of a header whose addresses are checked. Raises LocalProtocolError."""
    if header.command is Command.LOCAL or header.tlvs:
        raise LocalProtocolError(f"version 1 has neither LOCAL nor vectors: {header!r}")
    source, destination = header.source, header.destination
    if header.transport is Transport.UNSPEC:
        return b"PROXY UNKNOWN\r\n"
    if (
        header.transport not in _CLASSES
        or not isinstance(source, InternetAddress)
        or not isinstance(destination, InternetAddress)
    ):
        raise LocalProtocolError(f"version 1 has no {header.transport.name}")
    return (
        f"PROXY {header.transport.name} {source.ip} {destination.ip}"
        f" {source.port} {destination.port}\r\n"
    ).encode("ascii")
