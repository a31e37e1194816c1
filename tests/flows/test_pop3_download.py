"""Downloads that are interrupted anywhere: every message arrives once, none is lost."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import pytest

from mailproto import pop3, sasl
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.errors import CommandFailed, ConnectionLost
from mailproto.flows.effects import Effect, Flow, Read, Write
from mailproto.flows.pop3_client import Session
from mailproto.flows.pop3_download import Downloaded, download
from mailproto.flows.pop3_server import Context, serve
from mailproto.flows.shutdown import Shutdown
from mailproto.testing import converse, peer, transcript

USERS = Users({"alice": "secret"})
DAY = 86_400.0
MAIL = [b"Subject: %d\r\n\r\n" % number + b"line\r\n" * number for number in range(3)]


class Received:
    """One message under way."""

    def __init__(self, arrivals: Kept, unique_id: str, now: float) -> None:
        self._arrivals, self._unique_id, self._now = arrivals, unique_id, now
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    def keep(self) -> None:
        self._arrivals.messages.append(self._data)
        self._arrivals.times[self._unique_id] = self._now

    def discard(self) -> None:
        self._arrivals.discarded += 1


class Kept:
    """Arrivals in memory."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.times: dict[str, float] = {}
        self.discarded = 0

    def kept(self) -> dict[str, float]:
        return self.times

    def begin(self, unique_id: str, now: float) -> Received:
        return Received(self, unique_id, now)

    def forget(self, unique_ids: Collection[str]) -> None:
        for unique_id in unique_ids:
            del self.times[unique_id]


def maildrop(*contents: bytes) -> MemoryStore:
    store = MemoryStore()
    for content in contents:
        draft = store.draft()
        draft.write(content)
        store.deliver(draft, {"alice": b""})
    return store


def left(store: MemoryStore) -> int:
    return store.account("alice").open("INBOX").status().messages


def cut_after(flow: Flow[Downloaded], count: int) -> Flow[Downloaded]:
    """`flow` until its network breaks at the Read or Write number `count`."""
    effect: Effect = next(flow)
    try:
        for number in itertools.count():
            while not isinstance(effect, Read | Write):
                effect = flow.send((yield effect))
            if number >= count:
                effect = flow.throw(ConnectionLost("cut"))
            else:
                effect = flow.send((yield effect))
    except StopIteration as stop:
        value: Downloaded = stop.value
        return value
    raise AssertionError("count() has ended")


def run(
    store: MemoryStore,
    arrivals: Kept,
    *,
    now: float = 0.0,
    leave_days: float | None = 0,
    cut: int | None = None,
    sizes: tuple[int, ...] = (),
) -> Downloaded:
    context = Context(store, USERS, Shutdown(), sasl.Offer())
    session = Session(pop3.Client(tls=True))

    def client() -> Flow[Downloaded]:
        yield from session.greet()
        yield from session.login("alice", "secret")
        return (yield from download(session, arrivals, now=now, leave_days=leave_days))

    flow = client() if cut is None else cut_after(client(), cut)
    return converse(flow, serve(context.machine(tls=True), context), sizes=sizes)[0]


def test_new_messages_are_received_once_and_removed() -> None:
    store, arrivals = maildrop(*MAIL), Kept()
    assert run(store, arrivals) == Downloaded(received=3, removed=3, left=0)
    assert arrivals.messages == MAIL
    assert left(store) == 0
    assert run(store, arrivals) == Downloaded(0, 0, 0)
    assert arrivals.times == {}


@pytest.mark.parametrize("sizes", [(), (9,)])
def test_a_download_that_is_cut_anywhere_is_completed_by_the_next(sizes: tuple[int, ...]) -> None:
    for cut in itertools.count():
        store, arrivals = maildrop(*MAIL), Kept()
        try:
            run(store, arrivals, cut=cut, sizes=sizes)
        except ConnectionLost:
            # Before QUIT has arrived nothing is removed; behind it everything is.
            assert left(store) in (0, 3)
            assert left(store) == 3 or len(arrivals.messages) == 3
            run(store, arrivals, sizes=sizes)
        else:
            assert cut > 10
            break
        assert arrivals.messages == MAIL
        assert left(store) == 0


def test_messages_stay_for_the_days_they_are_left() -> None:
    store, arrivals = maildrop(*MAIL), Kept()
    assert run(store, arrivals, now=0.0, leave_days=7) == Downloaded(3, 0, 3)
    assert run(store, arrivals, now=6.9 * DAY, leave_days=7) == Downloaded(0, 0, 3)
    draft = store.draft()
    draft.write(b"late\r\n")
    store.deliver(draft, {"alice": b""})
    assert run(store, arrivals, now=7.0 * DAY, leave_days=7) == Downloaded(1, 3, 1)
    assert arrivals.messages == [*MAIL, b"late\r\n"]
    assert left(store) == 1
    assert run(store, arrivals, now=8.0 * DAY, leave_days=None) == Downloaded(0, 0, 1)
    assert len(arrivals.times) == 1


SCRIPT = """
    S: +OK
    C: CAPA
    S: -ERR
    C: USER alice
    S: +OK
    C: PASS secret
    S: +OK
    C: UIDL
"""


def scripted(rest: str, arrivals: Kept) -> Downloaded:
    session = Session(pop3.Client(tls=True))

    def client() -> Flow[Downloaded]:
        yield from session.greet()
        yield from session.login("alice", "secret")
        return (yield from download(session, arrivals, now=0.0))

    return converse(client(), peer(transcript(SCRIPT + rest)))[0]


def test_two_messages_with_one_unique_id_are_one() -> None:
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 same
    S: 2 same
    S: .
    C: RETR 1
    S: +OK
    S: text
    S: .
    C: DELE 1
    S: +OK
    C: DELE 2
    S: +OK
    C: QUIT
    S: +OK
    """
    assert scripted(rest, arrivals) == Downloaded(1, 2, 0)
    assert arrivals.messages == [b"text\r\n"]


def test_a_message_that_breaks_off_is_discarded() -> None:
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 a
    S: .
    C: RETR 1
    S: +OK
    S: half a mess
    """
    with pytest.raises(ConnectionLost):
        scripted(rest, arrivals)
    assert arrivals.messages == []
    assert arrivals.discarded == 1


def test_without_uidl_nothing_is_downloaded() -> None:
    arrivals = Kept()
    with pytest.raises(CommandFailed, match="UIDL"):
        scripted("    S: -ERR unknown\n", arrivals)


def test_what_update_could_not_remove_is_removed_by_the_next_run() -> None:
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 a
    S: .
    C: RETR 1
    S: +OK
    S: text
    S: .
    C: DELE 1
    S: +OK
    C: QUIT
    S: -ERR [SYS/TEMP] not removed
    """
    with pytest.raises(CommandFailed):
        scripted(rest, arrivals)
    again = """
    S: +OK
    S: 1 a
    S: .
    C: DELE 1
    S: +OK
    C: QUIT
    S: +OK
    """
    assert scripted(again, arrivals) == Downloaded(0, 1, 0)
    assert arrivals.messages == [b"text\r\n"]
