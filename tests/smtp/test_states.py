"""Every state and every command, on both machines, by the tables of docs/smtp-states.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailproto import smtp
from mailproto._core.machine import Signal
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.serialize import serialize_command
from mailproto.smtp.states import LEGAL, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "smtp-states.md"
URL = "imap://alice@example.com/drafts;uid=1;urlauth=submit+alice:internal:0123"
EVERY: list[Command] = [
    smtp.Ehlo("a"), smtp.Helo("a"), smtp.Lhlo("a"), smtp.StartTLS(),
    smtp.Auth("PLAIN", b"\0alice\0x"), smtp.AuthResponse(b"x"), smtp.AuthCancel(),
    smtp.Mail(smtp.NULL_PATH), smtp.Rcpt(smtp.POSTMASTER), smtp.Data(), smtp.Bdat(0),
    smtp.Burl(URL), smtp.Body(b"xyz\r\n"), smtp.EndOfMessage(), smtp.Rset(), smtp.Noop(),
    smtp.Vrfy("x"), smtp.Expn("x"), smtp.Help(), smtp.Quit(), smtp.Etrn("example.com"),
    smtp.Atrn(), smtp.XClient((("NAME", "x"),)), smtp.XForward((("NAME", "x"),)),
    smtp.OtherCommand("XFOO", "y"),
]  # fmt: skip
COMMANDS = {type(command).__name__: command for command in EVERY}
OFFER = smtp.Offer(
    ("PLAIN",), starttls=True, insecure_auth=True, forwarding=True, expn=True, etrn=True, atrn=True,
    burl=("imap",),
)  # fmt: skip
# What leads to each state in which the server reads commands.
ENVELOPE = b"MAIL FROM:<a@b>\r\n"
RECIPIENTS = ENVELOPE + b"RCPT TO:<c@d>\r\n"
TO_STATE = {
    State.READY: b"HELLO",
    State.ENVELOPE: b"HELLO" + ENVELOPE,
    State.RECIPIENTS: b"HELLO" + RECIPIENTS,
    State.BETWEEN_CHUNKS: b"HELLO" + RECIPIENTS + b"BDAT 3\r\nx\r\n",
    State.CHUNK_REFUSED: b"HELLO" + RECIPIENTS + b"BDAT 3\r\n\n\n\n",
    State.CONTENT: b"HELLO" + RECIPIENTS + b"DATA\r\n",
    State.CHUNK: b"HELLO" + RECIPIENTS + b"BDAT 5\r\n",
    State.AUTHENTICATING: b"HELLOAUTH PLAIN\r\n",
    State.REVERSED: b"HELLOATRN\r\n",
    State.CLOSED: b"HELLOQUIT\r\n",
}


def cells() -> Iterator[tuple[bool, State, str, str]]:
    """Whether LMTP is spoken, the state, the name of the command, and what the table says."""
    for title in ("SMTP", "LMTP"):
        head, *body = TABLES[title]
        states = [State[name] for name in head[1:]]
        assert states == list(State)
        for name, *row in body:
            for state, cell in zip(states, row, strict=True):
                yield title == "LMTP", state, name, cell


def tables() -> dict[str, list[list[str]]]:
    """The tables of the document by their titles: the head, and the rows."""
    parts = re.split(r"^## (.*)$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, list[list[str]]] = {}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        rows = [line[1:-1].split("|") for line in text.split("\n") if line.startswith("|")]
        found[title] = [rows[0], *rows[2:]]
    return found


TABLES = tables()
CELLS = list(cells())
FOLLOWS = {name: (accepted, refused) for name, accepted, refused in TABLES["What follows"][1:]}


def named(value: object) -> str:
    return value.name if isinstance(value, State) else str(value)


def test_the_tables_are_complete() -> None:
    assert {name for _, _, name, _ in CELLS} == {kind.__name__ for kind in LEGAL} == set(COMMANDS)
    assert len(CELLS) == 2 * len(State) * len(LEGAL)
    assert set(FOLLOWS) == set(COMMANDS)


def server(state: State, *, lmtp: bool, login: bool) -> smtp.Server:
    machine = smtp.Server("mx.example", lmtp=lmtp, offer=OFFER)
    if state is State.GREETING:
        return machine
    if state is State.REFUSED:
        machine.send(smtp.Reply(554, "no service"))
        return machine
    machine.accept()
    hello = b"LHLO a\r\n" if lmtp else b"EHLO a\r\n"
    if login or state is State.REVERSED:
        hello += b"AUTH PLAIN AGFsaWNlAHg=\r\n"
    if state is State.START:
        return machine
    machine.receive_data(TO_STATE[state].replace(b"HELLO", hello))
    while not isinstance(event := machine.next_event(), Signal):
        if isinstance(event, smtp.Auth):
            known = event.initial_response is not None
            machine.send(smtp.Reply(235, "in") if known else smtp.Challenge(b""))
        elif not isinstance(event, smtp.Body):
            machine.accept()
    return machine


def spoken(command: Command) -> bytes:
    """What a client says by the command."""
    if isinstance(command, smtp.Body):
        return command.data
    return b".\r\n" if isinstance(command, smtp.EndOfMessage) else serialize_command(command)


# There is no ATRN in LMTP.
REACHED = [cell for cell in CELLS if cell[:2] != (True, State.REVERSED)]


@pytest.mark.parametrize(("lmtp", "state", "name", "cell"), REACHED, ids=named)
def test_P14_P19_the_server_in_every_state(lmtp: bool, state: State, name: str, cell: str) -> None:
    command = COMMANDS[name]
    login = name in ("Atrn", "Burl") and state is not State.AUTHENTICATING
    machine = server(state, lmtp=lmtp, login=login)
    assert machine.state is state
    machine.data_to_send()
    machine.receive_data(spoken(command))
    event = machine.next_event()
    if cell == "yes":
        if isinstance(command, smtp.Body):
            # A CRLF may be the begin of the end.
            assert isinstance(event, smtp.Body)
            assert event.data == b"xyz" + b"\r\n" * (state is State.CHUNK)
        else:
            # BDAT itself is not yielded: its octets are.
            assert event == (smtp.EndOfChunk(0) if name == "Bdat" else command)
        return
    if not cell:
        # It has another meaning there, or none.
        assert event != command
        assert isinstance(event, MEANT.get(state, smtp.Invalid | smtp.OtherCommand))
        assert machine.data_to_send() == b""
        return
    assert isinstance(event, smtp.Invalid)
    assert event.command == command
    machine.accept()
    assert machine.data_to_send().startswith(cell.encode() + b" 5.5.1 ")
    assert machine.state is state


MEANT = {
    State.GREETING: Signal,
    State.CONTENT: Signal | smtp.Body,
    State.CHUNK: Signal | smtp.Body,
    State.AUTHENTICATING: smtp.Invalid | smtp.AuthResponse,
    State.REVERSED: Signal,
    State.CLOSED: Signal,
}
"""What a server makes of lines where it reads no commands."""


def client(state: State, *, lmtp: bool) -> smtp.Client:
    machine = smtp.Client(lmtp=lmtp, allow_insecure_auth=True)

    def hear(data: bytes) -> None:
        machine.receive_data(data)
        while machine.next_event() not in (smtp.NEED_DATA, smtp.PAUSED):
            pass

    def call(command: Command, reply: bytes) -> None:
        machine.send(command)
        hear(reply + b"\r\n")

    if state is State.GREETING:
        return machine
    hear(b"554 no\r\n" if state is State.REFUSED else b"220 x\r\n")
    if state in (State.REFUSED, State.START):
        return machine
    keywords = (
        b"AUTH PLAIN", b"STARTTLS", b"CHUNKING", b"ETRN", b"ATRN", b"BURL imap", b"XCLIENT NAME",
        b"XFORWARD NAME",
    )  # fmt: skip
    offered = b"".join(b"250-" + keyword + b"\r\n" for keyword in keywords)
    call(smtp.Lhlo("a") if lmtp else smtp.Ehlo("a"), b"250-x\r\n" + offered + b"250 HELP")
    if state is State.READY:
        return machine
    if state is State.AUTHENTICATING:
        call(smtp.Auth("PLAIN"), b"334 ")
    elif state is State.CLOSED:
        call(smtp.Quit(), b"221 x")
    elif state is State.REVERSED:
        call(smtp.Atrn(), b"250 x")
    else:
        call(smtp.Mail(smtp.NULL_PATH), b"250 x")
        if state is not State.ENVELOPE:
            call(smtp.Rcpt(smtp.POSTMASTER), b"250 x")
        if state is State.CONTENT:
            call(smtp.Data(), b"354 x")
        elif state is State.CHUNK:
            machine.send(smtp.Bdat(5))
        elif state is State.BETWEEN_CHUNKS:
            call(smtp.Bdat(0), b"250 x")
        elif state is State.CHUNK_REFUSED:
            call(smtp.Bdat(0), b"550 x")
    return machine


@pytest.mark.parametrize(("lmtp", "state", "name", "cell"), CELLS, ids=named)
def test_P14_P19_the_client_in_every_state(lmtp: bool, state: State, name: str, cell: str) -> None:
    machine = client(state, lmtp=lmtp)
    assert machine.state is (State.RECIPIENTS if state is State.CHUNK else state)
    machine.data_to_send()
    if cell == "yes" and not (state is State.START and name in NEEDS_EHLO):
        machine.send(COMMANDS[name])
        assert machine.data_to_send()
        return
    if name in ("Etrn", "Atrn", "Burl") and cell == "502":
        # Whether LMTP has them is for the server to say.
        machine.send(COMMANDS[name])
        assert machine.data_to_send() == spoken(COMMANDS[name])
        return
    with pytest.raises(LocalProtocolError):
        machine.send(COMMANDS[name])
    assert machine.data_to_send() == b""
    assert machine.pending == (1 if state is State.CHUNK else 0)


# What a server has to offer first.
NEEDS_EHLO = ("StartTLS", "Auth", "XClient", "XForward")


# ------------------------------------------------------------------------------- what follows


def answer(machine: smtp.Server, verdict: str) -> None:
    """Say what is said to all that waits for an answer."""
    while not isinstance(event := machine.next_event(), Signal | smtp.ConnectionClosed):
        if verdict == "421":
            machine.send(smtp.Reply(421, "bye"))
            return
        if verdict != "accepted":
            machine.send(smtp.Reply(int(verdict), "no"))
        elif isinstance(event, smtp.Auth | smtp.AuthResponse):
            machine.send(smtp.Reply(235, "in"))
        elif isinstance(event, smtp.Burl):
            machine.supply(b"")
        elif not isinstance(event, smtp.Body):
            machine.accept()


INSIDE = (State.ENVELOPE, State.RECIPIENTS, State.CONTENT, State.BETWEEN_CHUNKS)
"""Where there is a transaction."""


@pytest.mark.parametrize("verdict", ["accepted", "450", "550", "421"])
@pytest.mark.parametrize(
    ("lmtp", "state", "name"),
    # Of a server that has not said what it offers a client asks nothing.
    [
        (lmtp, state, name)
        for lmtp, state, name, cell in CELLS
        if cell == "yes" and name != "Body" and not (state is State.START and name in NEEDS_EHLO)
    ],
    ids=named,
)
def test_P14_P19_both_machines_come_to_the_same_state(
    lmtp: bool, state: State, name: str, verdict: str
) -> None:
    command = COMMANDS[name]
    here, there = client(state, lmtp=lmtp), server(state, lmtp=lmtp, login=name in ("Atrn", "Burl"))
    there.data_to_send()
    here.data_to_send()
    here.send(command)
    there.receive_data(here.data_to_send())
    answer(there, verdict)
    here.receive_data(there.data_to_send())
    here.next_event()
    accepted, refused = FOLLOWS[name]
    if verdict == "421":
        follows = "CLOSED"
    elif verdict == "accepted" and name not in ("AuthCancel", "Expn", "OtherCommand"):
        follows = accepted if name != "Rset" or state is not State.START else ""
    else:
        follows = refused
    if name == "StartTLS" and verdict == "accepted":
        assert here.awaiting_tls
        assert there.awaiting_tls
        here.start_tls()
        there.start_tls()
    expected = State[follows] if follows else state
    assert (here.state, there.state) == (expected, expected)
    if expected is not State.CLOSED:
        assert (there.transaction is not None) is (expected in INSIDE)
