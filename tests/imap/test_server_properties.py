"""Properties of the server's machine: chops, hostile octets, and agreement with the client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import imap
from mailproto._core.limits import IMAPServerLimits
from mailproto._core.machine import Signal
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap import NEED_DATA, NO, OK, PAUSED, PREAUTH, ConnectionClosed
from mailproto.testing.chop import assert_chop_invariant, random_cuts, sized
from mailproto.testing.link import Link
from mailproto.testing.strategies.imap_commands import (
    authenticated_commands,
    command_lines,
    selected_commands,
    unauthenticated_commands,
)

OFFER = imap.Offer(insecure_auth=True, starttls=True, mechanisms=("PLAIN", "SCRAM-SHA-256"))


def new_server() -> imap.Server:
    return imap.Server(offer=OFFER, limits=IMAPServerLimits(append=2000))


def preauthenticated() -> imap.Server:
    server = new_server()
    server.send(imap.Condition(PREAUTH, "hi"))
    return server


def answer(server: imap.Server, event: object) -> None:
    """What a simple application says to everything."""
    match event:
        case imap.Tagged(tag, imap.Authenticate()):
            server.send(imap.Challenge(b"?"))
        case imap.AuthenticateResponse() | imap.LiteralEnd() | imap.Done():
            server.accept()
        case imap.Tagged(tag, imap.Select() | imap.Examine()):
            server.send(imap.ExistsData(0))
            server.send(imap.Completion(tag, OK, "selected"))
        case imap.Tagged(tag, imap.Status() | imap.Namespace()):
            server.send(imap.Completion(tag, NO, "no"))
        case imap.LiteralChunk():
            pass
        case _:
            server.accept()


SAMPLES = [
    b"a CAPABILITY\r\nb LOGIN {3+}\r\njoe {5}\r\nhello\r\nc SELECT inbox\r\nd FETCH 1 ALL\r\n",
    b"a LOGIN x y\r\nb APPEND x {5+}\r\nhello\r\nc APPEND x {3}\r\nabc\r\nd NOOP\r\n",
    b"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb IDLE\r\nDONE\r\nc LOGOUT\r\nd NOOP\r\n",
    b"a STARTTLS\r\nb NOOP\r\n",
    b"a LOGIN {9000+}\r\nb NOOP\r\n",
    b"a NOSUCH {5+}\r\nhello {3+}\r\nabc\r\n* NOOP\r\nx\r\n\r\nb NOOP\r\n",
    b"a LOGIN x y\r\nb APPEND x {9999+}\r\n" + b"z" * 9999 + b"\r\nc NOOP\r\n",
    b"a LOGIN x y\r\nb APPEND x {5+}\r\nhello {3+}\r\nabc\r\nc IDLE\r\nd NOOP\r\n",
]


@pytest.mark.parametrize("octets", SAMPLES)
def test_P01_chop_invariance_of_samples(octets: bytes) -> None:
    assert_chop_invariant(new_server, octets, answer)


@given(octets=command_lines, make=st.sampled_from([new_server, preauthenticated]))
@settings(max_examples=150, deadline=None)
def test_P01_chop_invariance(octets: bytes, make: Callable[[], imap.Server]) -> None:
    chunkings = [sized(octets, 1), sized(octets, 3), *(random_cuts(octets, n) for n in range(4))]
    assert_chop_invariant(make, octets, answer, chunkings)


@given(chunks=st.lists(command_lines | st.binary(max_size=50), max_size=6), data=st.data())
@settings(max_examples=200, deadline=None)
def test_P11_only_documented_exceptions(chunks: list[bytes], data: st.DataObject) -> None:
    server = data.draw(st.sampled_from([new_server, preauthenticated]))()
    failure: RemoteProtocolError | None = None
    try:
        for chunk in [*chunks, b""]:
            server.receive_data(chunk)
            while not isinstance(event := server.next_event(), ConnectionClosed):
                if event is NEED_DATA or (event is PAUSED and server.awaiting_tls):
                    break
                if data.draw(st.booleans()) or event is PAUSED:
                    answer(server, event)
                else:
                    try:
                        server.send(imap.Completion("a", NO, "no"))
                    except LocalProtocolError:
                        answer(server, event)
    except LocalProtocolError:
        pass  # the application has answered what was already answered
    except RemoteProtocolError as error:
        failure = error
    if failure is None:
        return
    assert isinstance(failure.hint, imap.Condition)
    assert server.failed
    if server.state is not imap.State.LOGOUT and not server.awaiting_tls:
        server.send(failure.hint)


# ------------------------------------------------------------------------- client and server


def connected(state: imap.State, sizes: list[int]) -> Link[imap.Client, imap.Server]:
    server = new_server() if state is imap.State.NOT_AUTHENTICATED else preauthenticated()
    client = imap.Client(allow_insecure_auth=True)
    if state is imap.State.NOT_AUTHENTICATED:
        server.accept()
    link = Link(client, server, on_server=on_server, on_client=on_client, sizes=sizes)
    link.pump()
    client.send(imap.Capability())
    link.pump()
    if state is imap.State.SELECTED:
        client.send(imap.Select("INBOX"))
        link.pump()
    assert server.state is state
    assert client.state is state
    return link


def on_server(server: imap.Server, event: object) -> None:
    if not isinstance(event, Signal):
        answer(server, event)


def on_client(client: imap.Client, event: object) -> None:
    if isinstance(event, imap.Challenge):
        client.send(imap.AuthenticateResponse(b"\0x\0y"))


COMMANDS = {
    imap.State.NOT_AUTHENTICATED: unauthenticated_commands,
    imap.State.AUTHENTICATED: authenticated_commands,
    imap.State.SELECTED: selected_commands,
}


@pytest.mark.parametrize("state", COMMANDS)
@given(data=st.data(), sizes=st.lists(st.integers(1, 40), max_size=3))
@settings(max_examples=150, deadline=None)
def test_P18_the_server_sees_exactly_what_the_client_sent(
    state: imap.State, data: st.DataObject, sizes: list[int]
) -> None:
    link = connected(state, sizes)
    sent = data.draw(COMMANDS[state])
    seen = len(link.server_events)
    tag = link.client.next_tag
    link.client.send(sent)
    link.pump()
    events = link.server_events[seen:]
    if isinstance(sent, imap.Append):
        assert isinstance(sent.message, bytes)
        content = b"".join(e.data for e in events if isinstance(e, imap.LiteralChunk))
        assert content == sent.message
        sent = imap.Append(
            sent.mailbox, imap.Streamed(len(content)), sent.flags, sent.internal_date
        )
        assert events[-1] == imap.LiteralEnd()
    assert events[0] == imap.Tagged(tag, sent)
    completions = [e for e in link.client_events if isinstance(e, imap.Completion)]
    assert completions[-1].tag == tag
    assert not any(isinstance(e, imap.Unparsed) for e in link.client_events)


@given(st.lists(selected_commands, min_size=2, max_size=8), st.lists(st.integers(1, 99)))
@settings(max_examples=80, deadline=None)
def test_pipelined_commands_arrive_in_order(commands: list[imap.Command], sizes: list[int]) -> None:
    link = connected(imap.State.SELECTED, sizes)
    before = len(link.server_events)
    sent: list[imap.Tagged] = []
    for command in commands:
        tag = link.client.next_tag
        try:
            link.client.send(command)
        except LocalProtocolError:
            link.pump()  # RFC 9051 section 5.5 wants the ones before to be completed
            link.client.send(command)
        sent.append(imap.Tagged(tag, command))
    link.pump()
    assert link.server_events[before:] == sent
    assert link.client.pending == ()


TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "x\r\n* BYE",
        "[ALERT] x",
        "[x\r\n* BYE",
        "A1 OK",
        "{3}",
        "x {0}",
        "\x85",
        "\u2028",
        "ok\n",
        "]",
    ]
)


@given(TEXTS, st.sampled_from([OK, NO, imap.BAD]), st.none() | TEXTS)
@settings(max_examples=200, deadline=None)
def test_P15_no_text_escapes_from_a_response(
    text: str, state: imap.ConditionState, argument: str | None
) -> None:
    link = connected(imap.State.SELECTED, [])
    code = None
    if argument is not None:
        code = imap.Code("X", argument.encode("utf-8", "surrogateescape"))
    before = len(link.client_events)
    response = imap.Condition(state, text, code)
    try:
        link.server.send(response)
    except LocalProtocolError:
        return
    link.pump()
    (seen,) = link.client_events[before:]
    assert isinstance(seen, imap.Condition)
    assert (seen.state, seen.text) == (state, text)
    assert (seen.code is None) == (code is None)
