"""The client machine: pipelining, pairing of replies, content, what it refuses."""

from __future__ import annotations

import tracemalloc

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.states import State
from mailproto.testing import splits

alice = smtp.Mailbox("alice", "example.com")
bob = smtp.Mailbox("bob", "example.com")
MAIL, RCPT = smtp.Mail(alice), smtp.Rcpt(bob)
EVERYTHING = (
    b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 DSN\r\n"
)


def client(**options: object) -> smtp.Client:
    """A client that was greeted."""
    machine = smtp.Client(**options)  # type: ignore[arg-type]  # options of any kind
    machine.receive_data(b"220 mx ESMTP\r\n")
    assert machine.next_event() == smtp.Reply(220, "mx ESMTP")
    return machine


def ready(offer: bytes = EVERYTHING, **options: object) -> smtp.Client:
    machine = client(**options)
    machine.send(smtp.Lhlo("a") if options.get("lmtp") else smtp.Ehlo("a"))
    answer(machine, offer)
    return machine


def answer(machine: smtp.Client, data: bytes) -> list[object]:
    """The events of ``data``; what was sent before is taken away."""
    machine.data_to_send()
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        events.append(event)
    return events


def in_content(**options: object) -> smtp.Client:
    machine = ready(EVERYTHING, **options)
    group: list[Command] = [MAIL, RCPT, RCPT, smtp.Data()]
    for command in group:
        machine.send(command)
    answer(machine, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    return machine


# ----------------------------------------------------------------------------- pairing, pipelining


@pytest.mark.parity("smtp-client PIPELINING")
def test_groups_are_paired_with_their_replies() -> None:
    machine = ready()
    commands: list[Command] = [MAIL, RCPT, smtp.Rcpt(alice), smtp.Data()]
    for command in commands:
        machine.send(command)
    assert machine.pending == 4
    assert machine.data_to_send() == (
        b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n"
        b"RCPT TO:<alice@example.com>\r\nDATA\r\n"
    )
    machine.receive_data(b"250 2.1.0 a\r\n550 5.1.1 b\r\n250 c\r\n354 d\r\n")
    seen = [(machine.next_event(), machine.answered) for _ in commands]
    assert seen == [
        (smtp.Reply(250, "a", smtp.EnhancedCode(2, 1, 0)), commands[0]),
        (smtp.Reply(550, "b", smtp.EnhancedCode(5, 1, 1)), commands[1]),
        (smtp.Reply(250, "c"), commands[2]),
        (smtp.Reply(354, "d"), commands[3]),
    ]
    assert machine.recipients == 1
    machine.send(smtp.Body(b"hello"))
    machine.send(smtp.EndOfMessage())
    # The content may be followed by the next transaction (RFC 2920 section 3.1).
    machine.send(smtp.Mail(smtp.NULL_PATH))
    assert machine.data_to_send() == b"hello\r\n.\r\nMAIL FROM:<>\r\n"
    assert answer(machine, b"250 ok\r\n250 ok\r\n") == [smtp.Reply(250, "ok")] * 2
    assert machine.state is State.ENVELOPE
    assert machine.recipients == 0


@pytest.mark.parametrize(
    "last",
    [smtp.Ehlo("a"), smtp.Noop(), smtp.Vrfy("x"), smtp.Expn("x"), smtp.Help(), smtp.Quit(),
     smtp.OtherCommand("XFOO"), smtp.StartTLS()],
    ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_a_group_ends_with_what_must_be_last(last: Command) -> None:
    machine = ready()
    machine.send(last)
    for command in (smtp.Rset(), smtp.Noop(), MAIL):
        with pytest.raises(LocalProtocolError, match="before the reply to"):
            machine.send(command)


def test_without_pipelining_every_command_waits() -> None:
    machine = ready(b"250 mx\r\n")
    machine.send(MAIL)
    with pytest.raises(LocalProtocolError, match="RCPT has to wait for the reply to MAIL"):
        machine.send(RCPT)
    answer(machine, b"250 ok\r\n")
    machine.send(RCPT)


def test_P08_commands_under_way_are_bounded() -> None:
    machine = ready(limits=smtp.SMTPClientLimits(pending_commands=2))
    machine.send(MAIL)
    machine.send(RCPT)
    with pytest.raises(LocalProtocolError, match="too many"):
        machine.send(RCPT)


def test_when_all_recipients_are_refused_and_DATA_is_not() -> None:
    machine = ready()
    for command in (MAIL, RCPT, smtp.Data()):
        machine.send(command)
    answer(machine, b"250 ok\r\n550 no\r\n354 go\r\n")
    machine.send(smtp.EndOfMessage())
    assert machine.data_to_send() == b".\r\n"
    answer(machine, b"554 no valid recipients\r\n")
    assert machine.state is State.READY


@pytest.mark.parametrize(
    "data",
    [
        b"250 ok\r\n250 nobody waits for this\r\n",
        b"354 go\r\n",
        b"334 \r\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\n250-b\r\n550 c\r\n",
        b"hello\r\n",
        b"\r\n",
        b"250 a\nb\r\n",
        b"250 a\rb\r\n",
        b"999 x\r\n",
    ],
)
def test_P27_a_reply_that_does_not_fit_is_never_paired(data: bytes) -> None:
    for chunks in splits(data, randoms=4):
        machine = ready()
        machine.send(MAIL)
        with pytest.raises(RemoteProtocolError):
            for chunk in chunks:
                answer(machine, chunk)
        with pytest.raises(RemoteProtocolError):
            machine.next_event()
        with pytest.raises(LocalProtocolError):
            machine.send(RCPT)


@pytest.mark.parametrize("reply", [b"250 ok\r\n", b"220 ok\r\n", b"334 \r\n"])
def test_P27_what_does_not_answer_DATA(reply: bytes) -> None:
    machine = ready()
    for command in (MAIL, RCPT):
        machine.send(command)
    answer(machine, b"250 ok\r\n250 ok\r\n")
    machine.send(smtp.Data())
    if reply.startswith(b"3"):
        answer(machine, reply)
        assert machine.state is State.CONTENT
    else:
        with pytest.raises(RemoteProtocolError):
            answer(machine, reply)


def test_P27_a_reply_before_any_command() -> None:
    machine = ready()
    with pytest.raises(RemoteProtocolError, match="nothing waits for"):
        answer(machine, b"250 ok\r\n")


@pytest.mark.parametrize("pending", [False, True])
def test_421_may_come_at_any_time(pending: bool) -> None:
    machine = ready()
    if pending:
        machine.send(MAIL)
        machine.send(RCPT)
    assert answer(machine, b"421 4.3.2 bye\r\n250 x\r\n") == [
        smtp.Reply(421, "bye", smtp.EnhancedCode(4, 3, 2))
    ]
    assert machine.closing
    assert machine.answered == (MAIL if pending else None)
    with pytest.raises(LocalProtocolError, match="at the end of the session"):
        machine.send(smtp.Quit())
    machine.receive_data(b"")
    assert machine.next_event() == smtp.ConnectionClosed()


@pytest.mark.parametrize("greeting", [b"554 no\r\n", b"450 later\r\n"])
def test_after_a_greeting_that_refuses_only_quit_is_left(greeting: bytes) -> None:
    machine = smtp.Client()
    answer(machine, greeting)
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Ehlo("a"))
    machine.send(smtp.Quit())


def test_nothing_is_sent_before_the_greeting() -> None:
    machine = smtp.Client()
    with pytest.raises(LocalProtocolError, match="before the greeting"):
        machine.send(smtp.Ehlo("a"))


@pytest.mark.parity("smtp-client EHLO, with HELO when it must")
def test_helo_after_a_refused_ehlo() -> None:
    machine = client()
    machine.send(smtp.Ehlo("a"))
    answer(machine, b"502 what?\r\n")
    before = machine.capabilities
    machine.send(smtp.Helo("a"))
    answer(machine, b"250 mx says hello\r\n")
    assert before is None
    assert machine.capabilities == smtp.Capabilities("mx", {})
    machine.send(MAIL)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "before the reply to MAIL"),
        (b"25", "inside a reply"),
        (b"250-ok\r\n", "inside a reply"),
        (b"250-ok\r\n250", "inside a reply"),
    ],
)
def test_P21_end_of_file_before_the_reply(data: bytes, what: str) -> None:
    machine = ready()
    machine.send(MAIL)
    if data:
        answer(machine, data)
    machine.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match=what):
        machine.next_event()


def test_P21_end_of_file_inside_the_content() -> None:
    machine = in_content()
    machine.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="closed inside the content"):
        machine.next_event()


def test_P21_end_of_file_after_the_final_dot_is_not_a_reply() -> None:
    machine = in_content()
    machine.send(smtp.EndOfMessage())
    machine.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="before the reply to the end of the content"):
        machine.next_event()


def test_end_of_file_where_it_is_allowed() -> None:
    machine = ready()
    machine.receive_data(b"")
    assert machine.next_event() == smtp.ConnectionClosed()
    machine = ready()
    machine.send(smtp.Quit())
    machine.receive_data(b"")
    assert machine.next_event() == smtp.ConnectionClosed()


@pytest.mark.parity("smtp-client limit of a reply")
@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (smtp.SMTPClientLimits(reply_line=100), b"250 " + b"x" * 95 + b"\r\n"),
        (smtp.SMTPClientLimits(reply_lines=3), b"250-x\r\n" * 3 + b"250 x\r\n"),
        (smtp.SMTPClientLimits(reply=100), b"250-" + b"x" * 50 + b"\r\n250 " + b"x" * 50 + b"\r\n"),
    ],
)
def test_P08_P13_replies_are_bounded(limits: smtp.SMTPClientLimits, data: bytes) -> None:
    machine = ready(limits=limits, offer=b"250 mx\r\n")
    machine.send(MAIL)
    with pytest.raises(RemoteProtocolError):
        answer(machine, data)
    machine.receive_data(b"250 ok\r\n")
    with pytest.raises(RemoteProtocolError):
        machine.next_event()


@pytest.mark.parametrize("unit", [b"x", b"\r", b"250-x\r\n", b"250-" + b"y" * 60_000 + b"\r\n"])
@pytest.mark.parametrize("ends", [True, False])
def test_P08_a_reply_without_end_is_not_held(unit: bytes, ends: bool) -> None:
    """With the limits there are by default; also one that ends just within them."""
    machine = smtp.Client(tls=True)
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("me"))
    machine.data_to_send()
    limits = smtp.SMTPClientLimits()
    most = min(limits.reply - 100, (limits.reply_lines - 1) * len(unit)) if ends else 8 << 20
    chunk = unit * (1000 // len(unit) or 1)
    tracemalloc.start()
    try:
        for _ in range(most // len(chunk)):
            machine.receive_data(chunk)
            machine.next_event()
        machine.receive_data(b"250 x\r\n")
        machine.next_event()
    except RemoteProtocolError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1024 * 1024


# ------------------------------------------------------------------------- what was not offered


@pytest.mark.parametrize(
    ("command", "needs"),
    [
        (smtp.Mail(alice, size=1), "SIZE"),
        (smtp.Mail(alice, body=smtp.BodyType.EIGHT_BIT_MIME), "8BITMIME"),
        (
            smtp.Mail(alice, smtputf8=True),
            "an address or a header that is not ASCII needs SMTPUTF8",
        ),
        (smtp.Mail(alice, auth=smtp.NULL_PATH), "AUTH"),
        (smtp.Mail(alice, parameters=(smtp.Parameter("RET", "HDRS"),)), "DSN"),
        (smtp.StartTLS(), "^the server has not offered STARTTLS$"),
        (smtp.Auth("PLAIN"), "AUTH"),
        (smtp.Vrfy("ä", True), "SMTPUTF8"),
        (smtp.Lhlo("a"), "LHLO is not spoken"),
    ],
    ids=repr,
)
def test_what_the_server_has_not_offered(command: Command, needs: str) -> None:
    machine = ready(b"250 mx\r\n", tls=not isinstance(command, smtp.StartTLS))
    with pytest.raises(LocalProtocolError, match=needs):
        machine.send(command)
    assert machine.data_to_send() == b""


@pytest.mark.parity("smtp-client unknown extensions are kept")
def test_unknown_parameters_are_the_callers_business() -> None:
    machine = ready(b"250 mx\r\n")
    machine.send(smtp.Mail(alice, parameters=(smtp.Parameter("X-FOO", "1"),)))
    assert machine.data_to_send() == b"MAIL FROM:<alice@example.com> X-FOO=1\r\n"


@pytest.mark.parity("smtp-client SMTPUTF8")
def test_utf8_recipients_need_SMTPUTF8() -> None:
    machine = ready()
    umlaut = smtp.Mailbox("ä", "b")
    machine.send(MAIL)
    with pytest.raises(LocalProtocolError, match="SMTPUTF8"):
        machine.send(smtp.Rcpt(umlaut))
    machine = ready()
    machine.send(smtp.Mail(umlaut, smtputf8=True))
    machine.send(smtp.Rcpt(umlaut))
    assert machine.data_to_send() == ("MAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ä@b>\r\n".encode())


# -------------------------------------------------------------------------------------- content


@pytest.mark.parity("smtp-client bare CR and LF in content")
@pytest.mark.parametrize("data", [b"a\nb", b"a\rb", b"\n", b"\r\r\n", b"a\r\n\n"])
def test_P03_bare_newlines_are_refused_and_nothing_has_changed(data: bytes) -> None:
    machine = in_content()
    with pytest.raises(
        LocalProtocolError,
        match=r"bare CR or LF in the content at octet [0-9]+; BareNewlines.REPAIR would",
    ):
        machine.send(smtp.Body(data))
    assert machine.data_to_send() == b""
    machine.send(smtp.Body(b"fine\r\n"))
    machine.send(smtp.EndOfMessage())
    assert machine.data_to_send() == b"fine\r\n.\r\n"


def test_P03_a_newline_may_be_cut() -> None:
    machine = in_content()
    for piece in (b"a\r", b"\n", b".", b"\r\n.\r", b"\n"):
        machine.send(smtp.Body(piece))
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Body(b"x\r\ry"))
    machine.send(smtp.Body(b"x\r"))
    with pytest.raises(LocalProtocolError, match="at octet 10"):
        machine.send(smtp.Body(b"y"))
    with pytest.raises(LocalProtocolError, match="ends in a bare CR"):
        machine.send(smtp.EndOfMessage())
    machine.send(smtp.Body(b"\n"))
    machine.send(smtp.EndOfMessage())
    assert machine.data_to_send() == b"a\r\n..\r\n..\r\nx\r\n.\r\n"


@pytest.mark.parity("smtp-client bare CR and LF in content")
@pytest.mark.parametrize(
    "pieces",
    [
        [b"a\nb\rc\r\n.\n.\r"],
        [b"a", b"\n", b"b", b"\r", b"c", b"\r", b"\n", b".", b"\n", b".", b"\r"],
        [b"a\nb\r", b"c\r", b"\n.\n.\r"],
        [b"a\nb\r", b"", b"c\r\n", b".\n.\r"],
    ],
)
def test_P03_repair_makes_every_newline_a_CRLF(pieces: list[bytes]) -> None:
    machine = in_content(bare_newlines=smtp.BareNewlines.REPAIR)
    for piece in pieces:
        machine.send(smtp.Body(piece))
    machine.send(smtp.EndOfMessage())
    assert machine.data_to_send() == b"a\r\nb\r\nc\r\n..\r\n..\r\n.\r\n"


def test_P03_bare_newlines_are_never_passed_on() -> None:
    with pytest.raises(LocalProtocolError):
        smtp.Client(bare_newlines=smtp.BareNewlines.PASS)


@pytest.mark.parametrize("size", [998, 999, 1000])
def test_a_last_line_over_998_octets_needs_to_be_wanted(size: int) -> None:
    machine, willing = in_content(), in_content(long_lines=True)
    for either in (machine, willing):
        either.send(smtp.Body(b"x" * size))
    willing.send(smtp.EndOfMessage())
    if size == 998:
        machine.send(smtp.EndOfMessage())
    else:
        with pytest.raises(LocalProtocolError, match="998 octets; only long_lines=True would"):
            machine.send(smtp.EndOfMessage())


@pytest.mark.parametrize("pieces", [[998], [500, 498], [999], [500, 499], [2000], [1] * 999])
def test_lines_over_998_octets_need_to_be_wanted(pieces: list[int]) -> None:
    machine, willing = in_content(), in_content(long_lines=True)
    for number, size in enumerate(pieces):
        end = b"\r\n" if number == len(pieces) - 1 else b""
        body = smtp.Body(b"x" * size + end)
        willing.send(body)
        if end and sum(pieces) > 998:
            with pytest.raises(LocalProtocolError, match="998 octets; only long_lines=True would"):
                machine.send(body)
        else:
            machine.send(body)


def test_whole_content_can_be_checked_before_anything_is_sent() -> None:
    machine = smtp.Client()
    machine.check_content(b"fine\r\n")
    for content in (b"a\nb", b"a\r", b"x" * 999, b"x" * 1001):
        with pytest.raises(LocalProtocolError):
            machine.check_content(content)
    smtp.Client(bare_newlines=smtp.BareNewlines.REPAIR).check_content(b"a\nb\r")
    smtp.Client(long_lines=True).check_content(b"x" * 1001)


# -------------------------------------------------------------------------------- LMTP, AUTH, TLS


@pytest.mark.parity("smtp-client LMTP")
def test_lmtp_has_a_reply_for_each_accepted_recipient() -> None:
    machine = in_content(lmtp=True)
    assert machine.recipients == 2
    machine.send(smtp.EndOfMessage())
    machine.send(smtp.Rset())
    events = answer(machine, b"250 one\r\n452 two\r\n")
    assert events == [smtp.Reply(250, "one"), smtp.Reply(452, "two")]
    assert machine.answered == smtp.EndOfMessage()
    assert machine.pending == 1
    answer(machine, b"250 reset\r\n")
    assert machine.state is State.READY


def test_lmtp_refuses_content_for_nobody() -> None:
    machine = ready(lmtp=True)
    for command in (MAIL, RCPT, smtp.Data()):
        machine.send(command)
    with pytest.raises(RemoteProtocolError, match="no recipient"):
        answer(machine, b"250 ok\r\n550 no\r\n354 go\r\n")


def test_P06_no_AUTH_in_clear() -> None:
    machine = ready()
    way_out = "without TLS, only allow_insecure_auth=True would permit it"
    with pytest.raises(LocalProtocolError, match=way_out):
        machine.send(smtp.Auth("PLAIN", b"secret"))
    assert machine.data_to_send() == b""


@pytest.mark.parity("smtp-client AUTH")
def test_an_exchange() -> None:
    machine = ready(tls=True)
    with pytest.raises(LocalProtocolError, match="has not offered X"):
        machine.send(smtp.Auth("X"))
    machine.send(smtp.Auth("LOGIN"))
    assert machine.data_to_send() == b"AUTH LOGIN\r\n"
    assert answer(machine, b"334 VXNlcm5hbWU6\r\n") == [smtp.Challenge(b"Username:")]
    machine.send(smtp.AuthResponse(b"alice"))
    assert machine.data_to_send() == b"YWxpY2U=\r\n"
    assert answer(machine, b"334 \r\n") == [smtp.Challenge(b"")]
    machine.send(smtp.AuthResponse(b""))
    assert machine.data_to_send() == b"\r\n"
    answer(machine, b"235 2.7.0 ok\r\n")
    assert machine.state is State.READY


@pytest.mark.parametrize("text", [b"GSSAPI supported", b"YQ", b"YR=="])
def test_P12_P17_a_challenge_that_is_not_base64_can_only_be_cancelled(text: bytes) -> None:
    machine = ready(tls=True)
    machine.send(smtp.Auth("LOGIN"))
    assert answer(machine, b"334 " + text + b"\r\n") == [smtp.Reply(334, text.decode())]
    machine.send(smtp.AuthCancel())
    assert machine.data_to_send() == b"*\r\n"
    answer(machine, b"501 cancelled\r\n")
    answer_to_noop(machine)


def answer_to_noop(machine: smtp.Client) -> None:
    machine.send(smtp.Noop())
    assert answer(machine, b"250 ok\r\n") == [smtp.Reply(250, "ok")]


def test_P05_capabilities_are_forgotten_with_TLS() -> None:
    machine = ready()
    machine.send(smtp.StartTLS())
    assert answer(machine, b"220 go\r\n") == [smtp.Reply(220, "go")]
    assert machine.awaiting_tls
    with pytest.raises(LocalProtocolError, match="before the TLS handshake"):
        machine.send(smtp.Noop())
    machine.start_tls()
    assert machine.tls
    fresh = client(tls=True)
    for name in ("state", "capabilities", "pending", "recipients", "answered"):
        assert getattr(machine, name) == getattr(fresh, name), name
    with pytest.raises(LocalProtocolError, match="before EHLO"):
        machine.send(MAIL)


@pytest.mark.parity("smtp-client plaintext after STARTTLS")
@pytest.mark.parametrize("when", ["with the reply", "after it"])
def test_P05_plaintext_behind_the_reply_to_STARTTLS_is_fatal(when: str) -> None:
    machine = ready()
    machine.send(smtp.StartTLS())
    injected = b"250-evil\r\n250 AUTH PLAIN\r\n"
    machine.receive_data(b"220 go\r\n" + (injected if when == "with the reply" else b""))
    assert machine.next_event() == smtp.Reply(220, "go")
    if when == "after it":
        assert machine.next_event() is smtp.PAUSED
        machine.receive_data(injected)
    with pytest.raises(RemoteProtocolError, match="plaintext"):
        machine.next_event()


def test_no_STARTTLS_under_TLS() -> None:
    with pytest.raises(LocalProtocolError, match="in use already"):
        ready(tls=True).send(smtp.StartTLS())


def test_a_refused_STARTTLS_changes_nothing() -> None:
    machine = ready()
    machine.send(smtp.StartTLS())
    answer(machine, b"454 not now\r\n")
    assert not machine.awaiting_tls
    assert machine.offers("STARTTLS")


def test_P16_the_trace_hides_secrets() -> None:
    lines: list[str] = []
    machine = ready(tls=True, trace=lambda side, line: lines.append(f"{side}: {line.decode()}"))
    machine.send(smtp.Auth("PLAIN", b"canary"))
    assert repr(answer(machine, b"334 Y2FuYXJ5\r\n")) == "[Challenge()]"
    machine.send(smtp.AuthResponse(b"canary"))
    answer(machine, b"235 ok\r\n")
    for command in (MAIL, RCPT, smtp.Data()):
        machine.send(command)
    answer(machine, b"250 ok\r\n250 ok\r\n354 go\r\n")
    machine.send(smtp.Body(b"canary"))
    machine.send(smtp.EndOfMessage())
    text = "\n".join(lines)
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    assert "C: AUTH PLAIN <hidden>\nS: 334 <hidden>\nC: <hidden>\nS: 235 ok\n" in text
    assert text.endswith("S: 354 go\nC: <6 octets of content>\nC: .")


def test_what_is_no_command_cannot_be_sent() -> None:
    with pytest.raises(LocalProtocolError, match="not an SMTP command: str"):
        ready().send("NOOP")  # type: ignore[arg-type]  # that is tested


@pytest.mark.parity("smtp-client timeouts")
def test_P24_how_long_to_wait_for_what() -> None:
    machine = smtp.Client()
    assert (machine.waiting_for, machine.timeout_hint) == ("the greeting", 300)
    machine = ready()
    assert machine.waiting_for == "the next command"
    machine.send(MAIL)
    assert (machine.waiting_for, machine.timeout_hint) == ("the reply to MAIL", 300)
    machine = in_content()
    assert machine.timeout_hint == 180
    machine.send(smtp.EndOfMessage())
    assert (machine.waiting_for, machine.timeout_hint) == (
        "the reply to the end of the content",
        600,
    )
