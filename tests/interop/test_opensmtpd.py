"""OpenSMTPD on both sides: a server without PIPELINING, and a client of another family."""

from __future__ import annotations

import smtplib

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.dovecot import PASSWORD
from interop.peers.mail_server import Relay
from interop.peers.opensmtpd import OpenSMTPD, run_opensmtpd
from interop.peers.process import eventually
from interop.peers.recorder import Accounts, recording
from mailproto import errors, smtp
from mailproto.cli.certificate import CertificateFiles

pytestmark = pytest.mark.skipif(CONTROL, reason="one of the two is ours by nature")


def inject(server: OpenSMTPD, *recipients: str, message: bytes) -> None:
    with smtplib.SMTP(server.host, server.smtp, timeout=20) as client:
        client.sendmail(SENDER, list(recipients), message)


def test_our_client_sends_to_opensmtpd(facade: Facade, certificate: CertificateFiles) -> None:
    """Command by command, with a refusal among the recipients, DSN, and two messages."""
    first, second = make_message("first", lines=2000), make_message("second")
    with run_opensmtpd(certificate) as server:
        with facade.connect("smtp", server.smtp, tls="none") as client:
            assert client.capabilities is not None
            assert "PIPELINING" not in client.capabilities
            never = smtp.Notify(frozenset())
            bob = smtp.Rcpt(smtp.Mailbox.parse("bob@peer.test"), (never,))
            recipients = [bob, "nobody@peer.test", "carol@peer.test"]
            parameters = (smtp.Ret("HDRS"), smtp.EnvId("id+1"))
            result = client.send(first, SENDER, recipients, parameters=parameters)
            assert result.delivered == (result.recipients[0], result.recipients[2])
            with pytest.raises(errors.CommandFailed):
                client.send(first, SENDER, ["someone@other.test"])
            client.send(second, SENDER, ["bob@peer.test"])
        # Deliveries are made at once and may change places.
        delivered = server.wait_for_delivery("bob", 2)
        assert_same_mail(next(m for m in delivered if b"Subject: first" in m), first)
        assert_same_mail(next(m for m in delivered if b"Subject: second" in m), second)
        assert_same_mail(server.wait_for_delivery("carol", 1)[0], first)


def test_opensmtpd_relays_to_us(facade: Facade, certificate: CertificateFiles) -> None:
    message = make_message("relayed", lines=2000)
    with (
        recording(facade) as recorder,
        run_opensmtpd(certificate, relay=Relay(recorder.port)) as server,
    ):
        inject(server, "bob@other.test", "carol@other.test", message=message)
        # In one transaction or two: that is its own business.
        eventually("both", lambda: sum(len(m.recipients) for m in recorder.messages) == 2)
        for received in recorder.messages:
            assert_same_mail(received.content, message)
        inject(server, "nobody@other.test", message=message)
        server.wait_for_log("550 5.1.1 No such user")


def test_opensmtpd_authenticates_to_us_under_tls(
    facade: Facade, certificate: CertificateFiles
) -> None:
    with recording(facade, certificate, directory=Accounts(), require_auth=True) as recorder:
        relay = Relay(recorder.port, tls=True, user="alice", password=PASSWORD)
        with run_opensmtpd(certificate, relay=relay) as server:
            inject(server, "bob@other.test", message=make_message())
            (received,) = recorder.wait_for()
    assert received.tls
    assert received.account == "alice"
    assert_same_mail(received.content, make_message())


def test_opensmtpd_delivers_by_lmtp_to_us(facade: Facade, certificate: CertificateFiles) -> None:
    with (
        recording(facade, lmtp=True) as recorder,
        run_opensmtpd(certificate, lmtp_port=recorder.port) as server,
    ):
        inject(server, "bob@peer.test", message=make_message())
        (received,) = recorder.wait_for()
        server.wait_for_log("stat=Delivered")
    assert_same_mail(received.content, make_message())
    assert len(recorder.said("LHLO")) == 1
