"""The maildrop of a POP3 session: the messages of an INBOX as they were when it was locked.

It keeps two numbers and an octet for each message, so that listings of any length stream. Where
the client has not said UTF8, a message with headers beyond ASCII has a surrogate (RFC 6856 section
4, RFC 6858), which is made while it is sent; its size is what LIST and STAT tell.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from mailproto.backend.store import Content, Mailbox, MessageInfo, StoreFailure
from mailproto.errors import StoreError
from mailproto.flows.effects import Flow, call
from mailproto.message import Edit, Indexer, surrogate, unparsed

__all__ = ["LINES", "PIECE", "Internationalized", "Maildrop", "SurrogateSizes"]

PIECE: Final = 65536
"""Octets of a message that are read at once."""
LINES: Final = 2000
"""Lines of a listing that are sent at once, and messages that are asked for at once."""

T = TypeVar("T")

_KEPT_SIZES: Final = 65536


class Internationalized(enum.Enum):
    """What a client that has not said UTF8 gets of messages with headers beyond ASCII."""

    SURROGATE = "surrogate"
    """Surrogates: names, subjects and bodies can be read, addresses beyond ASCII cannot be
    answered. A client that deletes what it has fetched loses what the surrogate leaves out."""
    REFUSE = "refuse"
    """``-ERR [UTF8]`` to RETR and TOP: nothing is lost, but it stays for a client that knows."""
    AS_IS = "as is"
    """What is stored, and UTF8 is not offered."""


class _Octets(enum.IntEnum):
    """What is known of a message's octets."""

    ASCII = 0
    EIGHT_BIT = 1
    NOT_KNOWN = 2
    MEASURED = 3


_KNOWN: Final = {False: _Octets.ASCII, True: _Octets.EIGHT_BIT, None: _Octets.NOT_KNOWN}


class SurrogateSizes:
    """Sizes that sessions have found out, for the next ones: contents never change."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, int, int], int] = {}

    def get(self, key: tuple[str, int, int]) -> int | None:
        """The size for account, UIDVALIDITY and UID."""
        return self._sizes.get(key)

    def keep(self, key: tuple[str, int, int], size: int) -> None:
        """Remember a size, and begin anew when there are too many."""
        if len(self._sizes) >= _KEPT_SIZES:
            self._sizes.clear()
        self._sizes[key] = size


class Maildrop:
    """Message numbers begin at 1 and stay; what is marked as deleted is only marked."""

    __slots__ = (
        "_internationalized", "_known", "_octets", "_of", "_sizes", "account", "deleted", "last",
        "mailbox", "retrieved", "sizes", "uid_validity", "uids",
    )  # fmt: skip

    def __init__(
        self,
        account: str,
        mailbox: Mailbox,
        uid_validity: int,
        internationalized: Internationalized,
        sizes: SurrogateSizes,
    ) -> None:
        self.account: str = account
        self.mailbox: Mailbox = mailbox
        self.uid_validity: int = uid_validity
        self.uids: array[int] = array("Q")
        self.sizes: array[int] = array("Q")
        self.deleted: set[int] = set()
        self.retrieved: set[int] = set()
        """Messages that RETR has sent whole."""
        self.last: int = 0
        self._internationalized = internationalized
        self._of = bytearray()
        self._octets = 0
        self._known = sizes

    @classmethod
    def load(
        cls,
        account: str,
        mailbox: Mailbox,
        internationalized: Internationalized,
        sizes: SurrogateSizes,
    ) -> Flow[Maildrop]:
        """The messages of a mailbox. Raises StoreError."""
        status = yield from call(mailbox.status)
        maildrop = cls(account, mailbox, status.uid_validity, internationalized, sizes)
        after = 0
        while page := (yield from call(mailbox.page, after, LINES)):
            maildrop.add(page)
            after = page[-1].uid
        return maildrop

    def add(self, messages: Sequence[MessageInfo]) -> None:
        """The next messages."""
        sizes = [info.size for info in messages]
        self.uids.extend([info.uid for info in messages])
        self.sizes.extend(sizes)
        self._octets += sum(sizes)
        if self._internationalized is Internationalized.AS_IS:
            self._of.extend(bytes(len(messages)))
        else:
            self._of.extend([_KNOWN[info.eight_bit] for info in messages])

    # --------------------------------------------------------------------------- what is there

    @property
    def count(self) -> int:
        """Messages that are not marked as deleted."""
        return len(self.uids) - len(self.deleted)

    @property
    def octets(self) -> int:
        """Octets of the messages that are not marked as deleted."""
        return self._octets

    def has(self, message: int) -> bool:
        """Whether there is a message of that number, not marked as deleted."""
        return 1 <= message <= len(self.uids) and message not in self.deleted

    def uid(self, message: int) -> int:
        """The UID of a message."""
        return self.uids[message - 1]

    def size(self, message: int) -> int:
        """Its octets."""
        return self.sizes[message - 1]

    def unique_id(self, message: int) -> str:
        """UIDVALIDITY and UID: never used again for another message (RFC 1939 section 7)."""
        return f"{self.uid_validity}.{self.uids[message - 1]}"

    def scan_listings(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """The numbers and sizes of the messages, some at a time."""
        for first in range(0, len(self.sizes), LINES):
            yield self._left(enumerate(self.sizes[first : first + LINES], first + 1))

    def unique_id_listings(self) -> Iterator[tuple[tuple[int, str], ...]]:
        """The numbers and unique-ids of the messages, some at a time."""
        prefix = f"{self.uid_validity}."
        for first in range(0, len(self.uids), LINES):
            uids = enumerate(self.uids[first : first + LINES], first + 1)
            yield self._left((message, f"{prefix}{uid}") for message, uid in uids)

    def _left(self, entries: Iterable[tuple[int, T]]) -> tuple[tuple[int, T], ...]:
        """Those that are not marked as deleted."""
        deleted = self.deleted
        return tuple([entry for entry in entries if entry[0] not in deleted])

    def delete(self, message: int) -> None:
        """Mark a message."""
        self.deleted.add(message)
        self._octets -= self.size(message)

    def reset(self) -> None:
        """Unmark all."""
        self._octets += sum(self.size(message) for message in self.deleted)
        self.deleted.clear()
        self.last = 0

    # ------------------------------------------------------------------------------ surrogates

    def measure(self, *messages: int) -> Flow[None]:
        """See to it that the sizes of these messages, by default of all, are those of RETR."""
        if not messages and _Octets.EIGHT_BIT not in self._of:
            return
        for message in messages or range(1, len(self.uids) + 1):
            if self._of[message - 1] == _Octets.EIGHT_BIT and self.has(message):
                size = self._known.get(self._key(message))
                if size is None:
                    try:
                        content = yield from call(self.mailbox.content, self.uid(message))
                        yield from self.edits(message, content)
                    except StoreError:
                        # RETR will tell.
                        self._of[message - 1] = _Octets.NOT_KNOWN
                else:
                    self._measured(message, size)

    def edits(self, message: int, content: Content) -> Flow[Sequence[Edit] | None]:
        """What makes the surrogate of a message, nothing where it needs none.

        ``None``: there is none to be had. Raises StoreError.
        """
        known = self._of[message - 1]
        if known == _Octets.ASCII:
            return ()
        found = yield from _edits(content)
        if self._internationalized is Internationalized.REFUSE and found != []:
            found = None
        if known == _Octets.EIGHT_BIT:
            change = sum(len(edit.replacement) - edit.end + edit.start for edit in found or ())
            self._measured(message, content.size + change)
            self._known.keep(self._key(message), content.size + change)
        return found

    def _key(self, message: int) -> tuple[str, int, int]:
        return self.account, self.uid_validity, self.uid(message)

    def _measured(self, message: int, size: int) -> None:
        self._of[message - 1] = _Octets.MEASURED
        self._octets += size - self.size(message)
        self.sizes[message - 1] = size


def _edits(content: Content) -> Flow[list[Edit] | None]:
    """The edits of a content; ``None`` for one that is too deep to be known in all its parts."""
    indexer = Indexer()
    at = 0
    while at < content.size:
        piece = yield from call(content.read, at, PIECE)
        if not piece:
            raise StoreFailure("a message is shorter than its size")
        indexer.feed(piece)
        at += len(piece)
        if (header := indexer.header) is not None:
            kind = header.get(b"content-type") or b""
            if not kind.lower().startswith((b"multipart/", b"message/")):
                # No header comes after this one.
                break
    found = indexer.close()
    if found.limited:
        return None
    edits = list(surrogate(found))
    for start, end in unparsed(found):
        if not (yield from _is_ascii(content, start, end)):
            edits.append(Edit(start, end))
    edits.sort(key=lambda edit: edit.start)
    return edits


def _is_ascii(content: Content, start: int, end: int) -> Flow[bool]:
    while start < end:
        piece = yield from call(content.read, start, min(PIECE, end - start))
        if not piece:
            raise StoreFailure("a message is shorter than its size")
        if not piece.isascii():
            return False
        start += len(piece)
    return True
