"""ENVELOPE (RFC 3501 section 7.4.2): the parsed header of a message, its strings as octets.

Strings are what the header held: encoded words (RFC 2047) are not decoded here.
"""

from __future__ import annotations

from mailproto._core.frozen import frozen

__all__ = ["Address", "Envelope"]


@frozen
class Address:
    """One address: ``("Fred Foobar" NIL "foobar" "example.com")``.

    A group starts with an address whose ``host`` is ``None`` and whose ``mailbox`` is its name;
    it ends with one where both are ``None``.
    """

    name: bytes | None
    """Display name."""
    adl: bytes | None
    """Source route, obsolete."""
    mailbox: bytes | None
    """Local part, or the name of a group."""
    host: bytes | None
    """Domain."""


@frozen
class Envelope:
    """The envelope structure; an absent header is ``None``, an empty or NIL list ``()``."""

    date: bytes | None = None
    """The Date header as it stands, not parsed."""
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None
