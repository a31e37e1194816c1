"""Search keys (RFC 3501 section 6.4.4), one class for each shape of argument.

::

    Search([SearchFlag.UNSEEN, SearchText(TextKey.FROM, "smith"), Not(SearchSet("1:10"))])
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable
from typing import TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.imap.convert import octets
from mailproto.imap.sequence_set import SequenceSet, sequence_set

__all__ = [
    "And",
    "DateKey",
    "Not",
    "Or",
    "SearchDate",
    "SearchFlag",
    "SearchHeader",
    "SearchKey",
    "SearchKeyword",
    "SearchSet",
    "SearchSize",
    "SearchText",
    "SearchUid",
    "SizeKey",
    "TextKey",
    "search_key_tuple",
]


class SearchFlag(enum.Enum):
    """Keys without an argument: system flags, and ALL."""

    ALL = "ALL"
    ANSWERED = "ANSWERED"
    DELETED = "DELETED"
    DRAFT = "DRAFT"
    FLAGGED = "FLAGGED"
    NEW = "NEW"
    OLD = "OLD"
    RECENT = "RECENT"
    SEEN = "SEEN"
    UNANSWERED = "UNANSWERED"
    UNDELETED = "UNDELETED"
    UNDRAFT = "UNDRAFT"
    UNFLAGGED = "UNFLAGGED"
    UNSEEN = "UNSEEN"


class TextKey(enum.Enum):
    """Keys with a string: substring matches."""

    BCC = "BCC"
    BODY = "BODY"
    CC = "CC"
    FROM = "FROM"
    SUBJECT = "SUBJECT"
    TEXT = "TEXT"
    TO = "TO"


class DateKey(enum.Enum):
    """Keys with a date: the internal date, or with SENT the Date header; time and zone ignored."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"
    SENTBEFORE = "SENTBEFORE"
    SENTON = "SENTON"
    SENTSINCE = "SENTSINCE"


class SizeKey(enum.Enum):
    """Keys with a number of octets."""

    LARGER = "LARGER"
    SMALLER = "SMALLER"


@frozen
class SearchText:
    """``FROM "smith"``: the field, or the body, or all of the message contains the text."""

    key: TextKey
    text: bytes = field(converter=octets)


@frozen
class SearchHeader:
    """``HEADER field text``: the field contains the text; ``""`` asks only for the field."""

    name: bytes = field(converter=octets)
    text: bytes = field(converter=octets, default=b"")


@frozen
class SearchDate:
    """``SINCE 1-Feb-1994``."""

    key: DateKey
    date: datetime.date


@frozen
class SearchSize:
    """``LARGER 10000``."""

    key: SizeKey
    octets: int


@frozen
class SearchKeyword:
    """``KEYWORD flag``, or with ``present=False`` ``UNKEYWORD flag``."""

    flag: str
    present: bool = True


@frozen
class SearchSet:
    """Messages by sequence number: ``2:4,7``."""

    sequence_set: SequenceSet = field(converter=sequence_set)


@frozen
class SearchUid:
    """Messages by UID: ``UID 100:*``."""

    uids: SequenceSet = field(converter=sequence_set)


@frozen
class Not:
    """``NOT key``."""

    key: SearchKey


@frozen
class Or:
    """``OR key key``."""

    left: SearchKey
    right: SearchKey


def search_key_tuple(value: SearchKey | Iterable[SearchKey]) -> tuple[SearchKey, ...]:
    """The converter of commands: one key, or several that must all match."""
    return tuple(value) if isinstance(value, Iterable) else (value,)


@frozen
class And:
    """``(key key)``: all of several keys match."""

    keys: tuple[SearchKey, ...] = field(converter=search_key_tuple)


SearchKey: TypeAlias = (
    SearchFlag
    | SearchText
    | SearchHeader
    | SearchDate
    | SearchSize
    | SearchKeyword
    | SearchSet
    | SearchUid
    | Not
    | Or
    | And
)
