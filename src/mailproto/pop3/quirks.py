"""Names for what real servers do beside the RFCs; ``Client.quirks`` holds those that were met.

Each is met in the default mode, but for ``MISSING_CRLF``: the session goes on as its text says.
"""

from __future__ import annotations

import enum

__all__ = ["Quirk"]


class Quirk(enum.Enum):
    """One departure from RFC 1939 or RFC 2449 that a client puts up with."""

    STATUS_SPELLING = "STATUS_SPELLING"
    """``+ok``, or text glued to ``+OK``: taken as the status indicator it begins with."""
    LONG_LINE = "LONG_LINE"
    """A status or listing line of more than 512 octets: taken, up to the limit."""
    LONG_CONTENT_LINE = "LONG_CONTENT_LINE"
    """A line of more than 998 octets in a message (RFC 5322 section 2.1.1): handed on as it is."""
    SPACING = "SPACING"
    """Tabs or more than one space between the fields of a line: taken as one space."""
    UNIQUE_ID = "UNIQUE_ID"
    """A unique-id that is longer than 70 octets, not of printable ASCII without spaces, or missing:
    kept, one character (Latin-1) for each octet. A download knows a message without one by its
    content."""
    BARE_NEWLINE = "BARE_NEWLINE"
    """A CR or LF alone in a message: handed on as it is."""
    MISSING_CRLF = "MISSING_CRLF"
    """A message whose last line runs into the dot that ends it: taken for complete, with the CRLF,
    where ``Retr.octets`` told the end. Only a client that gives them meets it."""
    CHALLENGE_SPACE = "CHALLENGE_SPACE"
    """A challenge ``+`` without the space: taken as an empty one."""
    CAPABILITY_SYNTAX = "CAPABILITY_SYNTAX"
    """A capability with malformed parameters: kept in ``Capabilities.other``."""
    NO_CAPA = "NO_CAPA"
    """CAPA was refused: the capabilities of RFC 1939 are assumed."""
    NO_UIDL = "NO_UIDL"
    """UIDL was refused: messages have no lasting names. A download knows them by their content."""
