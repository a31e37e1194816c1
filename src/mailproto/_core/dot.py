"""Dot transparency (RFC 5321 section 4.5.2, RFC 1939 section 3), incremental in both directions.

Content is never split into lines. Its end is exactly CRLF.CRLF, in every mode; at most four
octets are held back between chunks. Both classes begin as if a CRLF came before the first octet.
"""

from __future__ import annotations

import enum
import re
from typing import Final

__all__ = ["BareNewlines", "Stuffer", "Unstuffer"]

_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")
_END: Final = b"\r\n.\r\n"


class BareNewlines(enum.Enum):
    """What a receiver does with a CR or LF in content that is not part of a CRLF."""

    REJECT = "reject"
    """Deliver nothing from the first one on; the content cannot be accepted."""
    REPAIR = "repair"
    """Make each a CRLF."""
    PASS = "pass"
    """Hand them on as they are."""


class Stuffer:
    """Doubles the dots at line starts and ends content with CRLF.CRLF."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """``data`` as it goes over the wire; a dot at any chunk border is seen."""
        if not data:
            return b""
        last = self._last
        self._last = data[-2:] if len(data) > 1 else last[-1:] + data
        if b"." not in data:
            return data
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if data[0] == 46:
            if last == b"\r\n":
                return b"." + stuffed
        elif data[:2] == b"\n." and last[-1:] == b"\r":
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

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Content, and what came behind the end (``None`` while the end has not come)."""
        data = self._held + data
        # A single-octet search is far quicker, and base64 has no dots.
        if b"." in data:
            end = data.find(_END)
            if end >= 0:
                self._held = b""
                return self._content(data[: end + 2]), data[end + 5 :]
        hold = self._tail(data)
        self._held = data[len(data) - hold :]
        return self._content(data[: len(data) - hold] if hold else data), None

    @staticmethod
    def _tail(data: bytes) -> int:
        """How many octets at the end may belong to the terminator."""
        for size in (4, 3, 2, 1):
            if data.endswith(_END[:size]):
                return size
        return 0

    def _content(self, wire: bytes) -> bytes:
        if not wire:
            return wire
        seen, self._seen = self._seen, self._seen + len(wire)
        if self._policy is BareNewlines.REJECT and self.bare is not None:
            return b""
        pairs = wire.count(b"\r\n")
        if wire.count(b"\n") != pairs or wire.count(b"\r") != pairs:
            wire = self._at_bare(wire, seen)
        if b"." in wire:
            wire = wire.replace(b"\r\n.", b"\r\n")
        if not self._begun:
            self._begun = True
            wire = wire[2:]
        if self.bare is not None and self._policy is BareNewlines.REPAIR:
            wire = _NEWLINE.sub(b"\r\n", wire)
        return wire

    def _at_bare(self, wire: bytes, seen: int) -> bytes:
        found = _BARE.search(wire)
        if found is not None and self.bare is None:
            self.bare = seen + found.start()
            if self._policy is BareNewlines.REJECT:
                return wire[: found.start()]
        return wire
