"""What stands in front of every server, in both facades: PROXY headers, other protocols, haste."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve

from facades.world import Blocking, Facade, World
from mailproto import aio, proxy, smtp, sync
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.smtp_server import Handler, Origin
from mailproto.flows.tls import server_context
from mailproto.sync.smtp import ServerOptions

PORTS = ["smtp", "submission", "lmtp", "imap", "pop3"]
GREETINGS = {
    "smtp": b"220 ",
    "submission": b"220 ",
    "lmtp": b"220 ",
    "imap": b"* OK ",
    "pop3": b"+OK ",
}
# A command that any client may give, and how it is answered.
COMMANDS = {
    "smtp": (b"NOOP\r\n", b"250 "),
    "submission": (b"NOOP\r\n", b"250 "),
    "lmtp": (b"NOOP\r\n", b"250 "),
    "imap": (b"a NOOP\r\n", b"a OK "),
    "pop3": (b"CAPA\r\n", b"+OK "),
}
UNKNOWN = {
    "smtp": b"500 ",
    "submission": b"500 ",
    "lmtp": b"500 ",
    "imap": b"PROXY BAD ",
    "pop3": b"-ERR ",
}
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.7 56324 25\r\n"
BINARY_HEADER = proxy.serialize(
    proxy.Header(
        2,
        proxy.Command.PROXY,
        proxy.Transport.TCP4,
        proxy.InternetAddress(ipaddress.IPv4Address("192.0.2.7"), 56324),
        proxy.InternetAddress(ipaddress.IPv4Address("198.51.100.7"), 25),
        (proxy.UniqueID(b"7"), proxy.CRC32C()),
    )
)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def all_of(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return data


def line_of(sock: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n"):
        piece = sock.recv(1)
        assert piece, data
        data += piece
    return data


def client_hello() -> bytes:
    """The first flight of a client of TLS."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


REQUESTS = {
    "POST": b"POST / HTTP/1.1\r\nHost: localhost:25\r\nContent-Length: 99\r\n\r\n",
    "GET": b"GET http://localhost:25/ HTTP/1.0\r\n\r\n",
    "CONNECT": b"CONNECT localhost:25 HTTP/1.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.mark.parity(
    "smtp-server early talkers and other protocols", "pop3-server early talkers and other protocols"
)
@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize("request_line", REQUESTS.values(), ids=REQUESTS)
def test_P13_nothing_behind_another_protocol_is_obeyed(
    world: World, name: str, request_line: bytes
) -> None:
    """The body of a request of a web page would be commands (cross-protocol scripting)."""
    command, answer = COMMANDS[name]
    with connect(world.port(name)) as sock:
        assert line_of(sock).startswith(GREETINGS[name])
        sock.sendall(request_line + command * 3)
        said = all_of(sock)
    assert answer not in said
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize("cut", [1, 5, None])
def test_P13_a_client_of_TLS_on_a_plain_port_is_not_kept_waiting(
    world: World, name: str, cut: int | None
) -> None:
    """Known by the first octet: the line that a server waits for never comes."""
    with connect(world.port(name)) as sock:
        assert line_of(sock).startswith(GREETINGS[name])
        sock.sendall(client_hello()[:cut])
        assert len(all_of(sock).splitlines()) <= 1


# ------------------------------------------------------------------------------- STARTTLS

ASK = {
    "smtp": b"EHLO a\r\nQUIT\r\n",
    "submission": b"EHLO a\r\nQUIT\r\n",
    "lmtp": b"LHLO a\r\nQUIT\r\n",
    "imap": b"a CAPABILITY\r\nb LOGOUT\r\n",
    "pop3": b"CAPA\r\nQUIT\r\n",
}


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("name", PORTS)
def test_starttls_is_offered_where_there_is_a_certificate(
    world: World, certificate: CertificateFiles, name: str, proxied: bool
) -> None:
    options: dict[str, Any] = {}
    if proxied:
        options["proxied_by"] = [ipaddress.ip_network("127.0.0.0/8")]
    context = server_context(certificate.cert, certificate.key)
    said: list[bytes] = []
    for tls in (None, context):
        port = world.server.listen(
            "127.0.0.1", 0, world.services.sessions(name), tls=tls, **options
        )
        with connect(port) as sock:
            sock.sendall((HEADER if proxied else b"") + ASK[name])
            said.append(all_of(sock))
    assert [b"STLS" in text or b"STARTTLS" in text for text in said] == [False, True]


# ------------------------------------------------------------------------------- PROXY headers


def listen(world: World, name: str, trusted: str) -> int:
    """Another port of the server, behind proxies in ``trusted``."""
    return int(
        world.server.listen(
            "127.0.0.1",
            0,
            world.services.sessions(name),
            proxied_by=[ipaddress.ip_network(trusted)],
        )
    )


@pytest.mark.parity("smtp-server PROXY version 1", "smtp-server PROXY version 2 with TLVs")
@pytest.mark.parametrize("header", [HEADER, BINARY_HEADER], ids=["1", "2"])
@pytest.mark.parametrize("name", PORTS)
def test_P30_every_server_takes_a_header_from_its_proxies(
    world: World, name: str, header: bytes
) -> None:
    """No word before the header; behind it the session is the client's."""
    command, answer = COMMANDS[name]
    with connect(listen(world, name, "127.0.0.0/8")) as sock:
        sock.sendall(header[:10])
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(20)
        sock.sendall(header[10:] + command)
        assert line_of(sock).startswith(GREETINGS[name])
        assert line_of(sock).startswith(answer)


@pytest.mark.parametrize("name", PORTS)
def test_P30_a_proxy_without_a_header_gets_no_session(world: World, name: str) -> None:
    command, _ = COMMANDS[name]
    with connect(listen(world, name, "127.0.0.0/8")) as sock:
        sock.sendall(command)
        assert all_of(sock) == b""


@pytest.mark.parametrize("name", PORTS)
def test_P30_a_header_from_anybody_else_is_a_command_that_is_none(world: World, name: str) -> None:
    command, answer = COMMANDS[name]
    with connect(listen(world, name, "192.0.2.0/24")) as sock:
        assert line_of(sock).startswith(GREETINGS[name])
        sock.sendall(HEADER + command)
        assert line_of(sock).startswith(UNKNOWN[name])
        assert line_of(sock).startswith(answer)


# ------------------------------------------------------------------------------- early talkers


class Nobody(Handler):
    """Takes nothing."""

    def __init__(self, origin: Origin) -> None:
        pass

    def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply:
        return smtp.Reply(550, "Nobody is here")

    def content(self, data: bytes) -> None:
        pass

    def end(self) -> None:
        pass


def serve(facade: Facade, **options: Any) -> Any:
    if facade.loop is None:
        return sync.smtp.serve(Nobody, "127.0.0.1", **options)
    return Blocking(facade.loop, facade.loop.run(aio.smtp.serve(Nobody, "127.0.0.1", **options)))


@pytest.mark.parity("smtp-server early talkers and other protocols")
@pytest.mark.parametrize("lmtp", [False, True])
def test_who_speaks_before_the_greeting_is_refused(facade: Facade, lmtp: bool) -> None:
    options: ServerOptions = {"lmtp": lmtp, "greeting_delay": 30.0}
    with serve(facade, **options) as server, connect(server.port) as sock:
        # Long before the delay is over.
        sock.sendall(b"LHLO a\r\n" if lmtp else b"EHLO a\r\n")
        assert all_of(sock).startswith(b"554 ")
    options = {"lmtp": lmtp, "greeting_delay": 0.01}
    with serve(facade, **options) as server, connect(server.port) as sock:
        assert line_of(sock).startswith(b"220 ")
        sock.sendall(b"NOOP\r\n")
        assert line_of(sock).startswith(b"250 ")


EARLY = {
    "smtp": b"554 ",
    "submission": b"554 ",
    "lmtp": b"554 ",
    "imap": b"* BYE ",
    "pop3": b"-ERR ",
}


@pytest.mark.parity(
    "smtp-server early talkers and other protocols", "pop3-server early talkers and other protocols"
)
@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize("tls", [False, True])
def test_P13_early_talkers_on_every_port(world: World, name: str, tls: bool) -> None:
    """A command, or a handshake where plain text was expected; long before the delay is over."""
    command, answer = COMMANDS[name]
    port = world.server.listen(
        "127.0.0.1", 0, evolve(world.services, greeting_delay=30.0).sessions(name)
    )
    with connect(port) as sock:
        sock.sendall(client_hello() if tls else command * 3)
        said = all_of(sock)
    assert said.startswith(EARLY[name])
    assert answer not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", PORTS)
def test_who_waits_for_the_greeting_of_any_port_gets_it(world: World, name: str) -> None:
    command, answer = COMMANDS[name]
    port = world.server.listen(
        "127.0.0.1", 0, evolve(world.services, greeting_delay=0.01).sessions(name)
    )
    with connect(port) as sock:
        assert line_of(sock).startswith(GREETINGS[name])
        sock.sendall(command)
        assert line_of(sock).startswith(answer)
