r"""The selected mailbox of a session: the store's view of it and the client's, kept in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mailproto.backend.store import Mailbox, MailboxStatus, MessageInfo, NoSuchMailbox
from mailproto.flows.effects import Flow, call
from mailproto.flows.imap_server.answers import Refused, bad
from mailproto.imap.flags import RECENT, SYSTEM_FLAGS
from mailproto.imap.responses import (
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    RecentData,
    Response,
)
from mailproto.imap.sequence_set import SequenceSet
from mailproto.imap.tracker import Tracker

__all__ = ["Selected", "open_mailbox"]

_SYSTEM: Final = {flag: place for place, flag in enumerate(SYSTEM_FLAGS)}
_REMEMBER: Final = 1000


def open_mailbox(mailbox: Mailbox, *, read_only: bool) -> Flow[tuple[Selected, MailboxStatus]]:
    r"""Select ``mailbox``; unless read-only, ``\Recent`` is this session's from now on."""
    status = yield from call(mailbox.status)
    # What arrives between these two calls is claimed with the next arrivals.
    claimed = frozenset[int]() if read_only else (yield from call(mailbox.claim_recent))
    found = yield from call(mailbox.messages)
    if read_only and status.recent:
        # Claims take everything there is, so that the newest messages are the unclaimed ones.
        claimed = frozenset(message.uid for message in found.messages[-status.recent :])
    tracker = Tracker(found.messages, claimed)
    return Selected(mailbox, tracker, found.modseq, read_only=read_only), status


class Selected:
    """A mailbox and what the client knows of it."""

    def __init__(
        self, mailbox: Mailbox, tracker: Tracker[MessageInfo], modseq: int, *, read_only: bool
    ) -> None:
        self.mailbox = mailbox
        self.tracker = tracker
        self.read_only = read_only
        self._modseq = modseq
        self._deleted = False
        self._keywords = {k for m in tracker for k in m.flags if k not in _SYSTEM}
        self._flag_lists: dict[tuple[frozenset[str], bool], tuple[str, ...]] = {}

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that apply here: system flags, and the keywords in use."""
        return (*SYSTEM_FLAGS, *sorted(self._keywords))

    def flags_of(self, message: MessageInfo) -> tuple[str, ...]:
        r"""What FETCH tells of the flags of a message, ``\Recent`` included."""
        key = message.flags, self.tracker.is_recent(message.uid)
        listed = self._flag_lists.get(key)
        if listed is None:
            listed = tuple(sorted(message.flags, key=lambda flag: (_SYSTEM.get(flag, 99), flag)))
            if key[1]:
                listed = (*listed, RECENT)
            if len(self._flag_lists) >= _REMEMBER:
                self._flag_lists.clear()
            self._flag_lists[key] = listed
        return listed

    def find(self, numbers: SequenceSet, *, by_uid: bool) -> list[int]:
        """The UIDs that ``numbers`` name. Raises Refused for a number that no message has."""
        ranges = self.tracker.find(numbers, by_uid=by_uid)
        if ranges is None:
            raise Refused(bad("there are not so many messages"))
        uids = self.tracker.uids
        return [uid for part in ranges for uid in uids[part.start - 1 : part.stop - 1]]

    def present(self, uids: list[int]) -> list[int]:
        """Those of ``uids`` that were not removed meanwhile."""
        return [uid for uid in uids if not self.tracker.is_gone(uid)]

    def refresh(self, expected: Mapping[int, frozenset[str]] | None = None) -> Flow[None]:
        """Learn what has changed. Of a mailbox that was deleted every message is gone."""
        if self._deleted:
            return
        try:
            found = yield from call(self.mailbox.changes, self._modseq)
        except NoSuchMailbox:
            self._deleted = True
            self.tracker.update((), list(self.tracker.uids))
            return
        arrived = [m.uid for m in found.messages if self.tracker.message(m.uid) is None]
        recent: frozenset[int] = frozenset()
        if arrived and self.read_only:
            count = (yield from call(self.mailbox.status)).recent
            recent = frozenset(arrived[-count:] if count else ())
        elif arrived:
            recent = yield from call(self.mailbox.claim_recent)
        self.tracker.update(found.messages, found.expunged, recent=recent, expected=expected)
        self._modseq = found.modseq

    def report(self, *, expunges: bool, uids: bool) -> Iterator[Response]:
        """What to tell the client now; with ``uids`` the FETCH responses hold the UID."""
        report = self.tracker.report(expunges=expunges)
        for gone in report.expunged:
            yield ExpungeData(gone)
        if report.exists is not None:
            yield ExistsData(report.exists)
            yield RecentData(self.tracker.recent)
        for uid in report.changed:
            message = self.tracker.message(uid)
            number = self.tracker.number(uid)
            if message is None or number is None:
                continue
            yield from self.report_new_keywords([uid])
            yield FetchData(number, uid if uids else None, self.flags_of(message))

    def report_new_keywords(self, uids: list[int]) -> Iterator[Response]:
        """FLAGS, if a message has a keyword that the client was not told of."""
        found = {flag for uid in uids if (m := self.tracker.message(uid)) for flag in m.flags}
        unknown = found - self._keywords - _SYSTEM.keys()
        if unknown:
            self._keywords |= unknown
            yield FlagsData(self.flags)
