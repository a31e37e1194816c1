"""Dovecot's submission service between our client and our server, BURL, and its LMTP by BDAT."""

from __future__ import annotations

import imaplib
import poplib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.dovecot import PASSWORD, Dovecot, run_dovecot
from interop.peers.recorder import Recorder, recording
from mailproto import errors, smtp
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="both ends are ours by nature")


@dataclass
class Path:
    """Our client, Dovecot, our server."""

    facade: Facade
    dovecot: Dovecot
    recorder: Recorder

    def connect(self, tls: str = "starttls", **options: Any) -> Any:
        dovecot = self.dovecot
        port = dovecot.submissions if tls == "implicit" else dovecot.submission
        context = client_context(str(dovecot.ca))
        options.setdefault("login", ("alice", PASSWORD))
        return self.facade.connect("smtp", port, tls=tls, tls_context=context, **options)


@pytest.fixture(scope="module")
def path(facade: Facade, certificate: CertificateFiles) -> Iterator[Path]:
    offer = smtp.Offer(dsn=True)
    with (
        recording(facade, offer=offer) as recorder,
        run_dovecot(certificate, relay_port=recorder.port) as dovecot,
    ):
        yield Path(facade, dovecot, recorder)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
def test_chunks_through_dovecot(path: Path, tls: str, pieces: bool) -> None:
    path.recorder.messages.clear()
    octets = make_message(f"{tls} {pieces}", lines=2000)
    content = [octets[cut : cut + 9000] for cut in range(0, len(octets), 9000)]
    lines: list[bytes] = []
    with path.connect(tls, trace=lambda _, line: lines.append(line)) as client:
        recipients = ["bob@other.test", "nobody@other.test"]
        result = client.send(content if pieces else octets, SENDER, recipients, chunking=True)
        assert [str(r.forward_path) for r in result.delivered] == ["bob@other.test"]
        assert client.verify("bob").code in {250, 252}
        assert client.noop().code == 250
    (received,) = path.recorder.wait_for()
    assert_same_mail(received.content, octets)
    chunks = [line for line in lines if line.startswith(b"BDAT")]
    assert len(chunks) == (len(content) if pieces else 1)


def test_dovecot_passes_on_what_our_client_said(path: Path) -> None:
    path.recorder.messages.clear()
    parameters = (smtp.Ret("HDRS"), smtp.EnvId("id+1"))
    never = smtp.Notify(frozenset())
    original = smtp.Orcpt("rfc822", "bob+x@elsewhere.test")
    recipient = smtp.Rcpt(smtp.Mailbox.parse("bob@other.test"), (never, original))
    with path.connect() as client:
        # What the relay can do it says only to those who are logged in.
        assert "DSN" not in client.capabilities
        client.run(client.session.hello())
        assert "DSN" in client.capabilities
        client.send(make_message(), SENDER, [recipient], parameters=parameters).check()
    (received,) = path.recorder.wait_for()
    assert received.parameter(smtp.Ret) == smtp.Ret("HDRS")
    assert received.parameter(smtp.EnvId) == smtp.EnvId("id+1")
    assert received.parameter(smtp.Notify) == never
    assert received.parameter(smtp.Orcpt) == original


def _url_of_new_message(dovecot: Dovecot, message: bytes) -> str:
    """A URL by which alice may submit a message of her own (RFC 4467)."""
    with imaplib.IMAP4(dovecot.host, dovecot.imap, timeout=20) as imap:
        imap.login("alice", PASSWORD)
        answer = imap.append("INBOX", "", "", message)[1][0]
        appended = re.search(rb"APPENDUID [0-9]+ ([0-9]+)", answer)
        assert appended is not None, answer
        path = f"localhost:{dovecot.imap}/INBOX/;uid={appended[1].decode()}"
        url = f"imap://alice@{path};urlauth=submit+alice"
        status, _ = imap.xatom("GENURLAUTH", f'"{url}"', "INTERNAL")
        assert status == "OK"
        generated: bytes = imap.response("GENURLAUTH")[1][0]
        return generated.decode().strip('"')


def test_a_message_by_its_url(path: Path) -> None:
    """BURL, between two chunks; a URL that is not right ends the transaction only."""
    path.recorder.messages.clear()
    message = make_message("by URL")
    url = _url_of_new_message(path.dovecot, message)
    mail = smtp.Mail(smtp.Mailbox.parse("alice@peer.test"))
    rcpt = smtp.Rcpt(smtp.Mailbox.parse("bob@other.test"))
    with path.connect() as client:
        assert client.call(mail).positive
        assert client.call(rcpt).positive
        wrong = client.call(smtp.Burl(url[:-4] + "0000", last=True))
        assert (wrong.code, wrong.enhanced) == (554, smtp.EnhancedCode(5, 6, 6))
        assert client.reset().positive
        assert client.call(mail).positive
        assert client.call(rcpt).positive
        assert client.call(smtp.Burl(url, last=True)).code == 250
    (received,) = path.recorder.wait_for()
    assert_same_mail(received.content, message)


def test_dovecot_demands_authentication(path: Path) -> None:
    with path.connect(login=None) as client, pytest.raises(errors.CommandFailed, match="530"):
        client.send(make_message(), SENDER, ["bob@other.test"])


def test_chunks_to_dovecot_by_lmtp(facade: Facade, dovecot: Dovecot) -> None:
    """One content, an answer for each recipient that was accepted."""
    message = make_message(f"lmtp {facade.name}", lines=2000)
    content = [message[cut : cut + 9000] for cut in range(0, len(message), 9000)]
    with facade.connect("smtp", dovecot.lmtp, tls="none", lmtp=True) as client:
        recipients = ["bob@peer.test", "nobody@peer.test", "carol@peer.test"]
        result = client.send(content, SENDER, recipients, chunking=True)
        assert result.delivered == (result.recipients[0], result.recipients[2])
        assert "nobody" in str(result.recipients[1].reply)
    for user in ("bob", "carol"):
        pop3 = poplib.POP3(dovecot.host, dovecot.pop3, timeout=20)
        pop3.user(user)
        pop3.pass_(PASSWORD)
        number = pop3.stat()[0]
        assert_same_mail(b"\r\n".join(pop3.retr(number)[1]) + b"\r\n", message)
        pop3.dele(number)
        pop3.quit()
