r"""Frames: one whole command or response, the octets of its literals apart from its text.

Framing comes before grammar. The text keeps ``{5}\r\n`` where a literal was, which occurs nowhere
else in it, so that a cursor knows where to take the next literal. Nothing is read twice, whatever
the chunks; a literal is a list of chunks that are joined once.
"""

from __future__ import annotations

import enum
import re
from typing import Final, TypeAlias

from mailproto._core.framer import Framer
from mailproto._core.frozen import frozen
from mailproto._core.strict import NUMBER_64, number
from mailproto.imap.streamed import LiteralChunk, Streamed

__all__ = ["Frame", "FrameReader", "Literal", "LiteralHeader", "literal_header"]

Literal: TypeAlias = bytes | Streamed
"""The octets, or the size of those that were not kept."""

_SMALL: Final = 256
_HEADER: Final = re.compile(rb"(~?)\{([0-9]+)(\+?)\}")


@frozen
class Frame:
    r"""One command or response without its last CRLF.

    ``Frame(b"a LOGIN {3}\r\n sesame", (b"joe",))``
    """

    text: bytes
    literals: tuple[Literal, ...] = ()

    def octets(self) -> bytes:
        """The frame as it came, literals in their places, those that were not kept left out."""
        if not self.literals:
            return self.text
        first, *lines = self.text.split(b"\r\n")
        pieces = [first]
        for literal, line in zip(self.literals, lines, strict=True):
            pieces += (b"\r\n", literal if isinstance(literal, bytes) else b"", line)
        return b"".join(pieces)


@frozen
class LiteralHeader:
    """A literal is announced at the end of a line: ``{310}``, ``{310+}``, ``~{310}``."""

    size: int
    """Octets; above 2**63-1 if the number is."""
    synchronizing: bool = True
    """Whether the sender waits for a continuation."""
    binary: bool = False
    """Whether it is a ``literal8`` (RFC 3516)."""


def literal_header(line: bytes) -> LiteralHeader | None:
    """The literal that ``line`` announces, if it ends like that."""
    if line[-1:] != b"}":
        return None
    start = line.rfind(b"{")
    if start < 0:
        return None
    if start and line[start - 1] == 126:
        start -= 1
    found = _HEADER.fullmatch(line, start)
    if found is None:
        return None
    size = number(found[2], NUMBER_64)
    return LiteralHeader(NUMBER_64 + 1 if size is None else size, not found[3], bool(found[1]))


class _Mode(enum.Enum):
    """What comes next, or what is done with the octets of the literal that is under way."""

    LINE = enum.auto()
    ANNOUNCED = enum.auto()
    COLLECT = enum.auto()
    STREAM = enum.auto()
    DISCARD = enum.auto()


class FrameReader:
    """Makes frames of what a ``Framer`` holds. Its owner decides on every literal.

    ::

        step = reader.advance(limit)   # None: more octets are needed
        # Frame: it is complete
        # LiteralHeader: call collect(), stream(), discard(), abandon() or as_text(), then go on
        # LiteralChunk: octets of a literal that is streamed
    """

    __slots__ = (
        "_chunks",
        "_input",
        "_literals",
        "_mode",
        "_remaining",
        "_size",
        "_text",
        "collected",
        "header",
    )

    def __init__(self, input: Framer) -> None:
        self._input = input
        self._text: list[bytes] = []
        self._size = 0
        self._literals: list[Literal] = []
        self._chunks: list[bytes] = []
        self._mode = _Mode.LINE
        self._remaining = 0
        self.header: LiteralHeader = LiteralHeader(0)
        """The literal that was announced last."""
        self.collected: int = 0
        """Octets of the literals of this frame that are kept, the one under way included."""

    @property
    def idle(self) -> bool:
        """Whether no frame has begun."""
        return not self._text

    @property
    def size(self) -> int:
        """Octets of this frame that are kept: text, and literals with the one under way."""
        return self._size + self.collected

    @property
    def first_line(self) -> bytes:
        """The first line of the frame that has begun, with its CRLF."""
        return self._text[0]

    @property
    def last_line(self) -> bytes:
        """The last line that came, with its CRLF; the same object as the first if it is that."""
        return self._text[-1]

    def text(self) -> bytes:
        """The text of this frame so far."""
        return b"".join(self._text)

    def so_far(self) -> Frame:
        """The frame up to here: the literal that was announced is not among its literals."""
        return Frame(self.text(), tuple(self._literals))

    def advance(self, limit: int) -> Frame | LiteralHeader | LiteralChunk | None:
        """The next step; ``limit`` bounds the octets of text of a frame, its CRLFs included.

        Raises LineTooLong.
        """
        if self._mode is not _Mode.LINE:
            if self._mode is _Mode.ANNOUNCED:
                return self.header
            chunk = self._literal()
            if chunk is not None or self._remaining:
                return chunk
            self._mode = _Mode.LINE
        line = self._input.line(limit - self._size)
        return None if line is None else self.take(line)

    def take(self, line: bytes) -> Frame | LiteralHeader:
        """The step that a line makes which the owner has read itself."""
        header = literal_header(line) if line[-1:] == b"}" else None
        if header is None:
            return self._end(line) if self._text else Frame(line)
        self._text.append(line + b"\r\n")
        self._size += len(line) + 2
        self.header = header
        self._mode = _Mode.ANNOUNCED
        return header

    def collect(self) -> None:
        """Keep the octets of the announced literal in the frame."""
        self._begin(_Mode.COLLECT)
        self.collected += self._remaining
        if not self._remaining:
            self._literals.append(b"")

    def stream(self) -> None:
        """Hand the octets of the announced literal out as chunks; the frame gets the size."""
        self._begin(_Mode.STREAM)
        self._literals.append(Streamed(self._remaining))

    def discard(self) -> None:
        """Drop the octets of the announced literal; the frame gets the size."""
        self._begin(_Mode.DISCARD)
        self._literals.append(Streamed(self._remaining))

    def abandon(self) -> None:
        """Forget the frame: its synchronizing literal was refused and will not come."""
        self._text = []
        self._literals = []
        self._size = self.collected = 0
        self._mode = _Mode.LINE

    def as_text(self) -> Frame:
        """The frame that ends here: what looked like a literal was text for people."""
        line = self._text.pop()[:-2]
        return self._end(line)

    def _begin(self, mode: _Mode) -> None:
        self._mode = mode
        self._remaining = self.header.size

    def _literal(self) -> LiteralChunk | None:
        """Read on in the literal; a chunk if it is streamed and something has come."""
        while self._remaining:
            data = self._input.read(self._remaining)
            if not data:
                return None
            self._remaining -= len(data)
            if self._mode is _Mode.STREAM:
                return LiteralChunk(data)
            if self._mode is _Mode.COLLECT:
                # A list of single octets takes nine times their memory.
                if self._chunks and len(self._chunks[-1]) + len(data) <= _SMALL:
                    self._chunks[-1] += data
                else:
                    self._chunks.append(data)
                if not self._remaining:
                    self._literals.append(b"".join(self._chunks))
                    self._chunks = []
        return None

    def _end(self, line: bytes) -> Frame:
        self._text.append(line)
        frame = Frame(b"".join(self._text), tuple(self._literals))
        self.abandon()
        return frame
