"""A stateful test for stores: random sequences of operations, compared with a small model.

For those who implement ``mailproto.backend.Store``; needs the extra ``mailproto[testing]``::

    TestMyStore = store_machine(MyStore).TestCase

Methods may return values or awaitables; awaitables are run on an event loop of the machine.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import TypeVar

from mailproto.backend import (
    Account,
    Draft,
    FlagChange,
    Mailbox,
    MailboxExists,
    Maybe,
    MessageGone,
    NoSuchMailbox,
    Store,
    StoreError,
)

__all__ = ["StoreMachine", "store_machine"]

T = TypeVar("T")

_ACCOUNTS: Final = st.sampled_from(["ada", "bob@example.org"])
_NAMES: Final = st.sampled_from(["INBOX", "inbox", "a", "a/b", "a/b/c", "b", "b/a", "Entwürfe"])
_UIDS: Final = st.sets(st.integers(1, 9), max_size=9)
_FLAGS: Final = st.sets(
    st.sampled_from(["\\Seen", "\\seen", "\\Deleted", "\\Flagged", "$Label", "$LABEL", "\\Recent"])
)
_PREFIXES: Final = st.sampled_from([b"", b"Return-Path: <>\r\n", b"Received: x\r\n" * 20])
_CONTENTS: Final = st.one_of(
    st.binary(max_size=40),
    st.integers(65_000, 140_000).map(lambda size: b"0123456789" * (size // 10)),
)
_DATES: Final = st.datetimes(
    datetime.datetime(1970, 1, 2),  # noqa: DTZ001 -- the strategy adds the zone
    datetime.datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from(
        [datetime.UTC, datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))]
    ),
)


class _Message:
    """A message of the model; ``version`` grows with every change."""

    def __init__(
        self, octets: bytes, flags: frozenset[str], date: datetime.datetime | None, version: int
    ) -> None:
        self.octets = octets
        self.flags = flags
        self.date = date
        self.version = version


class _Box:
    """A mailbox of the model."""

    def __init__(self, handle: Mailbox) -> None:
        self.handle = handle
        self.messages = dict[int, _Message]()
        self.recent = set[int]()
        self.uid_next = 1
        self.uid_validity: int | None = None
        self.past = list[tuple[int, dict[int, int]]]()  # a mod-sequence and the versions then


class StoreMachine(RuleBasedStateMachine):
    """Rules for every operation of a store, and the model they are compared with."""

    def __init__(
        self, make: Callable[[], Store], reopen: Callable[[Store], Store] | None = None
    ) -> None:
        super().__init__()
        self._runner: asyncio.Runner | None = None
        self._reopen = reopen
        self._store = make()
        self._boxes = dict[str, dict[str, _Box]]()
        self._subscribed = dict[str, set[str]]()
        self._octets_of_key = dict[str, bytes]()
        self._version = 0
        self._uid_validities = defaultdict[tuple[str, str], set[int]](set)
        self.told: list[tuple[str, str]] = list[tuple[str, str]]()
        """Accounts and mailboxes that the listeners were told of."""
        for account in ("ada", "bob@example.org"):
            self._boxes[account] = {}
            self._subscribed[account] = set()
            self._listen(account)
            self._add_box(account, "INBOX")

    def teardown(self) -> None:
        """Close the store."""
        self._now(self._store.close())
        if self._runner is not None:
            self._runner.close()

    # ------------------------------------------------------------------------------- rules

    @rule(
        recipients=st.dictionaries(_ACCOUNTS, _PREFIXES, min_size=1),
        content=_CONTENTS,
        cut=st.integers(0, 50),
    )
    def deliver(self, recipients: Mapping[str, bytes], content: bytes, cut: int) -> None:
        """Every recipient's INBOX has it behind that recipient's prefix."""
        with _Telling(self, *((account, "INBOX") for account in recipients)):
            self._now(self._store.deliver(self._draft(content, cut), recipients))
        for account, prefix in recipients.items():
            self._add(self._boxes[account]["INBOX"], prefix + content, frozenset(), None)

    @rule(
        account=_ACCOUNTS,
        name=_NAMES,
        content=_CONTENTS,
        flags=_FLAGS,
        date=st.none() | _DATES,
        cut=st.integers(0, 50),
    )
    def append(
        self,
        account: str,
        name: str,
        content: bytes,
        flags: set[str],
        date: datetime.datetime | None,
        cut: int,
    ) -> None:
        """The mailbox has it with flags and date, under the UID that was told."""
        draft = self._draft(content, cut)
        box = self._boxes[account].get(_spelt(name))
        if box is None:
            self._refused(
                NoSuchMailbox, lambda: self._account(account).append(name, draft, flags, date)
            )
            return
        with _Telling(self, (account, _spelt(name))):
            told = self._now(self._account(account).append(name, draft, flags, date))
        assert told == (box.uid_validity, self._add(box, content, _lower(flags), date))

    @rule(account=_ACCOUNTS, content=_CONTENTS)
    def drop_draft(self, account: str, content: bytes) -> None:
        """A draft that is discarded leaves nothing behind."""
        self._now(self._draft(content, 3).discard())

    @rule(
        account=_ACCOUNTS,
        name=_NAMES,
        uids=_UIDS,
        change=st.sampled_from(FlagChange),
        flags=_FLAGS,
        since=st.none() | st.integers(0, 12),
        fresh=st.booleans(),
    )
    def set_flags(
        self,
        account: str,
        name: str,
        uids: set[int],
        change: FlagChange,
        flags: set[str],
        since: int | None,
        fresh: bool,
    ) -> None:
        """Flags change, except those of messages that changed after ``unchanged_since``."""
        box = self._boxes[account].get(_spelt(name))
        if box is None:
            return
        before = {info.uid: info.modseq for info in self._now(box.handle.messages()).messages}
        refused = [uid for uid in sorted(uids) if since is not None and before.get(uid, 0) > since]
        chosen = [uid for uid in uids if uid in box.messages and uid not in refused]
        wanted = _lower(flags)
        new = {
            uid: old | wanted
            if change is FlagChange.ADD
            else old - wanted
            if change is FlagChange.REMOVE
            else wanted
            for uid, old in ((uid, box.messages[uid].flags) for uid in chosen)
        }
        changed = {uid for uid in chosen if new[uid] != box.messages[uid].flags}
        with _Telling(self, *[(account, _spelt(name))] if changed else []):
            result = self._now(
                self._handle(account, name, fresh).set_flags(uids, change, flags, since)
            )
        assert list(result) == refused
        for uid in changed:
            box.messages[uid].flags = new[uid]
            box.messages[uid].version = self._next_version()

    @rule(account=_ACCOUNTS, name=_NAMES, uids=st.none() | _UIDS, fresh=st.booleans())
    def expunge(self, account: str, name: str, uids: set[int] | None, fresh: bool) -> None:
        """Only messages with the deleted flag go, and of these only those named."""
        box = self._boxes[account].get(_spelt(name))
        if box is None:
            return
        gone = [
            uid
            for uid, message in box.messages.items()
            if "\\deleted" in message.flags and (uids is None or uid in uids)
        ]
        with _Telling(self, *[(account, _spelt(name))] if gone else []):
            assert list(self._now(self._handle(account, name, fresh).expunge(uids))) == gone
        self._drop(box, gone)

    @rule(account=_ACCOUNTS, name=_NAMES, uids=_UIDS, fresh=st.booleans())
    def remove(self, account: str, name: str, uids: set[int], fresh: bool) -> None:
        """The messages named go, whatever their flags are."""
        box = self._boxes[account].get(_spelt(name))
        if box is None:
            return
        gone = sorted(uids & box.messages.keys())
        with _Telling(self, *[(account, _spelt(name))] if gone else []):
            assert list(self._now(self._handle(account, name, fresh).remove(uids))) == gone
        self._drop(box, gone)

    @rule(
        account=_ACCOUNTS,
        name=_NAMES,
        destination=_NAMES,
        uids=_UIDS,
        moving=st.booleans(),
        fresh=st.booleans(),
    )
    def copy_or_move(
        self, account: str, name: str, destination: str, uids: set[int], moving: bool, fresh: bool
    ) -> None:
        """Copies have flags, dates and content of their sources, in the order of the sources."""
        box = self._boxes[account].get(_spelt(name))
        target = self._boxes[account].get(_spelt(destination))
        if box is None:
            return
        handle = self._handle(account, name, fresh)
        operation = handle.move if moving else handle.copy
        if target is None:
            self._refused(NoSuchMailbox, lambda: operation(uids, destination))
            return
        source = sorted(uids & box.messages.keys())
        told = {(account, _spelt(destination))} if source else set[tuple[str, str]]()
        if source and moving:
            told.add((account, _spelt(name)))
        with _Telling(self, *told):
            copied = self._now(operation(uids, destination))
        assert copied.uid_validity == target.uid_validity
        assert list(copied.source) == source
        expected = list[int]()
        for uid in source:
            message = box.messages[uid]
            expected.append(self._add(target, message.octets, message.flags, message.date))
        assert list(copied.destination) == expected
        if moving:
            self._drop(box, source)

    @rule(account=_ACCOUNTS, name=_NAMES, use=st.sampled_from([None, "\\Sent"]))
    def create(self, account: str, name: str, use: str | None) -> None:
        """The mailbox and those missing above it are there, empty."""
        boxes = self._boxes[account]
        if _spelt(name) in boxes:
            self._refused(MailboxExists, lambda: self._account(account).create(name, use))
            return
        made = [*(above for above in _above(name) if above not in boxes), name]
        with _Telling(self, *((account, each) for each in made)):
            self._now(self._account(account).create(name, use))
        for each in made:
            self._add_box(account, each)
        listed = {entry.name: entry for entry in self._now(self._account(account).mailboxes())}
        assert listed[name].special_use == use

    @rule(account=_ACCOUNTS, name=_NAMES)
    def delete(self, account: str, name: str) -> None:
        """The mailbox goes and its children stay; sessions that have it open learn of it."""
        boxes = self._boxes[account]
        if _spelt(name) not in boxes or _spelt(name) == "INBOX":
            kind = StoreError if _spelt(name) == "INBOX" else NoSuchMailbox
            self._refused(kind, lambda: self._account(account).delete(name))
            return
        with _Telling(self, (account, name)):
            self._now(self._account(account).delete(name))
        handle = boxes.pop(name).handle
        self._refused(NoSuchMailbox, handle.status)
        self._refused(NoSuchMailbox, lambda: handle.changes(0))
        self._refused(MessageGone, lambda: handle.content(1))
        assert list(self._now(handle.remove({1}))) == []

    @rule(account=_ACCOUNTS, name=_NAMES, new_name=_NAMES)
    def rename(self, account: str, name: str, new_name: str) -> None:
        """Children come along; INBOX gives its messages away and stays."""
        boxes = self._boxes[account]
        old, new = _spelt(name), _spelt(new_name)
        moved = {each: new + each[len(old) :] for each in boxes if each.startswith(old + "/")}
        if old in boxes:
            moved[old] = new
        operation = partial(self._account(account).rename, name, new_name)
        if not moved:
            self._refused(NoSuchMailbox, operation)
            return
        if not boxes.keys().isdisjoint({new, *moved.values()}) and old != "INBOX":
            self._refused(MailboxExists, operation)
            return
        if old == "INBOX":
            if new in boxes:
                self._refused(MailboxExists, operation)
                return
            self._now(operation())
            for above in (*_above(new), new):
                if above not in boxes:
                    self._add_box(account, above)
            for message in boxes["INBOX"].messages.values():
                self._add(boxes[new], message.octets, message.flags, message.date)
            self._drop(boxes["INBOX"], list(boxes["INBOX"].messages))
            return
        with _Telling(self, *((account, each) for each in moved.values())):
            self._now(operation())
        taken = {moved[each]: boxes.pop(each) for each in moved}
        boxes |= taken
        for above in _above(new):
            if above not in boxes:
                self._add_box(account, above)

    @rule(account=_ACCOUNTS, name=_NAMES, subscribed=st.booleans())
    def subscribe(self, account: str, name: str, subscribed: bool) -> None:
        """A subscription needs no mailbox and outlives it."""
        self._now(self._account(account).subscribe(name, subscribed))
        names = self._subscribed[account]
        (names.add if subscribed else names.discard)(_spelt(name))

    @rule(account=_ACCOUNTS, name=_NAMES)
    def claim_recent(self, account: str, name: str) -> None:
        """A message is recent for one session only."""
        box = self._boxes[account].get(_spelt(name))
        if box is not None:
            assert self._now(box.handle.claim_recent()) == box.recent
            box.recent = set()

    @rule(
        account=_ACCOUNTS,
        name=_NAMES,
        uid=st.integers(1, 9),
        offset=st.integers(0, 150_000),
        size=st.integers(1, 150_000),
    )
    def read(self, account: str, name: str, uid: int, offset: int, size: int) -> None:
        """Octets are read anywhere; a message that is gone says so."""
        box = self._boxes[account].get(_spelt(name))
        if box is None:
            self._refused(NoSuchMailbox, lambda: self._account(account).open(name))
            return
        message = box.messages.get(uid)
        if message is None:
            self._refused(MessageGone, lambda: box.handle.content(uid))
            return
        content = self._now(box.handle.content(uid))
        assert content.size == len(message.octets)
        assert self._now(content.read(offset, size)) == message.octets[offset : offset + size]

    @rule(account=_ACCOUNTS, name=_NAMES)
    def lock(self, account: str, name: str) -> None:
        """One session has the maildrop lock, and only it can give it back."""
        if _spelt(name) in self._boxes[account]:
            first, second = (self._handle(account, name, True) for _ in range(2))
            assert self._now(first.lock())
            assert not self._now(second.lock())
            self._now(second.unlock())
            assert not self._now(second.lock())
            self._now(first.unlock())
            assert self._now(second.lock())
            self._now(second.unlock())

    @precondition(lambda self: self._reopen is not None)
    @rule()
    def reopen(self) -> None:
        """A store that keeps mail has it all when it is opened again."""
        assert self._reopen is not None
        self._store = self._reopen(self._store)
        for account, boxes in self._boxes.items():
            self._listen(account)
            for name, box in boxes.items():
                box.handle = self._now(self._account(account).open(name))

    # -------------------------------------------------------------------------- invariants

    @invariant()
    def agrees(self) -> None:
        """Every mailbox holds what the model's does, and tells what happened since any point."""
        for account, boxes in self._boxes.items():
            self._check_listing(account, boxes)
            for box in boxes.values():
                self._check_box(box)

    def _check_listing(self, account: str, boxes: Mapping[str, _Box]) -> None:
        entries = self._now(self._account(account).mailboxes())
        parents = {above for name in boxes for above in _above(name)}
        subscribed = self._subscribed[account]
        names = boxes.keys() | parents | subscribed
        assert [e.name for e in entries] == sorted(names, key=lambda n: (n != "INBOX", n))
        for entry in entries:
            assert entry.selectable == (entry.name in boxes)
            assert entry.exists == (entry.name in boxes or entry.name in parents)
            assert entry.subscribed == (entry.name in subscribed)

    def _check_box(self, box: _Box) -> None:
        state = self._now(box.handle.messages())
        assert list(state.expunged) == []
        assert [info.uid for info in state.messages] == sorted(box.messages)
        for info in state.messages:
            message = box.messages[info.uid]
            assert info.size == len(message.octets)
            assert _lower(info.flags) == message.flags
            assert info.internal_date.tzinfo is not None
            assert message.date is None or info.internal_date == message.date
            assert info.modseq <= state.modseq
            assert self._octets_of_key.setdefault(info.key, message.octets) == message.octets
        status = self._now(box.handle.status())
        assert status.uid_validity == box.uid_validity
        assert status.uid_next == box.uid_next
        assert status.modseq == state.modseq
        assert status.messages == len(box.messages)
        assert status.unseen == sum("\\seen" not in m.flags for m in box.messages.values())
        assert status.deleted == sum("\\deleted" in m.flags for m in box.messages.values())
        assert status.recent == len(box.recent)
        assert status.size == sum(len(m.octets) for m in box.messages.values())
        self._check_changes(box, state.modseq)

    def _check_changes(self, box: _Box, modseq: int) -> None:
        now = {uid: message.version for uid, message in box.messages.items()}
        for since, versions in box.past:
            changes = self._now(box.handle.changes(since))
            assert changes.modseq == modseq
            told = [info.uid for info in changes.messages]
            assert told == sorted(set(told))
            assert {uid for uid in now if versions.get(uid) != now[uid]} <= set(told) <= now.keys()
            gone = list(changes.expunged)
            assert gone == sorted(set(gone))
            assert versions.keys() - now.keys() <= set(gone)
            assert now.keys().isdisjoint(gone)
        if box.past and box.past[-1][1] == now:
            return
        assert not box.past or modseq > box.past[-1][0]
        box.past.append((modseq, now))
        del box.past[:-5]

    # ------------------------------------------------------------------------------- tools

    def _now(self, value: Maybe[T]) -> T:
        """The value itself, or what the awaitable gives."""
        if not inspect.isawaitable(value):
            return value
        if self._runner is None:
            self._runner = asyncio.Runner()
        result: T = self._runner.run(_result(value))
        return result

    def _refused(self, error: type[StoreError], operation: Callable[[], Maybe[object]]) -> None:
        """The operation raises just that error, and nobody is told of anything."""
        with _Telling(self):
            try:
                self._now(operation())
            except error:
                return
        raise AssertionError(f"{error.__name__} was not raised")

    def _account(self, name: str) -> Account:
        return self._now(self._store.account(name))

    def _handle(self, account: str, name: str, fresh: bool) -> Mailbox:
        """The mailbox as opened now, or when it was made (its name may have changed since)."""
        if not fresh:
            return self._boxes[account][_spelt(name)].handle
        return self._now(self._account(account).open(name))

    def _draft(self, content: bytes, cut: int) -> Draft:
        draft = self._now(self._store.draft())
        for piece in (content[:cut], content[cut:]):
            self._now(draft.write(piece))
        assert draft.size == len(content)
        assert self._now(draft.read(1, 10)) == content[1:11]
        return draft

    def _listen(self, account: str) -> None:
        def listener(name: str) -> None:
            self.told.append((account, name))

        self._now(self._account(account).listen(listener))

    def _add_box(self, account: str, name: str) -> None:
        box = _Box(self._now(self._account(account).open(name)))
        status = self._now(box.handle.status())
        assert status.uid_validity not in self._uid_validities[account, name]
        self._uid_validities[account, name].add(status.uid_validity)
        box.uid_validity = status.uid_validity
        self._boxes[account][name] = box

    def _add(
        self, box: _Box, octets: bytes, flags: frozenset[str], date: datetime.datetime | None
    ) -> int:
        uid = box.uid_next
        box.uid_next += 1
        box.messages[uid] = _Message(octets, flags, date, self._next_version())
        box.recent.add(uid)
        return uid

    def _drop(self, box: _Box, uids: Iterable[int]) -> None:
        for uid in uids:
            del box.messages[uid]
            box.recent.discard(uid)

    def _next_version(self) -> int:
        self._version += 1
        return self._version


class _Telling:
    """Holds that in its block listeners are told of these mailboxes, and of no other account."""

    def __init__(self, machine: StoreMachine, *expected: tuple[str, str]) -> None:
        self._machine = machine
        self._expected = set(expected)

    def __enter__(self) -> None:
        self._machine.told.clear()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            told = set(self._machine.told)
            assert self._expected <= told
            assert {account for account, _ in told} == {account for account, _ in self._expected}


async def _result(value: Awaitable[T]) -> T:
    return await value


def _spelt(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


def _above(name: str) -> list[str]:
    levels = name.split("/")
    return ["/".join(levels[:depth]) for depth in range(1, len(levels))]


def _lower(flags: Collection[str]) -> frozenset[str]:
    return frozenset(flag.lower() for flag in flags) - {"\\recent"}


def store_machine(
    make: Callable[[], Store], reopen: Callable[[Store], Store] | None = None
) -> type[RuleBasedStateMachine]:
    """The state machine for the stores that ``make`` makes, empty every time.

    ``reopen`` closes a store and opens it again with all its mail, where it can. The store's
    delimiter must be ``/``. ``store_machine(...).TestCase`` is a ``unittest.TestCase``.
    """

    class Configured(StoreMachine):
        def __init__(self) -> None:
            super().__init__(make, reopen)

    return Configured
