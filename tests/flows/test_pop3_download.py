"""Downloads that are interrupted anywhere: every message arrives once, none is lost."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import pop3, sasl
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.errors import CommandFailed, ConnectionLost, LocalProtocolError
from mailproto.flows.effects import Call, Effect, Flow, Read, Write, close, read, write
from mailproto.flows.pop3_client import Session
from mailproto.flows.pop3_download import ContentName, Downloaded, download
from mailproto.flows.pop3_server import Context, serve
from mailproto.flows.shutdown import Shutdown
from mailproto.testing import converse, peer, transcript
from mailproto.testing.chop import octets, random_cuts

USERS = Users({"alice": "secret"})
DAY = 86_400.0
MAIL = [b"Subject: %d\r\n\r\n" % number + b"line\r\n" * number for number in range(3)]


class Received:
    """One message under way."""

    def __init__(self, arrivals: Kept) -> None:
        self._arrivals = arrivals
        self._data = b""

    def write(self, data: bytes) -> None:
        self._data += data

    def keep(self, unique_id: str, now: float) -> None:
        self._arrivals.messages.append(self._data)
        self._arrivals.times[unique_id] = now

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

    def begin(self) -> Received:
        return Received(self)

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


def downloading(
    session: Session, arrivals: Kept, *, now: float, leave_days: float | None, cut: int | None
) -> Flow[Downloaded]:
    """A whole session, or as much of it as there is before its network breaks."""

    def client() -> Flow[Downloaded]:
        yield from session.greet()
        yield from session.login("alice", "secret")
        return (yield from download(session, arrivals, now=now, leave_days=leave_days))

    return client() if cut is None else cut_after(client(), cut)


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
    flow = downloading(
        Session(pop3.Client(tls=True)), arrivals, now=now, leave_days=leave_days, cut=cut
    )
    return converse(flow, serve(context.machine(tls=True), context), sizes=sizes)[0]


def test_new_messages_are_received_once_and_removed() -> None:
    store, arrivals = maildrop(*MAIL), Kept()
    assert run(store, arrivals) == Downloaded(received=3, removed=3, left=0)
    assert arrivals.messages == MAIL
    assert left(store) == 0
    assert run(store, arrivals) == Downloaded(0, 0, 0)
    assert arrivals.times == {}


@pytest.mark.parity("pop3-client downloads")
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


@pytest.mark.parity("pop3-client downloads")
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


def test_a_clock_that_was_put_back_keeps_no_message_that_may_go_at_once() -> None:
    store, arrivals = maildrop(*MAIL), Kept()
    assert run(store, arrivals, now=9 * DAY, leave_days=1) == Downloaded(3, 0, 3)
    assert run(store, arrivals, now=8 * DAY, leave_days=1) == Downloaded(0, 0, 3)
    assert run(store, arrivals, now=8 * DAY, leave_days=0) == Downloaded(0, 3, 0)


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


RETR = """
    C: RETR {0}
    S: +OK
    S: message {0}
    S: .
    """


def scripted(rest: str, arrivals: Kept, *, leave_days: float = 0) -> Downloaded:
    session = Session(pop3.Client(tls=True))

    def client() -> Flow[Downloaded]:
        yield from session.greet()
        yield from session.login("alice", "secret")
        return (yield from download(session, arrivals, now=0.0, leave_days=leave_days))

    return converse(client(), peer(transcript(SCRIPT + rest)))[0]


def test_P22_messages_with_one_unique_id_are_each_received_once() -> None:
    """RFC 1939 section 7 has identical messages share one; not all servers stop there."""
    arrivals = Kept()
    uidl = """
    S: +OK
    S: 1 same
    S: 2 other
    S: 3 same
    S: .
    """
    first = """
    C: RETR 1
    S: +OK
    S: one
    S: .
    C: RETR 2
    S: +OK
    S: two
    S: .
    C: DELE 2
    S: +OK
    C: RETR 3
    S: +OK
    S: half a mess
    """
    with pytest.raises(ConnectionLost):
        scripted(uidl + first, arrivals)
    second = """
    C: DELE 2
    S: +OK
    C: RETR 3
    S: +OK
    S: three
    S: .
    C: DELE 1
    S: +OK
    C: DELE 3
    S: +OK
    C: QUIT
    S: +OK
    """
    assert scripted(uidl + second, arrivals) == Downloaded(1, 3, 0)
    assert arrivals.messages == [b"one\r\n", b"two\r\n", b"three\r\n"]


class Shelf:
    """A server whose messages have the unique-ids that are given, whoever has them too."""

    def __init__(self, *messages: tuple[str, bytes]) -> None:
        self.messages = list(messages)
        self.refuses: set[tuple[bytes, bytes]] = set()
        """Commands, each with the content of a message."""

    def run(
        self, arrivals: Kept, *, days: float = 0, leave_days: float = 0, cut: int | None = None
    ) -> Downloaded:
        deleted: set[int] = set()
        refuses = self.refuses

        def answer(keyword: bytes, argument: bytes) -> bytes:
            match keyword:
                case b"RETR" | b"DELE" if (keyword, self.messages[int(argument) - 1][1]) in refuses:
                    return b"-ERR not now\r\n"
                case b"CAPA":
                    return b"-ERR\r\n"
                case b"UIDL":
                    ids = [unique_id for unique_id, _ in self.messages]
                    lines = [f"{number} {each}\r\n" for number, each in enumerate(ids, 1)]
                    return b"+OK\r\n" + "".join(lines).encode() + b".\r\n"
                case b"RETR":
                    return b"+OK\r\n" + self.messages[int(argument) - 1][1] + b".\r\n"
                case b"DELE":
                    deleted.add(int(argument))
                case b"QUIT":
                    for number in sorted(deleted, reverse=True):
                        del self.messages[number - 1]
                case _:
                    pass
            return b"+OK\r\n"

        def server() -> Flow[None]:
            yield from write(b"+OK\r\n")
            # The client sends one command at a time.
            while line := (yield from read()):
                keyword, _, argument = line.removesuffix(b"\r\n").partition(b" ")
                yield from write(answer(keyword, argument))

        session = Session(pop3.Client(tls=True))
        client = downloading(session, arrivals, now=days * DAY, leave_days=leave_days, cut=cut)
        return converse(client, server())[0]


def test_P22_messages_with_one_unique_id_leave_together_and_come_once() -> None:
    """Who stayed alone would have the name of the one that has gone."""
    arrivals, shelf = Kept(), Shelf(("same", b"one\r\n"))
    assert shelf.run(arrivals, days=0, leave_days=7) == Downloaded(1, 0, 1)
    shelf.messages.append(("same", b"two\r\n"))
    assert shelf.run(arrivals, days=3, leave_days=7) == Downloaded(1, 0, 2)
    assert shelf.run(arrivals, days=7, leave_days=7) == Downloaded(0, 0, 2)
    assert shelf.run(arrivals, days=10, leave_days=7) == Downloaded(0, 2, 0)
    assert arrivals.messages == [b"one\r\n", b"two\r\n"]
    assert arrivals.times == {}


def test_P22_one_that_was_refused_is_known_though_others_of_its_unique_id_have_gone() -> None:
    arrivals = Kept()
    shelf = Shelf(("same", b"one\r\n"), ("same", b"two\r\n"), ("same", b"three\r\n"))
    shelf.refuses = {(b"DELE", b"two\r\n")}
    done = shelf.run(arrivals)
    assert (done.received, done.removed, done.left) == (3, 2, 1)
    shelf.messages.append(("same", b"four\r\n"))
    shelf.refuses = set()
    assert shelf.run(arrivals) == Downloaded(1, 2, 0)
    assert sorted(arrivals.messages) == [b"four\r\n", b"one\r\n", b"three\r\n", b"two\r\n"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1]),
            st.none() | st.integers(0, 30),
            st.lists(st.sampled_from("ab"), max_size=3),
            st.sets(st.tuples(st.sampled_from([b"RETR", b"DELE"]), st.integers(0, 5))),
        ),
        max_size=6,
    )
)
def test_P20_P22_whatever_shares_a_unique_id_comes_once_and_is_not_lost(
    runs: list[tuple[int, int | None, list[str], set[tuple[bytes, int]]]],
) -> None:
    """Runs that the server refuses something, and that are cut; new mail comes after whole ones."""
    arrivals, shelf, come = Kept(), Shelf(), 0
    cut: int | None = None
    for day, (leave_days, next_cut, unique_ids, refuses) in enumerate(
        [*runs, (0, None, [], set())]
    ):
        if cut is None:
            for unique_id in unique_ids:
                shelf.messages.append((unique_id, b"%d\r\n" % come))
                come += 1
        shelf.refuses = {(command, b"%d\r\n" % number) for command, number in refuses}
        cut = next_cut
        with contextlib.nullcontext() if cut is None else contextlib.suppress(ConnectionLost):
            shelf.run(arrivals, days=day, leave_days=leave_days, cut=cut)
        assert len(set(arrivals.messages)) == len(arrivals.messages)
        here = {content for _, content in shelf.messages}
        assert here.union(arrivals.messages) == {b"%d\r\n" % number for number in range(come)}
    assert len(arrivals.messages) == come
    assert (shelf.messages, arrivals.times) == ([], {})


def test_a_listing_in_any_order_is_gone_through_by_number() -> None:
    rest = """
    S: +OK
    S: 2 same
    S: 1 same
    S: .
    C: RETR 1
    S: +OK
    S: one
    S: .
    C: RETR 2
    S: +OK
    S: two
    S: .
    C: DELE 1
    S: +OK
    C: DELE 2
    S: +OK
    C: QUIT
    S: +OK
    """
    assert scripted(rest, Kept()) == Downloaded(2, 2, 0)


def test_P20_P22_no_unique_id_of_a_server_is_that_of_a_copy() -> None:
    """One with a space in it is kept, too (``Quirk.UNIQUE_ID``)."""
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 a
    S: 2 a
    S: 3 a 2
    S: .
    """
    dele = """
    C: DELE {0}
    S: +OK
    """
    for command, number in ((RETR, 1), (RETR, 2), (dele, 1), (dele, 2), (RETR, 3), (dele, 3)):
        rest += command.format(number)
    assert scripted(rest + "C: QUIT\n    S: +OK\n", arrivals) == Downloaded(3, 3, 0)
    assert arrivals.messages == [b"message 1\r\n", b"message 2\r\n", b"message 3\r\n"]


def test_P22_a_unique_id_may_be_used_again_once_its_message_was_removed() -> None:
    """RFC 1939 section 7 keeps it unique only "for as long as the entity ... exists"."""
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 a
    S: .
    C: RETR 1
    S: +OK
    S: {}
    S: .
    C: DELE 1
    S: +OK
    C: QUIT
    S: +OK
    """
    for text in ("one", "two"):
        assert scripted(rest.format(text), arrivals) == Downloaded(1, 1, 0)
    assert arrivals.messages == [b"one\r\n", b"two\r\n"]


def test_P22_what_the_server_refuses_stays_and_the_rest_comes() -> None:
    arrivals = Kept()
    rest = """
    S: +OK
    S: 1 a
    S: 2 b
    S: 3 c
    S: .
    C: RETR 1
    S: -ERR [SYS/PERM] cannot be read
    C: RETR 2
    S: +OK
    S: two
    S: .
    C: DELE 2
    S: -ERR read only
    C: RETR 3
    S: +OK
    S: three
    S: .
    C: DELE 3
    S: +OK
    C: QUIT
    S: +OK
    """
    done = scripted(rest, arrivals)
    assert (done.received, done.removed, done.left) == (2, 1, 2)
    assert {number: why.split()[0] for number, why in done.refused.items()} == {
        1: "RETR",
        2: "DELE",
    }
    assert arrivals.messages == [b"two\r\n", b"three\r\n"]
    assert arrivals.times.keys() == {"b"}
    assert arrivals.discarded == 1


def test_P20_P22_a_refused_message_is_not_forgotten_where_content_is_its_name() -> None:
    """It is not told which of those remembered it is, so it would come a second time."""
    listing = """
    S: -ERR
    C: LIST
    S: +OK
    S: 1 5
    S: .
    C: RETR 1
    """
    given = """
    S: +OK
    S: one
    S: .
    C: QUIT
    S: +OK
    """
    refused = """
    S: -ERR [SYS/TEMP] later
    C: QUIT
    S: +OK
    """
    arrivals = Kept()
    runs = [scripted(listing + end, arrivals, leave_days=1) for end in (given, refused, given)]
    assert [done.received for done in runs] == [1, 0, 0]
    assert [len(done.refused) for done in runs] == [0, 1, 0]
    assert arrivals.messages == [b"one\r\n"]


@pytest.mark.parametrize("fails", ["begin", "write", "keep", "forget"])
def test_P22_what_arrivals_raise_is_no_refusal_of_the_server(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where mail goes on by SMTP, they may raise what servers' refusals are, too."""
    store, arrivals = maildrop(*MAIL), Kept()
    problem = CommandFailed("MAIL", "550 not today")

    def fail(*_: object) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(Kept if fails in ("begin", "forget") else Received, fails, fail)
        with pytest.raises(CommandFailed) as caught:
            run(store, arrivals)
    assert caught.value is problem
    assert left(store) == (0 if fails == "forget" else 3)
    run(store, arrivals)
    assert (sorted(arrivals.messages), arrivals.times) == (sorted(MAIL), {})


@pytest.mark.parametrize("leave_days", [-1, float("nan")])
def test_days_below_zero_are_refused_before_anything_is_asked(leave_days: float) -> None:
    flow = download(Session(pop3.Client()), Kept(), now=0.0, leave_days=leave_days)
    with pytest.raises(LocalProtocolError, match="None never"):
        next(flow)


BROKEN_OFF = b"+OK\r\nSubject: x\r\n\r\n..text\r\n.\r\n"


@pytest.mark.parametrize("cut", range(len(BROKEN_OFF)))
def test_P21_a_message_that_breaks_off_anywhere_is_discarded(cut: int) -> None:
    arrivals = Kept()
    session = Session(pop3.Client(tls=True))
    answers = [b"+OK\r\n", b"-ERR\r\n", b"+OK\r\n", b"+OK\r\n", b"+OK\r\n1 a\r\n.\r\n"]

    def client() -> Flow[Downloaded]:
        yield from session.greet()
        yield from session.login("alice", "secret")
        return (yield from download(session, arrivals, now=0.0))

    def server() -> Flow[None]:
        for answer in answers:
            yield from write(answer)
            yield from read()
        yield from write(BROKEN_OFF[:cut])
        yield from close()

    with pytest.raises(ConnectionLost):
        converse(client(), server())
    assert arrivals.messages == []
    assert arrivals.discarded == 1


def test_P21_a_message_is_discarded_where_its_driver_cuts_the_session() -> None:
    """As asyncio does to a task that is cancelled: nothing can be awaited then."""
    arrivals = Kept()
    session = Session(pop3.Client(tls=True))
    flow = downloading(session, arrivals, now=0.0, leave_days=0, cut=None)
    said = [b"+OK\r\n", b"-ERR\r\n", b"+OK\r\n", b"+OK\r\n", b"+OK\r\n1 a\r\n.\r\n", b"+OK\r\nhalf"]
    effect: Effect = next(flow)
    while said or not isinstance(effect, Read):
        result: object = None
        if isinstance(effect, Read):
            result = said.pop(0)
        elif isinstance(effect, Call):
            result = effect.function()
        effect = flow.send(result)
    assert arrivals.discarded == 0
    flow.close()
    assert (arrivals.discarded, arrivals.messages, arrivals.times) == (1, [], {})


# ------------------------------------------------------------------- servers without UIDL (P20)


def old_server(store: MemoryStore, *, announced: bool = False) -> Flow[None]:
    """Our server, as it was before UIDL was invented: unknown, and not announced."""
    context = Context(store, USERS, Shutdown(), sasl.Offer())
    flow = serve(context.machine(tls=True), context)
    result: object = None
    asked = False
    while True:
        try:
            effect: Effect = flow.send(result)
        except StopIteration:
            return
        if isinstance(effect, Write):
            data = effect.data if announced else effect.data.replace(b"UIDL\r\n", b"")
            if asked:
                data = b"-ERR unknown command\r\n"
            asked = False
            result = yield Write(data)
            continue
        result = yield effect
        if isinstance(effect, Read) and result:
            asked = result == b"UIDL\r\n"


def run_old(
    store: MemoryStore,
    arrivals: Kept,
    *,
    now: float = 0.0,
    leave_days: float | None = 0,
    cut: int | None = None,
    announced: bool = False,
) -> tuple[Downloaded, frozenset[pop3.Quirk]]:
    session = Session(pop3.Client(tls=True))
    flow = downloading(session, arrivals, now=now, leave_days=leave_days, cut=cut)
    done = converse(flow, old_server(store, announced=announced))[0]
    return done, session.quirks


@pytest.mark.parity("pop3-client quirks")
@pytest.mark.parametrize("leave_days", [0, None])
def test_P20_P22_a_download_without_uidl_is_cut_anywhere_and_completed(
    leave_days: float | None,
) -> None:
    for cut in itertools.count():
        store, arrivals = maildrop(*MAIL), Kept()
        try:
            run_old(store, arrivals, cut=cut, leave_days=leave_days)
        except ConnectionLost:
            assert left(store) in (0, 3)
            assert left(store) == 3 or len(arrivals.messages) == 3
            _, quirks = run_old(store, arrivals, leave_days=leave_days)
            assert pop3.Quirk.NO_UIDL in quirks
        else:
            assert cut > 10
            break
        assert arrivals.messages == MAIL
        assert left(store) == (0 if leave_days == 0 else 3)


def test_P20_without_uidl_messages_stay_for_the_days_they_are_left() -> None:
    store, arrivals = maildrop(*MAIL, MAIL[0]), Kept()
    assert run_old(store, arrivals, leave_days=7)[0] == Downloaded(3, 0, 4)
    assert run_old(store, arrivals, now=6.9 * DAY, leave_days=7)[0] == Downloaded(0, 0, 4)
    draft = store.draft()
    draft.write(b"late\r\n")
    store.deliver(draft, {"alice": b""})
    assert run_old(store, arrivals, now=7.0 * DAY, leave_days=7)[0] == Downloaded(1, 4, 1)
    assert arrivals.messages == [*MAIL, b"late\r\n"]
    assert run_old(store, arrivals, now=8.0 * DAY)[0] == Downloaded(0, 1, 0)
    assert run_old(store, arrivals)[0] == Downloaded(0, 0, 0)
    assert arrivals.times == {}


def test_P20_names_are_of_one_kind_as_long_as_any_is_remembered() -> None:
    """A server that has UIDL now and then neither doubles a message nor loses one."""
    store, arrivals = maildrop(*MAIL), Kept()
    run_old(store, arrivals, leave_days=None)
    assert run(store, arrivals, leave_days=None) == Downloaded(0, 0, 3)
    assert run(store, arrivals) == Downloaded(0, 3, 0)
    assert run(store, arrivals) == Downloaded(0, 0, 0)
    store = maildrop(*MAIL)
    run(store, arrivals, leave_days=None)
    with pytest.raises(CommandFailed, match="UIDL"):
        run_old(store, arrivals)
    assert arrivals.messages == [*MAIL, *MAIL]


def test_P20_P22_messages_without_a_unique_id_are_known_by_their_content() -> None:
    """Those beside them, which have one, are not asked for again."""
    uidl = """
    S: +OK
    S: 1 a
    S: 2
    S: 3
    S: .
    """
    refused = """
    C: RETR 2
    S: -ERR not now
    """
    quit = "\n    C: QUIT\n    S: +OK\n"
    arrivals = Kept()
    both = RETR.format(2) + RETR.format(3)
    runs = (
        uidl + RETR.format(1) + both + quit,
        uidl + both + quit,
        uidl + refused + RETR.format(3) + quit,
        uidl + both + quit,
    )
    received = [scripted(run, arrivals, leave_days=1).received for run in runs]
    assert received == [3, 0, 0, 0]
    assert arrivals.messages == [b"message 1\r\n", b"message 2\r\n", b"message 3\r\n"]
    assert len(arrivals.times) == 3


def test_P20_P22_a_unique_id_is_forgotten_though_another_message_without_one_was_refused() -> None:
    rest = """
    S: +OK
    S: 1 a
    S: 2
    S: .
    C: RETR 1
    S: +OK
    S: one
    S: .
    C: DELE 1
    S: +OK
    C: RETR 2
    S: -ERR not now
    C: QUIT
    S: +OK
    """
    arrivals = Kept()
    done = scripted(rest, arrivals)
    assert (done.received, done.removed, done.left, len(done.refused)) == (1, 1, 1, 1)
    assert arrivals.times == {}


def test_P20_uidl_that_is_announced_and_refused_is_a_failure() -> None:
    store, arrivals = maildrop(*MAIL), Kept()
    with pytest.raises(CommandFailed, match="UIDL"):
        run_old(store, arrivals, announced=True)
    with pytest.raises(CommandFailed, match="UIDL"):
        scripted("    S: -ERR [SYS/TEMP] later\n", arrivals)
    assert arrivals.messages == []
    assert left(store) == 3


CONTENTS = [
    b"",
    b"\r\n",
    b"\r\n\r\nStatus: RO\r\n",
    b"Subject: x\r\n\r\nbody\r\n",
    b"Subject: x\r\n\r\nother body\r\n",
    b"Subject: x\r\nbody\r\n",
    b"Subject: " + b"x" * 2000 + b"\r\nStatus: RO\r\n\r\nbody\r\n",
    b"Subject: " + b"x" * 2000 + b"\r\nStatus: O\r\n\r\nbody\r\n",
    b"Subject: x\r\n" * 200 + b"\r\nbody\r\n",
    b"no header",
]


def name_of(*pieces: bytes) -> str:
    name = ContentName()
    for piece in pieces:
        name.feed(piece)
    return name.name


@given(st.sampled_from(CONTENTS), st.integers(0, 99))
def test_P20_contents_have_names_of_their_own_however_they_come(content: bytes, seed: int) -> None:
    assert len({name_of(each) for each in CONTENTS}) == len(CONTENTS)
    assert name_of(*random_cuts(content, seed)) == name_of(content) == name_of(*octets(content))


def test_P20_what_reading_a_message_changes_is_not_in_its_name() -> None:
    """Servers over mbox files add Status when a message was read."""
    plain = b"Subject: x\r\n\r\nStatus: not a field\r\n"
    for field in (b"Status: RO\r\n", b"x-status: A\r\n", b"X-UIDL: 7\r\n"):
        assert name_of(field + plain) == name_of(plain)
        assert name_of(plain.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n")) == name_of(plain)
        assert name_of(plain + field) != name_of(plain)


@pytest.mark.parametrize("length", range(995, 1002))
def test_P20_the_longest_line_of_a_header_has_one_name_wherever_it_is_cut(length: int) -> None:
    """RFC 5322 section 2.1.1 has 998 octets in a line; what is longer is no header any more."""
    plain = b"Subject: x\r\n\r\nbody\r\n"
    line = b"Status: ".ljust(length, b"x")
    content = line + b"\r\n" + plain
    names = {name_of(content[:cut], content[cut:]) for cut in range(980, 1020)}
    assert names == {name_of(content)}
    assert (name_of(content) == name_of(plain)) is (length <= 998)


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
