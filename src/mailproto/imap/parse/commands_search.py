"""The keys of SEARCH, read from the wire (``search-key``; RFC 3501 section 9).

Keys nest without bound in the grammar; here on an explicit stack, with a limit on its depth.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Iterable
from typing import Final

from mailproto._core.strict import NUMBER_64, date, number
from mailproto.imap.commands import ReturnOption, Search
from mailproto.imap.search_key import (
    And,
    DateKey,
    Not,
    Or,
    SearchDate,
    SearchFlag,
    SearchHeader,
    SearchKey,
    SearchKeyword,
    SearchSet,
    SearchSize,
    SearchText,
    SearchUid,
    SizeKey,
    TextKey,
)
from mailproto.imap.sequence_set import SequenceSet, parse_sequence_set
from mailproto.imap.wire.cursor import ASTRING, Cursor

__all__ = ["read_sequence_set", "search", "usual_key"]

_SET: Final = re.compile(rb"[0-9:,*]+")
_KEY: Final = re.compile(rb"([A-Z]+)(?=[ )]|$)|(\()|(?=[0-9*])", re.IGNORECASE)
_DATE: Final = re.compile(rb'"[0-9A-Za-z-]+"|[0-9A-Za-z-]+')
_CHARSET: Final = re.compile(rb"CHARSET ", re.IGNORECASE)
_RETURN: Final = re.compile(rb"RETURN \(((?:[A-Z]+(?: [A-Z]+)*+)?)\) ", re.IGNORECASE)
_OPTIONS: Final = {option.value.encode("ascii"): option for option in ReturnOption}


def read_sequence_set(cursor: Cursor) -> SequenceSet:
    """Read ``sequence-set``."""
    start = cursor.position
    found = cursor.match(_SET)
    numbers = None if found is None else parse_sequence_set(found[0])
    if numbers is None:
        cursor.position = start
        raise cursor.fail("a sequence set")
    return numbers


def search(cursor: Cursor, *, uid: bool) -> Search:
    """Read what follows ``SEARCH``, up to the end of the command."""
    cursor.expect(b" ")
    options = _return_options(cursor)
    charset = None
    if cursor.match(_CHARSET):
        charset = cursor.astring().decode("ascii", "backslashreplace")
        cursor.expect(b" ")
    return Search(_keys(cursor), charset, uid, options)


def _return_options(cursor: Cursor) -> tuple[ReturnOption, ...] | None:
    start = cursor.position
    found = cursor.match(_RETURN)
    if found is None:
        return None
    words = found[1].upper().split(b" ") if found[1] else []
    options = tuple([_OPTIONS[word] for word in words if word in _OPTIONS])
    if len(options) < len(words):
        cursor.position = start
        raise cursor.fail("return options MIN, MAX, ALL or COUNT")
    return options


# ------------------------------------------------------------------------------ keys with nesting


class _Kind(enum.Enum):
    """What an open key waits for."""

    ALL = enum.auto()
    LIST = enum.auto()
    NOT = enum.auto()
    OR = enum.auto()


# Looking a member up in its class costs more than the comparison.
_ALL: Final = _Kind.ALL
_LIST: Final = _Kind.LIST
_NOT: Final = _Kind.NOT
_OR: Final = _Kind.OR


class _Open:
    """A key whose end has not come, and the keys in it so far."""

    __slots__ = ("keys", "kind")

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self.keys: list[SearchKey] = []


def _keys(cursor: Cursor) -> tuple[SearchKey, ...]:
    stack = [_Open(_ALL)]
    while True:
        start = cursor.position
        done = usual_key(cursor)
        if done is None:
            found = cursor.read(_KEY, "a search key")
            word = found[1].upper() if found[1] else b""
            kind = _LIST if found[2] else _OPENING.get(word)
            if kind is not None:
                if len(stack) > cursor.depth:
                    cursor.position = start
                    raise cursor.fail(f"at most {cursor.depth} levels of search keys")
                stack.append(_Open(kind))
                if kind is not _LIST:
                    cursor.expect(b" ")
                continue
            done = _key(cursor, word, start)
        while done is not None:
            top = stack[-1]
            top.keys.append(done)
            done = _closed(cursor, top)
            if done is not None:
                stack.pop()
            elif top.kind is _ALL and cursor.at_end:
                return tuple(top.keys)
        cursor.expect(b" ")


def usual_key(cursor: Cursor) -> SearchKey | None:
    """Read a key without keys in it by one pattern, if it is of the usual shape."""
    found = _USUAL.match(cursor.text, cursor.position)
    if found is None:
        return None
    flag, text_key, quoted, plain, numbers, size_key, size, date_key, day = found.groups()
    key: SearchKey | None = None
    if flag is not None:
        key = _FLAGS[flag]
    elif text_key is not None:
        key = SearchText(_TEXT_KEYS[text_key], plain if quoted is None else quoted)
    elif numbers is not None:
        uids = parse_sequence_set(numbers)
        key = None if uids is None else SearchUid(uids)
    elif size_key is not None:
        octets = number(size, NUMBER_64)
        key = None if octets is None else SearchSize(_SIZE_KEYS[size_key], octets)
    elif date_key is not None:
        when = date(day)
        key = None if when is None else SearchDate(_DATE_KEYS[date_key], when)
    if key is not None:
        cursor.position = found.end()
    return key


def _closed(cursor: Cursor, top: _Open) -> SearchKey | None:
    """The key that ``top`` has become, ``None`` while more is to come."""
    keys = top.keys
    if top.kind is _NOT:
        return Not(keys[0])
    if top.kind is _OR:
        return Or(keys[0], keys[1]) if len(keys) == 2 else None
    if top.kind is _LIST and cursor.take(b")"):
        return And(tuple(keys))
    return None


def _key(cursor: Cursor, word: bytes, start: int) -> SearchKey:
    if not word:
        return SearchSet(read_sequence_set(cursor))
    flag = _FLAGS.get(word)
    if flag is not None:
        return flag
    reader = _READERS.get(word)
    if reader is None:
        cursor.position = start
        raise cursor.fail("a search key")
    cursor.expect(b" ")
    return reader(cursor)


def _text(key: TextKey) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SearchText(key, cursor.astring())


def _date(key: DateKey) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SearchDate(key, _read_date(cursor))


def _read_date(cursor: Cursor) -> datetime.date:
    start = cursor.position
    found = cursor.match(_DATE)
    value = None if found is None else date(found[0].strip(b'"'))
    if value is None:
        cursor.position = start
        raise cursor.fail("a date like 1-Feb-1994")
    return value


def _size(key: SizeKey) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SearchSize(key, cursor.number(NUMBER_64))


def _header(cursor: Cursor) -> SearchKey:
    name = cursor.astring()
    cursor.expect(b" ")
    return SearchHeader(name, cursor.astring())


_TEXT_KEYS: Final = {key.value.encode("ascii"): key for key in TextKey}
_DATE_KEYS: Final = {key.value.encode("ascii"): key for key in DateKey}
_SIZE_KEYS: Final = {key.value.encode("ascii"): key for key in SizeKey}


def _any_of(words: Iterable[bytes]) -> bytes:
    return b"(" + b"|".join(sorted(words, reverse=True)) + b")"


_OPENING: Final = {b"NOT": _NOT, b"OR": _OR}
_FLAGS: Final = {flag.value.encode("ascii"): flag for flag in SearchFlag}
_READERS: Final[dict[bytes, Callable[[Cursor], SearchKey]]] = {
    **{word: _text(key) for word, key in _TEXT_KEYS.items()},
    **{word: _date(key) for word, key in _DATE_KEYS.items()},
    **{word: _size(key) for word, key in _SIZE_KEYS.items()},
    b"HEADER": _header,
    b"KEYWORD": lambda cursor: SearchKeyword(cursor.atom()),
    b"UNKEYWORD": lambda cursor: SearchKeyword(cursor.atom(), present=False),
    b"UID": lambda cursor: SearchUid(read_sequence_set(cursor)),
}

_USUAL: Final = re.compile(
    rb"(?:"
    + _any_of(_FLAGS)
    + rb"|"
    + _any_of(_TEXT_KEYS)
    + rb' (?:"([^"\\\x00\r\n]*+)"|('
    + ASTRING
    + rb"))|UID ([0-9:,*]+)|"
    + _any_of(_SIZE_KEYS)
    + rb" ([0-9]+)|"
    + _any_of(_DATE_KEYS)
    + rb" ([0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}))(?=[ )]|$)"
)
