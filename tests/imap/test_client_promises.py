"""The promises of the project as far as they concern the client machine of IMAP."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap.test_client_machine import events, in_state, selected
from mailproto import imap
from mailproto._core.limits import IMAPClientLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap.serialize.responses import serialize
from mailproto.testing.chop import assert_chop_invariant, octets, outcome, properties, sized
from mailproto.testing.growth import assert_linear
from mailproto.testing.strategies import imap as strategies


def nothing(client: imap.Client, event: object) -> None:
    """An application that only looks."""


def busy() -> imap.Client:
    """A client in the selected state with a FETCH, an IDLE and a literal under way."""
    client = selected(limits=IMAPClientLimits(literal_threshold=8))
    client.send(imap.Fetch("1:*", imap.FetchMacro.FULL, uid=True))
    client.send(imap.Append("x", b"content"))
    client.send(imap.Idle())
    client.data_to_send()
    return client


ANSWERS = (
    b"* 1 FETCH (UID 5 FLAGS (\\Seen) BODY[TEXT] {12}\r\nhello\r\nworld RFC822 {3}\r\na)\n)\r\n"
    b'* LIST () "/" {3}\r\na\rb\r\n* OK [UIDNEXT 5] {3}\r\n* 3 EXISTS\r\n* ODD {2}\r\n\r\n)\r\n'
    b"+ go on\r\nA2 OK [APPENDUID 1 2] x\r\nA1 OK done\r\n+ idling\r\n* 1 EXPUNGE\r\n* BYE\r\n"
)


def test_P01_events_output_and_state_do_not_depend_on_chunks() -> None:
    whole = assert_chop_invariant(busy, ANSWERS, nothing)
    assert whole.error is None
    assert [type(event).__name__ for event in whole.events] == [
        "LiteralStart", "LiteralChunk", "FetchData", "ListData", "Condition", "ExistsData",
        "Unparsed", "Completion", "Completion", "Continuation", "ExpungeData", "Condition",
    ]  # fmt: skip
    assert whole.output == b"content\r\nA3 IDLE\r\n"


@given(st.data())
def test_P01_hostile_octets_do_not_depend_on_chunks(data: st.DataObject) -> None:
    lines = st.sampled_from(ANSWERS.split(b"\r\n")) | st.binary(max_size=12)
    wire = b"\r\n".join(data.draw(st.lists(lines, max_size=8)))
    assert_chop_invariant(busy, wire, nothing, [octets(wire), sized(wire, 3), sized(wire, 7)])


@given(st.binary(max_size=40), st.data())
def test_P11_only_documented_exceptions(wire: bytes, data: st.DataObject) -> None:
    client = busy() if data.draw(st.booleans()) else imap.Client()
    client.receive_data(wire.replace(b"\n", b"\r\n"))
    client.receive_data(b"")
    try:
        for _ in range(100):
            if isinstance(client.next_event(), ConnectionClosed):
                break
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            client.next_event()


# ------------------------------------------------------------------------------ what goes out


HOSTILE = ["\r\n", "\n", "\r", "\0", "x\r\nA9 LOGOUT", "{5}\r\n", "{5+}", '"', "\\", "(", ")", "%",
           "*", " ", "", "\x7f", "\x1b", "ä", "\u2028", "NIL", "]", "\ud800"]  # fmt: skip

WITH_TEXT: list[Callable[[str], imap.Command]] = [
    lambda text: imap.Login(text, "p"),
    lambda text: imap.Login("u", text),
    lambda text: imap.Select(text),
    lambda text: imap.Rename("x", text),
    lambda text: imap.List(text, text),
    lambda text: imap.Status(text, imap.StatusItem.UNSEEN),
    lambda text: imap.Append(text, b"x"),
    lambda text: imap.Append("x", b"y", text),
    lambda text: imap.Store("1", imap.StoreAction.ADD, text),
    lambda text: imap.Copy("1", text),
    lambda text: imap.Id([(text, text)]),
    lambda text: imap.Enable([text]),
    lambda text: imap.Authenticate(text),
    lambda text: imap.Search(imap.SearchText(imap.TextKey.BODY, text), "UTF-8"),
    lambda text: imap.Search(imap.SearchHeader(text, text), "UTF-8"),
    lambda text: imap.Search(imap.SearchFlag.ALL, text),
    lambda text: imap.Search(imap.SearchKeyword(text)),
    lambda text: imap.Fetch(
        "1",
        imap.BodySection(imap.Section(text=imap.SectionText.HEADER_FIELDS, fields=[text])),
    ),
]


@pytest.mark.parametrize("make", WITH_TEXT)
@pytest.mark.parametrize("text", HOSTILE)
def test_P04_arguments_cannot_make_a_second_command(
    make: Callable[[str], imap.Command], text: str
) -> None:
    """What is sent is one line, but for literals, and nothing else."""
    for state in (imap.State.NOT_AUTHENTICATED, imap.State.SELECTED):
        client = in_state(state, "LITERAL+")
        try:
            client.send(make(text))
        except (LocalProtocolError, UnicodeEncodeError, ValueError):
            assert client.data_to_send() == b""
            continue
        sent = client.data_to_send()
        rest = re.sub(rb"\{(\d+)\+\}\r\n", b"", without_literals(sent))
        assert rest.startswith(b"A1 ")
        assert rest.endswith(b"\r\n")
        assert not re.search(rb"[\r\n\0]", rest[:-2])


def without_literals(sent: bytes) -> bytes:
    out = b""
    while found := re.search(rb"\{(\d+)\+\}\r\n", sent):
        out += sent[: found.start()]
        sent = sent[found.end() + int(found[1]) :]
    return out + sent


def test_P06_no_credentials_in_clear() -> None:
    client = imap.Client()
    events(client, b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n")
    for command in (
        imap.Login("u", "canary"),
        imap.Authenticate("PLAIN", b"canary"),
        imap.Authenticate("plain"),
        imap.Authenticate("LOGIN"),
        imap.Authenticate("XOAUTH2"),
        imap.Authenticate("OAUTHBEARER"),
    ):
        way_out = "would tell .* without TLS, only allow_insecure_auth=True would permit it"
        with pytest.raises(LocalProtocolError, match=way_out):
            client.send(command)
    assert client.data_to_send() == b""
    client.send(imap.Authenticate("SCRAM-SHA-256"))
    assert client.data_to_send() == b"A1 AUTHENTICATE SCRAM-SHA-256\r\n"
    insecure = imap.Client(allow_insecure_auth=True)
    events(insecure, b"* OK x\r\n")
    insecure.send(imap.Login("u", "p"))
    assert insecure.data_to_send() == b"A1 LOGIN u p\r\n"


def test_P06_a_server_without_login_gets_none() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED, "LOGINDISABLED")
    with pytest.raises(LocalProtocolError, match="disabled"):
        client.send(imap.Login("u", "p"))


# ----------------------------------------------------------------------------------- STARTTLS


def at_the_gate() -> imap.Client:
    client = imap.Client()
    events(client, b"* OK [CAPABILITY IMAP4rev1 STARTTLS LITERAL+] hi\r\n")
    client.send(imap.StartTLS())
    client.data_to_send()
    return client


@pytest.mark.parametrize("rest", [b"* CAPABILITY IMAP4rev1\r\n", b"x", b"\r\n", b"* OK [ALERT"])
def test_P05_plaintext_behind_the_answer_to_starttls_is_fatal(rest: bytes) -> None:
    for chunks in ([b"A1 OK go\r\n" + rest], octets(b"A1 OK go\r\n" + rest)):
        found = outcome(at_the_gate, chunks, nothing, eof=False)
        assert found.error == "plaintext was received after STARTTLS, before TLS"
    client = at_the_gate()
    events(client, b"A1 OK go\r\n")
    client.receive_data(rest)
    client.start_tls()
    with pytest.raises(RemoteProtocolError):
        client.next_event()


def test_P05_nothing_survives_starttls() -> None:
    client = at_the_gate()
    events(client, b"* CAPABILITY IMAP4rev1 AUTH=EVIL\r\nA1 OK [CAPABILITY X] go\r\n")
    assert client.next_event() is PAUSED
    client.start_tls()
    fresh = imap.Client(tls=True)
    expected = {
        **properties(fresh),
        "state": imap.State.NOT_AUTHENTICATED,
        "waiting_for": "nothing",
    }
    assert properties(client) == expected


def test_P05_starttls_stands_alone() -> None:
    client = at_the_gate()
    for command in (imap.Noop(), imap.Login("u", "p"), imap.StartTLS()):
        with pytest.raises(LocalProtocolError):
            client.send(command)
    with pytest.raises(LocalProtocolError):
        client.start_tls()
    assert client.data_to_send() == b""


# ------------------------------------------------------------------------------------- limits


def peak(action: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "unit",
    [b"x", b"* 1 FETCH (ENVELOPE (", b"{9}\r\n123456789", b"* LIST (\\A", b"* OK [", b"\r", b"("],
)
def test_P08_before_login_memory_is_bounded(unit: bytes) -> None:
    def feed() -> None:
        client = imap.Client(tls=True)
        client.receive_data(b"* OK hello\r\n")
        client.next_event()
        chunk = unit * (8192 // len(unit))
        with pytest.raises(RemoteProtocolError):
            for _ in range(2000):
                client.receive_data(chunk)
                while client.next_event() is not NEED_DATA:
                    pass

    assert peak(feed) < 1024 * 1024


def test_P08_streamed_literals_need_no_memory() -> None:
    def feed() -> None:
        client = selected()
        client.receive_data(b"* 1 FETCH (BODY[] {67108864}\r\n")
        assert isinstance(client.next_event(), imap.LiteralStart)
        chunk = bytes(65536)
        for _ in range(1024):
            client.receive_data(chunk)
            while client.next_event() is not NEED_DATA:
                pass
        client.receive_data(b")\r\n")
        assert isinstance(client.next_event(), imap.FetchData)

    assert peak(feed) < 1024 * 1024


LITTLE = IMAPClientLimits(line=100, response=1000, literal_threshold=500)


@pytest.mark.parametrize(
    ("size", "fits"), [(900, True), (970, True), (990, False), (2**63, False), (10**30, False)]
)
def test_P13_a_response_over_the_limit_is_final(size: int, fits: bool) -> None:
    for shape in (b'* LIST () "/" {%d}\r\n', b"* LIST () NIL %0*d\r\n"):
        if b"*d" in shape:
            if size > 1000:
                continue
            data = b"* LIST () NIL " + b"a" * size + b"\r\n"
        else:
            data = shape % size + b"a" * min(size, 1000) + b"\r\n"
        client = selected(limits=LITTLE)
        client.receive_data(data + b"* 5 EXISTS\r\n")
        if fits:
            assert isinstance(client.next_event(), imap.ListData)
            assert client.next_event() == imap.ExistsData(5)
            continue
        for _ in range(2):
            with pytest.raises(RemoteProtocolError):
                client.next_event()
        client.receive_data(b"* 5 EXISTS\r\n")
        with pytest.raises(RemoteProtocolError):
            client.next_event()


def test_P13_before_login_the_limit_is_a_line() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED, limits=LITTLE)
    with pytest.raises(RemoteProtocolError):
        events(client, b"* OK " + b"x" * 100)


def test_P29_long_lines_are_taken_after_login() -> None:
    client = selected()
    numbers = tuple(range(1, 200_001))
    data = b"* SEARCH " + b" ".join(b"%d" % number for number in numbers) + b"\r\n"
    assert events(client, data) == [imap.SearchData(numbers)]


@pytest.mark.parametrize("size", [1, 1448, 1 << 30])
@pytest.mark.parametrize(
    "unit",
    [
        b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n",
        b"* 1 FETCH (BODY[] {20}\r\n12345678901234567890)\r\n",
        b"* LIST (" + b"\\A " * 50 + b") NIL x\r\n",
        b"* OK " + b"[" * 100 + b"\r\n",
        b'* 1 FETCH (ENVELOPE ("' + b"\\\\" * 50 + b"\r\n",
        b"* 1 FETCH (BODY (" + b'("A" "B" NIL NIL NIL "C" 1)' * 20 + b"\r\n",
        b"* 1 FETCH (FLAGS (" + b"a " * 100 + b"\r\n",
        b"* NO [" + b'"' * 100 + b"{0}\r\n",
    ],
)
def test_P09_time_is_linear(unit: bytes, size: int) -> None:
    def responses(count: int) -> Callable[[], None]:
        data = unit * count
        chunks = [data[i : i + size] for i in range(0, len(data), size)]
        client = selected()

        def feed() -> None:
            for chunk in chunks:
                client.receive_data(chunk)
                while client.next_event() is not NEED_DATA:
                    pass

        return feed

    assert_linear(responses, 20 if size == 1 else 300)


@pytest.mark.parametrize(
    "start",
    [
        b'* 1 FETCH (ENVELOPE ("', b'* 1 FETCH (BODY ("A" "B" ("', b"* 1 FETCH (FLAGS (\\Seen ",
        b"* SEARCH ", b"* OK [X ", b'* OK [BADCHARSET ("', b"* STATUS x (MESSAGES 1", b"* LIST (",
        b'* 1 FETCH (BODY[HEADER.FIELDS ("', b"* ESEARCH ALL 1", b"* 1 FETCH (UID 1 ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("unit", [b"a", b"1 ", b'"', b"\\\\", b"(", b"1,2", b'" "', b"UID 1 "])
def test_P09_one_long_line_is_linear(start: bytes, unit: bytes) -> None:
    """No pattern backtracks its way through a line that is wrong at its end."""

    def line(count: int) -> Callable[[], object]:
        client = selected()
        client.receive_data(start + unit * count + b"\x01\r\n")
        return client.next_event

    assert_linear(line, 2_000)


def test_P10_depth_needs_no_stack() -> None:
    limit = sys.getrecursionlimit()
    client = selected()
    sys.setrecursionlimit(200)
    try:
        found = events(client, b"* 1 FETCH (BODY " + b"(" * 100_000 + b"\r\n")
        found += events(client, b"* 1 FETCH (X " + b"(" * 100_000 + b")" * 100_000 + b")\r\n")
    finally:
        sys.setrecursionlimit(limit)
    assert [type(event) for event in found] == [imap.Unparsed, imap.Unparsed]


# ------------------------------------------------------------------- what is wrong, and whose


@pytest.mark.parametrize(
    "line",
    [
        b"* 1 FETCH (UID x)", b"* 5 NONSENSE", b"* \xff", b"*", b"junk", b"", b"* STATUS",
        b"* 1 FETCH (BODY[] {3}\r\nabc", b'* LIST () "/" ', b"* 1 FETCH (FLAGS (\\Seen)",
        b"A1", b"A7 WHAT", b"* SEARCH 0",
    ],
)  # fmt: skip
def test_P12_a_malformed_response_is_told_and_skipped(line: bytes) -> None:
    client = selected()
    found = events(client, line + b"\r\n")
    assert len(found) == 1
    assert isinstance(found[0], imap.Unparsed)
    assert found[0].octets == line
    client.send(imap.Noop())
    assert events(client, b"A1 OK done\r\n") == [imap.Completion("A1", imap.OK, "done")]


@pytest.mark.parametrize(
    "line",
    [b"A1 OK x", b"A0 NO x", b"B3 OK x", b"+ go", b"+", b"+ dGVzdA==", b"a2 OK x", b"A3 OK x"],
)
def test_P27_what_nothing_waits_for_ends_the_connection(line: bytes) -> None:
    client = selected()
    client.send(imap.Noop())
    assert events(client, b"A1 OK done\r\n")
    client.send(imap.Noop())
    with pytest.raises(RemoteProtocolError, match=r"not sent|nothing waits"):
        events(client, line + b"\r\n")
    with pytest.raises(LocalProtocolError):
        client.send(imap.Noop())


def test_P27_a_command_that_was_not_sent_cannot_be_completed() -> None:
    client = selected()
    client.send(imap.Append("x", b"y"))
    client.send(imap.Noop())
    with pytest.raises(RemoteProtocolError, match="not sent"):
        events(client, b"A2 OK done\r\n")
    client = selected()
    client.send(imap.Append("x", b"y"))
    with pytest.raises(RemoteProtocolError, match="before it was sent whole"):
        events(client, b"A1 OK done\r\n")


def test_P27_a_malformed_completion_of_ours_is_fatal() -> None:
    """Skipped, it would leave the command waiting for ever."""
    client = selected()
    client.send(imap.Noop())
    with pytest.raises(RemoteProtocolError):
        events(client, b"A1 FINE thanks\r\n")


def test_P27_a_second_challenge_is_not_answered_twice() -> None:
    client = in_state(imap.State.NOT_AUTHENTICATED)
    client.send(imap.Authenticate("SCRAM-SHA-256"))
    assert events(client, b"+ \r\n") == [imap.Challenge(b"")]
    with pytest.raises(RemoteProtocolError, match="nothing waits"):
        events(client, b"+ \r\n")


@pytest.mark.parametrize(
    "octet", [b"\r", b"\n", b"\x0b", b"\x0c", b"\x85", b"\0", "\u2028".encode()]
)
def test_P25_only_crlf_ends_a_line(octet: bytes) -> None:
    client = selected()
    client.send(imap.Noop())
    found = events(client, b"* OK hello" + octet + b"A1 OK done\r\n")
    assert len(found) == 1
    assert isinstance(found[0], imap.Condition)
    assert found[0].text.startswith("hello")
    assert client.pending != ()


@given(strategies.mailbox_names())
def test_P28_a_name_that_was_listed_can_be_selected(name: imap.MailboxName) -> None:
    client = in_state(imap.State.AUTHENTICATED, "LITERAL+")
    pieces = serialize(imap.ListData((), "/", name))
    listed = b"".join([piece for piece in pieces if isinstance(piece, bytes)])
    (found,) = events(client, listed)
    assert isinstance(found, imap.ListData)
    assert found.mailbox == name
    client.send(imap.Select(found.mailbox))
    sent = client.data_to_send()
    assert name.octets in sent or b"\\" in sent


# --------------------------------------------------------------------------------- truncation


def fetching() -> imap.Client:
    client = selected()
    client.send(imap.Fetch(1, imap.FetchAtt.UID))
    return client


def test_P21_an_end_inside_of_anything_is_an_error() -> None:
    data = b"* 1 FETCH (UID 5 BODY[] {5}\r\nabcde FLAGS ())\r\n* OK x\r\nA1 OK done\r\n"
    complete = [len(b"* 1 FETCH (UID 5 BODY[] {5}\r\nabcde FLAGS ())\r\n"), len(data) - 12]
    for cut in range(len(data)):
        found = outcome(fetching, [data[:cut]], nothing)
        assert found.error is not None, cut
        assert found.error.startswith("the connection ended")
        assert len(found.events) == sum(cut >= end for end in complete)
    found = outcome(fetching, [data], nothing)
    assert (found.error, found.end) == (None, ConnectionClosed())


def test_P21_an_end_before_the_greeting_is_an_error() -> None:
    found = outcome(lambda: imap.Client(tls=True), [b""], nothing)
    assert found.error == "the connection ended before the greeting"


# ------------------------------------------------------------------------------------- state


def test_P14_a_refused_command_changes_nothing() -> None:
    client = selected("MOVE")
    before = properties(client)
    for command in (
        imap.Fetch("1", ()),
        imap.Login("u", "p"),
        imap.Append("x", b"\0"),
        imap.Done(),
        imap.LiteralChunk(b"x"),
    ):
        with pytest.raises(LocalProtocolError):
            client.send(command)
        assert properties(client) == before
        assert client.data_to_send() == b""


def test_P16_secrets_are_in_no_trace_and_no_error() -> None:
    lines: list[tuple[str, bytes]] = []

    def trace(side: str, line: bytes) -> None:
        lines.append((side, line))

    client = imap.Client(tls=True, trace=trace)
    events(client, b"* OK [CAPABILITY IMAP4rev1 SASL-IR] x\r\n")
    for command, answer in (
        (imap.Login("user", "canary"), b"A1 NO x\r\n"),
        (imap.Login("user", b"canary\xff"), b"+ \r\nA2 NO x\r\n"),
        (imap.Authenticate("PLAIN", b"\0canary\0canary"), b"A3 NO x\r\n"),
    ):
        client.send(command)
        events(client, answer)
    client.send(imap.Authenticate("PLAIN"))
    events(client, b"+ Y2FuYXJ5\r\n")
    client.send(imap.AuthenticateResponse(b"canary"))
    events(client, b"A4 NO x\r\n")
    seen = repr(lines)
    assert "canary" not in seen
    assert "Y2FuYXJ5" not in seen
    assert ("C", b"A1 LOGIN <hidden>") in lines
    assert ("S", b"+ <hidden>") in lines
    assert ("S", b"A4 NO x") in lines
    with pytest.raises(LocalProtocolError) as refused:
        imap.Client().send(imap.Login("user", "canary"))
    assert "canary" not in str(refused.value)


def test_P16_content_is_abbreviated_in_the_trace() -> None:
    lines: list[tuple[str, bytes]] = []
    client = selected("LITERAL+", trace=lambda side, line: lines.append((side, line)))
    client.send(imap.Append("x", b"content"))
    events(client, b"* 1 FETCH (BODY[] {7}\r\ncontent UID 5)\r\n")
    assert lines[-2:] == [
        ("C", b"A1 APPEND x <7 octets>"),
        ("S", b"* 1 FETCH (BODY[] <7 octets> UID 5)"),
    ]


def test_P20_quirks_are_reported() -> None:
    client = selected()
    events(client, b"* SEARCH 1 \r\n* OK [UIDVALIDITY 0]\r\n")
    assert client.quirks == {
        imap.Quirk.TRAILING_SPACE,
        imap.Quirk.MISSING_TEXT,
        imap.Quirk.ZERO_UIDVALIDITY,
    }


def test_P24_every_wait_has_a_time() -> None:
    assert imap.Client().timeout_hint == 300
