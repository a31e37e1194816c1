"""Dot transparency (RFC 5321 section 4.5.2, RFC 1939 section 3), incremental in both directions.

Content is never split into lines. Its end is exactly CRLF.CRLF, in every mode; at most four
octets are held back between chunks. Both classes begin as if a CRLF came before the first octet.
"""

from __future__ import annotations

import enum
import re
from io import IncrementalNewlineDecoder
from itertools import pairwise
from typing import ClassVar, Final

from mailproto._core.framer import Framer

__all__ = [
    "BareNewlines",
    "Stuffer",
    "Unstuffer",
    "find_bare_newline",
    "open_line",
    "stuffed",
    "whole",
]

_BARE: Final = re.compile(rb"\r(?=[^\n])|(?<!\r)\n")
_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")
_END: Final = b"\r\n.\r\n"
_CR: Final = 13
_LF: Final = 10
_DOT: Final = 46
_NEWLINES_AND_DOT: Final = b"\r\n."
# Octets from which it pays to look at the ends of lines as columns, and octets of such a line.
_LARGE: Final = 4096
_WIDE: Final = 32
# When so many dots lie among so many octets, looking for them one by one does not pay.
_FIRST: Final = 8
_FEW: Final = range(_FIRST)
_DENSE: Final = 256


class BareNewlines(enum.Enum):
    """What a receiver does with a CR or LF that is not part of a CRLF.

    Content ends at CRLF.CRLF under each of them. In command lines of SMTP, REPAIR ends a line at
    each, and the others leave them to the grammar, which refuses them.
    """

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
    irregular = data if len(data) < _LARGE else _beside_columns(data)
    if not irregular:
        return -1
    # One pass over the octets in C; counting CR, LF and CRLF takes four times as long.
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(irregular.decode("latin-1"))
    if decoder.newlines in (None, "\r\n"):
        return -1
    match = _BARE.search(data)
    return -1 if match is None else match.start()


def _beside_columns(data: bytes) -> bytes:
    """``data`` without the equally long lines around its middle that certainly end in CRLF only.

    Such are the lines of an attachment: their ends are two columns, and without these there is no
    newline left, which the quickest search of all can say.
    """
    size = len(data)
    middle = data.find(b"\n", size >> 1)
    width = data.find(b"\n", middle + 1) - middle
    if middle < 0 or width < _WIDE:
        return data
    column = middle % width or width
    feeds, returns = data[column::width], data[column - 1 : -1 : width]
    lines = len(feeds)
    first, last = 0, lines - 1
    if feeds != b"\n" * lines or returns != b"\r" * lines:
        at = (middle - column) // width
        after, before = _run(feeds, at, b"\n"), _run(returns, at, b"\r")
        first, last = max(after[0], before[0]), min(after[1], before[1])
        if (last - first) * width < size >> 1:
            return data
    begin, end = column + first * width + 1, column + last * width + 1
    rest, blank = bytearray(data), bytearray(last - first + 1)
    rest[begin - 1 : end : width] = blank
    rest[begin - 2 : end - 1 : width] = blank
    regions = [(begin, end)]
    if last - first + 1 == lines:
        # What lies beside the outermost ends is mostly of such lines, too.
        regions.insert(0, (0, size))
    for start, stop in regions:
        # A CR at the very end may yet become a CRLF.
        if rest.find(_LF, start, stop) < 0 and rest.find(_CR, start, min(stop, size - 1)) < 0:
            return data[:start] + data[stop:]
    return data


def _run(octets: bytes, at: int, octet: bytes) -> tuple[int, int]:
    """The first and the last of the run of ``octet`` that goes through ``at``."""
    before, behind = octets[: at + 1], octets[at:]
    return len(before.rstrip(octet)), at + len(behind) - len(behind.lstrip(octet)) - 1


def open_line(data: bytes, before: int, limit: int) -> int:
    """Octets of the last line of ``data`` that has no LF yet, or -1 when a line is too long.

    ``before`` octets of its first line came earlier; ``limit`` counts neither CR nor LF.
    """
    window, size, rfind = limit + 2, len(data), data.rfind
    start, stop = 0, window - before
    while stop < size:
        newline = rfind(b"\n", start, stop)
        if newline < 0:
            return -1
        start = newline + 1
        stop = start + window
    newline = rfind(b"\n", start)
    return size - (stop - window if newline < 0 else newline + 1)


def _line_dots(data: bytes, start: int, *, to_end: bool) -> list[int] | None:
    """Where lines of ``data[start:]`` begin with a dot, behind a CRLF; ``None`` for too many.

    With ``to_end`` the dot of the first CRLF.CRLF is the last one.
    """
    dots: list[int] = []
    find, dot = data.find, start - 1
    few = len(data) - start >> 10
    # The search for a single octet is far quicker than any other, so long as dots are rare.
    for number in (_FIRST, few):
        for _ in range(number):
            dot = find(b".", dot + 1)
            if dot < 0:
                return dots
            if data[dot - 1] == _LF and data[dot - 2] == _CR and dot - 2 >= start:
                dots.append(dot)
                if to_end and data.startswith(b"\r\n", dot + 1):
                    return dots
        if dot - start < _DENSE:
            return None
    if len(dots) == _FIRST + few:
        return None
    for _ in range(_FIRST + few):
        dot = find(b"\r\n.", dot + 1) + 2
        if dot < 2:
            return dots
        dots.append(dot)
        if to_end and data.startswith(b"\r\n", dot + 1):
            return dots
    return None


def _first_line_dot(data: bytes, start: int) -> int:
    """Where a line of ``data[start:]`` first begins with a dot, or -1; LF ends a line here, too."""
    find, dot = data.find, start
    if data.startswith(b".", dot):
        return dot
    for _ in _FEW:
        dot = find(b".", dot)
        if dot < 0 or data[dot - 1] == _LF:
            return dot
        dot += 1
    newline = find(b"\n.", dot)
    return newline if newline < 0 else newline + 1


def stuffed(data: bytes) -> tuple[bytes, bytes]:
    """What a ``Stuffer`` makes of a whole content, and of its end."""
    if _first_line_dot(data, 0) >= 0:
        stuffer = Stuffer()
        return stuffer.feed(data), stuffer.finish()
    return data, b".\r\n" if data[-2:] == b"\r\n" or not data else _END


def whole(source: Framer) -> bytes | None:
    """Content that waits in ``source`` to its end and needs nothing done, read with its end.

    ``None`` for any other, which is for an ``Unstuffer`` and is left as it is: content that comes
    in pieces or is empty, that has a dot where a line begins, or a bare CR or LF.
    """
    data, start = source.peek()
    dot = _first_line_dot(data, start)
    content = data[start:dot]
    if not data.startswith(_END, dot - 2) or not content or find_bare_newline(content) >= 0:
        return None
    source.skip(dot + 3)
    return content


class Stuffer:
    """Doubles the dots at line starts and ends content with CRLF.CRLF."""

    __slots__ = ("_last", "after_cr")

    def __init__(self) -> None:
        self._last = b"\r\n"
        self.after_cr: bool = False
        """Whether the last octet was a CR, so that only an LF may follow."""

    def feed(self, data: bytes) -> bytes:
        """``data`` as it goes over the wire; a dot at any chunk border is seen."""
        if not data:
            return b""
        last, after_cr = self._last, self.after_cr
        self._last = data[-2:] if len(data) > 1 else last[-1:] + data
        self.after_cr = data[-1] == _CR
        dots = _line_dots(data, 0, to_end=False)
        if dots is None:
            wire = data.replace(b"\r\n.", b"\r\n..")
        elif dots:
            wire = b".".join([data[a:b] for a, b in pairwise([0, *dots, len(data)])])
        else:
            wire = data
        if data[0] == _DOT:
            if last == b"\r\n":
                return b"." + wire
        elif after_cr and data.startswith(b"\n."):
            return b"\n." + wire[1:]
        return wire

    def finish(self) -> bytes:
        """The terminator, with a CRLF before it where the content did not end in one."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"


class Unstuffer:
    """Undoes ``Stuffer``: content in, the end found, bare newlines treated by a policy."""

    __slots__ = ("_begun", "_held", "_policy", "_seen", "bare")

    least: ClassVar[int] = 512
    """Octets that are worth a call of ``read``, where they hold no line end."""

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
        if held:
            if not self._begun and data[start] != _DOT and held == b"\r\n":
                # The CRLF before the content is no part of it, and only a dot needs it.
                self._begun = True
                self._seen = 0
            else:
                data, start = held + data[start:], 0
        dots = _line_dots(data, start, to_end=True)
        end = -1
        if dots is None:
            # Among many dots a search from the end is quicker, and mostly there is nothing.
            if data.rfind(_END, start) >= 0:
                end = data.find(_END, start) + 2
        # The first dot that begins a line is the end, unless it was doubled by the sender.
        elif dots and data.startswith(b"\r\n", dots[-1] + 1):
            end = dots.pop()
        if end >= 0:
            self._held = b""
            source.skip(size - (len(data) - end - 3))
            return self._content(data, start, end, dots), True
        source.skip(size)
        stop = len(data) - self._tail(data)
        self._held = data[stop:]
        if dots and dots[-1] >= stop:
            dots.pop()
        return self._content(data, start, stop, dots), False

    @staticmethod
    def _tail(data: bytes) -> int:
        """How many octets at the end may belong to the terminator."""
        if data[-1] in _NEWLINES_AND_DOT:
            for size in (4, 3, 2, 1):
                if data.endswith(_END[:size]):
                    return size
        return 0

    def _content(self, data: bytes, start: int, stop: int, dots: list[int] | None) -> bytes:
        """The content of ``data[start:stop]``, of which ``dots`` (or all line dots) go."""
        if start == stop:
            return b""
        wire = data[start:stop]
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
                    if dots:
                        dots = [dot for dot in dots if dot < start + bare]
        elif self._policy is BareNewlines.REJECT:
            return b""
        if dots is None:
            wire = wire.replace(b"\r\n.", b"\r\n")
        elif dots:
            edges = [-1, *[dot - start for dot in dots], len(wire)]
            wire = b"".join([wire[a + 1 : b] for a, b in pairwise(edges)])
        if not self._begun:
            self._begun = True
            wire = wire[2:]
        if self.bare is not None and self._policy is BareNewlines.REPAIR:
            wire = _NEWLINE.sub(b"\r\n", wire)
        return wire
