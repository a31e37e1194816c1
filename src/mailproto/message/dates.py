"""Dates of header fields (RFC 5322 section 3.3 with its obsolete forms) as aware datetimes."""

from __future__ import annotations

import datetime
import re
from typing import Final

from mailproto.message.lexical import COMMENT, tokens

__all__ = ["parse_date"]

_DATE: Final = re.compile(
    rb"(?:[A-Za-z]+ ?,? ?)?([0-9]{1,2})[ -]([A-Za-z]{3})[A-Za-z]*[ -]([0-9]{2,4})"
    rb"(?: ([0-9]{1,2}) ?: ?([0-9]{1,2})(?: ?: ?([0-9]{1,2}))?(?: ?([+-][0-9]{4}|[A-Za-z]+))?)?"
)
_MONTHS: Final = {
    name: month
    for month, name in enumerate(
        b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
    )
}
# Hours from UTC (RFC 5322 section 4.3); military letters and unknown names mean -0000.
_ZONES: Final = {
    b"EDT": -4, b"EST": -5, b"CDT": -5, b"CST": -6, b"MDT": -6, b"MST": -7, b"PDT": -7, b"PST": -8,
}  # fmt: skip


def parse_date(value: bytes) -> datetime.datetime | None:
    """The point in time of a Date field's unfolded value, ``None`` where it is not readable.

    Its ``date()`` is the sender's own date, which SENTON and its like compare (RFC 3501 section
    6.4.4: time and timezone are disregarded).
    """
    text = b"".join(
        b" " + token.text if token.spaced else token.text
        for token in tokens(value)
        if token.kind != COMMENT
    )
    found = _DATE.match(text.strip(b" "))
    month = _MONTHS.get(found[2].lower()) if found else None
    if found is None or month is None:
        return None
    year = int(found[3])
    if len(found[3]) == 2:
        year += 2000 if year < 50 else 1900
    elif len(found[3]) == 3:
        year += 1900
    hour, minute, second = int(found[4] or 0), int(found[5] or 0), int(found[6] or 0)
    try:
        # A leap second is the second before it.
        return datetime.datetime(
            year, month, int(found[1]), hour, minute, min(second, 59), tzinfo=_zone(found[7])
        )
    except ValueError:
        return None


def _zone(text: bytes | None) -> datetime.timezone:
    if text is None:
        return datetime.UTC
    if text[:1] in (b"+", b"-"):
        minutes = int(text[1:3]) * 60 + int(text[3:5])
        if minutes >= 24 * 60:
            return datetime.UTC
        return datetime.timezone(
            datetime.timedelta(minutes=-minutes if text[:1] == b"-" else minutes)
        )
    return datetime.timezone(datetime.timedelta(hours=_ZONES.get(text.upper(), 0)))
