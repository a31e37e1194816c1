"""The promises of the project as far as they concern the machines of POP3, and their properties."""

from __future__ import annotations

import itertools
import re
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailproto import pop3
from mailproto._core.machine import Trace
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3.parse import parse_command
from mailproto.pop3.serialize import serialize_command
from mailproto.testing import Link, assert_chop_invariant, outcome
from mailproto.testing.chop import drain, joined, octets, properties, random_cuts, sized
from mailproto.testing.growth import assert_linear
from mailproto.testing.strategies import pop3 as strategies

EVERYTHING = pop3.Offer(
    mechanisms=("PLAIN",),
    stls=True,
    insecure_auth=True,
    timestamp="<1896.697170952@dbc.mtview.ca.us>",
    last=True,
    utf8=True,
    languages=True,
)
MAIL = b"Subject: x\r\n\r\n.dot\r\n..two\r\nbare\nlf\r\n.\rnot the end\r\n"


def make_server(trace: Trace | None = None) -> pop3.Server:
    return pop3.Server(offer=EVERYTHING, trace=trace)


def answer(server: pop3.Server, event: object) -> None:
    """A maildrop with one message for whoever gives the password "secret"."""
    match event:
        case pop3.PAUSED:
            if server.state is pop3.State.GREETING:
                server.accept()
        case pop3.Pass("secret") | pop3.Apop() | pop3.Quit() | pop3.Dele():
            server.send(pop3.Ok())
        case pop3.Auth(_, None):
            server.send(pop3.Challenge(b""))
        case pop3.Pass() | pop3.Auth() | pop3.AuthResponse() | pop3.AuthCancel():
            server.send(pop3.Err("no", pop3.AUTH))
        case pop3.Stat():
            server.send(pop3.DropListing(1, len(MAIL)))
        case pop3.List(None):
            server.send(pop3.Ok())
            server.send(pop3.ScanListings({1: len(MAIL)}))
            server.send(pop3.EndOfListing())
        case pop3.Uidl(None):
            server.send(pop3.Ok())
            server.send(pop3.UniqueIdListings({1: "one"}))
            server.send(pop3.EndOfListing())
        case pop3.List(int(number)):
            server.send(pop3.ScanListing(number, 1))
        case pop3.Uidl(int(number)):
            server.send(pop3.UniqueIdListing(number, "u"))
        case pop3.Retr() | pop3.Top():
            server.send(pop3.Ok())
            server.send(pop3.Body(MAIL))
            server.send(pop3.EndOfMessage())
        case pop3.Lang(None):
            server.send(pop3.Languages((pop3.Language("en", "English"),)))
        case pop3.Lang():
            server.send(pop3.LanguageChanged("en", "done"))
        case pop3.Last():
            server.send(pop3.LastAccessed(0))
        case _:
            server.accept()


SESSION = (
    b"CAPA\r\nUSER mrose\r\nPASS secret\r\nSTAT\r\nLIST\r\nLIST 1\r\nUIDL\r\nRETR 1\r\n"
    b"TOP 1 0\r\nnope\r\nRETR x\r\nDELE 1\r\nNOOP\r\nRSET\r\nQUIT\r\nNOOP\r\n"
)

ASKED: tuple[pop3.Command, ...] = (
    pop3.Stat(),
    pop3.List(),
    pop3.List(1),
    pop3.Retr(1),
    pop3.Uidl(),
    pop3.Lang(),
    pop3.Top(1, 5),
    pop3.Noop(),
    pop3.Quit(),
)

RESPONSES = (
    b"+OK 2 320\r\n"
    b"+OK scan listing follows\r\n1 120\r\n2 200 more\r\n3  7\r\nodd\r\n"
    b"12345678901 1\r\n4 9\r\n.\r\n"
    b"+OK 1 120\r\n"
    b"+OK message\r\nSubject: x\r\n\r\n..dot\r\nbare\nlf\r\n...\r\n.\r\n"
    b"+OK\r\n1 whqtswO00WBw418f9t5JxYwZ\r\n2 with space\r\n.\r\n"
    b"+OK\r\nen English\r\n.\r\n"
    b"+OK\r\n.\r\n"
    b"-ERR [SYS/TEMP] no\r\n"
    b"+OK bye\r\n"
)


def make_client(
    asked: tuple[pop3.Command, ...] = ASKED, limits: pop3.POP3ClientLimits | None = None
) -> pop3.Client:
    """A client in TRANSACTION that has sent every command of `asked`."""
    client = pop3.Client(limits=limits)
    client.receive_data(b"+OK ready\r\n")
    client.next_event()
    login: list[tuple[pop3.Command, bytes]] = [
        (pop3.Capa(), b"+OK\r\nPIPELINING\r\nUTF8 USER\r\n.\r\n"),
        (pop3.User("mrose"), b"+OK\r\n"),
        (pop3.Pass("secret"), b"+OK\r\n"),
    ]
    for command, reply in login:
        client.send(command)
        client.receive_data(reply)
        client.next_event()
    for command in asked:
        client.send(command)
    return client


def silent(machine: object, event: object) -> None:
    """Say nothing."""


def cancel(client: pop3.Client, event: object) -> None:
    if event is pop3.PAUSED:
        client.send(pop3.AuthCancel())


# ------------------------------------------------------------------------------------------ P01


@pytest.mark.parity("pop3-client sans-IO", "pop3-server sans-IO")
def test_P01_chop_invariance_of_a_server_session() -> None:
    whole = assert_chop_invariant(make_server, SESSION, answer)
    assert whole.events[-1] == pop3.Quit()
    assert whole.output.count(b"-ERR") == 2


@pytest.mark.parity("pop3-client sans-IO")
def test_P01_chop_invariance_of_a_client_session() -> None:
    whole = assert_chop_invariant(make_client, RESPONSES, silent)
    assert whole.error is None
    assert pop3.EndOfMessage(bare_newline=25) in whole.events
    assert pop3.Unparsed(b"odd", "not two numbers") in whole.events
    assert whole.events[-1] == pop3.Ok("bye")
    assert whole.state["quirks"] == {
        pop3.Quirk.SPACING,
        pop3.Quirk.UNIQUE_ID,
        pop3.Quirk.BARE_NEWLINE,
    }


@given(strategies.command_lines, st.integers(0, 99))
def test_P01_P11_any_octets_at_the_server(data: bytes, seed: int) -> None:
    whole = outcome(make_server, [data], answer)
    assert outcome(make_server, random_cuts(data, seed), answer) == whole
    assert outcome(make_server, octets(data), answer) == whole
    assert outcome(lambda: make_server(lambda side, line: None), [data], answer) == whole


@given(strategies.response_lines, st.integers(0, 99))
def test_P01_P11_any_octets_at_the_client(data: bytes, seed: int) -> None:
    whole = outcome(make_client, [data], silent)
    assert outcome(make_client, random_cuts(data, seed), silent) == whole
    assert outcome(make_client, octets(data), silent) == whole


def test_a_listing_that_names_a_message_twice_loses_neither_line() -> None:
    client = make_client((pop3.List(), pop3.Uidl()))
    client.receive_data(b"+OK\r\n1 10\r\n2 20\r\n1 30\r\n.\r\n+OK\r\n1 a\r\n1 b\r\n.\r\n")
    assert list(iter(client.next_event, pop3.NEED_DATA)) == [
        pop3.Ok(),
        pop3.ScanListings({1: 10}),
        pop3.ScanListings({2: 20}),
        pop3.ScanListings({1: 30}),
        pop3.EndOfListing(),
        pop3.Ok(),
        pop3.UniqueIdListings({1: "a"}),
        pop3.UniqueIdListings({1: "b"}),
        pop3.EndOfListing(),
    ]


@given(strategies.response_lines, st.integers(0, 99))
def test_P01_P11_any_octets_at_a_client_that_logs_in(data: bytes, seed: int) -> None:
    def make() -> pop3.Client:
        client = pop3.Client()
        client.receive_data(b"+OK\r\n")
        client.next_event()
        client.send(pop3.Auth("PLAIN"))
        return client

    whole = outcome(make, [data], cancel)
    assert outcome(make, random_cuts(data, seed), cancel) == whole
    assert outcome(make, octets(data), cancel) == whole


# ------------------------------------------------------------------------------------ P03, P04


@pytest.mark.parity("pop3-client dot transparency", "pop3-server dot transparency")
@given(strategies.messages, st.lists(st.integers(1, 9), max_size=4))
def test_P03_the_server_sends_any_content_as_one_message(data: bytes, sizes: list[int]) -> None:
    def send(server: pop3.Server, event: object) -> None:
        if isinstance(event, pop3.Retr):
            server.send(pop3.Ok())
            for piece in sized(data, sizes[0]) if sizes else [data]:
                server.send(pop3.Body(piece))
            server.send(pop3.EndOfMessage())
        else:
            answer(server, event)

    link = Link(pop3.Client(), make_server(), on_server=send, sizes=sizes)
    link.pump()
    for command in (pop3.User("a"), pop3.Pass("secret"), pop3.Retr(1), pop3.Noop()):
        link.client.send(command)
        link.pump()
    content, end, last = list(joined(link.client_events))[-3:]
    expected = data if data.endswith(b"\r\n") or not data else data + b"\r\n"
    assert last == pop3.Ok()
    assert isinstance(end, pop3.EndOfMessage)
    assert (end.bare_newline is not None) == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", expected))
    if data:
        assert content == pop3.Body(expected)


HOSTILE = ["a\r\nQUIT", "a\n", "a\r", "\0", "a\x0b", "\x7f", "", "\x1b[2J", "\ud800", "x" * 300]


@pytest.mark.parity("pop3-client arguments cannot inject", "pop3-server arguments cannot inject")
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize(
    "make",
    [
        pop3.User,
        pop3.Pass,
        pytest.param(lambda text: pop3.Apop(text, "0" * 32), id="Apop name"),
        pytest.param(lambda text: pop3.Apop("a", text), id="Apop digest"),
        pop3.Auth,
        pop3.Lang,
    ],
)
def test_P04_no_argument_leaves_its_field(make: type[pop3.User], text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        serialize_command(make(text))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("number", [0, -1, 2**32])
@pytest.mark.parametrize("make", [pop3.Retr, pop3.Dele, pop3.List, pop3.Uidl])
def test_P04_no_message_number_out_of_bounds(make: type[pop3.Retr], number: int) -> None:
    with pytest.raises(LocalProtocolError):
        serialize_command(make(number))


@given(strategies.commands)
def test_P04_P18_a_command_is_one_line_and_comes_back(command: pop3.Command) -> None:
    try:
        line = serialize_command(command)
    except LocalProtocolError as error:
        assert "octets, over 255" in str(error)  # noqa: PT017
        return
    assert line.endswith(b"\r\n")
    assert not re.search(rb"[\r\n\0]", line[:-2])
    assert len(line) <= 255
    assert parse_command(line[:-2]) == command


# ------------------------------------------------------------------------------------------ P05


def test_P05_nothing_survives_stls_at_the_server() -> None:
    server = make_server()
    server.accept()
    fresh = pop3.Server(offer=EVERYTHING, tls=True)
    fresh.accept()
    server.receive_data(b"BAD\r\nUSER mrose\r\nPASS wrong\r\nUSER mrose\r\nSTLS\r\n")
    events: list[object] = []
    drain(server, answer, events, [])
    assert isinstance(events[-1], pop3.Stls)
    assert server.awaiting_tls
    assert server.next_event() is pop3.PAUSED
    server.start_tls()
    assert properties(server) == properties(fresh)
    server.receive_data(b"PASS secret\r\n")
    assert isinstance(server.next_event(), pop3.Invalid)


def test_P05_nothing_survives_stls_at_the_client() -> None:
    client = pop3.Client(apop=True)
    client.receive_data(b"+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n")
    client.next_event()
    client.send(pop3.Capa())
    client.receive_data(b"+ok\r\nPIPELINING\r\n.\r\n")
    client.next_event()
    assert client.capabilities is not None
    client.send(pop3.Stls())
    client.receive_data(b"+OK\r\n")
    client.next_event()
    client.start_tls()
    fresh = pop3.Client(apop=True, tls=True)
    fresh.receive_data(b"+OK ready\r\n")
    fresh.next_event()
    assert properties(client) == properties(fresh)


@pytest.mark.parametrize("before", [True, False])
def test_P05_plaintext_behind_stls_is_an_error(before: bool) -> None:
    server = make_server()
    server.accept()
    server.receive_data(b"STLS\r\n" + (b"USER mrose\r\n" if before else b""))
    server.next_event()
    server.accept()
    if not before:
        assert server.next_event() is pop3.PAUSED
        server.receive_data(b"USER mrose\r\n")
    server.data_to_send()
    if before:
        server.start_tls()
        assert not server.tls
    with pytest.raises(RemoteProtocolError, match="plaintext"):
        server.next_event()
    client = pop3.Client()
    client.receive_data(b"+OK\r\n")
    client.next_event()
    client.send(pop3.Stls())
    client.receive_data(b"+OK\r\n+OK injected\r\n")
    client.next_event()
    with pytest.raises(RemoteProtocolError, match="plaintext"):
        client.next_event()


# ------------------------------------------------------------------------------- P08, P09, P10


def peak(machine: pop3.Client | pop3.Server, chunk: bytes, count: int) -> int:
    """The most memory that an endless input makes a machine hold."""
    tracemalloc.start()
    try:
        for _ in range(count):
            machine.receive_data(chunk)
            try:
                while machine.next_event() not in (pop3.NEED_DATA, pop3.PAUSED):
                    pass
            except RemoteProtocolError:
                pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_P08_a_client_without_line_ends_makes_the_server_hold_little() -> None:
    server = make_server()
    server.accept()
    assert peak(server, b"x" * 100, 5000) < 64 * 1024
    assert server.failed


@pytest.mark.parity("pop3-client streamed messages")
@pytest.mark.parametrize(
    ("command", "chunk"),
    [
        (pop3.Noop(), b"x" * 1000),
        (pop3.Capa(), b"X-CAPABILITY\r\n" * 50),
        (pop3.Lang(), b"en English\r\n" * 50),
        (pop3.List(), b"1 1\r\n" * 200),
        (pop3.List(), b"odd\r\n" * 200),
        (pop3.Uidl(), b"x" * 1000),
        (pop3.Retr(1), b"x" * 1000),
    ],
)
def test_P08_an_endless_answer_makes_the_client_hold_little(
    command: pop3.Command, chunk: bytes
) -> None:
    client = make_client((command,))
    client.receive_data(b"+OK\r\n")
    assert peak(client, chunk, 600) < 400 * 1024


@pytest.mark.parametrize(
    ("limits", "asked", "data", "words"),
    [
        (pop3.POP3ClientLimits(listing_lines=3), pop3.List(), b"1 1\r\n" * 4, "more than 3 lines"),
        (pop3.POP3ClientLimits(listing_lines=3), pop3.Uidl(), b"1 a\r\n" * 4, "more than 3 lines"),
        (pop3.POP3ClientLimits(response_line=99), pop3.List(), b"1 1" + b"x" * 99, "99 octets"),
        (
            pop3.POP3ClientLimits(response_line=99),
            pop3.List(),
            b"1\r\n2 2" + b"x" * 99 + b"\r\n",
            "99 octets",
        ),
        (pop3.POP3ClientLimits(capabilities=99), pop3.Capa(), b"XYZ\r\n" * 30, "99 octets"),
    ],
)
def test_P08_P13_limits_are_final_however_the_input_is_cut(
    limits: pop3.POP3ClientLimits, asked: pop3.Command, data: bytes, words: str
) -> None:
    def make() -> pop3.Client:
        return make_client((asked, pop3.Noop()), limits)

    whole = assert_chop_invariant(make, b"+OK\r\n" + data + b"\r\n.\r\n+OK\r\n", silent)
    assert whole.error is not None
    assert words in whole.error
    assert pop3.Ok() not in whole.events[1:]


@pytest.mark.parametrize("size", [1, 1448, 10**9])
@pytest.mark.parametrize(
    ("asked", "unit"),
    [
        (pop3.List(), b"1 1\r\n"),
        (pop3.Uidl(), b"1 odd id\r\n"),
        (pop3.Retr(1), b".\r"),
        (pop3.Retr(1), b"\r\n..\r\n"),
        (pop3.Retr(1, 2**31), b"\r\n..\r\n"),
    ],
)
def test_P09_time_is_linear_in_the_octets(asked: pop3.Command, unit: bytes, size: int) -> None:
    def answer(octets: int) -> Callable[[], None]:
        machine = make_client((asked,))
        chunks = sized(b"+OK\r\n" + unit * (octets // len(unit)), size)

        def feed() -> None:
            for chunk in chunks:
                machine.receive_data(chunk)
                while machine.next_event() not in (pop3.NEED_DATA, pop3.PAUSED):
                    pass

        return feed

    assert_linear(answer, 8_000 if size == 1 else 60_000)


# ------------------------------------------------------------------------------- P12, P13, P14


def malformed() -> Iterator[tuple[pop3.Command, bytes]]:
    for line in (b"+OK", b"+OK x", b"+OK 1", b"+OK -1 2", b"+OK 1 2x", b"+OK \xd9\xa1 1"):
        yield pop3.Stat(), line
        yield pop3.List(1), line
    yield pop3.Uidl(1), b"+OK a"
    yield pop3.Uidl(1), b"+OK 0 a"
    yield pop3.List(1), b"+OK 2 120"
    yield pop3.Uidl(1), b"+OK 2 a"
    yield pop3.Lang("en"), b"+OK *"
    yield pop3.Last(), b"+OK none"


@pytest.mark.parametrize(("command", "line"), [*malformed()])
def test_P12_a_malformed_answer_is_reported_and_the_session_goes_on(
    command: pop3.Command, line: bytes
) -> None:
    client = make_client((command, pop3.Noop()))
    client.receive_data(line + b"\r\n+OK\r\n")
    event = client.next_event()
    assert isinstance(event, pop3.Unparsed)
    assert event.line == line[4:]
    assert client.next_event() == pop3.Ok()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" NOOP",
        b"XYZZY",
        b"NOOP x",
        b"RETR",
        b"RETR 0",
        b"RETR +1",
        b"RETR -1",
        b"RETR 1_0",
        b"RETR \xd9\xa1",
        b"RETR 1 2",
        b"RETR 0x1",
        b"RETR 1.0",
        b"RETR 4294967296",
        b"RETR " + b"9" * 400,
        b"TOP 1",
        b"TOP 1 -1",
        b"TOP 1 2 3",
        b"LIST one",
        b"NOOP\0",
        b"NOOP\x0b",
        b"NO\rOP",
        b"NO\nOP",
        b"NOOP\xc2\x85",
    ],
)
def test_P12_P17_P25_a_malformed_command_is_answered_and_the_session_goes_on(line: bytes) -> None:
    server = make_server()
    server.accept()
    server.receive_data(b"APOP a " + b"0" * 32 + b"\r\n")
    server.next_event()
    server.send(pop3.Ok())
    server.data_to_send()
    server.receive_data(line + b"\r\nNOOP\r\n")
    event = server.next_event()
    assert isinstance(event, pop3.Invalid)
    assert event.line == line
    server.accept()
    assert server.next_event() == pop3.Noop()
    server.accept()
    assert re.fullmatch(rb"-ERR [ -~]+\r\n\+OK\r\n", server.data_to_send())


def test_P13_errors_of_the_client_are_counted_and_final() -> None:
    server = pop3.Server(limits=pop3.POP3ServerLimits(errors=3))
    server.accept()
    server.receive_data(b"BAD\r\n" * 4 + b"CAPA\r\n")
    for _ in range(3):
        assert isinstance(server.next_event(), pop3.Invalid)
        server.accept()
    with pytest.raises(RemoteProtocolError) as caught:
        server.next_event()
    server.data_to_send()
    assert isinstance(caught.value.hint, pop3.Err)
    server.send(caught.value.hint)
    assert server.data_to_send() == b"-ERR too many errors\r\n"
    with pytest.raises(LocalProtocolError):
        server.send(caught.value.hint)
    server.receive_data(b"CAPA\r\n")
    with pytest.raises(RemoteProtocolError):
        server.next_event()


@pytest.mark.parametrize("cut", [1, 100, 10**6])
def test_P13_a_line_that_is_too_long_is_final(cut: int) -> None:
    server = pop3.Server()
    server.accept()
    with pytest.raises(RemoteProtocolError, match="512") as caught:
        for chunk in sized(b"USER " + b"x" * 600 + b"\r\nCAPA\r\n", cut):
            server.receive_data(chunk)
            while server.next_event() is not pop3.NEED_DATA:
                server.accept()
    assert caught.value.hint == pop3.Err("line too long")
    assert "xxx" not in str(caught.value)


def test_P14_P26_refused_logins_are_counted_and_end_the_connection() -> None:
    server = make_server()
    whole = outcome(lambda: server, [b"USER a\r\nPASS b\r\n" * 9], answer)
    assert whole.error == "3 logins have failed"
    assert whole.output.count(b"-ERR [AUTH]") == 3
    assert server.user is None


def test_P26_a_maildrop_in_use_is_no_failed_login() -> None:
    server = make_server()
    server.accept()
    for _ in range(5):
        server.receive_data(b"USER a\r\nPASS b\r\n")
        server.next_event()
        server.accept()
        server.next_event()
        server.send(pop3.Err("in use", pop3.IN_USE))
    assert server.failed_authentications == 0
    assert server.next_event() is pop3.NEED_DATA


# ------------------------------------------------------------------------------------ P15, P16


@pytest.mark.parity("pop3-server arguments cannot inject")
@given(st.text(max_size=20))
@example("x\r\n2 y")
def test_P15_no_text_makes_a_second_line(text: str) -> None:
    items: list[pop3.ServerItem] = [
        pop3.Ok(text),
        pop3.Err(text),
        pop3.Err("x", pop3.ResponseCode(text)),
        pop3.Capabilities(implementation=text),
        pop3.Capabilities(other=(text,)),
        pop3.Languages((pop3.Language(text),)),
        pop3.Languages((pop3.Language("en", text),)),
        pop3.LanguageChanged("en", text),
        pop3.UniqueIdListing(1, text),
    ]
    asked = [b"NOOP", b"NOOP", b"NOOP", b"CAPA", b"CAPA", b"LANG", b"LANG", b"LANG en", b"UIDL 1"]
    for line, item in zip(asked, items, strict=True):
        server = make_server()
        server.accept()
        server.receive_data(b"APOP a " + b"0" * 32 + b"\r\n" + line + b"\r\n")
        server.next_event()
        server.send(pop3.Ok())
        server.next_event()
        server.data_to_send()
        try:
            server.send(item)
        except LocalProtocolError:
            assert server.data_to_send() == b""
        else:
            said = server.data_to_send()
            lines = 3 if isinstance(item, pop3.Capabilities | pop3.Languages) else 1
            assert said.count(b"\n") == said.count(b"\r") == lines


CANARY = "canary-Secret_77"


def test_P16_secrets_are_in_no_repr_error_or_trace() -> None:
    seen: list[tuple[str, bytes]] = []
    server = pop3.Server(
        offer=EVERYTHING,
        trace=lambda side, line: seen.append((side, line)),
        limits=pop3.POP3ServerLimits(failed_authentications=99, errors=99),
    )
    server.accept()
    encoded = b"Y2FuYXJ5LVNlY3JldF83Nw=="
    lines = [
        b"USER mrose",
        b"PASS " + CANARY.encode(),
        b"AUTH PLAIN " + encoded,
        b"AUTH PLAIN",
        encoded,
        b"PASS " + CANARY.encode(),
        b"PSAS " + CANARY.encode(),
        CANARY.encode(),
        encoded,
        b"APOP mrose " + b"c" * 32,
        b"AUTH " + CANARY.encode() + b" ?",
        b"RETR " + CANARY.encode(),
    ]
    reprs: list[str] = []
    for line in lines:
        server.receive_data(line + b"\r\n")
        event = server.next_event()
        reprs.append(repr(event))
        answer(server, event)
    output = [repr(seen), repr(reprs), repr(server.data_to_send())]
    server.receive_data(CANARY.encode() * 2000)
    with pytest.raises(RemoteProtocolError) as caught:
        server.next_event()
    output.append(str(caught.value) + repr(caught.value.hint))

    traced: list[bytes] = []
    client = pop3.Client(trace=lambda side, line: traced.append(line), apop=True)
    client.receive_data(b"+OK <a@b>\r\n")
    client.next_event()
    secret: list[pop3.Command] = [
        pop3.Apop("a", "c" * 32),
        pop3.Auth("PLAIN", CANARY.encode()),
        pop3.User("a"),
        pop3.Pass(CANARY),
    ]
    for command in secret:
        client.send(command)
        reprs.append(repr(command))
        client.receive_data(b"-ERR no\r\n" if not isinstance(command, pop3.User) else b"+OK\r\n")
        client.next_event()
    for bad in (CANARY + "\n", CANARY + "\ud800", CANARY * 30):
        client.send(pop3.User("a"))
        client.receive_data(b"+OK\r\n")
        client.next_event()
        with pytest.raises(LocalProtocolError) as refused:
            client.send(pop3.Pass(bad))
        output.append(str(refused.value))
    output += [repr(traced), repr(reprs)]
    for text in output:
        assert CANARY not in text
        assert encoded.decode()[:12] not in text
        assert "c" * 32 not in text
    assert ("C", b"PASS <hidden>") in seen
    assert ("C", b"USER mrose") in seen


# ------------------------------------------------------------------------------------ P18, P21


@pytest.mark.parity("pop3-client typed responses", "pop3-server typed responses")
@given(strategies.single_answers, st.integers(1, 50))
def test_P18_answers_come_back_as_they_were(
    pair: tuple[pop3.Command, pop3.Answer], size: int
) -> None:
    command, item = pair
    server = make_server()
    server.accept()
    server.receive_data(b"APOP a " + b"0" * 32 + b"\r\n" + serialize_command(command))
    server.next_event()
    server.send(pop3.Ok())
    assert server.next_event() == command
    server.data_to_send()
    server.send(item)
    said = server.data_to_send()
    found = outcome(lambda: make_client((command,)), sized(said, size), silent)
    assert found.error is None
    assert found.events == (item,)


@given(strategies.listings, st.integers(1, 50))
def test_P18_listings_come_back_as_they_were(
    pair: tuple[pop3.Command, tuple[pop3.ScanListings | pop3.UniqueIdListings, ...]], size: int
) -> None:
    command, pieces = pair

    def send(server: pop3.Server, event: object) -> None:
        if event == command:
            for item in (pop3.Ok(), *pieces, pop3.EndOfListing()):
                server.send(item)
        else:
            answer(server, event)

    link = Link(pop3.Client(), make_server(), on_server=send, sizes=[size])
    link.pump()
    for item in (pop3.User("a"), pop3.Pass("secret"), command):
        link.client.send(item)
        link.pump()
    entries = dict(itertools.chain.from_iterable(piece.entries.items() for piece in pieces))
    events = list(joined(link.client_events))
    assert events[-1] == pop3.EndOfListing()
    if entries:
        assert events[-2] == type(pieces[0])(entries)  # type: ignore[arg-type]  # same kind


@pytest.mark.parametrize("left", [(), (1,), (1000,), (1001, 2500)])
def test_P18_unique_ids_are_those_of_their_numbers(left: tuple[int, ...]) -> None:
    entries = {number: f"<{number}>" for number in range(1, 3010) if number not in left}
    lines = "".join(f"{number} {unique_id}\r\n" for number, unique_id in entries.items())
    found = outcome(
        lambda: make_client((pop3.Uidl(),)), [b"+OK\r\n%s.\r\n" % lines.encode()], silent
    )
    assert found.events[1:] == (pop3.UniqueIdListings(entries), pop3.EndOfListing())


def test_P21_truncation_is_never_success() -> None:
    whole = outcome(make_client, [RESPONSES], silent, eof=False)
    for length in range(len(RESPONSES)):
        cut = outcome(make_client, [RESPONSES[:length]], silent)
        assert cut.error is not None
        ends = (pop3.EndOfMessage, pop3.EndOfListing, pop3.Languages, pop3.DropListing)
        complete = [event for event in cut.events if isinstance(event, ends)]
        assert complete == [e for e in whole.events if isinstance(e, ends)][: len(complete)]
        assert "the connection ended" in cut.error


# ------------------------------------------------------------------------------------ P25, P27


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r", b"\x0b", b"\x0c", b"\x85", b"\0\n"])
def test_P25_only_crlf_ends_a_line(end: bytes) -> None:
    server = make_server()
    server.accept()
    server.receive_data(b"CAPA" + end + b"QUIT" + end)
    assert server.next_event() is pop3.NEED_DATA
    client = make_client((pop3.Noop(),))
    client.receive_data(b"+OK" + end + b"+OK" + end)
    assert client.next_event() is pop3.NEED_DATA


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r", b".\r\n."])
def test_P25_only_crlf_dot_crlf_ends_a_message(end: bytes) -> None:
    client = make_client((pop3.Retr(1),))
    client.receive_data(b"+OK\r\ntext" + end + b"more\r\n")
    events = []
    while (event := client.next_event()) is not pop3.NEED_DATA:
        events.append(event)
    assert [type(event) for event in joined(events)] == [pop3.Ok, pop3.Body]


@pytest.mark.parametrize(
    "data", [b"+OK\r\n", b"-ERR shutting down\r\n", b"x\r\n", b".\r\n", b"+ \r\n"]
)
def test_P27_a_response_that_nothing_waits_for_is_an_error(data: bytes) -> None:
    whole = assert_chop_invariant(lambda: make_client(()), data, silent)
    assert whole.error is not None
    assert "no command waits" in whole.error
    early = make_client(())
    early.receive_data(data)
    early.send(pop3.Noop())
    early.receive_data(b"+OK\r\n")
    with pytest.raises(RemoteProtocolError, match="no command waits"):
        early.next_event()


@pytest.mark.parametrize("line", [b"", b"OK", b"*", b"220 ready", b"+ Y2hh", b"* OK IMAP4", b"+O"])
def test_P27_a_line_without_a_status_is_an_error(line: bytes) -> None:
    whole = assert_chop_invariant(lambda: make_client((pop3.Noop(),)), line + b"\r\n", silent)
    assert whole.error is not None
    assert repr(line) in whole.error
    greeting = assert_chop_invariant(pop3.Client, line + b"\r\n", silent)
    assert greeting.error is not None


# ------------------------------------------------------------------------------------ P20, P29


@pytest.mark.parametrize(
    ("command", "data", "quirk", "expected"),
    [
        (pop3.Noop(), b"+ok fine", pop3.Quirk.STATUS_SPELLING, pop3.Ok("fine")),
        (pop3.Noop(), b"+OKfine", pop3.Quirk.STATUS_SPELLING, pop3.Ok("fine")),
        (pop3.Noop(), b"-err", pop3.Quirk.STATUS_SPELLING, pop3.Err()),
        (pop3.Noop(), b"+OK " + b"x" * 600, pop3.Quirk.LONG_LINE, pop3.Ok("x" * 600)),
        (pop3.List(1), b"+OK 1\t120", pop3.Quirk.SPACING, pop3.ScanListing(1, 120)),
        (pop3.Stat(), b"+OK 2  320", pop3.Quirk.SPACING, pop3.DropListing(2, 320)),
        (pop3.Stat(), b"+OK 2 320 octets", None, pop3.DropListing(2, 320)),
        (pop3.List(1), b"+OK 1 120 octets", None, pop3.ScanListing(1, 120)),
        (
            pop3.Uidl(1),
            b"+OK 1 " + b"x" * 80,
            pop3.Quirk.UNIQUE_ID,
            pop3.UniqueIdListing(1, "x" * 80),
        ),
        (
            pop3.Uidl(1),
            b"+OK 1 a b\xe9",
            pop3.Quirk.UNIQUE_ID,
            pop3.UniqueIdListing(1, "a b\xe9"),
        ),
        (pop3.Capa(), b"-ERR what", pop3.Quirk.NO_CAPA, pop3.Err("what")),
        (pop3.Uidl(), b"-ERR what", pop3.Quirk.NO_UIDL, pop3.Err("what")),
        (
            pop3.Capa(),
            b"+OK\r\nEXPIRE soon\r\nLOGIN-DELAY -1\r\n.",
            pop3.Quirk.CAPABILITY_SYNTAX,
            pop3.Capabilities(other=("EXPIRE soon", "LOGIN-DELAY -1")),
        ),
        (pop3.Noop(), b"+OK caf\xe9", None, pop3.Ok("caf\\xe9")),
    ],
)
def test_P20_quirks_are_met_and_reported(
    command: pop3.Command, data: bytes, quirk: pop3.Quirk | None, expected: object
) -> None:
    client = make_client((command,))
    client.receive_data(data + b"\r\n")
    assert client.next_event() == expected
    assert client.quirks == (frozenset() if quirk is None else {quirk})


def test_P20_a_challenge_without_its_space_is_an_empty_one() -> None:
    client = pop3.Client()
    client.receive_data(b"+OK\r\n")
    client.next_event()
    client.send(pop3.Auth("PLAIN"))
    client.receive_data(b"+\r\n")
    assert client.next_event() == pop3.Challenge(b"")
    assert client.quirks == {pop3.Quirk.CHALLENGE_SPACE}


@pytest.mark.parity("pop3-client lines of real mail", "pop3-server lines of real mail")
def test_P29_commands_of_255_octets_and_responses_of_12288_are_taken() -> None:
    server = make_server()
    server.accept()
    server.receive_data(b"USER " + b"x" * 248 + b"\r\n")
    assert server.next_event() == pop3.User("x" * 248)
    server.accept()
    server.receive_data(b"AUTH PLAIN " + b"QUFB" * 3000 + b"\r\n")
    assert server.next_event() == pop3.Auth("PLAIN", b"AAA" * 3000)
    server.send(pop3.Challenge(b""))
    server.receive_data(b"QUFB" * 3071 + b"\r\n")
    assert server.next_event() == pop3.AuthResponse(b"AAA" * 3071)
    client = pop3.Client()
    client.receive_data(b"+OK " + b"x" * 506 + b"\r\n")
    assert client.next_event() == pop3.Greeting("x" * 506)
    assert client.quirks == frozenset()
