"""nodemailer against our servers: the lanes, its mechanisms, a pool, DSN, attachments and LMTP."""

from __future__ import annotations

import base64
import email
import email.message
import email.policy
import hashlib
from pathlib import Path
from typing import Any

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import RECIPIENT, SENDER, Lane, assert_same_mail, every_lane, make_message
from interop.peers.dovecot import PASSWORD
from interop.peers.nodemailer import Nodemailer
from interop.peers.recorder import TOKEN, Accounts, recording
from mailproto import sasl, smtp
from mailproto.cli.certificate import CertificateFiles

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")


@pytest.fixture(scope="module")
def nodemailer() -> Nodemailer:
    return Nodemailer()


def transport(port: int, certificate: CertificateFiles | None = None, **options: Any) -> Any:
    """The options of a transport that reaches us; TLS with a certificate, and only with it."""
    chosen: dict[str, Any] = {"host": "localhost", "port": port, "name": "client.test"}
    if certificate is None:
        chosen |= {"ignoreTLS": True}
    else:
        chosen |= {"requireTLS": True, "tls": {"ca": Path(certificate.cert).read_text()}}
    return {**chosen, **options}


def raw(message: bytes, *recipients: str) -> dict[str, Any]:
    envelope = {"from": SENDER, "to": recipients or [RECIPIENT]}
    return {"envelope": envelope, "raw": message.decode()}


@every_lane
def test_send(
    facade: Facade, certificate: CertificateFiles, nodemailer: Nodemailer, lane: Lane
) -> None:
    message = make_message(lines=500)
    implicit = lane is Lane.IMPLICIT
    with recording(facade, certificate, implicit_tls=implicit) as recorder:
        trusted = None if lane is Lane.PLAIN else certificate
        done, refused = nodemailer.send(
            transport(recorder.port, trusted, secure=implicit),
            raw(message, RECIPIENT, "nobody@peer.test", "bob@peer.test"),
            raw(message, "nobody@peer.test"),
        )
        (received,) = recorder.wait_for()
    assert done["accepted"] == [RECIPIENT, "bob@peer.test"]
    assert done["rejected"] == ["nobody@peer.test"]
    assert done["response"].startswith("250 2.0.0")
    assert (refused["code"], refused["responseCode"]) == ("EENVELOPE", 550)
    assert received.tls is (lane is not Lane.PLAIN)
    assert received.hello == "client.test"
    assert_same_mail(received.content, message)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"])
def test_authentication(
    facade: Facade, certificate: CertificateFiles, nodemailer: Nodemailer, mechanism: str
) -> None:
    offered = {one.name: one for one in (sasl.PLAIN, sasl.LOGIN, sasl.CRAM_MD5, sasl.XOAUTH2)}
    with recording(
        facade,
        certificate,
        directory=Accounts(),
        sasl=sasl.Offer([offered[mechanism]]),
        require_auth=True,
    ) as recorder:

        def send(secret: str) -> dict[str, Any]:
            login = {"user": "alice", "pass": secret}
            if mechanism == "XOAUTH2":
                login = {"type": "OAuth2", "user": "alice", "accessToken": secret}
            (result,) = nodemailer.send(
                transport(recorder.port, certificate, auth=login), raw(make_message())
            )
            return result

        refused = send("wrong")
        assert (refused["code"], refused["responseCode"]) == ("EAUTH", 535), refused
        done = send(TOKEN if mechanism == "XOAUTH2" else PASSWORD)
        assert done.get("accepted") == [RECIPIENT], done
        (received,) = recorder.wait_for()
    assert received.account == "alice"
    assert recorder.said(f"AUTH {mechanism}")


def test_pool(facade: Facade, certificate: CertificateFiles, nodemailer: Nodemailer) -> None:
    """Five connections share a hundred messages."""
    with recording(facade, certificate) as recorder:
        results = nodemailer.send(
            transport(recorder.port, certificate, pool=True, maxConnections=5, maxMessages=1000),
            *[raw(make_message(f"pooled {number}")) for number in range(100)],
        )
        received = recorder.wait_for(100)
    assert all(result["accepted"] == [RECIPIENT] for result in results)
    assert len({one.content for one in received}) == 100
    # Each connection says EHLO again after STARTTLS.
    assert 2 <= len(recorder.said("EHLO")) <= 10


def test_notifications(facade: Facade, nodemailer: Nodemailer) -> None:
    dsn = {"id": "id+1", "return": "headers", "notify": ["success", "delay"], "recipient": SENDER}
    with recording(facade, offer=smtp.Offer(dsn=True)) as recorder:
        (done,) = nodemailer.send(transport(recorder.port), {**raw(make_message()), "dsn": dsn})
        assert done["accepted"] == [RECIPIENT]
        (received,) = recorder.wait_for()
    assert received.parameter(smtp.Ret) == smtp.Ret("HDRS")
    assert received.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert received.parameter(smtp.Notify).events == {"SUCCESS", "DELAY"}
    assert received.parameter(smtp.Orcpt) == smtp.Orcpt("rfc822", SENDER)


def test_attachments_and_utf8(facade: Facade, nodemailer: Nodemailer) -> None:
    """A message that nodemailer composes, of two megabytes, to an address beyond ASCII."""
    octets = hashlib.shake_256(b"attachment").digest(1_500_000)
    composed = {
        "from": f"Sender <{SENDER}>",
        "to": "J\u00f6rg <j\u00f6rg@peer.test>",
        "subject": "Gr\u00fc\u00dfe",
        "text": ".dots\n..more dots\n.\ncaf\u00e9\n",
        "html": "<p>caf\u00e9</p>",
        "attachments": [
            {"filename": "d\u00e4ten.bin", "content": base64.b64encode(octets).decode(),
             "encoding": "base64"},
        ],
    }  # fmt: skip
    with recording(facade) as recorder:
        (done,) = nodemailer.send(transport(recorder.port), composed)
        assert done["accepted"] == ["j\u00f6rg@peer.test"], done
        (received,) = recorder.wait_for()
    assert received.mail.smtputf8
    message = email.message_from_bytes(received.content, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert message["Subject"] == "Gr\u00fc\u00dfe"
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "d\u00e4ten.bin"
    assert attachment.get_content() == octets
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == [".dots", "..more dots", ".", "caf\u00e9"]


def test_lmtp(facade: Facade, nodemailer: Nodemailer) -> None:
    with recording(facade, lmtp=True) as recorder:
        (done,) = nodemailer.send(
            transport(recorder.port, lmtp=True), raw(make_message(), RECIPIENT, "bob@peer.test")
        )
        assert done["accepted"] == [RECIPIENT, "bob@peer.test"]
        (received,) = recorder.wait_for()
    assert_same_mail(received.content, make_message())
    assert recorder.said("LHLO")
