"""`mailproto serve` by its own promises: ports, who may do what, relaying, and its end."""

from __future__ import annotations

import imaplib
import poplib
import signal
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from interop.conftest import Observer, ServeFactory
from interop.mail import assert_same_mail, make_message

ALL = {"smtp", "submission", "smtps", "lmtp", "imap", "imaps", "pop3", "pop3s"}


def trust(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def test_all_ports_are_opened_when_none_is_named_and_only_the_named_ones_else(
    start_serve: ServeFactory,
) -> None:
    assert set(start_serve().ports) == ALL
    assert set(start_serve("--imaps-port=0", "--smtp-port=0").ports) == {"smtp", "imaps"}


def test_a_certificate_is_made_where_none_is_given(start_serve: ServeFactory) -> None:
    served = start_serve(certificate=None)
    with imaplib.IMAP4_SSL("localhost", served.imaps, ssl_context=trust(served.ca)) as client:
        assert client.login("alice", "secret")[0] == "OK"
    ca = served.ca
    served.stop()
    assert not ca.exists()


def test_logins_are_offered_under_tls_only(start_serve: ServeFactory) -> None:
    served = start_serve()
    with smtplib.SMTP("localhost", served.submission) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login("alice", "secret")
        client.starttls(context=trust(served.ca))
        client.ehlo()
        assert client.has_extn("auth")
    with imaplib.IMAP4("localhost", served.imap) as imap:
        assert "LOGINDISABLED" in imap.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("alice", "secret")
        imap.starttls(trust(served.ca))
        assert imap.login("alice", "secret")[0] == "OK"
    pop = poplib.POP3("localhost", served.pop3)
    assert "USER" not in pop.capa()
    with pytest.raises(poplib.error_proto):
        pop.user("alice")
    pop.stls(trust(served.ca))
    assert "USER" in pop.capa()
    pop.user("alice")
    pop.pass_("secret")
    pop.quit()


def test_who_may_send_where(start_serve: ServeFactory) -> None:
    served = start_serve("--user=dora@elsewhere.test:secret")
    with smtplib.SMTP("localhost", served.smtp) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        client.mail("someone@far.test")
        assert client.rcpt("alice@peer.test")[0] == 250
        assert client.rcpt("ALICE@Peer.Test")[0] == 250
        assert client.rcpt("postmaster")[0] == 250
        assert client.rcpt("dora@elsewhere.test")[0] == 250
        assert client.rcpt("dora@peer.test")[0] == 550
        assert client.rcpt("nobody@peer.test")[0] == 550
        assert client.rcpt("bob@far.test")[0] == 550
    with smtplib.SMTP_SSL("localhost", served.smtps, context=trust(served.ca)) as client:
        client.ehlo()
        assert client.mail("alice@peer.test")[0] == 530
        client.login("dora@elsewhere.test", "secret")
        client.mail("dora@elsewhere.test")
        assert client.rcpt("alice@peer.test")[0] == 250
        # Without --relay there is no way on.
        assert client.rcpt("bob@far.test")[0] == 550
    with smtplib.LMTP("localhost", served.lmtp) as client:
        client.ehlo()
        client.mail("someone@far.test")
        assert client.rcpt("bob@peer.test")[0] == 250
        assert client.rcpt("bob@far.test")[0] == 550


def test_relay_to_a_second_server_and_to_both(start_serve: ServeFactory) -> None:
    there = start_serve("--domain=far.test", "--user=zoe:secret")
    here = start_serve(f"--relay=127.0.0.1:{there.smtp}")
    message = make_message("to both")
    with smtplib.SMTP("localhost", here.submission) as client:
        client.starttls(context=trust(here.ca))
        client.login("alice", "secret")
        refused = client.sendmail(
            "alice@peer.test", ["zoe@far.test", "bob@peer.test", "nobody@far.test"], message
        )
    # The next hop's own words came back for the recipient it refused.
    assert {name: code for name, (code, _) in refused.items()} == {"nobody@far.test": 550}
    for server, user in ((there, "zoe"), (here, "bob")):
        (received,) = Observer(server).messages(user)
        assert_same_mail(received, message)
    there.stop()
    with smtplib.SMTP_SSL("localhost", here.smtps, context=trust(here.ca)) as client:
        client.login("alice", "secret")
        client.mail("alice@peer.test")
        # Not taken, so not lost: the sender keeps it and tries again.
        assert client.rcpt("zoe@far.test")[0] == 451
        assert client.rcpt("bob@peer.test")[0] == 250


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_sessions_are_told_of_the_end(start_serve: ServeFactory, how: signal.Signals) -> None:
    served = start_serve("--allow-insecure-auth")
    sessions: dict[str, socket.socket] = {}
    for name in ("smtp", "submission", "lmtp", "imap", "pop3"):
        sessions[name] = socket.create_connection(("127.0.0.1", served.ports[name]), 20)
        assert sessions[name].recv(4096)
    idling = socket.create_connection(("127.0.0.1", served.imap), 20)
    with idling.makefile("rb") as lines:
        lines.readline()
        idling.sendall(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
        while not lines.readline().startswith(b"+"):
            pass
        served.process.send_signal(how)
        last = lines.read()
    farewells = {}
    for name, session in sessions.items():
        with session, session.makefile("rb") as lines:
            farewells[name] = lines.read()
    idling.close()
    assert {name: octets[:4] for name, octets in farewells.items()} == {
        "smtp": b"421 ",
        "submission": b"421 ",
        "lmtp": b"421 ",
        "imap": b"* BY",
        "pop3": b"-ERR",
    }
    assert last.startswith(b"* BYE")
    served.stop(how)


def test_what_is_under_way_at_the_end_is_finished_or_not_taken(
    start_serve: ServeFactory, tmp_path: Path
) -> None:
    """A message whose content is complete when the signal comes is there after a restart."""
    store = f"--store=sqlite:{tmp_path / 'mail.db'}"
    served = start_serve(store)
    with smtplib.SMTP("127.0.0.1", served.smtp) as client:
        client.sendmail("a@far.test", ["alice@peer.test"], make_message("whole"))
        client.mail("a@far.test")
        client.rcpt("alice@peer.test")
        assert client.docmd("DATA")[0] == 354
        client.send(b"Subject: half\r\n\r\nno end of it")
        served.stop()
        with pytest.raises(smtplib.SMTPException):
            client.getreply()
            client.getreply()
        client.close()
    subjects = [b"half" in message for message in Observer(start_serve(store)).messages()]
    assert subjects == [False]
