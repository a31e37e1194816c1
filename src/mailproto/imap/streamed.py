"""Content that is not held in one piece: its size in a value, its octets as chunks.

::

    client.send(Append("INBOX", Streamed(1_000_000)))   # or the same from a server in FetchData
    client.send(LiteralChunk(part))                     # until all octets were sent

A server that receives such an APPEND yields the same: the command, then the chunks. A client that
receives a big literal yields ``LiteralStart``, the chunks, then the response with ``Streamed`` in
the place of the octets.
"""

from __future__ import annotations

from mailproto._core.frozen import frozen
from mailproto.imap.fetch_item import FetchAtt, Section

__all__ = ["LiteralChunk", "LiteralStart", "Streamed"]


@frozen
class Streamed:
    """In the place of octets: there are ``size`` of them, and they travel as ``LiteralChunk``."""

    size: int
    """Octets."""


@frozen
class LiteralStart:
    """A big literal of a FETCH response begins; its chunks follow, then the whole response."""

    number: int
    """Message sequence number."""
    uid: int | None
    """The UID, if the response told it before the literal."""
    section: Section | FetchAtt
    """What of the message it is."""
    size: int
    """Octets."""


@frozen
class LiteralChunk:
    """The next octets of streamed content; ``last`` is set on the one that completes it.

    When sending, ``last`` is known from the size and need not be set.
    """

    data: bytes
    last: bool = False
