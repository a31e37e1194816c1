"""Delivery into a store and on to the next hop, in the three roles; nothing accepted is lost."""

from __future__ import annotations

import email
import re
from collections.abc import Callable
from email import policy

import pytest

from mailproto import sasl, smtp
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.backend.store import OverQuota, Store, StoreFailure
from mailproto.errors import ConnectionLost
from mailproto.flows.effects import Call, Deadline, Flow, Read, Write, read, write
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_delivery import NextHop, Role, delivery_context
from mailproto.flows.smtp_result import Outcome, SendResult
from mailproto.flows.smtp_server import Context, serve
from mailproto.testing import converse

USERS = Users({"alice": "secret", "bob": "hunter2"}, ["example.com"])
CONTENT = b"Subject: x\r\n\r\n.hello\r\n"
CLIENT = Peer("192.0.2.1", 4000, "127.0.0.1", 25)


def inbox(store: MemoryStore, account: str) -> list[bytes]:
    mailbox = store.account(account).open("INBOX")
    contents = [mailbox.content(info.uid) for info in mailbox.messages().messages]
    return [content.read(0, content.size) for content in contents]


def context(role: Role, store: Store, next_hop: Callable[[], NextHop] | None = None) -> Context:
    return delivery_context(
        role,
        store=store,
        directory=USERS,
        shutdown=Shutdown(),
        offer=sasl.Offer(allow_insecure_auth=True),
        hostname="mx.example.com",
        next_hop=next_hop,
        allow_insecure_auth=True,
    )


def deliver(
    ctx: Context,
    recipients: list[str | smtp.SpecialPath],
    content: bytes = CONTENT,
    sender: str = "carol@elsewhere.example",
    *,
    login: bool = False,
    tls: bool = False,
    peer: Peer | None = CLIENT,
) -> SendResult:
    client = Session(
        smtp.Client(lmtp=ctx.lmtp, tls=tls, allow_insecure_auth=True), "client.example"
    )

    def talk() -> Flow[SendResult]:
        yield from client.begin()
        if login:
            yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        result = yield from client.send(content, sender, recipients)  # type: ignore[arg-type]  # NULL too
        yield from client.quit()
        return result

    return converse(serve(ctx.machine(tls=tls), ctx, peer), talk())[1]


def replies(result: SendResult) -> list[str]:
    return [str(recipient.reply) for recipient in result.recipients]


# ------------------------------------------------------------------------------------- the roles


def test_an_mx_delivers_locally_and_relays_for_nobody() -> None:
    store = MemoryStore()
    result = deliver(
        context(Role.MX, store),
        ["bob@example.com", "ALICE@EXAMPLE.COM", "nobody@example.com", "x@other.example"],
    )
    assert replies(result) == [
        "250 2.0.0 OK",
        "250 2.0.0 OK",
        "550 5.1.1 No such user here",
        "550 5.7.1 Relaying denied",
    ]
    for account in ("alice", "bob"):
        (message,) = inbox(store, account)
        assert message.endswith(b"\r\n" + CONTENT)


def test_the_trace_fields_of_RFC_5321_section_4_4() -> None:
    store = MemoryStore()
    deliver(context(Role.MX, store), ["bob@example.com"])
    (message,) = inbox(store, "bob")
    assert re.fullmatch(
        rb"Return-Path: <carol@elsewhere\.example>\r\n"
        rb"Received: from client\.example \(\[192\.0\.2\.1\]\)\r\n"
        rb"\tby mx\.example\.com with ESMTP id [0-9a-f]{16}\r\n"
        rb"\tfor <bob@example\.com>;\r\n"
        rb"\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n" + re.escape(CONTENT),
        message,
    )
    parsed = email.message_from_bytes(message, policy=policy.default)
    assert parsed["Return-Path"] == "<carol@elsewhere.example>"
    assert not parsed["Received"].defects


@pytest.mark.parametrize(
    ("role", "login", "tls", "sender", "protocol"),
    [
        (Role.MX, False, False, "a@b.example", b"ESMTP"),
        (Role.MX, False, True, "a@b.example", b"ESMTPS"),
        (Role.MX, False, False, "ä@b.example", b"UTF8SMTP"),
        (Role.SUBMISSION, True, False, "a@b.example", b"ESMTPA"),
        (Role.SUBMISSION, True, True, "a@b.example", b"ESMTPSA"),
        (Role.SUBMISSION, True, True, "ä@b.example", b"UTF8SMTPSA"),
        (Role.LMTP, False, False, "a@b.example", b"LMTP"),
        (Role.LMTP, False, True, "ä@b.example", b"UTF8LMTPS"),
    ],
)
def test_how_a_message_came_is_said(
    role: Role, login: bool, tls: bool, sender: str, protocol: bytes
) -> None:
    store = MemoryStore()
    deliver(context(role, store), ["bob@example.com"], sender=sender, login=login, tls=tls)
    (message,) = inbox(store, "bob")
    assert b" with " + protocol + b" id " in message
    assert f"Return-Path: <{sender}>\r\n".encode() in message


@pytest.mark.parametrize("hello", ["(evil", "a\tb", "x;y", "under_score"])
def test_P15_a_name_that_is_none_is_not_written_down(hello: str) -> None:
    store = MemoryStore()
    ctx = context(Role.MX, store)

    def talk() -> Flow[None]:
        for line in (
            f"EHLO {hello}",
            "EHLO " + hello.replace("\t", ""),
            "MAIL FROM:<>",
            "RCPT TO:<Postmaster>",
            "DATA",
            "x\r\n.",
            "QUIT",
        ):
            yield from read()
            yield from write(line.encode() + b"\r\n")
        yield from read()

    converse(serve(ctx.machine(), ctx, CLIENT), talk())
    (message,) = inbox(store, "alice")
    assert message.startswith(b"Return-Path: <>\r\nReceived: from ")
    name = message.split(b" ")[3]
    assert name == (b"ab" if "\t" in hello else b"unknown")


def test_the_postmaster_gets_his_mail() -> None:
    store = MemoryStore()
    ctx = context(Role.MX, store)
    result = deliver(ctx, [smtp.POSTMASTER, "postmaster@example.com"], sender="")
    assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED] * 2
    assert len(inbox(store, "alice")) == 1


def test_lmtp_delivers_and_answers_for_each() -> None:
    store = MemoryStore()
    result = deliver(
        context(Role.LMTP, store), ["bob@example.com", "x@y.example", "alice@example.com"]
    )
    assert [r.outcome for r in result.recipients] == [
        Outcome.DELIVERED,
        Outcome.PERMANENT,
        Outcome.DELIVERED,
    ]


class Failing:
    """A store that fails at one point."""

    def __init__(self, at: str, error: Exception) -> None:
        self.store = MemoryStore()
        self.at, self.error = at, error

    def draft(self) -> object:
        if self.at == "draft":
            raise self.error
        return self.store.draft()

    def deliver(self, draft: object, recipients: object) -> None:
        raise self.error


@pytest.mark.parametrize("at", ["draft", "deliver"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OverQuota("full"), "452 4.2.2 Insufficient storage"),
        (StoreFailure("broken"), "451 4.3.0 The message cannot be stored now"),
    ],
)
def test_a_store_that_fails_is_a_temporary_refusal(at: str, error: Exception, said: str) -> None:
    store = Failing(at, error)
    result = deliver(context(Role.MX, store), ["bob@example.com"])  # type: ignore[arg-type]  # enough of a Store
    assert replies(result) == [said]
    assert inbox(store.store, "bob") == []


# ---------------------------------------------------------------------------------- the next hop


class Hop:
    """A next hop in memory: a scripted server that a flow can be run against, one at a time."""

    def __init__(self, answers: Callable[[bytes], bytes]) -> None:
        self.answers = answers
        self.received = b""
        self.closed = False
        self.pending = b"220 hop ESMTP\r\n"
        self.session = Session(smtp.Client(long_lines=True), "mx.example.com")
        self.run(self.session.begin())

    def run(self, flow: Flow[object]) -> object:
        result: object = None
        try:
            while True:
                effect = flow.send(result)
                result = None
                if isinstance(effect, Write):
                    self.received += effect.data
                    self.pending += self.answers(effect.data)
                elif isinstance(effect, Read):
                    if not self.pending:
                        flow.throw(ConnectionLost("the hop is gone"))
                    result, self.pending = self.pending, b""
                else:
                    assert isinstance(effect, Deadline | Call)
        except StopIteration as end:
            return end.value

    def close(self) -> None:
        self.closed = True


def answering(**refusals: bytes) -> Callable[[bytes], bytes]:
    """A server that accepts everything but what begins with one of these words."""

    def answer(data: bytes) -> bytes:
        word = data.split(None, 1)[0].decode() if data.strip() else ""
        if data.endswith(b".\r\n") and word not in ("EHLO", "MAIL", "RCPT"):
            word = "END"
        if word in refusals:
            return refusals[word]
        match word:
            case "EHLO":
                return b"250-hop\r\n250-8BITMIME\r\n250 SIZE\r\n"
            case "DATA":
                return b"354 go\r\n"
            case "MAIL" | "RCPT":
                return b"250 ok\r\n"
            case "END":
                return b"250 2.0.0 queued\r\n"
        return b""

    return answer


def relay(
    answer: Callable[[bytes], bytes], recipients: list[str], sender: str = "alice@example.com"
) -> tuple[SendResult, MemoryStore, Hop | None]:
    store = MemoryStore()
    hops: list[Hop] = []

    def connect() -> Hop:
        hops.append(Hop(answer))
        return hops[-1]

    ctx = context(Role.SUBMISSION, store, connect)  # type: ignore[arg-type]  # Hop is a NextHop
    result = deliver(ctx, recipients, sender=sender, login=True)  # type: ignore[arg-type]
    assert len(hops) <= 1
    assert all(hop.closed for hop in hops)
    return result, store, hops[0] if hops else None


def test_submission_relays_what_is_not_local() -> None:
    result, store, hop = relay(answering(), ["bob@example.com", "x@y.example", "z@y.example"])
    assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED] * 3
    assert len(inbox(store, "bob")) == 1
    assert hop is not None
    head, _, rest = hop.received.partition(b"DATA\r\n")
    assert head.endswith(
        b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<x@y.example>\r\nRCPT TO:<z@y.example>\r\n"
    )
    assert rest.startswith(b"Received: from client.example ([192.0.2.1])\r\n\tby mx.example.com")
    assert rest.endswith(b"+0000\r\nSubject: x\r\n\r\n..hello\r\n.\r\n")
    assert b"Return-Path" not in rest


def test_without_a_next_hop_nothing_is_relayed() -> None:
    store = MemoryStore()
    result = deliver(context(Role.SUBMISSION, store), ["x@y.example"], login=True)
    assert replies(result) == ["550 5.7.1 Relaying denied"]


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ({"MAIL": b"550 5.7.1 not you\r\n"}, "550 5.7.1 not you"),
        ({"RCPT": b"550 5.1.1 unknown\r\n"}, "550 5.1.1 unknown"),
        ({"RCPT": b"421 bye\r\n"}, "451 4.4.1 The next hop cannot be reached now"),
        ({"RCPT": b""}, "451 4.4.1 The next hop cannot be reached now"),
        ({"DATA": b"452 full\r\n"}, "452 full"),
        ({"END": b"554 5.6.0 spam\r\n"}, "554 5.6.0 spam"),
        ({"END": b""}, "451 4.4.1 The next hop cannot be reached now"),
        (
            {"EHLO": b"550 no\r\n", "HELO": b"550 no\r\n"},
            "451 4.4.1 The next hop cannot be reached now",
        ),
    ],
)
def test_what_the_next_hop_refuses_is_refused(refusals: dict[str, bytes], expected: str) -> None:
    recipients = ["x@y.example"]
    result, store, _ = relay(answering(**refusals), recipients)
    assert replies(result) == [expected]
    assert inbox(store, "bob") == []


@pytest.mark.parametrize(
    "refusals", [{"END": b"554 spam\r\n"}, {"END": b""}, {"DATA": b"452 no\r\n"}]
)
def test_local_recipients_get_nothing_when_the_next_hop_refuses(
    refusals: dict[str, bytes],
) -> None:
    result, store, _ = relay(answering(**refusals), ["bob@example.com", "x@y.example"])
    assert not result.delivered
    assert inbox(store, "bob") == []


def test_one_refused_recipient_does_not_harm_the_others() -> None:
    def answer(data: bytes) -> bytes:
        return b"550 no\r\n" if b"<bad@" in data else answering()(data)

    result, _, _ = relay(answer, ["bad@y.example", "good@y.example"])
    assert [r.outcome for r in result.recipients] == [Outcome.PERMANENT, Outcome.DELIVERED]


def test_what_the_next_hop_cannot_take() -> None:
    result, _, _ = relay(answering(), ["x@y.example"], sender="ä@example.com")
    assert replies(result) == ["550 5.6.7 The next hop takes no address that is not ASCII"]


def test_P21_a_client_that_breaks_off_leaves_the_next_hop_without_an_end() -> None:
    hops: list[Hop] = []

    def connect() -> Hop:
        hops.append(Hop(answering()))
        return hops[-1]

    store = MemoryStore()
    ctx = context(Role.SUBMISSION, store, connect)  # type: ignore[arg-type]  # Hop is a NextHop
    client = Session(smtp.Client(allow_insecure_auth=True), "me")

    def talk() -> Flow[None]:
        yield from client.begin()
        yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        for command in (
            smtp.Mail(smtp.Mailbox("alice", "example.com")),
            smtp.Rcpt(smtp.Mailbox("x", "y.example")),
            smtp.Rcpt(smtp.Mailbox("bob", "example.com")),
            smtp.Data(),
        ):
            assert (yield from client.call(command)).positive
        yield from client.content(CONTENT)

    converse(serve(ctx.machine(), ctx), talk())
    assert inbox(store, "bob") == []
    assert hops[0].closed
    assert b"Subject: x" in hops[0].received
    assert not hops[0].received.endswith(b".\r\n")
