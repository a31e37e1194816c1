"""Every limit of every machine: one field each, with its default and its unit.

A limit that a peer exceeds is final: RemoteProtocolError, or the reply the RFC names where the
framing is still intact. Construct the class with other values to change them.
"""

from __future__ import annotations

from mailproto._core.frozen import frozen

__all__ = [
    "IMAPClientLimits",
    "IMAPServerLimits",
    "POP3ClientLimits",
    "POP3ServerLimits",
    "ProxyLimits",
    "SMTPClientLimits",
    "SMTPServerLimits",
]

KIB = 1024
MIB = 1024 * KIB


@frozen
class SMTPServerLimits:
    """Limits of ``smtp.Server`` (RFC 5321 section 4.5.3.1 names the minimum sizes)."""

    command_line: int = 2048
    """Octets of a command line with its CRLF (at least 512, more with extensions)."""
    authentication_line: int = 12288
    """Octets of a line of an AUTH exchange with its CRLF (RFC 4954 section 4)."""
    content: int = 64 * MIB
    """Octets of the content of one message; advertised by SIZE."""
    text_line: int | None = None
    """Octets of a line of content without its CRLF (at least 998); real mail has longer ones."""
    recipients: int = 1000
    """Accepted recipients of one transaction (at least 100); RCPTMAX of LIMITS."""
    recipient_domains: int | None = None
    """Different domains of accepted recipients in one session; RCPTDOMAINMAX of LIMITS (RFC 9422
    section 4.3)."""
    transactions: int | None = None
    """MAIL commands in one session, refused ones too; MAILMAX of LIMITS."""
    errors: int = 20
    """Refused or malformed commands in one session before 421."""
    failed_authentications: int = 3
    """Failed AUTH commands in one session before 421."""
    idle_commands: int = 1000
    """Commands that bring no message nearer (NOOP, RSET, VRFY, EHLO and so on) since the session
    began or the last message was accepted, before 421."""


@frozen
class SMTPClientLimits:
    """Limits of ``smtp.Client``."""

    reply_line: int = 64 * KIB
    """Octets of one line of a reply with its CRLF (at least 512)."""
    reply: int = 512 * KIB
    """Octets of a whole reply."""
    reply_lines: int = 1000
    """Lines of a whole reply."""
    pending_commands: int = 1000
    """Commands sent and not yet answered."""


@frozen
class POP3ServerLimits:
    """Limits of ``pop3.Server`` (RFC 2449 section 4: a command line has at most 255 octets)."""

    command_line: int = 512
    """Octets of a command line with its CRLF."""
    authentication_line: int = 12288
    """Octets of a line of an AUTH exchange with its CRLF."""
    errors: int = 20
    """Malformed or misplaced commands in one session before it ends."""
    failed_authentications: int = 3
    """Failed logins in one session before it ends."""


@frozen
class POP3ClientLimits:
    """Limits of ``pop3.Client``."""

    response_line: int = 64 * KIB
    """Octets of a status line or a line of a listing with its CRLF (512 by RFC 2449)."""
    listing_lines: int = 10_000_000
    """Lines of one LIST or UIDL response."""
    capabilities: int = 64 * KIB
    """Octets of a whole CAPA response, and of one to LANG without an argument."""
    pending_commands: int = 1000
    """Commands sent and not yet answered."""


@frozen
class IMAPServerLimits:
    """Limits of ``imap.Server`` (RFC 7162 section 4: command lines of 8,192 octets are taken)."""

    command_line_unauthenticated: int = 8 * KIB
    """Octets of a command without its literals before login."""
    command_line: int = 64 * KIB
    """Octets of a command without its literals after login."""
    literal_unauthenticated: int = 8 * KIB
    """Octets of all literals of one command before login."""
    literal: int = 1 * MIB
    """Octets of all literals of one command other than the message of APPEND."""
    append: int = 64 * MIB
    """Octets of the message of APPEND; advertised by APPENDLIMIT (RFC 7889)."""
    authentication_line: int = 12288
    """Octets of a line of an AUTHENTICATE exchange with its CRLF."""
    depth: int = 50
    """Nesting of parentheses and search keys."""
    errors: int = 20
    """Malformed commands in a row before BYE."""
    failed_authentications: int = 3
    """Failed logins in one session before BYE."""


@frozen
class IMAPClientLimits:
    """Limits of ``imap.Client``."""

    line: int = 64 * KIB
    """Octets of one whole response before login, literals included."""
    response: int = 64 * MIB
    """Octets of one whole response after login, streamed literals apart."""
    literal_threshold: int = 1 * MIB
    """Literals of more octets come as chunk events."""
    depth: int = 50
    """Nesting of parentheses."""
    pending_commands: int = 1000
    """Commands sent and not yet completed."""


@frozen
class ProxyLimits:
    """Limits of ``proxy.Reader``; version 1 is one line of at most 107 octets."""

    block: int = 16 * KIB
    """Octets of a header of version 2 behind its first sixteen (65,535 can be expressed)."""
