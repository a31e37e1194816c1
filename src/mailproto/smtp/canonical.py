"""What a server answers where nothing is to be decided, and the status codes that it adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailproto.smtp.commands import (
    Atrn,
    Auth,
    AuthCancel,
    AuthResponse,
    Data,
    EndOfChunk,
    EndOfMessage,
    Etrn,
    Expn,
    Help,
    Mail,
    Noop,
    OtherCommand,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    Vrfy,
    XForward,
)
from mailproto.smtp.policy import NOTES
from mailproto.smtp.replies import EnhancedCode, Reply
from mailproto.smtp.serialize import serialize_reply
from mailproto.smtp.states import ON_SUCCESS

__all__ = ["CANONICAL", "USUAL", "status_of"]

_OK: Final[Mapping[type, Reply]] = {
    Mail: Reply(250, "OK", EnhancedCode(2, 1, 0)),
    Rcpt: Reply(250, "OK", EnhancedCode(2, 1, 5)),
    Data: Reply(354, "End data with <CR><LF>.<CR><LF>"),
    EndOfChunk: Reply(250, "OK", EnhancedCode(2, 0, 0)),
    EndOfMessage: Reply(250, "OK", EnhancedCode(2, 0, 0)),
    Rset: Reply(250, "OK", EnhancedCode(2, 0, 0)),
    Noop: Reply(250, "OK", EnhancedCode(2, 0, 0)),
    Vrfy: Reply(252, "Send some mail and see", EnhancedCode(2, 5, 0)),
    Expn: Reply(502, "EXPN is not implemented", EnhancedCode(5, 5, 1)),
    XForward: Reply(250, "OK", EnhancedCode(2, 0, 0)),
    Help: Reply(214, "See RFC 5321", EnhancedCode(2, 0, 0)),
    Quit: Reply(221, "Goodbye", EnhancedCode(2, 0, 0)),
    Etrn: Reply(250, "OK, queuing started", EnhancedCode(2, 0, 0)),
    Atrn: Reply(250, "OK, now reversing the connection", EnhancedCode(2, 0, 0)),
    StartTLS: Reply(220, "Go ahead", EnhancedCode(2, 0, 0)),
    AuthCancel: Reply(501, "Authentication cancelled", EnhancedCode(5, 7, 0)),
    OtherCommand: Reply(500, "Command not recognized", EnhancedCode(5, 5, 2)),
}
# The enhanced status codes of success; RFC 4954 section 6 has the one of AUTH.
_SUCCESS: Final = {
    **{kind: reply.enhanced for kind, reply in _OK.items() if reply.code < 300},
    **dict.fromkeys((Auth, AuthResponse), EnhancedCode(2, 7, 0)),
}
CANONICAL: Final = tuple(
    {kind: (reply.code, serialize_reply(reply, enhanced=enhanced)) for kind, reply in _OK.items()}
    for enhanced in (False, True)
)
"""Code, and how they go over the wire, without enhanced status codes and with them."""

USUAL: Final = tuple(
    {
        kind: (data, ON_SUCCESS[kind], NOTES.get(kind))
        for kind, (_, data) in answers.items()
        if kind in ON_SUCCESS
    }
    for answers in CANONICAL
)
"""Those of them after which the state is always the same: it, and what else is to be noted."""


def status_of(kind: type, code: int) -> EnhancedCode | None:
    """The enhanced status code of a reply to a command that was given none (RFC 2034 section 4)."""
    if 300 <= code < 400:
        return None
    canonical = _SUCCESS.get(kind) if code < 300 else None
    # RFC 3463 section 3.1: other undefined status.
    return EnhancedCode(code // 100, 0, 0) if canonical is None else canonical
