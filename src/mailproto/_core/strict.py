"""Conversion of wire text to values without lenience: the only place of the core that does it.

``int()`` takes signs, blanks, underscores and any Unicode digit; ``base64.b64decode`` skips what
it does not know. Here only ASCII digits within bounds and canonical base64 count. ``None`` means
"not that", so that callers decide what to say about it.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

__all__ = ["decode_base64", "encode_base64", "number"]

NUMBER_32: Final = 0xFFFF_FFFF
NUMBER_64: Final = 0x7FFF_FFFF_FFFF_FFFF
"""RFC 9051 section 4.2: ``number64`` is an unsigned 63-bit integer."""

_DIGITS: Final = re.compile(rb"[0-9]{1,20}")


def number(text: bytes, maximum: int = NUMBER_32, *, minimum: int = 0) -> int | None:
    """The value of ASCII decimal digits, or ``None`` if it is not one or out of bounds."""
    if _DIGITS.fullmatch(text) is None:
        return None
    value = int(text)
    return value if minimum <= value <= maximum else None


def decode_base64(text: bytes) -> bytes | None:
    """The octets of canonical base64 (RFC 4648 section 4), or ``None`` for anything else."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None
    return data if encode_base64(data) == text else None


def encode_base64(data: bytes) -> bytes:
    """Base64 of ``data`` on one line, without a line end."""
    return binascii.b2a_base64(data, newline=False)
