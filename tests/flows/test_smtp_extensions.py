"""ETRN, ATRN, BURL and CHECKPOINT as conversations: handlers of our own and our client."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mailproto import sasl, smtp
from mailproto.backend.directory import Users
from mailproto.errors import CommandFailed, ConnectionLost, RemoteProtocolError
from mailproto.flows.effects import Flow, close, write
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_result import SendResult
from mailproto.flows.smtp_server import Answer, Context, Handler, Origin, Resume, serve
from mailproto.flows.smtp_turn import turn_round
from mailproto.testing import converse, peer, transcript

USERS = Users({"harry": "accio"}, ["example.com"])
PLAIN = sasl.PasswordCredentials("harry", "accio")
OFFER = smtp.Offer(etrn=True, atrn=True, burl=("imap",), checkpoint=True)
CONTENT = b"Subject: long\r\n\r\n" + b".a line of it\r\n" * 100
PARTIAL = smtp.TransId("12345@example.com")
URL = "imap://harry@example.com/outbox;uid=25;urlauth=submit+{}:internal:91354a473744909de610943775f92038"


class Inbox(Handler):
    """Takes everything; what is interrupted is kept by TRANSID."""

    def __init__(self, origin: Origin, log: list[object], kept: dict[str, bytes]) -> None:
        self.origin = origin
        self.log = log
        self.kept = kept
        self.body = b""
        self.transaction: str | None = None

    def mail(self, mail: smtp.Mail) -> Resume | None:
        self.body = b""
        self.transaction = next(
            (p.text for p in mail.parameters if isinstance(p, smtp.TransId)), None
        )
        if self.transaction in self.kept:
            self.body = self.kept[self.transaction]
            return Resume(len(self.body), recipients=1)
        return None

    def rcpt(self, rcpt: smtp.Rcpt) -> None:
        self.log.append(str(rcpt.forward_path))

    def content(self, data: bytes) -> None:
        self.body += data

    def end(self) -> None:
        self.log.append(self.body)
        if self.transaction is not None:
            self.kept.pop(self.transaction, None)

    def abandon(self) -> None:
        self.log.append("abandoned")

    def interrupted(self) -> None:
        self.log.append("interrupted")
        if self.transaction is not None:
            # Whole lines only, so that the client may go on with DATA.
            self.kept[self.transaction] = self.body[: self.body.rfind(b"\n") + 1]


def context(handler: type[Handler] | None = None, **options: object) -> Context:
    settings: dict[str, object] = {
        "handler": handler,
        "shutdown": Shutdown(),
        "hostname": "mx",
        "directory": USERS,
        "sasl": sasl.Offer(allow_insecure_auth=True),
        "allow_insecure_auth": True,
        "offer": OFFER,
        **options,
    }
    return Context(**settings)  # type: ignore[arg-type]  # options of any kind


def keeping(log: list[object], kept: dict[str, bytes] | None = None) -> Context:
    held = {} if kept is None else kept
    return context(handler=lambda origin: Inbox(origin, log, held))  # type: ignore[arg-type]  # a function


def talk(ctx: Context, flow: Flow[object]) -> object:
    return converse(flow, serve(ctx.machine(), ctx))[0]


def client() -> Session:
    return Session(smtp.Client(allow_insecure_auth=True), "me")


# ---------------------------------------------------------------------------------- what is default


class Plain(Handler):
    """Knows nothing beyond a message."""

    def __init__(self, origin: Origin) -> None:
        pass

    def rcpt(self, rcpt: smtp.Rcpt) -> None:
        return None

    def content(self, data: bytes) -> None:
        return None

    def end(self) -> None:
        return None


def test_a_handler_that_knows_nothing_of_them_refuses() -> None:
    def ask() -> Flow[list[int]]:
        session = client()
        yield from session.begin()
        yield from session.authenticate(PLAIN)
        codes = [(yield from session.etrn("example.com")).code]
        codes.append((yield from session.call(smtp.Atrn())).code)
        yield from session.call(smtp.Mail(smtp.NULL_PATH))
        yield from session.call(smtp.Rcpt(smtp.POSTMASTER))
        codes.append((yield from session.call(smtp.Burl(URL.format("harry"), last=True))).code)
        yield from session.quit()
        return codes

    assert talk(context(Plain), ask()) == [458, 450, 554]


def test_what_is_not_offered_does_not_reach_the_handler() -> None:
    class Keen(Plain):
        def etrn(self, command: smtp.Etrn) -> None:
            raise AssertionError

        def atrn(self, command: smtp.Atrn) -> None:
            raise AssertionError

        def burl(self, command: smtp.Burl) -> bytes:
            raise AssertionError

    script = transcript("""
        S: 220 mx ESMTP
        C: HELO me
        S: 250 mx
        C: ETRN example.com
        S: 502 5.5.1 ETRN is not offered
        C: ATRN
        S: 502 5.5.1 ATRN is not offered
        C: MAIL FROM:<>
        S: 250 2.1.0 OK
        C: RCPT TO:<postmaster>
        S: 250 2.1.5 OK
        C: BURL imap://example.com/ LAST
        S: 502 5.5.1 BURL is not offered
        C: QUIT
        S: 221 2.0.0 Goodbye
        """)
    ctx = context(Keen, offer=smtp.Offer())
    converse(serve(ctx.machine(), ctx), peer(script, "C"))


# ------------------------------------------------------------------------------------ ETRN and ATRN


@pytest.mark.parametrize(
    ("node", "command"),
    [
        ("example.com", smtp.Etrn("example.com")),
        ("@example.com", smtp.Etrn("example.com", "@")),
        ("#uucp", smtp.Etrn("uucp", "#")),
    ],
)
@pytest.mark.parametrize("answer", [None, smtp.Reply(253, "OK, 14 pending messages")])
def test_etrn_asks_the_handler(node: str, command: smtp.Etrn, answer: smtp.Reply | None) -> None:
    asked: list[smtp.Etrn] = []

    class Queue(Plain):
        def etrn(self, command: smtp.Etrn) -> smtp.Reply | None:
            asked.append(command)
            return answer

    def ask() -> Flow[smtp.Reply]:
        session = client()
        yield from session.begin()
        reply = yield from session.etrn(node)
        yield from session.quit()
        return reply

    reply = talk(context(Queue), ask())
    assert isinstance(reply, smtp.Reply)
    assert reply.code == (250 if answer is None else 253)
    assert asked == [command]


class Provider(Plain):
    """Has two messages for example.com."""

    held = (CONTENT, b"Subject: two\r\n\r\n")
    log: list[object] = []  # of one test at a time

    def atrn(self, command: smtp.Atrn) -> smtp.Reply | None:
        if command.domains and command.domains != ("example.com",):
            return smtp.Reply(450, "not yours")
        return None

    def turned_round(self, session: Session) -> Flow[None]:
        for content in self.held:
            result = yield from session.send(content, "a@elsewhere.example", ["b@example.com"])
            self.log.append(result)


def dial_up(log: list[object], domains: Iterable[str]) -> Flow[int]:
    """A customer that takes its mail."""
    session = client()
    yield from session.begin()
    yield from session.authenticate(PLAIN)

    def inbox(origin: Origin) -> Handler:
        return Inbox(origin, log, {})

    reply = yield from turn_round(session, domains, inbox, {"hostname": "customer.example"})
    yield from session.quit()
    return reply.code


@pytest.mark.parametrize("domains", [(), ("example.com",)])
def test_the_customer_takes_the_mail_of_the_provider(domains: tuple[str, ...]) -> None:
    log: list[object] = []
    Provider.log.clear()
    assert talk(context(Provider), dial_up(log, domains)) == 250
    assert log == ["b@example.com", CONTENT, "b@example.com", b"Subject: two\r\n\r\n"]
    delivered = [len(r.delivered) for r in Provider.log if isinstance(r, SendResult)]
    assert delivered == [1, 1]


def test_a_refused_atrn_leaves_the_session_as_it_was() -> None:
    log: list[object] = []
    assert talk(context(Provider), dial_up(log, ["example.org"])) == 450
    assert log == []


def test_a_customer_that_will_not_be_a_server() -> None:
    script = transcript("""
        S: 220 mx ESMTP
        C: EHLO me
        S: 250-mx
        S: 250-PIPELINING
        S: 250-SIZE 67108864
        S: 250-8BITMIME
        S: 250-CHUNKING
        S: 250-AUTH SCRAM-SHA-256 PLAIN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-SMTPUTF8
        S: 250-CHECKPOINT
        S: 250-ETRN
        S: 250-ATRN
        S: 250-BURL imap
        S: 250 HELP
        C: AUTH PLAIN AGhhcnJ5AGFjY2lv
        S: 235 2.7.0 Authentication successful
        C: ATRN
        S: 250 2.0.0 OK, now reversing the connection
        C: 554 no mail please
        """)
    ctx = context(Provider)
    names = ctx.machine().capabilities.keywords["AUTH"]
    text = [str(line).replace("SCRAM-SHA-256 PLAIN", " ".join(names)) for line in script]
    with pytest.raises(CommandFailed, match="no mail please"):
        converse(serve(ctx.machine(), ctx), peer(transcript("\n".join(text)), "C"))


# --------------------------------------------------------------------------------------------- BURL


class Fetching(Inbox):
    """Knows one message by its URL."""

    def burl(self, command: smtp.Burl) -> Answer[smtp.Reply | bytes]:
        self.log.append(command.submitter)
        return CONTENT


def submit(*urls: smtp.Burl) -> Flow[list[int]]:
    session = client()
    yield from session.begin()
    yield from session.authenticate(PLAIN)
    yield from session.call(smtp.Mail(smtp.Mailbox("harry", "example.com")))
    yield from session.call(smtp.Rcpt(smtp.Mailbox("ron", "example.com")))
    codes: list[int] = []
    for url in urls:
        reply = yield from session.call(url)
        codes += [reply.code]
    yield from session.quit()
    return codes


def test_a_url_stands_for_content() -> None:
    log: list[object] = []
    ctx = context(handler=lambda origin: Fetching(origin, log, {}))  # type: ignore[arg-type]  # a function
    url = smtp.Burl(URL.format("harry"))
    assert talk(ctx, submit(url, smtp.Burl(url.url, last=True))) == [250, 250]
    assert log == ["ron@example.com", "harry", "harry", CONTENT * 2]


def test_P30_a_url_is_for_its_submitter_only() -> None:
    log: list[object] = []
    ctx = context(handler=lambda origin: Fetching(origin, log, {}))  # type: ignore[arg-type]  # a function
    assert talk(ctx, submit(smtp.Burl(URL.format("draco"), last=True))) == [554]
    assert log == ["ron@example.com", "abandoned"]


# --------------------------------------------------------------------------------------- CHECKPOINT


def breaks_off(after: int) -> Flow[None]:
    """A client whose connection is lost inside the content."""
    yield from write(b"EHLO me\r\nMAIL FROM:<a@b> TRANSID=<12345@example.com>\r\n")
    yield from write(b"RCPT TO:<c@d>\r\nDATA\r\n" + CONTENT.replace(b"\r\n.", b"\r\n..")[:after])
    yield from close()


@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("after", [0, 5, 17, 700, 10_000])
def test_an_interrupted_transaction_goes_on(chunking: bool, pieces: bool, after: int) -> None:
    log: list[object] = []
    kept: dict[str, bytes] = {}
    ctx = keeping(log, kept)
    converse(serve(ctx.machine(), ctx), breaks_off(after))
    assert log == ["c@d", "interrupted"]
    held = kept[PARTIAL.text]
    assert CONTENT.startswith(held)

    def again() -> Flow[SendResult]:
        session = client()
        yield from session.begin()
        content = [CONTENT[i : i + 100] for i in range(0, len(CONTENT), 100)]
        result = yield from session.send(
            content if pieces else CONTENT,
            "a@b",
            ["c@d"],
            parameters=(PARTIAL,),
            chunking=chunking,
        )
        yield from session.quit()
        return result

    result = talk(ctx, again())
    assert isinstance(result, SendResult)
    assert [str(r.reply) for r in result.recipients] == ["250 2.0.0 OK"]
    assert log == ["c@d", "interrupted", CONTENT]
    assert kept == {}


@pytest.mark.parametrize("content", [b"short\r\n", CONTENT[:17] + b"x" + CONTENT[17:]])
def test_a_server_that_has_more_or_something_else(content: bytes) -> None:
    log: list[object] = []
    ctx = keeping(log, {PARTIAL.text: CONTENT[:31]})

    def again() -> Flow[None]:
        session = client()
        yield from session.begin()
        with pytest.raises(RemoteProtocolError, match="octet"):
            yield from session.send(content, "a@b", ["c@d"], parameters=(PARTIAL,), chunking=False)

    talk(ctx, again())
    assert [entry for entry in log if isinstance(entry, bytes)] == []


def test_a_first_try_is_an_ordinary_message() -> None:
    log: list[object] = []
    ctx = keeping(log)

    def send() -> Flow[SendResult]:
        session = client()
        yield from session.begin()
        return (yield from session.send(CONTENT, "a@b", ["c@d", "e@f"], parameters=(PARTIAL,)))

    result = talk(ctx, send())
    assert isinstance(result, SendResult)
    assert len(result.delivered) == 2
    assert log == ["c@d", "e@f", CONTENT]


CHECKPOINTED = """S: 220 mx
C: EHLO me
S: 250-mx
S: 250-PIPELINING
{}S: 250 CHECKPOINT
C: MAIL FROM:<a@b> TRANSID=<12345@example.com>
"""
REST = "S: 250 ok\nC: QUIT\nS: 221 bye\n"


@pytest.mark.parity("smtp-client CHECKPOINT", "smtp-client PIPELINING")
@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize("answer", ["250 ok", "355 3 is the transaction offset", "450 no"])
def test_the_answer_to_TRANSID_is_awaited_and_the_rest_is_a_group(
    answer: str, chunking: bool
) -> None:
    """RFC 1845 section 3: a 355 has all recipients already, so that no RCPT may be on its way."""
    script = CHECKPOINTED.format("S: 250-CHUNKING\n" if chunking else "") + f"S: {answer}\n"
    both = "C: RCPT TO:<c@d>\nC: RCPT TO:<e@f>\n"
    if answer == "250 ok":
        replies = "S: 250 ok\nS: 550 no\n"
        script += f"{both}C: BDAT 9 LAST\nC: x\nC: .y\nC:\n{replies}" if chunking else (
            f"{both}C: DATA\n{replies}S: 354 go\nC: x\nC: ..y\nC:\nC: .\n"
        )  # fmt: skip
    elif answer != "450 no":
        script += "C: BDAT 6 LAST\nC: .y\nC:\n" if chunking else (
            "C: DATA\nS: 354 go\nC: ..y\nC:\nC: .\n"
        )  # fmt: skip
    rest = REST if answer != "450 no" else REST.removeprefix("S: 250 ok\n")

    def sending() -> Flow[SendResult]:
        session = client()
        yield from session.begin()
        result = yield from session.send(
            b"x\r\n.y\r\n\r\n", "a@b", ["c@d", "e@f"], parameters=(PARTIAL,)
        )
        yield from session.quit()
        return result

    result = converse(sending(), peer(transcript(script + rest)))[0]
    expected = {"250 ok": [250, 550], "450 no": [450, 450]}.get(answer, [250, 250])
    assert [r.reply and r.reply.code for r in result.recipients] == expected


@pytest.mark.parametrize("last", ["RSET", "QUIT", "EHLO me"])
def test_a_transaction_that_the_client_ends_is_not_interrupted(last: str) -> None:
    log: list[object] = []
    ctx = keeping(log)

    def give_up() -> Flow[None]:
        yield from write(
            b"EHLO me\r\nMAIL FROM:<a@b> TRANSID=<1@b.c>\r\n" + last.encode() + b"\r\n"
        )
        yield from close()

    converse(serve(ctx.machine(), ctx), give_up())
    assert log == ["abandoned"]


def test_without_a_checkpoint_interrupted_is_abandoned() -> None:
    log: list[object] = []

    class Old(Plain):
        def abandon(self) -> None:
            log.append("abandoned")

    ctx = context(Old)
    try:
        converse(serve(ctx.machine(), ctx), breaks_off(50))
    except ConnectionLost:
        pass
    assert log == ["abandoned"]
