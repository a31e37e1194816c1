"""The input buffer of a server that repairs: a bare CR or LF ends a line too, and is told.

Content is read as by any ``Framer``; only ``line`` differs. Its time is linear in the octets.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.framer import Framer

__all__ = ["RepairingFramer"]

_NEWLINE: Final = re.compile(rb"\r\n?|\n")


class RepairingFramer(Framer):
    """A buffer of received octets whose lines end in CRLF, CR or LF.

    A CR that came last is a line end once it is known what follows, or that nothing does.
    """

    __slots__ = ("bare",)

    def __init__(self) -> None:
        super().__init__()
        self.bare: bytes | None = None
        """The line that ``line`` returns next, and that a bare CR or LF has ended."""

    def clear(self) -> None:
        """Forget everything that waits."""
        super().clear()
        self.bare = None

    def feed(self, data: bytes) -> None:
        """Store ``data``; ``b""`` means end of file."""
        super().feed(data)
        if self._pieces and (b"\n" in data or b"\r" in data):
            self._line_in_pieces = True

    def line(self, limit: int) -> bytes | None:
        """The next line without its end, or ``None`` while it is incomplete.

        For a line that a bare CR or LF ends it is ``None`` once, with ``bare`` set. ``limit``
        counts the end. Raises ``LineTooLong``, whichever way the line was cut.
        """
        if self.bare is not None:
            line, self.bare = self.bare, None
            return line
        found = self._find()
        if (
            found is None
            and self._pieces
            and (self._line_in_pieces or self._buffer.endswith(b"\r"))
        ):
            self._join()
            found = self._find()
        if found is None:
            if len(self):
                self._no_line(limit)
            return None
        start, end = self._position, found.end()
        if end - start > limit:
            raise self._too_long(limit)
        self._position = self._scan = end
        line = self._buffer[start : found.start()]
        if found.group() == b"\r\n":
            return line
        self.bare = line
        return None

    def _find(self) -> re.Match[bytes] | None:
        found = _NEWLINE.search(self._buffer, self._scan)
        undecided = (
            found is not None
            and found.group() == b"\r"
            and found.end() == len(self._buffer)
            and (self._pieces or not self.ended)
        )
        return None if undecided else found
