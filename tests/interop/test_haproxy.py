"""haproxy in front of our SMTP server: the session and the trace field know its client.

The client connects from 127.0.0.2, haproxy from 127.0.0.1, so that they cannot be mistaken.
"""

from __future__ import annotations

import poplib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import cast

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import RECIPIENT, SENDER, assert_same_mail, make_message
from interop.peers.haproxy import Listener, run_haproxy
from interop.peers.process import HOST, eventually, require, run
from mailproto import proxy
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.effects import Flow
from mailproto.flows.services import Services
from mailproto.flows.serving import Network, Peer, SessionFactory
from mailproto.flows.tls import server_context
from mailproto.proxy import Command, Transport

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")

CLIENT = "127.0.0.2"
TRUSTED = (ip_network("127.0.0.1/32"),)


@dataclass
class Ours:
    """A server of ours that records the peers of its SMTP sessions."""

    facade: Facade
    certificate: CertificateFiles
    peers: list[Peer] = field(default_factory=list)

    def __post_init__(self) -> None:
        users = Users({"alice": "secret"}, ["peer.test"])
        self.services = Services(MemoryStore(), users, allow_insecure_auth=True)
        self.server = self.facade.server(self.services)

    def listen(self, name: str, proxied_by: tuple[Network, ...] = TRUSTED) -> int:
        return cast(
            "int",
            self.server.listen(
                HOST,
                0,
                self._recorded(self.services.sessions(name)),
                tls=server_context(self.certificate.cert, self.certificate.key),
                implicit_tls=name == "smtps",
                proxied_by=proxied_by,
            ),
        )

    def _recorded(self, sessions: SessionFactory) -> SessionFactory:
        def session(peer: Peer) -> Flow[None]:
            self.peers.append(peer)
            return sessions(peer)

        return session

    def header(self) -> proxy.Header:
        """What haproxy has said of the last client that is not itself."""
        peer = next(peer for peer in reversed(self.peers) if peer.address == CLIENT)
        assert peer.proxied is not None
        return peer.proxied

    def received(self) -> bytes:
        """The only message of alice."""
        client = poplib.POP3(HOST, self.server.listen(HOST, 0, self.services.sessions("pop3")))
        client.user("alice")
        client.pass_("secret")
        assert client.stat()[0] == 1
        lines = client.retr(1)[1]
        client.quit()
        return b"\r\n".join(lines) + b"\r\n"


@pytest.fixture(params=["sync", "aio"])
def ours(request: pytest.FixtureRequest, certificate: CertificateFiles) -> Iterator[Ours]:
    require("haproxy")
    facade = Facade(request.param)
    made = Ours(facade, certificate)
    yield made
    made.server.close(0.0)
    facade.close()


def deliver(connect: Callable[..., smtplib.SMTP], port: int, **options: object) -> None:
    with connect("localhost", port, timeout=20, source_address=(CLIENT, 0), **options) as client:
        client.ehlo("client.test")
        client.sendmail(SENDER, [RECIPIENT], make_message())


@pytest.mark.parity("smtp-server PROXY version 1")
@pytest.mark.parametrize("version", [1, 2])
def test_the_received_field_shows_the_client(ours: Ours, tmp_path: Path, version: int) -> None:
    options = "send-proxy" if version == 1 else "send-proxy-v2 proxy-v2-options crc32c,unique-id"
    with run_haproxy({"smtp": Listener(ours.listen("smtp"), options)}, tmp_path) as ports:
        deliver(smtplib.SMTP, ports["smtp"])
    assert ours.received().startswith(b"Return-Path: <")
    assert f"Received: from client.test ([{CLIENT}])".encode() in ours.received()
    assert_same_mail(ours.received(), make_message())
    header = ours.header()
    assert (header.version, header.transport) == (version, Transport.TCP4)
    assert header.destination is not None
    assert header.destination == proxy.InternetAddress(
        ip_network(HOST).network_address, ports["smtp"]
    )
    # haproxy computes a checksum that we verify.
    assert (proxy.CRC32C() in header.tlvs) is (version == 2)


def test_haproxy_passes_tls_through(
    ours: Ours, certificate: CertificateFiles, tmp_path: Path
) -> None:
    listener = Listener(ours.listen("smtps"), "send-proxy-v2")
    with (
        run_haproxy({"smtps": listener}, tmp_path) as ports,
        smtplib.SMTP_SSL(
            "localhost",
            ports["smtps"],
            timeout=20,
            source_address=(CLIENT, 0),
            context=ssl.create_default_context(cafile=certificate.cert),
        ) as client,
    ):
        client.login("alice", "secret")
    assert ours.header().version == 2


@pytest.mark.parity("smtp-server PROXY version 2 with TLVs")
def test_haproxy_ends_tls_and_tells_of_it(
    ours: Ours, certificate: CertificateFiles, tmp_path: Path
) -> None:
    """With a certificate of the client's and without; haproxy's ``verify`` is 0 both times."""
    own, key = tmp_path / "client.pem", tmp_path / "client.key"
    run(
        *(require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt"),
        *("ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=carol", "-days", "1"),
        *("-out", own, "-keyout", key),
    )
    both = tmp_path / "server.pem"
    both.write_text(Path(certificate.cert).read_text() + Path(certificate.key).read_text())
    listener = Listener(
        ours.listen("smtp"), "send-proxy-v2-ssl-cn", f"ssl crt {both} ca-file {own} verify optional"
    )
    context = ssl.create_default_context(cafile=certificate.cert)
    found: list[proxy.SSL] = []
    with run_haproxy({"smtps": listener}, tmp_path) as ports:
        for _ in range(2):
            with smtplib.SMTP_SSL(
                "localhost",
                ports["smtps"],
                timeout=20,
                source_address=(CLIENT, 0),
                context=context,
            ) as client:
                client.noop()
            found += [tlv for tlv in ours.header().tlvs if isinstance(tlv, proxy.SSL)]
            context.load_cert_chain(own, key)
    without, with_one = found
    assert proxy.Client.TLS in without.client
    assert (without.verify, without.verified, without.common_name) == (0, False, None)
    assert (with_one.verify, with_one.verified, with_one.common_name) == (0, True, "carol")
    assert (with_one.version or "").startswith("TLSv1.")


def test_a_health_check_of_haproxy_is_local(ours: Ours, tmp_path: Path) -> None:
    listener = Listener(ours.listen("smtp"), "send-proxy-v2 check inter 100ms")
    with run_haproxy({"smtp": listener}, tmp_path):

        def checked() -> bool:
            return any(
                peer.proxied is not None and peer.proxied.command is Command.LOCAL
                for peer in tuple(ours.peers)
            )

        # When it checks is its own business.
        eventually("a health check", checked, 60.0)
    assert {peer.address for peer in ours.peers} == {HOST}


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_P30_haproxy_is_not_believed_where_it_is_not_trusted(
    ours: Ours, tmp_path: Path, version: str
) -> None:
    listener = Listener(ours.listen("smtp", proxied_by=()), version)
    with (
        run_haproxy({"smtp": listener}, tmp_path) as ports,
        pytest.raises((smtplib.SMTPException, OSError)),
    ):
        deliver(smtplib.SMTP, ports["smtp"])
    assert {peer.address for peer in ours.peers} <= {HOST}
    assert all(peer.proxied is None for peer in ours.peers)
