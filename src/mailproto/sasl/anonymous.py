"""ANONYMOUS (RFC 4505): nobody in particular, with a trace for the log if he likes."""

from __future__ import annotations

import re
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import AnonymousCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    challenge,
    conclude,
    expect_success,
)
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.saslprep import utf8

__all__ = ["ANONYMOUS"]

_TRACE: Final = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,255}")
"""At most 255 characters (RFC 4505 section 3), none that would break a line of a log."""


def _client(credentials: AnonymousCredentials, settings: ClientSettings) -> ClientDialogue:
    if _TRACE.fullmatch(credentials.trace) is None:
        raise LocalProtocolError("the trace has over 255 characters or a control character")
    expect_success((yield utf8(credentials.trace, "trace")))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = (yield from challenge(b"")) if initial is None else initial
    try:
        trace = message.decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    if _TRACE.fullmatch(trace) is None:
        return Failure(FailureReason.MALFORMED)
    return (yield from conclude(AnonymousCredentials(trace), ""))


ANONYMOUS: Final = Mechanism(
    "ANONYMOUS", Strength.ANONYMOUS, takes(AnonymousCredentials, _client), _server
)
"""``C: AUTH ANONYMOUS c2lyaGM=`` leaves the trace ``sirhc``."""
