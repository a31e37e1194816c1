"""Strings as they are written: atom, quoted string or literal, whichever can hold the octets.

Everything that goes out is checked here, so that no argument can end its line or its string.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Final

from mailproto._core.strict import MONTHS, NUMBER_32
from mailproto.errors import LocalProtocolError
from mailproto.imap.sequence_set import STAR, SequenceSet
from mailproto.imap.wire.cursor import ASTRING, ATOM

__all__ = [
    "as_astring",
    "as_quoted",
    "check_atom",
    "check_flag",
    "check_literal",
    "check_number",
    "check_tag",
    "date_text",
    "date_time_text",
    "flag_list_text",
    "sequence_set_text",
]

_ATOM: Final = re.compile(ATOM.decode("latin-1"))
_ASTRING: Final = re.compile(ASTRING)
_TAG: Final = re.compile(r"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,64}")
_FLAG: Final = re.compile(r"\\?" + ATOM.decode("latin-1") + r"|\\\*")
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}")
_SPECIAL: Final = re.compile(rb'(["\\])')


def as_quoted(octets: bytes) -> bytes | None:
    """``octets`` as a quoted string, ``None`` if they need a literal (8-bit, CR, LF, long)."""
    if _QUOTABLE.fullmatch(octets) is None:
        return None
    if b'"' in octets or b"\\" in octets:
        octets = _SPECIAL.sub(rb"\\\1", octets)
    return b'"' + octets + b'"'


def as_astring(octets: bytes) -> bytes | None:
    """``octets`` as an atom or a quoted string, ``None`` if they need a literal.

    What spells NIL is quoted: some servers take the atom for an absent string.
    """
    if _ASTRING.fullmatch(octets) is not None and len(octets) < 1000 and octets.upper() != b"NIL":
        return octets
    return as_quoted(octets)


def check_literal(octets: bytes) -> bytes:
    """``octets``, if a literal can hold them: all but NUL (RFC 3501 section 9, ``CHAR8``)."""
    if b"\0" in octets:
        raise LocalProtocolError(f"a string cannot hold NUL: {octets[:64]!r}")
    return octets


def check_atom(text: str) -> bytes:
    """``text`` as an atom. Raises LocalProtocolError if it is none."""
    if not text.isascii() or _ATOM.fullmatch(text) is None:
        raise LocalProtocolError(f"not an atom: {text[:64]!r}")
    return text.encode("ascii")


def check_tag(text: str) -> bytes:
    """``text`` as a tag. Raises LocalProtocolError if it is none."""
    if _TAG.fullmatch(text) is None:
        raise LocalProtocolError(f"not a tag: {text[:64]!r}")
    return text.encode("ascii")


def check_flag(text: str) -> bytes:
    r"""``text`` as a flag: an atom, ``\`` and an atom, or ``\*``."""
    if not text.isascii() or _FLAG.fullmatch(text) is None:
        raise LocalProtocolError(f"not a flag: {text[:64]!r}")
    return text.encode("ascii")


def check_number(value: int, maximum: int = NUMBER_32, *, minimum: int = 0) -> bytes:
    """``value`` in digits. Raises LocalProtocolError if it is out of bounds."""
    if not minimum <= value <= maximum:
        raise LocalProtocolError(f"not a number from {minimum} to {maximum}: {value}")
    return b"%d" % value


def flag_list_text(flags: Iterable[str]) -> bytes:
    r"""``(\Seen \Draft)``."""
    return b"(" + b" ".join(map(check_flag, flags)) + b")"


def sequence_set_text(value: SequenceSet) -> bytes:
    """``1:3,7:*``. Raises LocalProtocolError for an empty set or a number out of bounds."""
    if not value.ranges:
        raise LocalProtocolError("a sequence set cannot be empty")
    for first, last in value.ranges:
        if not 1 <= first <= last <= STAR:
            raise LocalProtocolError(f"not a range of messages: {first}:{last}")
    return str(value).encode("ascii")


def date_text(date: datetime.date) -> bytes:
    """``1-Feb-1994``."""
    return b"%d-%s-%04d" % (date.day, MONTHS[date.month - 1], date.year)


def date_time_text(when: datetime.datetime) -> bytes:
    """``"17-Jul-1996 02:44:25 -0700"`` with its quotes; seconds and minutes of zone are cut."""
    offset = when.utcoffset()
    if offset is None:
        raise LocalProtocolError(f"a date needs its time zone: {when!r}")
    minutes = int(offset.total_seconds() / 60)
    return b'"%2d-%s-%04d %02d:%02d:%02d %c%02d%02d"' % (
        when.day,
        MONTHS[when.month - 1],
        when.year,
        when.hour,
        when.minute,
        when.second,
        b"-" if minutes < 0 else b"+",
        abs(minutes) // 60,
        abs(minutes) % 60,
    )
