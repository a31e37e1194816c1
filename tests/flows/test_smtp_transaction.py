"""What a client reports of each recipient is what a server has decided, by every way of sending."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import smtp
from mailproto._core.machine import Signal
from mailproto.errors import ConnectionLost, DeadlineExceeded, TransportError
from mailproto.flows.effects import Close, Deadline, Flow, Read, Write, read, write
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_content import PIECE, Content
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome, SendResult
from mailproto.flows.smtp_transaction import INLINE
from mailproto.testing import converse

CODES = st.sampled_from([250, 250, 250, 450, 550])
SMALL = b"Subject: x\r\n\r\n.dot\r\n"
LARGE = b"Subject: y\r\n\r\n" + b".0123456789abcd\r\n" * (INLINE // 16)
SENDER = "alice@example.com"


class Server:
    """Answers with the codes it is given, and keeps what it has taken."""

    def __init__(
        self, mail: int, rcpt: list[int], ends: list[int], *, lmtp: bool, offered: set[str]
    ) -> None:
        self.machine = smtp.Server(
            lmtp=lmtp, offer=smtp.Offer(chunking="CHUNKING" in offered, enhanced_codes=False)
        )
        self.withheld = [b"250-PIPELINING\r\n"] if "PIPELINING" not in offered else []
        self.mail, self.rcpt, self.ends = mail, iter(rcpt), ends
        self.content = b""
        self.taken = False

    def answer(self, event: object) -> None:
        machine = self.machine
        match event:
            case smtp.Mail():
                machine.send(smtp.Reply(self.mail, "mail"))
            case smtp.Rcpt():
                machine.send(smtp.Reply(next(self.rcpt), "rcpt"))
            case smtp.Body(data):
                self.content += data
            case smtp.EndOfMessage():
                self.taken = True
                for number in range(machine.replies_due):
                    machine.send(smtp.Reply(self.ends[number], f"end {number}"))
            case _:
                machine.accept()

    def serve(self, *, until: int | None = None) -> Flow[None]:
        """A session; it ends when so many octets were said, after EHLO."""
        self.machine.accept()
        yield from write(self.machine.data_to_send())
        left = until
        while data := (yield from read()):
            self.machine.receive_data(data)
            while not isinstance(event := self.machine.next_event(), Signal):
                self.answer(event)
            said = self.machine.data_to_send()
            for line in self.withheld:
                said = said.replace(line, b"")
            if left is not None and not said.startswith(b"250-"):
                if len(said) >= left:
                    yield from write(said[:left])
                    return
                left -= len(said)
            yield from write(said)


def send(
    session: Session,
    count: int,
    content: Content,
    chunking: bool | None,
    pieces: bool,
    *,
    go_on: bool = True,
) -> Flow[SendResult]:
    yield from session.begin()
    paths = [f"r{number}@example.com" for number in range(count)]
    parts: Content = content
    if pieces:
        assert isinstance(content, bytes)
        parts = [content[:9], b"", content[9:]]
    result = yield from session.send(parts, SENDER, paths, chunking=chunking)
    if go_on:
        assert (yield from session.noop()).code == 250
        yield from session.quit()
    return result


@st.composite
def cases(draw: st.DrawFn) -> tuple[Server, Session, int, bytes, bool | None, bool, list[int]]:
    """A server, a client, how to send, and the code that decides for each recipient."""
    count = draw(st.integers(1, 5))
    offered = draw(st.sets(st.sampled_from(["PIPELINING", "CHUNKING"])))
    lmtp = draw(st.booleans())
    mail = draw(CODES)
    rcpt = draw(st.lists(CODES, min_size=count, max_size=count))
    ends = draw(st.lists(CODES, min_size=count, max_size=count))
    chunking = draw(st.sampled_from([None, False, "CHUNKING" in offered]))
    content = draw(st.sampled_from([SMALL, LARGE]))
    final = iter(ends)
    expected = [
        mail if mail >= 400 else code if code >= 400 else (next(final) if lmtp else ends[0])
        for code in rcpt
    ]
    server = Server(mail, rcpt, ends, lmtp=lmtp, offered=offered)
    session = Session(smtp.Client(lmtp=lmtp), "client.example")
    return server, session, count, content, chunking, draw(st.booleans()), expected


@pytest.mark.parity("smtp-client a reply per recipient", "smtp-client LMTP")
@given(cases(), st.sampled_from([(), (1000, 7), (65536,)]))
@settings(max_examples=150, deadline=None)
def test_every_recipient_has_the_reply_that_decided(
    case: tuple[Server, Session, int, bytes, bool | None, bool, list[int]], sizes: tuple[int, ...]
) -> None:
    server, session, count, content, chunking, pieces, expected = case
    result, _ = converse(
        send(session, count, content, chunking, pieces), server.serve(), sizes=sizes
    )
    codes = [r.reply.code if r.reply is not None else None for r in result.recipients]
    assert codes == expected
    if 250 in expected:
        assert server.content == content
        assert result.final is not None


@given(cases(), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_P21_wherever_the_connection_ends_nothing_is_taken_for_a_success(
    case: tuple[Server, Session, int, bytes, bool | None, bool, list[int]], until: int
) -> None:
    """What is reported as decided was decided so; of the rest nothing is claimed."""
    server, session, count, content, chunking, pieces, expected = case
    sending = send(session, count, content, chunking, pieces, go_on=False)
    try:
        result, _ = converse(sending, server.serve(until=until))
    except DeliveryUnknown as unknown:
        result = unknown.result
    except ConnectionLost:
        assert not server.taken
        return
    for recipient, code in zip(result.recipients, expected, strict=True):
        if recipient.reply is not None:
            assert recipient.reply.code == code
        if recipient.outcome is Outcome.DELIVERED:
            assert server.taken
            assert server.content == content


# ------------------------------------------------------------- a server that leaves in the middle

MARK = b"Subject: z"
SEVERAL = MARK + b"\r\n\r\n" + b"0123456789abcd\r\n" * (3 * PIECE // 16)
CUT = MARK + b"abc\r\n\r\n" + b"0123456789abcd\r\n" * (3 * PIECE // 16)
"""Its first piece ends between the CR and the LF of a line."""
assert CUT[PIECE - 1 : PIECE + 1] == b"\r\n"
LAST = MARK + b"\r\n\r\n" + b"0123456789abcd\r\n" * (INLINE // 16)
"""It goes out in one write with its end."""


def broken_off(
    words: bytes,
    content: Content,
    *,
    error: TransportError,
    chunking: bool = False,
    lmtp: bool = False,
) -> SendResult:
    """Send to a server that takes no more inside the content, having said ``words``."""
    accepted = b"250 ok\r\n250 ok\r\n250 ok\r\n450 later\r\n"
    replies = [b"220 x\r\n", b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", accepted]
    replies[2] += b"" if chunking else b"354 go on\r\n"
    replies.append(words)
    session = Session(smtp.Client(lmtp=lmtp), "client.example")
    flow = send(session, 3, content, chunking, False, go_on=False)
    thrown: Exception | None = None
    given: object = None
    closed = stuck = False
    try:
        while True:
            effect = flow.send(given) if thrown is None else flow.throw(thrown)
            given = thrown = None
            if isinstance(effect, Read):
                if replies:
                    given = replies.pop(0)
                elif isinstance(error, DeadlineExceeded):
                    thrown = error
                else:
                    given = b""
            elif isinstance(effect, Write) and MARK in effect.data:
                thrown = error
                stuck = True
            elif isinstance(effect, Deadline) and stuck:
                # What has come is not waited for as an answer is.
                assert effect.seconds == 1.0
            closed = closed or isinstance(effect, Close)
    except StopIteration as stop:
        assert closed
        result: SendResult = stop.value
        return result


contents = pytest.mark.parametrize(
    "content",
    [SEVERAL, LAST, CUT, [SEVERAL[:99], SEVERAL[99:]]],
    ids=["several", "last", "cut", "pieces"],
)
errors = pytest.mark.parametrize(
    "error", [ConnectionLost("broken"), DeadlineExceeded("stuck")], ids=["closes", "reads-no-more"]
)


@errors
@contents
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("code", [450, 550])
def test_P21_a_refusal_in_the_middle_of_the_content_decides(
    code: int, chunking: bool, lmtp: bool, content: Content, error: TransportError
) -> None:
    words = b"%d not this\r\n" % code * (2 if lmtp else 1)
    result = broken_off(words, content, error=error, chunking=chunking, lmtp=lmtp)
    assert [r.reply.code for r in result.recipients if r.reply] == [code, code, 450]


@errors
@contents
@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("words", [b"", b"250 ok\r\n", b"550 half a", b"nonsense\r\n"])
def test_P21_nothing_else_in_the_middle_of_the_content_does(
    words: bytes, content: Content, chunking: bool, error: TransportError
) -> None:
    unknown = content is LAST  # perhaps the server has got the end
    with pytest.raises(DeliveryUnknown if unknown else type(error)):
        broken_off(words, content, error=error, chunking=chunking)


def test_a_result_does_not_wait_long_for_a_server_that_answers_no_more() -> None:
    replies = [b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"550 no\r\n"]
    flow = send(Session(smtp.Client(), "client.example"), 1, SMALL, None, False, go_on=False)
    effects: list[object] = []
    given: object = None
    with pytest.raises(StopIteration) as stop:
        while True:
            effects.append(effect := flow.send(given))
            given = replies.pop(0) if replies and isinstance(effect, Read) else None
            if effects[-2:] == [Write(b"RSET\r\n"), Read()]:
                effects.append(flow.throw(DeadlineExceeded("late")))
    assert effects[-4:] == [Deadline(10.0), Write(b"RSET\r\n"), Read(), Close()]
    assert [r.outcome for r in stop.value.value.recipients] == [Outcome.PERMANENT]
