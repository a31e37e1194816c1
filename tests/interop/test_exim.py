"""Exim 4 on both sides: a server for our clients, and a client that sends us BDAT."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

import pytest

from facades.world import Facade
from interop.conftest import CONTROL, Observer, ServeFactory
from interop.mail import SENDER, assert_same_mail, make_message, make_utf8_message
from interop.peers.dovecot import PASSWORD
from interop.peers.exim import Exim, run_exim
from interop.peers.mail_server import Relay
from interop.peers.recorder import Accounts, recording
from mailproto import errors, sasl, smtp
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="one of the two is ours by nature")

# ------------------------------------------------------------------------- as a server


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
def test_our_client_sends_to_exim(facade: Facade, exim: Exim, tls: str, chunking: bool) -> None:
    before = len(exim.delivered("bob"))
    message = make_message(f"{facade.name} {tls} {chunking}", lines=2000)
    context = None if tls == "none" else client_context(str(exim.ca))
    port = exim.smtps if tls == "implicit" else exim.smtp
    with facade.connect("smtp", port, tls=tls, tls_context=context) as client:
        recipients = ["bob@peer.test", "nobody@peer.test"]
        result = client.send(message, SENDER, recipients, chunking=chunking)
        assert [str(r.forward_path) for r in result.delivered] == ["bob@peer.test"]
        assert result.queue_id in exim.log()
        with pytest.raises(errors.CommandFailed, match="relay not permitted"):
            client.send(message, SENDER, ["someone@other.test"])
        assert client.verify("bob@peer.test").code == 250
        assert client.expand("bob@peer.test").code == 250
        assert client.verify("nobody@peer.test").code == 550
    assert_same_mail(exim.wait_for_delivery("bob", before + 1)[-1], message)


def test_chunks_and_utf8_to_exim(facade: Facade, exim: Exim) -> None:
    before = len(exim.delivered("carol"))
    message = make_utf8_message(f"chunks {facade.name}")
    pieces = [message[cut : cut + 50] for cut in range(0, len(message), 50)]
    with facade.connect("smtp", exim.smtp, tls="none") as client:
        client.send(pieces, "j\u00f6rg@elsewhere.test", ["carol@peer.test"], chunking=True)
    delivered = exim.wait_for_delivery("carol", before + 1)[-1]
    assert_same_mail(delivered, message)
    assert b"with utf8esmtp" in delivered
    assert "(envelope-from <j\u00f6rg@elsewhere.test>)".encode() in delivered


@pytest.mark.parametrize("mechanism", [sasl.PLAIN, sasl.LOGIN, sasl.CRAM_MD5])
def test_authentication_at_exim(facade: Facade, exim: Exim, mechanism: sasl.Mechanism) -> None:
    context = client_context(str(exim.ca))
    with facade.connect("smtp", exim.smtp, tls="starttls", tls_context=context) as client:
        for password, accepted in (("wrong", False), (PASSWORD, True)):
            credentials = sasl.PasswordCredentials("alice", password)
            flow = client.session.authenticate(credentials, mechanisms=[mechanism])
            if accepted:
                assert client.run(flow).code == 235
            else:
                with pytest.raises(errors.AuthenticationFailed):
                    client.run(flow)


# ------------------------------------------------------------------------- as a client


def inject(
    exim: Exim,
    *recipients: str,
    message: bytes,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
) -> None:
    with smtplib.SMTP(exim.host, exim.smtp, timeout=20) as client:
        client.sendmail(SENDER, list(recipients), message, mail_options, rcpt_options)


def test_exim_sends_us_chunks_under_tls(facade: Facade, certificate: CertificateFiles) -> None:
    """BDAT, SMTPUTF8 and DSN; a refused recipient stays Exim's to report."""
    message = make_utf8_message() + b"line of many\r\n" * 20_000
    offer = smtp.Offer(dsn=True)
    with (
        recording(facade, certificate, offer=offer) as recorder,
        run_exim(certificate, relay=Relay(recorder.port, tls=True)) as exim,
    ):
        inject(
            exim,
            "j\u00f6rg@other.test",
            "nobody@other.test",
            message=message,
            mail_options=["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", "ENVID=id+2B1"],
            rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bob+2Bx@elsewhere.test"],
        )
        (received,) = recorder.wait_for()
        exim.wait_for_log("** nobody@other.test")
    chunks = recorder.said("BDAT")
    assert len(chunks) > 1
    assert chunks[-1].upper().endswith(" LAST")
    assert not recorder.said("DATA")
    assert received.tls
    assert_same_mail(received.content, message)
    assert [str(rcpt.forward_path) for rcpt in received.recipients] == ["j\u00f6rg@other.test"]
    assert received.mail.smtputf8
    assert received.parameter(smtp.Ret) == smtp.Ret("HDRS")
    assert received.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert received.parameter(smtp.Orcpt) == smtp.Orcpt("rfc822", "bob+x@elsewhere.test")
    assert received.parameter(smtp.Notify).events == {"SUCCESS", "DELAY"}


def test_exim_authenticates_to_us(facade: Facade, certificate: CertificateFiles) -> None:
    with (
        recording(facade, certificate, directory=Accounts(), require_auth=True) as recorder,
        run_exim(
            certificate,
            relay=Relay(recorder.port, tls=True, user="alice", password=PASSWORD),
        ) as exim,
    ):
        inject(exim, "bob@other.test", message=make_message())
        (received,) = recorder.wait_for()
    assert received.account == "alice"
    assert_same_mail(received.content, make_message())


def test_exim_delivers_to_our_lmtp_port(
    start_serve: ServeFactory, certificate: CertificateFiles
) -> None:
    ours = start_serve()
    with run_exim(certificate, lmtp_port=ours.lmtp) as exim:
        inject(exim, "alice@peer.test", "bob@peer.test", message=make_message())
        for user in ("alice", "bob"):
            assert_same_mail(Observer(ours).wait_for(1, user)[0], make_message())
