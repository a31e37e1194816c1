"""The states of a session and what is legal in each: one table for both machines.

A server enforces it on what arrives, a client on what it is asked to send.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from mailproto.smtp.commands import (
    Atrn,
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
    Body,
    Burl,
    Command,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    OtherCommand,
    Quit,
    Rcpt,
    Rset,
    ServerEvent,
    StartTLS,
    Vrfy,
    XClient,
    XForward,
)

__all__ = [
    "LEGAL",
    "MAY_BE_FOLLOWED",
    "NAMES",
    "ON_SUCCESS",
    "PROJECTED",
    "SUCCESS",
    "State",
    "after",
]


class State(enum.Enum):
    """Where a session is; the value completes the sentence "not allowed …"."""

    GREETING = "before the greeting"
    REFUSED = "after the greeting refused service"
    START = "before EHLO"
    READY = "outside a transaction"
    ENVELOPE = "before a recipient was accepted"
    RECIPIENTS = "inside a transaction"
    CONTENT = "inside the content"
    CHUNK = "inside a chunk"
    BETWEEN_CHUNKS = "between the chunks of a message"
    CHUNK_REFUSED = "after a refused chunk, before RSET"
    AUTHENTICATING = "inside an AUTH exchange"
    REVERSED = "after the connection was turned round"
    CLOSED = "at the end of the session"


# Tuples: finding a member in one is quicker than hashing it.
_ANY: Final = (
    State.START,
    State.READY,
    State.ENVELOPE,
    State.RECIPIENTS,
    State.BETWEEN_CHUNKS,
    State.CHUNK_REFUSED,
)

LEGAL: Final[Mapping[type[Command], tuple[State, ...]]] = {
    Ehlo: _ANY,
    Helo: _ANY,
    Lhlo: _ANY,
    StartTLS: (State.READY,),
    Auth: (State.READY,),
    AuthResponse: (State.AUTHENTICATING,),
    AuthCancel: (State.AUTHENTICATING,),
    Mail: (State.READY,),
    Rcpt: (State.ENVELOPE, State.RECIPIENTS),
    Data: (State.RECIPIENTS,),
    Bdat: (State.RECIPIENTS, State.BETWEEN_CHUNKS),
    Body: (State.CONTENT, State.CHUNK),
    EndOfMessage: (State.CONTENT,),
    Rset: _ANY,
    Noop: _ANY,
    Vrfy: _ANY,
    Expn: _ANY,
    Help: _ANY,
    Quit: (*_ANY, State.REFUSED),
    Etrn: (State.READY,),
    Atrn: (State.READY,),
    Burl: (State.RECIPIENTS, State.BETWEEN_CHUNKS),
    # Several may follow one another, and each leads back to the start.
    XClient: (State.START, State.READY),
    XForward: (State.READY,),
    OtherCommand: _ANY,
}
"""The states in which a command may be given (RFC 5321 section 4.1.4)."""

SUCCESS: Final[Mapping[type, frozenset[int]]] = {
    Ehlo: frozenset({250}),
    Helo: frozenset({250}),
    Lhlo: frozenset({250}),
    StartTLS: frozenset({220}),
    Auth: frozenset({235}),
    AuthResponse: frozenset({235}),
    AuthCancel: frozenset(),
    Mail: frozenset({250}),
    Rcpt: frozenset({250, 251}),
    Data: frozenset({354}),
    EndOfChunk: frozenset({250}),
    EndOfMessage: frozenset({250}),
    Rset: frozenset({250}),
    Noop: frozenset({250}),
    Vrfy: frozenset({250, 251, 252}),
    Expn: frozenset({250, 252}),
    Help: frozenset({211, 214}),
    Quit: frozenset({221}),
    Etrn: frozenset({250, 251, 252, 253}),
    Atrn: frozenset({250}),
    Burl: frozenset(),
    XClient: frozenset({220}),
    XForward: frozenset({250}),
    OtherCommand: frozenset(range(200, 300)),
}
"""The positive replies that a server may give (RFC 5321 section 4.3.2, RFC 4954, RFC 3207)."""

MAY_BE_FOLLOWED: Final = frozenset({Mail, Rcpt, Rset, Bdat, Burl, EndOfMessage})
"""What need not be the last command of a pipelined group (RFC 2920, RFC 3030, RFC 4468)."""

PROJECTED: Final[Mapping[type, State]] = {
    Mail: State.ENVELOPE,
    Rcpt: State.RECIPIENTS,
    Rset: State.READY,
    EndOfMessage: State.READY,
}
"""The state that a command of a group leads to, if it is accepted."""

NAMES: Final[Mapping[type, str]] = {
    **{kind: kind.__name__.upper() for kind in LEGAL},
    Body: "content",
    EndOfChunk: "the end of a chunk",
    EndOfMessage: "the end of the content",
    AuthResponse: "a response of AUTH",
    AuthCancel: "the cancelling of AUTH",
    OtherCommand: "the command",
}
"""What to call a command in messages."""

ON_SUCCESS: Final[Mapping[type, State]] = {
    Ehlo: State.READY,
    Helo: State.READY,
    Lhlo: State.READY,
    Auth: State.READY,
    AuthResponse: State.READY,
    Mail: State.ENVELOPE,
    Rcpt: State.RECIPIENTS,
    Data: State.CONTENT,
    EndOfChunk: State.BETWEEN_CHUNKS,
    EndOfMessage: State.READY,
    Quit: State.CLOSED,
    Atrn: State.REVERSED,
    XClient: State.START,
}
"""The state that a positive completion (for DATA: 354) leads to, where it is always the same."""

_ON_REFUSAL: Final[Mapping[type, State]] = {
    AuthResponse: State.READY,
    AuthCancel: State.READY,
    EndOfChunk: State.CHUNK_REFUSED,
    Burl: State.CHUNK_REFUSED,
    EndOfMessage: State.READY,
}


def after(state: State, command: type[ServerEvent], code: int) -> State:
    """The state after ``command`` was answered with ``code``."""
    if code < 300 and command is not Rset:
        return ON_SUCCESS.get(command, state)
    if code < 300:
        return state if state is State.START else State.READY
    if command is Data and code < 400:
        return State.CONTENT
    if code < 400:
        # 355 goes on with a transaction that was interrupted (RFC 1845 section 3).
        return State.RECIPIENTS if command is Mail else State.AUTHENTICATING
    return State.CLOSED if code == 421 else _ON_REFUSAL.get(command, state)
