"""A server of one's own in either facade, seen by smtplib."""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import pytest

from facades.world import Blocking, Facade
from mailproto import aio, smtp, sync
from mailproto._core.limits import SMTPServerLimits
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.errors import LocalProtocolError
from mailproto.flows.effects import Flow
from mailproto.flows.smtp_client import Session
from mailproto.flows.tls import client_context, server_context
from mailproto.sync.smtp import Handler, Origin

CONTENT = b"Subject: one\r\n\r\nbody\r\n"
SENDER = "carol@elsewhere.example"


class Inbox(Handler):
    """Takes mail for bob@ and anna@ only."""

    made: list[Inbox]

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.pieces: list[bytes] = []
        self.messages: list[bytes] = []
        self.recipients: list[str] = []
        type(self).made.append(self)

    def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply | None:
        if not str(rcpt.forward_path).startswith(("bob@", "anna@")):
            return smtp.Reply(550, "No such user here", smtp.EnhancedCode(5, 1, 1))
        self.recipients.append(str(rcpt.forward_path))
        return None

    def content(self, data: bytes) -> None:
        self.pieces.append(data)

    def end(self) -> Sequence[smtp.Reply] | None:
        self.messages.append(b"".join(self.pieces))
        return None


class SlowInbox(Inbox):
    """The same, answering later."""

    async def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply | None:  # type: ignore[override]  # an awaitable answer
        return super().rcpt(rcpt)


def serve(facade: Facade, handler: Any = Inbox, **options: Any) -> Any:
    """``serve`` of the facade, and its server with blocking methods."""
    Inbox.made = []
    if facade.loop is None:
        return sync.smtp.serve(handler, "127.0.0.1", **options)
    return Blocking(facade.loop, facade.loop.run(aio.smtp.serve(handler, "127.0.0.1", **options)))


def test_mail_goes_to_the_handler(facade: Facade) -> None:
    with serve(facade, hostname="mx.example.com") as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            assert client.ehlo("client.example")[1].startswith(b"mx.example.com")
            assert not client.has_extn("starttls")
            assert not client.has_extn("auth")
            refused = client.sendmail(SENDER, ["bob@x.example", "eve@x.example"], CONTENT)
        assert refused == {"eve@x.example": (550, b"5.1.1 No such user here")}
        (inbox,) = Inbox.made
        assert inbox.messages == [CONTENT]
        assert inbox.recipients == ["bob@x.example"]
        assert inbox.origin.hello == "client.example"
        assert inbox.origin.peer is not None
        assert inbox.origin.peer.address == "127.0.0.1"
        port = server.port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1.0)


def test_a_handler_may_answer_later_under_aio_only(facade: Facade) -> None:
    with serve(facade, SlowInbox) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        if facade.loop is None:
            with pytest.raises(smtplib.SMTPException) as refused:
                client.sendmail(SENDER, ["bob@x.example"], CONTENT)
            assert "421" in str(refused.value)
        else:
            assert client.sendmail(SENDER, ["bob@x.example"], CONTENT) == {}


def test_lmtp_answers_for_each_recipient(facade: Facade) -> None:
    class Mixed(Inbox):
        def end(self) -> Sequence[smtp.Reply]:
            return [smtp.Reply(250, "ok"), smtp.Reply(452, "full")]

    with (
        serve(facade, Mixed, lmtp=True) as server,
        sync.smtp.connect("127.0.0.1", server.port, tls="none", lmtp=True) as client,
    ):
        result = client.send(CONTENT, SENDER, ["bob@x.example", "anna@x.example"])
    assert [str(r.reply) for r in result.recipients] == ["250 2.0.0 ok", "452 4.0.0 full"]


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_logins(facade: Facade, certificate: CertificateFiles, implicit: bool) -> None:
    trust = client_context(certificate.cert)
    options: dict[str, Any] = {
        "tls_context": server_context(certificate.cert, certificate.key),
        "implicit_tls": implicit,
        "directory": Users({"alice": "secret"}),
        "require_auth": True,
    }

    def connect(port: int) -> smtplib.SMTP:
        if implicit:
            return smtplib.SMTP_SSL("localhost", port, context=trust)
        client = smtplib.SMTP("localhost", port)
        client.ehlo()
        assert not client.has_extn("auth")
        client.starttls(context=trust)
        return client

    with serve(facade, **options) as server:
        with connect(server.port) as client:
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                client.sendmail(SENDER, ["bob@x.example"], CONTENT)
            assert refused.value.smtp_code == 530
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("alice", "wrong")
            client.login("alice", "secret")
            client.sendmail(SENDER, ["bob@x.example"], CONTENT)
            assert isinstance(client.sock, ssl.SSLSocket)
        assert [(i.origin.account, i.origin.tls) for i in Inbox.made] == [("alice", True)]
        assert Inbox.made[0].messages == [CONTENT]


def test_a_login_without_tls_only_by_name(facade: Facade) -> None:
    users = Users({"alice": "secret"})
    with serve(facade, directory=users) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert not client.has_extn("auth")
    with (
        serve(facade, directory=users, allow_insecure_auth=True) as server,
        smtplib.SMTP("127.0.0.1", server.port) as client,
    ):
        client.login("alice", "secret")


def test_limits_extensions_and_the_trace(facade: Facade) -> None:
    lines: list[tuple[str, bytes]] = []
    options: dict[str, Any] = {
        "limits": SMTPServerLimits(content=1000),
        "offer": smtp.Offer(extensions=(smtp.Extension("XMORE", ("a", "b")),)),
        "trace": lambda side, line: lines.append((side, line)),
    }
    with serve(facade, **options) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "1000"
        assert client.esmtp_features["xmore"] == "a b"
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(SENDER, ["bob@x.example"], b"x\r\n" * 400)
    assert ("C", b"QUIT") in lines


def test_early_talkers_forwarding_and_limits_that_are_told(facade: Facade) -> None:
    options: dict[str, Any] = {
        "offer": smtp.Offer(advertise_limits=True),
        "trusts_forwarding": lambda peer: peer.address == "127.0.0.1",
        "greeting_delay": 0.1,
    }
    with serve(facade, **options) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo()
            assert "RCPTMAX" in client.esmtp_features["limits"]
            assert client.has_extn("xclient")
        with socket.create_connection(("127.0.0.1", server.port), 10.0) as early:
            early.sendall(b"EHLO early.example\r\n")
            assert early.recv(4096).startswith(b"5")


def test_a_client_that_says_nothing_is_told_so(facade: Facade) -> None:
    with (
        serve(facade, timeout=0.1) as server,
        socket.create_connection(("127.0.0.1", server.port), 10.0) as client,
    ):
        said = b""
        while data := client.recv(4096):
            said += data
    assert said.split(b"\r\n")[1].startswith(b"421 ")


def test_behind_a_proxy(facade: Facade) -> None:
    with (
        serve(facade, proxied_by=[ipaddress.ip_network("127.0.0.0/8")]) as server,
        socket.create_connection(("127.0.0.1", server.port), 10.0) as client,
    ):
        client.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nQUIT\r\n")
        while client.recv(4096):
            pass
    (inbox,) = Inbox.made
    assert inbox.origin.peer is not None
    assert inbox.origin.peer.address == "192.0.2.7"


def test_a_server_that_ends_tells_its_clients(facade: Facade) -> None:
    server = serve(facade)
    with socket.create_connection(("127.0.0.1", server.port), 10.0) as client:
        stream = client.makefile("rb")
        assert stream.readline().startswith(b"220 ")
        server.close()
        assert stream.readline().startswith(b"421 ")
        assert stream.readline() == b""


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"implicit_tls": True}, "tls_context"),
        ({"require_auth": True}, "directory"),
        ({"hostname": "mx.example.com\r\nx"}, "position 14 of"),
    ],
)
def test_what_no_session_could_have_is_refused_at_once(
    facade: Facade, options: dict[str, Any], missing: str
) -> None:
    with pytest.raises(LocalProtocolError, match=missing):
        serve(facade, **options)


def test_a_handler_that_cannot_be_made_is_said_instead_of_a_greeting(
    facade: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(origin: Origin) -> Inbox:
        raise OSError("the spool is gone")

    with serve(facade, broken) as server, pytest.raises(smtplib.SMTPConnectError, match="421"):
        smtplib.SMTP("127.0.0.1", server.port)
    # By now the session is over.
    assert "the spool is gone" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [smtp.Reply(354, "go on"), smtp.Reply(550, "no\r\n250 yes"), OSError("the disk is full")],
    ids=["code", "newline", "OSError"],
)
def test_what_a_handler_does_wrong_is_logged(
    facade: Facade, caplog: pytest.LogCaptureFixture, answer: smtp.Reply | OSError
) -> None:
    class Wrong(Inbox):
        def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply:
            if isinstance(answer, OSError):
                raise answer
            return answer

    with (
        serve(facade, Wrong) as server,
        smtplib.SMTP("127.0.0.1", server.port) as client,
        pytest.raises(smtplib.SMTPException, match="421"),
    ):
        client.sendmail(SENDER, ["bob@x.example"], CONTENT)
    # By now the session is over.
    (record,) = (r for r in caplog.records if r.name == "mailproto")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LocalProtocolError | OSError)


class Provider(Inbox):
    """Has one message for the node example.com."""

    def etrn(self, command: smtp.Etrn) -> smtp.Reply | None:
        return None if command.node == "example.com" else smtp.Reply(459, "not yours")

    def atrn(self, command: smtp.Atrn) -> smtp.Reply | None:
        return smtp.Reply(453, "You have no mail") if command.domains else None

    def turned_round(self, session: Session) -> Flow[None]:
        yield from session.send(CONTENT, SENDER, ["bob@example.com"])


@pytest.mark.parity("smtp-client ATRN", "smtp-server ATRN", "smtp-client ETRN", "smtp-server ETRN")
def test_a_connection_is_turned_round(facade: Facade) -> None:
    users = Users({"alice": "secret"}, ["example.com"])
    options: dict[str, Any] = {
        "directory": users,
        "allow_insecure_auth": True,
        "offer": smtp.Offer(etrn=True, atrn=True),
    }
    with serve(facade, Provider, **options) as server:
        settings: dict[str, Any] = {
            "tls": "none", "login": ("alice", "secret"), "allow_insecure_auth": True
        }  # fmt: skip
        client: Any
        if facade.loop is None:
            client = sync.smtp.connect("127.0.0.1", server.port, **settings)
        else:
            opened = aio.smtp.connect("127.0.0.1", server.port, **settings)
            client = Blocking(facade.loop, facade.loop.run(_awaited(opened)))
        assert client.etrn("example.com").code == 250
        assert client.etrn("@example.org").code == 459
        assert client.atrn(Inbox, ["example.com"]).code == 453
        assert client.noop().code == 250
        Inbox.made.clear()
        assert client.atrn(Inbox, hostname="customer.example").code == 250
        (inbox,) = Inbox.made
        assert inbox.messages == [CONTENT]
        assert inbox.recipients == ["bob@example.com"]
        assert client.closed


async def _awaited(value: Any) -> Any:
    return await value
