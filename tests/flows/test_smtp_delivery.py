"""Delivery into a store and on to the next hop, in the three roles; nothing accepted is lost."""

from __future__ import annotations

import datetime
import email
import re
import time
from collections.abc import Callable
from email import policy
from typing import Any

import pytest
from attrs import evolve

from mailproto import sasl, smtp
from mailproto._core.machine import Signal
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.backend.store import OverQuota, Store, StoreFailure
from mailproto.errors import ConnectionLost
from mailproto.flows.effects import Call, Close, Deadline, Flow, Read, Write, read, write
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


def context(
    role: Role,
    store: Store,
    next_hop: Callable[[], NextHop] | None = None,
    offered: smtp.Offer | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Context:
    return delivery_context(
        role,
        store=store,
        directory=USERS,
        shutdown=Shutdown(),
        offer=sasl.Offer(allow_insecure_auth=True),
        hostname="mx.example.com",
        next_hop=next_hop,
        allow_insecure_auth=True,
        smtp_offer=offered,
        clock=clock,
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
                    assert isinstance(effect, Deadline | Call | Close)
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


def test_a_store_that_fails_at_DATA_may_be_asked_again_and_the_next_hop_hears_of_it_once() -> None:
    store = Failing("draft", StoreFailure("broken"))
    hops: list[Hop] = []

    def connect() -> Hop:
        hops.append(Hop(answering()))
        return hops[-1]

    ctx = context(Role.SUBMISSION, store, connect)  # type: ignore[arg-type]  # enough of both

    def talk() -> Flow[list[int]]:
        client = Session(smtp.Client(allow_insecure_auth=True), "client.example")
        yield from client.begin()
        yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        yield from client.call(smtp.Mail(smtp.Mailbox("alice", "example.com")))
        for path in ("bob@example.com", "x@y.example"):
            yield from client.call(smtp.Rcpt(smtp.Mailbox.parse(path)))
        refused = yield from client.call(smtp.Data())
        store.at = ""
        accepted = yield from client.call(smtp.Data())
        yield from client.content(CONTENT)
        end = yield from client.call(smtp.EndOfMessage())
        return [refused.code, accepted.code, end.code]

    store.deliver = store.store.deliver  # type: ignore[assignment,method-assign]  # it works now
    assert converse(serve(ctx.machine(), ctx, CLIENT), talk())[1] == [451, 354, 250]
    assert len(inbox(store.store, "bob")) == 1
    assert hops[0].received.count(b"DATA\r\n") == 1


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
        ({"DATA": b"452 full\r\n"}, "452 4.0.0 full"),
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


@pytest.mark.parametrize("declared", [True, False])
def test_P19_RFC_6152_section_3_a_next_hop_without_8BITMIME_gets_no_such_content(
    declared: bool,
) -> None:
    """Said by BODY or found in the content: it is refused for good, and nobody has a part of it."""
    store = MemoryStore()
    answer = answering(EHLO=b"250 hop\r\n")
    heard: list[bytes] = []

    def listen(data: bytes) -> bytes:
        heard.append(data)
        return answer(data)

    ctx = context(Role.SUBMISSION, store, lambda: Hop(listen))  # type: ignore[arg-type,return-value]  # Hop is a NextHop

    def talk() -> Flow[list[str]]:
        client = Session(smtp.Client(allow_insecure_auth=True), "client.example")
        yield from client.begin()
        yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        body = smtp.BodyType.EIGHT_BIT_MIME if declared else None
        alice = smtp.Mailbox("alice", "example.com")
        bob, far = smtp.Mailbox("bob", "example.com"), smtp.Mailbox("x", "y.example")
        yield from client.call(smtp.Mail(alice, body=body))
        yield from client.call(smtp.Rcpt(bob))
        rcpt = yield from client.call(smtp.Rcpt(far))
        yield from client.call(smtp.Data())
        yield from client.content(b"caf\xc3\xa9\r\n")
        end = yield from client.call(smtp.EndOfMessage())
        return [str(rcpt)[:9], str(end)[:9]]

    said = converse(serve(ctx.machine(), ctx, CLIENT), talk())[1]
    assert said == (["554 5.6.3", "250 2.0.0"] if declared else ["250 2.1.5", "554 5.6.3"])
    assert len(inbox(store, "bob")) == declared
    assert b"\xc3" not in b"".join(heard)
    assert not any(data.endswith(b".\r\n") for data in heard)


@pytest.mark.parametrize(
    "refusals", [{"END": b"554 spam\r\n"}, {"END": b""}, {"DATA": b"452 no\r\n"}]
)
def test_local_recipients_get_nothing_when_the_next_hop_refuses(
    refusals: dict[str, bytes],
) -> None:
    result, store, _ = relay(answering(**refusals), ["bob@example.com", "x@y.example"])
    assert not result.delivered
    assert inbox(store, "bob") == []


@pytest.mark.parametrize("end", [b"", b"421 4.3.2 going down\r\n"], ids=["lost", "421"])
@pytest.mark.parametrize(
    "recipients", [["a@y.example", "b@y.example"], ["a@y.example", "b@y.example", "c@y.example"]]
)
def test_P21_a_next_hop_that_leaves_after_a_recipient_takes_the_transaction_with_it(
    recipients: list[str], end: bytes
) -> None:
    """Nobody would have the message for the one that it had accepted: nothing may be said to be."""
    store = MemoryStore()
    hops: list[Hop] = []
    taken: list[bytes] = []

    def answer(data: bytes) -> bytes:
        if b"<b@" in data:
            return end
        if data.endswith(b"\r\n.\r\n"):
            taken.append(data)
        return answering()(data)

    def connect() -> Hop:
        hops.append(Hop(answer))
        return hops[-1]

    ctx = context(Role.SUBMISSION, store, connect)  # type: ignore[arg-type]  # Hop is a NextHop
    addresses: list[str | smtp.SpecialPath] = ["bob@example.com", *recipients]
    result = deliver(ctx, addresses, sender="alice@example.com", login=True)
    assert {r.outcome for r in result.recipients} == {Outcome.TEMPORARY}
    assert taken == []
    assert inbox(store, "bob") == []
    # The next transaction begins anew.
    again = deliver(ctx, ["a@y.example"], sender="alice@example.com", login=True)
    assert len(again.delivered) == 1


def test_one_refused_recipient_does_not_harm_the_others() -> None:
    def answer(data: bytes) -> bytes:
        return b"550 no\r\n" if b"<bad@" in data else answering()(data)

    for good in ("good@y.example", "bob@example.com"):
        result, _, _ = relay(answer, ["bad@y.example", good])
        assert [r.outcome for r in result.recipients] == [Outcome.PERMANENT, Outcome.DELIVERED]


def test_what_the_next_hop_cannot_take() -> None:
    result, _, _ = relay(answering(), ["x@y.example"], sender="ä@example.com")
    assert replies(result) == ["550 5.6.7 The next hop takes no address that is not ASCII"]


# ------------------------------------------------------------- what a transaction carries


class Spoken:
    """A next hop that is one of our own servers, and what it was told."""

    def __init__(self, offer: smtp.Offer, *, tls: bool = False) -> None:
        self.machine = smtp.Server(offer=offer, tls=tls)
        self.heard = b""
        self.events: list[object] = []
        self.content = b""
        self.session = Session(smtp.Client(long_lines=True, tls=tls), "mx.example.com")
        self.machine.accept()
        self.run(self.session.begin())

    def run(self, flow: Flow[object]) -> object:
        result: object = None
        try:
            while True:
                effect = flow.send(result)
                result = None
                if isinstance(effect, Write):
                    self.heard += effect.data
                    self.machine.receive_data(effect.data)
                    while not isinstance(event := self.machine.next_event(), Signal):
                        if isinstance(event, smtp.Body):
                            self.content += event.data
                        else:
                            self.events.append(event)
                            self.machine.accept()
                elif isinstance(effect, Read):
                    result = self.machine.data_to_send()
        except StopIteration as end:
            return end.value

    def close(self) -> None:
        pass

    def told(self, kind: type) -> object:
        """The one command of a kind."""
        (event,) = [event for event in self.events if isinstance(event, kind)]
        return event


EVERYTHING = smtp.Offer(
    mechanisms=("PLAIN",),
    insecure_auth=True,
    binarymime=True,
    dsn=True,
    deliver_by=0,
    mt_priority="",
    requiretls=True,
)


def forward(
    hop: Spoken,
    mail: smtp.Mail,
    rcpt: smtp.Rcpt,
    content: bytes = CONTENT,
    *,
    tls: bool = False,
    elapsed: float = 0.0,
    trusted: bool = False,
) -> SendResult:
    """Submit a message to our server in front of ``hop``, which has it after ``elapsed``."""
    now = 0.0

    def connect() -> Spoken:
        nonlocal now
        now += elapsed
        return hop

    ctx = context(
        Role.SUBMISSION,
        MemoryStore(),
        connect,  # type: ignore[arg-type]  # Spoken is a NextHop
        EVERYTHING,
        clock=lambda: now,
    )
    ctx = evolve(ctx, trust_auth_parameter=trusted)
    client = Session(smtp.Client(tls=tls, allow_insecure_auth=True), "client.example")

    def talk() -> Flow[SendResult]:
        yield from client.begin()
        yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        result = yield from client.send(content, mail, [rcpt])
        yield from client.quit()
        return result

    return converse(serve(ctx.machine(tls=tls), ctx, CLIENT), talk())[1]


ALICE = smtp.Mailbox("alice", "example.com")
FAR = smtp.Rcpt(smtp.Mailbox("x", "y.example"))


def test_parameters_go_on_to_a_next_hop_that_has_the_extensions() -> None:
    asked = (
        smtp.Ret("HDRS"),
        smtp.EnvId("QQ314159"),
        smtp.DeliverBy(120, "R"),
        smtp.MtPriority(3),
    )
    notify = (smtp.Notify(frozenset({"FAILURE"})), smtp.Orcpt("rfc822", "x@y.example"))
    hop = Spoken(EVERYTHING)
    result = forward(
        hop,
        smtp.Mail(ALICE, smtputf8=True, parameters=asked),
        smtp.Rcpt(FAR.forward_path, notify),
        elapsed=20.0,
    )
    assert [r.outcome for r in result.recipients] == [Outcome.DELIVERED]
    mail = hop.told(smtp.Mail)
    assert isinstance(mail, smtp.Mail)
    assert mail.smtputf8
    assert mail.parameters == (*asked[:2], smtp.DeliverBy(100, "R"), asked[3])
    assert hop.told(smtp.Rcpt) == smtp.Rcpt(FAR.forward_path, notify)


@pytest.mark.parametrize(
    ("mail", "content", "offer", "expected"),
    [
        ({"parameters": (smtp.DeliverBy(99, "R"),)}, CONTENT, smtp.Offer(), "554 5.3.3"),
        ({"parameters": (smtp.DeliverBy(9, "R"),)}, CONTENT, EVERYTHING, "554 5.4.7"),
        ({"smtputf8": True}, CONTENT, smtp.Offer(smtputf8=False), "554 5.6.9"),
        ({"body": smtp.BodyType.BINARY_MIME}, b"\0", smtp.Offer(), "554 5.6.3"),
    ],
)
def test_what_the_next_hop_cannot_be_told_is_refused(
    mail: dict[str, Any], content: bytes, offer: smtp.Offer, expected: str
) -> None:
    hop = Spoken(offer)
    result = forward(hop, smtp.Mail(ALICE, **mail), FAR, content, elapsed=10.0)
    assert [str(reply)[:9] for reply in replies(result)] == [expected]
    assert not any(isinstance(event, smtp.Mail) for event in hop.events)


WHEN = datetime.datetime(2026, 12, 24, 18, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("mail", "rcpt", "expected"),
    [
        ((smtp.HoldFor(60),), (), "554 5.3.3"),
        ((smtp.HoldUntil(WHEN),), (), "554 5.3.3"),
        ((), (smtp.Rrvs(WHEN),), "550 5.7.19"),
        ((), (smtp.Rrvs(WHEN, "C"),), "250 2.0.0"),
        ((smtp.DeliverBy(1, "R"), smtp.Ret("FULL")), (smtp.Notify(frozenset()),), "250 2.0.0"),
    ],
)
def test_the_store_promises_nothing_that_it_does_not_keep(
    mail: tuple[smtp.MailParameter, ...], rcpt: tuple[smtp.RcptParameter, ...], expected: str
) -> None:
    offer = smtp.Offer(
        dsn=True,
        deliver_by=0,
        rrvs=True,
        future_release=smtp.FutureRelease(3600, WHEN),
    )
    ctx = context(Role.SUBMISSION, MemoryStore(), offered=offer)
    client = Session(smtp.Client(allow_insecure_auth=True), "client.example")

    def talk() -> Flow[SendResult]:
        yield from client.begin()
        yield from client.authenticate(sasl.PasswordCredentials("alice", "secret"))
        recipient = smtp.Rcpt(smtp.Mailbox("bob", "example.com"), rcpt)
        result = yield from client.send(CONTENT, smtp.Mail(ALICE, parameters=mail), [recipient])
        yield from client.quit()
        return result

    (said,) = replies(converse(serve(ctx.machine(), ctx, CLIENT), talk())[1])
    assert said.startswith(expected)


@pytest.mark.parametrize(
    ("hop_tls", "offer", "expected"),
    [
        (True, EVERYTHING, "250 2.0.0"),
        (True, smtp.Offer(), "550 5.7.30"),
        (False, EVERYTHING, "550 5.7.10"),
    ],
)
def test_P06_REQUIRETLS_goes_on_under_TLS_only(
    hop_tls: bool, offer: smtp.Offer, expected: str
) -> None:
    hop = Spoken(offer, tls=hop_tls)
    mail = smtp.Mail(ALICE, parameters=(smtp.RequireTLS(),))
    result = forward(hop, mail, FAR, tls=True)
    assert replies(result)[0].startswith(expected)
    assert bool(hop.content) is (expected == "250 2.0.0")


BINARY = bytes(range(256)) * 500 + b"\n.\r\n\r"


def test_any_octets_go_on_as_they_are() -> None:
    hop = Spoken(EVERYTHING)
    mail = smtp.Mail(ALICE, body=smtp.BodyType.BINARY_MIME)
    result = forward(hop, mail, FAR, BINARY)
    assert replies(result) == ["250 2.0.0 OK"]
    assert hop.content.startswith(b"Received: ")
    assert hop.content.endswith(b"\r\n" + BINARY)
    assert not any(isinstance(event, smtp.Data) for event in hop.events)


@pytest.mark.parametrize(
    ("said", "trusted", "expected"),
    [
        (None, True, smtp.NULL_PATH),
        (ALICE, True, ALICE),
        (ALICE, False, smtp.NULL_PATH),
        (smtp.NULL_PATH, True, smtp.NULL_PATH),
    ],
)
def test_P30_who_submitted_it_is_told_as_far_as_it_is_believed(
    said: smtp.ReversePath | None, trusted: bool, expected: object
) -> None:
    """RFC 4954 section 5."""
    hop = Spoken(EVERYTHING)
    forward(hop, smtp.Mail(ALICE, auth=said), FAR, trusted=trusted)
    # The hop would not believe us: look at what is on the wire.
    (line,) = [line for line in hop.heard.splitlines() if line.startswith(b"MAIL")]
    value = "<>" if expected is smtp.NULL_PATH else str(expected)
    assert line.endswith(b" AUTH=" + value.encode())


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
