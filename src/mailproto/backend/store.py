"""The Store interface: what an embedder implements to put mail on anything; contracts only.

Every method may return its value or an awaitable of it (``Maybe``); the servers take both. A
store is called by many sessions, in the sync server from one thread for each connection, in the
async server from the loop's thread and, for ``deliver`` and ``append``, from worker threads; it
keeps itself consistent. Methods raise only the StoreErrors named here. Mailbox names are Unicode
with the hierarchy delimiter of the store; ``INBOX`` exists in every account and is spelt so
(RFC 9051 section 5.1).

A store never sees sequence numbers: messages are known by UID, and every change in a mailbox has
a greater mod-sequence than all before (RFC 7162 section 3.1.1), so that a session learns what it
has missed from ``changes(since)``.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.errors import StoreError

__all__ = [
    "Account",
    "Changes",
    "Content",
    "Copied",
    "Draft",
    "FlagChange",
    "Mailbox",
    "MailboxEntry",
    "MailboxExists",
    "MailboxStatus",
    "Maybe",
    "MessageGone",
    "MessageInfo",
    "NoSuchMailbox",
    "OverQuota",
    "Store",
    "StoreFailure",
]

T = TypeVar("T")

Maybe: TypeAlias = T | Awaitable[T]
"""A value now, or an awaitable of it."""


class NoSuchMailbox(StoreError):
    """There is no mailbox of that name (an IMAP server says TRYCREATE or NONEXISTENT)."""


class MailboxExists(StoreError):
    """A mailbox of that name is there already (ALREADYEXISTS)."""


class MessageGone(StoreError):
    """The message has been expunged meanwhile."""


class OverQuota(StoreError):
    """The account has no room for this (452 of SMTP, OVERQUOTA of IMAP)."""


class StoreFailure(StoreError):
    """The store itself failed; trying again later may help (451 of SMTP, SERVERBUG of IMAP)."""


@frozen
class MessageInfo:
    """What a mailbox knows of one message without reading its content."""

    uid: int
    flags: frozenset[str]
    """Flags and keywords as spelt first, without ``\\Recent`` (``\\Seen``, ``$Forwarded``)."""
    internal_date: dt.datetime
    """Aware."""
    size: int
    """Octets of the content (RFC822.SIZE)."""
    modseq: int
    key: str
    """Names the immutable content within the store; equal for copies of one message."""
    eight_bit: bool | None = None
    """Whether the content has octets beyond ASCII; ``None``: not known."""
    canonical: bool | None = None
    """Whether each line of the content ends with CRLF, the last one too, and no CR or LF stands
    anywhere else; ``None``: not known. A POP3 server takes ``size`` for what it sends unless this
    is false."""


@frozen
class Changes:
    """What has happened in a mailbox after some mod-sequence."""

    messages: Sequence[MessageInfo]
    """New and changed messages, ascending by UID."""
    expunged: Sequence[int]
    """UIDs that are gone, ascending; some may never have been seen by the asker."""
    modseq: int
    """The mailbox's highest mod-sequence: the ``since`` of the next call."""


@frozen
class MailboxEntry:
    """A line of a listing."""

    name: str
    subscribed: bool
    special_use: str | None = None
    """``\\Sent``, ``\\Trash`` … (RFC 6154), or ``None``."""
    selectable: bool = True
    """False for a name that only has children (``\\Noselect``) or is only subscribed."""
    exists: bool = True
    """False for a subscription whose mailbox is gone (``\\NonExistent``)."""


@frozen
class MailboxStatus:
    """The counts and identifiers of a mailbox (RFC 9051 section 6.3.11)."""

    uid_validity: int
    uid_next: int
    modseq: int
    messages: int
    unseen: int
    deleted: int
    recent: int
    size: int
    """Octets of all messages."""


@frozen
class Copied:
    """Where messages have gone: UIDs pairwise in the order of the source (COPYUID, RFC 4315)."""

    uid_validity: int
    source: Sequence[int]
    destination: Sequence[int]


class FlagChange(enum.Enum):
    """What ``Mailbox.set_flags`` does with the flags it is given."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


class Content(Protocol):
    """The immutable octets of one message, readable anywhere without loading all of it."""

    @property
    def size(self) -> int:
        """Octets in all."""
        ...

    def read(self, offset: int, size: int) -> Maybe[bytes]:
        """The octets from ``offset``, at most ``size``, fewer only at the end."""
        ...


class Draft(Content, Protocol):
    """A message that is being received; it is in no mailbox before it is delivered or appended.

    One that is dropped leaves nothing behind. Large ones do not lie in memory. It can be read
    (to relay it) and, after it was delivered, be delivered or appended again, until it is
    discarded; ``size`` counts the octets written so far.
    """

    def write(self, data: bytes) -> Maybe[None]:
        """Add octets at the end."""
        ...

    def discard(self) -> Maybe[None]:
        """Forget it; also harmless after it was delivered."""
        ...


class Mailbox(Protocol):
    """One mailbox, opened by a session. It stays usable while others change or delete it."""

    @property
    def name(self) -> str:
        """Its name when it was opened."""
        ...

    def status(self) -> Maybe[MailboxStatus]:
        """Counts now. Raises NoSuchMailbox when it was deleted."""
        ...

    def messages(self) -> Maybe[Changes]:
        """All messages, ascending by UID, with the mod-sequence that they are true for."""
        ...

    def page(self, after: int, limit: int) -> Maybe[Sequence[MessageInfo]]:
        """The first messages with UIDs above ``after``, ascending, at most ``limit``; fewer only
        at the end. So a big mailbox is read without a list of all of it. Raises NoSuchMailbox.
        """
        ...

    def changes(self, since: int) -> Maybe[Changes]:
        """What happened after the mod-sequence ``since``. Raises NoSuchMailbox when deleted."""
        ...

    def claim_recent(self) -> Maybe[frozenset[int]]:
        r"""UIDs that no session was told of before as ``\\Recent``; no later call returns them."""
        ...

    def content(self, uid: int) -> Maybe[Content]:
        """The content of a message. Raises MessageGone."""
        ...

    def set_flags(
        self,
        uids: Collection[int],
        change: FlagChange,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Maybe[Sequence[int]]:
        """Change flags in one step; the result is the UIDs left alone because their mod-sequence
        is greater than ``unchanged_since`` (RFC 7162 section 3.1.3). Unknown UIDs are skipped.
        """
        ...

    def expunge(self, uids: Collection[int] | None = None) -> Maybe[Sequence[int]]:
        r"""Remove the messages with ``\\Deleted``, of ``uids`` where given (UID EXPUNGE)."""
        ...

    def remove(self, uids: Collection[int]) -> Maybe[Sequence[int]]:
        """Remove these messages in one step, flagged or not (the UPDATE state of POP3)."""
        ...

    def copy(self, uids: Collection[int], destination: str) -> Maybe[Copied]:
        """Copy in one step, with flags and dates. Raises NoSuchMailbox, OverQuota."""
        ...

    def move(self, uids: Collection[int], destination: str) -> Maybe[Copied]:
        """Copy and remove in one step. Raises NoSuchMailbox."""
        ...

    def lock(self) -> Maybe[bool]:
        """Take the maildrop lock of RFC 1939 section 4; false when another session has it."""
        ...

    def unlock(self) -> Maybe[None]:
        """Give the maildrop lock back."""
        ...


class Account(Protocol):
    """The mailboxes of one user."""

    @property
    def name(self) -> str:
        """The account's name, unique in the store."""
        ...

    def mailboxes(self) -> Maybe[Sequence[MailboxEntry]]:
        """Every mailbox and every subscribed name, sorted by name, INBOX first."""
        ...

    def create(self, name: str, special_use: str | None = None) -> Maybe[None]:
        """Make a mailbox and what is missing above it. Raises MailboxExists, and StoreError for
        a name that cannot be one.
        """
        ...

    def delete(self, name: str) -> Maybe[None]:
        """Remove a mailbox, not its children. Raises NoSuchMailbox, StoreError for INBOX."""
        ...

    def rename(self, name: str, new_name: str) -> Maybe[None]:
        """Rename it with its children; INBOX keeps existing and its messages move
        (RFC 9051 section 6.3.6). Raises NoSuchMailbox, MailboxExists.
        """
        ...

    def subscribe(self, name: str, subscribed: bool) -> Maybe[None]:
        """Set or clear the subscription; the mailbox need not exist."""
        ...

    def open(self, name: str) -> Maybe[Mailbox]:
        """Open a mailbox. Raises NoSuchMailbox."""
        ...

    def append(
        self,
        name: str,
        draft: Draft,
        flags: Collection[str] = (),
        internal_date: dt.datetime | None = None,
    ) -> Maybe[tuple[int, int]]:
        """Put the draft into a mailbox, durably; UIDVALIDITY and UID (APPENDUID).

        ``internal_date`` is aware; ``None`` is now. Raises NoSuchMailbox, OverQuota.
        """
        ...

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call ``listener`` with the mailbox's name after every change, from any thread, until
        the function that is returned is called. The listener must be quick and not call back.
        """
        ...


class Store(Protocol):
    """Accounts, and delivery into them."""

    @property
    def delimiter(self) -> str:
        """The hierarchy delimiter of mailbox names, one character."""
        ...

    def account(self, name: str) -> Maybe[Account]:
        """The account of that name, made with an empty INBOX when it is new."""
        ...

    def draft(self) -> Maybe[Draft]:
        """Begin to receive a message."""
        ...

    def deliver(self, draft: Draft, recipients: Mapping[str, bytes]) -> Maybe[None]:
        """Put the draft into the INBOX of every account named, all or none, durably.

        The value of ``recipients`` is what comes before the content in that account's copy
        (``Return-Path``, ``Received``). When this returns, a crash loses nothing.
        Raises OverQuota, StoreFailure.
        """
        ...

    def close(self) -> Maybe[None]:
        """Write what is not yet written and let everything go."""
        ...
