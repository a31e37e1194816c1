"""The end of a message whose last line runs into the final dot: ``text.`` CRLF for ``text`` CRLF.

Servers that send a file as it is and then a dot make no end of it that RFC 1939 knows. It can be
told from a line that ends in a dot by the size of LIST alone, so it is looked for at that very
octet and nowhere else.
"""

from __future__ import annotations

from typing import Final

from mailproto._core.dot import Unstuffer
from mailproto._core.framer import Framer

__all__ = ["ToldEnd"]

_END: Final = b".\r\n"


class ToldEnd:
    """Gives out the octets of a message up to the size that LIST has told, then decides."""

    __slots__ = ("_last", "_left", "decided", "missing")

    def __init__(self, octets: int) -> None:
        self._left = octets
        self._last = b"\r\n"
        self.decided: bool = False
        """Whether what follows is to be read as ever."""
        self.missing: bool = False
        """Whether the CRLF was missing; it has been put in."""

    def read(self, source: Framer) -> Framer:
        """Octets of ``source`` that may be unstuffed now; none while more are to come.

        What is left of them goes back by ``source.unread``.
        """
        part = Framer()
        if self._left:
            enough = source.gather(min(self._left, Unstuffer.least))
            if enough and (octets := source.read(self._left)):
                part.feed(octets)
                seen = self._last + octets
                # The first dot of a line is not of the message.
                self._left -= len(octets) - seen.count(b"\r\n.")
                self._last = seen[-2:]
            return part
        if self._last != b"\r\n" and len(source) < len(_END) and not source.ended:
            return part
        source.gather(len(_END))
        octets, start = source.peek()
        self.decided = True
        self.missing = self._last != b"\r\n" and octets.startswith(_END, start)
        if not self.missing:
            return source
        source.skip(start + len(_END))
        part.feed(b"\r\n" + _END)
        return part
