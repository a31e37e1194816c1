"""STATUS data items (RFC 3501 section 6.3.10); later extensions add members."""

from __future__ import annotations

import enum

__all__ = ["StatusItem"]


class StatusItem(enum.Enum):
    """What STATUS can ask about a mailbox; every answer is a number."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
