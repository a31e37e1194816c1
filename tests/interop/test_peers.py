"""The peers themselves: what the other tests lean on stands, and a missing one is said aloud."""

from __future__ import annotations

import imaplib
import os
import poplib
import smtplib
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interop.peers.dovecot import PASSWORD, Dovecot
from interop.peers.mail_server import Relay
from interop.peers.postfix import Postfix
from interop.peers.process import eventually, require, run

MESSAGE = b"From: a@peer.test\r\nTo: bob@peer.test\r\nSubject: hello\r\n\r\n.dots\r\nbody\r\n"


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.fspath(ca))


def test_dovecot_speaks_imap_pop3_and_lmtp(dovecot: Dovecot) -> None:
    with imaplib.IMAP4(dovecot.host, dovecot.imap) as imap:
        imap.starttls(trusting(dovecot.ca))
        imap.login("bob", PASSWORD)
        # What a test that failed has left is no concern of this one.
        before = int(imap.select()[1][0] or b"0")
        with smtplib.LMTP(dovecot.host, dovecot.lmtp) as lmtp:
            lmtp.sendmail("a@peer.test", ["bob@peer.test"], MESSAGE)
        assert imap.select() == ("OK", [b"%d" % (before + 1)])
    pop3 = poplib.POP3_SSL("localhost", dovecot.pop3s, context=trusting(dovecot.ca))
    pop3.user("bob")
    pop3.pass_(PASSWORD)
    assert pop3.stat()[0] == before + 1
    pop3.dele(before + 1)
    pop3.quit()


def test_postfix_delivers_and_authenticates(postfix: Postfix) -> None:
    before = len(postfix.delivered("bob"))
    with smtplib.SMTP("localhost", postfix.submission) as smtp:
        smtp.starttls(context=trusting(postfix.ca))
        smtp.login("alice", PASSWORD)
        smtp.sendmail("alice@peer.test", ["bob@peer.test"], MESSAGE)
    with (
        smtplib.SMTP_SSL("localhost", postfix.smtps, context=trusting(postfix.ca)) as smtp,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        smtp.login("alice", "wrong")
    assert postfix.wait_for_delivery("bob", before + 1)[-1].endswith(b"\n\n.dots\nbody\n")


def test_postfix_relays_with_tls_and_authentication(
    postfix: Postfix, start_postfix: Callable[..., Postfix]
) -> None:
    relay = Relay(postfix.submission, tls=True, user="alice", password=PASSWORD)
    first = start_postfix(relay=relay, lmtp_port=1)
    with smtplib.SMTP(first.host, first.smtp) as smtp:
        smtp.sendmail("alice@elsewhere.test", ["carol@other.test"], MESSAGE)

    def relayed() -> bool:
        return "status=sent" in first.log()

    eventually(f"relayed\n{first.log()}", relayed)
    assert "Verified TLS connection" in first.log()


def test_a_client_that_fails_is_reported_with_its_output() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with pytest.raises(pytest.fail.Exception, match=r"(?s)exit status 3.*out.*err"):
        run(sys.executable, "-c", program)
    assert run(sys.executable, "-c", program, status=3).text == "out\n"


def test_a_client_that_hangs_is_killed() -> None:
    with pytest.raises(pytest.fail.Exception, match="still running after"):
        run(sys.executable, "-c", "import time; time.sleep(60)", timeout=0.5)


def test_a_missing_program_skips_and_fails_where_all_are_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MAILPROTO_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require("no-such-program")
    monkeypatch.setenv("MAILPROTO_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        require("no-such-program")
