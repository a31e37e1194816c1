"""LOGIN (draft-murchison-sasl-login): user and password, each after a prompt.

Prompts differ between servers and mean nothing: the client answers the first with the user and
the second with the password, whatever they say. A server takes the user as initial response too.
"""

from __future__ import annotations

from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import PasswordCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    challenge,
    conclude,
    expect_challenge,
    expect_success,
)
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.saslprep import utf8

__all__ = ["LOGIN"]


def _client(credentials: PasswordCredentials, settings: ClientSettings) -> ClientDialogue:
    if not credentials.user or not credentials.password:
        raise LocalProtocolError("LOGIN needs a user and a password")
    if credentials.authorization_identity:
        raise LocalProtocolError("LOGIN cannot carry an authorization identity")
    user, password = utf8(credentials.user, "user"), utf8(credentials.password, "password")
    expect_challenge((yield None))
    expect_challenge((yield user))
    expect_success((yield password))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    name = (yield from challenge(b"Username:")) if initial is None else initial
    secret = yield from challenge(b"Password:")
    try:
        user, password = name.decode(), secret.decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    if not user or not password:
        return Failure(FailureReason.MALFORMED)
    return (yield from conclude(PasswordCredentials(user, password), user))


LOGIN: Final = Mechanism("LOGIN", Strength.PLAINTEXT, takes(PasswordCredentials, _client), _server)
"""``S: 334 VXNlcm5hbWU6`` ``C: YWxpY2U=`` ``S: 334 UGFzc3dvcmQ6`` ``C: c2VjcmV0``."""
