"""Hypothesis strategies: every header that one of the two versions can express."""

from __future__ import annotations

from hypothesis import strategies as st

from mailproto import proxy
from mailproto.proxy import Client, Command, Header, InternetAddress, Transport, UnixAddress

PORTS = st.integers(0, 0xFFFF)
IPV4 = st.builds(InternetAddress, st.ip_addresses(v=4), PORTS)
IPV6 = st.builds(InternetAddress, st.ip_addresses(v=6), PORTS)
PATHS = st.binary(max_size=107).map(lambda path: path.replace(b"\0", b"/"))
UNIX = st.one_of(
    PATHS.map(UnixAddress),
    # an abstract name: only its end is marked, by NUL
    st.builds(lambda name: UnixAddress(b"\0" + name + b"x"), st.binary(max_size=106)),
)
ADDRESSES = {
    Transport.UNSPEC: st.none(),
    Transport.TCP4: IPV4,
    Transport.UDP4: IPV4,
    Transport.TCP6: IPV6,
    Transport.UDP6: IPV6,
    Transport.UNIX_STREAM: UNIX,
    Transport.UNIX_DATAGRAM: UNIX,
}

KNOWN = (1, 2, 3, 4, 5, 0x20, 0x30)
OCTETS = st.binary(max_size=40)
ASCII = st.text(st.characters(codec="ascii"), max_size=40)
UTF_8 = st.text(st.characters(codec="utf-8"), max_size=40)
SSL = st.builds(
    proxy.SSL,
    st.integers(0, 0xFF).map(Client),
    st.integers(0, 0xFFFF_FFFF),
    version=st.none() | ASCII,
    common_name=st.none() | UTF_8,
    cipher=st.none() | ASCII,
    signature_algorithm=st.none() | ASCII,
    key_algorithm=st.none() | ASCII,
    unknown=st.lists(
        st.builds(
            proxy.Unknown,
            st.integers(0, 0xFF).filter(lambda number: not 0x21 <= number <= 0x25),
            OCTETS,
        ),
        max_size=3,
    ).map(tuple),
)
TLVS = st.lists(
    st.one_of(
        st.builds(proxy.ALPN, OCTETS),
        st.builds(proxy.Authority, UTF_8),
        st.builds(proxy.CRC32C),
        st.builds(proxy.Noop, OCTETS),
        st.builds(proxy.UniqueID, st.binary(max_size=128)),
        SSL,
        st.builds(proxy.NetworkNamespace, ASCII),
        st.builds(
            proxy.Unknown, st.integers(0, 0xFF).filter(lambda number: number not in KNOWN), OCTETS
        ),
    ),
    max_size=6,
).filter(lambda tlvs: tlvs.count(proxy.CRC32C()) <= 1)


@st.composite
def _version_2(draw: st.DrawFn) -> Header:
    transport = draw(st.sampled_from(list(Transport)))
    addresses = ADDRESSES[transport]
    tlvs = tuple(draw(TLVS))
    return Header(2, Command.PROXY, transport, draw(addresses), draw(addresses), tlvs)


@st.composite
def _version_1(draw: st.DrawFn) -> Header:
    transport = draw(st.sampled_from([Transport.UNSPEC, Transport.TCP4, Transport.TCP6]))
    addresses = ADDRESSES[transport]
    return Header(1, Command.PROXY, transport, draw(addresses), draw(addresses))


VERSION_1 = _version_1()
VERSION_2 = st.just(Header(2, Command.LOCAL)) | _version_2()
HEADERS = VERSION_1 | VERSION_2
