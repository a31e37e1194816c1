"""XOAUTH2 (of Google, Microsoft and others): a user and a bearer token. Prefer OAUTHBEARER."""

from __future__ import annotations

import re
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.bearer import TOKEN, bearer_client, bearer_server, value
from mailproto.sasl.credentials import TokenCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    first_response,
)
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes

__all__ = ["XOAUTH2"]

# Further pairs (Yahoo has "vendor=") are passed over.
_MESSAGE: Final = re.compile(
    rb"user=(?P<user>[^\x00-\x1f]+)\x01auth=(?i:bearer) +(?P<token>%b)\x01"
    rb"(?:[A-Za-z]+=[^\x00-\x1f]*\x01)*\x01" % TOKEN.pattern
)
_ERROR: Final = b'{"status":"401","schemes":"bearer"}'


def _client(credentials: TokenCredentials, settings: ClientSettings) -> ClientDialogue:
    if not credentials.user:
        raise LocalProtocolError("XOAUTH2 needs a user")
    user = value(credentials.user, "user")
    token = value(credentials.token, "token", TOKEN)
    # An error challenge is answered with nothing.
    yield from bearer_client(b"user=%b\x01auth=Bearer %b\x01\x01" % (user, token), token, dummy=b"")


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = yield from first_response(initial)
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return Failure(FailureReason.MALFORMED)
    try:
        user = match["user"].decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    return (yield from bearer_server(TokenCredentials(user, match["token"].decode()), _ERROR))


XOAUTH2: Final = Mechanism("XOAUTH2", Strength.PLAINTEXT, takes(TokenCredentials, _client), _server)
"""``C: user=`` user ``^Aauth=Bearer`` token ``^A^A``."""
