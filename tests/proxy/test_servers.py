"""PROXY headers in front of both servers: who is believed, and where the client's octets go."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from facades.world import Facade
from mailproto import proxy
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.errors import DeadlineExceeded
from mailproto.flows.effects import Flow, read, start_tls, unread, write
from mailproto.flows.services import Services
from mailproto.flows.serving import NotIntroduced, Peer, SessionFactory, conversations
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.tls import client_context, server_context
from mailproto.proxy import Command, Header, InternetAddress, Transport, UnixAddress, serialize
from mailproto.testing.link import converse

LOOPBACK = [ip_network("127.0.0.1/32")]
ELSEWHERE = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
END = InternetAddress(IPv4Address("198.51.100.7"), 25)
CLIENT = InternetAddress(IPv4Address("192.0.2.1"), 56324)
VERSIONS = [
    Header(1, Command.PROXY, Transport.TCP4, CLIENT, END),
    Header(2, Command.PROXY, Transport.TCP4, CLIENT, END, (proxy.UniqueID(b"7"), proxy.CRC32C())),
]


class Echo:
    """A session factory that records its peers and says what it hears."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(self, peer: Peer) -> Flow[None]:
        self.peers.append(peer)
        return self._session()

    def _session(self) -> Flow[None]:
        yield from write(b"hello\r\n")
        while data := (yield from read()):
            yield from write(data)


Listen = Callable[..., int]


@pytest.fixture(params=["sync", "aio"])
def listen(request: pytest.FixtureRequest) -> Iterator[Listen]:
    """``listen(factory, **options)`` of a server of either kind on loopback; its port."""
    facade = Facade(request.param)
    server = facade.server(cast("Any", SimpleNamespace(shutdown=Shutdown())))

    def listen(factory: SessionFactory, **options: object) -> int:
        return cast("int", server.listen("127.0.0.1", 0, factory, **options))

    yield listen
    server.close(0.0)
    facade.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def all_of(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(4096):
        data += piece
    return data


@pytest.mark.parametrize("header", VERSIONS, ids=["1", "2"])
def test_the_header_gives_the_peer_and_the_rest_is_the_clients(
    listen: Listen, header: Header
) -> None:
    echo = Echo()
    with connect(listen(echo, proxied_by=LOOPBACK)) as sock:
        sock.sendall(serialize(header) + b"first\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b"hello\r\nfirst\r\n"
    assert echo.peers == [Peer("192.0.2.1", 56324, "198.51.100.7", 25, header)]


@pytest.mark.parametrize("header", VERSIONS, ids=["1", "2"])
def test_octet_by_octet(listen: Listen, header: Header) -> None:
    echo = Echo()
    with connect(listen(echo, proxied_by=LOOPBACK)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in serialize(header) + b"x":
            sock.send(bytes((octet,)))
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b"hello\r\nx"
    assert echo.peers == [Peer("192.0.2.1", 56324, "198.51.100.7", 25, header)]


@pytest.mark.parametrize("header", [Header(1), Header(2), Header(2, Command.LOCAL)])
def test_a_header_without_addresses_keeps_those_of_the_socket(
    listen: Listen, header: Header
) -> None:
    echo = Echo()
    with connect(port := listen(echo, proxied_by=LOOPBACK)) as sock:
        sock.sendall(serialize(header))
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b"hello\r\n"
        assert echo.peers == [Peer("127.0.0.1", sock.getsockname()[1], "127.0.0.1", port, header)]


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO client\r\n",
        b"\r\nEHLO client\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 1 99999\r\n",
        b"",
    ],
)
def test_P30_a_proxy_must_send_a_header(
    listen: Listen, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """No session begins: nothing is said, and the connection is closed.

    That is logged, unless the proxy has only looked whether somebody is there.
    """
    echo = Echo()
    with connect(listen(echo, proxied_by=LOOPBACK)) as sock:
        sock.sendall(data)
        if not data:
            sock.shutdown(socket.SHUT_WR)
        try:
            assert all_of(sock) == b""
        except ConnectionResetError:
            pass
    assert echo.peers == []
    # What is logged is so before the connection is closed.
    assert caplog.text.count("no PROXY header from 127.0.0.1: ") == (1 if data else 0)
    assert bool(data) is bool(caplog.records)


@pytest.mark.parametrize("header", VERSIONS, ids=["1", "2"])
@pytest.mark.parametrize("networks", [[], ELSEWHERE], ids=["nobody", "others"])
def test_P30_a_header_from_anybody_else_is_input(
    listen: Listen, header: Header, networks: list[object]
) -> None:
    """Even one that names a trusted network as its source."""
    echo = Echo()
    with connect(port := listen(echo, proxied_by=networks)) as sock:
        sock.sendall(serialize(header))
        sock.shutdown(socket.SHUT_WR)
        assert all_of(sock) == b"hello\r\n" + serialize(header)
        assert echo.peers == [Peer("127.0.0.1", sock.getsockname()[1], "127.0.0.1", port)]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("header", VERSIONS, ids=["1", "2"])
def test_the_header_comes_before_tls(
    listen: Listen, certificate: CertificateFiles, header: Header, *, together: bool
) -> None:
    """In one segment with the ClientHello, or in one of its own."""
    echo = Echo()
    port = listen(
        echo,
        tls=server_context(certificate.cert, certificate.key),
        implicit_tls=True,
        proxied_by=LOOPBACK,
    )
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(certificate.cert).wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with connect(port) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        sock.sendall(serialize(header) + (outgoing.read() if together else b""))

        def until_done(step: Callable[[], object]) -> object:
            for _ in range(100):
                try:
                    return step()
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            raise AssertionError("no end")

        until_done(client.do_handshake)
        sock.sendall(outgoing.read())
        assert until_done(lambda: client.read(100)) == b"hello\r\n"
    (peer,) = echo.peers
    assert peer.secured is not None
    assert attrs.evolve(peer, secured=None) == Peer("192.0.2.1", 56324, "198.51.100.7", 25, header)


def test_P30_smtp_does_not_believe_a_header_that_is_not_due(listen: Listen) -> None:
    """It is an unknown command, and the session is that of the socket."""
    services = Services(MemoryStore(), Users({"alice": "secret"}, ["example.com"]))
    peers: list[Peer] = []
    sessions = services.sessions("smtp")

    def session(peer: Peer) -> Flow[None]:
        peers.append(peer)
        return sessions(peer)

    with smtplib.SMTP("127.0.0.1", port := listen(session, proxied_by=ELSEWHERE)) as client:
        assert client.sock is not None
        own = Peer("127.0.0.1", client.sock.getsockname()[1], "127.0.0.1", port)
        code, _ = client.docmd(serialize(VERSIONS[0]).decode().strip())
        assert code == 500
    assert peers == [own]


# ------------------------------------------------------------------------- without sockets


SOCKET = Peer("127.0.0.1", 4711, "127.0.0.1", 2525)


def talk(client: Flow[bytes], *, sizes: list[int] | None = None, **options: Any) -> list[Peer]:
    echo = Echo()
    converse(conversations(echo, **options)(SOCKET), client, sizes=sizes or [])
    return echo.peers


def say(*data: bytes) -> Flow[bytes]:
    for piece in data:
        yield from write(piece)
    return b""


@pytest.mark.parametrize("header", VERSIONS, ids=["1", "2"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 47, 1000])
def test_P01_a_session_behind_a_header(header: Header, size: int) -> None:
    assert talk(say(serialize(header) + b"rest"), sizes=[size], proxied_by=LOOPBACK) == [
        Peer("192.0.2.1", 56324, "198.51.100.7", 25, header)
    ]


@pytest.mark.parametrize("data", [b"", b"PROXY ", serialize(VERSIONS[1])[:-1]])
def test_P24_a_header_has_a_deadline(data: bytes) -> None:
    def wait() -> Flow[bytes]:
        yield from write(data)
        assert (yield from read()) == b""
        return b""

    with pytest.raises(
        NotIntroduced, match=r"from 127\.0\.0\.1 has not come in 10 seconds"
    ) as caught:
        talk(wait(), proxied_by=LOOPBACK)
    assert isinstance(caught.value.__cause__, DeadlineExceeded)


def test_a_session_begins_without_the_headers_deadline() -> None:
    def wait() -> Flow[bytes]:
        yield from write(serialize(VERSIONS[0]))
        while (yield from read()):
            pass
        return b""

    with pytest.raises(AssertionError, match="both ends wait"):
        talk(wait(), proxied_by=LOOPBACK)


def test_P21_a_header_that_is_cut_off_begins_no_session() -> None:
    with pytest.raises(NotIntroduced, match="ended within the PROXY header"):
        talk(say(serialize(VERSIONS[0])[:-1]), proxied_by=LOOPBACK)


@pytest.mark.parametrize(
    ("source", "transport", "address", "port"),
    [
        (InternetAddress(IPv6Address("2001:db8::1"), 9), Transport.TCP6, "2001:db8::1", 9),
        # Rules for networks of IPv4 must hold for it, whatever socket the proxy listens on.
        (InternetAddress(IPv6Address("::ffff:192.0.2.9"), 9), Transport.TCP6, "192.0.2.9", 9),
        (UnixAddress(b"/run/mail"), Transport.UNIX_STREAM, "/run/mail", 0),
        (UnixAddress(b"\xff"), Transport.UNIX_STREAM, "\\xff", 0),
    ],
)
def test_the_peer_is_what_a_socket_would_say(
    source: proxy.Address, transport: Transport, address: str, port: int
) -> None:
    header = Header(2, Command.PROXY, transport, source, source)
    (peer,) = talk(say(serialize(header)), proxied_by=LOOPBACK)
    assert peer == Peer(address, port, address, port, header)


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("10.2.0.0", False),
        ("fe80::1%eth0", True),
        ("::ffff:10.1.2.3", False),
        ("2001:db8::1", False),
        ("/run/10.1.2.3", False),
        ("", False),
    ],
)
def test_P30_trust_is_in_networks(address: str, trusted: bool) -> None:
    networks = [ip_network("10.1.0.0/16"), ip_network("fe80::/10")]
    assert attrs.evolve(SOCKET, address=address).within(networks) is trusted


def test_octets_put_back_come_first(listen: Listen, certificate: CertificateFiles) -> None:
    """In the order they had, before what arrives later, and under TLS too."""

    def session(peer: Peer) -> Flow[None]:
        yield from start_tls()
        data = b""
        while len(data) < 6:
            data += (yield from read()) or b""
        yield from unread(data[4:])
        yield from unread(data[2:4])
        yield from unread(b"")
        again = (yield from read()) or b""
        while not again.endswith(b"!"):
            again += (yield from read()) or b""
        yield from write(data[:2] + b"|" + again)

    port = listen(session, tls=server_context(certificate.cert, certificate.key))
    context = client_context(certificate.cert)
    with context.wrap_socket(connect(port), server_hostname="localhost") as sock:
        sock.sendall(b"abcdef")
        sock.sendall(b"gh!")
        assert sock.recv(100) == b"ab|cdefgh!"
