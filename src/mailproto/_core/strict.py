"""Conversion of wire text to values without lenience: the only place of the core that does it.

``int()`` takes signs, blanks, underscores and any Unicode digit; ``base64.b64decode`` skips what
it does not know. Here only ASCII digits within bounds and canonical base64 count. ``None`` means
"not that", so that callers decide what to say about it.
"""

from __future__ import annotations

import binascii
import datetime
import re
from functools import lru_cache
from typing import Final

__all__ = ["MONTHS", "date", "date_time", "decode_base64", "encode_base64", "number"]

NUMBER_32: Final = 0xFFFF_FFFF
NUMBER_64: Final = 0x7FFF_FFFF_FFFF_FFFF
"""RFC 9051 section 4.2: ``number64`` is an unsigned 63-bit integer."""

MONTHS: Final = tuple(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
"""``date-month`` of IMAP (RFC 3501 section 9)."""

_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_DATE: Final = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME: Final = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-][0-9]{4})"
)
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


def date(text: bytes) -> datetime.date | None:
    """The value of ``date-text`` of IMAP (``1-Feb-1994``), or ``None``."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year = found.groups()
    try:
        return datetime.date(int(year), _MONTH_NUMBERS.get(month.lower(), 0), int(day))
    except ValueError:
        return None


def date_time(text: bytes) -> datetime.datetime | None:
    """The value of ``date-time`` of IMAP without its quotes, or ``None``.

    ``17-Jul-1996 02:44:25 -0700``; a day below ten has a space before it.
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, zone = found.groups()
    try:
        return datetime.datetime(
            int(year),
            _MONTH_NUMBERS.get(month.lower(), 0),
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=_zone(zone),
        )
    except ValueError:
        return None


@lru_cache(64)
def _zone(text: bytes) -> datetime.timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if int(text[3:]) > 59:
        raise ValueError("an hour has 60 minutes")
    return datetime.timezone(datetime.timedelta(minutes=-minutes if text[0] == 45 else minutes))
