"""Sendmail between our client and our server: DELIVERBY, DSN, ETRN, EXPN and VRFY.

It passes on what it was told, so both ends are ours and what travels is read by another in between.
"""

from __future__ import annotations

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.recorder import recording
from interop.peers.sendmail import run_sendmail
from mailproto import errors, smtp
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="both ends are ours by nature")


def test_sendmail_passes_on_what_our_client_said(
    facade: Facade, certificate: CertificateFiles
) -> None:
    message = make_message("through Sendmail", lines=2000)
    recipient = smtp.Rcpt(
        smtp.Mailbox.parse("bob@other.test"),
        (
            smtp.Notify(frozenset(("SUCCESS", "FAILURE"))),
            smtp.Orcpt("rfc822", "bob+x@elsewhere.test"),
        ),
    )
    parameters = (smtp.DeliverBy(1000, "R"), smtp.Ret("HDRS"), smtp.EnvId("id+1"))
    with (
        recording(facade, offer=smtp.Offer(dsn=True, deliver_by=10)) as recorder,
        run_sendmail(certificate, recorder.port) as sendmail,
    ):
        context = client_context(str(certificate.cert))
        with facade.connect("smtp", sendmail.smtp, tls="starttls", tls_context=context) as client:
            assert client.capabilities is not None
            assert client.capabilities.keywords["DELIVERBY"] == ("10",)
            result = client.send(message, SENDER, [recipient], parameters=parameters)
            result.check()
        (received,) = recorder.wait_for()
    assert_same_mail(received.content, message)
    by = received.parameter(smtp.DeliverBy)
    assert by.mode == "R"
    assert 0 < by.seconds <= 1000
    assert received.parameter(smtp.Ret) == smtp.Ret("HDRS")
    assert received.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert received.parameter(smtp.Orcpt) == smtp.Orcpt("rfc822", "bob+x@elsewhere.test")
    assert received.parameter(smtp.Notify).events == {"SUCCESS", "FAILURE"}


def test_commands_at_sendmail(facade: Facade, certificate: CertificateFiles) -> None:
    with (
        recording(facade) as recorder,
        run_sendmail(certificate, recorder.port) as sendmail,
        facade.connect("smtp", sendmail.smtp, tls="none") as client,
    ):
        started = client.call(smtp.Etrn("peer.test"))
        assert (started.code, started.enhanced) == (250, smtp.EnhancedCode(2, 0, 0))
        assert client.call(smtp.Etrn("peer.test", "@")).code == 250
        # It has no queue groups.
        assert client.call(smtp.Etrn("group", "#")).code == 459
        expanded = client.expand("mail")
        assert expanded.code == 250
        assert "@sendmail.peer.test>" in expanded.text
        assert client.verify("mail").code == 250
        # Less time than what Sendmail announces is not even asked for.
        soon = (smtp.DeliverBy(2, "R"),)
        with pytest.raises(errors.LocalProtocolError, match="10 seconds"):
            client.send(make_message(), SENDER, ["bob@other.test"], parameters=soon)
        client.send(make_message(), SENDER, ["bob@other.test"])
        recorder.wait_for()
