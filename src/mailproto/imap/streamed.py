"""Content that is not held in one piece: its size in a value, its octets as chunks.

::

    client.send(Append("INBOX", Streamed(1_000_000)))   # or the same from a server in FetchData
    client.send(LiteralChunk(part))                     # until all octets were sent

A server that receives an APPEND yields the same: the command, the chunks, then ``LiteralEnd``. A
client that receives a big literal yields ``LiteralStart``, the chunks, then the response with
``Streamed`` in the place of the octets.
"""

from __future__ import annotations

from mailproto._core.frozen import frozen
from mailproto.imap.fetch_item import FetchAtt, Section

__all__ = ["LiteralChunk", "LiteralEnd", "LiteralStart", "Streamed"]


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
    """The next octets of streamed content, in pieces of any size."""

    data: bytes


@frozen
class LiteralEnd:
    """A command whose content was streamed is complete and well-formed: it may be carried out.

    A server yields it after the last ``LiteralChunk``. If what came behind the content was
    malformed, it yields ``InvalidCommand`` instead.
    """
