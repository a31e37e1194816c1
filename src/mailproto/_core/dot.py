"""Dot transparency (RFC 5321 section 4.5.2, RFC 1939 section 3), incremental in both directions.

Content is never split into lines. Its end is exactly CRLF.CRLF, in every mode; at most four
octets are held back between chunks. Both classes begin as if a CRLF came before the first octet.
"""

from __future__ import annotations

import enum
import re
from io import IncrementalNewlineDecoder
from typing import Final

from mailproto._core.framer import Framer

__all__ = ["BareNewlines", "Stuffer", "Unstuffer", "find_bare_newline", "open_line"]

_BARE: Final = re.compile(rb"\r(?=[^\n])|(?<!\r)\n")
_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")
_SPECIAL: Final = re.compile(rb"[\r\n.]")
_END: Final = b"\r\n.\r\n"
_TINY: Final = 64
_NEWLINES_AND_DOT: Final = b"\r\n."


class BareNewlines(enum.Enum):
    """What a receiver does with a CR or LF in content that is not part of a CRLF."""

    REJECT = "reject"
    """Deliver nothing from the first one on; the content cannot be accepted."""
    REPAIR = "repair"
    """Make each a CRLF."""
    PASS = "pass"
    """Hand them on as they are."""


def find_bare_newline(data: bytes) -> int:
    """Offset of the first CR or LF that is not part of a CRLF, or -1.

    A CR at the very end is not counted: it may yet become a CRLF.
    """
    # One pass over the octets in C; counting CR, LF and CRLF takes four times as long.
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(data.decode("latin-1"))
    if decoder.newlines in (None, "\r\n"):
        return -1
    match = _BARE.search(data)
    return -1 if match is None else match.start()


def open_line(data: bytes, before: int, limit: int) -> int:
    """Octets of the last line of ``data`` that has no LF yet, or -1 when a line is too long.

    ``before`` octets of its first line came earlier; ``limit`` counts neither CR nor LF.
    """
    start, window = -before, limit + 2
    while len(data) - start > window:
        newline = data.rfind(b"\n", max(start, 0), start + window)
        if newline < 0:
            return -1
        start = newline + 1
    newline = data.rfind(b"\n", max(start, 0))
    return len(data) - (start if newline < 0 else newline + 1)


class Stuffer:
    """Doubles the dots at line starts and ends content with CRLF.CRLF."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    @property
    def after_cr(self) -> bool:
        """Whether the last octet was a CR, so that only an LF may follow."""
        return self._last.endswith(b"\r")

    def feed(self, data: bytes) -> bytes:
        """``data`` as it goes over the wire; a dot at any chunk border is seen."""
        if not data:
            return b""
        last = self._last
        self._last = data[-2:] if len(data) > 1 else last[-1:] + data
        if b"." not in data:
            return data
        stuffed = _substitute(data, b"\r\n.", b"\r\n..")
        if data[0] == 46:
            if last == b"\r\n":
                return b"." + stuffed
        elif last.endswith(b"\r") and data.startswith(b"\n."):
            return b"\n." + stuffed[1:]
        return stuffed

    def finish(self) -> bytes:
        """The terminator, with a CRLF before it where the content did not end in one."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"


class Unstuffer:
    """Undoes ``Stuffer``: content in, the end found, bare newlines treated by a policy."""

    __slots__ = ("_begun", "_held", "_policy", "_seen", "bare")

    def __init__(self, policy: BareNewlines = BareNewlines.REJECT) -> None:
        self._policy = policy
        self._held = b"\r\n"
        self._begun = False
        self._seen = -2
        self.bare: int | None = None
        """Offset in the wire's content of the first bare CR or LF, if there was one."""

    def read(self, source: Framer) -> tuple[bytes, bool]:
        """Content out of ``source``, and whether it is complete; what follows stays there."""
        data, start = source.peek()
        size = len(data)
        if start == size:
            return b"", False
        held = self._held
        if not held:
            # Most pieces of a client that sends octet by octet.
            if size - start < _TINY and _SPECIAL.search(data, start) is None:
                return self._plain(source, data, start), False
        else:
            # The CRLF of a command line often lies right before its content: no copy then.
            if start and start >= len(held) and data.startswith(held, start - len(held)):
                start -= len(held)
            else:
                data = held + data[start:]
                start = 0
        # A single-octet search is far quicker, and base64 has no dots.
        dot = -1
        if data.find(b".", start) >= 0:
            # The first dot that begins a line is the end, unless it was doubled by the sender.
            end = dot = data.find(b"\r\n.", start)
            if dot >= 0 and not data.startswith(b"\r\n", dot + 3):
                end = data.find(_END, dot)
            if end >= 0:
                self._held = b""
                source.skip(size - (len(data) - end - 5))
                return self._content(data[start : end + 2], stuffed=end != dot), True
        source.skip(size)
        hold = self._tail(data)
        self._held = data[len(data) - hold :] if hold else b""
        return self._content(data[start : len(data) - hold], stuffed=dot >= 0), False

    def _plain(self, source: Framer, data: bytes, start: int) -> bytes:
        """Take all of ``data``, in which nothing is to be looked for."""
        source.skip(len(data))
        self._seen += len(data) - start
        if self.bare is not None and self._policy is BareNewlines.REJECT:
            return b""
        return data[start:] if start else data

    @staticmethod
    def _tail(data: bytes) -> int:
        """How many octets at the end may belong to the terminator."""
        if data[-1] in _NEWLINES_AND_DOT:
            for size in (4, 3, 2, 1):
                if data.endswith(_END[:size]):
                    return size
        return 0

    def _content(self, wire: bytes, *, stuffed: bool) -> bytes:
        if not wire:
            return wire
        seen, self._seen = self._seen, self._seen + len(wire)
        if self.bare is None:
            bare = find_bare_newline(wire)
            if bare < 0 and wire.endswith(b"\r"):
                # What is held back begins with a CR, so this one stays alone.
                bare = len(wire) - 1
            if bare >= 0:
                self.bare = seen + bare
                if self._policy is BareNewlines.REJECT:
                    wire = wire[:bare]
        elif self._policy is BareNewlines.REJECT:
            return b""
        if stuffed:
            wire = _substitute(wire, b"\r\n.", b"\r\n")
        if not self._begun:
            self._begun = True
            wire = wire[2:]
        if self.bare is not None and self._policy is BareNewlines.REPAIR:
            wire = _NEWLINE.sub(b"\r\n", wire)
        return wire


def _substitute(data: bytes, old: bytes, new: bytes) -> bytes:
    """``data.replace(old, new)``, in half the time where there is little to replace."""
    if old not in data:
        return data
    few = 8 + (len(data) >> 10)
    parts = data.split(old, few)
    return new.join(parts) if len(parts) <= few else data.replace(old, new)
