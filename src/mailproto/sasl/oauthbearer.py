"""OAUTHBEARER (RFC 7628): an OAuth 2.0 bearer token with the identity to act as."""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.strict import number
from mailproto.errors import LocalProtocolError
from mailproto.sasl.bearer import TOKEN, bearer_client, bearer_server, refuse, value
from mailproto.sasl.credentials import TokenCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    first_response,
)
from mailproto.sasl.gs2 import SASLNAME, escape, unescape
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes

__all__ = ["OAUTHBEARER"]

# client-resp of RFC 7628 section 3.1; a channel binding ("p=") has no meaning here.
_MESSAGE: Final = re.compile(
    rb"[ny],(?:a=(?P<user>%b))?,\x01(?P<pairs>(?:[A-Za-z]+=[\t\n\r -~]*\x01)*)\x01" % SASLNAME
)
_HOST: Final = re.compile(rb"[!-~]*")
_BEARER: Final = re.compile(rb"(?i:bearer) +(?P<token>%b)" % TOKEN.pattern)
_ERROR: Final = b'{"status":"invalid_token"}'


def _client(credentials: TokenCredentials, settings: ClientSettings) -> ClientDialogue:
    user = escape(value(credentials.user, "user"))
    pairs = [b"n," + (b"a=" + user if user else b"") + b","]
    if credentials.host:
        pairs.append(b"host=" + value(credentials.host, "host", _HOST))
    if credentials.port is not None:
        if not 1 <= credentials.port <= 65535:
            raise LocalProtocolError(f"the port {credentials.port} is not within 1 and 65535")
        pairs.append(b"port=%d" % credentials.port)
    token = value(credentials.token, "token", TOKEN)
    pairs.append(b"auth=Bearer " + token)
    yield from bearer_client(b"\x01".join(pairs) + b"\x01\x01", token, dummy=b"\x01")


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    message = yield from first_response(initial)
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return Failure(FailureReason.MALFORMED)
    user = unescape(match["user"] or b"")
    listed = [pair.partition(b"=") for pair in match["pairs"].split(b"\x01")[:-1]]
    pairs = {key.lower(): text for key, _, text in listed}
    port = number(pairs.get(b"port", b"1"), 65535, minimum=1)
    if user is None or port is None or len(pairs) < len(listed) or b"auth" not in pairs:
        return Failure(FailureReason.MALFORMED)
    bearer = _BEARER.fullmatch(pairs[b"auth"])
    if bearer is None:
        return (yield from refuse(_ERROR))  # "auth=" asks what is wanted (section 4.3)
    credentials = TokenCredentials(
        user,
        bearer["token"].decode(),
        pairs.get(b"host", b"").decode(),
        port if b"port" in pairs else None,
    )
    return (yield from bearer_server(credentials, _ERROR))


OAUTHBEARER: Final = Mechanism(
    "OAUTHBEARER", Strength.PLAINTEXT, takes(TokenCredentials, _client), _server
)
"""``C: n,a=`` user ``,^Ahost=`` host ``^Aport=`` port ``^Aauth=Bearer`` token ``^A^A``."""
