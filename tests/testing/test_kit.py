"""The kit against a toy protocol whose right answers are plain to see."""

from __future__ import annotations

import attrs
import pytest

from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Machine, Signal
from mailproto.errors import DeadlineExceeded, LocalProtocolError, RemoteProtocolError, TLSError
from mailproto.flows.effects import Flow, call, deadline, read, start_tls, write
from mailproto.testing import (
    Link,
    ScriptMismatch,
    assert_chop_invariant,
    converse,
    outcome,
    peer,
    play_client,
    play_server,
    splits,
    transcript,
)
from mailproto.testing.chop import cut_at, every_cut, octets, random_cuts


@attrs.frozen
class Said:
    text: bytes


@attrs.frozen
class Body:
    data: bytes


class Echo(Machine[object, bytes]):
    """Lines are `Said`; `TLS` closes the gate once answered; `*` begins six octets of Body."""

    __slots__ = ("body", "greeted", "per_chunk")

    def __init__(self, *, greets: bool = False, per_chunk: bool = False) -> None:
        self.greeted = not greets
        self.per_chunk = per_chunk
        super().__init__()

    def _begin(self) -> None:
        self.body = 0

    def _advance(self) -> object:
        if not self.greeted:
            return PAUSED
        if self.per_chunk:
            data = self._input.read(1 << 16)
            return Said(data) if data else NEED_DATA
        if self.body:
            data = self._input.read(self.body)
            if data:
                self.body -= len(data)
                return Body(data)
        elif (line := self._input.line(100)) is not None:
            if line == b"*":
                self.body = 6
            if line == b"bad":
                raise RemoteProtocolError("it said bad")
            return Said(line)
        return ConnectionClosed() if self._input.eof else NEED_DATA

    def send(self, item: bytes) -> None:
        if b"\n" in item:
            raise LocalProtocolError("no line ends")
        self.greeted = True
        self._output.write(item + b"\r\n")
        if item == b"go":
            self._await_tls()


def echo(machine: Echo, event: object) -> None:
    if event is PAUSED:
        machine.send(b"hello")
    elif isinstance(event, Said):
        machine.send(b"go" if event.text == b"TLS" else event.text)


# -------------------------------------------------------------------------------------- chop


def test_every_split_joins_to_the_input() -> None:
    data = bytes(range(20))
    found = [tuple(chunks) for chunks in splits(data)]
    assert all(b"".join(chunks) == data and all(chunks) for chunks in found)
    assert (data,) in found
    assert tuple(octets(data)) in found
    assert {(data[:k], data[k:]) for k in range(1, 20)} <= set(found)
    assert len(set(map(tuple, every_cut(data, 2)))) == 19 * 18 // 2


def test_splits_of_nothing_and_of_one_octet() -> None:
    assert all(chunks == [] for chunks in splits(b""))
    assert all(chunks == [b"x"] for chunks in splits(b"x"))
    assert cut_at(b"abc", [0, 3, 1, 1, 99]) == [b"a", b"bc"]
    assert random_cuts(b"abcdef", 5) == random_cuts(b"abcdef", 5)


def test_outcome_joins_body_and_keeps_output_error_and_state() -> None:
    found = outcome(Echo, octets(b"*\r\nabcdefx\r\nbad\r\nnever"), echo)
    assert found.events == (Said(b"*"), Body(b"abcdef"), Said(b"x"))
    assert found.output == b"*\r\nx\r\n"
    assert found.error == "it said bad"
    assert found.end is None
    assert found.state["failed"] is True


def test_invariant_machine_passes_and_octets_behind_a_tls_gate_are_an_error() -> None:
    whole = assert_chop_invariant(Echo, b"*\r\nabcdefone\r\nTLS\r\nsecret", echo)
    assert whole.error is not None
    assert "TLS" in whole.error
    assert whole.output.endswith(b"go\r\n")
    assert assert_chop_invariant(lambda: Echo(greets=True), b"x\r\n", echo).output == (
        b"hello\r\nx\r\n"
    )


def test_a_machine_that_depends_on_chunks_is_found() -> None:
    with pytest.raises(AssertionError, match="depends on the chunks"):
        assert_chop_invariant(lambda: Echo(per_chunk=True), b"abc", lambda m, e: None)


# -------------------------------------------------------------------------------------- link


@pytest.mark.parametrize("sizes", [(), (1,), (3, 1, 2)])
def test_link_carries_both_ways_and_passes_the_gate(sizes: tuple[int, ...]) -> None:
    def client_answer(client: Echo, event: object) -> None:
        if event == Said(b"go"):
            client._await_tls()

    link = Link(Echo(), Echo(), on_client=client_answer, on_server=echo, sizes=sizes)
    link.client.send(b"one")
    link.client.send(b"TLS")
    link.pump()
    assert link.server_events == [Said(b"one"), Said(b"TLS")]
    assert link.client_events == [Said(b"one"), Said(b"go")]
    assert link.client.tls
    assert link.server.tls
    link.client.send(b"two")
    link.close_client()
    assert link.client_events[-1] == Said(b"two")
    assert isinstance(link.server.next_event(), ConnectionClosed)
    assert bytes(link.sent_by_client) == b"one\r\nTLS\r\ntwo\r\n"


def test_link_does_not_hide_errors() -> None:
    link = Link(Echo(), Echo())
    link.client.send(b"bad")
    with pytest.raises(RemoteProtocolError):
        link.pump()


# ------------------------------------------------------------------------------------ script


SCRIPT = """
    S: hello
    C: one
    S: one
    C: TLS
    S: go
    TLS
    C: two
    S: two
"""


def test_transcript_parses_and_quotes_what_it_does_not_know() -> None:
    lines = transcript("\n  C: a \N{SYMBOL FOR SPACE}\n  S:\n  TLS\n")
    assert [str(line) for line in lines] == ["C: a  ", "S: ", "TLS"]
    with pytest.raises(ValueError, match="'D: x'"):
        transcript("D: x")


def test_scripted_client_plays_a_server() -> None:
    events = play_client(transcript(SCRIPT), Echo(greets=True), echo)
    assert events == [Said(b"one"), Said(b"TLS"), Said(b"two")]


def test_scripted_server_plays_a_client() -> None:
    def on_event(client: Echo, event: object) -> None:
        if event == Said(b"go"):
            client._await_tls()

    events = play_server(transcript(SCRIPT), Echo(), [b"one", b"TLS", b"two"], on_event)
    assert events == [Said(b"hello"), Said(b"one"), Said(b"go"), Said(b"two")]


def test_a_mismatch_shows_both_sides() -> None:
    with pytest.raises(ScriptMismatch, match=r"(?s)C: one.*expected: S: uno.*found: .*S: one"):
        play_client(transcript("C: one\nS: uno"), Echo(), echo)
    with pytest.raises(ScriptMismatch, match="nothing"):
        play_client(transcript("C: one\nS: one\nS: more"), Echo(), echo)
    with pytest.raises(ScriptMismatch, match="unexpected: b'two"):
        play_client(transcript("C: one\nS: one\nC: two"), Echo(), echo)
    with pytest.raises(ScriptMismatch, match="commands"):
        play_server(transcript("C: one"), Echo(), [b"one", b"two"])


# ------------------------------------------------------------------------------------- flows


def lines(count: int) -> Flow[bytes]:
    data = b""
    while data.count(b"\r\n") < count:
        more = yield from read()
        assert more, f"end of file after {data!r}"
        data += more
    return data


def caller() -> Flow[bytes]:
    yield from deadline(5)
    yield from lines(1)
    yield from write(b"one\r\n")
    yield from lines(1)
    yield from write(b"TLS\r\n")
    yield from lines(1)
    yield from start_tls()
    yield from write(b"two\r\n")
    return (yield from lines(1))


@pytest.mark.parametrize("sizes", [(), (1,), (2, 5)])
def test_a_flow_against_a_script(sizes: tuple[int, ...]) -> None:
    assert converse(caller(), peer(transcript(SCRIPT)), sizes=sizes) == (b"two\r\n", None)


def test_a_flow_that_strays_from_the_script() -> None:
    def stray() -> Flow[None]:
        yield from lines(1)
        yield from write(b"uno\r\n")

    with pytest.raises(ScriptMismatch, match=r"found: .*C: uno"):
        converse(stray(), peer(transcript(SCRIPT)))


def test_waiting_ends_by_the_shorter_deadline_or_is_a_failure() -> None:
    def wait(seconds: float | None) -> Flow[bool]:
        yield from deadline(seconds)
        try:
            return (yield from read()) == b""
        except DeadlineExceeded:
            return False

    assert converse(wait(5), wait(60)) == (False, True)
    with pytest.raises(AssertionError, match="both ends wait"):
        converse(wait(None), wait(None))


def test_calls_return_and_raise_in_the_flow() -> None:
    def calls() -> Flow[list[object]]:
        found: list[object] = [(yield from call(max, 3, 4))]
        try:
            yield from call(int, "x")
        except ValueError as error:
            found.append(type(error))
        return found

    def nothing() -> Flow[None]:
        yield from ()

    assert converse(calls(), nothing())[0] == [4, ValueError]


def test_octets_before_the_handshake_are_a_tls_error() -> None:
    def late() -> Flow[None]:
        yield from write(b"plaintext\r\n")
        yield from start_tls()

    with pytest.raises(TLSError):
        converse(start_tls(), late())


def test_signals_are_not_events() -> None:
    assert not any(isinstance(e, Signal) for e in outcome(Echo, [b"x\r\n"], echo).events)
