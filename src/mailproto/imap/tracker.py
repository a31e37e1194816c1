"""A session's view of one mailbox: which message has which number, and what the client may be told.

Pure, and of no store: it is fed with what has changed and says what to report. The client's view
changes only in ``report``, so that a sequence number means the same to both sides at all times
(RFC 3501 section 7.4.1, RFC 9051 section 5.5).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol

from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.imap.sequence_set import SequenceSet

__all__ = ["Report", "Tracked", "Tracker"]


class Tracked(Protocol):
    """What a tracker must know of a message; ``backend.MessageInfo`` is one."""

    @property
    def uid(self) -> int:
        """The unique identifier."""
        ...

    @property
    def flags(self) -> frozenset[str]:
        r"""Flags and keywords, without ``\Recent``."""
        ...


M = TypeVar("M", bound=Tracked)


@frozen
class Report:
    """What to tell the client now, in this order: every EXPUNGE, EXISTS, RECENT, every FETCH."""

    expunged: Sequence[int] = ()
    """Sequence numbers for ``* n EXPUNGE``, descending, so that none moves another."""
    exists: int | None = None
    """For ``* n EXISTS``, when messages have arrived."""
    recent: int | None = None
    """For ``* n RECENT``, when messages have arrived."""
    changed: Sequence[int] = ()
    """UIDs of messages whose flags have changed, ascending; numbered as after this report."""

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.expunged or self.changed or self.exists is not None)


class Tracker(Generic[M]):
    """The numbers of the messages of one mailbox as the client knows them.

    ::

        tracker = Tracker(store_messages, recent=claimed)
        tracker.update(changes.messages, changes.expunged)
        report = tracker.report(expunges=True)      # now the client's numbers change

    Until it is reported, a removed message keeps its number and a new one has none.
    """

    __slots__ = ("_arrived", "_changed", "_gone", "_messages", "_recent", "_uids")

    def __init__(self, messages: Iterable[M], recent: Collection[int] = ()) -> None:
        r"""Begin with ``messages``, ascending by UID, and the UIDs that are ``\Recent``."""
        self._messages: dict[int, M] = {message.uid: message for message in messages}
        self._uids = list(self._messages)
        self._recent = set(recent) & self._messages.keys()
        self._arrived: dict[int, M] = {}
        self._gone: set[int] = set()
        self._changed: set[int] = set()

    def __len__(self) -> int:
        """The number of messages the client knows of (the last EXISTS less later EXPUNGEs)."""
        return len(self._uids)

    def __iter__(self) -> Iterator[M]:
        """The messages the client knows of, by sequence number."""
        messages = self._messages
        return (messages[uid] for uid in self._uids)

    @property
    def uids(self) -> Sequence[int]:
        """The UIDs the client knows of; ``uids[n - 1]`` has the sequence number ``n``."""
        return self._uids

    @property
    def recent(self) -> int:
        r"""The number of messages the client knows of that are ``\Recent`` in this session."""
        return len(self._recent)

    def is_recent(self, uid: int) -> bool:
        r"""Whether the message is ``\Recent`` in this session."""
        return uid in self._recent

    def is_gone(self, uid: int) -> bool:
        """Whether the message was removed but the client was not yet told."""
        return uid in self._gone

    def message(self, uid: int) -> M | None:
        """The latest that is known of a message that the client knows of."""
        return self._messages.get(uid)

    def number(self, uid: int) -> int | None:
        """The sequence number of a UID, or ``None`` if the client knows no such message."""
        uids = self._uids
        index = bisect_left(uids, uid)
        return index + 1 if index < len(uids) and uids[index] == uid else None

    def find(self, numbers: SequenceSet, *, by_uid: bool) -> list[range] | None:
        """The sequence numbers that a set names, as ascending ranges that do not touch.

        UIDs that are not there are skipped (RFC 9051 section 6.4.9). ``None`` is returned when a
        sequence number is beyond the last message, which is for BAD (section 6.4.5).
        """
        uids = self._uids
        count = len(uids)
        if not by_uid:
            pairs = numbers.resolve(count)
            if not pairs or pairs[0][0] < 1 or pairs[-1][1] > count:
                return None
            return [range(low, high + 1) for low, high in pairs]
        found: list[range] = []
        for low, high in numbers.resolve(uids[-1] if uids else 0):
            first, last = bisect_left(uids, low) + 1, bisect_right(uids, high)
            if first > last:
                continue
            if found and first == found[-1].stop:
                found[-1] = range(found[-1].start, last + 1)
            else:
                found.append(range(first, last + 1))
        return found

    def update(
        self,
        messages: Iterable[M],
        expunged: Iterable[int] = (),
        *,
        recent: Iterable[int] = (),
        expected: Mapping[int, frozenset[str]] | None = None,
    ) -> None:
        r"""Take in what has changed in the mailbox; the client's view stays until ``report``.

        ``messages`` are new and changed ones, in any order; ``recent`` are UIDs that have become
        ``\Recent`` in this session. ``expected`` maps a UID to the flags that the client takes
        it to have by now, having set them itself with ``.SILENT``: only a difference from those
        is a change to report.
        """
        known = self._messages
        last = self._uids[-1] if self._uids else 0
        for message in messages:
            uid = message.uid
            before = known.get(uid)
            if before is None:
                # UIDs ascend (RFC 9051 section 2.3.1.1): a lower one was removed and reported.
                if uid > last:
                    self._arrived[uid] = message
                continue
            told = expected.get(uid, before.flags) if expected else before.flags
            if message.flags != told:
                self._changed.add(uid)
            known[uid] = message
        for uid in expunged:
            if uid in known:
                self._gone.add(uid)
            elif self._arrived.pop(uid, None) is not None:
                self._recent.discard(uid)
        self._recent.update(uid for uid in recent if uid in known or uid in self._arrived)

    def told(self, uid: int) -> None:
        """The client has just been sent the flags of this message in a FETCH response."""
        self._changed.discard(uid)

    @property
    def pending(self) -> bool:
        """Whether ``report(expunges=True)`` would have anything to tell."""
        return bool(self._gone or self._arrived or self._changed)

    def report(self, *, expunges: bool) -> Report:
        """What to tell the client now; its numbers change with it.

        Without ``expunges`` (during FETCH, STORE and SEARCH) removals wait for the next report.
        """
        expunged = self._expunge() if expunges and self._gone else ()
        exists = recent = None
        if self._arrived:
            self._arrive()
            exists, recent = len(self._uids), len(self._recent)
        changed = sorted(self._changed - self._gone)
        self._changed.clear()
        return Report(expunged, exists, recent, changed)

    def _expunge(self) -> list[int]:
        uids, gone = self._uids, self._gone
        if len(gone) * 8 < len(uids):
            numbers = [bisect_left(uids, uid) + 1 for uid in gone]
            numbers.sort(reverse=True)
        else:
            numbers = [index + 1 for index, uid in enumerate(uids) if uid in gone]
            numbers.reverse()
        if len(numbers) < 32:
            for number in numbers:
                del uids[number - 1]
        else:
            self._uids = [uid for uid in uids if uid not in gone]
        for uid in gone:
            del self._messages[uid]
        self._recent -= gone
        self._changed -= gone
        self._gone = set()
        return numbers

    def _arrive(self) -> None:
        arrived = self._arrived
        for uid in sorted(arrived):
            self._messages[uid] = arrived[uid]
            self._uids.append(uid)
        self._arrived = {}
