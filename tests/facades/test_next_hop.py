"""A message through two servers of one facade, with all that its transaction carries, under TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from facades.world import USERS, Blocking, Facade
from mailproto import aio, smtp, sync
from mailproto.backend import MemoryStore
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.smtp_server import Handler, Origin
from mailproto.flows.tls import client_context, server_context

OFFER = smtp.Offer(binarymime=True, dsn=True, requiretls=True, mt_priority="")
ALICE = smtp.Mailbox("alice", "localhost")
CAROL = smtp.Rcpt(smtp.Mailbox("carol", "elsewhere.example"), (smtp.Notify(frozenset()),))
BINARY = b"Subject: any octets\r\n\r\n" + bytes(range(256)) * 2000


class Inbox(Handler):
    """Takes everything."""

    received: list[tuple[smtp.Mail, list[smtp.Rcpt], bytes, bool]]

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def mail(self, mail: smtp.Mail) -> None:
        self._mail = mail
        self._recipients: list[smtp.Rcpt] = []
        self._pieces: list[bytes] = []

    def rcpt(self, rcpt: smtp.Rcpt) -> None:
        self._recipients.append(rcpt)

    def content(self, data: bytes) -> None:
        self._pieces.append(data)

    def end(self) -> smtp.Reply:
        content = b"".join(self._pieces)
        type(self).received.append((self._mail, self._recipients, content, self._origin.tls))
        return smtp.Reply(250, "OK id=here-7", smtp.EnhancedCode(2, 0, 0))


@pytest.fixture
def destination(facade: Facade, certificate: CertificateFiles) -> Iterator[int]:
    """A server with the extensions; its port."""
    Inbox.received = []
    options: dict[str, Any] = {
        "tls_context": server_context(certificate.cert, certificate.key),
        "offer": OFFER,
    }
    if facade.loop is None:
        server: Any = sync.smtp.serve(Inbox, "127.0.0.1", **options)
    else:
        made = facade.loop.run(aio.smtp.serve(Inbox, "127.0.0.1", **options))
        server = Blocking(facade.loop, made)
    with server:
        yield server.port


@pytest.mark.parity(
    "smtp-client BINARYMIME",
    "smtp-client REQUIRETLS",
    "smtp-server BINARYMIME",
    "smtp-server REQUIRETLS",
)
@pytest.mark.parametrize("tls", ["starttls", "none"])
def test_a_submission_goes_on_with_what_it_carries(
    facade: Facade, certificate: CertificateFiles, destination: int, tls: Any
) -> None:
    trust = client_context(certificate.cert)
    relay = sync.relay if facade.name == "sync" else aio.relay
    services = Services(
        MemoryStore(),
        USERS,
        hostname="relay.example",
        next_hop=relay(
            "localhost", destination, domain="relay.example", tls=tls, tls_context=trust
        ),
        smtp_offer=OFFER,
    )
    parameters = (smtp.Ret("HDRS"), smtp.MtPriority(-3), smtp.RequireTLS())
    mail = smtp.Mail(ALICE, body=smtp.BodyType.BINARY_MIME, parameters=parameters)
    server = facade.server(services)
    with server:
        port = server.listen(
            "127.0.0.1",
            0,
            services.sessions("submission"),
            tls=server_context(certificate.cert, certificate.key),
        )
        login = ("alice", "wonderland")
        with facade.connect("smtp", port, login=login, tls_context=trust) as client:
            if tls == "none":
                # REQUIRETLS is kept by the server in between too (RFC 8689).
                with pytest.raises(sync.smtp.DeliveryFailed, match=r"5\.7\.10"):
                    client.send(BINARY, mail, [CAROL])
                assert Inbox.received == []
                return
            result = client.send(BINARY, mail, [CAROL])
    assert len(result.delivered) == 1
    ((received, recipients, content, under_tls),) = Inbox.received
    assert (received.reverse_path, received.body) == (ALICE, smtp.BodyType.BINARY_MIME)
    assert received.parameters == parameters
    assert recipients == [CAROL]
    assert content.startswith(b"Received: from ")
    assert content.endswith(b"\r\n" + BINARY)
    assert under_tls


@pytest.mark.parametrize("chunking", [None, True])
def test_a_relay_sends_any_octets(
    facade: Facade, certificate: CertificateFiles, destination: int, chunking: bool | None
) -> None:
    options: dict[str, Any] = {
        "smart_host": "localhost",
        "port": destination,
        "tls": "required",
        "tls_context": client_context(certificate.cert),
    }
    arguments: dict[str, Any] = {"body": smtp.BodyType.BINARY_MIME, "chunking": chunking}
    parameters = (smtp.RequireTLS(),)
    if facade.loop is None:
        result = sync.smtp.Relay(**options).send(
            BINARY, ALICE, [CAROL], parameters=parameters, **arguments
        )
    else:
        sending = aio.smtp.Relay(**options).send(
            BINARY, ALICE, [CAROL], parameters=parameters, **arguments
        )
        result = facade.loop.run(sending)
    assert result.queue_id == "here-7"
    assert result.attempts[-1].left_out == ()
    ((received, recipients, content, _),) = Inbox.received
    assert received.parameters == parameters
    assert (recipients, content) == ([CAROL], BINARY)
