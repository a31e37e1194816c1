"""The server machine: what changes nothing, limits, policies, AUTH, TLS."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.serialize import serialize_command
from mailproto.smtp.states import State
from mailproto.testing import TLS, play_client, splits, transcript

BODY = b"Subject: x\r\n\r\nhello\r\n"


def accept(server: smtp.Server, event: object) -> None:
    if not isinstance(event, smtp.Body):
        server.accept()


def server(**options: object) -> smtp.Server:
    machine = smtp.Server("foo.com", **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, data: bytes) -> list[object]:
    """Accept whatever comes; the events."""
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        events.append(event)
        accept(machine, event)
    return events


def codes(machine: smtp.Server) -> list[int]:
    """The codes of the replies that wait to be sent."""
    lines = machine.data_to_send().split(b"\r\n")[:-1]
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


# ----------------------------------------------------------------------- what changes nothing


TO_STATE: dict[State, bytes] = {
    State.START: b"",
    State.READY: b"EHLO a\r\n",
    State.ENVELOPE: b"EHLO a\r\nMAIL FROM:<a@b>\r\n",
    State.RECIPIENTS: b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
}
LINES: list[Command] = [
    smtp.Ehlo("a"), smtp.Helo("a"), smtp.StartTLS(), smtp.Auth("PLAIN", b"\0a\0b"),
    smtp.Mail(smtp.NULL_PATH), smtp.Rcpt(smtp.POSTMASTER), smtp.Data(), smtp.Rset(), smtp.Noop(),
    smtp.Vrfy("x"), smtp.Expn("x"), smtp.Help(), smtp.Quit(), smtp.OtherCommand("XFOO", "y"),
]  # fmt: skip


@pytest.mark.parametrize("state", TO_STATE, ids=lambda state: state.name)
@pytest.mark.parametrize("command", LINES, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("code", [450, 550])
def test_P14_a_refused_command_changes_nothing(state: State, command: Command, code: int) -> None:
    machine = server(offer=smtp.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True))
    give(machine, TO_STATE[state])
    before = machine.transaction, machine.recipients, machine.capabilities
    machine.receive_data(serialize_command(command))
    machine.next_event()
    machine.send(smtp.Reply(code, "no"))
    assert machine.state is state
    assert (machine.transaction, machine.recipients, machine.capabilities) == before
    assert not machine.awaiting_tls
    assert not machine.authenticated


@pytest.mark.parametrize("code", [250, 421, 450, 550])
def test_P14_the_transaction_ends_with_its_content(code: int) -> None:
    machine = server()
    give(machine, TO_STATE[State.RECIPIENTS] + b"DATA\r\n")
    machine.receive_data(b".\r\n")
    assert machine.next_event() == smtp.EndOfMessage()
    machine.send(smtp.Reply(code, "so"))
    assert machine.state is (State.CLOSED if code == 421 else State.READY)
    if code != 421:
        assert machine.transaction is None
        assert machine.recipients == 0


def test_after_a_greeting_that_refuses_only_quit_is_heard() -> None:
    machine = smtp.Server("foo.com")
    machine.send(smtp.Reply(554, "No service"))
    events = give(machine, b"EHLO a\r\nNOOP\r\nQUIT\r\n")
    assert [type(event) for event in events] == [smtp.Invalid, smtp.Invalid, smtp.Quit]
    assert codes(machine) == [554, 503, 503, 221]


@pytest.mark.parity("smtp-server EHLO and HELO")
def test_helo_has_no_extensions() -> None:
    machine = server()
    give(machine, b"EHLO a\r\nHELO a\r\nMAIL FROM:<a@b> SIZE=1\r\n")
    assert codes(machine)[1:] == [250, 555]


def test_lmtp_has_its_own_hello() -> None:
    machine = server(lmtp=True)
    give(machine, b"EHLO a\r\nHELO a\r\nLHLO a\r\n")
    assert codes(machine) == [500, 500, 250]
    machine = server()
    give(machine, b"LHLO a\r\n")
    assert codes(machine) == [500]


# ----------------------------------------------------------------------------- pausing, answering


def test_nothing_is_read_before_the_answer() -> None:
    machine = smtp.Server("foo.com")
    machine.receive_data(b"EHLO a\r\nNOOP\r\n")
    assert machine.next_event() is smtp.PAUSED
    machine.accept()
    assert machine.next_event() == smtp.Ehlo("a")
    assert machine.next_event() is smtp.PAUSED
    machine.accept()
    assert machine.next_event() == smtp.Noop()


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"EHLO a", 250), (b"MAIL FROM:<a@b>", 354), (b"NOOP", 235), (b"QUIT", 250), (b"BAD\x00", 250),
     (b"STARTTLS", 250), (b"AUTH PLAIN", 250), (b"XFOO", 354), (b"VRFY x", 220)],
)  # fmt: skip
def test_a_reply_that_does_not_fit_is_refused(line: bytes, code: int) -> None:
    machine = server(offer=smtp.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True))
    give(machine, b"EHLO a\r\n")
    machine.data_to_send()
    machine.receive_data(line + b"\r\n")
    machine.next_event()
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(code, "x"))
    assert machine.data_to_send() == b""
    assert machine.next_event() is smtp.PAUSED


def test_nothing_can_be_answered_twice() -> None:
    machine = server()
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(250, "x"))
    with pytest.raises(LocalProtocolError):
        machine.accept()
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Challenge(b""))


def test_421_may_be_said_at_any_time_and_ends_the_session() -> None:
    for data in (b"", b"EHLO a\r\n", TO_STATE[State.RECIPIENTS] + b"DATA\r\nhello"):
        machine = server()
        give(machine, data)
        machine.data_to_send()
        machine.send(smtp.Reply(421, "Going down", smtp.EnhancedCode(4, 3, 2)))
        assert machine.data_to_send() == b"421 4.3.2 Going down\r\n"
        assert give(machine, b"\r\n.\r\nQUIT\r\n") == []
        with pytest.raises(LocalProtocolError):
            machine.send(smtp.Reply(421, "again"))
        machine.receive_data(b"")
        assert machine.next_event() == smtp.ConnectionClosed()


@pytest.mark.parity("smtp-server unknown extensions are kept")
def test_an_answer_to_another_command_is_the_applications() -> None:
    machine = server()
    give(machine, b"EHLO a\r\n")
    machine.data_to_send()
    machine.receive_data(b"XFOO bar\r\n")
    assert machine.next_event() == smtp.OtherCommand("XFOO", "bar")
    machine.send(smtp.Reply(220, "fine"))
    assert not machine.awaiting_tls
    machine.receive_data(b"XFOO bar\r\n")
    machine.next_event()
    machine.send(smtp.Reply(235, "fine"))
    assert not machine.authenticated


@pytest.mark.parity("smtp-server unknown extensions are kept")
def test_extensions_of_the_application_allow_their_parameters() -> None:
    extensions = (
        smtp.Extension("DSN"),
        smtp.Extension("X-Colour", ("red", "blue"), mail_parameters=("X-COLOUR",)),
    )
    machine = server(offer=smtp.Offer(extensions=extensions))
    machine.receive_data(b"EHLO a\r\n")
    machine.next_event()
    machine.accept()
    assert b"250-DSN\r\n250 X-COLOUR red blue\r\n" in machine.data_to_send()
    events = give(
        machine,
        b"MAIL FROM:<a@b> RET=HDRS X-Colour=red\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\n"
        b"RCPT TO:<c@d> X-COLOUR=red\r\nRCPT TO:<c@d> RRVS=x\r\n",
    )
    assert events[0] == smtp.Mail(
        smtp.Mailbox("a", "b"),
        parameters=(smtp.Ret("HDRS"), smtp.Parameter("X-COLOUR", "red")),
    )
    assert events[1] == smtp.Rcpt(smtp.Mailbox("c", "d"), (smtp.Notify(frozenset()),))
    assert codes(machine) == [250, 250, 555, 555]


@pytest.mark.parametrize(
    ("offer", "tls", "line", "code"),
    [
        (smtp.Offer(smtputf8=False), False, "MAIL FROM:<ä@b> SMTPUTF8", 555),
        (smtp.Offer(), False, "MAIL FROM:<a@b> AUTH=<>", 555),
        (smtp.Offer(), False, "MAIL FROM:<a@b> RET=HDRS", 555),
        (smtp.Offer(), False, "STARTTLS", 502),
        (smtp.Offer(starttls=True), True, "STARTTLS", 503),
        (smtp.Offer(), False, "AUTH PLAIN", 502),
        (smtp.Offer(mechanisms=("PLAIN",)), False, "AUTH PLAIN", 538),
        (smtp.Offer(mechanisms=("PLAIN",)), True, "AUTH LOGIN", 504),
    ],
)
def test_what_was_not_offered_is_refused(
    offer: smtp.Offer, tls: bool, line: str, code: int
) -> None:
    machine = server(offer=offer, tls=tls)
    give(machine, b"EHLO a\r\n")
    machine.data_to_send()
    (event,) = give(machine, line.encode() + b"\r\n")
    assert isinstance(event, smtp.Invalid)
    assert codes(machine) == [code]


@pytest.mark.parametrize(
    ("line", "code", "offer"),
    [
        ("STARTTLS now", 502, smtp.Offer(starttls=True)),
        ("AUTH", 502, smtp.Offer(mechanisms=("PLAIN",))),
        ("EXPN", 502, smtp.Offer(expn=True)),
        ("ETRN localhost", 502, smtp.Offer(etrn=True)),
        ("atrn one,two", 502, smtp.Offer(atrn=True)),
        ("BURL outbox LAST", 502, smtp.Offer(burl=("imap",))),
        ("XCLIENT NAME", 550, smtp.Offer(forwarding=True)),
        ("XFORWARD \x01", 550, smtp.Offer(forwarding=True)),
    ],
)
def test_what_was_not_offered_is_refused_for_that_however_it_is_written(
    line: str, code: int, offer: smtp.Offer
) -> None:
    for configured, expected in ((smtp.Offer(), code), (offer, 501)):
        machine = server(offer=configured)
        (event,) = give(machine, line.encode() + b"\r\n")
        assert isinstance(event, smtp.Invalid)
        assert codes(machine) == [expected]


@pytest.mark.parity("smtp-server SMTPUTF8")
def test_utf8_recipients_need_SMTPUTF8_of_the_transaction() -> None:
    machine = server()
    give(machine, "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<ä@b>\r\nRSET\r\n".encode())
    assert codes(machine) == [250, 250, 553, 250]
    give(machine, "MAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ä@ü>\r\n".encode())
    assert codes(machine) == [250, 250]


# ------------------------------------------------------------------------------------- content

ENVELOPE = TO_STATE[State.RECIPIENTS]


def receive(wire: bytes, **options: object) -> tuple[smtp.Server, list[object]]:
    """The events after DATA, pieces of content joined, for one chunking after another."""
    found = None
    for chunks in splits(ENVELOPE + b"DATA\r\n" + wire, randoms=6, single_cuts=90):
        machine = server(**options)
        events: list[object] = []
        for chunk in chunks:
            events += give(machine, chunk)
        events = events[4:]
        content = b"".join(e.data for e in events if isinstance(e, smtp.Body))
        events = [content, *(e for e in events if not isinstance(e, smtp.Body))]
        assert found is None or found[1] == events
        found = machine, events
    assert found is not None
    return found


def test_P01_content_arrives_without_its_dots() -> None:
    _, events = receive(b"..\r\n.a\r\n.\r\nRSET\r\n")
    assert events == [b".\r\na\r\n", smtp.EndOfMessage(), smtp.Rset()]


@pytest.mark.parity(
    "smtp-server content ends at CRLF.CRLF only",
    "smtp-server bare CR and LF in content",
)
@pytest.mark.parametrize("bare", [b"\n", b"\r", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"])
def test_P02_bare_newlines_are_refused_with_their_place(bare: bytes) -> None:
    wire = b"hello" + bare + b"MAIL FROM:<x@y>\r\nRCPT TO:<z@y>\r\nDATA\r\n.\r\nNOOP\r\n"
    machine, events = receive(wire)
    offset = 8 if bare == b"\r\n.\n" else 5
    assert isinstance(events[0], bytes)
    assert b"MAIL" not in events[0]
    bad = events[1]
    assert isinstance(bad, smtp.BadContent)
    assert (bad.problem, bad.offset) == (smtp.ContentProblem.BARE_NEWLINE, offset)
    assert events[2:] == [smtp.Noop()]
    assert codes(machine)[-3:] == [354, 550, 250]


@pytest.mark.parity("smtp-server bare CR and LF in content")
@pytest.mark.parametrize(
    ("policy", "content"),
    [
        (smtp.BareNewlines.REPAIR, b"a\r\n.\r\nb\r\nc\r\n"),
        (smtp.BareNewlines.PASS, b"a\n.\nb\rc\r\n"),
    ],
)
def test_P02_other_policies_say_where_they_fired(policy: smtp.BareNewlines, content: bytes) -> None:
    _, events = receive(b"a\n.\nb\rc\r\n.\r\n", bare_newlines=policy)
    assert events == [content, smtp.EndOfMessage(1)]


def test_content_that_cannot_be_accepted_cannot_be_accepted() -> None:
    machine = server()
    give(machine, ENVELOPE + b"DATA\r\n")
    machine.receive_data(b"\n\r\n.\r\n")
    assert isinstance(machine.next_event(), smtp.BadContent)
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(250, "OK"))
    machine.send(smtp.Reply(554, "no"))
    assert machine.state is State.READY


@pytest.mark.parity("smtp-server SIZE")
@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("size", [0, 2, 9, 10, 11, 500])
def test_P08_the_size_limit_is_exact_and_leaves_the_connection_usable(
    size: int, lmtp: bool
) -> None:
    limits = smtp.SMTPServerLimits(content=10)
    wire = b"x" * (size - 2) + b"\r\n.\r\n" if size else b".\r\n"
    hello = b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"
    machine = server(limits=limits, lmtp=lmtp)
    give(machine, hello + ENVELOPE[8:] + b"RCPT TO:<e@f>\r\nDATA\r\n")
    machine.data_to_send()
    events = give(machine, wire + b"NOOP\r\n")
    content = b"".join(e.data for e in events if isinstance(e, smtp.Body))
    replies = 2 if lmtp else 1
    if size <= 10:
        assert events[-2] == smtp.EndOfMessage()
        assert codes(machine) == [250] * replies + [250]
    else:
        bad = events[-2]
        assert isinstance(bad, smtp.BadContent)
        assert (bad.problem, bad.offset) == (smtp.ContentProblem.TOO_LARGE, 10)
        assert codes(machine) == [552] * replies + [250]
        assert len(content) == 10


@pytest.mark.parity("smtp-client SIZE", "smtp-server SIZE")
def test_a_declared_size_over_the_limit_is_refused_at_once() -> None:
    machine = server(limits=smtp.SMTPServerLimits(content=1000))
    give(machine, b"EHLO a\r\nMAIL FROM:<a@b> SIZE=1001\r\nMAIL FROM:<a@b> SIZE=1000\r\n")
    assert codes(machine) == [250, 552, 250]


def test_P21_content_that_breaks_off_delivers_nothing() -> None:
    wire = ENVELOPE + b"DATA\r\n" + BODY + b".\r\n"
    for cut in range(len(ENVELOPE) + 6, len(wire)):
        machine = server()
        events = give(machine, wire[:cut])
        assert not any(isinstance(e, smtp.EndOfMessage) for e in events)
        machine.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match="inside the content"):
            for _ in range(2):  # what was held back of the content comes before the error
                assert isinstance(machine.next_event(), smtp.Body)


# -------------------------------------------------------------------------------------- limits


@pytest.mark.parity("smtp-server limit of a text line")
@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
@pytest.mark.parametrize("begin", [b"DATA\r\n", b"BDAT %d LAST\r\n"], ids=["DATA", "BDAT"])
def test_P01_P13_a_text_line_over_the_limit_is_refused(size: int, begin: bytes) -> None:
    """998 octets and CRLF pass (RFC 5321 section 4.5.3.1.6); with one more nothing does."""
    line = b"x" * 998 + b"\r\n"
    for content, code in ((line * 3, 250), (line + b"." * 3 + line, 550)):
        machine = server(limits=smtp.SMTPServerLimits(text_line=998))
        give(machine, b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        wire = begin % len(content) + content if b"%" in begin else begin + content + b".\r\n"
        got = b""
        problem: smtp.BadContent | None = None
        for start in range(0, len(wire), size):
            for event in give(machine, wire[start : start + size]):
                got += event.data if isinstance(event, smtp.Body) else b""
                problem = event if isinstance(event, smtp.BadContent) else problem
        assert codes(machine)[-1] == code
        if code == 250:
            assert got == content
        else:
            assert problem is not None
            assert problem.problem is smtp.ContentProblem.LONG_LINE
            dots = 1 if b"%" not in begin else 0
            assert got == content.replace(b"\n...", b"\n" + b"." * (3 - dots))[:2000]
            assert problem.offset == len(got)
        assert len(give(machine, b"NOOP\r\n")) == 1


@pytest.mark.parity("smtp-server limit of a command line")
def test_P29_every_minimum_size_is_accepted() -> None:
    machine = server(tls=True, offer=smtp.Offer(mechanisms=("PLAIN",)))
    path = "x" * 64 + "@" + "a" * 189
    recipients = b"".join(b"RCPT TO:<r%d@d>\r\n" % n for n in range(100))
    give(machine, b"EHLO " + b"a" * 505 + b"\r\n")
    give(machine, f"MAIL FROM:<{path}>\r\nRCPT TO:<{path}>\r\n".encode() + recipients)
    assert machine.recipients == 101
    give(machine, b"DATA\r\n" + b"x" * 998 + b"\r\n.\r\n")
    assert codes(machine) == [250] * 103 + [354, 250]
    machine.receive_data(b"AUTH PLAIN " + b"A" * 12272 + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, smtp.Auth)
    machine.send(smtp.Challenge(b""))
    machine.receive_data(b"A" * 12284 + b"\r\n")
    assert machine.next_event() == smtp.AuthResponse(bytes(9213))


@pytest.mark.parity("smtp-server limit of a command line")
@pytest.mark.parametrize("line", [b"NOOP " + b"x" * 2042, b"x" * 3000, b"x" * 20000])
def test_P13_a_line_over_the_limit_ends_the_session(line: bytes) -> None:
    for size in (1, 100, 100_000):
        machine = server()
        data = line + b"\r\nQUIT\r\n"
        with pytest.raises(RemoteProtocolError) as caught:
            for start in range(0, len(data), size):
                assert give(machine, data[start : start + size]) == []
        hint = caught.value.hint
        assert isinstance(hint, smtp.Reply)
        assert hint.code == 500
        with pytest.raises(RemoteProtocolError):
            machine.next_event()
        with pytest.raises(LocalProtocolError):
            machine.send(smtp.Reply(250, "OK"))
        machine.send(hint)
        assert machine.data_to_send() == b"500 5.5.2 Line too long\r\n"
        assert machine.closing


@pytest.mark.parity("smtp-server limit of recipients")
def test_too_many_recipients() -> None:
    machine = server(limits=smtp.SMTPServerLimits(recipients=2))
    give(machine, b"EHLO a\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 3 + b"DATA\r\n")
    assert codes(machine) == [250, 250, 250, 250, 452, 354]


def test_what_the_client_may_try_again_later_is_no_error_of_its_own() -> None:
    machine = server(limits=smtp.SMTPServerLimits(errors=3))
    give(machine, b"EHLO a\r\nMAIL FROM:<a@b>\r\n")
    machine.data_to_send()
    for _ in range(10):
        machine.receive_data(b"RCPT TO:<c@d>\r\n")
        assert isinstance(machine.next_event(), smtp.Rcpt)
        machine.send(smtp.Reply(450, "Not now"))
    assert codes(machine) == [450] * 10


@pytest.mark.parity("smtp-server limits of commands and errors")
def test_too_many_errors_end_the_session() -> None:
    machine = server(limits=smtp.SMTPServerLimits(errors=2))
    events = give(machine, b"EHLO a\r\n" + b"XFOO\r\n" * 3 + b"NOOP\r\nNOOP\r\n")
    assert codes(machine) == [250, 500, 500, 500, 421]
    assert isinstance(events[-1], smtp.Invalid)
    assert machine.closing


def test_an_offer_that_is_set_anew_holds_for_the_next_answer() -> None:
    machine = server()
    give(machine, b"EHLO a\r\nNOOP\r\n")
    assert machine.data_to_send().endswith(b"\r\n250 2.0.0 OK\r\n")
    machine.offer = smtp.Offer(enhanced_codes=False)
    give(machine, b"NOOP\r\n")
    assert machine.data_to_send() == b"250 OK\r\n"


@pytest.mark.parametrize("verb", [b"AUTH", b"auth"])
def test_P29_a_long_initial_response_is_no_long_command(verb: bytes) -> None:
    offer = smtp.Offer(mechanisms=("PLAIN",))
    machine = server(tls=True, offer=offer, limits=smtp.SMTPServerLimits(command_line=512))
    give(machine, b"EHLO a\r\n")
    machine.receive_data(verb + b" PLAIN " + b"AAAA" * 1000 + b"\r\n")
    assert machine.next_event() == smtp.Auth("PLAIN", bytes(3000))


# ---------------------------------------------------------------------------------------- AUTH


def authenticating(**options: object) -> smtp.Server:
    machine = server(
        tls=True,
        offer=smtp.Offer(mechanisms=("PLAIN", "LOGIN")),
        **options,
    )
    give(machine, b"EHLO a\r\n")
    machine.data_to_send()
    return machine


@pytest.mark.parity("smtp-server AUTH")
def test_an_exchange_of_challenges_and_responses() -> None:
    machine = authenticating()
    machine.receive_data(b"AUTH login\r\n")
    assert machine.next_event() == smtp.Auth("LOGIN")
    machine.send(smtp.Challenge(b"Username:"))
    assert machine.data_to_send() == b"334 VXNlcm5hbWU6\r\n"
    machine.receive_data(b"YWxpY2U=\r\n")
    assert machine.next_event() == smtp.AuthResponse(b"alice")
    machine.send(smtp.Challenge(b""))
    assert machine.data_to_send() == b"334 \r\n"
    machine.receive_data(b"\r\n")
    assert machine.next_event() == smtp.AuthResponse(b"")
    machine.send(smtp.Reply(235, "Welcome", smtp.EnhancedCode(2, 7, 0)))
    assert machine.data_to_send() == b"235 2.7.0 Welcome\r\n"
    assert machine.authenticated
    give(machine, b"AUTH PLAIN\r\n")
    assert codes(machine) == [503]


def test_P26_cancelled_at_every_step() -> None:
    machine = authenticating()
    machine.receive_data(b"AUTH LOGIN\r\n")
    machine.next_event()
    machine.send(smtp.Challenge(b""))
    machine.data_to_send()
    machine.receive_data(b"*\r\n")
    assert machine.next_event() == smtp.AuthCancel()
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(235, "OK"))
    machine.accept()
    assert codes(machine) == [501]
    assert machine.state is State.READY
    assert not machine.authenticated


@pytest.mark.parametrize("line", [b"YQ", b"YQ=", b"Y Q==", b"YR==", b"=", b"MAIL FROM:<a@b>"])
def test_P17_a_response_that_is_not_base64_ends_the_exchange(line: bytes) -> None:
    machine = authenticating()
    machine.receive_data(b"AUTH LOGIN\r\n")
    machine.next_event()
    machine.send(smtp.Challenge(b""))
    machine.data_to_send()
    (event,) = give(machine, line + b"\r\n")
    assert isinstance(event, smtp.Invalid)
    assert event.line == b"<hidden>"
    assert codes(machine) == [501]
    assert machine.state is State.READY


def test_P26_failed_attempts_are_counted() -> None:
    machine = authenticating()
    for _ in range(3):
        machine.receive_data(b"AUTH PLAIN AGEAYg==\r\n")
        assert machine.next_event() == smtp.Auth("PLAIN", b"\0a\0b")
        machine.send(smtp.Reply(535, "no"))
    give(machine, b"AUTH PLAIN AGEAYg==\r\n")
    assert codes(machine)[-1] == 421
    assert machine.closing


@pytest.mark.parametrize(
    ("starttls", "insecure_auth", "tls", "text"),
    [
        (False, False, True, b"530 5.7.0 Authentication required"),
        (True, False, False, b"530 5.7.0 Must issue a STARTTLS command first"),
        (True, True, False, b"530 5.7.0 Authentication required"),
    ],
)
def test_P06_mail_waits_for_authentication(
    starttls: bool, insecure_auth: bool, tls: bool, text: bytes
) -> None:
    offer = smtp.Offer(("PLAIN",), starttls, insecure_auth, expn=True)
    machine = server(require_auth=True, offer=offer, tls=tls)
    give(machine, b"EHLO a\r\n")
    machine.data_to_send()
    give(machine, b"MAIL FROM:<a@b>\r\nVRFY x\r\nEXPN x\r\n")
    assert machine.data_to_send() == (text + b"\r\n") * 3


@pytest.mark.parity("smtp-server AUTH= on MAIL")
@pytest.mark.parametrize("trusted", [False, True])
def test_P30_nobody_is_believed_about_who_submitted(trusted: bool) -> None:
    machine = authenticating(trust_auth_parameter=trusted)
    line = b"MAIL FROM:<a@b> AUTH=boss@b\r\n"
    (mail,) = give(machine, line)
    assert isinstance(mail, smtp.Mail)
    assert mail.auth is smtp.NULL_PATH
    give(machine, b"RSET\r\n")
    machine.receive_data(b"AUTH PLAIN AGEAYg==\r\n")
    machine.next_event()
    machine.send(smtp.Reply(235, "OK"))
    (mail,) = give(machine, line)
    assert isinstance(mail, smtp.Mail)
    assert mail.auth == (smtp.Mailbox("boss", "b") if trusted else smtp.NULL_PATH)


# ------------------------------------------------------------------------------------ STARTTLS


def at_the_gate() -> smtp.Server:
    machine = server(offer=smtp.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True))
    give(machine, b"EHLO a\r\n")
    machine.receive_data(b"AUTH PLAIN AGEAYg==\r\n")
    machine.next_event()
    machine.send(smtp.Reply(235, "OK"))
    give(machine, b"XFOO\r\n")
    machine.receive_data(b"STARTTLS\r\n")
    assert machine.next_event() == smtp.StartTLS()
    machine.data_to_send()
    return machine


def test_P05_nothing_survives_STARTTLS() -> None:
    machine = at_the_gate()
    machine.accept()
    assert machine.data_to_send() == b"220 2.0.0 Go ahead\r\n"
    assert machine.awaiting_tls
    assert machine.next_event() is smtp.PAUSED
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(421, "x"))
    machine.start_tls()
    fresh = server(
        tls=True, offer=smtp.Offer(starttls=True, mechanisms=("PLAIN",), insecure_auth=True)
    )
    for name in ("state", "authenticated", "transaction", "recipients", "capabilities", "tls"):
        assert getattr(machine, name) == getattr(fresh, name), name
    assert machine._session == fresh._session
    give(machine, b"MAIL FROM:<a@b>\r\nEHLO a\r\n")
    assert codes(machine) == [503, 250]


@pytest.mark.parity("smtp-server plaintext after STARTTLS")
@pytest.mark.parametrize("when", ["with the command", "before the handshake", "before start_tls"])
def test_P05_plaintext_behind_STARTTLS_is_fatal(when: str) -> None:
    machine = at_the_gate()
    if when == "with the command":
        machine.receive_data(b"EHLO evil\r\n")
    machine.accept()
    if when == "before the handshake":
        machine.receive_data(b"EHLO evil\r\n")
    if when == "before start_tls":
        assert machine.next_event() is smtp.PAUSED
        machine.receive_data(b"EHLO evil\r\n")
        machine.start_tls()
        assert machine.failed
    with pytest.raises(RemoteProtocolError, match="plaintext"):
        machine.next_event()
    with pytest.raises((LocalProtocolError, RemoteProtocolError)):
        machine.start_tls()
        machine.next_event()


def test_a_refused_STARTTLS_changes_nothing() -> None:
    machine = at_the_gate()
    machine.send(smtp.Reply(454, "not now"))
    assert not machine.awaiting_tls
    give(machine, b"NOOP\r\n")
    assert codes(machine) == [454, 250]


@pytest.mark.parity("smtp-server STARTTLS")
def test_the_script_of_STARTTLS() -> None:
    script = transcript("""S: 220 foo.com ESMTP
C: EHLO a
S: 250-foo.com
S: 250-PIPELINING
S: 250-SIZE 67108864
S: 250-8BITMIME
S: 250-CHUNKING
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S: 250-SMTPUTF8
S: 250 HELP
C: STARTTLS
S: 220 2.0.0 Go ahead
TLS
C: EHLO a
S: 250-foo.com
S: 250-PIPELINING
S: 250-SIZE 67108864
S: 250-8BITMIME
S: 250-CHUNKING
S: 250-ENHANCEDSTATUSCODES
S: 250-SMTPUTF8
S: 250 HELP
C: QUIT
S: 221 2.0.0 Goodbye""")
    assert any(isinstance(line, TLS) for line in script)
    play_client(script, smtp.Server("foo.com", offer=smtp.Offer(starttls=True)), accept)


# ------------------------------------------------------------------------------- trace, the rest


@pytest.mark.parity("smtp-server secrets are not shown")
def test_P16_the_trace_hides_secrets_and_content() -> None:
    lines: list[str] = []
    machine = smtp.Server(
        "foo.com",
        tls=True,
        offer=smtp.Offer(mechanisms=("LOGIN",)),
        trace=lambda side, line: lines.append(f"{side}: {line.decode()}"),
    )
    machine.accept()
    give(machine, b"EHLO a\r\n")
    for line in (b"AUTH LOGIN Y2FuYXJ5\r\n", b"Y2FuYXJ5\r\n"):
        machine.receive_data(line)
        machine.next_event()
        machine.send(smtp.Challenge(b"canary"))
    give(machine, b"*\r\nAUTH LOGIN Y2FuYXJ5 \x00\r\nAUTH XFOO Y2FuYXJ5\r\n")
    give(machine, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\ncanary\r\n.\r\nQUIT\r\n")
    text = "\n".join(lines)
    assert "Y2FuYXJ5" not in text
    assert "canary" not in text
    assert "C: AUTH LOGIN <hidden>\nS: 334 <hidden>\nC: <hidden>\nS: 334 <hidden>\nC: *" in text
    assert "C: <8 octets of content>\nC: .\nS: 250 2.0.0 OK\nC: QUIT" in text


@pytest.mark.parametrize("hostname", ["", "a b", "a\r\nb", "-"])
def test_P04_a_hostname_that_cannot_be_announced(hostname: str) -> None:
    with pytest.raises(smtp.AddressError):
        smtp.Server(hostname)


def test_P24_what_it_waits_for() -> None:
    machine = smtp.Server("foo.com")
    assert machine.waiting_for == "the greeting"
    machine.accept()
    assert machine.waiting_for == "a command"
    give(machine, ENVELOPE + b"DATA\r\n")
    assert machine.waiting_for == "the content"
    assert machine.timeout_hint == 300
    machine.receive_data(b".\r\n")
    machine.next_event()
    assert machine.waiting_for == "the answer to the end of the content"


@pytest.mark.parametrize("data", [b"NOO", b"NOOP\r", b"\r"])
def test_P21_end_of_file_inside_a_line(data: bytes) -> None:
    machine = server()
    machine.receive_data(data)
    machine.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="inside a line"):
        machine.next_event()


def test_end_of_file_between_commands() -> None:
    machine = server()
    machine.receive_data(b"EHLO a\r\n")
    machine.receive_data(b"")
    assert machine.next_event() == smtp.Ehlo("a")
    machine.accept()
    assert machine.next_event() == smtp.ConnectionClosed()
    assert machine.next_event() == smtp.ConnectionClosed()


def test_end_of_file_inside_an_exchange() -> None:
    machine = authenticating()
    machine.receive_data(b"AUTH LOGIN\r\n")
    machine.next_event()
    machine.send(smtp.Challenge(b""))
    machine.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="inside an AUTH exchange"):
        machine.next_event()


def test_STARTTLS_needs_EHLO() -> None:
    machine = server(offer=smtp.Offer(starttls=True))
    give(machine, b"HELO a\r\nSTARTTLS\r\n")
    assert codes(machine) == [250, 503]


def test_a_greeting_is_220_or_a_refusal() -> None:
    machine = smtp.Server("foo.com")
    with pytest.raises(LocalProtocolError, match="not a greeting"):
        machine.send(smtp.Reply(250, "hello"))
    machine.send(smtp.Reply(421, "busy"))
    assert machine.data_to_send() == b"421 busy\r\n"
    assert machine.closing


def test_waiting_for_the_handshake() -> None:
    machine = at_the_gate()
    machine.accept()
    assert machine.waiting_for == "the TLS handshake"
    machine.receive_data(b"")
    assert machine.next_event() == smtp.ConnectionClosed()
