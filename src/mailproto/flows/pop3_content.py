"""What of a stored message goes over POP3: all of it or its top, with CRLF at every line's end.

Both classes take pieces of any size and keep at most one octet or a short tail between them.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.dot import find_bare_newline

__all__ = ["CanonicalLines", "Top"]

_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")


class CanonicalLines:
    """Makes a CRLF of every CR or LF that stands alone.

    Many clients take a bare LF for a line end, so that a lone dot between two of them would end
    the message for them, and what follows would pass for the server's next response.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """``piece`` in canonical form; a CR at its end waits for the next one."""
        if self._held:
            piece = self._held + piece
        if piece.endswith(b"\r"):
            self._held, piece = b"\r", piece[:-1]
        else:
            self._held = b""
        # A CR that is still at the end has another CR behind it: it stands alone.
        if find_bare_newline(piece) < 0 and not piece.endswith(b"\r"):
            return piece
        return _NEWLINE.sub(b"\r\n", piece)

    def finish(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return b"\r\n" if held else b""


class Top:
    """Cuts canonical content after its header, the blank line and some lines of the body."""

    __slots__ = ("_left", "_tail", "complete")

    def __init__(self, lines: int) -> None:
        self._left = lines
        # The last octets of the header so far; None once its end was seen.
        self._tail: bytes | None = b"\r\n"
        self.complete: bool = False
        """Whether everything that belongs to the top has been returned."""

    def feed(self, piece: bytes) -> bytes:
        """The part of ``piece`` that belongs to the top."""
        if self._tail is None:
            return self._lines(piece)
        data = self._tail + piece
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._tail = data[-3:]
            return piece
        header = end + 4 - len(self._tail)
        self._tail = None
        return piece[:header] + self._lines(piece[header:])

    def _lines(self, piece: bytes) -> bytes:
        count = piece.count(b"\n")
        if count < self._left:
            self._left -= count
            return piece
        lines = piece.split(b"\n", self._left)[: self._left]
        self._left = 0
        self.complete = True
        return b"".join(line + b"\n" for line in lines)
