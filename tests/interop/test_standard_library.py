"""The standard library's smtplib, imaplib and poplib, each plain, by STARTTLS and on TLS ports."""

from __future__ import annotations

import calendar
import email
import email.message
import email.policy
import imaplib
import os
import poplib
import smtplib
import ssl
import time
from collections.abc import Iterable

import pytest

from interop.conftest import CONTROL, MailServer, Observer
from interop.mail import (
    RECIPIENT,
    SENDER,
    Lane,
    assert_same_mail,
    every_lane,
    imap_port,
    make_message,
    pop3_port,
    smtp_port,
)

SECONDS = 20.0


def context(server: MailServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.fspath(server.ca))


# ----------------------------------------------------------------------------- smtplib


def smtp_session(server: MailServer, lane: Lane) -> smtplib.SMTP:
    port = smtp_port(server, lane)
    if lane is Lane.IMPLICIT:
        return smtplib.SMTP_SSL("localhost", port, context=context(server), timeout=SECONDS)
    smtp = smtplib.SMTP("localhost", port, timeout=SECONDS)
    if lane is Lane.STARTTLS:
        smtp.starttls(context=context(server))
    return smtp


@pytest.mark.parity("smtp-server implicit TLS", "smtp-server NOOP")
@every_lane
def test_smtplib(server: MailServer, observer: Observer, lane: Lane) -> None:
    message = make_message(lines=2000)
    with smtp_session(server, lane) as smtp:
        if lane is not Lane.PLAIN:
            smtp.login("alice", "secret")
        refused = smtp.sendmail(
            SENDER,
            [RECIPIENT, "nobody@peer.test", "bob@peer.test"],
            message,
            mail_options=["BODY=8BITMIME"],
        )
        assert refused.keys() == {"nobody@peer.test"}
        assert refused["nobody@peer.test"][0] == 550
        smtp.sendmail(SENDER, [RECIPIENT], make_message("second"))
        assert smtp.noop()[0] == 250
        assert smtp.rset()[0] == 250
        assert smtp.docmd("VRFY", "alice")[0] in {250, 252}
    # A queue, as the control has one, may deliver them in any order.
    first, second = sorted(observer.wait_for(2), key=lambda octets: b"Subject: second" in octets)
    assert_same_mail(first, message)
    assert_same_mail(second, make_message("second"))
    assert_same_mail(observer.wait_for(1, "bob")[0], message)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("lane", [Lane.STARTTLS, Lane.IMPLICIT], ids=["starttls", "implicit"])
@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
def test_smtplib_authentication(
    server: MailServer, lane: Lane, mechanism: str, *, initial: bool
) -> None:
    with smtp_session(server, lane) as smtp:
        smtp.ehlo()
        smtp.user, smtp.password = "alice", "wrong"
        step = getattr(smtp, f"auth_{mechanism.lower()}")
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp.auth(mechanism, step, initial_response_ok=initial)
        assert refused.value.smtp_code == 535
        with pytest.raises(smtplib.SMTPException):
            smtp.sendmail(SENDER, [RECIPIENT], make_message())
        smtp.rset()
        smtp.password = "secret"
        assert smtp.auth(mechanism, step, initial_response_ok=initial)[0] == 235


@pytest.mark.skipif(CONTROL, reason="Postfix is configured to demand TLS here")
def test_smtplib_authentication_in_clear_where_it_was_allowed(
    server: MailServer, observer: Observer
) -> None:
    with smtplib.SMTP("localhost", server.submission, timeout=SECONDS) as smtp:
        smtp.login("alice", "secret")
        smtp.sendmail(SENDER, [RECIPIENT], make_message())
    assert_same_mail(observer.wait_for(1)[0], make_message())


def test_smtplib_lmtp(server: MailServer, observer: Observer) -> None:
    with smtplib.LMTP("localhost", server.lmtp) as lmtp:
        refused = lmtp.sendmail(SENDER, [RECIPIENT, "nobody@peer.test"], make_message())
    assert refused.keys() == {"nobody@peer.test"}
    assert_same_mail(observer.wait_for(1)[0], make_message())


# ----------------------------------------------------------------------------- imaplib


def imap_session(server: MailServer, lane: Lane) -> imaplib.IMAP4:
    port = imap_port(server, lane)
    if lane is Lane.IMPLICIT:
        return imaplib.IMAP4_SSL("localhost", port, ssl_context=context(server), timeout=SECONDS)
    imap = imaplib.IMAP4("localhost", port, timeout=SECONDS)
    if lane is Lane.STARTTLS:
        imap.starttls(context(server))
    return imap


def ok(answer: tuple[str, Iterable[object]]) -> list[object]:
    """The data of an imaplib answer whose status must be OK."""
    status, data = answer
    assert status == "OK", data
    return list(data)


@every_lane
def test_imaplib(server: MailServer, lane: Lane) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    with imap_session(server, lane) as imap:
        ok(imap.login("alice", "secret"))
        for message in messages:
            ok(imap.append("INBOX", r"(\Seen)", '"01-Jun-2026 12:00:00 +0200"', message))
        assert ok(imap.select()) == [b"3"]

        fetched = ok(imap.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
        bodies = [item[1] for item in fetched if isinstance(item, tuple)]
        assert bodies == messages
        first = next(item[0] for item in fetched if isinstance(item, tuple))
        assert f"RFC822.SIZE {len(messages[0])}".encode() in first
        date = imaplib.Internaldate2tuple(first)
        assert date is not None
        assert time.mktime(date) == calendar.timegm((2026, 6, 1, 10, 0, 0))

        (envelope,) = ok(imap.fetch("2", "(ENVELOPE)"))
        assert isinstance(envelope, bytes)
        assert b'"number 1" (("Sender" NIL "sender" "elsewhere.test"))' in envelope
        (structure,) = ok(imap.fetch("2", "(BODYSTRUCTURE)"))
        assert isinstance(structure, bytes)
        assert b'bodystructure ("text" "plain" ("charset" "utf-8")' in structure.lower()

        assert ok(imap.search(None, "SUBJECT", '"number 1"')) == [b"2"]
        assert ok(imap.search(None, "NOT", "SEEN")) == [b""]
        assert ok(imap.search("UTF-8", "BODY", "leading", "OR", "FLAGGED", "SEEN")) == [b"1 2 3"]
        ok(imap.store("1", "-FLAGS", r"(\Seen)"))
        assert ok(imap.search(None, "UNSEEN")) == [b"1"]

        ok(imap.create("Archive/2026"))
        ok(imap.copy("1:2", "Archive/2026"))
        ok(imap.store("1", "+FLAGS.SILENT", r"(\Deleted)"))
        assert ok(imap.expunge()) == [b"1"]
        assert ok(imap.status("Archive/2026", "(MESSAGES UNSEEN)"))[0] in {
            b"Archive/2026 (MESSAGES 2 UNSEEN 1)",
            b'"Archive/2026" (MESSAGES 2 UNSEEN 1)',
        }
        ok(imap.subscribe("Archive/2026"))
        assert any(b"Archive/2026" in line for line in ok(imap.lsub()) if isinstance(line, bytes))
        ok(imap.namespace())
        ok(imap.uid("MOVE", "1:*", "Archive/2026"))
        assert ok(imap.select("Archive/2026", readonly=True)) == [b"4"]
        try:
            imap.store("1", "+FLAGS", r"(\Deleted)")
        except imap.readonly:
            pass
        ok(imap.close())
        assert ok(imap.select("Archive/2026")) == [b"4"]
        assert imap.select("nowhere")[0] == "NO"


@every_lane
def test_imaplib_authenticate(server: MailServer, lane: Lane) -> None:
    with imap_session(server, lane) as imap:
        with pytest.raises(imaplib.IMAP4.error):
            imap.authenticate("PLAIN", lambda _: b"\0alice\0wrong")
        ok(imap.authenticate("PLAIN", lambda _: b"\0alice\0secret"))
        assert ok(imap.select()) == [b"0"]


def test_imaplib_messages_with_every_octet(server: MailServer, observer: Observer) -> None:
    """Literals carry any octet but NUL, whole, in both directions."""
    octets = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"")
    message = b"Subject: octets\r\n\r\n" + b"\r\n".join([octets] * 500) + b"\r\n"
    observer.put(message)
    assert observer.messages() == [message]


# ------------------------------------------------------------------------------ poplib


def pop3_session(server: MailServer, lane: Lane) -> poplib.POP3:
    port = pop3_port(server, lane)
    if lane is Lane.IMPLICIT:
        return poplib.POP3_SSL("localhost", port, context=context(server), timeout=SECONDS)
    pop3 = poplib.POP3("localhost", port, timeout=SECONDS)
    if lane is Lane.STARTTLS:
        pop3.stls(context(server))
    return pop3


@pytest.mark.parity("pop3-server USER and PASS", "pop3-server TOP", "pop3-server UIDL")
@every_lane
def test_poplib(server: MailServer, observer: Observer, lane: Lane) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    observer.put(*messages)

    pop3 = pop3_session(server, lane)
    assert {"UIDL", "TOP", "USER"} <= pop3.capa().keys()
    pop3.user("alice")
    pop3.pass_("secret")
    assert pop3.stat() == (3, sum(map(len, messages)))
    _, listing, _ = pop3.list()
    assert listing == [f"{n} {len(m)}".encode() for n, m in enumerate(messages, 1)]
    _, uids, _ = pop3.uidl()
    assert len({line.split()[1] for line in uids}) == 3
    for number, message in enumerate(messages, 1):
        assert b"\r\n".join(pop3.retr(number)[1]) + b"\r\n" == message
    head = b"\r\n".join(pop3.top(1, 1)[1]) + b"\r\n"
    assert head == messages[0][: messages[0].index(b"line 1")]
    pop3.dele(1)
    pop3.dele(2)
    pop3.rset()
    pop3.dele(2)
    with pytest.raises(poplib.error_proto):
        pop3.retr(2)
    with pytest.raises(poplib.error_proto):
        pop3.retr(4)
    assert pop3.stat()[0] == 2
    pop3.quit()

    pop3 = pop3_session(server, lane)
    pop3.user("alice")
    pop3.pass_("secret")
    assert pop3.uidl()[1] == [uids[0], uids[2].replace(b"3 ", b"2 ", 1)]
    pop3.quit()
    assert observer.messages() == [messages[0], messages[2]]


def test_P22_poplib_without_quit_deletes_nothing(server: MailServer, observer: Observer) -> None:
    observer.put(make_message())
    pop3 = pop3_session(server, Lane.STARTTLS)
    pop3.user("alice")
    pop3.pass_("secret")
    pop3.dele(1)
    pop3.close()
    assert observer.messages() == [make_message()]


@every_lane
def test_poplib_wrong_password(server: MailServer, lane: Lane) -> None:
    pop3 = pop3_session(server, lane)
    pop3.user("alice")
    with pytest.raises(poplib.error_proto, match="-ERR"):
        pop3.pass_("wrong")
    pop3.close()


# ------------------------------------------------------------------- the three together


@every_lane
def test_sent_by_smtplib_read_by_imaplib_and_poplib(
    server: MailServer, observer: Observer, lane: Lane
) -> None:
    sent = email.message.EmailMessage(policy=email.policy.SMTP)
    sent["From"], sent["To"], sent["Subject"] = SENDER, RECIPIENT, "all three"
    sent.set_content(".dots\ncaf\u00e9\n", cte="8bit")
    with smtp_session(server, lane) as smtp:
        if lane is not Lane.PLAIN:
            smtp.login("alice", "secret")
        smtp.send_message(sent, SENDER, [RECIPIENT])
    observer.wait_for(1)
    with imap_session(server, lane) as imap:
        ok(imap.login("alice", "secret"))
        ok(imap.select())
        by_imap = next(
            item[1] for item in ok(imap.fetch("1", "(BODY.PEEK[])")) if isinstance(item, tuple)
        )
    pop3 = pop3_session(server, lane)
    pop3.user("alice")
    pop3.pass_("secret")
    by_pop3 = b"\r\n".join(pop3.retr(1)[1]) + b"\r\n"
    pop3.quit()
    assert by_imap == by_pop3
    received = email.message_from_bytes(by_imap, policy=email.policy.SMTP)
    assert received["Subject"] == "all three"
    assert received.get_content().splitlines() == sent.get_content().splitlines()
