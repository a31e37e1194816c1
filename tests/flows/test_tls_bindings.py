"""Which channel bindings a handshake gives; what this interpreter has not is played to it."""

from __future__ import annotations

import ssl
from typing import Final

import pytest
from attrs import define

from mailproto import sasl
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.authentication import binding_of
from mailproto.flows.effects import Secured
from mailproto.flows.tls import TLSChannel, client_context, server_context

EXPORTED: Final = bytes(range(32))
FINISHED: Final = b"first finish"


@define
class Handshake:
    """An ``SSLObject`` after the handshake, as far as bindings go."""

    tls_version: str
    session_reused: bool = False
    certificate: bytes | None = None

    def version(self) -> str:
        return self.tls_version

    def get_channel_binding(self, kind: str) -> bytes | None:
        if kind not in ssl.CHANNEL_BINDING_TYPES:
            raise ValueError(f"{kind} channel binding type not implemented")
        return {"tls-unique": FINISHED, "tls-exporter": EXPORTED}[kind]

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        return self.certificate


def types(secured: Secured) -> list[str]:
    return [binding.type for binding in secured.channel_bindings]


def after(handshake: Handshake) -> Secured:
    """What a channel makes of it."""
    channel = TLSChannel(client_context(), server_side=False, server_hostname="localhost")
    object.__setattr__(channel, "_object", handshake)
    return channel.secured()


def test_P07_TLS_1_3_gives_tls_exporter_where_the_interpreter_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9266 section 2."""
    monkeypatch.setattr(ssl, "CHANNEL_BINDING_TYPES", ["tls-unique", "tls-exporter"])
    secured = after(Handshake("TLSv1.3"))
    assert secured.channel_bindings == (sasl.tls_exporter(EXPORTED),)
    assert binding_of(secured, sasl.Strength.ANONYMOUS) == sasl.tls_exporter(EXPORTED)


def test_P07_TLS_1_3_never_gives_tls_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9266 section 3, also where OpenSSL would hand something out."""
    monkeypatch.setattr(ssl, "CHANNEL_BINDING_TYPES", ["tls-unique"])
    assert after(Handshake("TLSv1.3")).channel_bindings == ()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "TLSv1.2"])
def test_before_TLS_1_3_it_is_tls_unique(version: str) -> None:
    secured = after(Handshake(version))
    assert secured.channel_bindings == (sasl.tls_unique(FINISHED, version),)


def test_P07_a_session_that_is_resumed_gives_no_tls_unique() -> None:
    """Without the extended master secret, of which ``ssl`` tells nothing, it does not bind."""
    assert after(Handshake("TLSv1.2", session_reused=True)).channel_bindings == ()


def test_the_certificates_binding_is_used_only_when_binding_is_asked_for() -> None:
    end_point = sasl.ChannelBinding("tls-server-end-point", bytes(32))
    unique = sasl.tls_unique(FINISHED, "TLSv1.2")
    only, both = Secured((end_point,)), Secured((unique, end_point))
    assert binding_of(only, sasl.Strength.MUTUAL) is None
    assert binding_of(only, sasl.Strength.BOUND) == end_point
    assert binding_of(both, sasl.Strength.MUTUAL) == unique
    assert binding_of(both, sasl.Strength.BOUND) == unique
    assert binding_of(Secured(), sasl.Strength.BOUND) is None
    assert binding_of(None, sasl.Strength.BOUND) is None


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[TLSChannel, TLSChannel]:
    """Both ends of a real handshake in memory."""
    ends = (
        TLSChannel(client, server_side=False, server_hostname="localhost"),
        TLSChannel(server, server_side=True),
    )
    for _ in range(10):
        for one, other in (ends, ends[::-1]):
            if not one.established:
                one.handshake()
            if data := one.outgoing():
                other.feed(data)
    assert all(end.established for end in ends)
    return ends


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (ssl.TLSVersion.TLSv1_2, ["tls-unique", "tls-server-end-point"]),
        (ssl.TLSVersion.TLSv1_3, ["tls-server-end-point"]),
    ],
)
def test_P07_both_ends_of_a_handshake_have_the_same_bindings(
    certificate: CertificateFiles, version: ssl.TLSVersion, expected: list[str]
) -> None:
    client = client_context(certificate.cert)
    client.minimum_version = client.maximum_version = version
    one, other = handshake(client, server_context(certificate.cert, certificate.key))
    assert one.secured().channel_bindings == other.secured().channel_bindings
    if "tls-exporter" not in ssl.CHANNEL_BINDING_TYPES:
        assert types(one.secured()) == expected
    again, _ = handshake(client, server_context(certificate.cert, certificate.key))
    fresh = {b.data for b in again.secured().channel_bindings if b.type == "tls-unique"}
    assert not fresh & {b.data for b in one.secured().channel_bindings}
