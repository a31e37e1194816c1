"""Reading messages: in pieces, never a big one whole, and the indexes of the last few kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from mailproto.backend.store import Content, Mailbox, MessageInfo, StoreFailure
from mailproto.flows.effects import Flow, call
from mailproto.message import ContentType, Index, Indexer, Part

__all__ = ["CHUNK", "Contents", "Reader"]

CHUNK: Final = 65536
"""Octets that are read at once, and up to which a content is kept while it is worked on."""

_INDEXES: Final = 64
_INDEX_OCTETS: Final = 2 * 1024 * 1024
_PART_OCTETS: Final = 1024


class Contents:
    """The indexes of a session, the latest ones up to a bound in octets."""

    def __init__(self) -> None:
        self._indexes: OrderedDict[str, tuple[Index, int]] = OrderedDict()
        self._size = 0

    def reader(self, mailbox: Mailbox, message: MessageInfo) -> Reader:
        """What reads one message; nothing is read before it is asked for."""
        return Reader(self, mailbox, message)

    def index(self, key: str) -> Index | None:
        """The index of the content of that key, if it is kept."""
        found = self._indexes.get(key)
        if found is None:
            return None
        self._indexes.move_to_end(key)
        return found[0]

    def keep(self, key: str, index: Index) -> None:
        """Keep an index, and let the oldest ones go."""
        size = _size_of(index)
        if size > _INDEX_OCTETS or key in self._indexes:
            return
        self._indexes[key] = index, size
        self._size += size
        while self._size > _INDEX_OCTETS or len(self._indexes) > _INDEXES:
            _, (_, gone) = self._indexes.popitem(last=False)
            self._size -= gone


def _size_of(index: Index) -> int:
    """About how much memory an index takes: its headers twice, and something for each part."""
    size = 0
    parts = [index.root]
    while parts:
        part = parts.pop()
        size += _PART_OCTETS + 2 * (part.body - part.start)
        parts += part.parts
        if part.message is not None:
            parts.append(part.message)
    return size


class Reader:
    """One message: its octets and its index, each read once at most where it is small."""

    def __init__(self, contents: Contents, mailbox: Mailbox, message: MessageInfo) -> None:
        self._contents = contents
        self._mailbox = mailbox
        self._message = message
        self._content: Content | None = None
        self._whole: bytes | None = None

    def open(self) -> Flow[None]:
        """Make sure that the message is there. Raises MessageGone."""
        if self._content is None:
            self._content = yield from call(self._mailbox.content, self._message.uid)

    def read(self, start: int, end: int) -> Flow[bytes]:
        """Octets from ``start``, at most ``CHUNK`` and not beyond ``end``."""
        size = min(end - start, CHUNK)
        if self._message.size <= CHUNK:
            if self._whole is None:
                self._whole = yield from self._read(0, self._message.size)
            return self._whole[start : start + size]
        return (yield from self._read(start, size))

    def _read(self, start: int, size: int) -> Flow[bytes]:
        yield from self.open()
        content = self._content
        assert content is not None
        pieces: list[bytes] = []
        while size:
            data = yield from call(content.read, start, size)
            if not data:
                raise StoreFailure(f"message {self._message.uid} is shorter than its size")
            pieces.append(data)
            start += len(data)
            size -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def ranges(self, ranges: Sequence[tuple[int, int]]) -> Flow[bytes]:
        """What lies in ``ranges``, together; for sections that are known to be small."""
        pieces: list[bytes] = []
        for start, end in ranges:
            while start < end:
                data = yield from self.read(start, end)
                pieces.append(data)
                start += len(data)
        return b"".join(pieces)

    def index(self) -> Flow[Index]:
        """Where everything lies; the message is read through if that is not known."""
        found = self._contents.index(self._message.key)
        if found is None:
            indexer = Indexer()
            at, end = 0, self._message.size
            while at < end:
                data = yield from self.read(at, end)
                indexer.feed(data)
                at += len(data)
            found = indexer.close()
            self._contents.keep(self._message.key, found)
        return found

    def outline(self) -> Flow[Index]:
        """An index that is right in the message's own header; of a big one no more is read."""
        found = self._contents.index(self._message.key)
        if found is not None:
            return found
        if self._message.size <= CHUNK:
            return (yield from self.index())
        indexer = Indexer()
        at, end = 0, self._message.size
        while indexer.header is None and at < end:
            data = yield from self.read(at, end)
            indexer.feed(data)
            at += len(data)
        header = indexer.header
        if header is None:
            return (yield from self.index())
        text = ContentType(b"text", b"plain")
        return Index(Part(header, text, header.end, end, 0), end, 0, False)
