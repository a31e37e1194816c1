"""P06 and P07 with both facades: where TLS or a proof is required, nothing else will do."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from facades.world import PASSWORD, Conversation, Facade, scripted
from mailproto import sasl
from mailproto.errors import (
    ConnectionLost,
    LocalProtocolError,
    MailError,
    RemoteProtocolError,
    SecurityError,
    TLSError,
)

Talk = Callable[[Conversation], None]


def garble(conversation: Conversation) -> None:
    """Answer whatever comes, a TLS handshake for one, with what is no TLS."""
    conversation.received += conversation.connection.recv(65536)
    conversation.say(b"no TLS here\r\n")
    conversation.rest()


def smtp_without(conversation: Conversation) -> None:
    conversation.say(b"220 mx.example\r\n")
    conversation.line()
    conversation.say(b"250-mx.example\r\n250 AUTH PLAIN LOGIN\r\n")
    garble(conversation)


def smtp_answering(answer: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"220 mx.example\r\n")
        conversation.line()
        conversation.say(b"250-mx.example\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n")
        conversation.line()
        conversation.say(answer)
        garble(conversation)

    return talk


def imap_greeting(greeting: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(greeting)
        while line := conversation.line():
            tag, _, command = line.partition(b" ")
            if command == b"CAPABILITY":
                conversation.say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            conversation.say(tag + b" OK done\r\n")

    return talk


def imap_answering(answer: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n")
        conversation.say(answer.replace(b"TAG", conversation.tag()))
        garble(conversation)

    return talk


def pop3_answering(answer: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK ready\r\n")
        conversation.line()
        conversation.say(answer)
        garble(conversation)

    return talk


CASES: list[tuple[str, Talk, type[MailError]]] = [
    ("smtp", smtp_without, SecurityError),
    ("smtp", smtp_answering(b"454 not now\r\n"), SecurityError),
    ("smtp", smtp_answering(b"502 no\r\n"), SecurityError),
    ("smtp", smtp_answering(b"220 go\r\n235 logged in\r\n"), RemoteProtocolError),
    ("smtp", smtp_answering(b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n"), RemoteProtocolError),
    ("smtp", smtp_answering(b"334 Z28=\r\n"), MailError),
    ("smtp", smtp_answering(b"220 go\r\n"), TLSError),
    ("imap", imap_greeting(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"), SecurityError),
    ("imap", imap_greeting(b"* OK hi\r\n"), SecurityError),
    ("imap", imap_greeting(b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"), SecurityError),
    ("imap", imap_greeting(b"* BYE [REFERRAL imap://other.example/] gone\r\n"), MailError),
    ("imap", imap_answering(b"TAG NO not now\r\n"), SecurityError),
    ("imap", imap_answering(b"TAG BAD what?\r\n"), SecurityError),
    ("imap", imap_answering(b"TAG OK go\r\n* CAPABILITY AUTH=PLAIN\r\n"), RemoteProtocolError),
    ("imap", imap_answering(b"TAG OK go\r\n"), TLSError),
    ("pop3", pop3_answering(b"-ERR no\r\n"), SecurityError),
    ("pop3", pop3_answering(b"+OK go\r\n+OK USER\r\n"), RemoteProtocolError),
    ("pop3", pop3_answering(b"+OK go\r\n"), TLSError),
]


@pytest.mark.parametrize(("protocol", "talk", "error"), CASES)
def test_P06_required_TLS_fails_closed(
    facade: Facade, protocol: str, talk: Talk, error: type[MailError]
) -> None:
    with scripted(talk) as (port, conversations), pytest.raises(error) as caught:
        facade.connect(protocol, port, tls="starttls", login=("alice", PASSWORD))
    received = bytes(conversations[0].received)
    assert PASSWORD.encode() not in received
    assert b"alice" not in received
    assert base64.b64encode(b"\0alice\0" + PASSWORD.encode()) not in received
    assert not any(verb in received for verb in (b"AUTH", b"LOGIN", b"USER", b"MAIL", b"SELECT"))
    assert PASSWORD not in repr(caught.value)


CREDENTIALS = sasl.PasswordCredentials("alice", PASSWORD)
MECHANISM = b"SCRAM-SHA-256"


def smtp_believes(success: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"220 mx.example\r\n")
        conversation.line()
        conversation.say(b"250-mx.example\r\n250 AUTH " + MECHANISM + b"\r\n")
        conversation.line()
        conversation.say(success)
        conversation.line()
        conversation.say(b"235 welcome\r\n")
        conversation.rest()

    return talk


def imap_believes(success: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=" + MECHANISM + b"] hi\r\n")
        tag = conversation.tag()
        conversation.say(success.replace(b"TAG", tag))
        conversation.line()
        conversation.say(tag + b" OK welcome\r\n")
        conversation.rest()

    return talk


def pop3_believes(success: bytes) -> Talk:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"+OK hi\r\n")
        conversation.line()
        conversation.say(b"+OK\r\nSASL " + MECHANISM + b"\r\n.\r\n")
        conversation.line()
        conversation.say(success)
        conversation.line()
        conversation.say(b"+OK welcome\r\n")
        conversation.rest()

    return talk


NOT_A_FIRST_MESSAGE = base64.b64encode(b"r=wrong,s=AAAA,i=4096")


@pytest.mark.parametrize(
    ("protocol", "talk"),
    [
        ("smtp", smtp_believes(b"235 welcome\r\n")),
        ("smtp", smtp_believes(b"334 " + NOT_A_FIRST_MESSAGE + b"\r\n")),
        ("smtp", smtp_believes(b"334 not base64!\r\n")),
        ("imap", imap_believes(b"TAG OK welcome\r\n")),
        ("imap", imap_believes(b"+ " + NOT_A_FIRST_MESSAGE + b"\r\n")),
        ("imap", imap_believes(b"+ not base64!\r\n")),
        ("pop3", pop3_believes(b"+OK welcome\r\n")),
        ("pop3", pop3_believes(b"+ " + NOT_A_FIRST_MESSAGE + b"\r\n")),
        ("pop3", pop3_believes(b"+ not base64!\r\n")),
    ],
)
def test_P07_a_success_that_is_not_earned_closes_the_connection(
    facade: Facade, protocol: str, talk: Talk
) -> None:
    """Also one that answers the client's cancel."""
    with scripted(talk) as (port, _):
        client = facade.connect(protocol, port, tls="none", allow_insecure_auth=True)
        with pytest.raises(sasl.ServerNotProven):
            client.authenticate(CREDENTIALS)
        assert client.closed
        with pytest.raises(ConnectionLost):
            client.noop()


@pytest.mark.parametrize("port", [None, 1])
@pytest.mark.parametrize("tls", ["STARTTLS", "ssl", "", True, False, None])
@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_P06_what_is_no_mode_of_TLS_is_not_taken_for_none(
    facade: Facade, protocol: str, tls: object, port: int | None
) -> None:
    with pytest.raises(LocalProtocolError, match=r"is none of 'implicit', 'starttls', 'none'"):
        facade.connect(protocol, port, tls=tls, login=("alice", PASSWORD))  # type: ignore[arg-type]  # None: the usual port
