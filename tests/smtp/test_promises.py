"""Properties of both machines: every cutting, any octets, agreement, bounded memory and time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.serialize import serialize_command, serialize_reply
from mailproto.testing import Link, assert_chop_invariant
from mailproto.testing.growth import assert_linear
from mailproto.testing.strategies import smtp as strategies

policies = st.sampled_from(smtp.BareNewlines)
SMALL = smtp.SMTPServerLimits(
    command_line=64, authentication_line=96, content=48, recipients=2, errors=4
)


def accept(server: smtp.Server, event: object) -> None:
    if isinstance(event, smtp.Auth | smtp.AuthResponse):
        data = event.data if isinstance(event, smtp.AuthResponse) else event.initial_response
        server.send(smtp.Challenge(b"x") if data is None else smtp.Reply(535, "no"))
    elif not isinstance(event, smtp.Body | smtp.RepairedLine):
        server.accept()


def make_server(
    policy: smtp.BareNewlines, lmtp: bool, limits: smtp.SMTPServerLimits
) -> smtp.Server:
    return smtp.Server(
        "mx.example",
        lmtp=lmtp,
        offer=smtp.Offer(
            starttls=True,
            mechanisms=("PLAIN", "LOGIN"),
            insecure_auth=True,
        ),
        bare_newlines=policy,
        limits=limits,
    )


session_pieces = st.lists(
    st.one_of(
        strategies.command_lines.map(lambda line: line + b"\r\n"),
        st.just(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        st.just(b"LHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"),
        st.just(b"\r\n.\r\n"),
        st.sampled_from([b"\n.\n", b"\r.\r", b"\r\n..\r\n", b".", b"\r", b"\n"]),
        strategies.contents,
    ),
    max_size=10,
).map(b"".join)


@given(session_pieces, policies, st.booleans(), st.booleans())
def test_P01_P11_server_chop_invariance(
    data: bytes, policy: smtp.BareNewlines, lmtp: bool, small: bool
) -> None:
    limits = SMALL if small else smtp.SMTPServerLimits()
    assert_chop_invariant(lambda: make_server(policy, lmtp, limits), data, accept)


@given(st.binary(max_size=200))
def test_P11_any_octets_are_events_or_a_protocol_error(data: bytes) -> None:
    assert_chop_invariant(lambda: make_server(smtp.BareNewlines.REJECT, False, SMALL), data, accept)


reply_pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"220 mx\r\n",
                b"250 ok\r\n",
                b"250-mx\r\n250-PIPELINING\r\n250 SIZE 9\r\n",
                b"354 go\r\n",
                b"550 no\r\n",
                b"421 bye\r\n",
                b"334 YQ==\r\n",
                b"250-x\r\n",
                b"250 2.0.0 ok\r\n",
                b"221 bye\r\n",
                b"25",
                b"\r\n",
            ]
        ),
        strategies.replies().map(serialize_reply),
        st.binary(max_size=12),
    ),
    max_size=12,
).map(b"".join)


class Talker:
    """A client's application: the next command of a list after each reply, if it is legal."""

    def __init__(self, commands: list[smtp.Command]) -> None:
        self.commands = commands

    def __call__(self) -> Callable[[smtp.Client, object], None]:
        waiting = list(self.commands)

        def answer(machine: smtp.Client, _: object) -> None:
            while waiting and machine.pending < 3:
                try:
                    machine.send(waiting.pop(0))
                except LocalProtocolError:
                    return

        return answer


PLOT: list[smtp.Command] = [
    smtp.Ehlo("a"),
    smtp.Mail(smtp.NULL_PATH),
    smtp.Rcpt(smtp.POSTMASTER),
    smtp.Data(),
    smtp.Body(b"x"),
    smtp.EndOfMessage(),
    smtp.Quit(),
]


@given(reply_pieces)
def test_P01_P11_client_chop_invariance(data: bytes) -> None:
    # What the client sends depends on when replies arrive, so it has sent all before the first.
    def make() -> smtp.Client:
        machine = smtp.Client()
        machine.receive_data(b"220 mx\r\n")
        machine.next_event()
        machine.send(smtp.Ehlo("a"))
        machine.receive_data(b"250-mx\r\n250-PIPELINING\r\n250 SIZE 9\r\n")
        machine.next_event()
        for command in PLOT[1:4]:
            machine.send(command)
        return machine

    assert_chop_invariant(make, data, lambda machine, event: None)


@given(reply_pieces, st.booleans())
def test_P11_P27_a_random_server_is_followed_or_refused(data: bytes, lmtp: bool) -> None:
    machine = smtp.Client(lmtp=lmtp)
    hello = smtp.Lhlo("a") if lmtp else smtp.Ehlo("a")
    answer = Talker([hello, *PLOT[1:]])()
    machine.receive_data(data)
    machine.receive_data(b"")
    try:
        while not isinstance(event := machine.next_event(), smtp.ConnectionClosed):
            assert isinstance(event, smtp.Reply | smtp.Challenge)
            answer(machine, event)
    except RemoteProtocolError:
        assert machine.failed


@st.composite
def conversations(draw: st.DrawFn) -> list[list[smtp.Command]]:
    """Groups of commands that are legal for a client of a server that accepts everything."""
    groups: list[list[smtp.Command]] = [[smtp.Ehlo("client.example")]]
    for _ in range(draw(st.integers(0, 3))):
        # What BINARYMIME adds is in test_chunking.py: it cannot be sent after DATA.
        mails = strategies.mails().filter(lambda m: m.body is not smtp.BodyType.BINARY_MIME)
        group: list[smtp.Command] = [draw(mails)]
        group += draw(st.lists(strategies.rcpts(), min_size=1, max_size=3))
        group.append(smtp.Data())
        content = draw(strategies.contents)
        cut = draw(st.integers(0, len(content)))
        groups += [
            group,
            [smtp.Body(content[:cut]), smtp.Body(content[cut:]), smtp.EndOfMessage()],
            draw(st.sampled_from([[], [smtp.Noop("x")], [smtp.Rset(), smtp.Vrfy("x")]])),
        ]
    return groups


@pytest.mark.parity("smtp-client sans-IO", "smtp-server sans-IO")
@given(conversations(), st.lists(st.integers(1, 40), max_size=4), st.booleans())
def test_P18_the_server_sees_what_the_client_has_sent(
    groups: list[list[smtp.Command]], sizes: list[int], lmtp: bool
) -> None:
    if lmtp:
        groups[0] = [smtp.Lhlo("client.example")]
    offered = {p.keyword for group in groups for c in group if isinstance(c, smtp.Mail | smtp.Rcpt)
               for p in c.parameters}  # fmt: skip
    extension = smtp.Extension(
        "X-ALL", mail_parameters=tuple(offered), rcpt_parameters=tuple(offered)
    )
    server = smtp.Server(
        "mx.example",
        lmtp=lmtp,
        offer=smtp.Offer(mechanisms=("PLAIN",), insecure_auth=True, extensions=(extension,)),
        limits=smtp.SMTPServerLimits(content=2**41),
    )
    link = Link(smtp.Client(lmtp=lmtp), server, on_server=accept, sizes=sizes)
    link.pump()
    sent: list[object] = []
    for group in groups:
        for command in group:
            try:
                if not isinstance(command, smtp.Body | smtp.EndOfMessage):
                    serialize_command(command)
            except smtp.AddressError:
                return
            link.client.send(command)
            if isinstance(command, smtp.Mail) and command.auth is not None:
                # Nobody is believed (P30).
                command = smtp.Mail(
                    command.reverse_path, command.size, command.body, command.smtputf8,
                    smtp.NULL_PATH, command.parameters,
                )  # fmt: skip
            sent.append(command)
        link.pump()
    assert merged(link.server_events) == merged(sent)
    replies = [e for e in link.client_events if isinstance(e, smtp.Reply)]
    assert all(reply.positive for reply in replies)


def merged(events: list[object]) -> list[object]:
    """Pieces of content joined, with the CRLF that a client adds where there was none."""
    result: list[object] = []
    content = b""
    for event in events:
        if isinstance(event, smtp.Body):
            content += event.data
        elif isinstance(event, smtp.EndOfMessage):
            content += b"" if content.endswith(b"\r\n") or not content else b"\r\n"
            result += [content, event]
            content = b""
        elif event not in (smtp.PAUSED, None):
            result.append(event)
    return result


@pytest.mark.parity("smtp-client dot transparency")
@given(st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"\r\n.\r\nQUIT"])), policies)
def test_P03_no_content_reaches_the_server_as_anything_else(
    pieces: list[bytes], policy: smtp.BareNewlines
) -> None:
    if policy is smtp.BareNewlines.PASS:
        return
    link = Link(smtp.Client(bare_newlines=policy), smtp.Server("mx.example"), on_server=accept)
    link.pump()
    for command in (PLOT[0], *PLOT[1:4]):
        link.client.send(command)
        link.pump()
    taken = b""
    for piece in pieces:
        try:
            link.client.send(smtp.Body(piece))
            taken += piece
        except LocalProtocolError:
            assert policy is smtp.BareNewlines.REJECT
    if policy is smtp.BareNewlines.REJECT and taken.endswith(b"\r"):
        link.client.send(smtp.Body(b"\n"))
    link.client.send(smtp.EndOfMessage())
    link.pump()
    kinds = [type(e) for e in link.server_events if not isinstance(e, smtp.Body)]
    assert kinds[-1] is smtp.EndOfMessage
    assert kinds.count(smtp.EndOfMessage) == 1
    assert smtp.Quit not in kinds


# ------------------------------------------------------------------------------- memory and time


@pytest.mark.parity("smtp-server streamed content")
@pytest.mark.parametrize("piece", [b"x" * 1000, b"xy", b"\r\n" + b"x" * 70])
def test_P08_content_passes_through_in_bounded_memory(piece: bytes) -> None:
    server = smtp.Server("mx.example")
    server.accept()
    drive(server, b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    tracemalloc.start()
    try:
        base, _ = tracemalloc.get_traced_memory()
        for _ in range(20_000):
            drive(server, piece)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held - base < 8 * 1024
    assert peak - base < 64 * 1024


@pytest.mark.parametrize(
    "flood",
    [b"x", b"xy", b"RCPT TO:<" + b"x" * 60 + b"@example.com>\r\n", b"NOOP\r\n", b"\r\n.\r\n\n"],
)
def test_P08_an_unauthenticated_peer_fills_no_memory(flood: bytes) -> None:
    server = smtp.Server("mx.example")
    server.accept()
    drive(server, b"EHLO a\r\nMAIL FROM:<a@b>\r\n")
    tracemalloc.start()
    try:
        for _ in range(5000):
            drive(server, flood)
            server.data_to_send()
    except RemoteProtocolError:
        pass
    finally:
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 64 * 1024


def drive(server: smtp.Server, data: bytes) -> None:
    server.receive_data(data)
    while not isinstance(event := server.next_event(), type(smtp.PAUSED) | smtp.ConnectionClosed):
        accept(server, event)


@pytest.mark.parametrize("size", [1, 1448, 65_536])
def test_P09_time_grows_with_the_octets_and_no_faster(size: int) -> None:
    def transaction(octets: int) -> Callable[[], None]:
        wire = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
        wire += (b".line of text\r\n" * (octets // 15)) + b".\r\n"
        server = smtp.Server("mx.example")
        server.accept()

        def feed() -> None:
            for start in range(0, len(wire), size):
                drive(server, wire[start : start + size])

        return feed

    assert_linear(transaction, 10_000 if size == 1 else 500_000)


def test_P09_a_long_line_octet_by_octet() -> None:
    def line(octets: int) -> Callable[[], None]:
        client = smtp.Client()

        def feed() -> None:
            for _ in range(octets):
                client.receive_data(b"2")
                client.next_event()

        return feed

    assert_linear(line, 8_000)


FLOODS = {
    "commands": (b"EHLO a\r\n", b"NOOP x\r\nMAIL FROM:<a@b>\r\nRSET\r\n"),
    "malformed": (b"EHLO a\r\n", b"MAIL FROM:<@\r\n"),
    "recipients": (b"EHLO a\r\nMAIL FROM:<a@b>\r\n", b"RCPT TO:<a@b>\r\n"),
    "chunks": (b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\n", b"BDAT 6\r\na\r\nb\r\n"),
    "a line without end": (b"EHLO a\r\n", b"x"),
}


@pytest.mark.parametrize("size", [1, 1448])
@pytest.mark.parametrize("flood", FLOODS)
def test_P09_floods_at_a_server(flood: str, size: int) -> None:
    before, unit = FLOODS[flood]
    many = 10**9
    limits = smtp.SMTPServerLimits(
        command_line=many,
        authentication_line=many,
        errors=many,
        idle_commands=many,
        recipients=many,
        content=many,
    )

    def feeding(octets: int) -> Callable[[], None]:
        server = smtp.Server("mx.example", limits=limits)
        server.accept()
        drive(server, before)
        wire = unit * (octets // len(unit))

        def feed() -> None:
            for start in range(0, len(wire), size):
                drive(server, wire[start : start + size])
                server.data_to_send()

        return feed

    assert_linear(feeding, 4_000 if size == 1 else 20_000)


@pytest.mark.parametrize("size", [1, 1448])
@pytest.mark.parametrize("unit", [b"250-SIZE 1000 x\r\n", b"250-\r\n"])
def test_P09_a_reply_of_many_lines(unit: bytes, size: int) -> None:
    many = 10**9
    limits = smtp.SMTPClientLimits(reply=many, reply_lines=many)

    def feeding(octets: int) -> Callable[[], None]:
        client = smtp.Client(limits=limits)
        client.receive_data(b"220 x\r\n")
        client.next_event()
        client.send(smtp.Ehlo("a"))
        wire = unit * (octets // len(unit)) + b"250 x\r\n"

        def feed() -> None:
            for start in range(0, len(wire), size):
                client.receive_data(wire[start : start + size])
                client.next_event()

        return feed

    assert_linear(feeding, 4_000 if size == 1 else 20_000)


# ---------------------------------------------------------------------------------------- lines


ENDS = [
    b"\n", b"\r", b"\n\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xc2\x85", b"\0",
    "\u2028".encode(), "\u2029".encode(),
]  # fmt: skip


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_P25_only_crlf_ends_a_line(end: bytes, lmtp: bool) -> None:
    hello = b"LHLO a" if lmtp else b"EHLO a"

    def make() -> smtp.Server:
        return smtp.Server("mx.example", lmtp=lmtp)

    wire = hello + b"\r\nNOOP" + end + b"QUIT" + end
    alone = assert_chop_invariant(make, wire, accept)
    assert alone.error == "the connection was closed inside a line"
    assert len(alone.events) == 1
    # With its CRLF it is one line, and neither command is obeyed.
    whole = assert_chop_invariant(make, wire + b"\r\nNOOP\r\n", accept)
    _, event, noop = whole.events
    assert isinstance(event, smtp.Invalid | smtp.Noop)
    assert isinstance(noop, smtp.Noop)
    assert whole.state["closing"] is False
    assert b"221" not in whole.output
    if isinstance(event, smtp.Invalid):
        assert event.line == b"NOOP" + end + b"QUIT" + end


@pytest.mark.parametrize("end", ENDS)
def test_P25_only_crlf_ends_a_line_of_a_reply(end: bytes) -> None:
    def make() -> smtp.Client:
        client = smtp.Client()
        client.receive_data(b"220 x\r\n")
        client.next_event()
        client.send(smtp.Ehlo("a"))
        return client

    def only_look(client: smtp.Client, event: object) -> None:
        pass

    wire = b"250-mx" + end + b"250 STARTTLS" + end
    alone = assert_chop_invariant(make, wire, only_look)
    assert alone.events == ()
    assert alone.error is not None
    whole = assert_chop_invariant(make, wire + b"\r\n250 HELP\r\n", only_look)
    for event in whole.events:
        assert isinstance(event, smtp.Reply)
        assert len(event.lines) == 2
        assert "HELP" in event.lines[1]
