"""PLAIN (RFC 4616): one message with both identities and the password."""

from __future__ import annotations

from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import PasswordCredentials
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

__all__ = ["PLAIN"]


def _client(credentials: PasswordCredentials, settings: ClientSettings) -> ClientDialogue:
    if not credentials.user or not credentials.password:
        raise LocalProtocolError("PLAIN needs a user and a password")
    parts = (
        utf8(credentials.authorization_identity, "authorization identity"),
        utf8(credentials.user, "user"),
        utf8(credentials.password, "password"),
    )
    expect_success((yield b"\0".join(parts)))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = yield from first_response(initial)
    try:
        authorization_identity, user, password = message.decode().split("\0")
    except ValueError:  # not UTF-8, or not three parts
        return Failure(FailureReason.MALFORMED)
    if not user or not password:
        return Failure(FailureReason.MALFORMED)
    credentials = PasswordCredentials(user, password, authorization_identity)
    return (yield from conclude(credentials, user))


PLAIN: Final = Mechanism("PLAIN", Strength.PLAINTEXT, takes(PasswordCredentials, _client), _server)
"""``C: AUTH PLAIN AGFsaWNlAHNlY3JldA==`` is user ``alice`` with password ``secret``."""
