"""The maildrop of a POP3 session: the messages of an INBOX as they were when it was locked.

It keeps two numbers and an octet for each message, so that listings of any length stream. A message
is sent with CRLF at the end of each line, and where the client has not said UTF8, one with headers
beyond ASCII as its surrogate (RFC 6856 section 4, RFC 6858). Both are made while it is sent; LIST
and STAT tell the octets that RETR sends (RFC 1939 section 11), and only messages of which the store
says that they differ from the stored ones are read for that, once.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from mailproto.backend.store import Content, Mailbox, MessageInfo, StoreFailure
from mailproto.errors import StoreError
from mailproto.flows.effects import Flow, call
from mailproto.flows.pop3_content import CanonicalLines
from mailproto.message import Edit, Indexer, Rewriter, surrogate, unparsed

__all__ = ["LINES", "PIECE", "Internationalized", "Maildrop", "Outgoing", "Sizes"]

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


# What a message is, beside what is stored: an octet for each.
_EDITED: Final = 1  # it may need a surrogate
_REWRAPPED: Final = 2  # its lines may be made canonical
_ON_TRUST: Final = 4  # the store does not tell which of both, so its size is taken
_MEASURED: Final = 8

_NEVER: Final = {False: 0, True: 0, None: 0}
_MAYBE_EDITED: Final = {False: 0, True: _EDITED, None: _EDITED | _ON_TRUST}
_MAYBE_REWRAPPED: Final = {True: 0, False: _REWRAPPED, None: _REWRAPPED | _ON_TRUST}

_Key: TypeAlias = tuple[str, int, int, Internationalized]


class Sizes:
    """Sizes that sessions have found out, for the next ones: contents never change."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: dict[_Key, int] = {}

    def get(self, key: _Key) -> int | None:
        """The size for account, UIDVALIDITY, UID, and the form that it is sent in."""
        return self._sizes.get(key)

    def keep(self, key: _Key, size: int) -> None:
        """Remember a size, and begin anew when there are too many."""
        if len(self._sizes) >= _KEPT_SIZES:
            self._sizes.clear()
        self._sizes[key] = size


class Outgoing:
    """A message on its way, piece by piece, as it is sent but for its dots."""

    __slots__ = ("_content", "_lines", "_offset", "_rewriter")

    def __init__(self, content: Content, edits: Sequence[Edit] = (), *, lines: bool = True) -> None:
        self._content = content
        self._offset = 0
        self._rewriter = Rewriter(edits) if edits else None
        # Each line ends in CRLF already unless ``lines``.
        self._lines = CanonicalLines() if lines else None

    def next(self) -> Flow[bytes]:
        """The next octets, ``b""`` at the end. Raises StoreError, also if the content is short."""
        content = self._content
        while self._offset < content.size:
            piece = yield from call(content.read, self._offset, PIECE)
            if not piece:
                raise StoreFailure("a message is shorter than its size")
            self._offset += len(piece)
            if self._rewriter is not None:
                piece = self._rewriter.feed(piece)
            if self._lines is not None:
                piece = self._lines.feed(piece)
            if piece:
                return piece
        return b"" if self._lines is None else self._lines.finish()


class Maildrop:
    """Message numbers begin at 1 and stay; what is marked as deleted is only marked."""

    __slots__ = (
        "_forms", "_internationalized", "_known", "_octets", "_unmeasured", "account", "deleted",
        "last", "mailbox", "retrieved", "sizes", "uid_validity", "uids",
    )  # fmt: skip

    def __init__(
        self,
        account: str,
        mailbox: Mailbox,
        uid_validity: int,
        internationalized: Internationalized,
        sizes: Sizes,
    ) -> None:
        self.account: str = account
        self.mailbox: Mailbox = mailbox
        self.uid_validity: int = uid_validity
        self.uids: array[int] = array("Q")
        self.sizes: array[int] = array("Q")
        self.deleted: set[int] = set()
        self.retrieved: set[int] = set()
        """Messages that RETR has begun to send; one that breaks off ends the session."""
        self.last: int = 0
        self._internationalized = internationalized
        self._forms = bytearray()
        self._unmeasured = 0
        self._octets = 0
        self._known = sizes

    @classmethod
    def load(
        cls,
        account: str,
        mailbox: Mailbox,
        internationalized: Internationalized,
        sizes: Sizes,
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
        edited = _NEVER if self._internationalized is Internationalized.AS_IS else _MAYBE_EDITED
        forms = bytes([edited[m.eight_bit] | _MAYBE_REWRAPPED[m.canonical] for m in messages])
        self._forms += forms
        if any(forms):
            self._unmeasured += sum(0 < form < _ON_TRUST for form in forms)

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

    def scan_listings(self) -> Iterator[dict[int, int]]:
        """The numbers and sizes of the messages, some at a time."""
        for first in range(0, len(self.sizes), LINES):
            yield self._left(first + 1, self.sizes[first : first + LINES])

    def unique_id_listings(self) -> Iterator[dict[int, str]]:
        """The numbers and unique-ids of the messages, some at a time."""
        prefix = f"{self.uid_validity}."
        for first in range(0, len(self.uids), LINES):
            yield self._left(
                first + 1, [f"{prefix}{uid}" for uid in self.uids[first : first + LINES]]
            )

    def _left(self, first: int, values: Sequence[T]) -> dict[int, T]:
        """By the numbers from ``first`` on; only those that are not marked as deleted."""
        entries = zip(range(first, first + len(values)), values, strict=True)
        deleted = self.deleted
        if not deleted:
            return dict(entries)
        return {message: value for message, value in entries if message not in deleted}

    def delete(self, message: int) -> None:
        """Mark a message."""
        self.deleted.add(message)
        self._octets -= self.size(message)

    def reset(self) -> None:
        """Unmark all."""
        self._octets += sum(self.size(message) for message in self.deleted)
        self.deleted.clear()
        self.last = 0

    # ------------------------------------------------------------------------- what is sent

    def measure(self, *messages: int) -> Flow[None]:
        """See to it that the sizes of these messages, by default of all, are those of RETR."""
        if not self._unmeasured:
            return
        for message in messages or range(1, len(self.uids) + 1):
            if 0 < self._forms[message - 1] < _ON_TRUST and self.has(message):
                size = self._known.get(self._key(message))
                if size is None:
                    try:
                        content = yield from call(self.mailbox.content, self.uid(message))
                        yield from self.edits(message, content)
                    except StoreError:
                        # RETR will tell.
                        self._forms[message - 1] |= _ON_TRUST
                        self._unmeasured -= 1
                else:
                    self._measured(message, size)

    def edits(self, message: int, content: Content) -> Flow[Sequence[Edit] | None]:
        """What makes the surrogate of a message, nothing where it needs none.

        ``None``: there is none to be had. Raises StoreError.
        """
        form = self._forms[message - 1]
        found: Sequence[Edit] | None = ()
        if form & _EDITED:
            found = yield from _edits(content)
            if self._internationalized is Internationalized.REFUSE and found != []:
                found = None
        if 0 < form < _ON_TRUST:
            if form & _REWRAPPED:
                size = yield from _octets(Outgoing(content, found or ()))
            else:
                size = content.size + sum(
                    len(edit.replacement) - edit.end + edit.start for edit in found or ()
                )
            self._measured(message, size)
            self._known.keep(self._key(message), size)
        return found

    def outgoing(self, message: int, content: Content, edits: Sequence[Edit]) -> Outgoing:
        """The message as RETR sends it."""
        return Outgoing(content, edits, lines=bool(self._forms[message - 1] & _REWRAPPED))

    def size_is_known(self, message: int) -> bool:
        """Whether ``size`` is what RETR sends, and not only what the store says."""
        return not self._forms[message - 1] & _ON_TRUST

    def _key(self, message: int) -> _Key:
        return self.account, self.uid_validity, self.uid(message), self._internationalized

    def _measured(self, message: int, size: int) -> None:
        self._forms[message - 1] |= _MEASURED
        self._unmeasured -= 1
        self._octets += size - self.size(message)
        self.sizes[message - 1] = size


def _octets(outgoing: Outgoing) -> Flow[int]:
    """How many there are, with the CRLF that ends the last line."""
    octets = 0
    end = b"\r\n"
    while piece := (yield from outgoing.next()):
        octets += len(piece)
        end = (end + piece)[-2:]
    return octets if end == b"\r\n" else octets + 2


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
