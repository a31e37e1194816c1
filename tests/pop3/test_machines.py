"""Every state by every command on both machines (docs/pop3.md), and what each refuses to say."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from mailproto import pop3
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3.serialize import serialize_command
from mailproto.testing import Link
from mailproto.testing.chop import properties

DIGEST = "c4c9334bac560ecc979e58001b3e22fb"
TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"
EVERYTHING = pop3.Offer(
    mechanisms=("PLAIN",),
    stls=True,
    insecure_auth=True,
    timestamp=TIMESTAMP,
    last=True,
    utf8=True,
    languages=True,
)

COMMANDS: list[pop3.Command] = [
    pop3.User("mrose"),
    pop3.Pass("secret"),
    pop3.Rpop("mrose"),
    pop3.Apop("mrose", DIGEST),
    pop3.Auth("PLAIN", b"\0a\0b"),
    pop3.Stls(),
    pop3.Utf8(),
    pop3.Capa(),
    pop3.Lang(),
    pop3.Lang("*"),
    pop3.Stat(),
    pop3.List(),
    pop3.List(1),
    pop3.Uidl(),
    pop3.Uidl(1),
    pop3.Retr(1),
    pop3.Top(1, 0),
    pop3.Dele(1),
    pop3.Noop(),
    pop3.Rset(),
    pop3.Last(),
    pop3.Quit(),
]
GUIDE = Path(__file__).parents[2] / "docs" / "pop3.md"


def table() -> dict[tuple[pop3.State, str], str]:
    """What the guide says of each state and each command by its name."""
    text = GUIDE.read_text(encoding="utf-8").split("\n## States\n")[1].split("\n## ")[0]
    rows = [line[1:-1].split("|") for line in text.split("\n") if line.startswith("|")]
    states = [pop3.State[name] for name in rows[0][1:]]
    assert states == list(pop3.State)
    return {
        (state, name): cell
        for name, *row in rows[2:]
        for state, cell in zip(states, row, strict=True)
    }


TABLE = table()
CELLS = [(state, command, TABLE[state, type(command).__name__.upper()])
         for state in pop3.State for command in COMMANDS]  # fmt: skip


def ids(value: object) -> str:
    return repr(value)


def wire(command: pop3.Command) -> bytes:
    """What a client would send, state or not."""
    return serialize_command(command)


def server(state: pop3.State, offer: pop3.Offer = EVERYTHING, **options: object) -> pop3.Server:
    machine = pop3.Server(offer=offer, **options)  # type: ignore[arg-type]  # tests' keywords
    if state is pop3.State.GREETING:
        return machine
    machine.accept()
    if state is not pop3.State.AUTHORIZATION:
        ask(machine, b"APOP mrose %s" % DIGEST.encode())
        machine.send(pop3.Ok())
    if state in (pop3.State.UPDATE, pop3.State.CLOSED):
        ask(machine, b"QUIT")
    if state is pop3.State.CLOSED:
        machine.send(pop3.Ok())
    assert machine.state is state
    machine.data_to_send()
    return machine


def ask(machine: pop3.Server, line: bytes) -> object:
    machine.receive_data(line + b"\r\n")
    return machine.next_event()


def client(state: pop3.State, **options: object) -> pop3.Client:
    machine = pop3.Client(apop=True, **options)  # type: ignore[arg-type]  # tests' keywords
    if state is pop3.State.GREETING:
        return machine
    hear(machine, b"+OK ready " + TIMESTAMP.encode())
    if state is not pop3.State.AUTHORIZATION:
        machine.send(pop3.Apop("mrose", DIGEST))
        hear(machine, b"+OK")
    if state in (pop3.State.UPDATE, pop3.State.CLOSED):
        machine.send(pop3.Quit())
    if state is pop3.State.CLOSED:
        hear(machine, b"+OK")
    assert machine.state is state
    machine.data_to_send()
    return machine


def hear(machine: pop3.Client, *lines: bytes) -> list[object]:
    machine.receive_data(b"".join(line + b"\r\n" for line in lines))
    events: list[object] = []
    while (event := machine.next_event()) not in (pop3.NEED_DATA, pop3.PAUSED):
        events.append(event)
    return events


# ---------------------------------------------------------------------- state by command, server


def test_the_table_is_complete() -> None:
    names = {type(command).__name__.upper() for command in COMMANDS}
    assert set(TABLE) == {(state, name) for state in pop3.State for name in names}
    assert set(TABLE.values()) == {"yes", "no", ""}


@pytest.mark.parametrize(("state", "command", "cell"), CELLS, ids=ids)
def test_P14_every_command_at_the_server(
    state: pop3.State, command: pop3.Command, cell: str
) -> None:
    machine = server(state)
    event = ask(machine, wire(command)[:-2])
    if not cell:
        assert event == (pop3.ConnectionClosed() if state is pop3.State.CLOSED else pop3.PAUSED)
        return
    if cell == "yes" and not isinstance(command, pop3.Pass | pop3.Rpop):
        assert event == command
    else:
        assert isinstance(event, pop3.Invalid)
        machine.accept()
        assert machine.data_to_send().startswith(b"-ERR ")
        assert machine.state is state
        assert ask(machine, b"CAPA") == pop3.Capa()
    assert machine.next_event() is pop3.PAUSED


@pytest.mark.parametrize(
    ("offer", "line", "words"),
    [
        (pop3.Offer(user=False, insecure_auth=True), b"USER a", "not available"),
        (pop3.Offer(), b"USER a", "TLS is needed first"),
        (pop3.Offer(stls=True), b"USER a", "give STLS"),
        (pop3.Offer(mechanisms=("PLAIN",)), b"AUTH PLAIN", "TLS is needed first"),
        (pop3.Offer(mechanisms=("PLAIN",), insecure_auth=True), b"AUTH X", "mechanism"),
        (pop3.Offer(insecure_auth=True), b"APOP a " + b"0" * 32, "APOP"),
        (pop3.Offer(), b"STLS", "STLS is not available"),
        (pop3.Offer(), b"UTF8", "UTF8 is not available"),
        (pop3.Offer(), b"LANG en", "LANG is not available"),
    ],
)
def test_what_is_not_offered_is_refused_with_a_reason(
    offer: pop3.Offer, line: bytes, words: str
) -> None:
    event = ask(server(pop3.State.AUTHORIZATION, offer), line)
    assert isinstance(event, pop3.Invalid)
    assert words in event.reply.text


@pytest.mark.parity("pop3-server USER and PASS")
def test_pass_needs_an_accepted_user_each_time() -> None:
    machine = server(pop3.State.AUTHORIZATION)
    ask(machine, b"USER a")
    machine.send(pop3.Err("no such"))
    assert isinstance(ask(machine, b"PASS b"), pop3.Invalid)
    machine.accept()
    ask(machine, b"USER a")
    machine.accept()
    assert str(machine.user) == "a"
    assert ask(machine, b"PASS b c ") == pop3.Pass("b c ")
    machine.send(pop3.Err("no"))
    assert machine.user is None
    assert isinstance(ask(machine, b"PASS b"), pop3.Invalid)


def test_stls_after_utf8_is_refused() -> None:
    machine = server(pop3.State.AUTHORIZATION)
    ask(machine, b"UTF8")
    machine.accept()
    assert machine.utf8
    assert isinstance(ask(machine, b"STLS"), pop3.Invalid)


def test_capa_tells_what_is_offered_now() -> None:
    machine = pop3.Server(offer=pop3.Offer(mechanisms=("PLAIN",), stls=True))
    machine.accept()
    before = machine.capabilities
    assert (before.user, before.sasl, before.stls) == (False, None, True)
    ask(machine, b"STLS")
    machine.accept()
    machine.start_tls()
    under_tls = machine.capabilities
    assert (under_tls.user, under_tls.sasl, under_tls.stls) == (True, ("PLAIN",), False)


# ----------------------------------------------------------------------- answers at the server


@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_an_answer_of_another_kind_is_refused_and_changes_nothing(command: pop3.Command) -> None:
    before_login = TABLE[pop3.State.AUTHORIZATION, type(command).__name__.upper()] == "yes"
    state = pop3.State.AUTHORIZATION if before_login else pop3.State.TRANSACTION
    machine = server(state)
    ask(machine, b"USER a")
    machine.accept()
    machine.data_to_send()
    ask(machine, wire(command)[:-2])
    before = properties(machine)
    answers: list[pop3.ServerItem] = [
        pop3.Body(b""),
        pop3.EndOfMessage(),
        pop3.ScanListings({}),
        pop3.EndOfListing(),
        pop3.Greeting(),
        pop3.Ok("line\r\nend"),
        pop3.Ok("\0"),
        pop3.Ok("[looks like a code]"),
        pop3.Ok("x" * 600),
        pop3.Err("", pop3.ResponseCode("a] b")),
        pop3.Err("", pop3.ResponseCode("")),
        pop3.Err("\ud800"),
    ]
    if not isinstance(command, pop3.Stat):
        answers.append(pop3.DropListing(1, 1))
    if not isinstance(command, pop3.Auth):
        answers.append(pop3.Challenge(b""))
    for item in answers:
        with pytest.raises(LocalProtocolError):
            machine.send(item)
    assert machine.data_to_send() == b""
    assert properties(machine) == before
    machine.send(pop3.Err("no"))
    assert machine.data_to_send() == b"-ERR no\r\n"


def test_nothing_can_be_answered_twice_or_unasked() -> None:
    machine = server(pop3.State.TRANSACTION)
    with pytest.raises(LocalProtocolError, match="answers no command"):
        machine.send(pop3.Ok())
    with pytest.raises(LocalProtocolError):
        machine.accept()
    ask(machine, b"NOOP")
    machine.accept()
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.Ok())


def test_accept_needs_a_decision_where_the_application_has_one() -> None:
    for line in (b"STAT", b"RETR 1", b"DELE 1", b"LIST", b"QUIT"):
        machine = server(pop3.State.TRANSACTION)
        ask(machine, line)
        with pytest.raises(LocalProtocolError, match="no canonical answer"):
            machine.accept()


def test_pieces_of_one_answer_do_not_fit_another() -> None:
    machine = server(pop3.State.TRANSACTION)
    ask(machine, b"RETR 1")
    machine.send(pop3.Ok())
    for item in (pop3.ScanListings({}), pop3.EndOfListing(), pop3.Ok(), pop3.Err()):
        with pytest.raises(LocalProtocolError):
            machine.send(item)
    machine.send(pop3.EndOfMessage())
    ask(machine, b"UIDL")
    machine.send(pop3.Ok())
    for bad in (
        pop3.Body(b"x"),
        pop3.EndOfMessage(),
        pop3.ScanListings({1: 1}),
        pop3.UniqueIdListings({0: "a"}),
        pop3.UniqueIdListings({1: ""}),
        pop3.UniqueIdListings({1: "a b"}),
        pop3.UniqueIdListings({1: "a\r\n."}),
        pop3.UniqueIdListings({1: "\xe9"}),
        pop3.UniqueIdListings({1: "x" * 71}),
    ):
        with pytest.raises(LocalProtocolError):
            machine.send(bad)
    machine.send(pop3.UniqueIdListings({1: "x" * 70}))
    machine.send(pop3.EndOfListing())
    assert machine.data_to_send().endswith(b"+OK\r\n1 " + b"x" * 70 + b"\r\n.\r\n")
    assert machine.next_event() is pop3.NEED_DATA


@pytest.mark.parametrize("command", [b"RETR 1", b"TOP 1 2"])
@pytest.mark.parametrize("text", ["", "120 octets"])
@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b".", b"..\r\n.x", b"a\r\n.b\r\n", b"no end", b"a\r", b"\xff\0\r\n"]
)
def test_a_message_in_one_value_is_the_same_as_in_pieces(
    command: bytes, text: str, data: bytes
) -> None:
    def said(*items: pop3.ServerItem) -> tuple[bytes, list[tuple[str, bytes]]]:
        trace: list[tuple[str, bytes]] = []
        machine = server(pop3.State.TRANSACTION, trace=lambda *line: trace.append(line))
        ask(machine, command)
        for item in items:
            machine.send(item)
        output = machine.data_to_send()
        assert ask(machine, b"NOOP") == pop3.Noop()
        return output, trace

    pieces = said(pop3.Ok(text), pop3.Body(data), pop3.EndOfMessage())
    assert said(pop3.Message(data, text)) == pieces


def test_a_message_answers_retr_and_top_only_and_is_never_a_second_line() -> None:
    machine = server(pop3.State.TRANSACTION)
    for line in (b"LIST", b"STAT", b"NOOP"):
        ask(machine, line)
        with pytest.raises(LocalProtocolError, match="RETR and TOP"):
            machine.send(pop3.Message(b"x"))
        machine.send(pop3.Err())
    ask(machine, b"RETR 1")
    machine.data_to_send()
    for text in ("a\r\nb", "[a] b", "x" * 600):
        with pytest.raises(LocalProtocolError):
            machine.send(pop3.Message(b"x", text))
    assert machine.data_to_send() == b""
    machine.send(pop3.Ok())
    with pytest.raises(LocalProtocolError, match="inside"):
        machine.send(pop3.Message(b"x"))


def test_the_greeting_carries_the_timestamp_of_the_offer_only() -> None:
    machine = server(pop3.State.GREETING)
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.Greeting("ready", "<other@host>"))
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.Greeting("ready <a@b>"))
    machine.accept()
    assert machine.data_to_send() == b"+OK POP3 server ready " + TIMESTAMP.encode() + b"\r\n"
    with pytest.raises(LocalProtocolError, match="msg-id"):
        pop3.Server(offer=pop3.Offer(timestamp="<no at>")).accept()


def test_a_greeting_can_refuse_service() -> None:
    machine = server(pop3.State.GREETING)
    machine.send(pop3.Err("too busy", pop3.SYS_TEMP))
    assert machine.data_to_send() == b"-ERR [SYS/TEMP] too busy\r\n"
    assert machine.next_event() == pop3.ConnectionClosed()
    other = client(pop3.State.GREETING)
    assert hear(other, b"-ERR [SYS/TEMP] too busy") == [pop3.Err("too busy", pop3.SYS_TEMP)]
    assert other.state is pop3.State.CLOSED
    with pytest.raises(LocalProtocolError):
        other.send(pop3.Capa())


# ---------------------------------------------------------------------- state by command, client


@pytest.mark.parametrize(("state", "command", "cell"), CELLS, ids=ids)
def test_P14_every_command_at_the_client(
    state: pop3.State, command: pop3.Command, cell: str
) -> None:
    machine = client(state)
    if cell == "yes" and not isinstance(command, pop3.Pass | pop3.Rpop):
        before = machine.pending
        machine.send(command)
        assert machine.data_to_send() == wire(command)
        assert machine.pending == before + 1
        quitting = state is pop3.State.TRANSACTION and isinstance(command, pop3.Quit)
        assert machine.state is (pop3.State.UPDATE if quitting else state)
    else:
        values = properties(machine)
        with pytest.raises(LocalProtocolError):
            machine.send(command)
        assert properties(machine) == values
        assert machine.data_to_send() == b""


def test_the_client_is_in_update_while_the_answer_to_quit_is_due() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    machine.send(pop3.Quit())
    assert machine.state is pop3.State.AUTHORIZATION
    machine = client(pop3.State.TRANSACTION)
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"PIPELINING", b".")
    machine.send(pop3.Noop())
    machine.send(pop3.Quit())
    assert machine.state is pop3.State.TRANSACTION
    hear(machine, b"+OK")
    assert str(machine.state) == str(pop3.State.UPDATE)
    hear(machine, b"-ERR [SYS/TEMP] some stay")
    assert str(machine.state) == str(pop3.State.CLOSED)


@pytest.mark.parity("pop3-client PIPELINING")
def test_pipelining_waits_for_its_capability_and_follows_the_state_it_leads_to() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    machine.send(pop3.User("a"))
    with pytest.raises(LocalProtocolError, match="PIPELINING"):
        machine.send(pop3.Pass("b"))
    hear(machine, b"+OK")
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"PIPELINING", b".")
    machine.send(pop3.User("a"))
    machine.send(pop3.Pass("b"))
    machine.send(pop3.Stat())
    machine.send(pop3.Quit())
    with pytest.raises(LocalProtocolError, match="CLOSED"):
        machine.send(pop3.Noop())
    events = hear(machine, b"+OK", b"-ERR [AUTH] no", b"-ERR", b"+OK bye")
    assert [type(event) for event in events] == [pop3.Ok, pop3.Err, pop3.Err, pop3.Ok]
    assert machine.state is pop3.State.CLOSED


def test_after_a_refused_login_commands_are_those_of_authorization_again() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"PIPELINING", b".")
    machine.send(pop3.User("a"))
    machine.send(pop3.Pass("b"))
    hear(machine, b"+OK", b"-ERR no")
    with pytest.raises(LocalProtocolError, match="AUTHORIZATION"):
        machine.send(pop3.Stat())
    with pytest.raises(LocalProtocolError, match="follow USER"):
        machine.send(pop3.Pass("b"))
    machine.send(pop3.User("a"))


@pytest.mark.parametrize("blocking", [pop3.Stls(), pop3.Quit(), pop3.Auth("PLAIN")], ids=ids)
def test_nothing_is_pipelined_behind_what_changes_the_wire(blocking: pop3.Command) -> None:
    machine = client(pop3.State.AUTHORIZATION)
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"PIPELINING", b".")
    machine.send(blocking)
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.Capa())


def test_apop_needs_permission_and_a_timestamp() -> None:
    machine = pop3.Client()
    hear(machine, b"+OK " + TIMESTAMP.encode())
    with pytest.raises(LocalProtocolError, match="APOP is off"):
        machine.send(pop3.Apop("a", DIGEST))
    machine = pop3.Client(apop=True)
    hear(machine, b"+OK ready")
    with pytest.raises(LocalProtocolError, match="timestamp"):
        machine.send(pop3.Apop("a", DIGEST))


@pytest.mark.parametrize(
    "timestamp",
    [b"<x>", b"<@x>", b"<a@>", b"<a b@c>", b"<a@b", b"a@b>", b"<a\x80@b>", b"<a..b@c>", b"<a@b>x>"],
)
def test_a_timestamp_that_is_no_msg_id_is_none(timestamp: bytes) -> None:
    machine = pop3.Client(apop=True)
    (greeting,) = hear(machine, b"+OK ready " + timestamp)
    assert isinstance(greeting, pop3.Greeting)
    if timestamp == b"<a@b>x>":
        assert greeting.timestamp == "<a@b>"
    else:
        assert greeting.timestamp is None
        assert greeting.text.startswith("ready ")


def test_names_beyond_ascii_wait_for_utf8_user() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    with pytest.raises(LocalProtocolError, match="UTF8 USER"):
        machine.send(pop3.User("andré"))
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"UTF8 USER", b".")
    machine.send(pop3.User("andré"))
    assert machine.data_to_send().endswith("USER andré\r\n".encode())


def test_an_exchange_is_one_thing_at_a_time() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.AuthResponse(b""))
    machine.send(pop3.Auth("PLAIN"))
    with pytest.raises(LocalProtocolError):
        machine.send(pop3.AuthResponse(b""))
    machine.receive_data(b"+ \r\n")
    assert machine.next_event() == pop3.Challenge(b"")
    assert machine.next_event() is pop3.PAUSED
    with pytest.raises(LocalProtocolError, match="AUTH exchange"):
        machine.send(pop3.Quit())
    machine.send(pop3.AuthResponse(b"x"))
    assert machine.next_event() is pop3.NEED_DATA
    assert hear(machine, b"+OK") == [pop3.Ok()]
    assert machine.state is pop3.State.TRANSACTION


def test_a_challenge_that_is_not_base64_can_be_cancelled() -> None:
    machine = client(pop3.State.AUTHORIZATION)
    machine.send(pop3.Auth("PLAIN"))
    machine.data_to_send()
    (event,) = hear(machine, b"+ !!!")
    assert isinstance(event, pop3.Unparsed)
    machine.send(pop3.AuthCancel())
    assert machine.data_to_send() == b"*\r\n"
    assert hear(machine, b"-ERR cancelled") == [pop3.Err("cancelled")]
    machine.send(pop3.Capa())


def test_initial_responses_have_the_room_that_is_told() -> None:
    room = pop3.initial_response_room("PLAIN")
    machine = client(pop3.State.AUTHORIZATION)
    with pytest.raises(LocalProtocolError, match="255"):
        machine.send(pop3.Auth("PLAIN", b"x" * (room + 1)))
    machine.send(pop3.Auth("PLAIN", b"x" * room))
    assert len(machine.data_to_send()) <= 255


def test_pending_commands_are_bounded() -> None:
    machine = client(pop3.State.TRANSACTION, limits=pop3.POP3ClientLimits(pending_commands=2))
    machine.send(pop3.Capa())
    hear(machine, b"+OK", b"PIPELINING", b".")
    machine.send(pop3.Noop())
    machine.send(pop3.Noop())
    with pytest.raises(LocalProtocolError, match="pending"):
        machine.send(pop3.Noop())


def test_in_answer_to_names_the_command() -> None:
    machine = client(pop3.State.TRANSACTION)
    machine.send(pop3.Retr(7))
    assert machine.waiting_for == "the answer to RETR"
    machine.receive_data(b"+OK\r\nx")
    machine.next_event()
    assert machine.in_answer_to == pop3.Retr(7)
    assert machine.waiting_for == "the rest of the answer to RETR"


def test_P24_a_client_gives_up_before_its_server_does() -> None:
    """RFC 1939 section 3: the autologout timer of a server is of ten minutes at least."""
    for state in pop3.State:
        if state is not pop3.State.GREETING:
            assert 0 < client(state).timeout_hint < pop3.Server().timeout_hint == 600


# ---------------------------------------------------------------------------------- both at once


@pytest.mark.parity("pop3-client typed responses", "pop3-server typed responses")
def test_values_are_the_same_on_both_sides() -> None:
    def answer(machine: pop3.Server, event: object) -> None:
        if isinstance(event, pop3.Stat):
            machine.send(pop3.DropListing(2, 320))
        elif isinstance(event, pop3.Pass | pop3.Quit | pop3.Dele):
            machine.send(pop3.Ok("done"))
        else:
            machine.accept()

    link = Link(
        pop3.Client(), pop3.Server(offer=attrs.evolve(EVERYTHING, timestamp=None)), on_server=answer
    )
    link.pump()
    sent: list[pop3.Command] = [
        pop3.Capa(),
        pop3.User("mrose"),
        pop3.Pass("secret"),
        pop3.Stat(),
        pop3.Dele(1),
        pop3.Rset(),
        pop3.Noop(),
        pop3.Quit(),
    ]
    for command in sent:
        link.client.send(command)
        link.pump()
    assert link.server_events == sent
    assert link.client_events[1] == link.server.offer.capabilities(tls=False, authenticated=False)
    assert pop3.DropListing(2, 320) in link.client_events
    assert link.client.state is link.server.state is pop3.State.CLOSED
    with pytest.raises(RemoteProtocolError, match="no command waits"):
        hear(link.client, b"+OK more")
