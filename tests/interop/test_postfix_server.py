"""Our clients against Postfix: BDAT, DSN, SMTPUTF8, XCLIENT, XFORWARD, and what it refuses."""

from __future__ import annotations

import email
import email.message
import email.policy
from typing import Any

import pytest

from facades.world import Facade
from interop.mail import SENDER, assert_same_mail, make_message, make_utf8_message
from interop.peers.dovecot import PASSWORD
from interop.peers.postfix import UTF8_USER, Postfix
from mailproto import errors, smtp
from mailproto.flows.tls import client_context


def connect(facade: Facade, postfix: Postfix, **options: Any) -> Any:
    """A client that has authenticated and may relay; or what the options say."""
    chosen: dict[str, Any] = {
        "port": postfix.smtps,
        "tls": "implicit",
        "tls_context": client_context(str(postfix.ca)),
        "login": ("alice", PASSWORD),
        **options,
    }
    return facade.connect("smtp", chosen.pop("port"), **chosen)


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
def test_chunking(facade: Facade, postfix: Postfix, pieces: bool) -> None:
    before = len(postfix.delivered("bob"))
    octets = make_message(f"by BDAT {facade.name} {pieces}", lines=1500)
    cuts = range(0, len(octets), 7000)
    content = [octets[cut : cut + 7000] for cut in cuts] if pieces else octets
    lines: list[bytes] = []
    with connect(facade, postfix, trace=lambda _, line: lines.append(line)) as client:
        # A transaction without a recipient leaves the connection usable.
        with pytest.raises(errors.CommandFailed):
            client.send(octets, SENDER, ["nobody@peer.test"], chunking=True)
        recipients = ["bob@peer.test", "nobody@peer.test"]
        result = client.send(content, SENDER, recipients, chunking=True)
        assert [str(r.forward_path) for r in result.delivered] == ["bob@peer.test"]
        assert result.queue_id in postfix.log()
    chunks = [line for line in lines if line.startswith(b"BDAT ")]
    # The first message went with its envelope, before its recipient was refused.
    assert len(chunks) == 1 + (len(cuts) if pieces else 1)
    assert_same_mail(postfix.wait_for_delivery("bob", before + 1)[-1], octets)


@pytest.mark.parity("smtp-client DSN")
def test_postfix_notifies_as_it_was_told(facade: Facade, postfix: Postfix) -> None:
    """RET, ENVID, NOTIFY and ORCPT, seen in the delivery status notification."""
    before = len(postfix.delivered("carol"))
    told = smtp.Notify(frozenset(("SUCCESS", "FAILURE")))
    recipient = smtp.Rcpt(
        smtp.Mailbox.parse("bob@peer.test"),
        (told, smtp.Orcpt("rfc822", "bob+original@elsewhere.test")),
    )
    parameters = (smtp.Ret("HDRS"), smtp.EnvId(f"id 1+1={facade.name}"))
    with connect(facade, postfix) as client:
        client.send(make_message(), "carol@peer.test", [recipient], parameters=parameters)
    octets = postfix.wait_for_delivery("carol", before + 1)[-1]
    report = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(report, email.message.EmailMessage)
    assert report.get_content_type() == "multipart/report"
    _, status, returned = report.iter_parts()
    fields = status.as_string()
    assert f"Original-Envelope-Id: id 1+1={facade.name}" in fields
    assert "Original-Recipient: rfc822;bob+original@elsewhere.test" in fields
    assert "Action: delivered" in fields
    assert returned.get_content_type() == "text/rfc822-headers"


def test_utf8_addresses(facade: Facade, postfix: Postfix) -> None:
    before = len(postfix.delivered(UTF8_USER))
    message = make_utf8_message()
    with connect(facade, postfix) as client:
        result = client.send(message, "j\u00f6rg@elsewhere.test", [f"{UTF8_USER}@peer.test"])
        result.check()
        assert client.verify(f"{UTF8_USER}@peer.test").positive
    delivered = postfix.wait_for_delivery(UTF8_USER, before + 1)[-1]
    assert_same_mail(delivered, message)
    assert "Return-Path: <j\u00f6rg@elsewhere.test>".encode() in delivered
    assert b"with UTF8SMTPSA" in delivered


def test_postfix_believes_our_xclient(facade: Facade, postfix: Postfix) -> None:
    """It relates the message to the client that we name, in its trace field and in its log."""
    before = len(postfix.delivered("bob"))
    said = (("NAME", "spike.example"), ("ADDR", "192.0.2.77"), ("HELO", "hello.example"))
    message = make_message(f"xclient {facade.name}")
    with connect(facade, postfix, port=postfix.forwarding, tls="none", login=None) as client:
        assert client.capabilities is not None
        assert "ADDR" in client.capabilities.keywords["XCLIENT"]
        assert client.call(smtp.XClient(said)).code == 220
        client.run(client.session.hello())
        client.send(message, SENDER, ["bob@peer.test"])
    delivered = postfix.wait_for_delivery("bob", before + 1)[-1]
    assert_same_mail(delivered, message)
    assert b"(spike.example [192.0.2.77])" in delivered
    assert "client=spike.example[192.0.2.77]" in postfix.log()


def test_postfix_takes_our_xforward_to_its_log(facade: Facade, postfix: Postfix) -> None:
    name = f"origin-{facade.name}.example"
    said = (("NAME", name), ("ADDR", "192.0.2.78"), ("PROTO", "ESMTP"))
    with connect(facade, postfix, port=postfix.forwarding, tls="none", login=None) as client:
        assert client.call(smtp.XForward(said)).code == 250
        client.send(make_message("xforward"), SENDER, ["bob@peer.test"])
    postfix.wait_for_log(f"orig_client={name}[192.0.2.78]")


def test_postfix_refuses_forwarding_from_others(facade: Facade, postfix: Postfix) -> None:
    with connect(facade, postfix, port=postfix.smtp, tls="none", login=None) as client:
        with pytest.raises(errors.LocalProtocolError, match="XCLIENT"):
            client.call(smtp.XClient((("ADDR", "192.0.2.1"),)))
        assert client.noop().code == 250
