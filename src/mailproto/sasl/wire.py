"""How the octets of an exchange travel in the lines of SMTP, POP3 and IMAP: as base64.

RFC 4954, RFC 5034 and RFC 4959 agree on it: a response is base64 or ``*`` to cancel, and an empty
initial response is ``=``.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from mailproto._core.strict import decode_base64, encode_base64

__all__ = [
    "CANCEL",
    "MALFORMED",
    "Unusable",
    "decode_challenge",
    "decode_initial_response",
    "decode_response",
    "encode",
    "encode_initial_response",
    "secrets_of",
    "without",
]


class Unusable(enum.Enum):
    """A line that carries no response."""

    CANCEL = "*"
    """The client gives up."""
    MALFORMED = "malformed"
    """It is not canonical base64."""


CANCEL: Final = Unusable.CANCEL
MALFORMED: Final = Unusable.MALFORMED
Malformed: TypeAlias = Literal[Unusable.MALFORMED]


def decode_response(line: bytes) -> bytes | Unusable:
    """The octets of a client's line without its CRLF, ``CANCEL`` or ``MALFORMED``."""
    if line == b"*":
        return CANCEL
    return decode_challenge(line)


def decode_initial_response(text: bytes) -> bytes | Malformed:
    """The octets of the argument of AUTH or AUTHENTICATE; ``=`` stands for none at all."""
    if text == b"=":
        return b""
    return decode_challenge(text) if text else MALFORMED


def decode_challenge(text: bytes) -> bytes | Malformed:
    """The octets of a server's challenge (after ``334``, ``+``)."""
    data = decode_base64(text)
    return MALFORMED if data is None else data


def encode(data: bytes) -> bytes:
    """A challenge or a response as base64, without a line end."""
    return encode_base64(data)


def encode_initial_response(data: bytes) -> bytes:
    """An initial response for the command line: ``=`` when it is empty."""
    return encode_base64(data) or b"="


# ------------------------------------------------------------------ servers that quote a secret

_HIDDEN: Final = b"<hidden>"
_SHORTEST: Final = 8
"""Fewer octets are too often a word of the server's own, which hiding would make known."""
_SEPARATORS: Final = re.compile(rb"[\0\x01]+")


def secrets_of(response: bytes) -> tuple[bytes, ...]:
    """What of a client's response no trace may show where the server quotes it.

    That is its base64, all of its octets, what stands last in it, which is the password of PLAIN,
    and the token of OAUTHBEARER and XOAUTH2 without the words before it.
    """
    last = _SEPARATORS.split(response.rstrip(b"\x01"))[-1]
    token = last.removeprefix(b"auth=Bearer ")
    return tuple(secret for secret in (encode_base64(response), response, last, token) if secret)


def without(line: bytes, secrets: Iterable[bytes]) -> bytes:
    """``line`` with ``<hidden>`` for every secret of at least eight octets."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            line = line.replace(secret, _HIDDEN)
    return line
