"""A store in memory: everything is gone with the process; large contents lie in unnamed files.

One lock guards the whole store; no method waits while it holds it, and listeners are called
after it is released.
"""

from __future__ import annotations

import datetime
import itertools
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from mailproto._core.frozen import frozen
from mailproto.backend import rules
from mailproto.backend.lines import canonical
from mailproto.backend.listeners import Listeners
from mailproto.backend.spool import Prefixed, Spool, sealed
from mailproto.backend.store import (
    Changes,
    Copied,
    Draft,
    FlagChange,
    MailboxEntry,
    MailboxStatus,
    MessageGone,
    MessageInfo,
    NoSuchMailbox,
)
from mailproto.errors import StoreError

__all__ = ["MemoryStore"]


class MemoryStore:
    r"""A ``Store`` that keeps everything in memory, for tests, demonstrations and short lives.

    ::

        store = MemoryStore()
        draft = store.draft()
        draft.write(b"Subject: hi\r\n\r\nhello\r\n")
        store.deliver(draft, {"ada": b"Return-Path: <bob@example.org>\r\n"})
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners = Listeners()
        self._accounts = dict[str, _Account]()
        self._uid_validities = itertools.count(int(time.time()))
        self._keys = itertools.count(1)

    @property
    def delimiter(self) -> str:
        """The hierarchy delimiter of mailbox names."""
        return rules.DELIMITER

    def account(self, name: str) -> _Account:
        """The account of that name, made with an empty INBOX when it is new."""
        with self._lock:
            if name not in self._accounts:
                self._accounts[name] = _Account(self, name)
            return self._accounts[name]

    def draft(self) -> Spool:
        """Begin to receive a message."""
        return Spool()

    def deliver(self, draft: Draft, recipients: Mapping[str, bytes]) -> None:
        """Put the draft into the INBOX of every account named."""
        body = sealed(draft)
        now = datetime.datetime.now(datetime.UTC)
        with self._lock:
            stored = dict[bytes, _Stored]()
            for name, prefix in recipients.items():
                if prefix not in stored:
                    stored[prefix] = self.stored(prefix, body)
                self.account(name).inbox.add([(frozenset[str](), now, stored[prefix])])
        for name in recipients:
            self.tell(name, [rules.INBOX])

    def close(self) -> None:
        """Let everything go."""
        with self._lock:
            self._accounts.clear()

    # What the accounts and mailboxes of this store use of it.

    @property
    def lock(self) -> threading.RLock:
        """The lock that guards everything."""
        return self._lock

    def stored(self, prefix: bytes, body: Spool) -> _Stored:
        """A new content."""
        eight_bit = body.eight_bit or not prefix.isascii()
        lines = body.canonical and canonical(prefix)
        return _Stored(str(next(self._keys)), Prefixed(prefix, body), eight_bit, lines)

    def next_uid_validity(self) -> int:
        """One that no mailbox of this store ever had."""
        return next(self._uid_validities)

    def tell(self, account: str, mailboxes: Iterable[str]) -> None:
        """Tell the listeners of an account, with the lock released."""
        self._listeners.tell(account, mailboxes)

    def listen(self, account: str, listener: Callable[[str], None]) -> Callable[[], None]:
        """Add a listener to an account."""
        return self._listeners.add(account, listener)


@frozen
class _Stored:
    """A content, the key that names it, whether it is more than ASCII, and canonical lines."""

    key: str
    content: Prefixed
    eight_bit: bool
    canonical: bool


class _Box:
    """The messages of one mailbox; all its callers hold the lock."""

    def __init__(self, name: str, uid_validity: int, special_use: str | None = None) -> None:
        self.name = name
        self.uid_validity = uid_validity
        self.special_use = special_use
        self.deleted = False
        self.locked = False  # as a maildrop
        self._uid_next = 1
        self._recent = 1
        self._modseq = 1
        self._size = 0
        self._messages = dict[int, MessageInfo]()
        self._contents = dict[int, _Stored]()
        self._changed = dict[int, None]()  # UIDs, the latest change last
        self._expunged = list[tuple[int, int]]()  # mod-sequence and UID

    def add(
        self, messages: Iterable[tuple[frozenset[str], datetime.datetime, _Stored]]
    ) -> list[int]:
        self._modseq += 1
        uids = list[int]()
        for flags, date, stored in messages:
            uid = self._uid_next
            self._uid_next += 1
            size = stored.content.size
            self._contents[uid] = stored
            self._put(
                MessageInfo(
                    uid,
                    flags,
                    date,
                    size,
                    self._modseq,
                    stored.key,
                    stored.eight_bit,
                    stored.canonical,
                )
            )
            self._size += size
            uids.append(uid)
        return uids

    def drop(self, uids: Iterable[int]) -> list[int]:
        gone = sorted(uid for uid in set(uids) if uid in self._messages)
        if gone:
            self._modseq += 1
        for uid in gone:
            self._size -= self._messages.pop(uid).size
            del self._contents[uid], self._changed[uid]
            self._expunged.append((self._modseq, uid))
        return gone

    def _put(self, message: MessageInfo) -> None:
        self._messages[message.uid] = message
        self._changed.pop(message.uid, None)
        self._changed[message.uid] = None

    def status(self) -> MailboxStatus:
        messages = self._messages.values()
        return MailboxStatus(
            self.uid_validity,
            self._uid_next,
            self._modseq,
            len(messages),
            sum("\\Seen" not in message.flags for message in messages),
            sum("\\Deleted" in message.flags for message in messages),
            len(self._recents()),
            self._size,
        )

    def _recents(self) -> list[int]:
        return [uid for uid in range(self._recent, self._uid_next) if uid in self._messages]

    def claim_recent(self) -> frozenset[int]:
        recents = frozenset(self._recents())
        self._recent = self._uid_next
        return recents

    def changes(self, since: int) -> Changes:
        changed = list[MessageInfo]()
        for uid in reversed(self._changed):
            message = self._messages[uid]
            if message.modseq <= since:
                break
            changed.append(message)
        first = bisect_right(self._expunged, since, key=lambda gone: gone[0])
        return Changes(
            sorted(changed, key=lambda message: message.uid),
            sorted(uid for _modseq, uid in self._expunged[first:]),
            self._modseq,
        )

    def messages(self) -> Changes:
        return Changes(list(self._messages.values()), (), self._modseq)

    def page(self, after: int, limit: int) -> list[MessageInfo]:
        every = (self._messages.get(uid) for uid in range(after + 1, self._uid_next))
        return list(itertools.islice(filter(None, every), limit))

    def stored(self, uid: int) -> _Stored | None:
        return self._contents.get(uid)

    def chosen(self, uids: Collection[int]) -> list[tuple[MessageInfo, _Stored]]:
        """The messages of these UIDs that are there, in ascending order."""
        return [
            (self._messages[uid], self._contents[uid])
            for uid in sorted(set(uids))
            if uid in self._messages
        ]

    def deletable(self, uids: Collection[int] | None) -> list[int]:
        candidates = self._messages if uids is None else uids
        return [
            uid
            for uid in candidates
            if (message := self._messages.get(uid)) and "\\Deleted" in message.flags
        ]

    def set_flags(
        self, uids: Collection[int], change: FlagChange, flags: rules.Flags, limit: int | None
    ) -> tuple[list[int], bool]:
        """The UIDs that were left alone, and whether anything changed."""
        refused = list[int]()
        modseq = self._modseq + 1
        for message, _stored in self.chosen(uids):
            if limit is not None and message.modseq > limit:
                refused.append(message.uid)
                continue
            new = flags.applied(change, message.flags)
            if new != message.flags:
                self._modseq = modseq
                self._put(
                    MessageInfo(
                        message.uid,
                        new,
                        message.internal_date,
                        message.size,
                        modseq,
                        message.key,
                        message.eight_bit,
                        message.canonical,
                    )
                )
        return refused, self._modseq == modseq


class _Account:
    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store = store
        self._name = name
        self._boxes = dict[str, _Box]()
        self._subscribed = set[str]()
        self._make(rules.INBOX)

    @property
    def name(self) -> str:
        return self._name

    @property
    def inbox(self) -> _Box:
        return self._boxes[rules.INBOX]

    def box(self, name: str) -> _Box:
        """The mailbox of that name. Raises NoSuchMailbox."""
        box = self._boxes.get(rules.canonical(name))
        if box is None:
            raise NoSuchMailbox(f"no mailbox {name!r}")
        return box

    def _make(self, name: str, special_use: str | None = None) -> None:
        self._boxes[name] = _Box(name, self._store.next_uid_validity(), special_use)

    def mailboxes(self) -> Sequence[MailboxEntry]:
        with self._store.lock:
            uses = {name: box.special_use for name, box in self._boxes.items()}
            return rules.listing(uses, self._subscribed)

    def create(self, name: str, special_use: str | None = None) -> None:
        with self._store.lock:
            name = rules.canonical(name)
            made = rules.new_names(name, self._boxes)
            for each in made:
                self._make(each, special_use if each == name else None)
        self._store.tell(self._name, made)

    def delete(self, name: str) -> None:
        with self._store.lock:
            box = self.box(name)
            if box is self.inbox:
                raise StoreError("INBOX cannot be deleted")
            box.deleted = True
            box.drop([message.uid for message in box.messages().messages])
            del self._boxes[box.name]
        self._store.tell(self._name, [box.name])

    def rename(self, name: str, new_name: str) -> None:
        with self._store.lock:
            name, new_name = rules.canonical(name), rules.canonical(new_name)
            if name == rules.INBOX:
                told = [*rules.new_names(new_name, self._boxes), name]
                for made in told[:-1]:
                    self._make(made)
                _move(self.inbox, self.box(new_name))
            else:
                moved = rules.renamed(name, new_name, self._boxes)
                above = rules.new_names(new_name, self._boxes.keys() - moved.keys())[:-1]
                boxes = {new: self._boxes.pop(old) for old, new in moved.items()}
                for new, box in boxes.items():
                    box.name = new
                self._boxes |= boxes
                for made in above:
                    self._make(made)
                told = [*moved, *moved.values(), *above]
        self._store.tell(self._name, told)

    def subscribe(self, name: str, subscribed: bool) -> None:
        with self._store.lock:
            if subscribed:
                self._subscribed.add(rules.canonical(name))
            else:
                self._subscribed.discard(rules.canonical(name))

    def open(self, name: str) -> _Mailbox:
        with self._store.lock:
            return _Mailbox(self._store, self, self.box(name))

    def append(
        self,
        name: str,
        draft: Draft,
        flags: Collection[str] = (),
        internal_date: datetime.datetime | None = None,
    ) -> tuple[int, int]:
        date = internal_date or datetime.datetime.now(datetime.UTC)
        with self._store.lock:
            box = self.box(name)
            stored = self._store.stored(b"", sealed(draft))
            (uid,) = box.add([(rules.Flags(flags).all(), date, stored)])
        self._store.tell(self._name, [box.name])
        return box.uid_validity, uid

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        return self._store.listen(self._name, listener)


class _Mailbox:
    def __init__(self, store: MemoryStore, account: _Account, box: _Box) -> None:
        self._store = store
        self._account = account
        self._box = box
        self._name = box.name
        self._has_lock = False

    @property
    def name(self) -> str:
        return self._name

    def status(self) -> MailboxStatus:
        with self._store.lock:
            return self._present().status()

    def messages(self) -> Changes:
        with self._store.lock:
            return self._present().messages()

    def page(self, after: int, limit: int) -> Sequence[MessageInfo]:
        with self._store.lock:
            return self._present().page(after, limit)

    def changes(self, since: int) -> Changes:
        with self._store.lock:
            return self._present().changes(since)

    def _present(self) -> _Box:
        if self._box.deleted:
            raise NoSuchMailbox(f"mailbox {self._name!r} was deleted")
        return self._box

    def claim_recent(self) -> frozenset[int]:
        with self._store.lock:
            return self._box.claim_recent()

    def content(self, uid: int) -> Prefixed:
        with self._store.lock:
            stored = self._box.stored(uid)
        if stored is None:
            raise MessageGone(f"message {uid} of mailbox {self._name!r} was expunged")
        return stored.content

    def set_flags(
        self,
        uids: Collection[int],
        change: FlagChange,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Sequence[int]:
        with self._store.lock:
            refused, changed = self._box.set_flags(
                uids, change, rules.Flags(flags), unchanged_since
            )
        if changed:
            self._tell(self._box.name)
        return refused

    def expunge(self, uids: Collection[int] | None = None) -> Sequence[int]:
        with self._store.lock:
            gone = self._box.drop(self._box.deletable(uids))
        if gone:
            self._tell(self._box.name)
        return gone

    def remove(self, uids: Collection[int]) -> Sequence[int]:
        with self._store.lock:
            gone = self._box.drop(uids)
        if gone:
            self._tell(self._box.name)
        return gone

    def copy(self, uids: Collection[int], destination: str) -> Copied:
        with self._store.lock:
            target = self._account.box(destination)
            copied = _copy(self._box, uids, target)
        if copied.source:
            self._tell(target.name)
        return copied

    def move(self, uids: Collection[int], destination: str) -> Copied:
        with self._store.lock:
            target = self._account.box(destination)
            copied = _copy(self._box, uids, target)
            self._box.drop(copied.source)
        if copied.source:
            self._tell(self._box.name, target.name)
        return copied

    def lock(self) -> bool:
        with self._store.lock:
            if self._box.locked:
                return False
            self._box.locked = self._has_lock = True
            return True

    def unlock(self) -> None:
        with self._store.lock:
            if self._has_lock:
                self._box.locked = self._has_lock = False

    def _tell(self, *names: str) -> None:
        self._store.tell(self._account.name, names)


def _copy(source: _Box, uids: Collection[int], target: _Box) -> Copied:
    chosen = source.chosen(uids)
    if not chosen:
        return Copied(target.uid_validity, (), ())
    added = target.add((info.flags, info.internal_date, stored) for info, stored in chosen)
    return Copied(target.uid_validity, [info.uid for info, _stored in chosen], added)


def _move(source: _Box, target: _Box) -> None:
    source.drop(_copy(source, [info.uid for info in source.messages().messages], target).source)
