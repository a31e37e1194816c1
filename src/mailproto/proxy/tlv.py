"""The type-length-value vectors behind the addresses of version 2 (section 2.2), typed.

Vectors of types that are not known here are kept as they are. Nesting ends at the second level,
as the specification has it: what lies within ``SSL`` is a vector of octets, never another tree.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final, TypeAlias

from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "ALPN",
    "CRC32C",
    "SSL",
    "TLV",
    "Authority",
    "Client",
    "NetworkNamespace",
    "Noop",
    "UniqueID",
    "Unknown",
    "parse_tlv",
    "serialize_tlv",
    "vectors",
]


@frozen
class ALPN:
    """The application protocol that client and proxy have agreed on in TLS (``PP2_TYPE_ALPN``)."""

    protocol: bytes


@frozen
class Authority:
    """The host name that the client asked for, the SNI of TLS (``PP2_TYPE_AUTHORITY``)."""

    name: str


@frozen
class CRC32C:
    """The header has a checksum (``PP2_TYPE_CRC32C``): a wrong one is a RemoteProtocolError.

    Serializing computes it.
    """


@frozen
class Noop:
    """Nothing but padding (``PP2_TYPE_NOOP``)."""

    padding: bytes = b""


@frozen
class UniqueID:
    """The proxy's own name of the connection, at most 128 octets (``PP2_TYPE_UNIQUE_ID``)."""

    value: bytes


class Client(enum.IntFlag):
    """How the client has connected to the proxy; bits without a name are kept."""

    TLS = 0x01
    """Under TLS."""
    CERTIFICATE_IN_CONNECTION = 0x02
    """It gave a certificate in this connection."""
    CERTIFICATE_IN_SESSION = 0x04
    """It gave a certificate in this TLS session, in this connection or in an earlier one."""


_CERTIFICATE: Final = Client.CERTIFICATE_IN_CONNECTION | Client.CERTIFICATE_IN_SESSION


@frozen
class Unknown:
    """A vector of a type that is not known here, as it is."""

    type: int
    """0 to 255; 0xE0 to 0xEF are for applications, 0xF0 to 0xF7 for experiments."""
    value: bytes


@frozen
class SSL:
    """TLS between client and proxy (``PP2_TYPE_SSL``); a field that is absent is ``None``."""

    client: Client
    verify: int
    """0 when no fault was found in the client's certificate; see ``verified``."""
    version: str | None = None
    """``TLSv1.3`` for one."""
    common_name: str | None = None
    """Of the client's certificate; says who the client is only where ``verified`` is true."""
    cipher: str | None = None
    """``ECDHE-RSA-AES128-GCM-SHA256`` for one."""
    signature_algorithm: str | None = None
    """Of the certificate that the proxy has shown, ``RSA-SHA256`` for one."""
    key_algorithm: str | None = None
    """Of the certificate that the proxy has shown, ``RSA2048`` for one."""
    unknown: tuple[Unknown, ...] = ()
    """Vectors of other subtypes."""

    @property
    def verified(self) -> bool:
        """Whether the client gave a certificate that the proxy has accepted.

        ``verify`` alone does not say it: proxies also send 0 when there was no certificate.
        """
        return self.verify == 0 and bool(self.client & _CERTIFICATE)


@frozen
class NetworkNamespace:
    """The name of the proxy's network namespace (``PP2_TYPE_NETNS``)."""

    name: str


TLV: TypeAlias = ALPN | Authority | CRC32C | Noop | UniqueID | SSL | NetworkNamespace | Unknown

_ALPN: Final = 0x01
_AUTHORITY: Final = 0x02
_CRC32C: Final = 0x03
_NOOP: Final = 0x04
_UNIQUE_ID: Final = 0x05
_SSL: Final = 0x20
_NETNS: Final = 0x30
_KNOWN: Final = frozenset({_ALPN, _AUTHORITY, _CRC32C, _NOOP, _UNIQUE_ID, _SSL, _NETNS})

_UNIQUE_ID_SIZE: Final = 128
_CRC32C_SIZE: Final = 4
_VALUE_SIZE: Final = 0xFFFF

# subtype -> field of SSL and its encoding (section 2.2.6)
_SSL_FIELDS: Final = {
    0x21: ("version", "ascii"),
    0x22: ("common_name", "utf-8"),
    0x23: ("cipher", "ascii"),
    0x24: ("signature_algorithm", "ascii"),
    0x25: ("key_algorithm", "ascii"),
}


# --- octets to values


def vectors(octets: bytes, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Type, offset of the value and value of each vector from ``start`` on to the end.

    Raises RemoteProtocolError where a vector is cut off.
    """
    while start < len(octets):
        value = start + 3
        end = value + int.from_bytes(octets[start + 1 : value])
        if value > len(octets) or end > len(octets):
            raise RemoteProtocolError(
                f"PROXY header: the vector at octet {start} ends behind the last one,"
                f" {octets[start:value]!r}"
            )
        yield octets[start], value, octets[value:end]
        start = end


def parse_tlv(type: int, value: bytes) -> TLV:
    """The typed form of one vector. Raises RemoteProtocolError."""
    if type == _ALPN:
        return ALPN(value)
    if type == _AUTHORITY:
        return Authority(_decode(value, "utf-8", "the authority"))
    if type == _CRC32C:
        if len(value) != _CRC32C_SIZE:
            raise RemoteProtocolError(f"PROXY header: a checksum of four octets is not {value!r}")
        return CRC32C()
    if type == _NOOP:
        return Noop(value)
    if type == _UNIQUE_ID:
        if len(value) > _UNIQUE_ID_SIZE:
            raise RemoteProtocolError(
                f"PROXY header: a unique ID of {len(value)} octets, {_UNIQUE_ID_SIZE} at most"
            )
        return UniqueID(value)
    if type == _SSL:
        return _parse_ssl(value)
    if type == _NETNS:
        return NetworkNamespace(_decode(value, "ascii", "the network namespace"))
    return Unknown(type, value)


def _parse_ssl(octets: bytes) -> SSL:
    if len(octets) < 5:
        raise RemoteProtocolError(f"PROXY header: the SSL vector is cut off: {octets!r}")
    known: dict[str, str] = {}
    unknown: list[Unknown] = []
    for subtype, _, value in vectors(octets, 5):
        if subtype not in _SSL_FIELDS:
            unknown.append(Unknown(subtype, value))
            continue
        name, encoding = _SSL_FIELDS[subtype]
        if name in known:
            # Of two common names nobody could say which one was verified.
            raise RemoteProtocolError(f"PROXY header: SSL has two fields {name}: {value!r}")
        known[name] = _decode(value, encoding, f"{name} of SSL")
    return SSL(
        Client(octets[0]),
        int.from_bytes(octets[1:5]),
        version=known.get("version"),
        common_name=known.get("common_name"),
        cipher=known.get("cipher"),
        signature_algorithm=known.get("signature_algorithm"),
        key_algorithm=known.get("key_algorithm"),
        unknown=tuple(unknown),
    )


def _decode(value: bytes, encoding: str, name: str) -> str:
    try:
        return value.decode(encoding)
    except UnicodeDecodeError:
        raise RemoteProtocolError(f"PROXY header: {name} is not {encoding}: {value!r}") from None


# --- values to octets


def serialize_tlv(tlv: TLV) -> bytes:
    """One vector; the value of ``CRC32C`` is four zeros. Raises LocalProtocolError."""
    match tlv:
        case ALPN(protocol):
            return _vector(_ALPN, protocol)
        case Authority(name):
            return _vector(_AUTHORITY, _encode(name, "utf-8"))
        case CRC32C():
            return _vector(_CRC32C, bytes(_CRC32C_SIZE))
        case Noop(padding):
            return _vector(_NOOP, padding)
        case UniqueID(value):
            if len(value) > _UNIQUE_ID_SIZE:
                raise LocalProtocolError(f"a unique ID has at most 128 octets: {value!r}")
            return _vector(_UNIQUE_ID, value)
        case SSL():
            return _vector(_SSL, _serialize_ssl(tlv))
        case NetworkNamespace(name):
            return _vector(_NETNS, _encode(name, "ascii"))
        case Unknown(type, value):
            if type in _KNOWN:
                raise LocalProtocolError(f"type {type:#04x} has a class of its own")
            return _vector(type, value)


def _serialize_ssl(ssl: SSL) -> bytes:
    if not (0 <= ssl.client <= 0xFF and 0 <= ssl.verify <= 0xFFFF_FFFF):
        raise LocalProtocolError(f"client or verify is out of range: {ssl!r}")
    octets = bytearray(ssl.client.to_bytes(1) + ssl.verify.to_bytes(4))
    for subtype, (name, encoding) in _SSL_FIELDS.items():
        text: str | None = getattr(ssl, name)
        if text is not None:
            octets += _vector(subtype, _encode(text, encoding))
    for vector in ssl.unknown:
        if vector.type in _SSL_FIELDS:
            raise LocalProtocolError(f"subtype {vector.type:#04x} has a field of its own")
        octets += _vector(vector.type, vector.value)
    return bytes(octets)


def _vector(type: int, value: bytes) -> bytes:
    if not 0 <= type <= 0xFF:
        raise LocalProtocolError(f"the type of a vector is one octet: {type}")
    if len(value) > _VALUE_SIZE:
        raise LocalProtocolError(f"a value of {len(value)} octets, {_VALUE_SIZE} at most")
    return type.to_bytes(1) + len(value).to_bytes(2) + value


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        raise LocalProtocolError(f"not {encoding}: {text!r}") from None
