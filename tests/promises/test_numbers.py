"""P17: every numeric field of SMTP, LMTP, POP3 and SASL, given every form that is no number."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

import pytest

from mailproto import pop3, sasl, smtp
from mailproto.errors import RemoteProtocolError

UNTIL: Final = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)

FORMS: Final = [
    b"",
    b"one",
    b"0x1",
    b"1_0",
    b"1.0",
    b"1e1",
    b"1,0",
    b"++1",
    b"--1",
    b"1-",
    b"\xc2\xb2",  # superscript two: a digit, but no decimal
    b"\xd9\xa1",  # ARABIC-INDIC DIGIT ONE, which int() takes
    b"\xef\xbc\x91",  # FULLWIDTH DIGIT ONE
    b"1\xd9\xa1",
    b"\xff",
    b"9" * 40,
]

Reader = Callable[[bytes], object]
"""The value that a machine makes of a field, or ``None`` where it takes it for no number."""


def at_smtp_server(line: bytes, *before: bytes) -> Reader:
    def read(form: bytes) -> object:
        offer = smtp.Offer(
            dsn=True, deliver_by=0, future_release=smtp.FutureRelease(10, UNTIL), mt_priority="",
            mtrk=True,
        )  # fmt: skip
        server = smtp.Server(offer=offer, tls=True)
        server.accept()
        for each in (b"EHLO a", *before):
            server.receive_data(each + b"\r\n")
            server.next_event()
            server.accept()
        server.receive_data(line % form + b"\r\n")
        try:
            event = server.next_event()
        except RemoteProtocolError:
            return None
        return None if isinstance(event, smtp.Invalid) else event

    return read


def offered(line: bytes, ask: Callable[[smtp.Capabilities], object]) -> Reader:
    """What a client makes of a line of the reply to EHLO."""

    def read(form: bytes) -> object:
        client = smtp.Client()
        client.receive_data(b"220 x\r\n")
        client.next_event()
        client.send(smtp.Ehlo("a"))
        client.receive_data(b"250-x\r\n250 " + line % form + b"\r\n")
        client.next_event()
        assert client.capabilities is not None
        return ask(client.capabilities) or None

    return read


def reply(line: bytes) -> Reader:
    def read(form: bytes) -> object:
        client = smtp.Client()
        client.receive_data(line % form + b"\r\n")
        try:
            return client.next_event()
        except RemoteProtocolError:
            return None

    return read


def at_pop3_server(line: bytes) -> Reader:
    def read(form: bytes) -> object:
        server = pop3.Server(tls=True, offer=pop3.Offer(user=True))
        server.accept()
        for each in (b"USER a", b"PASS b"):
            server.receive_data(each + b"\r\n")
            server.next_event()
            server.send(pop3.Ok())
        server.receive_data(line % form + b"\r\n")
        event = server.next_event()
        # LIST and UIDL may stand alone.
        refused = isinstance(event, pop3.Invalid) or event in (pop3.List(), pop3.Uidl())
        return None if refused else event

    return read


def answer(command: pop3.Command, *lines: bytes) -> Reader:
    """What a client makes of a number in the answer to ``command``."""

    def read(form: bytes) -> object:
        client = pop3.Client(tls=True)
        client.receive_data(b"+OK\r\n")
        client.next_event()
        for each in (pop3.User("a"), pop3.Pass("b")):
            client.send(each)
            client.receive_data(b"+OK\r\n")
            client.next_event()
        client.send(command)
        client.receive_data(b"".join([line + b"\r\n" for line in lines]) % form)
        events: list[object] = []
        while (event := client.next_event()) is not pop3.NEED_DATA:
            events.append(event)
        wrong = any(isinstance(event, pop3.Unparsed) for event in events) or client.quirks
        return None if wrong else events

    return read


def capability(line: bytes, ask: Callable[[pop3.Capabilities], object]) -> Reader:
    def read(form: bytes) -> object:
        events = answer(pop3.Capa(), b"+OK", line, b".")(form)
        if not isinstance(events, list):
            return None
        (found,) = [event for event in events if isinstance(event, pop3.Capabilities)]
        return ask(found)

    return read


def iterations(form: bytes) -> object:
    credentials = sasl.PasswordCredentials("a", "b")
    exchange = sasl.choose(["SCRAM-SHA-1"], credentials, tls=True)
    first = exchange.start() or b""
    nonce = first.rpartition(b"r=")[2]
    form = b"4096" if form == b"1" else form
    try:
        return exchange.respond(b"r=%bx,s=c2FsdA==,i=%b" % (nonce, form))
    except sasl.SASLError:
        return None


def port(form: bytes) -> object:
    exchange = sasl.Offer((sasl.OAUTHBEARER,)).begin("OAUTHBEARER", tls=True)
    assert exchange is not None
    step = exchange.start(b"n,,\x01port=%b\x01auth=Bearer x\x01\x01" % form)
    return step if isinstance(step, sasl.Verify) else None


FIELDS: Final[dict[str, Reader]] = {
    "SIZE=": at_smtp_server(b"MAIL FROM:<> SIZE=%b"),
    "BY=": at_smtp_server(b"MAIL FROM:<> BY=%b;N"),
    "HOLDFOR=": at_smtp_server(b"MAIL FROM:<> HOLDFOR=%b"),
    "MT-PRIORITY=": at_smtp_server(b"MAIL FROM:<> MT-PRIORITY=%b"),
    "MTRK=": at_smtp_server(b"MAIL FROM:<> ENVID=x MTRK=cjJhZGE:%b"),
    "BDAT": at_smtp_server(b"BDAT %b LAST", b"MAIL FROM:<>", b"RCPT TO:<a@localhost>"),
    "reply code": reply(b"2%b0 hello"),
    "SIZE": offered(b"SIZE %b", lambda found: found.size),
    "DELIVERBY": offered(b"DELIVERBY %b", lambda found: found.deliver_by),
    "FUTURERELEASE": offered(
        b"FUTURERELEASE %b 2027-01-01T00:00:00Z", lambda found: found.future_release
    ),
    "RCPTMAX": offered(b"LIMITS RCPTMAX=%b", lambda found: found.limit("RCPTMAX")),
    "RETR": at_pop3_server(b"RETR %b"),
    "DELE": at_pop3_server(b"DELE %b"),
    "LIST": at_pop3_server(b"LIST %b"),
    "UIDL": at_pop3_server(b"UIDL %b"),
    "TOP": at_pop3_server(b"TOP %b 1"),
    "lines of TOP": at_pop3_server(b"TOP 1 %b"),
    "messages of STAT": answer(pop3.Stat(), b"+OK %b 1"),
    "octets of STAT": answer(pop3.Stat(), b"+OK 1 %b"),
    "scan listing": answer(pop3.List(1), b"+OK 1 %b"),
    "line of LIST": answer(pop3.List(), b"+OK", b"%b 1", b"."),
    "octets of LIST": answer(pop3.List(), b"+OK", b"1 %b", b"."),
    "line of UIDL": answer(pop3.Uidl(), b"+OK", b"%b x", b"."),
    "EXPIRE": capability(b"EXPIRE %b", lambda found: found.expire),
    "LOGIN-DELAY": capability(b"LOGIN-DELAY %b", lambda found: found.login_delay),
    "iterations of SCRAM": iterations,
    "port of OAUTHBEARER": port,
}


@pytest.mark.parametrize("field", FIELDS)
def test_P17_no_field_takes_what_is_no_number(field: str) -> None:
    read = FIELDS[field]
    assert read(b"1") is not None
    taken = {form: value for form in FORMS if (value := read(form)) is not None}
    assert taken == {}
