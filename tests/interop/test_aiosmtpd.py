"""Our clients against aiosmtpd, the server of many test suites: SMTP, AUTH, STARTTLS and LMTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from facades.world import Facade, Loop
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message, make_utf8_message
from interop.peers.dovecot import PASSWORD
from interop.peers.process import HOST
from mailproto import errors, sasl
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="the client under test is ours by nature")


class Keeper:
    """Takes mail for everyone but `nobody`."""

    def __init__(self) -> None:
        self.messages: list[tuple[Envelope, bytes | None]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.messages.append((envelope, getattr(session.auth_data, "login", None)))
        return "250 OK: queued as 12345"


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    right = (login.login, login.password) == (b"alice", PASSWORD.encode())
    return AuthResult(success=right, handled=False, auth_data=login)


@contextmanager
def running(kind: type[SMTP] = SMTP, **options: Any) -> Iterator[tuple[Keeper, int]]:
    """A server on a loop in a thread of its own, on a port that the system chose."""
    keeper = Keeper()
    loop = Loop()

    async def start() -> asyncio.Server:
        return await loop.loop.create_server(
            lambda: kind(keeper, enable_SMTPUTF8=True, loop=loop.loop, **options), HOST, 0
        )

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = loop.run(start())
    try:
        yield keeper, server.sockets[0].getsockname()[1]
    finally:
        loop.run(stop())
        loop.close()


@pytest.fixture
def tls(certificate: CertificateFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert, certificate.key)
    return context


@pytest.mark.parametrize("mode", ["none", "starttls"])
def test_our_client_sends(
    facade: Facade, certificate: CertificateFiles, tls: ssl.SSLContext, mode: str
) -> None:
    message = make_message(lines=2000)
    with running(tls_context=tls) as (keeper, port):
        context = client_context(certificate.cert)
        with facade.connect("smtp", port, tls=mode, tls_context=context) as client:
            recipients = ["bob@peer.test", "nobody@peer.test", "carol@peer.test"]
            result = client.send(message, SENDER, recipients)
            assert result.delivered == (result.recipients[0], result.recipients[2])
            assert result.queue_id == "12345"
            client.send(make_utf8_message(), "j\u00f6rg@elsewhere.test", ["j\u00f6rg@peer.test"])
            with pytest.raises(errors.CommandFailed):
                client.send(message, SENDER, ["nobody@peer.test"])
            assert client.verify("bob@peer.test").positive
            assert client.help().positive
            assert client.noop().positive
        (first, _), (second, _) = keeper.messages
    assert first.content == message
    assert first.rcpt_tos == ["bob@peer.test", "carol@peer.test"]
    assert second.mail_from == "j\u00f6rg@elsewhere.test"
    assert second.smtp_utf8
    assert isinstance(second.content, bytes)
    assert_same_mail(second.content, make_utf8_message())


@pytest.mark.parametrize("mechanism", [sasl.PLAIN, sasl.LOGIN], ids=["PLAIN", "LOGIN"])
def test_our_client_authenticates(
    facade: Facade, certificate: CertificateFiles, tls: ssl.SSLContext, mechanism: sasl.Mechanism
) -> None:
    with running(tls_context=tls, auth_required=True, authenticator=authenticate) as (
        keeper,
        port,
    ):
        context = client_context(certificate.cert)
        with facade.connect("smtp", port, tls="starttls", tls_context=context) as client:
            with pytest.raises(errors.CommandFailed, match="530"):
                client.send(make_message(), SENDER, ["bob@peer.test"])
            for password, accepted in (("wrong", False), (PASSWORD, True)):
                credentials = sasl.PasswordCredentials("alice", password)
                flow = client.session.authenticate(credentials, mechanisms=[mechanism])
                if accepted:
                    assert client.run(flow).code == 235
                else:
                    with pytest.raises(errors.AuthenticationFailed):
                        client.run(flow)
            client.send(make_message(), SENDER, ["bob@peer.test"])
        ((_, login),) = keeper.messages
    assert login == b"alice"


def test_our_client_speaks_lmtp(facade: Facade) -> None:
    message = make_message(lines=2000)
    with running(LMTP) as (keeper, port):
        with facade.connect("smtp", port, tls="none", lmtp=True) as client:
            client.send(message, SENDER, ["bob@peer.test"])
        ((envelope, _),) = keeper.messages
    assert envelope.content == message
