"""Which command may follow which before that is completed (RFC 3501 and RFC 9051 section 5.5).

Two commands are in conflict when the answer to one would depend on whether the other was carried
out before it, or when message numbers could change their meaning in between.
"""

from __future__ import annotations

from typing import Final

from mailproto.imap.commands import (
    Authenticate,
    Check,
    Close,
    Command,
    Copy,
    Examine,
    Expunge,
    Fetch,
    Idle,
    Login,
    Logout,
    Move,
    Search,
    Select,
    StartTLS,
    Store,
    Unselect,
)
from mailproto.imap.fetch_item import BodySection, FetchAtt, FetchMacro

__all__ = ["conflict"]

# What changes the meaning of everything after it.
_ALONE: Final = (Authenticate, Idle, Login, Logout, StartTLS)
# What changes which mailbox the others are about.
_SELECTING: Final = (Close, Examine, Select, Unselect)
_SELECTED: Final = (Check, Copy, Expunge, Fetch, Move, Search, Store)


def conflict(pending: Command, command: Command) -> str | None:
    """Why ``command`` may not be sent while ``pending`` is in progress; ``None`` if it may."""
    if isinstance(pending, _ALONE):
        return "nothing may follow it"
    if isinstance(command, (Authenticate, Login, StartTLS)):
        return "it must come alone"
    if isinstance(pending, _SELECTING) and isinstance(command, _SELECTED + _SELECTING):
        return "it changes the selected mailbox"
    if isinstance(pending, _SELECTED) and isinstance(command, _SELECTING):
        return "it is about the mailbox that is selected now"
    if _uses_numbers(command) and _may_expunge(pending):
        return "message numbers may change before it is completed"
    if isinstance(pending, Store) and _reads_flags(command):
        return "it changes flags"
    if isinstance(command, Store) and _reads_flags(pending):
        return "it reads flags"
    return None


def _uses_numbers(command: Command) -> bool:
    return isinstance(command, (Copy, Fetch, Move, Search, Store)) and not command.uid


def _may_expunge(command: Command) -> bool:
    """All but these may be answered with EXPUNGE (RFC 3501 section 7.4.1)."""
    return not (isinstance(command, (Fetch, Search, Store)) and not command.uid)


def _reads_flags(command: Command) -> bool:
    if isinstance(command, Search):
        return True
    if not isinstance(command, Fetch):
        return False
    if isinstance(command.items, FetchMacro):
        return True
    # Fetching a text without PEEK sets \Seen, which the answer then tells.
    return any(
        not item.peek
        if isinstance(item, BodySection)
        else item in (FetchAtt.FLAGS, FetchAtt.RFC822, FetchAtt.RFC822_TEXT)
        for item in command.items
    )
