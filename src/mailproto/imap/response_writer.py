"""The server's output: responses as octets, and the literals of FETCH responses that are streamed.

While a literal is not complete nothing else may be written; the writer says so before it changes.
"""

from __future__ import annotations

from collections import deque

from mailproto._core.machine import Trace
from mailproto._core.outbox import Outbox
from mailproto.errors import LocalProtocolError
from mailproto.imap.redact import lines
from mailproto.imap.responses import Response
from mailproto.imap.serialize.responses import serialize

__all__ = ["ResponseWriter"]


class ResponseWriter:
    """Writes to ``output``; ``trace`` gets each line, literals abbreviated."""

    __slots__ = ("_output", "_pieces", "_trace", "remaining")

    def __init__(self, output: Outbox, trace: Trace | None) -> None:
        self._output = output
        self._trace = trace
        # What is left of a response: text, and sizes of literals; the first is a size.
        self._pieces: deque[bytes | int] = deque()
        self.remaining: int = 0
        """Octets that are still to come of the literal under way; 0: there is none."""

    def write(self, response: Response, *, shown: bytes | None = None) -> None:
        """Write a response, up to its first streamed literal; the trace gets ``shown`` instead.

        Raises LocalProtocolError, and then nothing was written.
        """
        pieces = serialize(response)
        if len(pieces) == 1 and self._trace is None and isinstance(pieces[0], bytes):
            self._output.write(pieces[0])
            return
        self._pieces.extend(pieces)
        self._go_on(shown)

    def text(self, line: bytes) -> None:
        """Write a line of the machine's own."""
        self._pieces.append(line)
        self._go_on(None)

    def chunk(self, data: bytes) -> None:
        """Write octets of the literal under way. Raises LocalProtocolError if they do not fit."""
        if not self.remaining:
            raise LocalProtocolError("no literal was announced")
        if len(data) > self.remaining:
            raise LocalProtocolError(
                f"{len(data)} octets for a literal that lacks {self.remaining}"
            )
        self._output.write(data)
        self.remaining -= len(data)
        if not self.remaining:
            self._go_on(None)

    def _go_on(self, shown: bytes | None) -> None:
        """Write what lies before the next literal that is not empty."""
        while self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, bytes):
                self._output.write(piece)
                if self._trace is not None:
                    for line in lines(piece if shown is None else shown):
                        self._trace("S", line)
            elif piece:
                self.remaining = piece
                return
