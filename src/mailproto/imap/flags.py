r"""Flags of messages and attributes of mailbox names (RFC 3501 sections 2.3.2 and 7.2.2).

A flag is a plain ``str``: ``"\\Seen"`` or a keyword. What RFCs define is kept in their spelling
whatever the case on the wire; a keyword keeps the spelling it was given.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ANSWERED",
    "ANY_KEYWORD",
    "DELETED",
    "DRAFT",
    "FLAGGED",
    "HAS_CHILDREN",
    "HAS_NO_CHILDREN",
    "MARKED",
    "NO_INFERIORS",
    "NO_SELECT",
    "RECENT",
    "SEEN",
    "SYSTEM_FLAGS",
    "UNMARKED",
    "canonical_flag",
]

ANSWERED: Final = "\\Answered"
DELETED: Final = "\\Deleted"
DRAFT: Final = "\\Draft"
FLAGGED: Final = "\\Flagged"
RECENT: Final = "\\Recent"
SEEN: Final = "\\Seen"
ANY_KEYWORD: Final = "\\*"
r"""In PERMANENTFLAGS: new keywords may be made."""

SYSTEM_FLAGS: Final = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)
r"""The flags that clients may change; ``\Recent`` is the server's."""

NO_INFERIORS: Final = "\\Noinferiors"
NO_SELECT: Final = "\\Noselect"
MARKED: Final = "\\Marked"
UNMARKED: Final = "\\Unmarked"
HAS_CHILDREN: Final = "\\HasChildren"
HAS_NO_CHILDREN: Final = "\\HasNoChildren"

_OTHERS: Final = (
    "\\NonExistent",  # RFC 5258
    "\\Subscribed",
    "\\Remote",
    "\\All",  # RFC 6154
    "\\Archive",
    "\\Drafts",
    "\\Junk",
    "\\Sent",
    "\\Trash",
    "\\Important",  # RFC 8457
)
_SPELLINGS: Final = {
    name.lower(): name
    for name in (
        *SYSTEM_FLAGS,
        RECENT,
        NO_INFERIORS,
        NO_SELECT,
        MARKED,
        UNMARKED,
        HAS_CHILDREN,
        HAS_NO_CHILDREN,
        *_OTHERS,
    )
}


def canonical_flag(name: str) -> str:
    r"""``name`` in the RFC's spelling if an RFC defines it (``\SEEN`` is ``\Seen``)."""
    if name[:1] != "\\":
        return name
    return _SPELLINGS.get(name.lower(), name)
