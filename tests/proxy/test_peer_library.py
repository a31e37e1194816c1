"""Against the proxy-protocol package of PyPI: what either writes the other reads as meant."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import attrs
import pytest
from hypothesis import given
from proxyprotocol.result import (
    ProxyResult,
    ProxyResultIPv4,
    ProxyResultIPv6,
    ProxyResultLocal,
    ProxyResultUnix,
)
from proxyprotocol.tlv import ProxyProtocolSSLTLV, ProxyProtocolTLV
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from mailproto import proxy
from mailproto.proxy import Command, Header, InternetAddress, Transport, UnixAddress, serialize
from mailproto.proxy.tlv import serialize_tlv
from proxy.strategies import VERSION_1, VERSION_2
from proxy.test_reader import parse

KINDS = {
    Transport.TCP4: (ProxyResultIPv4, socket.SOCK_STREAM),
    Transport.UDP4: (ProxyResultIPv4, socket.SOCK_DGRAM),
    Transport.TCP6: (ProxyResultIPv6, socket.SOCK_STREAM),
    Transport.UDP6: (ProxyResultIPv6, socket.SOCK_DGRAM),
    Transport.UNIX_STREAM: (ProxyResultUnix, socket.SOCK_STREAM),
    Transport.UNIX_DATAGRAM: (ProxyResultUnix, socket.SOCK_DGRAM),
}


def theirs(address: proxy.Address | None) -> object:
    if isinstance(address, InternetAddress):
        return address.ip, address.port
    return address


def assert_same_ends(result: ProxyResult, header: Header) -> None:
    if header.transport is Transport.UNSPEC:
        assert result.source is None
        assert result.dest is None
        assert result.proxied is (header.command is Command.PROXY)
        return
    kind, protocol = KINDS[header.transport]
    assert isinstance(result, kind)
    assert result.protocol in (protocol, None if header.version == 1 else protocol)
    assert result.source == theirs(header.source)
    assert result.dest == theirs(header.destination)


@given(VERSION_1)
def test_it_reads_our_version_1_and_we_its(header: Header) -> None:
    result = ProxyProtocolV1().unpack(serialize(header))
    assert_same_ends(result, header)
    if header.transport is not Transport.UNSPEC:
        assert parse(ProxyProtocolV1().pack(result)) == header


def in_its_order(header: Header) -> Header:
    """Vectors by type, one of each: the library keeps no other order, and no second one."""
    by_type = {serialize_tlv(tlv)[0]: tlv for tlv in header.tlvs}
    return attrs.evolve(header, tlvs=tuple(by_type[type] for type in sorted(by_type)))


# It decodes the paths of Unix sockets as ASCII, without regard to abstract names.
PLAIN = VERSION_2.filter(lambda header: not isinstance(header.source, UnixAddress)).map(
    in_its_order
)


@given(PLAIN)
def test_it_reads_our_version_2(header: Header) -> None:
    """It verifies the checksum too, by a library of its own."""
    result = ProxyProtocolV2().unpack(serialize(header))
    assert_same_ends(result, header)
    if header.transport is Transport.UNSPEC:
        return  # It gives no vectors then.
    for tlv in header.tlvs:
        match tlv:
            case proxy.ALPN(value):
                assert result.tlv.alpn == value
            case proxy.Authority(name):
                assert result.tlv.authority == name
            case proxy.CRC32C():
                assert result.tlv.crc32c is not None
            case proxy.UniqueID(value):
                assert result.tlv.unique_id == value
            case proxy.NetworkNamespace(name):
                assert result.tlv.netns == name
            case proxy.Unknown(type, value):
                assert result.tlv[type] == value
            case proxy.Noop(padding):
                assert result.tlv[4] == padding
            case proxy.SSL():
                ssl = result.tlv.ssl
                assert (ssl.client, ssl.verify) == (tlv.client, tlv.verify)
                assert (ssl.version or "", ssl.cn or "") == (
                    tlv.version or "",
                    tlv.common_name or "",
                )
                assert (ssl.cipher or "") == (tlv.cipher or "")
                assert (ssl.sig_alg or "") == (tlv.signature_algorithm or "")
                assert (ssl.key_alg or "") == (tlv.key_algorithm or "")


@pytest.mark.parity("smtp-server PROXY version 2 with TLVs")
@given(PLAIN)
def test_we_read_its_version_2(header: Header) -> None:
    """It always writes a checksum."""
    if header.transport is Transport.UNSPEC:
        result: ProxyResult = ProxyResultLocal()
        assert parse(ProxyProtocolV2().pack(result)) == Header(2, Command.LOCAL)
        return
    result = ProxyProtocolV2().unpack(serialize(header))
    found = parse(ProxyProtocolV2().pack(result))
    assert attrs.evolve(found, tlvs=()) == attrs.evolve(header, tlvs=())
    assert proxy.CRC32C() in found.tlvs
    checksum = proxy.CRC32C()
    assert [tlv for tlv in found.tlvs if tlv != checksum] == [
        tlv for tlv in header.tlvs if tlv != checksum
    ]


def test_we_read_its_ssl() -> None:
    ssl = ProxyProtocolSSLTLV(
        has_ssl=True,
        has_cert_conn=True,
        verified=True,
        version="TLSv1.3",
        cn="alice",
        cipher="TLS_AES_128_GCM_SHA256",
        sig_alg="RSA-SHA256",
        key_alg="RSA2048",
    )
    end = (IPv4Address("192.0.2.1"), 25)
    result = ProxyResultIPv4(end, end, protocol=socket.SOCK_STREAM, tlv=ProxyProtocolTLV(ssl=ssl))
    (found,) = (
        tlv for tlv in parse(ProxyProtocolV2().pack(result)).tlvs if isinstance(tlv, proxy.SSL)
    )
    assert found == proxy.SSL(
        proxy.Client.TLS | proxy.Client.CERTIFICATE_IN_CONNECTION,
        0,
        "TLSv1.3",
        "alice",
        "TLS_AES_128_GCM_SHA256",
        "RSA-SHA256",
        "RSA2048",
    )
    assert found.verified
