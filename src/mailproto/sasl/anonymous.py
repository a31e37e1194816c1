"""ANONYMOUS (RFC 4505): nobody in particular, with a trace for the log if he likes."""

from __future__ import annotations

from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import AnonymousCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    conclude,
    expect_success,
    first_response,
)
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.saslprep import is_trace, utf8

__all__ = ["ANONYMOUS"]

_LONGEST: Final = 255
"""Characters (RFC 4505 section 2)."""


def _client(credentials: AnonymousCredentials, settings: ClientSettings) -> ClientDialogue:
    if len(credentials.trace) > _LONGEST or not is_trace(credentials.trace):
        raise LocalProtocolError(
            f"the trace has over {_LONGEST} characters or some that RFC 4505 section 3 prohibits"
        )
    expect_success((yield utf8(credentials.trace, "trace")))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = yield from first_response(initial)
    try:
        trace = message.decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    if len(trace) > _LONGEST or not is_trace(trace):
        return Failure(FailureReason.MALFORMED)
    return (yield from conclude(AnonymousCredentials(trace), ""))


ANONYMOUS: Final = Mechanism(
    "ANONYMOUS", Strength.ANONYMOUS, takes(AnonymousCredentials, _client), _server
)
"""``C: AUTH ANONYMOUS c2lyaGM=`` leaves the trace ``sirhc``."""
