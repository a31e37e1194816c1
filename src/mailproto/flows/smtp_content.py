"""Where the content of a message comes from: octets, pieces, files or streams, in bounded memory.

A source is asked for one piece after another, each when the piece before has been taken by the
transport.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from email.message import Message
from typing import Final, Protocol, TypeAlias, runtime_checkable

from mailproto.errors import RemoteProtocolError
from mailproto.flows.effects import Flow, call, call_blocking

__all__ = ["PIECE", "Content", "Octets", "Readable", "Rest", "Source", "source_of"]

PIECE: Final = 256 * 1024
"""Octets that are on their way at a time, where the source does not say how many."""


@runtime_checkable
class Readable(Protocol):
    """A binary file, or a stream whose ``read`` is awaited (under ``aio`` only)."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Up to ``size`` octets; none at the end."""
        ...


Octets: TypeAlias = bytes | bytearray | memoryview
"""A whole message, or a piece of one, with CRLF."""

Content: TypeAlias = Octets | Iterable[Octets] | AsyncIterable[Octets] | Readable | Message
"""A message: its octets, whole or in pieces, a file, a stream, or an ``EmailMessage``.

Asynchronous pieces and streams are for ``aio`` only.
"""


class Source(ABC):
    """Pieces of content, one at a time."""

    @abstractmethod
    def next(self) -> Flow[bytes | None]:
        """The next piece, perhaps empty; ``None`` at the end."""


def source_of(content: Content) -> Source:
    """The pieces of ``content``, from where a file or iterator stands.

    Raises TypeError for what has no octets, such as text.
    """
    if isinstance(content, bytes | bytearray | memoryview):
        return _Pieces(iter((bytes(content),)))
    if isinstance(content, str | Message):
        raise TypeError("content is octets; encode text, flatten a message")
    if isinstance(content, Readable):
        return _File(content)
    if isinstance(content, AsyncIterable):
        return _Stream(aiter(content))
    try:
        return _Pieces(iter(content))
    except TypeError as error:
        kind = type(content).__name__
        raise TypeError(f"content is octets, pieces, a file or a message, not {kind}") from error


class Rest(Source):
    """What is behind the first octets of ``source``, which the server has already."""

    def __init__(self, source: Source, held: int, *, whole_lines: bool) -> None:
        self._source = source
        self._held = held
        self._left = held
        self._whole_lines = whole_lines
        self._end = b""

    def next(self) -> Flow[bytes | None]:
        """The next piece; raises RemoteProtocolError where the server can have no such rest."""
        while self._left:
            piece = yield from self._source.next()
            if piece is None:
                raise RemoteProtocolError(
                    f"the server has {self._held} octets of a shorter message"
                )
            self._end = (self._end + piece[: self._left])[-2:]
            piece, self._left = piece[self._left :], max(0, self._left - len(piece))
            if not self._left and self._whole_lines and self._end != b"\r\n":
                raise RemoteProtocolError(f"at octet {self._held} no line of the message begins")
            if piece:
                return piece
        return (yield from self._source.next())


class _Pieces(Source):
    """What is at hand, in pieces of a bounded size."""

    def __init__(self, pieces: Iterator[Octets]) -> None:
        self._pieces = pieces
        self._rest: memoryview = memoryview(b"")

    def next(self) -> Flow[bytes | None]:
        yield from ()
        if not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return None
            self._rest = memoryview(_octets(piece))
        taken, self._rest = self._rest[:PIECE], self._rest[PIECE:]
        return bytes(taken)


class _File(Source):
    def __init__(self, file: Readable) -> None:
        self._file = file

    def next(self) -> Flow[bytes | None]:
        # Nothing but b"" is the end: not the None of a file that does not block.
        return _octets((yield from call_blocking(self._file.read, PIECE))) or None


class _Stream(Source):
    def __init__(self, stream: AsyncIterator[Octets]) -> None:
        self._stream = stream

    def next(self) -> Flow[bytes | None]:
        piece = yield from call(self._following)
        return None if piece is None else _octets(piece)

    def _following(self) -> Awaitable[Octets | None]:
        return anext(self._stream, None)


def _octets(piece: Octets) -> bytes:
    """A piece of content. Raises TypeError for text, numbers and whatever else is none."""
    if type(piece) is bytes:
        return piece
    try:
        return bytes(memoryview(piece))
    except TypeError as error:
        kind = type(piece).__name__
        raise TypeError(f"content is octets, and its source gave {kind}") from error
