"""Every way to inject around STARTTLS, at both ends, in SMTP and LMTP (RFC 3207 section 6).

What is sent in clear is judged by what each end does with it: nothing of it may be believed after
the handshake, and nothing that needs TLS may be said before it.
"""

from __future__ import annotations

import pytest

from mailproto import sasl, smtp
from mailproto._core.machine import Signal
from mailproto.backend.directory import Users
from mailproto.errors import (
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    MailError,
    RemoteProtocolError,
    SecurityError,
    TLSError,
)
from mailproto.flows.effects import Flow, read, start_tls, write
from mailproto.flows.opening import open_smtp
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_server import Context, Handler, Origin, serve
from mailproto.testing import converse

PROTOCOLS = pytest.mark.parametrize("lmtp", [False, True], ids=["SMTP", "LMTP"])
LOGIN = sasl.PasswordCredentials("alice", "secret")


# ------------------------------------------------------------------------------- the client


class Attack:
    """A server that says what it likes, and hears what the client says in clear and under TLS."""

    def __init__(self, *answers: bytes, inside: tuple[bytes, ...] = ()) -> None:
        self.answers = answers
        """The greeting, and one for each write of the client."""
        self.inside = inside
        """After the handshake: one for each write of the client."""
        self.clear = b""
        self.secret = b""

    def serve(self) -> Flow[None]:
        for answer in self.answers:
            yield from write(answer)
            data = (yield from read()) or b""
            self.clear += data
            if data.upper() == b"STARTTLS\r\n":
                break
        if not self.inside:
            # Whatever was to be injected is said; see what the client makes of it.
            yield from write(self.answers[-1] if len(self.answers) > 2 else b"")
            while more := (yield from read()):
                self.clear += more
            return
        yield from write(b"220 go on\r\n")
        yield from start_tls()
        for answer in self.inside:
            self.secret += (yield from read()) or b""
            yield from write(answer)
        while more := (yield from read()):
            self.secret += more


def log_in(lmtp: bool) -> tuple[Session, Flow[None]]:
    session = Session(smtp.Client(lmtp=lmtp), "client.example")
    return session, open_smtp(session, "starttls", LOGIN)


GREETING = b"220 mx.example\r\n"
OFFER = b"250-mx.example\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


@PROTOCOLS
@pytest.mark.parity("smtp-client plaintext after STARTTLS")
@pytest.mark.parametrize(
    ("offer", "answer", "error"),
    [
        # STARTTLS was stripped from the offer.
        (b"250-mx.example\r\n250 AUTH PLAIN\r\n", b"", SecurityError),
        (b"250-mx.example\r\n250 XXXXXXXA\r\n", b"", SecurityError),
        # It is offered and then refused.
        (OFFER, b"454 4.7.0 TLS not available\r\n", SecurityError),
        (OFFER, b"501 5.5.4 no\r\n", SecurityError),
        (OFFER, b"502 5.5.1 no\r\n", SecurityError),
        (OFFER, b"554 5.7.3 no\r\n", SecurityError),
        (OFFER, b"421 4.3.2 bye\r\n", SecurityError),
        # Another positive answer than 220 is none.
        (OFFER, b"250 go on\r\n", MailError),
        (OFFER, b"334 \r\n", RemoteProtocolError),
        # Octets behind the 220, in its segment: replies that would answer what comes later.
        (OFFER, b"220 go on\r\n250-mx.example\r\n250 AUTH PLAIN\r\n", RemoteProtocolError),
        (OFFER, b"220 go on\r\n235 2.7.0 welcome\r\n", RemoteProtocolError),
        (OFFER, b"220 go on\r\n\r\n", RemoteProtocolError),
        (OFFER, b"220 go on\r\n2", RemoteProtocolError),
        # A 220 of two lines, and one that is not complete.
        (OFFER, b"220-go\r\n220 on\r\n250 injected\r\n", RemoteProtocolError),
        (OFFER, b"220-go on\r\n", MailError),
        # The answer was given in advance.
        (OFFER + b"220 go on\r\n", b"", (RemoteProtocolError, ConnectionLost)),
        (OFFER + b"250 injected\r\n", b"220 go on\r\n", (RemoteProtocolError, ConnectionLost)),
        # Nobody is there for the handshake.
        (OFFER, b"220 go on\r\n", DeadlineExceeded),
    ],
)
def test_P05_P06_a_client_says_nothing_before_TLS(
    lmtp: bool,
    offer: bytes,
    answer: bytes,
    error: type[Exception] | tuple[type[Exception], ...],
) -> None:
    attack = Attack(GREETING, offer, answer)
    session, flow = log_in(lmtp)
    with pytest.raises(error):
        converse(flow, attack.serve())
    hello = b"LHLO" if lmtp else b"EHLO"
    assert attack.clear in (hello + b" client.example\r\n" + command for command in COMMANDS)
    assert not session.machine.tls


COMMANDS = (b"", b"STARTTLS\r\n")


@PROTOCOLS
def test_P05_octets_that_come_later_are_taken_for_the_handshake_and_end_it(lmtp: bool) -> None:
    """They arrive when the client waits in the handshake."""
    session, flow = log_in(lmtp)

    def attack() -> Flow[None]:
        yield from write(GREETING)
        yield from read()
        yield from write(OFFER)
        yield from read()
        yield from write(b"220 go on\r\n")
        # The client has seen the 220 and has begun.
        yield from write(b"250 injected\r\n")
        assert (yield from read()) == b""

    with pytest.raises((TLSError, RemoteProtocolError)):
        converse(flow, attack())
    assert not session.machine.tls


@PROTOCOLS
def test_P05_a_client_forgets_what_was_offered_in_clear(lmtp: bool) -> None:
    """AUTH was offered before TLS only: nothing is logged in with."""
    inside = (b"250-mx.example\r\n250 PIPELINING\r\n",)
    attack = Attack(GREETING, OFFER, inside=inside)
    session, flow = log_in(lmtp)
    with pytest.raises(SecurityError):
        converse(flow, attack.serve())
    hello = b"LHLO" if lmtp else b"EHLO"
    assert attack.secret == hello + b" client.example\r\n"
    assert session.capabilities == smtp.Capabilities("mx.example", {"PIPELINING": ()})


@PROTOCOLS
def test_P05_a_client_does_not_begin_TLS_twice(lmtp: bool) -> None:
    """The server offers it again under TLS."""
    attack = Attack(GREETING, OFFER, inside=(OFFER, b"235 2.7.0 welcome\r\n"))
    session, flow = log_in(lmtp)
    converse(flow, attack.serve())
    assert b"STARTTLS" not in attack.secret
    assert session.machine.tls
    with pytest.raises(LocalProtocolError):
        session.machine.send(smtp.StartTLS())


@PROTOCOLS
def test_P05_state_of_an_upgraded_client_is_that_of_a_fresh_one(lmtp: bool) -> None:
    """Capabilities and the replies that are due; nothing of the clear session is left."""
    offer = OFFER.replace(b"250 START", b"250-LIMITS MAILMAX=1\r\n250-SIZE 5\r\n250 START")
    attack = Attack(GREETING, offer, inside=(b"250 mx.example\r\n",))
    session = Session(smtp.Client(lmtp=lmtp), "client.example")
    converse(open_smtp(session, "starttls", None), attack.serve())
    fresh = smtp.Client(lmtp=lmtp, tls=True)
    fresh.receive_data(GREETING + b"250 mx.example\r\n")
    fresh.next_event()
    fresh.send((smtp.Lhlo if lmtp else smtp.Ehlo)("client.example"))
    fresh.data_to_send()
    fresh.next_event()
    for name in ("state", "tls", "capabilities", "pending", "recipients", "timeout_hint"):
        assert getattr(session.machine, name) == getattr(fresh, name), name


# ------------------------------------------------------------------------------- the server


class Inbox(Handler):
    """Takes everything, and remembers what it was asked."""

    asked: list[object]

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def mail(self, mail: smtp.Mail) -> None:
        type(self).asked.append((mail, self.origin.tls, self.origin.account))

    def rcpt(self, rcpt: smtp.Rcpt) -> None:
        type(self).asked.append(rcpt)

    def content(self, data: bytes) -> None:
        type(self).asked.append(data)

    def end(self) -> None:
        type(self).asked.append("end")


def context(lmtp: bool) -> Context:
    Inbox.asked = []
    return Context(
        Inbox,
        Shutdown(),
        lmtp=lmtp,
        directory=Users({"alice": "secret"}),
        sasl=sasl.Offer(allow_insecure_auth=True),
        allow_insecure_auth=True,
    )


def serve_to(client: Flow[list[bytes]], lmtp: bool, *, starttls: bool = True) -> list[bytes]:
    ctx = context(lmtp)
    return converse(serve(ctx.machine(starttls=starttls), ctx), client)[1]


def talk(*groups: bytes) -> Flow[list[bytes]]:
    """Say each group once the answer to the one before has come; all that was heard."""
    heard: list[bytes] = [(yield from read()) or b""]
    for group in groups:
        yield from write(group)
        heard.append((yield from read()) or b"")
    return heard


def hello(lmtp: bool) -> bytes:
    return b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"


INJECTED = b"MAIL FROM:<eve@example.com>\r\nRCPT TO:<bob@example.com>\r\n"


@PROTOCOLS
@pytest.mark.parity("smtp-server plaintext after STARTTLS")
@pytest.mark.parametrize(
    "behind",
    [INJECTED, b"NOOP\r\n", b"EHLO eve\r\n", b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", b"\r\n", b"N"],
)
def test_P05_commands_behind_STARTTLS_are_never_read(lmtp: bool, behind: bytes) -> None:
    """In its segment: what was said in clear would be obeyed under TLS."""
    heard = serve_to(talk(hello(lmtp), b"STARTTLS\r\n" + behind), lmtp)
    assert heard[2].startswith(b"220 ")
    assert heard[2].count(b"\r\n") <= 2
    assert b"250" not in heard[2]
    assert b"235" not in heard[2]
    assert Inbox.asked == []


@PROTOCOLS
def test_P05_commands_that_come_later_are_no_handshake(lmtp: bool) -> None:
    """They arrive when the server waits in the handshake: a real one would read them as TLS."""

    def client() -> Flow[list[bytes]]:
        yield from read()
        yield from write(hello(lmtp))
        yield from read()
        yield from write(b"STARTTLS\r\n")
        heard = [(yield from read()) or b""]
        yield from write(INJECTED)
        heard.append((yield from read()) or b"")
        return heard

    heard = serve_to(client(), lmtp)
    assert heard[0].startswith(b"220 ")
    assert heard[1] == b""
    assert Inbox.asked == []


@PROTOCOLS
@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        (b"", b"STARTTLS\r\n", b"503"),
        (b"HELLO", b"STARTTLS now\r\n", b"501"),
        (b"HELLOMAIL FROM:<a@b.example>\r\n", b"STARTTLS\r\n", b"503"),
        (b"HELLOMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n", b"STARTTLS\r\n", b"503"),
    ],
)
def test_STARTTLS_where_it_has_no_place(
    lmtp: bool, before: bytes, command: bytes, code: bytes
) -> None:
    """It is refused, and the session goes on as it was."""
    before = before.replace(b"HELLO", hello(lmtp))
    heard = serve_to(talk(before + command, b"NOOP\r\n"), lmtp)
    assert heard[1].splitlines()[-1].startswith(code)
    assert heard[2].startswith(b"250")


@PROTOCOLS
def test_STARTTLS_that_is_not_offered(lmtp: bool) -> None:
    heard = serve_to(talk(hello(lmtp), b"STARTTLS\r\n", b"NOOP\r\n"), lmtp, starttls=False)
    assert b"STARTTLS" not in heard[1]
    assert heard[2].startswith(b"502")
    assert heard[3].startswith(b"250")


@PROTOCOLS
def test_P05_nothing_survives_at_the_server(lmtp: bool) -> None:
    """Neither the name, the login nor the offer of STARTTLS."""

    def client() -> Flow[list[bytes]]:
        login = b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
        heard = yield from talk(hello(lmtp), login, b"STARTTLS\r\n")
        yield from start_tls()
        for group in (INJECTED, b"STARTTLS\r\n", hello(lmtp), b"STARTTLS\r\n", INJECTED[:29]):
            yield from write(group)
            heard.append((yield from read()) or b"")
        return heard

    heard = serve_to(client(), lmtp)
    assert b"STARTTLS" in heard[1]
    assert heard[2].startswith(b"235")
    assert heard[3].startswith(b"220")
    # Before EHLO nothing but that.
    assert [line[:3] for line in heard[4].splitlines()] == [b"503", b"503"]
    assert heard[5].startswith(b"503")
    assert b"STARTTLS" not in heard[6]
    assert heard[7].startswith(b"503")
    assert heard[8].startswith(b"250")
    assert Inbox.asked == [(smtp.Mail(smtp.Mailbox("eve", "example.com")), True, None)]


@PROTOCOLS
def test_P05_a_transaction_does_not_survive(lmtp: bool) -> None:
    """A machine alone, that was upgraded in the middle of what the client had begun."""
    machine = smtp.Server(lmtp=lmtp, offer=smtp.Offer(starttls=True))
    machine.accept()
    machine.receive_data(hello(lmtp) + INJECTED + b"RSET\r\nSTARTTLS\r\n")
    while not isinstance(machine.next_event(), Signal):
        machine.accept()
    assert machine.awaiting_tls
    machine.start_tls()
    assert (machine.transaction, machine.recipients, machine.authenticated) == (None, 0, False)


@PROTOCOLS
@pytest.mark.parametrize("how", ["hangs up", "speaks in clear"])
def test_P06_a_handshake_that_fails_ends_the_session(lmtp: bool, how: str) -> None:
    """No reply in clear follows it, and nothing is read any more."""

    def client() -> Flow[list[bytes]]:
        heard = yield from talk(hello(lmtp), b"STARTTLS\r\n")
        if how != "hangs up":
            yield from write(b"QUIT\r\n")
            heard.append((yield from read()) or b"")
        return heard

    heard = serve_to(client(), lmtp)
    assert heard[2].startswith(b"220 ")
    assert heard[3:] in ([], [b""])
    assert Inbox.asked == []


def test_a_refused_STARTTLS_is_no_reason_to_go_on_in_clear() -> None:
    """The exception is not CommandFailed, which a caller may take for an answer."""
    attack = Attack(GREETING, OFFER, b"454 4.7.0 later\r\n")
    with pytest.raises(SecurityError) as caught:
        converse(log_in(lmtp=False)[1], attack.serve())
    assert not isinstance(caught.value, CommandFailed)
