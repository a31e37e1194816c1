"""Sending mail with both facades, to our own servers and to scripted ones."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from facades.world import PASSWORD, Conversation, Facade, World, scripted
from flows.relay_world import CLOSE, Host, listening
from mailproto import aio, sasl, smtp, sync
from mailproto._core.machine import Signal
from mailproto.cli.certificate import CertificateFiles
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.smtp_result import DeliveryFailed, DeliveryUnknown, Outcome
from mailproto.sync import smtp as facade_smtp

CONTENT = b"Subject: one\r\n\r\n.dot\r\n..dots\r\n"
ALICE, BOB, NOBODY = "alice@localhost", "bob@localhost", "nobody@localhost"


@pytest.mark.parity(
    "smtp-client the final reply",
    "smtp-client STARTTLS",
    "smtp-client implicit TLS",
    "smtp-server implicit TLS",
    "smtp-client blocking and asyncio from one core",
)
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_a_message_travels_in_every_tls_mode(world: World, tls: str) -> None:
    with world.connect("smtp", tls) as client:
        result = client.send(CONTENT, ALICE, [BOB])
        assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED]
        assert client.session.machine.tls is (tls != "none")
    assert client.closed
    (received,) = world.contents("bob")
    assert received.endswith(CONTENT)


@pytest.mark.parametrize(
    "credentials",
    [
        sasl.PasswordCredentials("alice", PASSWORD),
        ("alice@localhost", PASSWORD),
        ("ALICE", PASSWORD),
    ],
)
def test_who_can_log_in(world: World, credentials: object) -> None:
    with world.connect("smtp", login=credentials) as client:
        assert client.noop().positive


def test_a_wrong_password(world: World) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        world.connect("smtp", "implicit", login=("alice", "looking-glass"))
    assert caught.value.code == "535"
    assert not caught.value.temporary
    assert "looking-glass" not in str(caught.value)


@pytest.mark.parity("smtp-client a reply per recipient")
def test_some_recipients_are_refused(world: World) -> None:
    with world.connect("smtp") as client:
        result = client.send(CONTENT, ALICE, [BOB, NOBODY, ALICE])
        assert [r.outcome for r in result.recipients] == [
            Outcome.DELIVERED,
            Outcome.PERMANENT,
            Outcome.DELIVERED,
        ]
        assert [str(r.forward_path) for r in result.failed] == [NOBODY]
        with pytest.raises(CommandFailed, match="nobody@localhost") as caught:
            result.check()
        assert caught.value.code == "550"
    assert len(world.contents("alice")) == len(world.contents("bob")) == 1


def test_all_recipients_are_refused_and_the_connection_stays_usable(world: World) -> None:
    with world.connect("smtp") as client:
        with pytest.raises(CommandFailed, match="nobody@localhost"):
            client.send(CONTENT, ALICE, [NOBODY, "else@localhost"])
        assert not client.closed
        client.send(CONTENT, ALICE, [BOB])
    assert len(world.contents("bob")) == 1


@pytest.mark.parity("smtp-client LMTP")
def test_lmtp_has_a_result_for_each_recipient(world: World) -> None:
    client = world.facade.connect("smtp", world.port("lmtp"), tls="none", lmtp=True)
    with client:
        result = client.send(CONTENT, ALICE, [NOBODY, BOB, ALICE])
    outcomes = [r.outcome for r in result.recipients]
    assert outcomes == [Outcome.PERMANENT, Outcome.DELIVERED, Outcome.DELIVERED]


def test_P04_nothing_of_a_message_is_sent_if_part_of_it_cannot_be(world: World) -> None:
    odd = smtp.Rcpt(smtp.Mailbox.parse(ALICE), (smtp.Parameter("X", "y\r\nRSET"),))
    with world.connect("smtp") as client:
        said = len(world.said("C"))
        with pytest.raises(LocalProtocolError, match="RSET"):
            client.send(CONTENT, ALICE, [BOB, odd])
        assert client.noop().code == 250
        assert world.said("C")[said:] == [b"NOOP"]


def test_pieces_that_cannot_be_sent_end_the_connection(world: World) -> None:
    client = world.connect("smtp")
    with pytest.raises(LocalProtocolError):
        client.send(iter([CONTENT, b"bare\nnewline\r\n"]), ALICE, [BOB])
    assert client.closed
    world.close()
    assert world.contents("bob") == []


def test_an_email_message_brings_its_envelope(world: World) -> None:
    message = EmailMessage()
    message["From"] = "Alice <alice@localhost>"
    message["To"] = "Bob <bob@localhost>"
    message["Bcc"] = "alice@localhost"
    message["Subject"] = "Grüße"
    message.set_content("Wie geht es?\n")
    with world.connect("smtp") as client:
        result = client.send(message)
    assert {str(r.forward_path) for r in result.delivered} == {ALICE, BOB}
    (received,) = world.contents("bob")
    assert b"alice@localhost" in received
    assert b"Bcc:" not in received
    assert message["Bcc"] == "alice@localhost"


def test_pieces_are_one_content(world: World) -> None:
    pieces = [b"Subject: pieces\r", b"\n\r\n.", b"dot\r\n", b"", b"." * 70 + b"\r\n"] * 3
    whole = b"".join(pieces)
    with world.connect("smtp") as client:
        client.send(iter(pieces), ALICE, [BOB], size=len(whole))
    assert world.contents("bob")[0].endswith(whole)


def test_what_cannot_be_sent_is_refused_before_anything_is(world: World) -> None:
    with world.connect("smtp") as client:
        said = len(world.said("C"))
        with pytest.raises(LocalProtocolError, match=r"newline|CR|LF"):
            client.send(b"bare\nnewline\r\n", ALICE, [BOB])
        with pytest.raises(ValueError, match="recipient"):
            client.send(CONTENT, ALICE, [])
        with pytest.raises(ValueError, match="envelope"):
            client.send(CONTENT)
        assert len(world.said("C")) == said
        client.send(CONTENT, ALICE, [BOB])


def test_an_exception_in_the_block_says_nothing_to_the_server(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.connect("smtp") as client:
        raise ZeroDivisionError
    assert client.closed
    assert b"QUIT" not in world.said("C")
    with pytest.raises(ConnectionLost):
        client.noop()


def test_leaving_the_block_says_quit(world: World) -> None:
    with world.connect("smtp"):
        pass
    assert world.said("C")[-1] == b"QUIT"


@pytest.mark.parity(
    "smtp-client RSET",
    "smtp-client NOOP",
    "smtp-client VRFY",
    "smtp-client EXPN",
    "smtp-server HELP",
)
def test_other_commands(world: World) -> None:
    with world.connect("smtp") as client:
        assert client.verify("bob").code == 252
        assert client.expand("staff").code == 502
        assert client.help().code == 214
        assert client.reset().code == 250
        assert client.call(smtp.Noop("hello")).code == 250
        assert client.capabilities is not None
        client.quit()
        assert client.closed


# ------------------------------------------------------------------------------- content


class Slow:
    """A stream whose ``read`` is awaited under ``aio``."""

    def __init__(self, octets: bytes) -> None:
        self._file = BytesIO(octets)

    async def read(self, size: int, /) -> bytes:
        await asyncio.sleep(0)
        return self._file.read(size)


async def asynchronously(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


LINES = b"Subject: stream\r\n\r\n" + b"".join(b".line %d\r\n" % n for n in range(30_000))


@pytest.mark.parametrize("chunking", [False, True])
def test_a_file_is_sent_in_pieces(world: World, tmp_path: Path, chunking: bool) -> None:
    path = tmp_path / "message"
    path.write_bytes(LINES)
    with world.connect("smtp") as client, path.open("rb") as file:
        client.send(file, ALICE, [BOB], size=len(LINES), chunking=chunking)
        client.send(bytearray(CONTENT), ALICE, [BOB])
    first, second = world.contents("bob")
    assert first.endswith(LINES)
    assert second.endswith(CONTENT)


@pytest.mark.parametrize(
    "content",
    [lambda: Slow(LINES), lambda: asynchronously([LINES[:7], b"", LINES[7:]])],
    ids=["read", "pieces"],
)
def test_an_asynchronous_source_is_for_asyncio(world: World, content: Any) -> None:
    client = world.connect("smtp")
    if world.facade.name == "aio":
        with client:
            client.send(content(), ALICE, [BOB])
        assert world.contents("bob")[0].endswith(LINES)
        return
    with pytest.raises(TypeError, match="awaitable"):
        client.send(content(), ALICE, [BOB])
    assert client.closed
    world.close()
    assert world.contents("bob") == []


def test_text_is_not_content(world: World) -> None:
    with world.connect("smtp") as client:
        with pytest.raises(TypeError, match="octets"):
            client.send("Subject: text\r\n", ALICE, [BOB])
        assert client.noop().positive


def test_newlines_are_repaired_where_that_is_wanted(world: World) -> None:
    with world.connect("smtp", bare_newlines=smtp.BareNewlines.REPAIR) as client:
        client.send(b"Subject: unix\n\nline\r\rend\n", ALICE, [BOB])
    assert world.contents("bob")[0].endswith(b"Subject: unix\r\n\r\nline\r\n\r\nend\r\n")


def test_a_transaction_goes_on_as_it_was_received(world: World) -> None:
    mail = smtp.Mail(smtp.Mailbox("alice", "localhost"), body=smtp.BodyType.EIGHT_BIT_MIME)
    with world.connect("smtp") as client:
        client.send(CONTENT, mail, [smtp.Rcpt(smtp.Mailbox("bob", "localhost"))])
    size = len(CONTENT)
    assert f"MAIL FROM:<{ALICE}> SIZE={size} BODY=8BITMIME".encode() in world.said("C")


# ------------------------------------------------------------------------------- round trips


def answering_by_turns(conversation: Conversation, offered: bytes) -> list[bytes]:
    """Answer all that has come, and only then wait for more; what came each time."""
    machine = smtp.Server()
    turns: list[bytes] = []
    machine.accept()
    while True:
        said = machine.data_to_send()
        for keyword in (b"PIPELINING", b"CHUNKING"):
            if keyword not in offered:
                said = said.replace(b"250-" + keyword + b"\r\n", b"")
        conversation.say(said)
        if machine.closing:
            return turns
        data = conversation.connection.recv(1 << 20)
        turns.append(data)
        machine.receive_data(data)
        while not isinstance(event := machine.next_event(), Signal):
            if not isinstance(event, smtp.Body):
                machine.accept()


@pytest.mark.parity("smtp-client PIPELINING", "smtp-client CHUNKING")
@pytest.mark.parametrize(
    ("offered", "most"), [(b"PIPELINING", 3), (b"PIPELINING CHUNKING", 2), (b"CHUNKING", 5)]
)
def test_a_message_and_the_end_cost_few_round_trips(
    facade: Facade, offered: bytes, most: int
) -> None:
    """Each group is one write: over a socket it arrives as one piece."""
    turns: list[bytes] = []

    def talk(conversation: Conversation) -> None:
        turns.extend(answering_by_turns(conversation, offered))

    with scripted(talk) as (port, _), facade.connect("smtp", port, tls="none") as client:
        client.send(CONTENT, ALICE, [BOB, NOBODY])
    after_ehlo = turns[1:]
    assert len(after_ehlo) <= most, after_ehlo
    assert after_ehlo[-1] == b"QUIT\r\n"


# ------------------------------------------------------------------------------- asyncio


def test_async_with_without_await(certificate: CertificateFiles) -> None:
    """And every other use of what ``connect`` returns, in one place for all protocols."""
    facade = Facade("aio")
    world = World(facade, certificate)
    try:
        assert facade.loop is not None
        names = {"smtp": "submission", "imap": "imap", "pop3": "pop3"}
        for protocol, name in names.items():
            module = getattr(aio, protocol)
            facade.loop.run(_openings(module, world.port(name)))
    finally:
        world.close()
        facade.close()


async def _openings(module: Any, port: int) -> None:
    def connect(login: tuple[str, str] | None = None) -> Any:
        return module.connect("localhost", port, tls="none", login=login, allow_insecure_auth=True)

    async with connect() as client:
        assert not client.closed
    assert client.closed
    waits: list[Callable[[], Any]] = [
        connect,
        lambda: asyncio.create_task(connect()),
        lambda: asyncio.wait_for(connect(), 20),
    ]
    for wait in waits:
        async with await wait() as client:
            assert not client.closed
        assert client.closed
    with pytest.raises(ZeroDivisionError):
        async with connect() as client:
            raise ZeroDivisionError
    assert client.closed
    with pytest.raises(AuthenticationFailed):
        async with connect(("alice", "wrong")):
            raise AssertionError("nobody has logged in")
    connect().close()
    with pytest.raises(ZeroDivisionError):
        connect().throw(ZeroDivisionError())
    assert module.connect.__doc__
    assert "host" in inspect.signature(module.connect).parameters


# ------------------------------------------------------------------------------- faults


def _greet(conversation: Conversation, *extensions: bytes) -> None:
    conversation.say(b"220 mx.example ready\r\n")
    assert conversation.line().startswith(b"EHLO ")
    lines = [b"mx.example", *extensions]
    for line in lines[:-1]:
        conversation.say(b"250-" + line + b"\r\n")
    conversation.say(b"250 " + lines[-1] + b"\r\n")


def test_P21_an_end_after_the_final_dot_is_UNKNOWN(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        _greet(conversation, b"PIPELINING")
        for reply in (b"250 ok", b"250 ok", b"550 no", b"354 go"):
            conversation.line()
            conversation.say(reply + b"\r\n")
        while conversation.line() != b".":
            pass

    with scripted(talk) as (port, _), pytest.raises(DeliveryUnknown) as caught:
        facade.connect("smtp", port, tls="none").send(CONTENT, ALICE, [BOB, NOBODY])
    assert isinstance(caught.value, OutcomeUnknown)
    outcomes = [r.outcome for r in caught.value.result.recipients]
    assert outcomes == [Outcome.UNKNOWN, Outcome.PERMANENT]


def test_P21_an_end_within_lmtp_replies_keeps_those_that_came(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"220 mx.example ready\r\n")
        assert conversation.line().startswith(b"LHLO ")
        conversation.say(b"250-mx.example\r\n250 PIPELINING\r\n")
        for reply in (b"250 ok", b"250 ok", b"250 ok", b"354 go"):
            conversation.line()
            conversation.say(reply + b"\r\n")
        while conversation.line() != b".":
            pass
        conversation.say(b"250 2.0.0 first\r\n250 2.0")

    with scripted(talk) as (port, _), pytest.raises(DeliveryUnknown) as caught:
        client = facade.connect("smtp", port, tls="none", lmtp=True)
        client.send(CONTENT, ALICE, [BOB, ALICE])
    outcomes = [r.outcome for r in caught.value.result.recipients]
    assert outcomes == [Outcome.DELIVERED, Outcome.UNKNOWN]


@pytest.mark.parametrize("after", range(4))
def test_P21_an_end_before_the_content_delivers_nothing(facade: Facade, after: int) -> None:
    def talk(conversation: Conversation) -> None:
        _greet(conversation, b"PIPELINING")
        for reply in (b"250 ok", b"250 ok", b"354 go")[:after]:
            conversation.line()
            conversation.say(reply + b"\r\n")

    expected = DeliveryUnknown if after == 3 else ConnectionLost
    with scripted(talk) as (port, _), pytest.raises(expected):
        facade.connect("smtp", port, tls="none").send(CONTENT, ALICE, [BOB])


def test_quit_of_a_connection_that_is_closed_is_no_error(world: World) -> None:
    client = world.connect("smtp", "none")
    client.quit()
    assert client.closed
    client.quit()


def test_content_is_no_command_to_call(world: World) -> None:
    """Nothing would answer it, and the wait would last as long as the timeout."""
    with world.connect("smtp", "none") as client:
        client.call(smtp.Mail(smtp.Mailbox.parse(ALICE)))
        client.call(smtp.Rcpt(smtp.Mailbox.parse(BOB)))
        for command in (smtp.Bdat(3), smtp.Body(b"one")):
            with pytest.raises(LocalProtocolError, match="content is sent by send"):
                client.call(command)
        assert client.call(smtp.Bdat(0, last=True)).code == 250


def test_P24_a_server_that_is_silent_runs_into_the_timeout(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        conversation.line()
        conversation.rest()

    with scripted(talk) as (port, _):
        client = facade.connect("smtp", port, tls="none", timeout=0.2)
        with pytest.raises(
            DeadlineExceeded, match=r"the reply to NOOP has not come in 0\.2 seconds"
        ):
            client.noop()
        assert client.closed
        client.close()


@pytest.mark.parity("smtp-client timeouts")
def test_P24_a_server_that_drips_runs_into_the_timeout(facade: Facade) -> None:
    """One octet at a time renews nothing: the time is that of the whole reply."""

    def talk(conversation: Conversation) -> None:
        conversation.connection.settimeout(0.02)
        for _ in range(500):
            conversation.say(b"2")
            try:
                if not conversation.connection.recv(1):
                    return
            except TimeoutError:
                continue

    with scripted(talk) as (port, _), pytest.raises(DeadlineExceeded, match="the greeting"):
        facade.connect("smtp", port, tls="none", timeout=0.3)


def test_P24_each_phase_has_its_time(facade: Facade) -> None:
    """The others are long: only the one for the reply to DATA passes."""

    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        for _ in range(2):
            conversation.line()
            conversation.say(b"250 ok\r\n")
        assert conversation.line() == b"DATA"
        conversation.rest()

    with scripted(talk) as (port, _):
        times = smtp.Timeouts(data=0.05)
        client = facade.connect("smtp", port, tls="none", timeout=times)
        with pytest.raises(
            DeadlineExceeded, match=r"the reply to DATA has not come in 0\.05 seconds"
        ):
            client.send(CONTENT, ALICE, [BOB])
        assert client.closed


def test_P24_a_server_that_takes_no_content_runs_into_the_timeout(facade: Facade) -> None:
    over = threading.Event()

    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            conversation.line()
            conversation.say(reply)
        over.wait(60.0)

    with scripted(talk) as (port, _):
        times = smtp.Timeouts(block=0.2)
        client = facade.connect("smtp", port, tls="none", timeout=times)
        with pytest.raises(DeadlineExceeded, match=r"not taken .* the content in 0\.2 seconds"):
            client.send(itertools.repeat(CONTENT * 10_000), ALICE, [BOB])
        over.set()
        assert client.closed


def test_a_server_that_refuses_inside_the_content_and_reads_no_more(facade: Facade) -> None:
    over = threading.Event()

    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n552 5.3.4 too much\r\n"):
            conversation.line()
            conversation.say(reply)
        over.wait(60.0)

    with scripted(talk) as (port, _):
        client = facade.connect("smtp", port, tls="none", timeout=smtp.Timeouts(block=0.2))
        with pytest.raises(DeliveryFailed) as caught:
            client.send(itertools.repeat(CONTENT * 10_000), ALICE, [BOB])
        over.set()
        assert client.closed
    assert caught.value.answer == "552 5.3.4 too much"


@pytest.mark.parity("smtp-client EHLO, with HELO when it must")
def test_HELO_on_another_connection_where_the_server_closes_at_EHLO(facade: Facade) -> None:
    """RFC 1869 section 4.7; but not where TLS or a login is wanted."""
    with listening(Host({"EHLO": CLOSE})) as port:
        with facade.connect("smtp", port, tls="none") as client:
            assert not client.session.machine.offers("PIPELINING")
            assert client.noop().positive
        with pytest.raises(ConnectionLost):
            facade.connect("smtp", port, tls="starttls")
        with pytest.raises(ConnectionLost):
            facade.connect("smtp", port, tls="none", login=("a", "b"), allow_insecure_auth=True)


def test_a_failure_has_the_result(world: World) -> None:
    with world.connect("smtp") as client:
        with pytest.raises(DeliveryFailed) as failed:
            client.send(CONTENT, ALICE, [NOBODY, "else@localhost"])
        outcomes = [r.outcome for r in failed.value.result.recipients]
        assert outcomes == [Outcome.PERMANENT] * 2
        assert [str(r.enhanced) for r in failed.value.result.recipients] == ["5.1.1"] * 2
        assert failed.value.code == "550"


def test_a_greeting_that_refuses(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        conversation.say(b"554 no service\r\n")
        conversation.rest()

    with scripted(talk) as (port, _), pytest.raises(CommandFailed, match="no service"):
        facade.connect("smtp", port, tls="none")


def test_nobody_listens(facade: Facade) -> None:
    with scripted(lambda conversation: None) as (port, _), pytest.raises(ConnectionLost):
        facade.connect("smtp", port, tls="none")
    with pytest.raises(ConnectionLost, match=str(port)):
        facade.connect("smtp", port, tls="none", connect_timeout=5)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "mail..example", "ma\0il.example"])
def test_a_host_that_can_have_no_address(facade: Facade, host: str) -> None:
    with pytest.raises(ConnectionLost, match="cannot connect to "):
        if facade.loop is None:
            sync.smtp.connect(host, 25, tls="none")
        else:
            facade.loop.run(aio.smtp.connect(host, 25, tls="none"))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_connection_is_closed_once_the_server_has_said_421(facade: Facade, at: int) -> None:
    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        for number in range(1, at + 1):
            conversation.line()
            conversation.say(b"421 4.3.2 going down\r\n" if number == at else b"250 ok\r\n")

    with scripted(talk) as (port, _):
        client = facade.connect("smtp", port, tls="none", timeout=20)
        with pytest.raises(DeliveryFailed, match=r"421 4\.3\.2 going down") as caught:
            client.send(CONTENT, ALICE, [BOB])
        assert caught.value.temporary
        assert client.closed
        with pytest.raises(ConnectionLost):
            client.noop()
        client.quit()


def test_LMTP_has_no_usual_port(facade: Facade) -> None:
    with pytest.raises(LocalProtocolError, match="give the port"):
        if facade.loop is None:
            sync.smtp.connect("localhost", tls="none", lmtp=True)
        else:
            facade.loop.run(aio.smtp.connect("localhost", tls="none", lmtp=True))


def test_P27_a_reply_nobody_asked_for_answers_nothing(facade: Facade) -> None:
    def talk(conversation: Conversation) -> None:
        _greet(conversation)
        conversation.line()
        conversation.say(b"250 one\r\n250 two\r\n")
        conversation.rest()

    with scripted(talk) as (port, conversations):
        client = facade.connect("smtp", port, tls="none")
        with pytest.raises(RemoteProtocolError):
            client.noop()
            client.noop()
        assert client.closed
        assert bytes(conversations[0].received).count(b"NOOP") == 1


def test_no_credentials_in_clear_unless_named(world: World) -> None:
    with pytest.raises(SecurityError):
        world.connect("smtp", allow_insecure_auth=False)
    assert not any(line.startswith(b"AUTH") for line in world.said("C"))


def test_the_names_of_the_results_are_in_the_facade() -> None:
    assert facade_smtp.DeliveryFailed is DeliveryFailed
    assert facade_smtp.DeliveryUnknown is DeliveryUnknown
    assert facade_smtp.Outcome is Outcome
