"""Channel bindings (RFC 5929, RFC 9266): what ties an authentication to one TLS connection.

The octets come from whoever does TLS; here they get their name, and what can be computed from a
certificate alone is computed.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from attrs import Attribute, field

from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError

__all__ = ["ChannelBinding", "tls_exporter", "tls_server_end_point", "tls_unique"]


_NAME: Final = re.compile(r"[A-Za-z0-9.-]+")


def _named(_: object, __: Attribute[str], name: str) -> None:
    # It stands before the identities in the first message of SCRAM.
    if _NAME.fullmatch(name) is None:
        raise LocalProtocolError(f"{name!r} is no type of channel binding (RFC 5802 section 7)")


@frozen
class ChannelBinding:
    """The octets of one channel-binding type for one connection.

    Raises LocalProtocolError for a type that RFC 5802 has no room for.
    """

    type: str = field(validator=_named)
    """``tls-server-end-point``, ``tls-exporter`` or ``tls-unique``."""
    data: bytes = field(repr=False)


def tls_exporter(keying_material: bytes) -> ChannelBinding:
    """The binding of RFC 9266: 32 octets exported with the label ``EXPORTER-Channel-Binding``.

    Raises LocalProtocolError for any other number of octets.
    """
    if len(keying_material) != 32:
        raise LocalProtocolError("tls-exporter takes exactly 32 octets (RFC 9266 section 2)")
    return ChannelBinding("tls-exporter", keying_material)


def tls_unique(finished: bytes, tls_version: str) -> ChannelBinding:
    """The binding of RFC 5929 section 3: the first Finished message of the handshake.

    ``tls_version`` is spelt as by ``ssl.SSLSocket.version()``. Raises LocalProtocolError from TLS
    1.3 on, where it is not defined (RFC 9266 section 3); before that the connection must have
    the extended master secret (RFC 7627), which only the caller can know.
    """
    if tls_version not in ("TLSv1", "TLSv1.1", "TLSv1.2"):
        raise LocalProtocolError(f"tls-unique is not defined for {tls_version}: use tls-exporter")
    return ChannelBinding("tls-unique", finished)


def tls_server_end_point(certificate: bytes) -> ChannelBinding | None:
    """The binding of RFC 5929 section 4: a hash of the server's certificate, given as DER.

    ``None`` when the certificate's signature has no hash of its own (Ed25519), for which the
    binding is not defined, or one that is not known here. Raises LocalProtocolError when the
    octets are no certificate.
    """
    hash_name = _HASHES.get(_signature_algorithm(certificate))
    if hash_name is None:
        return None
    return ChannelBinding("tls-server-end-point", hashlib.new(hash_name, certificate).digest())


# Object identifiers as they stand in DER.
_RSA: Final = bytes.fromhex("2a864886f70d0101")
_RSASSA_PSS: Final = _RSA + b"\x0a"
_ECDSA: Final = bytes.fromhex("2a8648ce3d04")
_NIST_HASH: Final = bytes.fromhex("6086480165030402")
_SHA_1: Final = bytes.fromhex("2b0e03021a")

# The hash of each signature algorithm; SHA-256 stands in for MD5 and SHA-1 (RFC 5929 section 4.1).
_HASHES: Final = {
    _RSA + b"\x04": "sha256",
    _RSA + b"\x05": "sha256",
    _RSA + b"\x0b": "sha256",
    _RSA + b"\x0c": "sha384",
    _RSA + b"\x0d": "sha512",
    _RSA + b"\x0e": "sha224",
    _ECDSA + b"\x01": "sha256",
    _ECDSA + b"\x03\x01": "sha224",
    _ECDSA + b"\x03\x02": "sha256",
    _ECDSA + b"\x03\x03": "sha384",
    _ECDSA + b"\x03\x04": "sha512",
    # RSASSA-PSS names its hash in its parameters
    _SHA_1: "sha256",
    _NIST_HASH + b"\x01": "sha256",
    _NIST_HASH + b"\x02": "sha384",
    _NIST_HASH + b"\x03": "sha512",
    _NIST_HASH + b"\x04": "sha224",
}

_SEQUENCE: Final = 0x30
_OBJECT_IDENTIFIER: Final = 0x06
_HASH_ALGORITHM: Final = 0xA0
"""``[0]`` of RSASSA-PSS-params (RFC 4055 section 3.1)."""


def _signature_algorithm(certificate: bytes) -> bytes:
    """The object identifier of the signature, or of its hash for RSASSA-PSS."""
    whole, _ = _element(certificate, _SEQUENCE)  # Certificate
    _, rest = _element(whole, _SEQUENCE)  # tbsCertificate, passed over
    identifier, _ = _element(rest, _SEQUENCE)  # signatureAlgorithm
    algorithm, parameters = _element(identifier, _OBJECT_IDENTIFIER)
    if algorithm != _RSASSA_PSS:
        return algorithm
    fields, _ = _element(parameters, _SEQUENCE)
    if fields[:1] != bytes((_HASH_ALGORITHM,)):
        return _SHA_1  # the default
    explicit, _ = _element(fields, _HASH_ALGORITHM)
    identifier, _ = _element(explicit, _SEQUENCE)
    return _element(identifier, _OBJECT_IDENTIFIER)[0]


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content and what follows of the first element, which must have that tag."""
    size_at = 2
    size = data[1] if len(data) > 1 else 0
    if size & 0x80:
        size_at += size & 0x7F
        size = int.from_bytes(data[2:size_at], "big")
    end = size_at + size
    if data[:1] != bytes((tag,)) or len(data) < end:
        raise LocalProtocolError("tls-server-end-point takes a certificate in DER")
    return data[size_at:end], data[end:]
