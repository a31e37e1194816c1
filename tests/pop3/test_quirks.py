"""The quirks of content: lines that are too long, and messages that run into their final dot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import pop3
from mailproto.pop3 import Quirk
from mailproto.testing import assert_chop_invariant, outcome
from mailproto.testing.chop import joined, octets, random_cuts

Met = list[tuple[Quirk, pop3.Command | None]]


def make(octets: int | None = None, met: Met | None = None) -> pop3.Client:
    """A client that has asked for a message and a NOOP."""

    def on_quirk(quirk: Quirk, command: pop3.Command | None) -> None:
        if met is not None:
            met.append((quirk, command))

    client = pop3.Client(on_quirk=on_quirk)
    client.receive_data(b"+OK\r\n")
    client.next_event()
    login: list[tuple[pop3.Command, bytes]] = [
        (pop3.Capa(), b"+OK\r\nPIPELINING\r\n.\r\n"),
        (pop3.User("mrose"), b"+OK\r\n"),
        (pop3.Pass("secret"), b"+OK\r\n"),
    ]
    for command, reply in login:
        client.send(command)
        client.receive_data(reply)
        client.next_event()
    client.send(pop3.Retr(1, octets))
    client.send(pop3.Noop())
    return client


def silent(machine: object, event: object) -> None:
    """Say nothing."""


def received(octets: int | None, wire: bytes) -> tuple[list[object], object]:
    """Events behind the first +OK of what a server sends, followed by the answer to NOOP."""
    data = b"+OK\r\n" + wire + b"+OK done\r\n"
    whole = assert_chop_invariant(lambda: make(octets), data, silent)
    assert whole.error is None or "connection ended" in whole.error
    return list(joined(whole.events))[1:], whole.state["quirks"]


def message(content: bytes, bare: int | None = None) -> list[object]:
    body = [pop3.Body(content)] if content else []
    return [*body, pop3.EndOfMessage(bare), pop3.Ok("done")]


@pytest.mark.parity("pop3-client quirks")
@pytest.mark.parametrize(
    ("octets", "wire", "events"),
    [
        (4, b"text.\r\n", message(b"text\r\n")),
        (1, b"t.\r\n", message(b"t\r\n")),
        (5, b"text..\r\n", message(b"text.\r\n")),
        (5, b"text\r.\r\n", message(b"text\r\r\n", 4)),
        (11, b"..a\r\n..\r\ntext.\r\n", message(b".a\r\n.\r\ntext\r\n")),
        (8, b"a.\r\ntext.\r\n", message(b"a.\r\ntext\r\n")),
    ],
)
def test_P20_a_message_that_runs_into_its_final_dot_ends_where_LIST_told(
    octets: int, wire: bytes, events: list[object]
) -> None:
    assert received(octets, wire) == (events, {Quirk.MISSING_CRLF} | quirks_of(events))


def quirks_of(events: list[object]) -> set[Quirk]:
    bare = any(isinstance(e, pop3.EndOfMessage) and e.bare_newline is not None for e in events)
    return {Quirk.BARE_NEWLINE} if bare else set()


@pytest.mark.parametrize(
    ("octets", "wire", "content"),
    [
        (None, b"text.\r\nmore\r\n.\r\n", b"text.\r\nmore\r\n"),
        (3, b"text.\r\nmore\r\n.\r\n", b"text.\r\nmore\r\n"),
        (5, b"text.\r\nmore\r\n.\r\n", b"text.\r\nmore\r\n"),
        (6, b"text\r\n.\r\n", b"text\r\n"),
        (4, b"text\r\n.\r\n", b"text\r\n"),
        (6, b"text\r\n..\r\n.\r\n", b"text\r\n.\r\n"),
        (4, b"text..\r\n.\r\n", b"text..\r\n"),
        (4, b"text.\rmore\r\n.\r\n", b"text.\rmore\r\n"),
        (99, b"text\r\n.\r\n", b"text\r\n"),
        (0, b".\r\n", b""),
        (0, b"text\r\n.\r\n", b"text\r\n"),
    ],
)
def test_P20_P21_nothing_else_is_taken_for_the_end(
    octets: int | None, wire: bytes, content: bytes
) -> None:
    """Neither without the size, nor at any octet but the one it tells, nor for a true end."""
    bare = content.find(b"\rm")
    events = message(content, None if bare < 0 else bare)
    assert received(octets, wire) == (events, quirks_of(events))


def test_P21_a_message_without_an_end_is_never_complete() -> None:
    for told, wire in ((9, b"text.\r\n"), (3, b"text.\r\n"), (None, b"text.\r\n")):
        events, quirks = received(told, wire)
        assert events == [pop3.Body(b"text.\r\n+OK done")]
        assert quirks == frozenset()


@settings(max_examples=20)
@given(st.binary(max_size=24), st.booleans())
def test_P20_with_sizes_that_are_right_any_content_comes_whole(raw: bytes, proper: bool) -> None:
    """From a server that sends CRLF before the dot, and from one that forgets it."""
    content = raw.replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b".")
    wire = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    whole = not content or content.endswith(b"\r\n")
    wire += b".\r\n" if whole or not proper else b"\r\n.\r\n"
    events, quirks = received(len(content), wire)
    assert events == message(content if whole else content + b"\r\n")
    assert quirks == (frozenset() if whole or proper else {Quirk.MISSING_CRLF})


ENDS = st.lists(
    st.sampled_from([b"x", b".", b"\r\n", b"\r", b"\n", b"+OK\r\n", b".\r\n"]), max_size=12
)


@settings(max_examples=60)
@given(ENDS.map(b"".join), st.integers(0, 30), st.integers(0, 99))
def test_P01_P11_any_octets_where_an_end_was_told(data: bytes, told: int, seed: int) -> None:
    wire = b"+OK\r\n" + data
    whole = outcome(lambda: make(told), [wire], silent)
    assert outcome(lambda: make(told), random_cuts(wire, seed), silent) == whole
    assert outcome(lambda: make(told), octets(wire), silent) == whole


@pytest.mark.parametrize("length", range(508, 516))
@pytest.mark.parametrize("end", [b"\r\n", b""])
def test_P01_P20_an_end_that_was_told_may_be_cut_from_what_is_before_it(
    length: int, end: bytes
) -> None:
    """Octets without a line end are gathered to 512, so the last ones may come alone."""
    content = b"x" * length + end
    events, quirks = received(len(content), content + b".\r\n")
    assert events == message(b"x" * length + b"\r\n")
    assert quirks == (frozenset() if end else {Quirk.MISSING_CRLF})


def test_P08_a_message_whose_size_was_told_comes_in_pieces_all_the_same() -> None:
    client = make(1_000_000)
    client.receive_data(b"+OK\r\n" + b"x" * 1000)
    assert client.next_event() == pop3.Ok()
    assert client.next_event() == pop3.Body(b"x" * 1000)


@pytest.mark.parity("pop3-client quirks", "pop3-client lines of real mail")
@pytest.mark.parametrize("octets", [998, 999, 20_000])
def test_P20_a_long_line_of_a_message_is_reported_and_whole(octets: int) -> None:
    content = b"Subject: x\r\n\r\n" + b"x" * octets + b"\r\n" + b"y" * octets + b"\r\n"
    met: Met = []
    client = make(met=met)
    client.receive_data(b"+OK\r\n" + content + b".\r\n")
    events = [client.next_event() for _ in range(3)]
    assert list(joined(events)) == [pop3.Ok(), pop3.Body(content), pop3.EndOfMessage()]
    expected = [] if octets == 998 else [(Quirk.LONG_CONTENT_LINE, pop3.Retr(1))]
    assert met == expected
    assert client.quirks == {quirk for quirk, _ in expected}


@pytest.mark.parametrize("octets", [998, 999])
@pytest.mark.parametrize("before", [b"", b"x\r\n"])
def test_P01_where_a_long_line_is_cut_is_all_the_same(octets: int, before: bytes) -> None:
    events, quirks = received(None, before + b"x" * octets + b"\r\n.\r\n")
    assert events == message(before + b"x" * octets + b"\r\n")
    assert quirks == ({Quirk.LONG_CONTENT_LINE} if octets > 998 else frozenset())


def test_P20_each_time_that_a_quirk_is_met_is_told_with_the_command() -> None:
    met: Met = []
    client = make(met=met)
    client.receive_data(b"+ok\r\na\nb\r\n.\r\n+OK " + b"x" * 600 + b"\r\n")
    while client.next_event() is not pop3.NEED_DATA:
        pass
    assert met == [
        (Quirk.STATUS_SPELLING, pop3.Retr(1)),
        (Quirk.BARE_NEWLINE, pop3.Retr(1)),
        (Quirk.LONG_LINE, pop3.Noop()),
    ]
