"""What the machines tell beside commands and responses: faults that leave the framing whole."""

from __future__ import annotations

from typing import TypeAlias

from mailproto._core.frozen import frozen
from mailproto.imap.commands import AuthenticateResponse, Done, Tagged
from mailproto.imap.quirks import Quirk
from mailproto.imap.responses import Response
from mailproto.imap.streamed import LiteralChunk, LiteralEnd, LiteralStart

__all__ = ["ClientEvent", "InvalidCommand", "QuirkSeen", "ServerEvent", "Unparsed"]


@frozen
class Unparsed:
    """A whole response that is malformed; it was skipped, the connection goes on."""

    octets: bytes
    """The response without its last CRLF, literals in their places."""
    problem: str


@frozen
class QuirkSeen:
    """The next event was made in spite of a known fault in what the server sent."""

    quirk: Quirk
    octets: bytes
    """The start of the response."""


@frozen
class InvalidCommand:
    """A whole command that is malformed or unknown; the server is to answer it with BAD."""

    tag: str | None
    """``None`` when no tag could be read; then the BAD is untagged."""
    octets: bytes
    """The line, secrets and literals left out."""
    problem: str


ClientEvent: TypeAlias = Response | LiteralStart | Unparsed | QuirkSeen
"""What ``imap.Client.next_event`` yields."""

ServerEvent: TypeAlias = (
    Tagged | AuthenticateResponse | Done | LiteralChunk | LiteralEnd | InvalidCommand
)
"""What ``imap.Server.next_event`` yields."""
