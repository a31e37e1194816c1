"""The content of a message on its way through a machine, in pieces and in bounded memory."""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.dot import (
    BareNewlines,
    Stuffer,
    Unstuffer,
    find_bare_newline,
    open_line,
)
from mailproto._core.framer import Framer
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import ContentProblem

__all__ = ["IncomingContent", "OutgoingContent"]

LINE_LIMIT: Final = 998
"""Octets of a line of content without its CRLF (RFC 5321 section 4.5.3.1.6)."""

_NEWLINE: Final = re.compile(rb"\r\n|\r|\n")


class IncomingContent:
    """Content that a server receives: up to the first problem it is handed on, then dropped."""

    __slots__ = ("_limit", "_policy", "_unstuffer", "ended", "offset", "problem", "size")

    def __init__(self, policy: BareNewlines, limit: int) -> None:
        self._policy = policy
        self._limit = limit
        self._unstuffer = Unstuffer(policy)
        self.ended: bool = False
        """Whether the terminator was read."""
        self.size: int = 0
        """Octets that were handed on."""
        self.problem: ContentProblem | None = None
        """Why the content cannot be accepted."""
        self.offset: int = 0
        """Where that was."""

    @property
    def bare_newline(self) -> int | None:
        """Offset of the first bare CR or LF."""
        return self._unstuffer.bare

    def read(self, source: Framer) -> bytes:
        """The next piece; ``b""`` when the content has ended or more input is needed."""
        unstuffer = self._unstuffer
        while True:
            data, self.ended = unstuffer.read(source)
            if self.problem is None:
                if unstuffer.bare is not None or len(data) > self._limit - self.size:
                    data = self._judged(data)
                self.size += len(data)
                if data:
                    return data
            if self.ended or not len(source):
                return b""

    def _judged(self, data: bytes) -> bytes:
        """What may be handed on of ``data``, with which something is wrong."""
        room = self._limit - self.size
        if len(data) > room:
            self.problem, self.offset = ContentProblem.TOO_LARGE, self._limit
            return data[:room]
        bare = self._unstuffer.bare
        if bare is not None and self._policy is BareNewlines.REJECT:
            self.problem, self.offset = ContentProblem.BARE_NEWLINE, bare
        return data


class OutgoingContent:
    """Content that a client sends; what is wrong with it is found before anything is queued."""

    __slots__ = ("_line", "_long_lines", "_repair", "_stuffer", "_waiting_cr", "size")

    def __init__(self, policy: BareNewlines, long_lines: bool) -> None:
        self._repair = policy is BareNewlines.REPAIR
        self._long_lines = long_lines
        self._stuffer = Stuffer()
        self._line = 0
        self._waiting_cr = False
        self.size: int = 0
        """Octets that were taken."""

    def feed(self, data: bytes) -> bytes:
        """``data`` for the wire. Raises LocalProtocolError and then has changed nothing."""
        waiting_cr = False
        if self._repair:
            if self._waiting_cr:
                data = b"\r" + data
            if data.endswith(b"\r"):
                waiting_cr, data = True, data[:-1]
            if find_bare_newline(data) >= 0 or data.endswith(b"\r"):
                data = _NEWLINE.sub(b"\r\n", data)
        else:
            self._check_newlines(data)
        if not self._long_lines:
            self._line = self._check_lines(data)
        self._waiting_cr = waiting_cr
        self.size += len(data)
        return self._stuffer.feed(data)

    def check(self, data: bytes) -> None:
        """Raise LocalProtocolError if ``data`` cannot be the whole content."""
        if not self._repair:
            self._check_newlines(data)
            if data.endswith(b"\r"):
                raise LocalProtocolError("the content ends in a bare CR")
        if not self._long_lines:
            self._check_last_line(self._check_lines(data))

    def finish(self) -> bytes:
        """The terminator. Raises LocalProtocolError for a last line that cannot be sent."""
        if self._stuffer.after_cr:
            raise LocalProtocolError("the content ends in a bare CR")
        self._check_last_line(self._line)
        rest = self._stuffer.feed(b"\r\n") if self._waiting_cr else b""
        return rest + self._stuffer.finish()

    def _check_lines(self, data: bytes) -> int:
        """Octets of the line that is not yet complete."""
        line = open_line(data, self._line, LINE_LIMIT)
        if line < 0:
            raise LocalProtocolError(
                f"the content after octet {self.size} has a line of more than {LINE_LIMIT} octets"
            )
        return line

    @staticmethod
    def _check_last_line(line: int) -> None:
        if line > LINE_LIMIT:
            raise LocalProtocolError(f"the content ends in a line of more than {LINE_LIMIT} octets")

    def _check_newlines(self, data: bytes) -> None:
        if self._stuffer.after_cr and data[:1] not in (b"\n", b""):
            bare = -1
        else:
            skipped = 1 if self._stuffer.after_cr else 0
            found = find_bare_newline(data[skipped:])
            if found < 0:
                return
            bare = found + skipped
        raise LocalProtocolError(f"bare CR or LF in the content at octet {self.size + bare}")
