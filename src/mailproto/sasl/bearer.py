"""What OAUTHBEARER and XOAUTH2 share: the form of tokens, and how a refusal is told and read."""

from __future__ import annotations

import re
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.sasl.credentials import TokenCredentials
from mailproto.sasl.exchange import (
    ClientDialogue,
    Failure,
    FailureReason,
    ServerDialogue,
    Success,
    challenge,
    take_refusal,
    verify,
)
from mailproto.sasl.saslprep import utf8

__all__ = ["TOKEN", "VALUE", "bearer_client", "bearer_server", "refuse", "value"]

TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""b64token of RFC 6750 section 2.1."""

VALUE: Final = re.compile(rb"[^\x00-\x1f\x7f]*")
"""What may stand between the separators ^A, without control characters."""


def value(text: str, what: str, form: re.Pattern[bytes] = VALUE) -> bytes:
    """Your own ``what`` as a value. Raises LocalProtocolError if it has not the right form."""
    octets = utf8(text, what)
    if form.fullmatch(octets) is None:
        raise LocalProtocolError(f"the {what} contains a character that is not allowed there")
    return octets


def bearer_client(message: bytes, token: bytes, dummy: bytes) -> ClientDialogue:
    """Send ``message``; answer an error challenge with ``dummy``.

    The error is shown to people, so the ``token`` is taken out of it.
    """
    received = yield message
    if received is not None:
        yield from take_refusal(received.replace(token, b"<hidden>"), dummy)


def bearer_server(credentials: TokenCredentials, error: bytes) -> ServerDialogue:
    """Have the token verified, and say ``error`` if it is not accepted."""
    identity = yield from verify(credentials)
    if identity is None:
        return (yield from refuse(error))
    return Success(identity, credentials.user)


def refuse(error: bytes) -> ServerDialogue:
    """Tell the error as a challenge; the answer to it means nothing (RFC 7628 section 3.2.3)."""
    yield from challenge(error)
    return Failure(FailureReason.REFUSED)
