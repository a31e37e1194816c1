"""Postfix as a client of ours: it submits, relays, and delivers by LMTP.

Postfix 3.7 sends no BDAT, whatever it is offered; Exim does (`test_exim.py`).
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Sequence

import pytest

from facades.world import Facade
from interop.conftest import CONTROL, Observer
from interop.mail import RECIPIENT, SENDER, assert_same_mail, make_message, make_utf8_message
from interop.peers.mail_server import Relay
from interop.peers.postfix import Postfix
from interop.peers.process import eventually
from interop.peers.recorder import recording
from interop.peers.serve import Serve
from mailproto import smtp
from mailproto.cli.certificate import CertificateFiles

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")


def inject(
    postfix: Postfix,
    *recipients: str,
    message: bytes,
    mail_options: Sequence[str] = (),
    rcpt_options: Sequence[str] = (),
) -> None:
    with smtplib.SMTP(postfix.host, postfix.smtp, timeout=20) as client:
        client.sendmail(SENDER, list(recipients), message, mail_options, rcpt_options)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_postfix_submits_to_us_with_authentication(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix], *, tls: bool
) -> None:
    ours = start_serve(*([] if tls else ["--allow-insecure-auth"]), domain="other.test")
    relay = Relay(ours.submission, tls=tls, user="alice", password="secret")
    message = make_message(lines=3000)
    inject(start_postfix(relay=relay), "bob@other.test", message=message)
    assert_same_mail(Observer(ours).wait_for(1, "bob")[0], message)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_postfix_delivers_to_our_smtp_port(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix], *, tls: bool
) -> None:
    ours = start_serve(domain="other.test")
    postfix = start_postfix(relay=Relay(ours.smtp, tls=tls))
    for number in range(5):
        inject(
            postfix,
            "alice@other.test",
            "bob@other.test",
            message=make_message(f"number {number}"),
        )
    observer = Observer(ours)
    assert len(observer.wait_for(5, "alice")) == 5
    assert len(observer.wait_for(5, "bob")) == 5


@pytest.mark.parity("smtp-server LMTP")
def test_postfix_delivers_to_our_lmtp_port(
    start_serve: Callable[..., Serve], start_postfix: Callable[..., Postfix]
) -> None:
    ours = start_serve()
    postfix = start_postfix(lmtp_port=ours.lmtp)
    inject(postfix, RECIPIENT, "bob@peer.test", message=make_message())
    observer = Observer(ours)
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], make_message())


def test_we_relay_to_postfix(start_serve: Callable[..., Serve], postfix: Postfix) -> None:
    """Mail of an authenticated sender for another domain goes where --relay says."""
    relay = f"--relay={postfix.host}:{postfix.smtp}"
    ours = start_serve(relay, "--allow-insecure-auth", domain="home.test")
    before = len(postfix.delivered("carol"))
    with smtplib.SMTP(ours.host, ours.submission, timeout=20) as client:
        client.login("alice", "secret")
        client.sendmail("alice@home.test", ["carol@peer.test"], make_message("relayed"))
    delivered = postfix.wait_for_delivery("carol", before + 1)
    assert_same_mail(delivered[-1], make_message("relayed"))


def test_postfix_passes_on_what_it_was_told(
    facade: Facade, certificate: CertificateFiles, start_postfix: Callable[..., Postfix]
) -> None:
    """DSN, SMTPUTF8 and XFORWARD, offered by us, reach our handler under TLS."""
    offer = smtp.Offer(dsn=True)
    options = {"offer": offer, "trusts_forwarding": lambda peer: True}
    with recording(facade, certificate, **options) as recorder:
        postfix = start_postfix(relay=Relay(recorder.port, tls=True))
        inject(
            postfix,
            "j\u00f6rg@other.test",
            "nobody@other.test",
            "carol@other.test",
            message=make_utf8_message(),
            mail_options=["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", "ENVID=id+2B1"],
            rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;bob+2Bx@elsewhere.test"],
        )
        (received,) = recorder.wait_for()
    assert received.tls
    assert_same_mail(received.content, make_utf8_message())
    paths = {str(rcpt.forward_path) for rcpt in received.recipients}
    assert paths == {"j\u00f6rg@other.test", "carol@other.test"}
    assert received.mail.smtputf8
    assert received.parameter(smtp.Ret) == smtp.Ret("HDRS")
    assert received.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert received.parameter(smtp.Orcpt) == smtp.Orcpt("rfc822", "bob+x@elsewhere.test")
    assert received.parameter(smtp.Notify).events == {"SUCCESS", "DELAY"}
    assert received.attributes["ADDR"] == postfix.host
    assert received.attributes["PROTO"] == "ESMTP"
    assert received.attributes["HELO"]
    postfix.wait_for_log("<nobody@other.test>")
    postfix.wait_for_log("550 5.1.1 No such user")


def test_postfix_delivers_by_lmtp_with_an_answer_for_each(
    facade: Facade, start_postfix: Callable[..., Postfix]
) -> None:
    """The handler's replies decide, one for each recipient, after the one content."""
    with recording(facade, lmtp=True) as recorder:
        postfix = start_postfix(lmtp_port=recorder.port)
        message = make_message(lines=3000)
        inject(postfix, "alice@peer.test", "bob@peer.test", message=message)
        (received,) = recorder.wait_for()
        assert_same_mail(received.content, message)
        assert len(received.recipients) == 2
        assert len(recorder.said("LHLO")) == 1
        # Both are marked as sent, by the replies that came after the content.
        eventually("two sent", lambda: postfix.log().count("status=sent") == 2)
