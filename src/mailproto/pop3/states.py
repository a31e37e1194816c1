"""The states of RFC 1939 and the commands each allows; the same table for client and server."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from mailproto.pop3.commands import (
    Apop,
    Auth,
    Capa,
    Command,
    Dele,
    Lang,
    Last,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rpop,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)

__all__ = ["STATES_OF", "State"]


class State(enum.Enum):
    """Where a session is (RFC 1939 section 3)."""

    GREETING = "GREETING"
    """Connected; the server has yet to greet."""
    AUTHORIZATION = "AUTHORIZATION"
    """The client has yet to identify itself."""
    TRANSACTION = "TRANSACTION"
    """The maildrop is locked and open."""
    UPDATE = "UPDATE"
    """QUIT was given in TRANSACTION: what is marked as deleted is being removed."""
    CLOSED = "CLOSED"
    """QUIT was answered, or the greeting refused service; nothing may follow."""


# Tuples: finding an Enum member in a set takes a call of its hash function, which is not in C.
_AUTHORIZATION: Final = (State.AUTHORIZATION,)
_TRANSACTION: Final = (State.TRANSACTION,)
_BOTH: Final = _TRANSACTION + _AUTHORIZATION

STATES_OF: Final[Mapping[type[Command], tuple[State, ...]]] = {
    User: _AUTHORIZATION,
    Pass: _AUTHORIZATION,
    Rpop: _AUTHORIZATION,
    Apop: _AUTHORIZATION,
    Auth: _AUTHORIZATION,
    Stls: _AUTHORIZATION,
    Utf8: _AUTHORIZATION,
    Capa: _BOTH,
    Lang: _BOTH,
    Quit: _BOTH,
    Stat: _TRANSACTION,
    List: _TRANSACTION,
    Uidl: _TRANSACTION,
    Retr: _TRANSACTION,
    Top: _TRANSACTION,
    Dele: _TRANSACTION,
    Noop: _TRANSACTION,
    Rset: _TRANSACTION,
    Last: _TRANSACTION,
}
"""In which states a command may be given."""
