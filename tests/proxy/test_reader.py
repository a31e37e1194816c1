"""The reader and the serializer against the specification's own words, and against each other."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailproto import NEED_DATA, proxy
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.proxy import (
    SSL,
    Client,
    Command,
    Header,
    InternetAddress,
    ProxyLimits,
    Reader,
    Transport,
    UnixAddress,
    serialize,
)
from mailproto.proxy.version2 import crc32c
from mailproto.testing.chop import every_cut, octets
from mailproto.testing.growth import assert_linear
from proxy.strategies import HEADERS

SIGNATURE = bytes.fromhex("0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A")


def read(pieces: Iterable[bytes], *, ended: bool = False) -> tuple[object, ...]:
    """All that can be seen: the header and what is behind it, NEED_DATA, or the error's text."""
    reader = Reader()
    try:
        for piece in pieces:
            reader.receive_data(piece)
            reader.next_event()
        if ended:
            reader.receive_data(b"")
        return reader.next_event(), reader.trailing_data
    except RemoteProtocolError as error:
        first = error
    # It stays what it was, whatever comes.
    reader.receive_data(b"PROXY UNKNOWN\r\n")
    with pytest.raises(RemoteProtocolError) as again:
        reader.next_event()
    assert again.value is first
    return ("error", str(first))


def parse(data: bytes) -> Header:
    header, trailing = read([data])
    assert isinstance(header, Header), trailing
    assert trailing == b""
    return header


def version_2(
    block: bytes = b"", command: int = 0x21, family: int = 0x11, length: int | None = None
) -> bytes:
    """A header of version 2 from the numbers of the specification."""
    size = len(block) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2, "big") + block


IPV4 = bytes((192, 0, 2, 1, 198, 51, 100, 7)) + (56324).to_bytes(2, "big") + b"\0\x19"
SOURCE = InternetAddress(IPv4Address("192.0.2.1"), 56324)
DESTINATION = InternetAddress(IPv4Address("198.51.100.7"), 25)
TCP4 = Header(2, Command.PROXY, Transport.TCP4, SOURCE, DESTINATION)


# ------------------------------------------------------------------------------- the specification


@pytest.mark.parity("smtp-server PROXY version 1")
def test_the_example_of_version_1() -> None:
    request = b"GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n"
    line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
    header = Header(
        1,
        Command.PROXY,
        Transport.TCP4,
        InternetAddress(IPv4Address("192.168.0.1"), 56324),
        InternetAddress(IPv4Address("192.168.0.11"), 443),
    )
    assert read([line + request]) == (header, request)
    assert serialize(header) == line


def test_P29_the_longest_lines_of_version_1() -> None:
    """Section 2.1: 56, 104, 15 and 107 octets, which a receiver must support."""
    ipv4, ipv6 = b"255.255.255.255", b"ffff:" * 7 + b"ffff"
    tcp4 = b"PROXY TCP4 " + ipv4 + b" " + ipv4 + b" 65535 65535\r\n"
    tcp6 = b"PROXY TCP6 " + ipv6 + b" " + ipv6 + b" 65535 65535\r\n"
    short = b"PROXY UNKNOWN\r\n"
    worst = b"PROXY UNKNOWN " + ipv6 + b" " + ipv6 + b" 65535 65535\r\n"
    assert [len(line) for line in (tcp4, tcp6, short, worst)] == [56, 104, 15, 107]
    assert parse(tcp4).source == InternetAddress(IPv4Address("255.255.255.255"), 65535)
    assert parse(tcp6).destination == InternetAddress(IPv6Address(2**128 - 1), 65535)
    assert parse(short) == parse(worst) == Header(1)


def test_what_unknown_says_is_ignored() -> None:
    assert parse(b"PROXY UNKNOWN and \xff anything else\r\n") == Header(1)


def test_mapped_addresses_as_proxies_write_them() -> None:
    header = parse(b"PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c633:6407 56324 25\r\n")
    assert header.source == InternetAddress(IPv6Address("::ffff:192.0.2.1"), 56324)
    assert header.destination == InternetAddress(IPv6Address("::ffff:198.51.100.7"), 25)


def test_the_octets_of_version_2() -> None:
    assert parse(version_2(IPV4)) == TCP4
    assert serialize(TCP4) == version_2(IPV4)
    ipv6 = bytes.fromhex("20010db8 00000000 00000000 00000001") * 2 + b"\x01\xbb\x00\x19"
    header = parse(version_2(ipv6, family=0x21))
    assert header.transport is Transport.TCP6
    assert header.source == InternetAddress(IPv6Address("2001:db8::1"), 443)
    assert serialize(header) == version_2(ipv6, family=0x21)


@pytest.mark.parametrize(
    ("family", "size"),
    [(0x00, 0), (0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)],
)
def test_every_family_takes_the_octets_of_the_table(family: int, size: int) -> None:
    """And vectors begin right behind."""
    block = bytes(size) + b"\xe0\x00\x02hi"
    header = parse(version_2(block, family=family))
    assert header.transport.value == family
    assert header.tlvs == (proxy.Unknown(0xE0, b"hi"),)
    assert serialize(header) == version_2(block, family=family)
    if size:
        assert read([version_2(bytes(size - 1), family=family)])[0] == "error"


def test_local_is_accepted_whatever_follows() -> None:
    """Section 2.2: the block is to be discarded and its length honoured, the family ignored."""
    for family, block in ((0, b""), (0x11, IPV4), (0xFF, b"\xff" * 300), (0x21, b"short")):
        data = version_2(block, command=0x20, family=family)
        assert read([data + b"QUIT\r\n"]) == (Header(2, Command.LOCAL), b"QUIT\r\n")
    assert serialize(Header(2, Command.LOCAL)) == version_2(command=0x20, family=0)


def test_unix_addresses() -> None:
    block = b"/run/mail".ljust(108, b"\0") + b"\0name\0of\0it".ljust(108, b"\0")
    header = parse(version_2(block, family=0x31))
    assert header.source == UnixAddress(b"/run/mail")
    assert header.destination == UnixAddress(b"\0name\0of\0it")
    assert serialize(header) == version_2(block, family=0x31)


@pytest.mark.parity("smtp-server PROXY version 2 with TLVs")
def test_every_vector_of_the_specification() -> None:
    ssl = (
        bytes((0x05, 0, 0, 0, 0))
        + b"\x21\x00\x07TLSv1.3"
        + b"\x22\x00\x05al\xc3\xa9e"
        + b"\x23\x00\x16TLS_AES_128_GCM_SHA256"
        + b"\x24\x00\x0aRSA-SHA256"
        + b"\x25\x00\x07RSA2048"
        + b"\x28\x00\x02\x30\x82"
    )
    block = (
        IPV4
        + b"\x01\x00\x02h2"
        + b"\x02\x00\x0cmail.example"
        + b"\x04\x00\x01\0"
        + b"\x05\x00\x02id"
        + b"\x20"
        + len(ssl).to_bytes(2, "big")
        + ssl
        + b"\x30\x00\x04blue"
        + b"\xea\x00\x00"
    )
    header = parse(version_2(block))
    assert header.tlvs == (
        proxy.ALPN(b"h2"),
        proxy.Authority("mail.example"),
        proxy.Noop(b"\0"),
        proxy.UniqueID(b"id"),
        SSL(
            Client.TLS | Client.CERTIFICATE_IN_SESSION,
            0,
            "TLSv1.3",
            "al\u00e9e",
            "TLS_AES_128_GCM_SHA256",
            "RSA-SHA256",
            "RSA2048",
            (proxy.Unknown(0x28, b"\x30\x82"),),
        ),
        proxy.NetworkNamespace("blue"),
        proxy.Unknown(0xEA, b""),
    )
    assert serialize(header) == version_2(block)


@pytest.mark.parametrize(
    ("client", "verify", "verified"),
    [
        (Client.TLS, 0, False),  # nothing was found wrong with no certificate
        (Client.TLS | Client.CERTIFICATE_IN_CONNECTION, 0, True),
        (Client.TLS | Client.CERTIFICATE_IN_SESSION, 0, True),
        (Client.TLS | Client.CERTIFICATE_IN_CONNECTION, 18, False),
    ],
)
def test_P30_a_client_is_verified_only_by_a_certificate(
    client: Client, verify: int, verified: bool
) -> None:
    assert SSL(client, verify).verified is verified


def test_a_wrong_checksum_is_refused() -> None:
    """Every octet counts but those that would make another header, or no checksum, of it."""
    header = Header(
        2, Command.PROXY, Transport.TCP4, SOURCE, DESTINATION, (proxy.CRC32C(), proxy.Noop(b"xyz"))
    )
    data = serialize(header)
    assert parse(data) == header
    assert data[28] == 0x03
    for position in (13, *range(16, 28), *range(31, len(data))):
        wrong = bytearray(data)
        wrong[position] ^= 0x03
        assert read([bytes(wrong)])[0] == "error"


def test_the_checksum_is_that_of_the_rfcs() -> None:
    """The examples of RFC 3720 appendix B.4, and the check value of every catalogue."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


# --------------------------------------------------------------------------------------- promises


@given(HEADERS, st.binary(max_size=60))
def test_P18_a_header_survives_both_ways(header: Header, behind: bytes) -> None:
    assert read([serialize(header) + behind]) == (header, behind)


@given(HEADERS, st.binary(max_size=10), st.randoms(use_true_random=False))
def test_P01_the_pieces_of_a_header_do_not_matter(
    header: Header, behind: bytes, chance: random.Random
) -> None:
    assert_pieces_do_not_matter(serialize(header) + behind, chance)


HOSTILE = [
    b"\xff",
    b"EHLO client.example\r\n",
    b"PROXYTCP4 192.0.2.1 198.51.100.7 1 2\r\n",
    b"proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\nEHLO x\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n",
    b"PROXY TCP4 192.0.513 198.51.100.7 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    b"PROXY TCP6 1::2::3 ::1 1 2\r\n",
    b"PROXY TCP6 12345::1 ::1 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.7 1_0 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.7 \u0661 2\r\n".encode(),
    b"PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY " + b"x" * 200,
    SIGNATURE[:11] + b"\r" + bytes(10),
    version_2(IPV4, command=0x11),
    version_2(IPV4, command=0x31),
    version_2(IPV4, command=0x22),
    version_2(IPV4, family=0x13),
    version_2(IPV4, family=0x41),
    version_2(IPV4, family=0x10),
    version_2(IPV4, family=0x01),
    version_2(IPV4[:-1]),
    version_2(bytes(215), family=0x31),
    version_2(IPV4 + b"\x01"),
    version_2(IPV4 + b"\x01\x00\x02h"),
    version_2(IPV4 + b"\x02\x00\x01\xff"),
    version_2(IPV4 + b"\x03\x00\x03\0\0\0"),
    version_2(IPV4 + b"\x03\x00\x04\0\0\0\0"),
    version_2(IPV4 + b"\x05\x00\x81" + bytes(129)),
    version_2(IPV4 + b"\x20\x00\x04\0\0\0\0"),
    version_2(IPV4 + b"\x20\x00\x08\x01\0\0\0\0\x22\x00\x01"),
    version_2(IPV4 + b"\x20\x00\x0d\x01\0\0\0\0\x22\x00\x01a\x22\x00\x01b"),
    version_2(IPV4 + b"\x20\x00\x09\x01\0\0\0\0\x21\x00\x01\xff"),
    version_2(IPV4 + b"\x30\x00\x01\x80"),
    version_2(IPV4, length=0x4001),
    version_2(b"", command=0x20, length=0xFFFF),
]


@pytest.mark.parametrize("data", HOSTILE)
def test_P01_P13_P17_P25_what_is_no_header_is_refused(data: bytes) -> None:
    seen = read([data], ended=True)
    assert seen[0] == "error"
    assert_pieces_do_not_matter(data, random.Random(1))
    assert read([data, serialize(TCP4)], ended=True) == seen


def assert_pieces_do_not_matter(data: bytes, chance: random.Random) -> None:
    whole = read([data], ended=True)
    assert read(octets(data), ended=True) == whole
    for pieces in every_cut(data) if len(data) < 120 else ():
        assert read(pieces, ended=True) == whole
    for _ in range(5):
        borders = sorted(chance.sample(range(len(data) + 1), min(3, len(data))))
        pieces = [data[a:b] for a, b in zip([0, *borders], [*borders, len(data)], strict=True)]
        assert read([piece for piece in pieces if piece], ended=True) == whole


@given(st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x20"]), st.binary())
@example(SIGNATURE, b"\x21\x00\x00\x03\x20\x00\x00")
def test_P11_any_octets_give_a_header_an_error_or_need_data(start: bytes, data: bytes) -> None:
    seen = read([start + data], ended=True)
    assert isinstance(seen[0], Header) or seen[0] == "error"


@given(HEADERS, st.integers(0, 2**31))
def test_P21_a_header_that_is_cut_off_is_none(header: Header, where: int) -> None:
    data = serialize(header)
    cut = data[: where % len(data)]
    assert read([cut] if cut else []) == (NEED_DATA, b"")
    assert read([cut] if cut else [], ended=True)[0] == "error"


@pytest.mark.parametrize(
    "flood", [b"x", b"PROXY ", b"PROXY UNKNOWN ", version_2(length=0x4000), version_2(length=65535)]
)
def test_P08_a_peer_without_a_header_fills_no_memory(flood: bytes) -> None:
    reader = Reader()
    reader.receive_data(flood)
    tracemalloc.start()
    try:
        for _ in range(5000):
            reader.next_event()
            reader.receive_data(b"x" * 40)
            if reader.trailing_data:
                break
    except RemoteProtocolError:
        pass
    finally:
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 64 * 1024


def test_P08_the_limit_is_exact() -> None:
    limits = ProxyLimits(block=20)
    for padding, fits in ((5, True), (6, False)):
        header = Header(
            2,
            Command.PROXY,
            Transport.TCP4,
            SOURCE,
            DESTINATION,
            (proxy.Noop(bytes(padding)),),
        )
        reader = Reader(limits=limits)
        reader.receive_data(serialize(header))
        if fits:
            assert reader.next_event() == header
        else:
            with pytest.raises(RemoteProtocolError, match=r"21 octets are to follow.*20 at most"):
                reader.next_event()


@pytest.mark.parametrize("size", [1, 1448, 65_536])
@pytest.mark.parametrize(
    "vector",
    [b"\xe0\0\0", b"\x04\0\x40" + bytes(64), b"\x20\0\x0b\1\0\0\0\0\xe0\0\0\xe0\0\0"],
    ids=["empty", "64 octets", "empty, within TLS"],
)
def test_P09_time_grows_with_the_octets_and_no_faster(vector: bytes, size: int) -> None:
    def header(octets: int) -> Callable[[], None]:
        vectors = vector * ((octets - 20) // len(vector))
        wire = version_2(IPV4 + vectors + b"\x03\0\x04\0\0\0\0")
        reader = Reader(limits=ProxyLimits(block=0xFFFF))

        def feed() -> None:
            with pytest.raises(RemoteProtocolError, match="checksum"):
                for start in range(0, len(wire), size):
                    reader.receive_data(wire[start : start + size])
                    reader.next_event()

        return feed

    assert_linear(header, 0x1FFF)


# ------------------------------------------------------------------- what cannot be expressed


WRONG = [
    Header(1, Command.LOCAL),
    Header(1, Command.PROXY, Transport.UDP4, SOURCE, DESTINATION),
    Header(1, Command.PROXY, Transport.TCP4, SOURCE, DESTINATION, (proxy.Noop(),)),
    Header(2, Command.PROXY, Transport.TCP4, SOURCE),
    Header(2, Command.PROXY, Transport.TCP6, SOURCE, DESTINATION),
    Header(2, Command.PROXY, Transport.UNSPEC, SOURCE, DESTINATION),
    Header(2, Command.LOCAL, Transport.TCP4, SOURCE, DESTINATION),
    Header(2, Command.LOCAL, tlvs=(proxy.Noop(),)),
    Header(2, Command.PROXY, Transport.UNIX_STREAM, UnixAddress(b"a\0b"), UnixAddress(b"")),
    Header(2, Command.PROXY, Transport.UNIX_STREAM, UnixAddress(b"a" * 109), UnixAddress(b"")),
    Header(
        2,
        Command.PROXY,
        Transport.TCP4,
        InternetAddress(IPv4Address("192.0.2.1"), 65536),
        DESTINATION,
    ),
    Header(
        2,
        Command.PROXY,
        Transport.TCP6,
        InternetAddress(IPv6Address("fe80::1%eth0"), 1),
        InternetAddress(IPv6Address("::1"), 1),
    ),
    *(
        Header(2, tlvs=tlvs)
        for tlvs in (
            (proxy.CRC32C(), proxy.CRC32C()),
            (proxy.UniqueID(bytes(129)),),
            (proxy.Unknown(0x01, b""),),
            (proxy.Unknown(256, b""),),
            (proxy.Noop(bytes(65536)),),
            (proxy.Noop(bytes(65533)),),
            (proxy.NetworkNamespace("\u00e9"),),
            (proxy.Authority("\ud800"),),
            (SSL(Client(256), 0),),
            (SSL(Client.TLS, -1),),
            (SSL(Client.TLS, 0, unknown=(proxy.Unknown(0x22, b"root"),)),),
        )
    ),
]


@pytest.mark.parametrize("header", WRONG)
def test_P04_a_header_that_cannot_be_expressed_is_refused(header: Header) -> None:
    with pytest.raises(LocalProtocolError):
        serialize(header)
