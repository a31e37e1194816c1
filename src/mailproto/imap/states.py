"""The states of RFC 3501 section 3 and the commands each allows; one table for both sides."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from mailproto.imap.commands import (
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    StartTLS,
    Status,
    Store,
    Subscribe,
    Unselect,
    Unsubscribe,
)

__all__ = ["STATES_OF", "State"]


class State(enum.Enum):
    """Where a session is (RFC 3501 section 3)."""

    GREETING = "greeting"
    """Connected; the server has yet to greet."""
    NOT_AUTHENTICATED = "not authenticated"
    """The client has yet to identify itself."""
    AUTHENTICATED = "authenticated"
    """Logged in, no mailbox selected."""
    SELECTED = "selected"
    """A mailbox is selected."""
    LOGOUT = "logout"
    """BYE was said: nothing more is interpreted."""


_NOT_AUTHENTICATED: Final = frozenset({State.NOT_AUTHENTICATED})
_SELECTED: Final = frozenset({State.SELECTED})
_AUTHENTICATED: Final = frozenset({State.AUTHENTICATED, State.SELECTED})
_ANY: Final = _NOT_AUTHENTICATED | _AUTHENTICATED

STATES_OF: Final[Mapping[type[Command], frozenset[State]]] = {
    **dict.fromkeys((Capability, Noop, Logout, Id), _ANY),
    **dict.fromkeys((StartTLS, Authenticate, Login), _NOT_AUTHENTICATED),
    **dict.fromkeys((Enable, Select, Examine, Create, Delete, Rename), _AUTHENTICATED),
    **dict.fromkeys((Subscribe, Unsubscribe, List, Lsub, Namespace), _AUTHENTICATED),
    **dict.fromkeys((Status, Append, Idle), _AUTHENTICATED),
    **dict.fromkeys((Check, Close, Unselect, Expunge), _SELECTED),
    **dict.fromkeys((Search, Fetch, Store, Copy, Move), _SELECTED),
}
"""In which states a command may be given."""
