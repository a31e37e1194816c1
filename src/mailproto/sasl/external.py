"""EXTERNAL (RFC 4422 appendix A): TLS has authenticated the client, here he says whom to act as."""

from __future__ import annotations

from typing import Final

from mailproto.sasl.credentials import ExternalCredentials
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
from mailproto.sasl.saslprep import utf8

__all__ = ["EXTERNAL"]


def _client(credentials: ExternalCredentials, settings: ClientSettings) -> ClientDialogue:
    expect_success((yield utf8(credentials.authorization_identity, "authorization identity")))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = yield from first_response(initial)
    try:
        identity = message.decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    if "\0" in identity:
        return Failure(FailureReason.MALFORMED)
    credentials = ExternalCredentials(identity, settings.external_identity)
    return (yield from conclude(credentials, settings.external_identity))


EXTERNAL: Final = Mechanism(
    "EXTERNAL", Strength.MUTUAL, takes(ExternalCredentials, _client), _server, external=True
)
"""``C: AUTH EXTERNAL =`` acts as whom the certificate names."""
