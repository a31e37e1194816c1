"""Version 2: sixteen octets that tell the length, then addresses, then vectors (section 2.2)."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.proxy.header import (
    UNIX_PATH,
    Address,
    Command,
    Header,
    InternetAddress,
    Transport,
    UnixAddress,
    until_end,
)
from mailproto.proxy.tlv import CRC32C, TLV, parse_tlv, serialize_tlv, vectors

__all__ = ["FIXED", "SIGNATURE", "crc32c", "parse", "serialize", "size"]

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
FIXED: Final = 16
"""Octets of the part that every header has."""

_VERSION: Final = 0x20
_COMMANDS: Final = {_VERSION | command.value: command for command in Command}
_TRANSPORTS: Final = {transport.value: transport for transport in Transport}

# octets of one address without its port
_ADDRESS_SIZE: Final = {
    Transport.TCP4: 4,
    Transport.UDP4: 4,
    Transport.TCP6: 16,
    Transport.UDP6: 16,
    Transport.UNIX_STREAM: UNIX_PATH,
    Transport.UNIX_DATAGRAM: UNIX_PATH,
}


def size(start: bytes, limit: int) -> int:
    """The octets of the whole header that begins with these sixteen.

    Raises RemoteProtocolError for an unknown version or command, and when more than ``limit``
    octets are to follow.
    """
    if start[12] not in _COMMANDS:
        raise RemoteProtocolError(f"PROXY header: not a version and command: {start[12]:#04x}")
    length = int.from_bytes(start[14:16])
    if length > limit:
        raise RemoteProtocolError(
            f"PROXY header: {length} octets are to follow the first sixteen, {limit} at most"
        )
    return FIXED + length


def parse(octets: bytes) -> Header:
    """The header of all its octets, which begin as ``size`` has checked.

    Raises RemoteProtocolError.
    """
    if _COMMANDS[octets[12]] is Command.LOCAL:
        # All that follows is to be discarded, the family included.
        return Header(2, Command.LOCAL)
    transport = _TRANSPORTS.get(octets[13])
    if transport is None:
        raise RemoteProtocolError(f"PROXY header: not a family and protocol: {octets[13]:#04x}")
    source, destination, end = _parse_addresses(transport, octets)
    tlvs: list[TLV] = []
    for type, offset, value in vectors(octets, end):
        tlv = parse_tlv(type, value)
        if isinstance(tlv, CRC32C):
            if tlv in tlvs:
                raise RemoteProtocolError("PROXY header: two checksums")
            _verify(octets, offset)
        tlvs.append(tlv)
    return Header(2, Command.PROXY, transport, source, destination, tuple(tlvs))


def _parse_addresses(
    transport: Transport, octets: bytes
) -> tuple[Address | None, Address | None, int]:
    """Source, destination and the offset behind them."""
    if transport is Transport.UNSPEC:
        return None, None, FIXED
    width = _ADDRESS_SIZE[transport]
    ports = FIXED + 2 * width
    end = ports if width == UNIX_PATH else ports + 4
    if end > len(octets):
        raise RemoteProtocolError(
            f"PROXY header: the addresses of {transport.name} take {end - FIXED} octets,"
            f" not {octets[FIXED:]!r}"
        )
    first, second = octets[FIXED : FIXED + width], octets[FIXED + width : ports]
    if width == UNIX_PATH:
        return UnixAddress(until_end(first)), UnixAddress(until_end(second)), end
    kind = IPv4Address if width == 4 else IPv6Address
    return (
        InternetAddress(kind(first), int.from_bytes(octets[ports : ports + 2])),
        InternetAddress(kind(second), int.from_bytes(octets[ports + 2 : end])),
        end,
    )


def _verify(octets: bytes, offset: int) -> None:
    """Compare the checksum at ``offset`` with that of the header around four zeros."""
    said = int.from_bytes(octets[offset : offset + 4])
    found = crc32c(octets[:offset] + bytes(4) + octets[offset + 4 :])
    if said != found:
        raise RemoteProtocolError(f"PROXY header: checksum {said:#010x}, but it is {found:#010x}")


def serialize(header: Header) -> bytes:
    """The octets of a header whose addresses are checked. Raises LocalProtocolError."""
    if header.command is Command.LOCAL and (header.source is not None or header.tlvs):
        raise LocalProtocolError(f"LOCAL has neither addresses nor vectors: {header!r}")
    block = bytearray(_serialize_addresses(header.source, header.destination))
    checksum: int | None = None
    for tlv in header.tlvs:
        if isinstance(tlv, CRC32C):
            if checksum is not None:
                raise LocalProtocolError("a header has one checksum")
            checksum = FIXED + len(block) + 3
        block += serialize_tlv(tlv)
    if len(block) > 0xFFFF:
        raise LocalProtocolError(f"{len(block)} octets behind the first sixteen, 65,535 at most")
    octets = bytearray(SIGNATURE)
    octets += bytes((_VERSION | header.command.value, header.transport.value))
    octets += len(block).to_bytes(2) + block
    if checksum is not None:
        octets[checksum : checksum + 4] = crc32c(octets).to_bytes(4)
    return bytes(octets)


def _serialize_addresses(source: Address | None, destination: Address | None) -> bytes:
    match source, destination:
        case InternetAddress(), InternetAddress():
            return (
                source.ip.packed
                + destination.ip.packed
                + source.port.to_bytes(2)
                + destination.port.to_bytes(2)
            )
        case UnixAddress(), UnixAddress():
            return source.path.ljust(UNIX_PATH, b"\0") + destination.path.ljust(UNIX_PATH, b"\0")
        case _:
            return b""


@cache
def _crc32c_table() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c(octets: bytes | bytearray) -> int:
    """The checksum of Castagnoli (RFC 4960 appendix B)."""
    table = _crc32c_table()
    value = 0xFFFF_FFFF
    for octet in octets:
        value = value >> 8 ^ table[(value ^ octet) & 0xFF]
    return value ^ 0xFFFF_FFFF
