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
    whole,
)
from mailproto._core.framer import Framer
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Bdat, Burl, ContentProblem

__all__ = [
    "ContentNotASCII",
    "IncomingChunks",
    "IncomingContent",
    "OutgoingChunks",
    "OutgoingContent",
]

LINE_LIMIT: Final = 998
"""Octets of a line of content without its CRLF (RFC 5321 section 4.5.3.1.6)."""

NEWLINE: Final = re.compile(rb"\r\n|\r|\n")
"""What is taken for the end of a line where newlines are repaired."""
# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_REPAIR: Final = BareNewlines.REPAIR


class ContentNotASCII(LocalProtocolError):
    """Octets beyond ASCII for a server without 8BITMIME, which never gets any (RFC 6152 section 3).

    Nothing is converted here: another server may take them as they are.
    """


class IncomingContent:
    """Content that a server receives: up to the first problem it is handed on, then dropped."""

    __slots__ = (
        "_limit",
        "_line",
        "_policy",
        "_reader",
        "_start",
        "_text_line",
        "ended",
        "offset",
        "problem",
        "size",
    )

    def __init__(
        self,
        policy: BareNewlines,
        limit: int,
        start: int = 0,
        reader: Unstuffer | _ChunkReader | None = None,
        *,
        text_line: int | None = None,
    ) -> None:
        self._policy = policy
        self._limit = limit
        self._text_line = text_line
        # Octets of the line that has not ended yet.
        self._line = 0
        self._reader = reader
        self.ended: bool = False
        """Whether the terminator was read, or all of the chunk."""
        self.size: int = start
        """Octets that were handed on, with those of an earlier session."""
        self._start = start
        self.problem: ContentProblem | None = None
        """Why the content cannot be accepted."""
        self.offset: int = 0
        """Where that was."""

    @property
    def bare_newline(self) -> int | None:
        """Offset of the first bare CR or LF."""
        bare = None if self._reader is None else self._reader.bare
        return None if bare is None else bare + self._start

    def read(self, source: Framer) -> bytes:
        """The next piece; ``b""`` when the content has ended or more input is needed.

        Pieces of less than a line wait for each other, so that octets that come one by one cost
        little more than their number.
        """
        reader = self._reader
        if reader is None:
            content = whole(source)
            if content is not None:
                self.ended = True
                return self._taken(content)
            self._reader = reader = Unstuffer(self._policy)
        while source.gather(reader.least):
            data, self.ended = reader.read(source)
            if self.problem is None and (data := self._taken(data)):
                return data
            if self.ended:
                break
        return b""

    def _taken(self, data: bytes) -> bytes:
        """What is handed on of ``data``, which is counted."""
        if (
            self.bare_newline is not None
            or self._text_line is not None
            or len(data) > self._limit - self.size
        ):
            data = self._judged(data)
        self.size += len(data)
        return data

    def _judged(self, data: bytes) -> bytes:
        """What may be handed on of ``data``, with which something is wrong."""
        room = self._limit - self.size
        if len(data) > room:
            self.problem, self.offset = ContentProblem.TOO_LARGE, self._limit
            return data[:room]
        bare = self.bare_newline
        if bare is not None and self._policy is BareNewlines.REJECT:
            self.problem, self.offset = ContentProblem.BARE_NEWLINE, bare
        elif self._text_line is not None:
            end = self._end_of_long_line(data, self._text_line)
            if end is not None:
                self.problem, self.offset = ContentProblem.LONG_LINE, self.size + end
                return data[:end]
        return data

    def _end_of_long_line(self, data: bytes, limit: int) -> int | None:
        """Where in ``data`` a line and its CRLF should have ended and have not."""
        start, window = -self._line, limit + 2
        self._line = open_line(data, self._line, limit)
        if self._line >= 0:
            return None
        while (newline := data.rfind(b"\n", max(0, start), start + window)) >= 0:
            start = newline + 1
        return start + window


class IncomingChunks(IncomingContent):
    """Content that comes by BDAT: limit and policy are those of all chunks together."""

    __slots__ = ("_chunk_reader", "chunk_size", "last")

    def __init__(
        self,
        policy: BareNewlines,
        limit: int,
        start: int = 0,
        *,
        binary: bool,
        text_line: int | None = None,
    ) -> None:
        if binary:
            policy, text_line = BareNewlines.PASS, None
        self.chunk_size: int = 0
        """Octets of the chunk that was begun."""
        self._chunk_reader = _ChunkReader(policy, binary)
        self.last: bool = False
        """Whether the chunk that was begun is the last one."""
        super().__init__(policy, limit, start, self._chunk_reader, text_line=text_line)

    def begin(self, chunk: Bdat) -> None:
        """The next ``chunk.size`` octets of the input belong to the content."""
        self.ended = False
        self.chunk_size = chunk.size
        self.last = chunk.last
        self._chunk_reader.begin(chunk)


class _ChunkReader:
    """``Unstuffer`` for octets that are counted: a dot is a dot, and only newlines are judged."""

    __slots__ = ("_binary", "_last", "_policy", "_remaining", "_seen", "_waiting_cr", "bare")

    def __init__(self, policy: BareNewlines, binary: bool) -> None:
        self._policy = policy
        self._binary = binary
        self._remaining = 0
        self._last = False
        self._seen = 0
        self._waiting_cr = False
        self.bare: int | None = None
        """Offset of the first bare CR or LF, if there was one and newlines count."""

    @property
    def least(self) -> int:
        """Octets that are worth a call of ``read``."""
        return min(self._remaining, Unstuffer.least)

    def begin(self, chunk: Bdat) -> None:
        self._remaining = chunk.size
        self._last = chunk.last

    def read(self, source: Framer) -> tuple[bytes, bool]:
        """Content out of ``source``, and whether the chunk is complete."""
        data = source.read(self._remaining)
        self._remaining -= len(data)
        ended = not self._remaining
        if self._binary:
            return data, ended
        if self._waiting_cr:
            data = b"\r" + data
        # Whether a CR at the end is bare is said by the next octet, of this chunk or the next.
        self._waiting_cr = data.endswith(b"\r") and not (ended and self._last)
        if self._waiting_cr:
            data = data[:-1]
        return self._judged(data), ended

    def _judged(self, data: bytes) -> bytes:
        if self.bare is None:
            if b"\n" not in data and b"\r" not in data:
                self._seen += len(data)
                return data
            bare = find_bare_newline(data)
            if bare < 0 and data.endswith(b"\r"):
                bare = len(data) - 1
            self._seen += len(data)
            if bare < 0:
                return data
            self.bare = self._seen - len(data) + bare
            if self._policy is BareNewlines.REJECT:
                return data[:bare]
        if self._policy is BareNewlines.REJECT:
            return b""
        return NEWLINE.sub(b"\r\n", data) if self._policy is BareNewlines.REPAIR else data


class OutgoingContent:
    """Content that a client sends; what is wrong with it is found before anything is queued."""

    __slots__ = ("_line", "_long_lines", "_repair", "_stuffer", "_waiting_cr", "size")

    def __init__(
        self, policy: BareNewlines, long_lines: bool, stuffer: Stuffer | _NoStuffer | None = None
    ) -> None:
        self._repair = policy is _REPAIR
        self._long_lines = long_lines
        self._stuffer = Stuffer() if stuffer is None else stuffer
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
                data = NEWLINE.sub(b"\r\n", data)
        elif self._stuffer.after_cr or find_bare_newline(data) >= 0:
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
                "; only long_lines=True would permit it"
            )
        return line

    @staticmethod
    def _check_last_line(line: int) -> None:
        if line > LINE_LIMIT:
            raise LocalProtocolError(
                f"the content ends in a line of more than {LINE_LIMIT} octets"
                "; only long_lines=True would permit it"
            )

    def _check_newlines(self, data: bytes) -> None:
        if not self._stuffer.after_cr:
            bare = find_bare_newline(data)
        elif data[:1] in (b"\n", b""):
            bare = find_bare_newline(data[1:])
            bare += bare >= 0
        else:
            raise _bare_newline(self.size - 1)
        if bare >= 0:
            raise _bare_newline(self.size + bare)


def _bare_newline(offset: int) -> LocalProtocolError:
    return LocalProtocolError(
        f"bare CR or LF in the content at octet {offset}; BareNewlines.REPAIR would make it a CRLF"
    )


class _NoStuffer:
    """``Stuffer`` for octets that are counted: they stay as they are."""

    __slots__ = ("after_cr",)

    def __init__(self) -> None:
        self.after_cr: bool = False

    def feed(self, data: bytes) -> bytes:
        if data:
            self.after_cr = data.endswith(b"\r")
        return data

    def finish(self) -> bytes:
        return b""


class OutgoingChunks:
    """Content that a client sends by BDAT: never repaired, because its size was said before."""

    __slots__ = ("_content", "_long_lines", "last", "remaining")

    def __init__(self, long_lines: bool, *, binary: bool) -> None:
        self._long_lines = long_lines
        # Nothing is looked for in binary content.
        self._content = (
            None if binary else OutgoingContent(BareNewlines.REJECT, long_lines, _NoStuffer())
        )
        self.remaining: int = 0
        """Octets of the chunk that are yet to be sent."""
        self.last: bool = False
        """Whether the chunk that was begun is the last one."""

    def begin(self, chunk: Bdat | Burl) -> None:
        """Begin a chunk. Raises LocalProtocolError and then has changed nothing."""
        if isinstance(chunk, Burl):
            self._begin_elsewhere(chunk)
            return
        if chunk.last and not chunk.size and self._content is not None:
            self._content.finish()
        self.remaining = chunk.size
        self.last = chunk.last

    def _begin_elsewhere(self, chunk: Burl) -> None:
        """A chunk that the server fetches: what is before it and behind it stand for themselves."""
        if self._content is not None:
            self._content.finish()
            self._content = OutgoingContent(BareNewlines.REJECT, self._long_lines, _NoStuffer())
        self.remaining = 0
        self.last = chunk.last

    def feed(self, data: bytes) -> bytes:
        """``data`` for the wire. Raises LocalProtocolError and then has changed nothing."""
        if len(data) > self.remaining:
            raise LocalProtocolError(
                f"{len(data)} octets for a chunk that has room for {self.remaining}"
            )
        content = self._content
        if content is not None:
            if self.last and len(data) == self.remaining:
                content.check(data)
            content.feed(data)
        self.remaining -= len(data)
        return data
