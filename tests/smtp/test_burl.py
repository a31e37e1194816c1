"""BURL (RFC 4468) on both machines: chunks of the content that the server fetches by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.states import State
from mailproto.testing import Link, assert_chop_invariant, play_client, play_server, transcript
from mailproto.testing.growth import assert_linear

TOKEN = "91354a473744909de610943775f92038"
URL = (
    "imap://harry@gryffindor.example.com/outbox;uidvalidity=1078863300/;uid=25"
    f";urlauth=submit+harry:internal:{TOKEN}"
)
PLAIN_URL = "imap://imap.example.com/outbox/;uid=25"
OFFER = smtp.Offer(("PLAIN",), burl=("imap", "imap://imap.example.com"))
HARRY = smtp.Mailbox.parse("harry@gryffindor.example.com")
RON = smtp.Mailbox.parse("ron@gryffindor.example.com")
MESSAGE = b"Subject: held\r\n\r\n.a line\r\n"
ENVELOPE = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"


def answer(machine: smtp.Server, event: object) -> None:
    """Accept everything; every URL stands for ``MESSAGE``."""
    if isinstance(event, smtp.Auth):
        machine.send(smtp.Reply(235, "in"))
    elif isinstance(event, smtp.Burl):
        machine.supply(MESSAGE)
    elif not isinstance(event, smtp.Body):
        machine.accept()


def server(*, login: bool = True, envelope: bytes = ENVELOPE, **options: object) -> smtp.Server:
    settings = {"tls": True, "offer": OFFER, **options}
    machine = smtp.Server("mx.example", **settings)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    give(machine, b"EHLO a\r\n")
    if login:
        give(machine, b"AUTH PLAIN AGEAYg==\r\n")
    if envelope:
        give(machine, envelope)
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, data: bytes) -> list[object]:
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        events.append(event)
        answer(machine, event)
    return events


def codes(machine: smtp.Server) -> list[int]:
    lines = machine.data_to_send().split(b"\r\n")[:-1]
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


def client(burl: bytes = b"BURL imap imap://imap.example.com", extra: bytes = b"") -> smtp.Client:
    machine = smtp.Client(tls=True)
    machine.receive_data(b"220 x\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("a"))
    machine.receive_data(b"250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n" + extra + b"250 " + burl)
    machine.receive_data(b"\r\n")
    machine.next_event()
    machine.data_to_send()
    return machine


def envelope(machine: smtp.Client) -> None:
    machine.send(smtp.Mail(HARRY))
    machine.send(smtp.Rcpt(RON))
    machine.receive_data(b"250 x\r\n250 x\r\n")
    machine.next_event()
    machine.next_event()
    machine.data_to_send()


# ------------------------------------------------------------------------------- the RFC's examples


@pytest.mark.parity("smtp-server BURL")
def test_P19_RFC_4468_section_3_4_on_the_server() -> None:
    script = transcript(f"""
        C: AUTH PLAIN aGFycnkAaGFycnkAYWNjaW8=
        S: 235 2.7.0 PLAIN authentication successful.
        C: MAIL FROM:<harry@gryffindor.example.com>
        S: 250 2.5.0 Address Ok.
        C: RCPT TO:<ron@gryffindor.example.com>
        S: 250 2.1.5 ron@gryffindor.example.com OK.
        C: BURL {URL} LAST
        S: 250 2.5.0 Ok.
        C: MAIL FROM:<harry@gryffindor.example.com>
        S: 250 2.5.0 Address Ok.
        C: RCPT TO:<malfoy@slitherin.example.com>
        S: 550 5.7.1 Relaying not allowed: malfoy@slitherin.example.com
        C: BURL {URL} LAST
        S: 554 5.5.0 No recipients have been specified.
        C: RSET
        S: 250 2.0.0 OK
        C: MAIL FROM:<harry@gryffindor.example.com>
        S: 250 2.5.0 Address Ok.
        C: RCPT TO:<ron@gryffindor.example.com>
        S: 250 2.1.5 ron@gryffindor.example.com OK.
        C: BURL {URL.replace("9135", "7135")} LAST
        S: 554 5.7.0 IMAP URL authorization failed
        """)

    def owlry(machine: smtp.Server, event: object) -> None:
        def say(code: int, text: str, *status: int) -> None:
            machine.send(smtp.Reply(code, text, smtp.EnhancedCode(*status)))

        match event:
            case smtp.Auth():
                say(235, "PLAIN authentication successful.", 2, 7, 0)
            case smtp.Mail():
                say(250, "Address Ok.", 2, 5, 0)
            case smtp.Rcpt(smtp.Mailbox("malfoy")):
                say(550, "Relaying not allowed: malfoy@slitherin.example.com", 5, 7, 1)
            case smtp.Rcpt():
                say(250, "ron@gryffindor.example.com OK.", 2, 1, 5)
            case smtp.Burl() if TOKEN not in event.url:
                say(554, "IMAP URL authorization failed", 5, 7, 0)
            case smtp.Burl():
                machine.supply(MESSAGE)
            case smtp.EndOfMessage():
                say(250, "Ok.", 2, 5, 0)
            case smtp.Invalid(command=smtp.Burl()):
                assert event.reply.code == 503
                say(554, "No recipients have been specified.", 5, 5, 0)
            case _:
                answer(machine, event)

    events = play_client(script, server(login=False, envelope=b""), owlry)
    fetched = [event for event in events if isinstance(event, smtp.Body | smtp.EndOfMessage)]
    assert fetched == [smtp.Body(MESSAGE), smtp.EndOfMessage()]


@pytest.mark.parity("smtp-client BURL")
def test_P19_RFC_4468_section_3_4_on_the_client_pipelined() -> None:
    script = transcript("""
        S: 220 owlry.example.com
        C: EHLO potter.example.com
        S: 250-owlry.example.com
        S: 250-8BITMIME
        S: 250-PIPELINING
        S: 250-BURL imap
        S: 250-AUTH PLAIN
        S: 250-DSN
        S: 250 ENHANCEDSTATUSCODES
        C: AUTH PLAIN AGhhcnJ5AGFjY2lv
        S: 235 2.7.0 PLAIN authentication successful.
        """)
    machine = smtp.Client(tls=True)
    hello = [smtp.Ehlo("potter.example.com"), smtp.Auth("PLAIN", b"\0harry\0accio")]
    play_server(script, machine, hello)
    for command in (smtp.Mail(HARRY), smtp.Rcpt(RON), smtp.Burl(URL, last=True)):
        machine.send(command)
    assert machine.data_to_send().endswith(f"\r\nBURL {URL} LAST\r\n".encode())
    # RFC 4468 section 3.2: no new transaction before the result.
    with pytest.raises(LocalProtocolError, match="BURL"):
        machine.send(smtp.Mail(HARRY))
    machine.receive_data(
        b"250 2.5.0 Address Ok.\r\n250 2.1.5 ron@gryffindor.example.com OK.\r\n250 2.5.0 Ok.\r\n"
    )
    replies = [machine.next_event() for _ in range(3)]
    assert [reply.code for reply in replies if isinstance(reply, smtp.Reply)] == [250, 250, 250]
    assert machine.state is State.READY
    assert machine.recipients == 0


# ---------------------------------------------------------------------------------------- content


def test_what_is_fetched_and_what_is_sent_are_one_message() -> None:
    machine = server()
    events = give(machine, f"BDAT 6\r\nabcd\r\nBURL {URL}\r\n".encode())
    events += give(machine, b"BDAT 3\r\nx\r\n" + f"BURL {PLAIN_URL} LAST\r\n".encode())
    assert events == [
        smtp.Body(b"abcd\r\n"),
        smtp.EndOfChunk(6),
        smtp.Burl(URL),
        smtp.Body(MESSAGE),
        smtp.EndOfChunk(len(MESSAGE)),
        smtp.Body(b"x\r\n"),
        smtp.EndOfChunk(3),
        smtp.Burl(PLAIN_URL, last=True),
        smtp.Body(MESSAGE),
        smtp.EndOfMessage(),
    ]
    assert codes(machine) == [250] * 4
    assert machine.state is State.READY


@given(
    st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r", b"\n", b"\r\n.\r\n"]), max_size=6),
    st.sampled_from(smtp.BareNewlines),
)
def test_P02_what_is_fetched_is_judged_like_what_is_sent(
    pieces: list[bytes], policy: smtp.BareNewlines
) -> None:
    content = b"".join(pieces)

    def taken(wire: bytes) -> list[object]:
        machine = server(bare_newlines=policy)
        machine.receive_data(wire)
        events: list[object] = []
        body = b""
        while (event := machine.next_event()) is not smtp.NEED_DATA:
            if isinstance(event, smtp.Burl):
                machine.supply(content)
            elif isinstance(event, smtp.Body):
                body += event.data
            else:
                events.append(event)
                machine.accept()
        return [body, *events, machine.data_to_send()]

    burl = taken(f"BURL {URL} LAST\r\nNOOP\r\n".encode())
    assert burl == taken(b"BDAT %d LAST\r\n%sNOOP\r\n" % (len(content), content))


def test_a_cr_is_not_bare_where_the_next_chunk_begins_with_lf() -> None:
    machine = server()
    machine.receive_data(b"BDAT 2\r\na\r" + f"BURL {URL} LAST\r\n".encode())
    body = b""
    while (event := machine.next_event()) is not smtp.NEED_DATA:
        if isinstance(event, smtp.Burl):
            machine.supply(b"\nb\r\n")
        elif isinstance(event, smtp.Body):
            body += event.data
        else:
            machine.accept()
    assert body == b"a\r\nb\r\n"
    assert codes(machine) == [250, 250]


def test_the_limit_is_that_of_the_whole_message() -> None:
    limits = smtp.SMTPServerLimits(content=len(MESSAGE) + 3)
    machine = server(limits=limits)
    give(machine, b"BDAT 4\r\nab\r\n")
    events = give(machine, f"BURL {URL} LAST\r\n".encode())
    assert isinstance(events[-1], smtp.BadContent)
    assert events[-1].problem is smtp.ContentProblem.TOO_LARGE
    assert codes(machine) == [250, 552]


def test_P01_chop_invariance() -> None:
    wire = b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\n" + ENVELOPE
    wire += f"BDAT 6\r\nabcd\r\nBURL {URL}\r\nBURL {PLAIN_URL} LAST\r\nNOOP\r\n".encode()
    assert_chop_invariant(lambda: smtp.Server("mx.example", tls=True, offer=OFFER), wire, answer)


def test_without_a_burl_nothing_can_be_supplied() -> None:
    machine = server()
    with pytest.raises(LocalProtocolError, match="no BURL waits"):
        machine.supply(b"")
    machine.receive_data(f"BURL {URL} LAST\r\n".encode())
    machine.next_event()
    with pytest.raises(LocalProtocolError):
        machine.accept()
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(250, "I have it"))
    machine.supply(b"")
    assert machine.next_event() == smtp.EndOfMessage()
    with pytest.raises(LocalProtocolError, match="no BURL waits"):
        machine.supply(b"")


@pytest.mark.parametrize("code", [451, 554])
@pytest.mark.parametrize("last", [False, True])
def test_a_refused_url_ends_the_transaction(code: int, last: bool) -> None:
    machine = server()
    give(machine, b"BDAT 3\r\na\r\n")
    machine.receive_data(f"BURL {URL}{' LAST' if last else ''}\r\n".encode())
    machine.next_event()
    machine.send(smtp.Reply(code, "URL resolution failed"))
    assert machine.transaction is None
    assert machine.state is State.CHUNK_REFUSED
    machine.data_to_send()
    give(machine, f"BURL {URL} LAST\r\nBDAT 1\r\nxRSET\r\n".encode() + ENVELOPE)
    assert codes(machine) == [503, 503, 250, 250, 250]
    sender = client()
    envelope(sender)
    sender.send(smtp.Burl(URL, last=last))
    sender.receive_data(b"%d no\r\n" % code)
    sender.next_event()
    assert sender.state is State.CHUNK_REFUSED
    sender.send(smtp.Rset())


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("offer", "login", "line", "expected"),
    [
        (smtp.Offer(("PLAIN",)), True, f"BURL {URL} LAST", 502),
        (OFFER, False, f"BURL {URL} LAST", 530),
        (OFFER, True, "BURL imap://elsewhere.example.com/outbox/;uid=25 LAST", 554),
        (OFFER, True, "BURL http://imap.example.com/ LAST", 554),
        (OFFER, True, "BURL", 501),
        (OFFER, True, "BURL LAST", 501),
        (OFFER, True, f"BURL {URL} FIRST", 501),
        (OFFER, True, f"BURL {URL}#part LAST", 501),
        (OFFER, True, "BURL imap://a/%zz LAST", 501),
        (OFFER, True, 'BURL imap://a/"b" LAST', 501),
        (OFFER, True, "BURL imap://ä/ LAST", 501),
    ],
)
def test_the_server_refuses(offer: smtp.Offer, login: bool, line: str, expected: int) -> None:
    machine = server(login=login, offer=offer)
    (event,) = give(machine, line.encode() + b"\r\n")
    assert isinstance(event, smtp.Invalid)
    assert codes(machine) == [expected]
    assert machine.state is State.RECIPIENTS
    assert TOKEN not in repr(event)


def test_a_burl_is_not_for_lmtp() -> None:
    machine = smtp.Server("mx.example", lmtp=True, tls=True, offer=OFFER)
    assert "BURL" not in machine.capabilities
    machine.accept()
    give(machine, b"LHLO a\r\n" + ENVELOPE)
    machine.data_to_send()
    give(machine, f"BURL {URL} LAST\r\n".encode())
    assert codes(machine) == [502]


def test_a_trusted_host_is_told_after_auth_only() -> None:
    assert server(login=False).capabilities.burl == ("imap",)
    assert server().capabilities.burl == ("imap", "imap://imap.example.com")


@pytest.mark.parametrize(
    ("burl", "command", "fits"),
    [
        (b"BURL imap", smtp.Burl(URL), True),
        (b"BURL IMAP", smtp.Burl(URL), True),
        (b"BURL imap", smtp.Burl(PLAIN_URL), False),
        (b"BURL imap://imap.example.com", smtp.Burl(PLAIN_URL), True),
        (b"BURL imap://IMAP.example.com/", smtp.Burl(PLAIN_URL), True),
        (b"BURL imap://imap.example.com", smtp.Burl(URL), False),
        (b"BURL", smtp.Burl(URL), False),
        (b"8BITMIME", smtp.Burl(URL), False),
        (b"BURL imap", smtp.Burl("http://a/"), False),
        (b"BURL imap", smtp.Burl(URL + " LAST"), False),
        (b"BURL imap", smtp.Burl(URL + "\r\nQUIT"), False),
        (b"BURL imap", smtp.Burl(URL + "\0"), False),
    ],
)
def test_P04_the_client_sends_what_was_offered(burl: bytes, command: smtp.Burl, fits: bool) -> None:
    machine = client(burl)
    envelope(machine)
    if fits:
        machine.send(command)
        assert machine.data_to_send() == f"BURL {command.url}\r\n".encode()
        return
    with pytest.raises(LocalProtocolError) as raised:
        machine.send(command)
    assert TOKEN not in str(raised.value)
    assert machine.data_to_send() == b""


def test_P03_a_cr_before_a_url_would_be_bare() -> None:
    machine = client()
    envelope(machine)
    machine.send(smtp.Bdat(2))
    machine.send(smtp.Body(b"a\r"))
    with pytest.raises(LocalProtocolError, match="bare CR"):
        machine.send(smtp.Burl(URL, last=True))
    # And a URL begins a line anew, for the limit of its length.
    machine.send(smtp.Bdat(999))
    machine.send(smtp.Body(b"\n" + b"x" * 998))
    machine.send(smtp.Burl(URL))
    machine.send(smtp.Bdat(1000, last=True))
    machine.send(smtp.Body(b"x" * 998 + b"\r\n"))


def test_P16_the_token_is_shown_to_nobody() -> None:
    lines: list[bytes] = []
    machine = server(trace=lambda side, line: lines.append(line))
    give(machine, f"BURL {URL}\r\nburl {URL} LAST\r\nBURL {URL} x\r\n".encode())
    assert b"submit+harry" in b"".join(lines)
    assert TOKEN.encode() not in b"".join(lines)
    assert TOKEN not in repr(smtp.Burl(URL))
    lines.clear()
    sender = smtp.Client(tls=True, trace=lambda side, line: lines.append(line))
    sender.receive_data(b"220 x\r\n")
    sender.next_event()
    sender.send(smtp.Ehlo("a"))
    sender.receive_data(b"250-x\r\n250 BURL imap\r\n")
    sender.next_event()
    for command in (smtp.Mail(HARRY), smtp.Rcpt(RON), smtp.Burl(URL)):
        sender.send(command)
        sender.receive_data(b"250 x\r\n")
        sender.next_event()
    assert b"submit+harry" in b"".join(lines)
    assert TOKEN.encode() not in b"".join(lines)


@pytest.mark.parametrize(
    ("url", "user"),
    [
        (URL, "harry"),
        ("imap://a/;uid=1;URLAUTH=SUBMIT+h%C3%A4rry:internal:x", "härry"),
        ("imap://a/;uid=1;urlauth=user+harry:internal:x", None),
        ("imap://a/;uid=1;urlauth=anonymous:internal:x", None),
        (PLAIN_URL, None),
    ],
)
def test_who_may_submit_a_url(url: str, user: str | None) -> None:
    assert smtp.Burl(url).submitter == user


def test_both_machines_agree() -> None:
    received = bytearray()

    def take(machine: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Body):
            received.extend(event.data)
        answer(machine, event)

    offer = smtp.Offer(("PLAIN",), insecure_auth=True, burl=("imap",))
    link = Link(
        smtp.Client(allow_insecure_auth=True),
        smtp.Server("mx.example", offer=offer),
        on_server=take,
        sizes=(3, 1, 50),
    )
    link.pump()
    groups: list[list[Command]] = [
        [smtp.Ehlo("a")],
        [smtp.Auth("PLAIN", b"\0a\0b")],
        [
            smtp.Mail(HARRY), smtp.Rcpt(RON), smtp.Bdat(3), smtp.Body(b"a\r\n"), smtp.Burl(URL),
            smtp.Burl(URL, last=True),
        ],
        [smtp.Quit()],
    ]  # fmt: skip
    for group in groups:
        for command in group:
            link.client.send(command)
        link.pump()
    assert bytes(received) == b"a\r\n" + MESSAGE * 2
    assert link.client.closing


# ------------------------------------------------------------------------------------------- time


def supplied(urls: int, content: bytes) -> Callable[[], object]:
    """What a server does with so many URLs, each of which stands for ``content``."""
    machine = server()
    machine.receive_data(f"BURL {PLAIN_URL}\r\n".encode() * urls + b"BDAT 0 LAST\r\n")

    def drain() -> None:
        taken = 0
        while not isinstance(event := machine.next_event(), type(smtp.PAUSED)):
            if isinstance(event, smtp.Burl):
                machine.supply(content)
            elif isinstance(event, smtp.Body):
                taken += len(event.data)
            else:
                machine.accept()
        assert taken == urls * len(content)

    return drain


@pytest.mark.parametrize("line", [b"x" * 70 + b"\r\n", b"\r\n"])
def test_P09_time_grows_with_the_supplied_octets_and_no_faster(line: bytes) -> None:
    assert_linear(lambda size: supplied(1, line * (size // len(line))), 500_000)


def test_P09_time_grows_with_the_urls_and_no_faster() -> None:
    assert_linear(lambda urls: supplied(urls, MESSAGE), 500)
