"""The client's conversations against scripted servers, one scenario each."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.header import decode_header
from email.headerregistry import Address
from email.message import EmailMessage, Message
from typing import Any

import pytest

from mailproto import sasl, smtp
from mailproto._core.machine import Signal
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
    TLSError,
)
from mailproto.flows.effects import Flow, read, write
from mailproto.flows.smtp_client import HELO_AFTER, ClosedAtEhlo, Session
from mailproto.flows.smtp_content import Content
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome, SendResult
from mailproto.smtp.content import ContentNotASCII
from mailproto.testing import converse, peer, transcript

CREDENTIALS = sasl.PasswordCredentials("alice", "secret")
BEGIN = "S: 220 mx ESMTP\nC: EHLO client.example\n"
PLAIN = BEGIN + "S: 250 mx\n"
PIPELINING = BEGIN + "S: 250-mx\nS: 250-SIZE 10000\nS: 250-8BITMIME\nS: 250 PIPELINING\n"
QUIT = "C: QUIT\nS: 221 bye\n"
RECIPIENTS = ["bob@example.com", "carol@example.com", "dave@example.com"]


def session(**options: object) -> Session:
    machine = smtp.Client(**options)  # type: ignore[arg-type]  # options of any kind
    return Session(machine, "client.example")


def play(script: str, flow: Flow[SendResult], *, sizes: tuple[int, ...] = ()) -> SendResult:
    return converse(flow, peer(transcript(script)), sizes=sizes)[0]


def sending(
    client: Session,
    content: Content = b"Subject: x\r\n\r\n.hi\r\n",
    recipients: list[str] | None = None,
    **options: object,
) -> Flow[SendResult]:
    yield from client.begin()
    paths = RECIPIENTS if recipients is None else recipients
    result = yield from client.send(
        content,
        "alice@example.com",
        paths,
        **options,  # type: ignore[arg-type]  # any kind
    )
    yield from client.quit()
    return result


def outcomes(result: SendResult) -> list[Outcome]:
    return [recipient.outcome for recipient in result.recipients]


DELIVERED, TEMPORARY, PERMANENT, UNKNOWN = Outcome


# -------------------------------------------------------------------------------------- sending


@pytest.mark.parametrize("sizes", [(), (1,), (7, 2)])
def test_one_command_after_the_other_without_pipelining(sizes: tuple[int, ...]) -> None:
    result = play(
        f"""{PLAIN}C: MAIL FROM:<alice@example.com>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 ok
C: RCPT TO:<carol@example.com>
S: 550 5.1.1 no such user
C: RCPT TO:<dave@example.com>
S: 450 4.2.1 later
C: DATA
S: 354 go
C: Subject: x
C:
C: ..hi
C: .
S: 250 2.0.0 Ok: queued as 4XyzAB-1
{QUIT}""",
        sending(session()),
        sizes=sizes,
    )
    assert outcomes(result) == [DELIVERED, PERMANENT, TEMPORARY]
    assert result.queue_id == "4XyzAB-1"
    assert [str(r.forward_path) for r in result.delivered] == ["bob@example.com"]
    assert str(result.failed[0].reply) == "550 5.1.1 no such user"
    with pytest.raises(CommandFailed, match=r"carol@example\.com.*no such user") as caught:
        result.check()
    assert (caught.value.code, caught.value.temporary) == ("550", False)


GROUP = """C: MAIL FROM:<alice@example.com> SIZE=19
C: RCPT TO:<bob@example.com>
C: RCPT TO:<carol@example.com>
C: RCPT TO:<dave@example.com>
C: DATA
"""
ONE_ACCEPTED = "S: 250 ok\nC: RCPT TO:<bob@example.com>\nS: 250 ok\nC: DATA\n"
CONTENT = "C: Subject: x\nC:\nC: ..hi\nC: .\n"


def test_a_group_in_one_write_with_pipelining() -> None:
    result = play(
        f"{PIPELINING}{GROUP}S: 250 ok\nS: 550 no\nS: 250 ok\nS: 250 ok\nS: 354 go\n"
        f"{CONTENT}S: 250 ok id=1abcde-0001\n{QUIT}",
        sending(session()),
    )
    assert outcomes(result) == [PERMANENT, DELIVERED, DELIVERED]
    assert result.queue_id == "1abcde-0001"


class Turns:
    """A server that reads all that comes before it answers: how often the client waits for it."""

    def __init__(self, *extensions: str) -> None:
        self.extensions = extensions
        self.groups: list[list[str]] = []
        """The commands that came together; content is not among them."""

    def serve(self) -> Flow[None]:
        machine = smtp.Server(
            offer=smtp.Offer(chunking="CHUNKING" in self.extensions, smtputf8=False)
        )
        machine.accept()
        yield from write(machine.data_to_send())
        while data := (yield from read()):
            self.groups.append([])
            machine.receive_data(data)
            while not isinstance(event := machine.next_event(), Signal):
                if not isinstance(event, smtp.Body):
                    self.groups[-1].append(type(event).__name__)
                    machine.accept()
            said = machine.data_to_send()
            if "PIPELINING" not in self.extensions:
                said = said.replace(b"250-PIPELINING\r\n", b"")
            yield from write(said)


LARGE = b"0123456789abcd\r\n" * 100_000


@pytest.mark.parity("smtp-client PIPELINING", "smtp-client CHUNKING")
@pytest.mark.parametrize(
    ("extensions", "content", "expected"),
    [
        (["PIPELINING"], b"x\r\n", [["Mail", "Rcpt", "Rcpt", "Data"], ["EndOfMessage"]]),
        (["PIPELINING", "CHUNKING"], b"x\r\n", [["Mail", "Rcpt", "Rcpt", "EndOfMessage"]]),
        (["CHUNKING"], b"x\r\n", [["Mail"], ["Rcpt"], ["Rcpt"], ["EndOfMessage"]]),
        ([], b"x\r\n", [["Mail"], ["Rcpt"], ["Rcpt"], ["Data"], ["EndOfMessage"]]),
    ],
)
def test_a_message_costs_few_round_trips(
    extensions: list[str], content: bytes, expected: list[list[str]]
) -> None:
    """After EHLO: two and QUIT with PIPELINING, one and QUIT with CHUNKING too."""
    server = Turns(*extensions)
    result, _ = converse(sending(session(), content, RECIPIENTS[:2]), server.serve())
    assert len(result.delivered) == 2
    assert server.groups == [["Ehlo"], *expected, ["Quit"]]


@pytest.mark.parametrize("chunking", [None, True, False])
def test_a_large_message_waits_for_its_recipients(chunking: bool | None) -> None:
    server = Turns("PIPELINING", "CHUNKING")
    flow = sending(session(), LARGE, RECIPIENTS[:2], chunking=chunking)
    result, _ = converse(flow, server.serve())
    assert len(result.delivered) == 2
    envelope = ["Mail", "Rcpt", "Rcpt", *(["Data"] if chunking is not True else [])]
    assert server.groups[1] == envelope
    assert [name for group in server.groups[2:] for name in group] == ["EndOfMessage", "Quit"]


CHUNKING = BEGIN + "S: 250-mx\nS: 250-PIPELINING\nS: 250-BINARYMIME\nS: 250 CHUNKING\n"
BOTH = """C: RCPT TO:<bob@example.com>
C: RCPT TO:<carol@example.com>
"""
SENDER_BINARY = "C: MAIL FROM:<alice@example.com> BODY=BINARYMIME\n"


def test_two_round_trips_with_chunking() -> None:
    result = play(
        f"""{CHUNKING}C: MAIL FROM:<alice@example.com>
{BOTH}S: 250 ok
S: 550 no
S: 250 ok
C: BDAT 19 LAST
C: Subject: x
C:
C: .hi
S: 250 2.0.0 Ok: queued as 4XyzAB-1
{QUIT}""",
        sending(session(), b"Subject: x\r\n\r\n.hi", RECIPIENTS[:2], chunking=True),
    )
    assert outcomes(result) == [PERMANENT, DELIVERED]
    assert result.queue_id == "4XyzAB-1"


def test_pieces_are_chunks_of_their_own_and_binary_ones_go_as_they_are() -> None:
    result = play(
        f"""{CHUNKING}{SENDER_BINARY}{BOTH}S: 250 ok
S: 250 ok
S: 250 ok
C: BDAT 4
C: \0\r
S: 250 ok
C: BDAT 3 LAST
C: .
S: 250 ok
{QUIT}""",
        sending(
            session(),
            [b"\0\r\r\n", b".\r\n"],
            RECIPIENTS[:2],
            body=smtp.BodyType.BINARY_MIME,
        ),
    )
    assert outcomes(result) == [DELIVERED, DELIVERED]


@pytest.mark.parametrize(
    ("content", "chunk"), [(b"x\r\n", "BDAT 3 LAST"), ([b"x\r\n", b"y\r\n"], "BDAT 3")]
)
def test_after_a_refused_chunk_comes_RSET_and_no_other_chunk(content: Content, chunk: str) -> None:
    result = play(
        f"""{CHUNKING}C: MAIL FROM:<alice@example.com>
{BOTH}S: 250 ok
S: 250 ok
S: 250 ok
C: {chunk}
C: x
S: 452 full
C: RSET
S: 250 ok
{QUIT}""",
        sending(session(), content, RECIPIENTS[:2], chunking=True),
    )
    assert outcomes(result) == [TEMPORARY, TEMPORARY]


REFUSED = f"""{CHUNKING}C: MAIL FROM:<alice@example.com>
{BOTH}S: 250 ok
S: 550 a
S: 550 b
"""


def test_a_small_chunk_goes_with_the_envelope_and_is_refused_with_it() -> None:
    """RFC 3030 section 4.2 has it so; nobody's message is on its way when all were refused."""
    script = f"""{REFUSED}C: BDAT 19 LAST
C: Subject: x
C:
C: .hi
S: 503 nobody
C: RSET
S: 250 ok
{QUIT}"""
    result = play(script, sending(session(), recipients=RECIPIENTS[:2]))
    assert [str(r.reply) for r in result.recipients] == ["550 a", "550 b"]
    assert result.final is None


def test_refusals_are_not_lost_with_the_connection_behind_them() -> None:
    """The server hangs up where it should have refused the chunk."""
    script = f"""{CHUNKING}C: MAIL FROM:<alice@example.com>
{BOTH}C: BDAT 19 LAST
C: Subject: x
C:
C: .hi
S: 250 ok
S: 550 a
S: 550 b
"""
    result = play(script, sending(session(), recipients=RECIPIENTS[:2]))
    assert [str(r.reply) for r in result.recipients] == ["550 a", "550 b"]


def test_a_large_chunk_is_not_sent_for_nobody() -> None:
    content = b"0123456789\r\n" * 10_000
    script = f"{REFUSED}C: RSET\nS: 250 ok\n{QUIT}"
    result = play(script, sending(session(), content, RECIPIENTS[:2], chunking=True))
    assert [str(r.reply) for r in result.recipients] == ["550 a", "550 b"]


def test_chunks_that_cannot_be_sent_are_refused_before_anything_is() -> None:
    chunked = sending(session(), chunking=True)
    binary = sending(session(), body=smtp.BodyType.BINARY_MIME)
    for flow in (chunked, binary):
        with pytest.raises(LocalProtocolError, match="CHUNKING"):
            play(PIPELINING, flow)
    with pytest.raises(LocalProtocolError, match="by BDAT"):
        play(CHUNKING, sending(session(), body=smtp.BodyType.BINARY_MIME, chunking=False))
    with pytest.raises(LocalProtocolError, match="bare CR or LF"):
        play(CHUNKING, sending(session(), b"a\nb", chunking=True))


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ("S: 550 no\nS: 503 no\nS: 503 no\nS: 503 no\nS: 503 no\n", "550 no"),
        ("S: 250 ok\nS: 451 a\nS: 451 b\nS: 451 c\nS: 554 none\nC: RSET\nS: 250 ok\n", "451 a"),
        ("S: 250 ok\n" * 4 + "S: 452 full\nC: RSET\nS: 250 ok\n", "452 full"),
        # RFC 2920 section 3.1: DATA was accepted although nobody was.
        ("S: 250 ok\nS: 550 a\nS: 550 b\nS: 550 c\nS: 354 go\nC: .\nS: 554 none\n", "550 a"),
        ("S: 421 4.3.2 bye\n", "421 4.3.2 bye"),
        ("S: 250 ok\nS: 421 4.3.2 bye\n", "421 4.3.2 bye"),
    ],
)
def test_refusals_with_pipelining(replies: str, expected: str) -> None:
    closing = "421" in replies
    result = play(PIPELINING + GROUP + replies + ("" if closing else QUIT), sending(session()))
    assert not result.delivered
    assert result.final is None
    assert str(result.recipients[0].reply) == expected
    assert all(outcome in (TEMPORARY, PERMANENT) for outcome in outcomes(result))


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ("S: 550 no\n", "550 no"),
        ("S: 250 ok\nC: RCPT TO:<bob@example.com>\nS: 550 no\nC: RSET\nS: 250 ok\n", "550 no"),
        (f"{ONE_ACCEPTED}S: 451 no\nC: RSET\nS: 250 ok\n", "451 no"),
        (f"{ONE_ACCEPTED}S: 354 go\n{CONTENT}S: 554 5.7.1 spam\n", "554 5.7.1 spam"),
        ("S: 250 ok\nC: RCPT TO:<bob@example.com>\nS: 421 bye\n", "421 bye"),
    ],
)
def test_refusals_one_by_one(replies: str, expected: str) -> None:
    script = f"{PLAIN}C: MAIL FROM:<alice@example.com>\n{replies}" + (
        "" if "421" in replies else QUIT
    )
    result = play(script, sending(session(), recipients=["bob@example.com"]))
    assert str(result.recipients[0].reply) == expected
    assert not result.delivered


def test_many_recipients_go_in_groups() -> None:
    names = [f"r{n}@example.com" for n in range(250)]
    replies = "S: 250 ok\n"
    script = PIPELINING + "C: MAIL FROM:<alice@example.com> SIZE=19\n"
    for start in range(0, 250, 100):
        group = names[start : start + 100]
        script += "".join(f"C: RCPT TO:<{name}>\n" for name in group)
        script += "C: DATA\n" * (start == 200)
        script += replies * (start == 0) + replies * len(group)
    script += f"S: 354 go\n{CONTENT}S: 250 ok\n{QUIT}"
    result = play(script, sending(session(), recipients=names))
    assert len(result.delivered) == 250


def test_lmtp_has_a_result_for_each_recipient() -> None:
    result = play(
        f"""S: 220 mx LMTP
C: LHLO client.example
S: 250-mx
S: 250 PIPELINING
{GROUP.replace(" SIZE=19", "")}S: 250 ok
S: 250 ok
S: 550 no such user
S: 250 ok
S: 354 go
{CONTENT}S: 250 delivered
S: 452 over quota
{QUIT}""",
        sending(session(lmtp=True)),
    )
    assert outcomes(result) == [DELIVERED, PERMANENT, TEMPORARY]


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("known", [0, 1])
def test_P21_no_reply_to_the_content_is_unknown(lmtp: bool, known: int) -> None:
    if known and not lmtp:
        return
    hello = "S: 220 mx\nC: LHLO client.example\nS: 250 mx\n" if lmtp else PLAIN
    script = (
        f"""{hello}C: MAIL FROM:<alice@example.com>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 ok
C: RCPT TO:<carol@example.com>
S: 250 ok
C: DATA
S: 354 go
{CONTENT}"""
        + "S: 250 ok\n" * known
    )
    with pytest.raises(DeliveryUnknown) as caught:
        play(script, sending(session(lmtp=lmtp), recipients=RECIPIENTS[:2]))
    assert outcomes(caught.value.result) == [DELIVERED] * known + [UNKNOWN] * (2 - known)


@pytest.mark.parametrize("silent", [False, True])
def test_P21_before_the_content_it_is_just_lost(silent: bool) -> None:
    def server() -> Flow[None]:
        yield from write(b"220 mx\r\n")
        yield from read()
        yield from write(b"250 mx\r\n")
        yield from read()
        if silent:
            while (yield from read()):
                pass

    with pytest.raises(DeadlineExceeded if silent else ConnectionLost):
        converse(sending(session()), server())


@pytest.mark.parametrize("replies", range(4))
@pytest.mark.parametrize("lmtp", [False, True])
def test_P21_content_that_went_with_the_envelope_may_have_arrived(replies: int, lmtp: bool) -> None:
    """Only a refusal that has come is known; for all others the outcome is not."""
    offered = CHUNKING
    if lmtp:
        offered = CHUNKING.replace("EHLO", "LHLO")
    lines = ["S: 250 ok\n", "S: 550 no\n", "S: 250 ok\n"][:replies]
    script = f"""{offered}C: MAIL FROM:<alice@example.com>
{BOTH}C: BDAT 19 LAST
C: Subject: x
C:
C: .hi
{"".join(lines)}"""
    with pytest.raises(DeliveryUnknown) as caught:
        play(script, sending(session(lmtp=lmtp), recipients=RECIPIENTS[:2]))
    expected = [PERMANENT if replies > 1 else UNKNOWN, UNKNOWN]
    assert outcomes(caught.value.result) == expected


def test_a_result_is_not_lost_with_the_connection_after_it() -> None:
    """The server refuses a chunk and hangs up before RSET."""
    script = f"""{CHUNKING}C: MAIL FROM:<alice@example.com>
{BOTH}C: BDAT 19 LAST
C: Subject: x
C:
C: .hi
S: 250 ok
S: 250 ok
S: 250 ok
S: 552 too large
"""
    result = play(script, sending(session(), recipients=RECIPIENTS[:2]))
    assert outcomes(result) == [PERMANENT, PERMANENT]


class Broken(Exception):
    """What the source of a message may raise."""


def breaking() -> Iterator[bytes]:
    yield b"Subject: x\r\n"
    raise Broken


@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize(
    ("content", "error"),
    [
        (breaking, Broken),
        (lambda: iter([b"x\r\n", b"bare\n"]), LocalProtocolError),
        (lambda: iter([b"x\r\n", b"\xff\r\n"]), ContentNotASCII),
        (lambda: iter([b"x\r\n", "text"]), TypeError),
    ],
)
def test_P21_a_source_that_breaks_leaves_the_message_without_an_end(
    content: Callable[[], Any], error: type[Exception], chunking: bool
) -> None:
    heard = b""

    def server() -> Flow[None]:
        nonlocal heard
        machine = smtp.Server()
        machine.accept()
        yield from write(machine.data_to_send())
        while data := (yield from read()):
            heard += data
            machine.receive_data(data)
            while not isinstance(event := machine.next_event(), Signal):
                assert not isinstance(event, smtp.EndOfMessage)
                if not isinstance(event, smtp.Body):
                    machine.accept()
            yield from write(machine.data_to_send().replace(b"250-8BITMIME\r\n", b""))

    with pytest.raises(error):
        converse(sending(session(), content(), chunking=chunking), server())
    assert b"\r\n.\r\n" not in heard
    assert b"LAST" not in heard or error is LocalProtocolError


def test_pieces_are_sent_as_they_come() -> None:
    # They may hold 8-bit octets, so BODY=8BITMIME is said where the server knows it.
    pieces = iter([b"Subject: x\r\n", b"\r", b"\n", b".", b"hi\r\n"])
    group = GROUP.replace("SIZE=19", "SIZE=19 BODY=8BITMIME")
    script = PIPELINING + group + "S: 250 ok\n" * 4 + f"S: 354 go\n{CONTENT}S: 250 ok\n{QUIT}"
    result = play(script, sending(session(), pieces, size=19))
    assert len(result.delivered) == 3


def test_the_size_that_came_with_a_transaction_goes_on() -> None:
    client = session()

    def flow() -> Flow[SendResult]:
        yield from client.begin()
        mail = smtp.Mail(smtp.Mailbox.parse("alice@example.com"), 19, smtp.BodyType.SEVEN_BIT)
        result = yield from client.send(iter([b"Subject: x\r\n\r\n.hi\r\n"]), mail, RECIPIENTS)
        yield from client.quit()
        return result

    group = GROUP.replace("SIZE=19", "SIZE=19 BODY=7BIT")
    script = PIPELINING + group + "S: 250 ok\n" * 4 + f"S: 354 go\n{CONTENT}S: 250 ok\n{QUIT}"
    assert len(play(script, flow()).delivered) == 3


def test_content_that_is_proven_safe_is_not_looked_at_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = smtp.SafeContent(b"Subject: x\r\n\r\n.hi\r\n")
    monkeypatch.delattr("mailproto.smtp.content.OutgoingContent.check")
    script = (
        f"{PIPELINING}{GROUP}S: 250 ok\n" + "S: 250 ok\n" * 3 + f"S: 354 go\n{CONTENT}S: 250 ok\n"
    )
    result = play(script + QUIT, sending(session(), content))
    assert len(result.delivered) == 3


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\r", b"x" * 999, b"\xff\r\n"])
def test_P03_what_cannot_be_sent_is_known_before_anything_is(content: bytes) -> None:
    def flow() -> Flow[SendResult]:
        client = session()
        yield from client.begin()
        with pytest.raises(LocalProtocolError):
            yield from client.send(content, "alice@example.com", RECIPIENTS)
        return (yield from client.send(b"x\r\n", "", ["bob@example.com"]))

    play(
        f"""{PLAIN}C: MAIL FROM:<>
S: 250 ok
C: RCPT TO:<bob@example.com>
S: 250 ok
C: DATA
S: 354 go
C: x
C: .
S: 250 ok""",
        flow(),
    )


@pytest.mark.parametrize(
    ("content", "sender", "recipients"),
    [
        (b"x", None, ["a@b"]),
        (b"x", "a@b", None),
        (b"x", "a@b", []),
        (b"x", "a b@c", ["a@b"]),
        (b"x", "a@b", ["a@b\r\nRCPT TO:<c@d>"]),
    ],
)
def test_P04_an_envelope_that_makes_no_sense(
    content: bytes, sender: str | None, recipients: list[str] | None
) -> None:
    with pytest.raises(ValueError):
        next(session().send(content, sender, recipients))


def test_one_text_is_not_read_letter_by_letter() -> None:
    with pytest.raises(TypeError, match=r"write \['a@b'\]"):
        next(session().send(b"x", "a@b", "a@b"))


# ------------------------------------------------------------------------------ EmailMessage


def email(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Grüße\n.\n", cte="8bit")
    return message


def test_the_envelope_is_that_of_the_header_and_bcc_is_not_sent() -> None:
    message = email(
        From="Alice <alice@example.com>, other@example.com",
        Sender="sender@example.com",
        To='"Bob, B." <bob@example.com>, carol@example.com',
        Cc="bob@example.com",
        Bcc="dave@example.com",
    )
    lines = """From: Alice <alice@example.com>, other@example.com
Sender: sender@example.com
To: "Bob, B." <bob@example.com>, carol@example.com
Cc: bob@example.com
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 8bit
MIME-Version: 1.0

Grüße
.
""".splitlines()
    size = sum(len(line.encode()) + 2 for line in lines)
    content = "\n".join("C: " + line.replace(".", "..", line == ".") for line in lines)
    script = f"""{PIPELINING}C: MAIL FROM:<sender@example.com> SIZE={size} BODY=8BITMIME
C: RCPT TO:<bob@example.com>
C: RCPT TO:<carol@example.com>
C: RCPT TO:<dave@example.com>
C: DATA
S: 250 ok
S: 250 ok
S: 250 ok
S: 250 ok
S: 354 go
{content}
C: .
S: 250 ok
{QUIT}"""

    def flow() -> Flow[SendResult]:
        client = session()
        yield from client.begin()
        result = yield from client.send(message)
        yield from client.quit()
        return result

    assert len(play(script, flow()).delivered) == 3
    assert message["Bcc"] == "dave@example.com"


def sent(message: Message, offer: str) -> bytes:
    """What goes over the wire to a server that takes everything."""
    received = b""

    def server() -> Flow[None]:
        nonlocal received
        yield from write(b"220 mx\r\n")
        while data := (yield from read()):
            received += data
            if data.startswith(b"EHLO"):
                yield from write(b"250-mx\r\n" + offer.encode() + b"250 X\r\n")
            else:
                yield from write(b"354 go\r\n" if data == b"DATA\r\n" else b"250 ok\r\n")

    def flow() -> Flow[None]:
        client = session()
        yield from client.begin()
        yield from client.send(message)

    converse(flow(), server())
    return received


@pytest.mark.parity("smtp-client 8BITMIME")
def test_without_8BITMIME_parts_are_encoded_anew() -> None:
    wire = sent(email(From="a@b.example", To="c@d.example"), "")
    assert b"MAIL FROM:<a@b.example>\r\n" in wire
    assert wire.isascii()
    assert b"Content-Transfer-Encoding: base64" in wire
    wire = sent(email(From="a@b.example", To="c@d.example"), "250-8BITMIME\r\n")
    assert b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n" in wire
    assert "Grüße".encode() in wire


@pytest.mark.parity("smtp-client SMTPUTF8")
def test_addresses_in_utf8_need_SMTPUTF8() -> None:
    message = email(From="a@b.example", Subject="Grüße")
    message["To"] = Address("Jörg", "jörg", "bücher.example")
    wire = sent(message, "250-8BITMIME\r\n250-SMTPUTF8\r\n")
    assert b"MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8\r\n" in wire
    assert "RCPT TO:<jörg@bücher.example>\r\n".encode() in wire
    assert "Subject: Grüße\r\n".encode() in wire
    with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
        sent(message, "250-8BITMIME\r\n")


def test_addresses_in_utf8_that_are_only_in_the_header_need_SMTPUTF8_too() -> None:
    message = email(From="a@b.example", To="c@d.example")
    message["Reply-To"] = Address("Jörg", "jörg", "bücher.example")
    wire = sent(message, "250-8BITMIME\r\n250-SMTPUTF8\r\n")
    assert b"MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8\r\n" in wire
    assert "Reply-To: Jörg <jörg@bücher.example>\r\n".encode() in wire
    with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
        sent(message, "250-8BITMIME\r\n")
    # A name beside an address can be said in ASCII.
    message.replace_header("Reply-To", Address("Jörg", "joerg", "b.example"))
    assert b"Reply-To: =?utf-8?q?J=C3=B6rg?= <joerg@b.example>\r\n" in sent(message, "")


@pytest.mark.parametrize("kind", [policy.default, policy.compat32])
def test_a_header_that_came_in_octets_is_not_sent_so_without_SMTPUTF8(kind: policy.Policy) -> None:
    octets = "From: a@b.example\nTo: c@d.example\nSubject: Grüße\n\nUnd: äh\n".encode()
    message = message_from_bytes(octets, policy=kind)
    wire = sent(message, "250-8BITMIME\r\n250-SMTPUTF8\r\n")
    head, _, body = wire.partition(b"DATA\r\n")[2].partition(b"\r\n\r\n")
    assert head.isascii()
    # Nobody has said what the text is in, and it is no business of the header's.
    assert body.startswith("Und: äh\r\n.\r\n".encode())
    subject = message_from_bytes(head)["Subject"]
    assert decode_header(subject) == [("Grüße".encode(), "unknown-8bit")]


@pytest.mark.parametrize("offer", ["", "250-8BITMIME\r\n"])
def test_parts_in_binary_arrive_as_they_are(offer: str) -> None:
    binary = b"\n\r\0\r\n.\r\n\r" + bytes(range(256))
    message = email(From="a@b.example", To="c@d.example")
    message.add_attachment(binary, maintype="image", subtype="x", cte="binary")
    content = sent(message, offer).partition(b"DATA\r\n")[2].replace(b"\r\n..", b"\r\n.")
    received = message_from_bytes(content, policy=policy.default)
    (part,) = received.iter_attachments()
    assert part.get_content() == binary
    assert part["Content-Transfer-Encoding"] == "base64"
    (own,) = message.iter_attachments()
    assert own["Content-Transfer-Encoding"] == "binary"


def test_a_message_of_the_old_policy() -> None:
    message = Message(policy.compat32)
    message["From"] = "a@b.example"
    message["To"] = "c@d.example"
    message.set_payload("one\ntwo\n")
    assert b"DATA\r\nFrom: a@b.example\r\nTo: c@d.example\r\n\r\none\r\ntwo\r\n.\r\n" in sent(
        message, ""
    )


RESENT = {
    "Resent-Date": "Mon, 01 Jan 2024 00:00:00 +0000",
    "Resent-From": "carol@b.example",
    "Resent-To": "dave@d.example",
    "Resent-Cc": "erin@d.example",
    "Resent-Bcc": "frank@d.example",
}


@pytest.mark.parametrize("more", [{}, {"Resent-Sender": "grace@b.example"}])
def test_a_message_that_was_resent_goes_where_smtplib_sends_it(more: dict[str, str]) -> None:
    fields = RESENT | more | {"From": "alice@b.example", "To": "bob@d.example"}
    message = email(**fields, Bcc="heidi@d.example")

    class Taken(smtplib.SMTP):
        def ehlo_or_helo_if_needed(self) -> None: ...

        def sendmail(self, from_addr: str, to_addrs: Any, msg: Any, *_: Any, **__: Any) -> Any:
            self.sent = from_addr, to_addrs, msg

    theirs = Taken()
    theirs.send_message(message)
    sender, recipients, content = theirs.sent
    wire = sent(message, "250-8BITMIME\r\n")
    assert b"MAIL FROM:<%s>" % sender.encode() in wire
    assert sorted(re.findall(rb"RCPT TO:<(.*?)>", wire)) == sorted(r.encode() for r in recipients)
    header = content.partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in header
    assert b"DATA\r\n" + header + b"\r\n\r\n" in wire


def test_where_a_message_goes_that_was_resent_twice_must_be_said() -> None:
    message = email(From="alice@b.example", To="bob@d.example", **RESENT)
    message["Resent-Date"] = RESENT["Resent-Date"]
    with pytest.raises(LocalProtocolError, match="resent 2 times: give"):
        sent(message, "")


def test_text_without_a_charset_cannot_be_encoded_anew() -> None:
    message = message_from_bytes("From: a@b\nTo: c@d\n\nGrüße\n".encode())
    assert "Grüße".encode() in sent(message, "250-8BITMIME\r\n")
    with pytest.raises(LocalProtocolError, match="without a charset"):
        sent(message, "")


@pytest.mark.parametrize("headers", [{"To": "a@b"}, {"From": "a@b"}, {"From": "a@b", "To": ""}])
def test_a_message_without_an_envelope(headers: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        next(session().send(email(**headers)))


# ------------------------------------------------------------------------- beginning and ending


@pytest.mark.parity("smtp-client EHLO, with HELO when it must")
@pytest.mark.parametrize("code", sorted(HELO_AFTER))
def test_HELO_after_the_refusals_that_are_named(code: int) -> None:
    def flow() -> Flow[smtp.Capabilities | None]:
        client = session()
        yield from client.begin()
        return client.capabilities

    script = f"{BEGIN}S: {code} what?\nC: HELO client.example\nS: 250 mx\n"
    assert converse(flow(), peer(transcript(script)))[0] == smtp.Capabilities("mx", {})


@pytest.mark.parametrize("code", [421, 450, 451, 530, 535, 552, 571])
def test_no_HELO_after_other_refusals(code: int) -> None:
    with pytest.raises(CommandFailed) as caught:
        converse(session().begin(), peer(transcript(f"{BEGIN}S: {code} no\n")))
    assert caught.value.code == str(code)


@pytest.mark.parametrize("script", [BEGIN, f"{BEGIN}S: 500 what?\nC: HELO client.example\n"])
def test_a_server_that_closes_at_EHLO_is_known_by_that(script: str) -> None:
    with pytest.raises(ClosedAtEhlo):
        converse(session().begin(), peer(transcript(script)))
    plain = Session(smtp.Client(), "client.example", extended=False)
    script = "S: 220 mx\nC: HELO client.example\nS: 250 mx\n"
    converse(plain.begin(), peer(transcript(script)))
    assert plain.capabilities == smtp.Capabilities("mx", {})


@pytest.mark.parametrize(
    ("script", "code", "temporary"),
    [
        ("S: 554 go away\n", "554", False),
        ("S: 421 busy\n", "421", True),
        (f"{BEGIN}S: 450 later\n", "450", True),
        (f"{BEGIN}S: 550 no\nC: HELO client.example\nS: 550 no\n", "550", False),
    ],
)
def test_a_server_that_refuses_the_session(script: str, code: str, temporary: bool) -> None:
    with pytest.raises(CommandFailed) as caught:
        converse(session().begin(), peer(transcript(script)))
    assert (caught.value.code, caught.value.temporary) == (code, temporary)


def test_a_server_that_hangs_up() -> None:
    with pytest.raises(ConnectionLost, match="before the greeting"):
        converse(session().begin(), peer([]))


def upgrade(client: Session) -> Flow[smtp.Capabilities | None]:
    yield from client.begin(starttls=True)
    return client.capabilities


def test_P05_starttls_forgets_what_was_offered_before() -> None:
    client = session()
    script = f"""{BEGIN}S: 250-mx
S: 250-STARTTLS
S: 250 AUTH PLAIN
C: STARTTLS
S: 220 go
TLS
C: EHLO client.example
S: 250 mx"""
    capabilities, _ = converse(upgrade(client), peer(transcript(script)))
    assert capabilities == smtp.Capabilities("mx", {})
    assert client.machine.tls


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("S: 250 mx\n", SecurityError),
        ("S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now\n", SecurityError),
        (
            "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250 injected\n",
            TLSError,
        ),
    ],
)
def test_P06_required_TLS_fails_closed(rest: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        converse(upgrade(session()), peer(transcript(BEGIN + rest)))


@pytest.mark.parity("smtp-client plaintext after STARTTLS")
def test_P05_octets_behind_the_reply_to_STARTTLS_are_found() -> None:
    def server() -> Flow[None]:
        yield from write(b"220 mx\r\n")
        yield from read()
        yield from write(b"250-mx\r\n250 STARTTLS\r\n")
        yield from read()
        yield from write(b"220 go\r\n250 injected\r\n")

    with pytest.raises(RemoteProtocolError, match="plaintext"):
        converse(upgrade(session()), server())


# ----------------------------------------------------------------------------- authentication


def log_in(client: Session, **options: object) -> Flow[smtp.Reply]:
    yield from client.begin()
    return (
        yield from client.authenticate(CREDENTIALS, **options)  # type: ignore[arg-type]  # any kind
    )


def test_the_initial_response_goes_with_the_command() -> None:
    reply, _ = converse(
        log_in(session(tls=True)),
        peer(
            transcript(
                f"{BEGIN}S: 250-mx\nS: 250 AUTH LOGIN PLAIN\n"
                "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 235 2.7.0 welcome\n"
            )
        ),
    )
    assert reply == smtp.Reply(235, "welcome", smtp.EnhancedCode(2, 7, 0))


@pytest.mark.parity("smtp-client AUTH")
def test_an_exchange_of_several_steps() -> None:
    script = f"""{BEGIN}S: 250-mx
S: 250 AUTH LOGIN
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: YWxpY2U=
S: 334 UGFzc3dvcmQ6
C: c2VjcmV0
S: 235 ok"""
    converse(log_in(session(tls=True)), peer(transcript(script)))


@pytest.mark.parametrize(("code", "temporary"), [("535", False), ("454", True)])
def test_a_refused_login(code: str, temporary: bool) -> None:
    script = f"""{BEGIN}S: 250-mx
S: 250 AUTH PLAIN
C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
S: {code} 5.7.8 no"""
    with pytest.raises(AuthenticationFailed) as caught:
        converse(log_in(session(tls=True)), peer(transcript(script)))
    assert (caught.value.code, caught.value.temporary) == (code, temporary)
    assert "secret" not in str(caught.value)


def test_P06_no_password_in_clear() -> None:
    script = transcript(f"{BEGIN}S: 250-mx\nS: 250 AUTH PLAIN LOGIN\n")
    with pytest.raises(SecurityError):
        converse(log_in(session()), peer(script))


def test_P26_a_challenge_that_makes_no_sense_is_cancelled() -> None:
    script = f"{BEGIN}S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFsaWNlAHNlY3JldA==\n"
    for challenge in ("S: 334 Zm9v\n", "S: 334 what?\n"):
        with pytest.raises(sasl.SASLError):
            converse(
                log_in(session(tls=True)),
                peer(transcript(script + challenge + "C: *\nS: 501 cancelled\n")),
            )


# ----------------------------------------------------------------------------- single commands


@pytest.mark.parity("smtp-client HELP")
def test_single_commands_return_their_reply() -> None:
    def flow() -> Flow[list[int]]:
        client = session()
        yield from client.begin()
        replies = [
            (yield from client.verify("Crispin")),
            (yield from client.expand("Staff")),
            (yield from client.help()),
            (yield from client.noop()),
            (yield from client.reset()),
            (yield from client.call(smtp.OtherCommand("XYZZY", "twice"))),
        ]
        yield from client.quit()
        return [reply.code for reply in replies]

    script = f"""{PLAIN}C: VRFY Crispin
S: 250 Mark Crispin <Admin.MRC@foo.com>
C: EXPN Staff
S: 550 no
C: HELP
S: 214 no
C: NOOP
S: 250 ok
C: RSET
S: 250 ok
C: XYZZY twice
S: 250 Nothing happens
{QUIT}"""
    assert converse(flow(), peer(transcript(script)))[0] == [250, 550, 214, 250, 250, 250]


@pytest.mark.parametrize("end", ["C: QUIT\n", "C: QUIT\nS: 221 bye\n", ""])
def test_a_goodbye_never_fails(end: str) -> None:
    def flow() -> Flow[None]:
        client = session()
        yield from client.begin()
        yield from client.quit()

    script = transcript(PLAIN + end)
    if end:
        converse(flow(), peer(script))
    else:
        # The server has closed already.
        def server() -> Flow[None]:
            yield from write(b"220 mx\r\n")
            yield from read()
            yield from write(b"250 mx\r\n")

        converse(flow(), server())


def test_a_timeout_replaces_those_of_the_RFC() -> None:
    begin = time.monotonic()
    client = Session(smtp.Client(timeouts=smtp.Timeouts.of(0.5)))

    def silent() -> Flow[None]:
        while (yield from read()):
            pass

    with pytest.raises(DeadlineExceeded, match=r"0\.5 seconds"):
        converse(client.begin(), silent())
    assert time.monotonic() - begin < 10
