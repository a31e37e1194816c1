"""How the octets of an exchange travel in the lines of SMTP, POP3 and IMAP: as base64.

RFC 4954, RFC 5034 and RFC 4959 agree on it: a response is base64 or ``*`` to cancel, and an empty
initial response is ``=``.
"""

from __future__ import annotations

import enum
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
