"""The only input buffer: octets go in as they arrive, lines and blocks come out.

Time is linear in the octets for every chunking: a search resumes where the last one stopped, and
pieces are joined only once the line they belong to is complete. Only CRLF ends a line.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

__all__ = ["Framer", "LineTooLong"]

_CR = 13
_LF = 10
# Pieces that wait are joined by so many, so that tiny ones cost little more than their octets.
_LOOSE = 64


class LineTooLong(Exception):
    """No CRLF within the limit; ``start`` holds the first octets of the offending line."""

    def __init__(self, limit: int, start: bytes) -> None:
        super().__init__(f"line longer than {limit} octets")
        self.limit = limit
        self.start = start


class Framer:
    """A buffer of received octets, read as CRLF lines or as blocks of octets."""

    __slots__ = (
        "_buffer",
        "_line_in_pieces",
        "_loose",
        "_pieces",
        "_pieces_size",
        "_position",
        "_scan",
        "ended",
        "missing",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._scan = 0
        # What arrived behind an unfinished _buffer; joined to it when a line end is among it.
        self._pieces: deque[bytes] = deque()
        self._pieces_size = 0
        # How many at the end of _pieces are still as they arrived.
        self._loose = 0
        self._line_in_pieces = False
        self.ended: bool = False
        """Whether the peer has closed its side, read or not."""
        self.missing: int = 0
        """How many octets ``gather`` still waits for; 0 when asking it again may help."""

    def __len__(self) -> int:
        """The number of octets that wait."""
        return len(self._buffer) - self._position + self._pieces_size

    @property
    def eof(self) -> bool:
        """Whether the peer has closed its side and everything before that was read."""
        return self.ended and not len(self)

    def feed(self, data: bytes) -> None:
        """Store ``data``; ``b""`` means end of file."""
        if self.missing:
            size = len(data)
            if 0 < size < self.missing and b"\n" not in data:
                self._pieces.append(data)
                self._pieces_size += size
                self.missing -= size
                return
            self.missing = 0
        if not data:
            self.ended = True
        elif not (pieces := self._pieces) and self._position == len(self._buffer):
            self._buffer = data
            self._position = self._scan = 0
        else:
            # Most often there is no LF, and then no line ends here.
            if not self._line_in_pieces and b"\n" in data:
                last = pieces[-1] if pieces else self._buffer
                self._line_in_pieces = b"\r\n" in data or (data[0] == _LF and last[-1] == _CR)
            pieces.append(data)
            self._pieces_size += len(data)
            self._loose += 1
            if self._loose == _LOOSE:
                self._tighten()

    def clear(self) -> None:
        """Forget everything that waits."""
        self._buffer = b""
        self._position = self._scan = self._pieces_size = self._loose = self.missing = 0
        self._pieces.clear()
        self._line_in_pieces = False

    def line(self, limit: int) -> bytes | None:
        """The next line without its CRLF, or ``None`` while it is incomplete.

        ``limit`` counts the CRLF. Raises ``LineTooLong``, whichever way the line was cut.
        """
        buffer = self._buffer
        end = buffer.find(b"\r\n", self._scan)
        if end < 0:
            if self._line_in_pieces:
                self._join()
                buffer = self._buffer
                end = buffer.find(b"\r\n", self._scan)
            if end < 0:
                if self._pieces or self._position < len(buffer):
                    self._no_line(limit)
                return None
        start, behind = self._position, end + 2
        if behind - start > limit:
            raise self._too_long(limit)
        self._position = self._scan = behind
        return buffer[start:end]

    def _no_line(self, limit: int) -> None:
        size, start = len(self._buffer), self._position
        if size - start + self._pieces_size >= limit:
            raise self._too_long(limit)
        # A CR at the end may yet become a CRLF.
        self._scan = size - 1 if size > start else start

    def read(self, size: int) -> bytes:
        """At most ``size`` octets, as many as lie together; ``b""`` when none wait."""
        if self._position == len(self._buffer) and not self._next_piece():
            return b""
        start, available = self._position, len(self._buffer) - self._position
        if available <= size:
            self._position = self._scan = len(self._buffer)
            return self._buffer[start:] if start else self._buffer
        self._position = self._scan = start + size
        return self._buffer[start : start + size]

    def rest(self) -> bytes:
        """Everything that waits."""
        self._join()
        return self.read(len(self))

    def peek(self) -> tuple[bytes, int]:
        """Octets that lie together and the offset of the first unread one; nothing is consumed.

        When none wait, the offset is the length.
        """
        if self._position == len(self._buffer):
            self._next_piece()
        return self._buffer, self._position

    def gather(self, least: int) -> bool:
        """Put together what waits if ``least`` octets do, or a line end; false for anything less.

        At end of file whatever waits is enough. ``least`` must not grow before it was true.
        """
        if self.missing:
            return False
        buffer, position = self._buffer, self._position
        missing = least - (len(buffer) - position)
        if missing <= 0 or buffer.find(b"\n", position) >= 0:
            return True
        if self._line_in_pieces or self._pieces_size >= missing or (self.ended and len(self)):
            self._join()
            return True
        if not self.ended:
            self.missing = missing - self._pieces_size
        return False

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What ``pattern`` finds in the octets that ``peek`` would show, consumed."""
        found = pattern.match(self._buffer, self._position)
        if found is not None:
            self._position = self._scan = found.end()
        return found

    def beginning(self, size: int) -> bytes:
        """The first octets that wait, ``size`` at most; nothing is consumed."""
        self._join()
        return self._buffer[:size]

    def skip(self, offset: int) -> None:
        """Consume what ``peek`` has just shown, up to ``offset``."""
        self._position = self._scan = offset

    def unread(self, data: bytes) -> None:
        """Put back the end of what ``read`` has just returned."""
        self._position -= len(data)
        self._scan = self._position

    def _next_piece(self) -> bool:
        if not self._pieces:
            return False
        self._buffer = self._pieces.popleft()
        self._pieces_size -= len(self._buffer)
        self._position = self._scan = self.missing = 0
        self._loose = min(self._loose, len(self._pieces))
        # The flag may now speak of the line end in _buffer; a needless join costs one copy.
        if not self._pieces:
            self._line_in_pieces = False
        return True

    def _join(self) -> None:
        self._scan -= self._position
        self._pieces.appendleft(self._buffer[self._position :])
        self._buffer = b"".join(self._pieces)
        self._position = self._pieces_size = self._loose = self.missing = 0
        self._pieces.clear()
        self._line_in_pieces = False

    def _tighten(self) -> None:
        pieces = [self._pieces.pop() for _ in range(_LOOSE)]
        pieces.reverse()
        self._pieces.append(b"".join(pieces))
        self._loose = 0

    def _too_long(self, limit: int) -> LineTooLong:
        return LineTooLong(limit, self.beginning(64))
