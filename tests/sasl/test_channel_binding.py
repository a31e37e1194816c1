"""Channel bindings, with certificates made and read by the cryptography package."""

from __future__ import annotations

import datetime
import hashlib
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailproto import sasl
from mailproto.errors import LocalProtocolError

RSA = rsa.generate_private_key(65537, 2048)
ECDSA = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
Hash: TypeAlias = hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512
HASHES: dict[str, Hash] = {
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@pytest.mark.parametrize("name", ["", "tls-unique,a=root", "tls unique", "tls_unique", "ü", "\r\n"])
def test_P04_a_type_that_leaves_its_place_in_the_message_is_none(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="type of channel binding"):
        sasl.ChannelBinding(name, b"data")


def certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: Hash | None,
    rsa_padding: padding.PSS | None = None,
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC))
        .sign(key, algorithm, rsa_padding=rsa_padding)
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("kind", ["rsa", "pss", "ecdsa"])
def test_end_point_is_the_hash_of_the_certificates_signature(name: str, kind: str) -> None:
    algorithm = HASHES[name]
    pss = padding.PSS(padding.MGF1(algorithm), 20) if kind == "pss" else None
    der = certificate(ECDSA if kind == "ecdsa" else RSA, algorithm, pss)
    expected = sasl.ChannelBinding("tls-server-end-point", hashlib.new(name, der).digest())
    assert sasl.tls_server_end_point(der) == expected


def signed_with(der: bytes, old: str, new: str) -> bytes:
    """The certificate with another object identifier of the same length as signature algorithm."""
    old_octets, new_octets = bytes.fromhex(old), bytes.fromhex(new)
    assert der.count(old_octets) == 2
    return der.replace(old_octets, new_octets)


@pytest.mark.parametrize("weak", ["2a864886f70d010104", "2a864886f70d010105"])
def test_md5_and_sha_1_are_replaced_by_sha_256(weak: str) -> None:
    """RFC 5929 section 4.1."""
    der = signed_with(certificate(RSA, HASHES["sha256"]), "2a864886f70d01010b", weak)
    binding = sasl.tls_server_end_point(der)
    assert binding is not None
    assert binding.data == hashlib.sha256(der).digest()


def test_pss_without_a_named_hash_means_sha_1_and_so_sha_256() -> None:
    """RFC 4055 section 3.1: the default of hashAlgorithm is SHA-1. Only the outline is built."""
    pss = bytes.fromhex("06092a864886f70d01010a") + bytes.fromhex("3000")
    content = bytes.fromhex("3000") + b"\x30" + bytes((len(pss),)) + pss
    der = b"\x30" + bytes((len(content),)) + content
    binding = sasl.tls_server_end_point(der)
    assert binding is not None
    assert binding.data == hashlib.sha256(der).digest()


def test_a_signature_without_a_hash_has_no_end_point() -> None:
    assert sasl.tls_server_end_point(certificate(ED25519, None)) is None


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_refused(octets: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        sasl.tls_server_end_point(octets)


@pytest.mark.parametrize("pss", [False, True])
def test_a_cut_certificate_is_refused(pss: bool) -> None:
    scheme = padding.PSS(padding.MGF1(HASHES["sha256"]), 20) if pss else None
    der = certificate(RSA, HASHES["sha256"], scheme)
    for length in range(len(der)):
        with pytest.raises(LocalProtocolError):
            sasl.tls_server_end_point(der[:length])


def test_tls_unique_ends_with_tls_1_3() -> None:
    """RFC 9266 section 3."""
    finished = b"twelve bytes"
    assert sasl.tls_unique(finished, "TLSv1.2") == sasl.ChannelBinding("tls-unique", finished)
    with pytest.raises(LocalProtocolError, match=r"TLSv1\.3"):
        sasl.tls_unique(finished, "TLSv1.3")


def test_tls_exporter_has_32_octets() -> None:
    """RFC 9266 section 2."""
    assert sasl.tls_exporter(bytes(32)) == sasl.ChannelBinding("tls-exporter", bytes(32))
    for size in (0, 31, 33):
        with pytest.raises(LocalProtocolError):
            sasl.tls_exporter(bytes(size))
