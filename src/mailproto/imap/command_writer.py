"""Commands on their way out: what may go at once, and what must wait for the server's ``+``.

A synchronizing literal (RFC 3501 section 4.3) stops its command and all behind it. When the server
refuses the command instead, the rest of it is never sent, and the next one goes.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mailproto._core.machine import Trace
from mailproto._core.outbox import Outbox
from mailproto.errors import LocalProtocolError
from mailproto.imap import redact
from mailproto.imap.capability import Capabilities
from mailproto.imap.serialize.commands import LiteralArgument, Part
from mailproto.imap.streamed import Streamed
from mailproto.imap.wire.strings import check_literal

__all__ = ["CommandWriter"]

_LITERAL_MINUS: Final = 4096
"""Octets of the largest literal that LITERAL- lets go without waiting (RFC 7888 section 5)."""


class CommandWriter:
    """Writes commands to an ``Outbox``, one whole command after the other."""

    __slots__ = ("_at_once", "_left", "_output", "_queue", "_trace", "held", "streaming")

    def __init__(self, output: Outbox, trace: Trace | None) -> None:
        self._output = output
        self._trace = trace
        self._at_once = 0
        self._queue: deque[tuple[str, list[Part]]] = deque()
        self._left = 0
        self.held: str | None = None
        """The tag of the command that waits for a continuation."""
        self.streaming: str | None = None
        """The tag of the command whose content comes in chunks."""

    @property
    def can_stream(self) -> bool:
        """Whether a chunk of content may be sent now."""
        return self.streaming is not None and self.held is None

    def allow(self, capabilities: Capabilities | None) -> None:
        """Learn which literals need not wait (RFC 7888)."""
        known = capabilities or Capabilities()
        if "LITERAL+" in known:
            self._at_once = 1 << 63
        else:
            self._at_once = _LITERAL_MINUS if "LITERAL-" in known else -1

    def queued(self, tag: str) -> bool:
        """Whether nothing of that command was written yet."""
        return any(waiting == tag for waiting, _ in self._queue)

    def write(self, tag: str, parts: list[Part]) -> None:
        """Write a command, or queue it behind one that waits."""
        if self.held is not None:
            self._queue.append((tag, parts))
            return
        line = b"%b " % tag.encode("ascii")
        traced = line
        for part in parts:
            if isinstance(part, bytes):
                line += part
                traced += part
                continue
            line = self._literal(tag, line, part)
            traced += b"<%d octets>" % part.size
        if self._trace is not None:
            self._trace("C", redact.command_text(traced))
        if self.streaming is None:
            self._output.write(line + b"\r\n")

    def _literal(self, tag: str, line: bytes, literal: LiteralArgument) -> bytes:
        """Write a literal; what of the line is still to be written."""
        size = literal.size
        if size <= self._at_once:
            self._output.write(b"%b{%d+}\r\n" % (line, size))
        else:
            self._output.write(b"%b{%d}\r\n" % (line, size))
            self._output.hold()
            self.held = tag
        if not isinstance(literal.data, Streamed):
            self._output.write(literal.data)
        elif size:
            self.streaming = tag
            self._left = size
        return b""

    def chunk(self, data: bytes) -> None:
        """Write the next octets of streamed content. Raises LocalProtocolError."""
        if self.streaming is None:
            raise LocalProtocolError("no command waits for content")
        if self.held is not None:
            raise LocalProtocolError("the server has not asked for the content yet")
        if len(data) > self._left:
            raise LocalProtocolError(f"{len(data)} octets of content where {self._left} are due")
        self._output.write(check_literal(data))
        self._left -= len(data)
        if not self._left:
            self._output.write(b"\r\n")
            self.streaming = None

    def go_on(self) -> None:
        """The server has asked for the literal that waits."""
        self._output.release()
        if not self._output.holding:
            self.held = None
            self._next()

    def completed(self, tag: str) -> None:
        """The server has completed a command, perhaps without asking for its literal."""
        if tag == self.held:
            self._output.abandon()
            self.held = None
            if tag == self.streaming:
                self.streaming = None
            self._next()

    def _next(self) -> None:
        while self._queue and self.held is None and self.streaming is None:
            self.write(*self._queue.popleft())
