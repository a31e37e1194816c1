"""The client machine against the transcripts of the RFCs and in every corner of its contract."""

from __future__ import annotations

import datetime

import pytest

from mailproto import imap
from mailproto._core.limits import IMAPClientLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Trace
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap.response_code import NumberCode
from mailproto.testing.script import play_server, transcript


def events(client: imap.Client, data: bytes = b"") -> list[object]:
    """What a client makes of octets."""
    if data:
        client.receive_data(data)
    found: list[object] = []
    while not isinstance(event := client.next_event(), type(NEED_DATA) | ConnectionClosed):
        found.append(event)
    return found


def in_state(
    state: imap.State,
    capabilities: str = "",
    *,
    limits: IMAPClientLimits | None = None,
    trace: Trace | None = None,
) -> imap.Client:
    """A client over TLS in a state of the session, its next tag A1."""
    client = imap.Client(tls=True, limits=limits, trace=trace)
    if state is imap.State.GREETING:
        return client
    code = f"[CAPABILITY IMAP4rev1 {capabilities}] " if capabilities else ""
    word = "OK" if state is imap.State.NOT_AUTHENTICATED else "PREAUTH"
    events(client, f"* {word} {code}hello\r\n".encode())
    if state is imap.State.SELECTED:
        client.send(imap.Select("INBOX"))
        events(client, b"A1 OK [READ-WRITE] done\r\n")
        client._tags = 0
    client.data_to_send()
    return client


def selected(
    capabilities: str = "",
    *,
    limits: IMAPClientLimits | None = None,
    trace: Trace | None = None,
) -> imap.Client:
    return in_state(imap.State.SELECTED, capabilities, limits=limits, trace=trace)


# -------------------------------------------------------------------------------- transcripts


def test_rfc3501_section_8() -> None:
    script = transcript(r"""
        S: * OK IMAP4rev1 Service Ready
        C: A1 LOGIN mrc secret
        S: A1 OK LOGIN completed
        C: A2 SELECT INBOX
        S: * 18 EXISTS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * 2 RECENT
        S: * OK [UNSEEN 17] Message 17 is the first unseen message
        S: * OK [UIDVALIDITY 3857529045] UIDs valid
        S: A2 OK [READ-WRITE] SELECT completed
        C: A3 FETCH 12 FULL
        S: * 12 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286)
        S: A3 OK FETCH completed
        C: A4 FETCH 12 BODY[HEADER]
        S: * 12 FETCH (BODY[HEADER] {342}
        S: Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
        S: From: Terry Gray <gray@cac.washington.edu>
        S: Subject: IMAP4rev1 WG mtg summary and minutes
        S: To: imap@cac.washington.edu
        S: cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
        S: Message-Id: <B27397-0100000@cac.washington.edu>
        S: MIME-Version: 1.0
        S: Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        S:
        S: )
        S: A4 OK FETCH completed
        C: A5 STORE 12 +FLAGS (\Deleted)
        S: * 12 FETCH (FLAGS (\Seen \Deleted))
        S: A5 OK +FLAGS completed
        C: A6 LOGOUT
        S: * BYE IMAP4rev1 server terminating connection
        S: A6 OK LOGOUT completed
    """)
    client = imap.Client(tls=True)
    header = imap.BodySection(imap.Section(text=imap.SectionText.HEADER))
    found = play_server(
        script,
        client,
        [
            imap.Login("mrc", "secret"),
            imap.Select("inbox"),
            imap.Fetch(12, imap.FetchMacro.FULL),
            imap.Fetch(12, header),
            imap.Store(12, imap.StoreAction.ADD, "\\deleted"),
            imap.Logout(),
        ],
    )
    assert found[2:8] == [
        imap.ExistsData(18),
        imap.FlagsData(("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")),
        imap.RecentData(2),
        imap.Condition(imap.OK, "Message 17 is the first unseen message", NumberCode("UNSEEN", 17)),
        imap.Condition(imap.OK, "UIDs valid", NumberCode("UIDVALIDITY", 3857529045)),
        imap.Completion("A2", imap.OK, "SELECT completed", imap.READ_WRITE),
    ]
    fetched = found[10]
    assert isinstance(fetched, imap.FetchData)
    text = fetched.section(imap.Section(text=imap.SectionText.HEADER))
    assert isinstance(text, bytes)
    assert len(text) == 342
    assert text.startswith(b"Date: Wed, 17 Jul 1996")
    assert client.state is imap.State.LOGOUT


def test_rfc2177_idle() -> None:
    script = transcript("""
        S: * PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready
        C: A1 IDLE
        S: + idling
        S: * 2 EXPUNGE
        S: * 3 EXISTS
        C: DONE
        S: A1 OK IDLE terminated
    """)
    client = imap.Client(tls=True)
    found = play_server(script, client, [imap.Idle(), imap.Done()])
    assert found[1:] == [
        imap.Continuation("idling"),
        imap.ExpungeData(2),
        imap.ExistsData(3),
        imap.Completion("A1", imap.OK, "IDLE terminated"),
    ]
    assert not client.idling


def test_rfc4959_initial_response_and_rfc3501_authenticate() -> None:
    script = transcript("""
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready
        C: A1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=
        S: A1 NO [AUTHENTICATIONFAILED] no
        C: A2 AUTHENTICATE EXTERNAL =
        S: A2 NO no
        C: A3 AUTHENTICATE CRAM-MD5
        S: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
        C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        S: A3 OK CRAM authentication successful
    """)  # RFC 2195 section 2
    client = imap.Client(tls=True)
    found = play_server(
        script,
        client,
        [
            imap.Authenticate("PLAIN", b"test\0test\0test"),
            imap.Authenticate("EXTERNAL", b""),
            imap.Authenticate("CRAM-MD5"),
            imap.AuthenticateResponse(b"tim b913a602c7eda7a495b4e6e7334d3890"),
        ],
    )
    assert imap.Challenge(b"<1896.697170952@postoffice.reston.mci.net>") in found
    assert client.state is imap.State.AUTHENTICATED


def test_rfc3501_append_with_a_synchronizing_literal() -> None:
    script = transcript(r"""
        S: * PREAUTH ready
        C: A1 APPEND saved-messages (\Seen) "17-Jul-1996 02:44:25 -0700" {5}
        S: + Ready for literal data
        C: a
        C: b␠
        C: A2 NOOP
        S: A1 OK [APPENDUID 38505 3955] APPEND completed
        S: A2 OK
    """)
    zone = datetime.timezone(datetime.timedelta(hours=-7))
    when = datetime.datetime(1996, 7, 17, 2, 44, 25, tzinfo=zone)
    client = imap.Client(tls=True)
    play_server(
        script,
        client,
        [imap.Append("saved-messages", b"a\r\nb ", "\\Seen", when), imap.Noop()],
        on_event=lambda client, event: (
            client.send(imap.Noop()) if isinstance(event, imap.Continuation) else None
        ),
    )


# -------------------------------------------------------------------------------- literals out


def test_a_refused_literal_is_never_sent_and_the_next_command_goes() -> None:
    client = selected()
    client.send(imap.Append("x", b"secret text"))
    client.send(imap.Check())
    assert client.data_to_send() == b"A1 APPEND x {11}\r\n"
    assert events(client, b"A1 NO [TRYCREATE] no such mailbox\r\n") == [
        imap.Completion("A1", imap.NO, "no such mailbox", imap.TRYCREATE)
    ]
    assert client.data_to_send() == b"A2 CHECK\r\n"


def test_several_literals_wait_one_after_the_other() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED)
    client.send(imap.Login(b"\xc3\xa4", b"p\xc3\xb6"))
    assert client.data_to_send() == b"A1 LOGIN {2}\r\n"
    assert events(client, b"+ \r\n") == []
    assert client.data_to_send() == b"\xc3\xa4 {3}\r\n"
    assert events(client, b"+\r\n") == []
    assert client.data_to_send() == b"p\xc3\xb6\r\n"
    assert client.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("capability", "size", "waits"),
    [
        ("LITERAL+", 5000, False),
        ("LITERAL-", 4096, False),
        ("LITERAL-", 4097, True),
        ("X", 1, True),
    ],
)
def test_rfc7888_non_synchronizing_literals(capability: str, size: int, waits: bool) -> None:
    client = in_state(imap.State.AUTHENTICATED, capability)
    client.send(imap.Append("x", b"a" * size))
    sent = client.data_to_send()
    if waits:
        assert sent == b"A1 APPEND x {%d}\r\n" % size
    else:
        assert sent == b"A1 APPEND x {%d+}\r\n" % size + b"a" * size + b"\r\n"


def test_streamed_content_waits_for_the_continuation() -> None:
    client = in_state(imap.State.AUTHENTICATED)
    client.send(imap.Append("x", imap.Streamed(5)))
    assert client.data_to_send() == b"A1 APPEND x {5}\r\n"
    assert not client.can_stream
    with pytest.raises(LocalProtocolError, match="has not asked"):
        client.send(imap.LiteralChunk(b"abc"))
    with pytest.raises(LocalProtocolError, match="inside of APPEND"):
        client.send(imap.Noop())
    assert events(client, b"+ go\r\n") == [imap.Continuation()]
    assert client.can_stream
    client.send(imap.LiteralChunk(b"abc"))
    with pytest.raises(LocalProtocolError, match="4 octets of content where 2"):
        client.send(imap.LiteralChunk(b"defg"))
    with pytest.raises(LocalProtocolError, match="NUL"):
        client.send(imap.LiteralChunk(b"\0"))
    client.send(imap.LiteralChunk(b"de"))
    assert client.data_to_send() == b"abcde\r\n"
    with pytest.raises(LocalProtocolError, match="no command waits"):
        client.send(imap.LiteralChunk(b"f"))
    client.send(imap.Noop())
    assert client.data_to_send() == b"A2 NOOP\r\n"


def test_streamed_content_goes_at_once_with_literal_plus() -> None:
    client = in_state(imap.State.AUTHENTICATED, "LITERAL+")
    client.send(imap.Append("x", imap.Streamed(2)))
    assert client.can_stream
    client.send(imap.LiteralChunk(b"ab"))
    assert client.data_to_send() == b"A1 APPEND x {2+}\r\nab\r\n"


def test_streamed_content_that_is_refused() -> None:
    client = in_state(imap.State.AUTHENTICATED)
    client.send(imap.Append("x", imap.Streamed(5)))
    events(client, b"A1 NO [TOOBIG] no\r\n")
    with pytest.raises(LocalProtocolError):
        client.send(imap.LiteralChunk(b"abcde"))
    client.data_to_send()
    client.send(imap.Noop())
    assert client.data_to_send() == b"A2 NOOP\r\n"


# -------------------------------------------------------------------------------- literals in


def test_a_big_literal_comes_as_chunks_between_its_start_and_its_response() -> None:
    client = selected(limits=IMAPClientLimits(literal_threshold=10))
    client.send(imap.Fetch(3, [imap.FetchAtt.UID, imap.BodySection(), imap.FetchAtt.FLAGS]))
    found = events(client, b"* 3 FETCH (UID 7 BODY[] {11}\r\nhello")
    assert found == [
        imap.LiteralStart(3, 7, imap.WHOLE_MESSAGE, 11),
        imap.LiteralChunk(b"hello"),
    ]
    assert events(client, b" world FLAGS (\\Seen) RFC822.TEXT {3}\r\nabc)\r\n") == [
        imap.LiteralChunk(b" world"),
        imap.FetchData(
            3,
            uid=7,
            flags=("\\Seen",),
            sections=(
                imap.SectionData(imap.WHOLE_MESSAGE, imap.Streamed(11)),
                imap.SectionData(imap.FetchAtt.RFC822_TEXT, b"abc"),
            ),
        ),
    ]


def test_what_is_no_section_is_never_streamed() -> None:
    client = selected(limits=IMAPClientLimits(literal_threshold=2))
    assert events(client, b'* LIST () "/" {5}\r\nhello\r\n') == [imap.ListData((), "/", b"hello")]
    assert events(
        client, b"* 1 FETCH (ENVELOPE (NIL {3}\r\nabc NIL NIL NIL NIL NIL NIL NIL NIL))\r\n"
    ) == [imap.FetchData(1, envelope=imap.Envelope(subject=b"abc"))]


def test_braces_in_text_for_people_are_text() -> None:
    client = selected()
    client.send(imap.Noop())
    assert events(client, b"* OK {5}\r\n* NO [ALERT] x {3}\r\nA1 OK x {1}\r\n") == [
        imap.Condition(imap.OK, "{5}"),
        imap.Condition(imap.NO, "x {3}", imap.ALERT),
        imap.Completion("A1", imap.OK, "x {1}"),
    ]


def test_a_literal_inside_of_a_code_is_a_literal() -> None:
    client = selected()
    client.send(imap.Noop())
    assert events(client, b"A1 NO [BADCHARSET ({3}\r\na]b {1}\r\nx)] no {3}\r\n") == [
        imap.Completion("A1", imap.NO, "no {3}", imap.BadCharset((b"a]b", b"x")))
    ]


# -------------------------------------------------------------------------------- the session


def test_select_changes_the_state_as_the_rfc_says() -> None:
    client = in_state(imap.State.AUTHENTICATED)
    client.send(imap.Examine("x"))
    events(client, b"A1 OK [READ-ONLY] done\r\n")
    assert state_of(client) == (imap.State.SELECTED, True)
    client.send(imap.Select("y"))
    events(client, b"A2 BAD what\r\n")
    assert state_of(client) == (imap.State.SELECTED, True)
    client.send(imap.Select("y"))
    events(client, b"A3 NO there is none\r\n")
    assert state_of(client) == (imap.State.AUTHENTICATED, False)
    client.send(imap.Select("z"))
    events(client, b"A4 OK [READ-WRITE] done\r\n")
    assert state_of(client) == (imap.State.SELECTED, False)
    client.send(imap.Close())
    events(client, b"A5 OK done\r\n")
    assert state_of(client) == (imap.State.AUTHENTICATED, False)


def state_of(client: imap.Client) -> tuple[imap.State, bool]:
    return client.state, client.read_only


def test_capabilities_are_forgotten_at_login_unless_told_again() -> None:
    for told, known in ((b"", None), (b"[CAPABILITY IMAP4rev1 MOVE] ", ("IMAP4REV1", "MOVE"))):
        client = in_state(imap.State.NOT_AUTHENTICATED, "LITERAL+ AUTH=PLAIN")
        client.send(imap.Login("u", "p"))
        events(client, b"A1 OK " + told + b"done\r\n")
        assert (client.capabilities and client.capabilities.names) == known
        client.data_to_send()
        client.send(imap.Append("x", b"abc"))
        assert client.data_to_send() == b"A2 APPEND x {3}\r\n"


def test_completions_come_in_any_order() -> None:
    client = selected()
    client.send(imap.Fetch("1:*", imap.FetchAtt.UID, uid=True))
    client.send(imap.Fetch("1:*", imap.FetchAtt.UID, uid=True))
    assert client.pending == (
        imap.Tagged("A1", imap.Fetch("1:*", imap.FetchAtt.UID, uid=True)),
        imap.Tagged("A2", imap.Fetch("1:*", imap.FetchAtt.UID, uid=True)),
    )
    assert len(events(client, b"A2 OK x\r\nA1 NO y\r\n")) == 2
    assert len(client.pending) == 0
    assert client.in_answer_to == imap.Fetch("1:*", imap.FetchAtt.UID, uid=True)


def test_bye_ends_what_can_be_sent() -> None:
    client = selected()
    client.send(imap.Noop())
    events(client, b"* BYE overloaded\r\n")
    client.receive_data(b"")
    assert client.next_event() == ConnectionClosed()
    with pytest.raises(LocalProtocolError, match="logout"):
        client.send(imap.Noop())


def test_what_waits_is_told() -> None:
    client = in_state(imap.State.GREETING)
    assert client.waiting_for == "the greeting"
    client = selected()
    assert client.waiting_for == "nothing"
    client.send(imap.Idle())
    assert client.waiting_for == "the continuation of A1 IDLE"
    assert client.timeout_hint == 300
    events(client, b"+ idling\r\n")
    assert client.timeout_hint == 29 * 60


def test_the_handshake_is_awaited_and_everything_is_forgotten() -> None:
    client = imap.Client()
    events(client, b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n")
    client.send(imap.StartTLS())
    assert client.data_to_send() == b"A1 STARTTLS\r\n"
    client.receive_data(b"A1 OK go\r\n")
    assert client.next_event() == imap.Completion("A1", imap.OK, "go")
    assert client.next_event() is PAUSED
    assert client.awaiting_tls
    with pytest.raises(LocalProtocolError, match="handshake"):
        client.send(imap.Noop())
    client.start_tls()
    assert client.tls
    assert client.capabilities is None
    client.send(imap.Login("u", "p"))
    assert client.data_to_send() == b"A1 LOGIN u p\r\n"


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("state", list(imap.State))
def test_every_command_in_every_state(state: imap.State) -> None:
    """RFC 3501 section 6 in the words of its headings."""
    anywhere: list[imap.Command] = [imap.Capability(), imap.Noop(), imap.Logout(), imap.Id()]
    before: list[imap.Command] = [
        imap.StartTLS(),
        imap.Authenticate("SCRAM-SHA-256"),
        imap.Login("u", "p"),
    ]
    after: list[imap.Command] = [
        imap.Select("x"), imap.Examine("x"), imap.Create("x"), imap.Delete("x"),
        imap.Rename("x", "y"), imap.Subscribe("x"), imap.Unsubscribe("x"), imap.List("", "*"),
        imap.Lsub("", "*"), imap.Status("x", imap.StatusItem.UNSEEN), imap.Append("x", b"y"),
        imap.Namespace(), imap.Idle(), imap.Enable(["X"]),
    ]  # fmt: skip
    inside: list[imap.Command] = [
        imap.Check(), imap.Close(), imap.Unselect(), imap.Expunge(), imap.Expunge("1"),
        imap.Search(imap.SearchFlag.ALL), imap.Fetch("1", imap.FetchAtt.UID),
        imap.Store("1", imap.StoreAction.ADD, "x"), imap.Copy("1", "x"), imap.Move("1", "x"),
    ]  # fmt: skip
    allowed: list[imap.Command] = {
        imap.State.GREETING: [],
        imap.State.NOT_AUTHENTICATED: anywhere + before[1:],
        imap.State.AUTHENTICATED: anywhere + after,
        imap.State.SELECTED: anywhere + after + inside,
        imap.State.LOGOUT: [],
    }[state]
    for command in anywhere + before + after + inside:
        if state is imap.State.LOGOUT:
            client = selected()
            events(client, b"* BYE bye\r\n")
        else:
            client = in_state(state)
        if command in allowed:
            client.send(command)
            assert client.data_to_send().startswith(b"A1 ")
        else:
            with pytest.raises(LocalProtocolError):
                client.send(command)
            assert client.data_to_send() == b""
            assert client.next_tag == "A1"


def test_what_is_no_part_of_a_command_in_progress_is_refused() -> None:
    client = selected()
    items: list[imap.ClientItem] = [
        imap.Done(),
        imap.LiteralChunk(b"x"),
        imap.AuthenticateResponse(b"x"),
    ]
    for item in items:
        with pytest.raises(LocalProtocolError):
            client.send(item)
    client.send(imap.Idle())
    with pytest.raises(LocalProtocolError, match="DONE"):
        client.send(imap.Done())
    assert client.data_to_send() == b"A1 IDLE\r\n"


@pytest.mark.parametrize(
    "command",
    [
        imap.Fetch("1", ()),
        imap.Fetch("1", imap.BodySection(imap.Section(text=imap.SectionText.MIME))),
        imap.Fetch("1", imap.BodySection(imap.Section(text=imap.SectionText.HEADER_FIELDS))),
        imap.Fetch("1", imap.BodySection(imap.Section((0,)))),
        imap.Fetch("1", imap.BodySection(partial=(0, 0))),
        imap.Fetch("1", imap.BodySection(partial=(-1, 5))),
        imap.Fetch(imap.SequenceSet(()), imap.FetchAtt.UID),
        imap.Fetch(0, imap.FetchAtt.UID),
        imap.Fetch(-1, imap.FetchAtt.UID),
        imap.Fetch(imap.SequenceSet(((5, 3),)), imap.FetchAtt.UID),
        imap.Search(()),
        imap.Search(imap.And(())),
        imap.Search(imap.SearchText(imap.TextKey.FROM, "ä")),
        imap.Search(imap.SearchText(imap.TextKey.FROM, "a\0b")),
        imap.Search(imap.SearchKeyword("a b")),
        imap.Search(imap.SearchSize(imap.SizeKey.LARGER, -1)),
        imap.Store("1", imap.StoreAction.ADD, "\\Recent"),
        imap.Store("1", imap.StoreAction.ADD, "a\r\nb"),
        imap.Status("x", ()),
        imap.Enable(()),
        imap.Append("x", b"a\0b"),
        imap.Append("x", b"", internal_date=datetime.datetime(2020, 1, 1)),  # noqa: DTZ001
        imap.Append("x", imap.Streamed(-1)),
        imap.Create(b"a\0"),
    ],
)
def test_what_the_grammar_cannot_express_is_refused(command: imap.Command) -> None:
    client = selected()
    with pytest.raises(LocalProtocolError):
        client.send(command)
    assert client.data_to_send() == b""
    assert client.pending == ()


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"* NO not now\r\n",
        b"* BAD x\r\n",
        b"* 5 EXISTS\r\n",
        b"A1 OK hello\r\n",
        b"+ go on\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+OK POP3 ready\r\n",
        b"220 smtp.example ESMTP\r\n",
    ],
)
def test_what_is_no_greeting_ends_the_connection(data: bytes) -> None:
    client = imap.Client(tls=True)
    with pytest.raises(RemoteProtocolError):
        events(client, data)
    assert client.failed


def test_a_challenge_that_is_not_base64_can_be_cancelled() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED)
    client.send(imap.Authenticate("SCRAM-SHA-256"))
    client.data_to_send()
    assert events(client, b"+ what?\r\n") == [
        imap.Unparsed(b"+ what?", "not a challenge in base64")
    ]
    client.send(imap.AuthenticateResponse(None))
    assert client.data_to_send() == b"*\r\n"
    assert events(client, b"A1 BAD cancelled\r\n") == [imap.Completion("A1", imap.BAD, "cancelled")]


def test_an_initial_response_needs_the_capability() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED)
    with pytest.raises(LocalProtocolError, match="SASL-IR"):
        client.send(imap.Authenticate("PLAIN", b"x"))


def test_commands_in_progress_are_limited() -> None:
    client = selected(limits=IMAPClientLimits(pending_commands=2))
    client.send(imap.Noop())
    client.send(imap.Noop())
    with pytest.raises(LocalProtocolError, match="2 commands are in progress"):
        client.send(imap.Noop())


def test_an_empty_challenge_without_a_space_is_a_quirk() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED)
    client.send(imap.Authenticate("SCRAM-SHA-256"))
    assert events(client, b"+\r\n") == [imap.Challenge(b"")]
    assert client.quirks == {imap.Quirk.EMPTY_CONTINUATION}


@pytest.mark.parametrize("data", [b"* 3 EXISTS\r\n", b"A1 NO not now\r\n"])
def test_idle_that_is_never_granted(data: bytes) -> None:
    client = selected()
    client.send(imap.Idle())
    events(client, data)
    assert not client.idling
    with pytest.raises(LocalProtocolError):
        client.send(imap.Done())
