"""What the machines tell beside commands and responses: faults that leave the framing whole."""

from __future__ import annotations

from typing import TypeAlias

from mailproto._core.frozen import frozen
from mailproto.imap.commands import AuthenticateResponse, Done, Tagged
from mailproto.imap.response_code import ResponseCode
from mailproto.imap.responses import BAD, ConditionState, Response
from mailproto.imap.streamed import LiteralChunk, LiteralEnd, LiteralStart

__all__ = ["ClientEvent", "InvalidCommand", "ServerEvent", "Unparsed"]


@frozen
class Unparsed:
    """A whole response that is malformed; it was skipped, the connection goes on."""

    octets: bytes
    """The response without its last CRLF, literals in their places."""
    problem: str


@frozen
class InvalidCommand:
    """A whole command that is malformed or unknown; the server is to answer it with BAD."""

    tag: str | None
    """``None`` when no tag could be read; then the BAD is untagged."""
    octets: bytes
    """The line, secrets and literals left out."""
    problem: str
    state: ConditionState = BAD
    """How to answer: BAD, or NO where the command was fine but is not to be had here."""
    code: ResponseCode | None = None
    """What to put into the answer (TOOBIG, PRIVACYREQUIRED)."""


ClientEvent: TypeAlias = Response | LiteralStart | Unparsed
"""What ``imap.Client.next_event`` yields."""

ServerEvent: TypeAlias = (
    Tagged | AuthenticateResponse | Done | LiteralChunk | LiteralEnd | InvalidCommand
)
"""What ``imap.Server.next_event`` yields."""
