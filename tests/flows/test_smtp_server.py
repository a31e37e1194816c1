"""The server's conversation with handlers of our own: scripted clients, and smtplib."""

from __future__ import annotations

import asyncio
import datetime
import smtplib
from collections.abc import Callable, Sequence
from email.message import EmailMessage

import pytest
from attrs import evolve

from mailproto import aio, sasl, smtp
from mailproto.backend.directory import Users
from mailproto.backend.store import OverQuota, StoreFailure
from mailproto.errors import (
    AuthenticationFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
)
from mailproto.flows.effects import Deadline, Flow, Read, StartTLS, Write, call, read, write
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_server import Context, Handler, Origin, serve
from mailproto.sync import Server as SyncServer
from mailproto.testing import converse, peer, transcript

USERS = Users({"alice": "secret"}, ["example.com"])
NO = smtp.Reply(550, "no", smtp.EnhancedCode(5, 7, 1))


class Keeper(Handler):
    """Keeps what it was asked, and answers as the recipients' local parts say."""

    def __init__(self, origin: Origin, log: list[object]) -> None:
        self.origin = origin
        self.log = log
        self.body = b""
        self.recipients: list[smtp.Rcpt] = []

    def mail(self, mail: smtp.Mail) -> smtp.Reply | None:
        self.log.append(mail)
        self.body, self.recipients = b"", []
        return NO if "bad" in str(mail.reverse_path) else None

    def rcpt(self, rcpt: smtp.Rcpt) -> Flow[smtp.Reply | None]:
        yield from call(self.log.append, rcpt)
        match str(rcpt.forward_path).partition("@")[0]:
            case "bad":
                return NO
            case "full":
                raise OverQuota
            case "broken":
                raise StoreFailure
        self.recipients.append(rcpt)
        return None

    def content(self, data: bytes) -> smtp.Reply | None:
        self.body += data
        if b"overflow" in self.body:
            raise OverQuota
        if b"bug" in self.body:
            raise ZeroDivisionError
        return None

    def end(self) -> smtp.Reply | Sequence[smtp.Reply] | None:
        self.log.append(self.body)
        if b"each" in self.body:
            return [smtp.Reply(250, "ok"), NO]
        if b"spam" in self.body:
            return NO
        if b"broken" in self.body:
            raise StoreFailure
        return None

    def abandon(self) -> None:
        self.log.append("abandoned")

    def verify(self, text: str) -> smtp.Reply | None:
        return smtp.Reply(250, f"<{text}@example.com>") if text == "alice" else None

    def other(self, command: smtp.OtherCommand) -> smtp.Reply | None:
        return smtp.Reply(250, "done") if command.verb == "XFOO" else None


def context(log: list[object], **options: object) -> Context:
    return Context(
        handler=lambda origin: Keeper(origin, log),
        shutdown=Shutdown(),
        hostname="mx",
        **options,  # type: ignore[arg-type]  # options of any kind
    )


HELLO = """S: 220 mx ESMTP
C: EHLO me
S: 250-mx
S: 250-PIPELINING
S: 250-SIZE 67108864
S: 250-8BITMIME
S: 250-CHUNKING
S: 250-ENHANCEDSTATUSCODES
S: 250-SMTPUTF8
S: 250 HELP
"""
STARTTLS = "S: 250-STARTTLS\nS: 250-ENH"
SENDER = "C: MAIL FROM:<a@b>\nS: 250 2.1.0 OK\n"
ENVELOPE = SENDER + "C: RCPT TO:<c@d>\nS: 250 2.1.5 OK\n"
DATA = ENVELOPE + "C: DATA\nS: 354 End data with <CR><LF>.<CR><LF>\n"
QUIT = "C: QUIT\nS: 221 2.0.0 Goodbye\n"
MAIL, RCPT = smtp.Mail(smtp.Mailbox("a", "b")), smtp.Rcpt(smtp.Mailbox("c", "d"))


def play(script: str, **options: object) -> list[object]:
    """What the handler was asked while a client played its part of the script."""
    log: list[object] = []
    ctx = context(log, **options)
    converse(serve(ctx.machine(), ctx), peer(transcript(script), "C"))
    return log


def test_a_message_is_handed_on_and_accepted() -> None:
    done = "C: .\nS: 250 2.0.0 OK\n"
    log = play(f"{HELLO}{DATA}C: hello\nC: ..\n{done}{DATA}{done}{QUIT}")
    assert log == [MAIL, RCPT, b"hello\r\n.\r\n", MAIL, RCPT, b""]


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ("C: MAIL FROM:<bad@b>\nS: 550 5.7.1 no\n", 2),
        (f"{SENDER}C: RCPT TO:<bad@d>\nS: 550 5.7.1 no\n", 3),
        (f"{SENDER}C: RCPT TO:<full@d>\nS: 452 4.2.2 Insufficient storage\n", 3),
        (f"{SENDER}C: RCPT TO:<broken@d>\nS: 451 4.3.0 The message cannot be stored now\n", 3),
        (f"{DATA}C: spam\nC: .\nS: 550 5.7.1 no\n", 3),
        (f"{DATA}C: broken\nC: .\nS: 451 4.3.0 The message cannot be stored now\n", 3),
        (f"{DATA}C: overflow\nC: more\nC: .\nS: 452 4.2.2 Insufficient storage\n", 3),
        ("C: VRFY alice\nS: 250 2.5.0 <alice@example.com>\n", 0),
        ("C: VRFY bob\nS: 252 2.5.0 Send some mail and see\n", 0),
        ("C: EXPN staff\nS: 502 5.5.1 EXPN is not implemented\n", 0),
        ("C: XFOO\nS: 250 2.0.0 done\nC: XBAR\nS: 500 5.5.2 Command not recognized\n", 0),
        ("C: NOOP\nS: 250 2.0.0 OK\nC: HELP\nS: 214 2.0.0 See RFC 5321\n", 0),
    ],
)  # fmt: skip
def test_what_the_handler_decides(script: str, asked: int) -> None:
    assert len(play(HELLO + script + QUIT)) == asked


@pytest.mark.parametrize(
    "end",
    [
        "C: RSET\nS: 250 2.0.0 OK\n",
        HELLO.partition("\n")[2],
        "C: QUIT\nS: 221 2.0.0 Goodbye\n",
        "",
    ],
)
def test_P14_a_transaction_without_an_end_is_abandoned(end: str) -> None:
    quit = "" if "QUIT" in end or not end else QUIT
    assert play(HELLO + ENVELOPE + end + quit) == [MAIL, RCPT, "abandoned"]


def test_P02_bad_content_is_abandoned_and_the_session_goes_on() -> None:
    log: list[object] = []
    ctx = context(log)

    def client() -> Flow[list[bytes]]:
        said = []
        for line in (
            b"EHLO me\r\n",
            b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
            b"x\n.\nMAIL FROM:<evil@b>\r\n.\r\n",
            b"NOOP\r\n",
        ):
            yield from read()
            yield from write(line)
        said.append((yield from read()) or b"")
        yield from write(b"QUIT\r\n")
        said.append((yield from read()) or b"")
        return said

    _, said = converse(serve(ctx.machine(), ctx), client())
    assert log == [MAIL, RCPT, "abandoned"]
    assert said[0].endswith(b"250 2.0.0 OK\r\n")


@pytest.mark.parity("smtp-server PIPELINING")
def test_replies_to_a_group_go_out_in_one_write() -> None:
    log: list[object] = []
    ctx = context(log)
    flow = serve(ctx.machine(), ctx)
    incoming = [
        b"EHLO me\r\n",
        b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<bad@d>\r\nDATA\r\n",
        b"x\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
        b".\r\nQUIT\r\n",
    ]
    writes: list[bytes] = []
    effect = next(flow)
    with pytest.raises(StopIteration):
        while True:
            result: object = None
            if isinstance(effect, Write):
                writes.append(effect.data)
            elif isinstance(effect, Read):
                result = incoming.pop(0)
            elif not isinstance(effect, Deadline):
                result = effect.function()  # type: ignore[union-attr]  # a Call
            effect = flow.send(result)
    assert [data.count(b"\r\n") for data in writes] == [1, 8, 4, 4, 2]


def test_lmtp_replies_for_each_recipient() -> None:
    hello = HELLO.replace("EHLO", "LHLO").replace("ESMTP", "LMTP")
    envelope = ENVELOPE + "C: RCPT TO:<e@f>\nS: 250 2.1.5 OK\n"
    data = envelope + "C: DATA\nS: 354 End data with <CR><LF>.<CR><LF>\n"
    play(
        f"{hello}{data}C: all\nC: .\nS: 250 2.0.0 OK\nS: 250 2.0.0 OK\n"
        f"{data}C: spam\nC: .\nS: 550 5.7.1 no\nS: 550 5.7.1 no\n"
        f"{data}C: each\nC: .\nS: 250 2.0.0 ok\nS: 550 5.7.1 no\n{QUIT}",
        lmtp=True,
    )


@pytest.mark.parametrize(
    ("client", "farewell"),
    [
        (b"x" * 20000, "500 5.5.2 Line too long"),
        (b"NOOP " + b"x" * 3000 + b"\r\n", "500 5.5.2 Line too long"),
        (b"XBAR\r\n" * 30, "421 4.7.0 Too many errors"),
    ],
)
def test_P13_a_session_that_cannot_go_on_is_told_why(client: bytes, farewell: str) -> None:
    said = b""

    def talk() -> Flow[None]:
        nonlocal said
        yield from write(client)
        while data := (yield from read()):
            said += data

    ctx = context([])
    converse(serve(ctx.machine(), ctx), talk())
    assert said.decode().splitlines()[-1] == farewell


@pytest.mark.parity("smtp-server idle timeout")
def test_P24_a_silent_client_is_told_and_left() -> None:
    said = b""

    def silent() -> Flow[None]:
        nonlocal said
        yield from write(b"EHLO me\r\nMAIL FROM:<a@b>\r\n")
        while data := (yield from read()):
            said += data

    log: list[object] = []
    ctx = context(log, timeout=7.0)
    converse(serve(ctx.machine(), ctx), silent())
    assert said.endswith(b"421 4.4.2 Timeout, closing the connection\r\n")
    assert log[-1] == "abandoned"


def effects(ctx: Context, answers: Callable[[Read], bytes | None]) -> list[object]:
    """The effects of a session whose reads are answered one after the other."""
    seen: list[object] = []
    flow = serve(ctx.machine(), ctx)
    result: object = None
    try:
        while True:
            effect = flow.send(result)
            seen.append(effect)
            result = answers(effect) if isinstance(effect, Read) else None
    except StopIteration:
        return seen


def test_P24_a_client_that_sends_octet_by_octet_gets_no_more_time() -> None:
    pieces = [b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", *[b"x"] * 100]
    seen = effects(context([]), lambda _: pieces.pop(0) if pieces else b"")
    armed = [effect for effect in seen if effect == Deadline(300.0)]
    # For the greeting, the commands, the content; not for each octet of it.
    assert len(armed) <= 4


def test_a_server_that_ends_tells_its_clients() -> None:
    log: list[object] = []
    ctx = context(log)
    greeted = False

    def answers(effect: Read) -> bytes | None:
        nonlocal greeted
        if not greeted:
            greeted = True
            return b"EHLO me\r\nMAIL FROM:<a@b>\r\n"
        ctx.shutdown.request()
        assert effect.wakeup is not None
        assert effect.wakeup.is_set
        return None

    seen = effects(ctx, answers)
    assert seen[-1] == Write(b"421 4.3.2 The server is going down\r\n")
    assert log == [MAIL, "abandoned"]


def test_a_fault_of_the_handler_is_seen_by_both_sides() -> None:
    said = b""

    def client() -> Flow[None]:
        nonlocal said
        yield from write(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nbug\r\n.\r\n")
        while data := (yield from read()):
            said += data

    log: list[object] = []
    ctx = context(log)
    with pytest.raises(ZeroDivisionError):
        converse(serve(ctx.machine(), ctx), client())
    assert said.endswith(b"421 4.3.0 Internal error, closing the connection\r\n")
    assert log[-1] == "abandoned"


def test_a_handler_that_fails_twice_is_told_by_421_all_the_same() -> None:
    class Broken(Keeper):
        def abandon(self) -> None:
            raise IndexError

    said = b""

    def client() -> Flow[None]:
        nonlocal said
        yield from write(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nbug\r\n.\r\n")
        while data := (yield from read()):
            said += data

    ctx = Context(handler=lambda origin: Broken(origin, []), shutdown=Shutdown())
    with pytest.raises(IndexError) as caught:
        converse(serve(ctx.machine(), ctx), client())
    assert isinstance(caught.value.__context__, ZeroDivisionError)
    assert said.endswith(b"421 4.3.0 Internal error, closing the connection\r\n")


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_handler_with_more_or_fewer_replies_than_recipients(number: int) -> None:
    class Counting(Keeper):
        def end(self) -> Sequence[smtp.Reply]:
            return [smtp.Reply(250, "ok")] * number

    ctx = Context(
        handler=lambda origin: Counting(origin, []), shutdown=Shutdown(), hostname="mx", lmtp=True
    )
    hello = HELLO.replace("EHLO", "LHLO").replace("ESMTP", "LMTP")
    envelope = ENVELOPE + "C: RCPT TO:<e@f>\nS: 250 2.1.5 OK\n"
    data = f"{envelope}C: DATA\nS: 354 End data with <CR><LF>.<CR><LF>\n"
    last = "S: 421 4.3.0 Internal error, closing the connection\n"
    with pytest.raises(LocalProtocolError, match=f"{number} times, not 2"):
        converse(
            serve(ctx.machine(starttls=True), ctx),
            peer(transcript(f"{hello}{data}C: .\n{last}".replace("S: 250-ENH", STARTTLS)), "C"),
        )


@pytest.mark.parametrize(
    "chunks", ["C: DATA\nS: 354 Go on\nC: one\nC: .\n", "C: BDAT 5 LAST\nC: one\n"]
)
def test_nothing_is_dropped_that_a_handler_has_not_refused(chunks: str) -> None:
    class Polite(Keeper):
        def data(self) -> smtp.Reply:
            return smtp.Reply(354, "Go on")

        def content(self, data: bytes) -> smtp.Reply:
            super().content(data)
            return smtp.Reply(250, "Thank you")

    log: list[object] = []
    ctx = Context(handler=lambda origin: Polite(origin, log), shutdown=Shutdown(), hostname="mx")
    script = f"{HELLO}{ENVELOPE}{chunks}S: 250 2.0.0 OK\n{QUIT}"
    converse(serve(ctx.machine(), ctx), peer(transcript(script), "C"), sizes=(1,))
    assert log == [MAIL, RCPT, b"one\r\n"]


@pytest.mark.parametrize("error", [ConnectionLost("gone"), DeadlineExceeded("late")])
def test_a_connection_that_breaks_is_no_error_of_the_server(error: Exception) -> None:
    log: list[object] = []
    ctx = context(log)
    flow = serve(ctx.machine(), ctx)
    fed = False
    effect: object = next(flow)
    with pytest.raises(StopIteration):
        while True:
            if isinstance(effect, Read):
                if fed:
                    effect = flow.throw(error)
                else:
                    fed = True
                    effect = flow.send(b"EHLO me\r\nMAIL FROM:<a@b>\r\n")
            elif isinstance(effect, Write) and fed and effect.data.startswith(b"421"):
                effect = flow.throw(ConnectionLost("gone"))
            else:
                effect = flow.send(None)
    assert log == [MAIL, "abandoned"]


# ------------------------------------------------------------------------------- AUTH and TLS


def authenticated_context(log: list[object], *, insecure: bool = False) -> Context:
    return context(
        log,
        directory=USERS,
        sasl=sasl.Offer(allow_insecure_auth=insecure),
        require_auth=True,
        allow_insecure_auth=insecure,
    )


@pytest.mark.parity("smtp-server AUTH")
@pytest.mark.parametrize("password", ["secret", "wrong"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_authentication_under_starttls(mechanism: str, password: str) -> None:
    log: list[object] = []
    ctx = authenticated_context(log)
    client = Session(smtp.Client(), "me")
    wanted = [m for m in sasl.MECHANISMS if m.name == mechanism]
    origins: list[Origin] = []

    def handler(origin: Origin) -> Handler:
        origins.append(origin)
        return Keeper(origin, log)

    ctx = evolve(ctx, handler=handler)

    def talk() -> Flow[str]:
        yield from client.begin()
        assert not client.machine.offers("AUTH")
        refused = yield from client.call(MAIL)
        assert str(refused) == "530 5.7.0 Must issue a STARTTLS command first"
        yield from client.starttls()
        refused = yield from client.call(MAIL)
        assert str(refused) == "530 5.7.0 Authentication required"
        credentials = sasl.PasswordCredentials("alice", password)
        try:
            reply = yield from client.authenticate(credentials, mechanisms=wanted)
        except Exception as error:
            return str(error)
        yield from client.send(b"x\r\n", "a@b", ["c@d"])
        yield from client.quit()
        return str(reply)

    _, said = converse(serve(ctx.machine(starttls=True), ctx), talk())
    if password == "secret":
        assert said == "235 2.7.0 Authentication successful"
        assert origins[0].account == "alice"
        assert origins[0].tls
        assert log == [evolve(MAIL, size=3), RCPT, b"x\r\n"]
    else:
        assert said == "AUTH was refused: 535 5.7.8 Authentication failed"
        assert origins[0].account is None


class Unreachable(Users):
    """A directory whose store does not answer."""

    def verify(self, credentials: sasl.Credentials) -> str | None:
        raise StoreFailure


def test_a_directory_that_does_not_answer_refuses_nobody_for_good() -> None:
    directory = Unreachable({"alice": "secret"}, ["example.com"])
    ctx = evolve(authenticated_context([], insecure=True), directory=directory)
    client = Session(smtp.Client(allow_insecure_auth=True), "me")
    plain = [m for m in sasl.MECHANISMS if m.name == "PLAIN"]

    def talk() -> Flow[None]:
        yield from client.begin()
        for _ in range(5):
            with pytest.raises(
                AuthenticationFailed, match=r"454 4\.7\.0 .* not possible"
            ) as caught:
                yield from client.authenticate(
                    sasl.PasswordCredentials("alice", "secret"), mechanisms=plain
                )
            assert caught.value.temporary
        yield from client.quit()

    converse(serve(ctx.machine(), ctx), talk())


def test_P26_authentication_cancelled_or_malformed() -> None:
    log: list[object] = []
    ctx = authenticated_context(log, insecure=True)
    script = """S: 220 mx ESMTP
C: HELO me
S: 250 mx
C: AUTH LOGIN
S: 503 5.5.1 AUTH needs EHLO
C: EHLO me
S: 250-mx
S: 250-PIPELINING
S: 250-SIZE 67108864
S: 250-8BITMIME
S: 250-CHUNKING
S: 250-AUTH {mechanisms}
S: 250-ENHANCEDSTATUSCODES
S: 250-SMTPUTF8
S: 250 HELP
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: *
S: 501 5.7.0 Authentication cancelled
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: !!!
S: 501 5.5.2 The response is not base64
C: AUTH PLAIN eA==
S: 501 5.5.2 The response is malformed
C: AUTH XFOO
S: 504 5.5.4 Mechanism not offered
C: NOOP
S: 250 2.0.0 OK
C: QUIT
S: 221 2.0.0 Goodbye"""
    assert ctx.sasl is not None
    names = " ".join(ctx.sasl.names(tls=False))
    converse(
        serve(ctx.machine(), ctx), peer(transcript(script.replace("{mechanisms}", names)), "C")
    )


@pytest.mark.parity("smtp-server STARTTLS")
def test_P05_TLS_begins_a_new_session() -> None:
    log: list[object] = []
    ctx = context(log)
    client = Session(smtp.Client(), "me")

    def talk() -> Flow[None]:
        yield from client.begin()
        yield from client.call(MAIL)
        yield from client.call(smtp.Rset())
        yield from client.starttls()
        yield from client.call(MAIL)
        yield from client.quit()

    converse(serve(ctx.machine(starttls=True), ctx), talk())
    assert log == [MAIL, "abandoned", MAIL, "abandoned"]


@pytest.mark.parity("smtp-server plaintext after STARTTLS")
def test_P05_plaintext_behind_STARTTLS_ends_the_session() -> None:
    said = b""

    def client() -> Flow[None]:
        nonlocal said
        yield from write(b"EHLO me\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n")
        while data := (yield from read()):
            said += data

    log: list[object] = []
    ctx = context(log)
    converse(serve(ctx.machine(starttls=True), ctx), client())
    assert log == []
    assert said.endswith(
        b"220 2.0.0 Go ahead\r\n421 4.7.0 Closing the connection after a protocol error\r\n"
    )


def test_a_handshake_that_does_not_end_is_not_answered_in_clear() -> None:
    def client() -> Flow[bytes]:
        said = b""
        yield from write(b"EHLO me\r\nSTARTTLS\r\n")
        while data := (yield from read()):
            said += data
        return said

    ctx = context([])
    flow = serve(ctx.machine(starttls=True), ctx)

    def stalled() -> Flow[None]:
        result: object = None
        try:
            while True:
                effect = flow.send(result)
                if isinstance(effect, StartTLS):
                    flow.throw(DeadlineExceeded("late"))
                result = yield effect
        except StopIteration:
            return

    _, said = converse(stalled(), client())
    assert said.endswith(b"220 2.0.0 Go ahead\r\n")


class Awaiting(Handler):
    """Answers by coroutines."""

    async def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply | None:
        await asyncio.sleep(0)
        return NO if "bad" in str(rcpt.forward_path) else None

    async def content(self, data: bytes) -> None:
        await asyncio.sleep(0)

    async def end(self) -> smtp.Reply:
        await asyncio.sleep(0)
        return smtp.Reply(250, "taken")


def test_a_handler_may_answer_by_coroutines() -> None:
    ctx = Context(handler=lambda origin: Awaiting(), shutdown=Shutdown(), hostname="mx")

    async def main() -> list[smtp.Reply | None]:
        server = aio.Server(ctx.shutdown)
        port = await server.listen("127.0.0.1", 0, lambda at: serve(ctx.machine(), ctx, at))
        async with await aio.smtp.connect("127.0.0.1", port, tls="none") as client:
            result = await client.send(b"x\r\n", "a@b", ["c@d", "bad@d"])
        await server.close()
        return [recipient.reply for recipient in result.recipients]

    assert asyncio.run(main()) == [smtp.Reply(250, "taken", smtp.EnhancedCode(2, 0, 0)), NO]


# ------------------------------------------------------------------------------------- smtplib


def test_smtplib_sends_to_our_server() -> None:
    log: list[object] = []
    ctx = authenticated_context(log, insecure=True)

    def session(at: Peer) -> Flow[None]:
        return serve(ctx.machine(), ctx, at)

    message = EmailMessage()
    message["From"], message["To"] = "alice@example.com", "bob@example.com, bad@example.com"
    message["Subject"] = "Grüße"
    message.set_content("Hällo\n.\n..\n")
    with SyncServer(ctx.shutdown) as server:
        port = server.listen("127.0.0.1", 0, session)
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            assert client.ehlo()[0] == 250
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail("a@b", ["c@d"], b"x")
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("alice", "wrong")
            assert client.login("alice", "secret")[0] == 235
            refused = client.send_message(message)
            assert refused == {"bad@example.com": (550, b"5.7.1 no")}
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("a@b", ["bad@d"], b"x")
            with pytest.raises(smtplib.SMTPDataError):
                client.sendmail("a@b", ["c@d"], b"spam")
            assert client.verify("alice") == (250, b"2.5.0 <alice@example.com>")
            assert client.docmd("XFOO") == (250, b"2.0.0 done")
            assert client.noop()[0] == 250
    bodies = [entry for entry in log if isinstance(entry, bytes)]
    expected = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    assert bodies == [expected, b"spam\r\n"]


class LineFeeds(smtplib.SMTP):
    """Ends its command lines as a script does that nobody has told of CRLF."""

    def putcmd(self, cmd: str, args: str = "") -> None:
        self.send(f"{cmd} {args}".rstrip() + "\n")


@pytest.mark.parity("smtp-server bare LF in commands")
def test_P25_a_client_of_line_feeds_is_served_where_they_are_repaired() -> None:
    log: list[object] = []
    ctx = context(log, bare_newlines=smtp.BareNewlines.REPAIR)
    with SyncServer(ctx.shutdown) as server:
        port = server.listen("127.0.0.1", 0, lambda at: serve(ctx.machine(), ctx, at))
        with LineFeeds("127.0.0.1", port, timeout=20) as client:
            client.sendmail("a@b", ["c@d"], b"hello\r\n")
    assert [entry for entry in log if isinstance(entry, bytes)] == [b"hello\r\n"]


# -------------------------------------------------------------------------------------- chunks


def test_chunks_are_handed_on_like_content() -> None:
    ok = "S: 250 2.0.0 OK\n"
    log = play(f"{HELLO}{ENVELOPE}C: BDAT 3\nC: x\n{ok}C: BDAT 0 LAST\n{ok}{QUIT}")
    assert log == [MAIL, RCPT, b"x\r\n"]


def test_chunks_that_the_handler_refuses() -> None:
    log = play(f"""{HELLO}{ENVELOPE}C: BDAT 10
C: overflow
S: 452 4.2.2 Insufficient storage
C: BDAT 3 LAST
C: x
S: 503 5.5.1 BDAT is not allowed after a refused chunk, before RSET
C: RSET
S: 250 2.0.0 OK
{ENVELOPE}C: BDAT 6 LAST
C: spam
S: 550 5.7.1 no
{QUIT}""")
    assert log == [MAIL, RCPT, "abandoned", MAIL, RCPT, b"spam\r\n"]


def test_the_handler_is_asked_before_the_first_chunk() -> None:
    log: list[object] = []

    class Cautious(Keeper):
        def data(self) -> smtp.Reply | None:
            return NO

    ctx = Context(handler=lambda origin: Cautious(origin, log), shutdown=Shutdown(), hostname="mx")
    for chunk in ("BDAT 3\nC: x", "BDAT 0", "BDAT 0 LAST"):
        script = f"{HELLO}{ENVELOPE}C: {chunk}\nS: 550 5.7.1 no\n{QUIT}"
        converse(serve(ctx.machine(), ctx), peer(transcript(script), "C"))
        assert log == [MAIL, RCPT, "abandoned"]
        log.clear()


def test_who_speaks_before_the_greeting_is_refused() -> None:
    ctx = context([], greeting_delay=5.0)
    flow = serve(ctx.machine(), ctx)
    assert next(flow) == Deadline(5.0)
    assert isinstance(flow.send(None), Read)
    effect = flow.send(b"EHLO a\r\n")
    while isinstance(effect, Deadline):
        effect = flow.send(None)
    assert effect == Write(b"554 The client spoke before the greeting\r\n")


def test_who_waits_for_the_greeting_gets_it() -> None:
    ctx = context([], greeting_delay=5.0)
    flow = serve(ctx.machine(), ctx)
    next(flow)
    flow.send(None)
    effect = flow.throw(DeadlineExceeded("silence"))
    while isinstance(effect, Deadline):
        effect = flow.send(None)
    assert effect == Write(b"220 mx ESMTP\r\n")


@pytest.mark.parametrize("trusted", [True, False])
def test_P30_XCLIENT_is_for_those_who_are_trusted(trusted: bool) -> None:
    origins: list[Origin] = []

    def make(origin: Origin) -> Keeper:
        origins.append(origin)
        return Keeper(origin, [])

    address = "192.0.2.9" if trusted else "192.0.2.10"
    ctx = Context(
        make, Shutdown(), "mx", trusts_forwarding=lambda peer: peer.address == "192.0.2.9"
    )

    def forwarder() -> Flow[list[int]]:
        client = Session(smtp.Client(), "me")
        yield from client.begin()
        command = smtp.XClient((("ADDR", "198.51.100.1"), ("LOGIN", "alice")))
        if not trusted:
            with pytest.raises(LocalProtocolError):
                yield from client.call(command)
            return []
        first = yield from client.call(command)
        yield from client.hello()
        second = yield from client.call(smtp.XForward((("HELO", "there"),)))
        return [first.code, second.code]

    flow = serve(ctx.machine(), ctx, Peer(address, 1, "192.0.2.1", 25))
    codes = converse(forwarder(), flow)[0]
    assert codes == ([220, 250] if trusted else [])
    assert origins[0].account == ("alice" if trusted else None)
    said = {"ADDR": "198.51.100.1", "LOGIN": "alice", "HELO": "there"} if trusted else {}
    assert origins[0].attributes == said


def test_a_later_XCLIENT_keeps_whence_and_forgets_what_was_said_of_the_session() -> None:
    """Postfix's XCLIENT_README: HELO, PROTO and LOGIN are of one command, NAME and ADDR stay."""
    origins: list[Origin] = []

    def make(origin: Origin) -> Keeper:
        origins.append(origin)
        return Keeper(origin, [])

    ctx = Context(make, Shutdown(), "mx", trusts_forwarding=lambda peer: True)
    said = [
        {"NAME": "spike.example", "ADDR": "192.0.2.1", "HELO": "told.example", "PROTO": "SMTP"},
        {"PORT": "4711", "LOGIN": "alice"},
        {"NAME": "[UNAVAILABLE]"},
    ]
    seen: list[tuple[dict[str, str], str | None, str]] = []

    def forwarder() -> Flow[None]:
        client = Session(smtp.Client(), "me")
        yield from client.begin()
        for attributes in said:
            reply = yield from client.call(smtp.XClient(tuple(attributes.items())))
            assert reply.code == 220
            origin = origins[0]
            seen.append((dict(origin.attributes), origin.account, origin.hello))
            yield from client.hello()

    converse(forwarder(), serve(ctx.machine(), ctx, Peer("192.0.2.9", 1, "192.0.2.1", 25)))
    whence = {"NAME": "spike.example", "ADDR": "192.0.2.1"}
    assert seen == [
        (said[0], None, ""),
        ({**whence, **said[1]}, "alice", ""),
        ({**whence, "PORT": "4711", **said[2]}, None, ""),
    ]


@pytest.mark.parity("smtp-server XFORWARD")
def test_what_XFORWARD_says_is_of_one_transaction() -> None:
    seen: list[dict[str, str]] = []

    class Watcher(Keeper):
        def end(self) -> None:
            seen.append(dict(self.origin.attributes))

    ctx = Context(
        lambda origin: Watcher(origin, []), Shutdown(), trusts_forwarding=lambda peer: True
    )
    said: list[smtp.XClient | smtp.XForward | None] = [
        smtp.XClient((("NAME", "gate.example"),)),
        smtp.XForward((("NAME", "spike.example"), ("ADDR", "192.0.2.1"))),
        smtp.XForward((("HELO", "spike"),)),
        None,
        None,
        smtp.XForward((("IDENT", "1"),)),
        None,
        smtp.XForward((("IDENT", "2"),)),
        None,
    ]

    def forwarder() -> Flow[None]:
        client = Session(smtp.Client(), "me")
        yield from client.begin()
        for command in said:
            if command is None:
                yield from client.send(b"x\r\n", "a@b", ["c@d"])
                continue
            yield from client.call(command)
            if isinstance(command, smtp.XClient):
                yield from client.hello()

    converse(forwarder(), serve(ctx.machine(), ctx, Peer("192.0.2.9", 1, "192.0.2.1", 25)))
    gate = {"NAME": "gate.example"}
    assert seen == [
        {"NAME": "spike.example", "ADDR": "192.0.2.1", "HELO": "spike"},
        gate,
        {**gate, "IDENT": "1"},
        {**gate, "IDENT": "2"},
    ]


@pytest.mark.parametrize(("by", "code"), [(3600, 501), (999_999_999, 250)])
def test_a_session_knows_the_time(by: int, code: int) -> None:
    """RFC 4865 section 5.2: what is held for years cannot be delivered within the hour."""
    now = datetime.datetime.now(datetime.UTC)
    until = smtp.HoldUntil(now.replace(microsecond=0) + datetime.timedelta(days=3650))
    release = smtp.FutureRelease(9999, until.time)
    ctx = evolve(context([]), offer=smtp.Offer(deliver_by=0, future_release=release))

    def submit() -> Flow[smtp.Reply]:
        client = Session(smtp.Client(), "me")
        yield from client.begin()
        mail = smtp.Mail(smtp.NULL_PATH, parameters=(until, smtp.DeliverBy(by, "N")))
        return (yield from client.call(mail))

    reply = converse(submit(), serve(ctx.machine(), ctx))[0]
    assert reply.code == code


@pytest.mark.parity("smtp-server EXPN")
def test_a_handler_that_knows_lists_is_asked_where_EXPN_is_offered() -> None:
    class Lists(Keeper):
        def expand(self, text: str) -> smtp.Reply:
            return smtp.Reply(250, (f"<alice@{text}>", f"<bob@{text}>"))

    def ask() -> Flow[smtp.Reply]:
        client = Session(smtp.Client(), "me")
        yield from client.begin()
        return (yield from client.expand("staff.example"))

    for offered, code, lines in ((True, 250, 2), (False, 502, 1)):
        ctx = Context(lambda origin: Lists(origin, []), Shutdown(), offer=smtp.Offer(expn=offered))
        reply = converse(ask(), serve(ctx.machine(), ctx))[0]
        assert (reply.code, len(reply.lines)) == (code, lines)
