"""Where everything lies in a raw message: offsets of every part, found in one pass.

The message is fed in chunks of any size and is not kept: what stays is the fields of the headers,
up to named limits, and numbers. The result is the same for every chunking, the time linear in the
octets. Parts nest on an explicit stack.

Mail is read as it is: lines may end in LF alone; a missing final boundary ends with what encloses
it; a part whose first line is no field has no header; before that line may stand the envelope line
of a mailbox file. A delimiter line begins with ``--`` and the boundary (RFC 2046 section 5.1.1: the
rest of the line does not matter); where several boundaries fit, the longest counts, and of equal
ones the innermost.
"""

from __future__ import annotations

import enum
import re
from typing import Final, Literal

from mailproto._core.frozen import frozen
from mailproto.message.headers import Header, parse_fields
from mailproto.message.mime import (
    MESSAGE_RFC822,
    TEXT_PLAIN,
    ContentType,
    Disposition,
    parse_content_type,
    parse_disposition,
    parse_languages,
    parse_token,
)

__all__ = ["Index", "IndexLimits", "Indexer", "Part", "index"]


@frozen
class IndexLimits:
    """Bounds of what an index keeps. Offsets stay right beyond them; structure and fields end."""

    header: int = 256 * 1024
    """Octets of one header whose fields are kept."""
    headers: int = 4 * 1024 * 1024
    """Octets of all headers whose fields are kept."""
    parts: int = 10_000
    """Parts in all; from the last one on no boundary is looked for."""
    depth: int = 40
    """Containers around a part; what lies deeper is not taken apart. Less than the nesting that
    IMAP clients accept in a BODYSTRUCTURE."""
    boundary: int = 998
    """Octets of a boundary (70 by RFC 2046); a longer one finds nothing."""


@frozen
class Part:
    """A message or a part of one. All offsets count from the first octet of the whole message."""

    header: Header
    content_type: ContentType
    body: int
    """Offset of the body's first octet, behind the blank line."""
    end: int
    """Offset behind the body's last octet; the line end before a delimiter is not the body's."""
    lines: int
    """Line ends in the body."""
    parts: tuple[Part, ...] = ()
    """The parts of a multipart, never none: an empty one stands in where it has none."""
    message: Part | None = None
    """The message inside a message/rfc822 (or message/global), never ``None`` for these."""

    @property
    def start(self) -> int:
        """Offset of the header's first octet."""
        return self.header.start

    @property
    def size(self) -> int:
        """Octets of the body as transferred."""
        return self.end - self.body

    @property
    def encoding(self) -> bytes:
        """The Content-Transfer-Encoding as spelt, ``b"7bit"`` where nothing says."""
        value = self.header.get(b"content-transfer-encoding")
        return (parse_token(value) if value else None) or b"7bit"

    @property
    def id(self) -> bytes | None:
        """The Content-ID."""
        return self.header.get(b"content-id")

    @property
    def description(self) -> bytes | None:
        """The Content-Description as written, encoded words not decoded."""
        return self.header.get(b"content-description")

    @property
    def md5(self) -> bytes | None:
        """The Content-MD5."""
        return self.header.get(b"content-md5")

    @property
    def disposition(self) -> Disposition | None:
        """The Content-Disposition."""
        value = self.header.get(b"content-disposition")
        return parse_disposition(value) if value else None

    @property
    def languages(self) -> tuple[bytes, ...]:
        """The tags of Content-Language."""
        value = self.header.get(b"content-language")
        return parse_languages(value) if value else ()

    @property
    def location(self) -> bytes | None:
        """The Content-Location."""
        return self.header.get(b"content-location")


@frozen
class Index:
    """The whole message as its outermost part."""

    root: Part
    size: int
    """Octets of the message."""
    lines: int
    """Line ends in the message."""
    limited: bool
    """Whether a limit was met, so that structure or fields are missing."""


# A first line that begins a header: the envelope line of a mailbox file, a field, a blank line.
_FIRST_LINE: Final = re.compile(rb"(>?From (?![ \t]*:))|[!-9;-~]+[ \t]*:|\r?\n")
_HEADER_END: Final = re.compile(rb"\n(\r?\n)")
_LONGEST_FIELD_NAME: Final = 998

# Chunks are gathered up to the first number; at most the second is searched for a delimiter at
# once, so that a part costs a bounded look ahead.
_GATHER: Final = 4096
_WINDOW: Final = 8192


class _State(enum.Enum):
    FIRST_LINE = enum.auto()
    HEADER = enum.auto()
    BODY = enum.auto()
    DELIMITER = enum.auto()
    DELIMITER_LINE = enum.auto()


class _Boundary:
    """The boundary of an open multipart, and what is known of its next delimiter line."""

    __slots__ = ("depth", "found", "needle", "next")

    def __init__(self, boundary: bytes, depth: int) -> None:
        self.needle = b"\n--" + boundary
        self.depth = depth
        self.next = 0  # offset of the LF before the next delimiter; if not found: none before it
        self.found = False

    def search(self, buffer: bytes, base: int, at: int, end: int) -> None:
        """See to it that ``next`` is right for LFs from index ``at`` up to index ``end``."""
        start = self.next - base
        if start < at or not self.found:
            found = buffer.find(self.needle, max(start, at), end - 1 + len(self.needle))
            self.found = found >= 0
            self.next = base + (found if self.found else max(start, end))


class _Open:
    """A part whose end has not come."""

    __slots__ = ("body", "content_type", "header", "lines", "message", "parts")

    def __init__(self, header: Header, content_type: ContentType, lines: int) -> None:
        self.header = header
        self.content_type = content_type
        self.lines = lines
        self.parts = list[Part]()
        self.message: Part | None = None

    def closed(self, end: int, lines: int) -> Part:
        if self.content_type.multipart:
            if not self.parts:
                self.parts.append(_empty(end))
        elif self.message is None and _is_message(self.content_type):
            self.message = _empty(end)
        return Part(
            self.header,
            self.content_type,
            self.header.end,
            end,
            lines - self.lines,
            tuple(self.parts),
            self.message,
        )


def _empty(offset: int) -> Part:
    return Part(Header(offset, offset, offset, ()), TEXT_PLAIN, offset, offset, 0)


def _is_message(content_type: ContentType) -> bool:
    return content_type.media in (b"message/rfc822", b"message/global")


class Indexer:
    """Makes an ``Index`` of octets that come in chunks.

    ::

        indexer = Indexer()
        for chunk in chunks:
            indexer.feed(chunk)
        found = indexer.close()
    """

    __slots__ = (
        "_at", "_base", "_boundaries", "_buffer", "_delimiter", "_final", "_fresh",
        "_header_start", "_headers_left", "_kept", "_kept_size", "_limited", "_limits", "_lines",
        "_open", "_parts_left", "_pending", "_pending_size", "_root", "_root_header", "_state",
    )  # fmt: skip

    def __init__(self, limits: IndexLimits | None = None) -> None:
        self._limits = limits or IndexLimits()
        self._pending = list[bytes]()
        self._pending_size = 0
        self._buffer = b""
        self._base = 0  # offset in the message of _buffer[0]
        self._at = 0  # how much of _buffer is done
        self._lines = 0  # line ends in what is done
        self._final = False
        self._state = _State.FIRST_LINE
        self._fresh = True  # _at is a line start that was not yet compared with the boundaries
        self._open = list[_Open]()
        self._boundaries = list[_Boundary]()  # innermost first
        self._delimiter: _Boundary | None = None  # whose delimiter line is being read
        self._header_start = 0
        self._kept = list[bytes]()  # octets of the header that is being read
        self._kept_size = 0
        self._headers_left = self._limits.headers
        self._parts_left = self._limits.parts
        self._limited = False
        self._root_header: Header | None = None
        self._root: Part | None = None

    @property
    def header(self) -> Header | None:
        """The outermost header as soon as it is complete: enough for an ENVELOPE."""
        if self._root_header is None:
            self._process()
        return self._root_header

    def feed(self, data: bytes) -> None:
        """Go on with the next octets of the message."""
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _GATHER:
            self._process()

    def close(self) -> Index:
        """The message has ended: everything that is open ends here."""
        if self._root is None:
            self._final = True
            self._process()
            if self._kept or not self._open:
                self._open_part(self._at)
            self._close_to(0, self._base + self._at)
            self._buffer = b""
        assert self._root is not None
        return Index(self._root, self._root.end, self._lines, self._limited)

    def _process(self) -> None:
        if self._pending:
            rest = self._buffer[self._at :]
            self._buffer = b"".join((rest, *self._pending) if rest else self._pending)
            self._base += self._at
            self._at = self._pending_size = 0
            self._pending.clear()
        while self._at < len(self._buffer) and self._step():
            pass

    def _step(self) -> bool:
        """Do a bounded piece of work; false when octets are missing for more."""
        match self._state:
            case _State.FIRST_LINE:
                return self._in_first_line()
            case _State.HEADER:
                return self._in_header()
            case _State.BODY:
                return self._in_body()
            case _State.DELIMITER:
                return self._in_delimiter()
            case _State.DELIMITER_LINE:
                return self._in_delimiter_line()

    def _in_first_line(self) -> bool:
        """Before a header: is there one at all?"""
        buffer, at = self._buffer, self._at
        limit = at + _LONGEST_FIELD_NAME
        if len(buffer) < limit and buffer.find(b"\n", at) < 0 and not self._final:
            return False
        if self._boundaries:
            here = self._delimiter_here()
            if here is None:
                return False
            if here:
                self._open_part(at)
                return True
            self._fresh = False
        if not self._kept:
            self._header_start = self._base + at
        found = _FIRST_LINE.match(buffer, at, limit)
        if found is None:
            self._open_part(at)
        elif found[0][-1:] == b"\n":
            self._open_part(at, found.end())
        elif found[1] and not self._kept and (end := buffer.find(b"\n", at, limit)) >= 0:
            # It stands before the message, whose own first line is the next.
            self._keep(end + 1)
            self._fresh = True
        else:
            self._state = _State.HEADER
        return True

    def _in_header(self) -> bool:
        stop, line = self._scan()
        found = _HEADER_END.search(self._buffer, self._at, line if self._delimiter else stop)
        if found is not None:
            self._keep(found.start(1))
            self._open_part(found.start(1), found.end())
            return True
        if self._delimiter is None and not (self._final and stop == len(self._buffer)):
            # The line end and the CR may yet become the blank line.
            if self._buffer.endswith((b"\n", b"\n\r"), self._at, stop):
                stop = self._buffer.rfind(b"\n", self._at, stop)
            return self._keep(stop)
        self._keep(stop)
        self._delimiter = None  # found again at the same place, as the end of an empty body
        self._open_part(stop)
        self._fresh = False
        return True

    def _in_body(self) -> bool:
        stop, line = self._scan()
        moved = self._advance(stop)
        if self._delimiter is None:
            return moved
        self._close_to(self._delimiter.depth + 1, self._base + stop)
        self._advance(line + len(self._delimiter.needle) - 1)
        self._state = _State.DELIMITER
        return True

    def _in_delimiter(self) -> bool:
        """Behind the boundary of a delimiter line: two hyphens make it the last one."""
        if len(self._buffer) - self._at < 2 and not self._final:
            return False
        self._state = _State.DELIMITER_LINE
        if self._buffer.startswith(b"--", self._at):
            assert self._delimiter is not None
            self._boundaries.remove(self._delimiter)
            self._state = _State.BODY
            self._fresh = False
        self._delimiter = None
        return True

    def _in_delimiter_line(self) -> bool:
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            self._advance(len(self._buffer))
            return False
        self._advance(end + 1)
        self._state = _State.FIRST_LINE
        self._fresh = True
        return True

    def _advance(self, to: int) -> bool:
        """Be done with what lies before index ``to``."""
        if to <= self._at:
            return False
        self._lines += self._buffer.count(b"\n", self._at, to)
        self._at = to
        return True

    def _keep(self, to: int) -> bool:
        """Be done with header octets before index ``to``, and keep them within the limits."""
        room = min(self._limits.header - self._kept_size, self._headers_left)
        size = to - self._at
        if size > room:
            self._limited = True
        self._kept.append(self._buffer[self._at : self._at + min(size, room)])
        self._kept_size += min(size, room)
        self._headers_left -= min(size, room)
        return self._advance(to)

    def _scan(self) -> tuple[int, int]:
        """How far the octets are ordinary, and where the delimiter line behind them begins.

        Sets ``_delimiter`` to the boundary of that line, ``None`` where none was found yet.
        """
        buffer, at, size = self._buffer, self._at, len(self._buffer)
        self._delimiter = None
        if not self._boundaries:
            return size, size
        if self._fresh:
            here = self._delimiter_here()
            if here is None:
                return at, at
            self._fresh = False
            if here:
                self._delimiter = here
                return at, at
        # A delimiter is certain once the longest boundary would lie behind its line end.
        longest = max(len(boundary.needle) for boundary in self._boundaries)
        end = min(size if self._final else size - longest + 1, at + _WINDOW)
        if end <= at:
            return at, at
        base, best = self._base, None
        # A single octet is found far quicker than several, and base64 has no hyphen.
        if buffer.find(b"-", at, end + 1) >= 0:
            for boundary in self._boundaries:
                boundary.search(buffer, base, at, end)
                if boundary.found and boundary.next < base + end:
                    if best is None or _goes_before(boundary, best):
                        best = boundary
        if best is None:
            # The CR may belong to the line end before a delimiter.
            return (end - 1 if buffer[end - 1] == 13 and end < size else end), end
        stop = best.next - base
        self._delimiter = best
        return (stop - 1 if stop > at and buffer[stop - 1] == 13 else stop), stop + 1

    def _delimiter_here(self) -> _Boundary | Literal[False] | None:
        """The boundary of the delimiter line that begins at ``_at``; ``None``: too few octets."""
        buffer, at = self._buffer, self._at
        if not self._fresh or not buffer.startswith(b"-", at):
            return False
        longest = max(len(boundary.needle) for boundary in self._boundaries)
        if len(buffer) - at < longest and not self._final:
            return None
        best: _Boundary | Literal[False] = False
        for boundary in self._boundaries:
            if buffer.startswith(boundary.needle[1:], at):
                if best is False or len(boundary.needle) > len(best.needle):
                    best = boundary
        return best

    def _open_part(self, blank: int, end: int | None = None) -> None:
        """The header in ``_kept`` ends with the blank line from ``blank`` to ``end``, if any."""
        if end is None:
            end = blank
            if not self._kept:
                self._header_start = self._base + blank
        raw = b"".join(self._kept)
        truncated = self._header_start + len(raw) < self._base + blank
        self._kept.clear()
        self._kept_size = 0
        self._advance(end)
        fields = parse_fields(raw, self._header_start)
        if truncated:
            fields = fields[:-1]
        header = Header(self._header_start, self._base + blank, self._base + end, fields)
        if self._root_header is None:
            self._root_header = header
        in_digest = self._open and self._open[-1].content_type.media == b"multipart/digest"
        default = MESSAGE_RFC822 if in_digest else TEXT_PLAIN
        value = header.get(b"content-type")
        content_type = default if value is None else parse_content_type(value)
        depth = len(self._open)
        self._open.append(_Open(header, content_type, self._lines))
        self._state = _State.BODY
        self._fresh = True
        self._parts_left -= 1
        if self._parts_left <= 0:
            self._limited = self._limited or bool(self._boundaries)
            self._boundaries.clear()
        if content_type.multipart:
            boundary = content_type.raw_parameter(b"boundary")
            if boundary and len(boundary) <= self._limits.boundary and self._may_open(depth):
                self._boundaries.insert(0, _Boundary(boundary.rstrip(b" "), depth))
        elif _is_message(content_type) and self._may_open(depth):
            self._state = _State.FIRST_LINE

    def _may_open(self, depth: int) -> bool:
        allowed = self._parts_left > 0 and depth < self._limits.depth
        self._limited = self._limited or not allowed
        return allowed

    def _close_to(self, depth: int, end: int) -> None:
        """End the parts from the innermost to the one at ``depth`` at the offset ``end``."""
        while self._boundaries and self._boundaries[0].depth >= depth:
            del self._boundaries[0]
        while len(self._open) > depth:
            part = self._open.pop().closed(end, self._lines)
            if not self._open:
                self._root = part
            elif self._open[-1].content_type.multipart:
                self._open[-1].parts.append(part)
            else:
                self._open[-1].message = part


def _goes_before(one: _Boundary, other: _Boundary) -> bool:
    """Whether ``one`` comes first, or at the same place fits better; ``other`` is inside of it."""
    if one.next != other.next:
        return one.next < other.next
    return len(one.needle) > len(other.needle)


def index(data: bytes, limits: IndexLimits | None = None) -> Index:
    """The index of a whole message."""
    indexer = Indexer(limits)
    indexer.feed(data)
    return indexer.close()
