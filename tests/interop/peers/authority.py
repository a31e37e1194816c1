"""Certificates of clients, for EXTERNAL: an authority and what it has signed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailproto.cli.certificate import CertificateFiles


@dataclass(frozen=True)
class Authority:
    """The authority's own certificate, and files for each name that it has signed."""

    ca: Path
    of: dict[str, CertificateFiles]


def make_authority(directory: Path, names: Iterable[str]) -> Authority:
    """Sign a certificate with the common name of each of ``names``."""
    key = ec.generate_private_key(ec.SECP256R1())
    itself = _name("Authority of the tests")
    certificate = (
        _builder(itself, itself, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca = directory / "authority.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made: dict[str, CertificateFiles] = {}
    for name in names:
        own = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _builder(_name(name), itself, own.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(key, hashes.SHA256())
        )
        files = CertificateFiles(
            os.fspath(directory / f"{name}.pem"), os.fspath(directory / f"{name}.key")
        )
        Path(files.cert).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        Path(files.key).write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        Path(files.key).chmod(0o600)  # some clients refuse others
        made[name] = files
    return Authority(ca, made)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=2))
    )
