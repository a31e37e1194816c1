"""The tracker against a client that believes every response, and against the mailbox itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto.imap.sequence_set import SequenceSet, sequence_set
from mailproto.imap.tracker import Report, Tracker
from mailproto.testing.growth import assert_linear


@dataclass(frozen=True)
class Message:
    uid: int
    flags: frozenset[str] = frozenset()


def messages(*uids: int) -> list[Message]:
    return [Message(uid) for uid in uids]


SEEN = frozenset({"\\Seen"})
FLAGGED = frozenset({"\\Flagged"})


def test_numbers_and_uids() -> None:
    tracker = Tracker(messages(4, 7, 11))
    assert len(tracker) == 3
    assert [tracker.number(uid) for uid in (4, 7, 11)] == [1, 2, 3]
    assert [tracker.number(uid) for uid in (0, 5, 12)] == [None, None, None]
    assert list(tracker.uids) == [4, 7, 11]


def test_expunges_are_held_back_and_numbers_stay() -> None:
    tracker = Tracker(messages(1, 2, 3))
    tracker.update([], [2])
    assert not tracker.report(expunges=False)
    assert tracker.number(3) == 3
    assert tracker.is_gone(2)
    assert tracker.report(expunges=True) == Report([2], None, None, [])
    assert tracker.number(3) == 2
    assert not tracker.pending


def test_arrivals_are_told_while_expunges_wait() -> None:
    tracker = Tracker(messages(1, 2, 3))
    tracker.update([Message(9)], [1])
    assert tracker.report(expunges=False) == Report((), 4, 0, [])
    assert tracker.number(9) == 4
    assert tracker.report(expunges=True).expunged == [1]
    assert tracker.number(9) == 3


def test_a_message_that_comes_and_goes_unseen_is_never_mentioned() -> None:
    tracker = Tracker(messages(1))
    tracker.update([Message(2)], recent=[2])
    tracker.update([], [2])
    assert not tracker.pending
    assert not tracker.report(expunges=True)
    assert tracker.recent == 0


def test_expunges_are_descending_so_that_none_moves_another() -> None:
    tracker = Tracker(messages(1, 2, 3, 4, 5))
    tracker.update([], [1, 3, 5])
    assert tracker.report(expunges=True).expunged == [5, 3, 1]
    assert list(tracker.uids) == [2, 4]


def test_flag_changes_of_others_are_told_own_silent_ones_are_not() -> None:
    tracker = Tracker(messages(1, 2))
    tracker.update([Message(1, SEEN), Message(2, SEEN)], expected={1: SEEN})
    assert tracker.report(expunges=False).changed == [2]
    tracker.update([Message(1, SEEN | FLAGGED)], expected={1: SEEN})
    assert tracker.report(expunges=False).changed == [1]


def test_flags_told_in_a_fetch_are_not_told_again() -> None:
    tracker = Tracker(messages(1))
    tracker.update([Message(1, SEEN)])
    tracker.told(1)
    assert not tracker.report(expunges=False)


def test_no_change_is_no_report() -> None:
    tracker = Tracker(messages(1))
    tracker.update(messages(1), [55])
    assert not tracker.pending


def test_recent_belongs_to_the_messages_that_are_there() -> None:
    tracker = Tracker(messages(1, 2), recent=[2, 77])
    assert tracker.recent == 1
    tracker.update(messages(3), recent=[3])
    assert tracker.report(expunges=True) == Report((), 3, 2, [])
    tracker.update([], [2])
    tracker.report(expunges=True)
    assert tracker.recent == 1
    assert tracker.is_recent(3)


@pytest.mark.parametrize(
    ("numbers", "by_uid", "expected"),
    [
        ("1:*", False, [range(1, 4)]),
        ("*:2", False, [range(2, 4)]),
        ("2,1", False, [range(1, 3)]),
        ("3,1,1", False, [range(1, 2), range(3, 4)]),
        ("4", False, None),
        ("5:12", True, [range(2, 4)]),
        ("5:6,8:9", True, []),
        # 100:* always includes the last message (RFC 9051 section 9, seq-range)
        ("100:*", True, [range(3, 4)]),
        ("1:4,7", True, [range(1, 3)]),
    ],
)
def test_sequence_sets(numbers: str, by_uid: bool, expected: list[range] | None) -> None:
    assert Tracker(messages(4, 7, 11)).find(sequence_set(numbers), by_uid=by_uid) == expected


def test_an_empty_mailbox_has_no_last_message() -> None:
    assert Tracker([]).find(sequence_set("1:*"), by_uid=True) == []
    assert Tracker([]).find(sequence_set("1:*"), by_uid=False) is None


@dataclass
class Client:
    """Applies what it is told, literally."""

    count: int
    uids: list[int | None] = field(default_factory=list)

    def hear(self, report: Report) -> None:
        for number in report.expunged:
            assert 1 <= number <= len(self.uids)
            del self.uids[number - 1]
        if report.exists is not None:
            assert report.exists >= len(self.uids)
            self.uids += [None] * (report.exists - len(self.uids))


OPERATION = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 40)),
    st.tuples(st.just("remove"), st.integers(0, 200)),
    st.tuples(st.just("flag"), st.integers(0, 200)),
    st.tuples(st.just("sync"), st.just(0)),
    st.tuples(st.just("report"), st.booleans()),
)


@given(st.integers(0, 60), st.lists(OPERATION, max_size=40))
@settings(max_examples=300)
def test_client_and_mailbox_agree_after_every_report(
    initial: int, operations: list[tuple[str, int]]
) -> None:
    mailbox = {uid: Message(uid) for uid in range(1, initial + 1)}
    next_uid = initial + 1
    changed: set[int] = set()
    removed: set[int] = set()
    tracker = Tracker(list(mailbox.values()))
    client = Client(initial, list(range(1, initial + 1)))
    known_flags = {uid: message.flags for uid, message in mailbox.items()}

    def report(expunges: bool) -> None:
        told = tracker.report(expunges=expunges)
        assert expunges or not told.expunged
        client.hear(told)
        uids = list(tracker.uids)
        assert len(uids) == len(client.uids)
        assert all(mine in (None, theirs) for mine, theirs in zip(client.uids, uids, strict=True))
        client.uids = list(uids)
        for uid in told.changed:
            message = tracker.message(uid)
            assert message is not None
            known_flags[uid] = message.flags

    for name, value in operations:
        if name == "add":
            for _ in range(value):
                mailbox[next_uid] = Message(next_uid)
                changed.add(next_uid)
                next_uid += 1
        elif name == "remove" and mailbox:
            uid = sorted(mailbox)[value % len(mailbox)]
            del mailbox[uid]
            removed.add(uid)
            changed.discard(uid)
        elif name == "flag" and mailbox:
            uid = sorted(mailbox)[value % len(mailbox)]
            mailbox[uid] = Message(uid, mailbox[uid].flags ^ SEEN)
            changed.add(uid)
        elif name == "sync":
            tracker.update([mailbox[uid] for uid in sorted(changed)], sorted(removed))
            changed.clear()
            removed.clear()
        else:
            report(bool(value))
    tracker.update([mailbox[uid] for uid in sorted(changed)], sorted(removed))
    report(True)
    assert list(tracker.uids) == sorted(mailbox)
    assert {m.uid: m.flags for m in tracker} == {u: m.flags for u, m in mailbox.items()}
    for uid in mailbox:
        assert known_flags.get(uid, mailbox[uid].flags) == mailbox[uid].flags


def test_P09_work_on_many_messages_is_linear() -> None:
    def session(size: int) -> Callable[[], None]:
        def work() -> None:
            tracker = Tracker([Message(uid) for uid in range(1, 2 * size, 2)])
            for uid in range(1, size, 2):
                assert tracker.number(uid) == (uid + 1) // 2
            tracker.update([], range(1, size, 2))
            assert len(tracker.report(expunges=True).expunged) == size // 2
            for uid in range(size + 1, size + size // 40, 2):  # one by one, as another session may
                tracker.update([], [uid])
                assert tracker.report(expunges=True).expunged == [1]
            chosen = SequenceSet(tuple((n, n) for n in range(1, size // 3)))
            assert tracker.find(chosen, by_uid=False) == [range(1, size // 3)]

        return work

    assert_linear(session, 4_000)
