"""BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2): the MIME structure of a message.

Extension data has defaults: BODY is the same structure without it. Media types and the like are
octets as the server sent them; compare them without regard to case.
"""

from __future__ import annotations

from typing import TypeAlias

from mailproto._core.frozen import frozen
from mailproto.imap.envelope import Envelope
from mailproto.imap.value import Value

__all__ = ["BodyStructure", "Disposition", "MultiPart", "Parameters", "SinglePart"]

Parameters: TypeAlias = "tuple[tuple[bytes, bytes], ...]"
"""Attribute and value pairs in order; NIL is ``()``."""


@frozen
class Disposition:
    """Content-Disposition: ``("attachment" ("filename" "cat.png"))``."""

    kind: bytes
    parameters: Parameters = ()


@frozen
class SinglePart:
    """A part that is not multipart (``body-type-1part``)."""

    media_type: bytes
    subtype: bytes
    parameters: Parameters = ()
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7BIT"
    octets: int = 0
    """Size of the content in its transfer encoding."""
    lines: int | None = None
    """Lines of the content; for text and message/rfc822 only."""
    envelope: Envelope | None = None
    """For message/rfc822 only."""
    body: BodyStructure | None = None
    """For message/rfc822 only."""
    md5: bytes | None = None
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    extensions: tuple[Value, ...] = ()
    """What follows the location; for future use by RFC 3501."""


@frozen
class MultiPart:
    """A multipart part (``body-type-mpart``); ``parts`` has at least one."""

    parts: tuple[BodyStructure, ...]
    subtype: bytes
    parameters: Parameters = ()
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    extensions: tuple[Value, ...] = ()


BodyStructure: TypeAlias = SinglePart | MultiPart
