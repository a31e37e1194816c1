"""CRAM-MD5 (RFC 2195): the password keys an HMAC of the server's challenge.

It is here for old peers. The server is not proven, whoever listens can try passwords offline, and
what the server must keep is as good as the password for CRAM-MD5. Prefer SCRAM.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import partial
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import PasswordCredentials, ProvenCredentials, StoredKeys
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    challenge,
    conclude,
    expect_challenge,
    expect_success,
    lookup,
)
from mailproto.sasl.mechanism import ClientSettings, Mechanism, ServerSettings, Strength, takes
from mailproto.sasl.saslprep import utf8

__all__ = ["CRAM_MD5", "CramMD5Keys"]

_RESPONSE: Final = re.compile(rb"(?s:(?P<user>[^\0]+)) (?P<digest>[0-9a-f]{32})")
_BLOCK: Final = 64

# The RFC demands MD5; as the key of an HMAC it is not known to be broken.
_md5: Final = partial(hashlib.md5, usedforsecurity=False)


class CramMD5Keys(StoredKeys):
    """The two states of MD5 that RFC 2195 section 2 advises to keep instead of the password.

    They log in by CRAM-MD5 like the password itself, but do not show it. They live in memory only.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, password: str) -> None:
        key = utf8(password, "password")
        if len(key) > _BLOCK:
            key = _md5(key).digest()
        key = key.ljust(_BLOCK, b"\0")
        self._inner = _md5(bytes(octet ^ 0x36 for octet in key))
        self._outer = _md5(bytes(octet ^ 0x5C for octet in key))

    def digest(self, challenge: bytes) -> bytes:
        """The HMAC-MD5 of ``challenge`` as 32 hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(challenge)
        outer.update(inner.digest())
        return outer.hexdigest().encode()


def _client(credentials: PasswordCredentials, settings: ClientSettings) -> ClientDialogue:
    if credentials.authorization_identity:
        raise LocalProtocolError("CRAM-MD5 cannot carry an authorization identity")
    if not credentials.user:
        raise LocalProtocolError("CRAM-MD5 needs a user")
    user = utf8(credentials.user, "user")
    keys = CramMD5Keys(credentials.password)
    digest = keys.digest(expect_challenge((yield None)))
    expect_success((yield user + b" " + digest))


def _server(initial: bytes | None, settings: ServerSettings) -> ServerDialogue:
    if initial is not None:
        return Failure(FailureReason.MALFORMED)  # here the server speaks first
    unique = f"<{settings.nonce()}@{settings.hostname}>".encode()
    match = _RESPONSE.fullmatch((yield from challenge(unique)))
    if match is None:
        return Failure(FailureReason.MALFORMED)
    try:
        user = match["user"].decode()
    except UnicodeDecodeError:
        return Failure(FailureReason.MALFORMED)
    # The decoy is made for every user, so that making it does not tell who exists.
    decoy = CramMD5Keys(settings.decoy_key.hex())
    found = yield from lookup(user, "CRAM-MD5", CramMD5Keys)
    right = (decoy if found is None else found).digest(unique)
    if not hmac.compare_digest(right, match["digest"]) or found is None:
        return Failure(FailureReason.REFUSED)
    return (yield from conclude(ProvenCredentials(user), user))


CRAM_MD5: Final = Mechanism(
    "CRAM-MD5", Strength.CHALLENGE, takes(PasswordCredentials, _client), _server
)
"""``S: + PDE4OTYu...`` ``C: dGltIGI5MTNh...``"""
