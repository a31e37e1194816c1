"""Responses (RFC 3501 section 9: ``greeting``, ``response``): from a frame to a typed value.

``parse_response`` is all that the client needs. What comes in great numbers (FETCH, LIST, SEARCH)
has one pattern for its usual shape. A frame that is none of these raises ``Malformed``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from mailproto._core.strict import NUMBER_32, NUMBER_64
from mailproto.imap.mailbox_name import MailboxName
from mailproto.imap.parse.fetch import known_flags, parse_fetch, parse_flag_list, usual_fetch
from mailproto.imap.parse.status import parse_capabilities, parse_text
from mailproto.imap.quirks import Quirk
from mailproto.imap.responses import (
    CapabilityData,
    Completion,
    Condition,
    ConditionState,
    Continuation,
    EnabledData,
    ESearchData,
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    IdData,
    ListData,
    LsubData,
    NamespaceData,
    NamespaceEntry,
    RecentData,
    SearchData,
    StatusData,
    UntaggedData,
)
from mailproto.imap.sequence_set import parse_sequence_set
from mailproto.imap.status_item import StatusItem
from mailproto.imap.value import Value
from mailproto.imap.wire.cursor import ASTRING, QUOTED, Cursor, unquote
from mailproto.imap.wire.frames import Frame

__all__ = ["Parsed", "is_fetch", "is_status", "parse_response", "usual_response"]

Parsed: TypeAlias = Condition | Completion | Continuation | UntaggedData

_FETCH: Final = re.compile(rb"\* ([1-9][0-9]{0,9}) FETCH ")
_LIST: Final = re.compile(
    rb"\* LIST \(([^()]*)\) (?:NIL|\"([^\"\\\r\n\x00]|\\[\"\\])\") (?:"
    + QUOTED
    + rb"|("
    + ASTRING
    + rb"))"
)
_TAGGED: Final = re.compile(
    rb"([^\x00-\x20\x7f-\xff(){%*\"\\+]+) (OK|NO|BAD)(?: |\Z)", re.IGNORECASE
)
_STATUS: Final = re.compile(rb"\* (OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)
_PLUS: Final = re.compile(rb"\+ ?")
_NUMBERED: Final = re.compile(rb"\* ([0-9]{1,20}) ([A-Za-z]+)")
_NAMED: Final = re.compile(rb"\* ([A-Za-z]+)")
_NUMBERS: Final = re.compile(rb"(?: [1-9][0-9]{0,9})*+")
_DELIMITER: Final = re.compile(rb"\"((?:[^\"\\\r\n\x00]|\\[\"\\])?)\"")
_MOD_SEQ: Final = re.compile(rb" \(MODSEQ ", re.IGNORECASE)
_SET: Final = re.compile(rb"[0-9:,*]+")

_STATES: Final = {state.value.encode("ascii"): state for state in ConditionState}
_STATUS_ITEMS: Final = {item.value: item for item in StatusItem}


def parse_response(
    frame: Frame, depth: int = 50, *, usual: bool = True
) -> tuple[Parsed, list[Quirk]]:
    """The value of a frame from a server, and the quirks that were met.

    Raises ``Malformed``. ``depth`` bounds the nesting of parentheses; without ``usual`` the
    general readers do it all.
    """
    cursor = Cursor(frame, depth=depth)
    text = frame.text
    if usual:
        if not frame.literals:
            done = usual_response(text)
            if done is not None:
                return done, cursor.quirks
        found = _FETCH.match(text)
        if found is not None:
            number = int(found[1])
            if number <= NUMBER_32:
                cursor.position = found.end()
                return _ended(parse_fetch(cursor, number), cursor), cursor.quirks
    return _general(cursor, text, usual=usual), cursor.quirks


def usual_response(line: bytes) -> FetchData | ListData | None:
    """The value of a line that one pattern can read whole, ``None`` for all others.

    These two come by the ten thousand: FETCH of numbers, flags and dates, and LIST.
    """
    if line[-1:] == b")":
        return usual_fetch(line)
    found = _LIST.fullmatch(line)
    if found is None:
        return None
    text, delimiter, quoted, name = found.groups()
    attributes = known_flags(text)
    if attributes is None:
        return None
    return ListData(
        attributes,
        None if delimiter is None else delimiter[-1:].decode("latin-1"),
        MailboxName(unquote(quoted) if name is None else name),
    )


def is_fetch(first_line: bytes) -> re.Match[bytes] | None:
    """Whether a line begins a FETCH response; group 1 is the number, the match ends at "("."""
    return _FETCH.match(first_line)


def is_status(first_line: bytes) -> re.Match[bytes] | None:
    """Whether a line is a status response or continuation; the match ends before ``resp-text``."""
    return _STATUS.match(first_line) or _TAGGED.match(first_line) or _PLUS.match(first_line)


def _general(cursor: Cursor, text: bytes, *, usual: bool) -> Parsed:
    if text[:1] == b"+":
        cursor.position = 1
        if not cursor.take(b" "):
            cursor.quirks.append(Quirk.EMPTY_CONTINUATION)
        return Continuation() if cursor.at_end else Continuation(*parse_text(cursor))
    if text[:2] != b"* ":
        tag, state = cursor.read(_TAGGED, "a response").groups()
        return Completion(tag.decode("ascii"), _STATES[state.upper()], *parse_text(cursor))
    status = cursor.match(_STATUS)
    if status is not None:
        return Condition(_STATES[status[1].upper()], *parse_text(cursor))
    numbered = cursor.match(_NUMBERED)
    if numbered is not None:
        return _numbered(cursor, numbered, usual=usual)
    named = cursor.read(_NAMED, "a response")
    reader = _READERS.get(named[1].upper())
    if reader is None:
        cursor.position = named.start(1)
        raise cursor.fail("a known response")
    return _ended(reader(cursor), cursor)


def _ended(value: UntaggedData, cursor: Cursor) -> UntaggedData:
    if cursor.take(b" "):
        cursor.quirks.append(Quirk.TRAILING_SPACE)
    cursor.end()
    return value


# ------------------------------------------------------------------------ numbered responses


def _numbered(cursor: Cursor, found: re.Match[bytes], *, usual: bool) -> UntaggedData:
    name = found[2].upper()
    number = int(found[1])
    if number > NUMBER_32 or (number == 0 and name in (b"EXPUNGE", b"FETCH")):
        cursor.position = found.start(1)
        raise cursor.fail("a message number")
    if name == b"FETCH":
        cursor.expect(b" ")
        return _ended(parse_fetch(cursor, number, usual=usual), cursor)
    data = _NUMBERED_DATA.get(name)
    if data is None:
        cursor.position = found.start(2)
        raise cursor.fail("a known response")
    return _ended(data(number), cursor)


_NUMBERED_DATA: Final[dict[bytes, Callable[[int], UntaggedData]]] = {
    b"EXISTS": ExistsData,
    b"RECENT": RecentData,
    b"EXPUNGE": ExpungeData,
}


# ------------------------------------------------------------------------------ LIST and LSUB


def _list(cursor: Cursor) -> ListData:
    attributes, delimiter, mailbox = _mailbox_list(cursor)
    extended: list[tuple[bytes, Value]] = []
    if cursor.take(b" ("):
        while not cursor.take(b")"):
            name = cursor.astring()
            cursor.expect(b" ")
            extended.append((name, cursor.value()))
            cursor.take(b" ")
    return ListData(attributes, delimiter, mailbox, tuple(extended))


def _lsub(cursor: Cursor) -> LsubData:
    return LsubData(*_mailbox_list(cursor))


def _mailbox_list(cursor: Cursor) -> tuple[tuple[str, ...], str | None, MailboxName]:
    """``mailbox-list``."""
    cursor.expect(b" ")
    attributes = parse_flag_list(cursor)
    cursor.expect(b" ")
    delimiter = _delimiter(cursor)
    cursor.expect(b" ")
    return attributes, delimiter, MailboxName(cursor.astring())


def _delimiter(cursor: Cursor) -> str | None:
    if cursor.take_nil():
        return None
    delimiter = unquote(cursor.read(_DELIMITER, "a quoted character or NIL")[1])
    if not delimiter:
        cursor.quirks.append(Quirk.EMPTY_DELIMITER)
        return None
    return delimiter.decode("latin-1")


# --------------------------------------------------------------------------- other mailbox data


def _flags(cursor: Cursor) -> FlagsData:
    cursor.expect(b" ")
    return FlagsData(parse_flag_list(cursor))


def _search(cursor: Cursor) -> SearchData:
    found = cursor.match(_NUMBERS)
    text = b"" if found is None else found[0]
    # Digits and spaces alone: as JSON they are read three times as quickly as by int().
    array = "[" + text[1:].decode("ascii").replace(" ", ",") + "]"
    numbers = tuple(cast("list[int]", json.loads(array)))
    if numbers and max(numbers) > NUMBER_32:
        raise cursor.fail("message numbers below 2**32 before this")
    if cursor.match(_MOD_SEQ) is None:
        return SearchData(numbers)
    mod_seq = cursor.number(NUMBER_64)
    cursor.close_list()
    return SearchData(numbers, mod_seq)


def _esearch(cursor: Cursor) -> ESearchData:
    tag = None
    if cursor.take(b" ("):
        if cursor.keyword() != "TAG":
            raise cursor.fail("TAG before this")
        cursor.expect(b" ")
        tag = cursor.string().decode("utf-8", "backslashreplace")
        cursor.expect(b")")
    uid = False
    min = max = count = mod_seq = all = None
    others: list[tuple[str, Value]] = []
    while cursor.at(b" "):
        mark = cursor.mark()
        cursor.position += 1
        if cursor.at_end:
            cursor.reset(mark)
            break
        name = cursor.keyword()
        if name == "UID" and not uid:
            uid = True
            continue
        cursor.expect(b" ")
        if name == "MIN":
            min = cursor.number(minimum=1)
        elif name == "MAX":
            max = cursor.number(minimum=1)
        elif name == "COUNT":
            count = cursor.number()
        elif name == "MODSEQ":
            mod_seq = cursor.number(NUMBER_64)
        elif name == "ALL":
            found = cursor.read(_SET, "a sequence set")
            all = parse_sequence_set(found[0])
            if all is None:
                cursor.position = found.start()
                raise cursor.fail("a sequence set")
        else:
            others.append((name, cursor.value()))
    return ESearchData(tag, uid, min, max, all, count, mod_seq, tuple(others))


def _status(cursor: Cursor) -> StatusData:
    cursor.expect(b" ")
    mailbox = MailboxName(cursor.astring())
    items: list[tuple[StatusItem, int]] = []
    others: list[tuple[str, Value]] = []
    if cursor.at_end:
        cursor.quirks.append(Quirk.EMPTY_STATUS)
        return StatusData(mailbox)
    cursor.expect(b" (")
    while not cursor.at(b")") and not cursor.at(b" )"):
        if items or others:
            cursor.expect(b" ")
        name = cursor.keyword()
        cursor.expect(b" ")
        item = _STATUS_ITEMS.get(name)
        if item is None:
            others.append((name, cursor.value()))
        else:
            number = cursor.quantity()
            if item is StatusItem.UIDVALIDITY and not number:
                cursor.quirks.append(Quirk.ZERO_UIDVALIDITY)
            items.append((item, number))
    cursor.close_list()
    return StatusData(mailbox, tuple(items), tuple(others))


# ------------------------------------------------------------------------------- server data


def _capability(cursor: Cursor) -> CapabilityData:
    cursor.expect(b" ")
    return CapabilityData(parse_capabilities(cursor))


def _enabled(cursor: Cursor) -> EnabledData:
    if cursor.at_end or not cursor.take(b" ") or cursor.at_end:
        return EnabledData(())
    return EnabledData(parse_capabilities(cursor))


def _id(cursor: Cursor) -> IdData:
    cursor.expect(b" ")
    if cursor.take_nil():
        return IdData()
    cursor.expect(b"(")
    if cursor.take(b")"):
        cursor.quirks.append(Quirk.EMPTY_ID)
        return IdData()
    parameters: list[tuple[bytes, bytes | None]] = []
    while True:
        name = cursor.string()
        cursor.expect(b" ")
        parameters.append((name, cursor.nstring()))
        if not cursor.at(b" ") or cursor.at(b" )"):
            cursor.close_list()
            return IdData(parameters)
        cursor.expect(b" ")


def _namespace(cursor: Cursor) -> NamespaceData:
    kinds: list[tuple[NamespaceEntry, ...]] = []
    for _ in range(3):
        cursor.expect(b" ")
        kinds.append(_namespaces(cursor))
    return NamespaceData(*kinds)


def _namespaces(cursor: Cursor) -> tuple[NamespaceEntry, ...]:
    if cursor.take_nil():
        return ()
    cursor.expect(b"(")
    entries: list[NamespaceEntry] = []
    while not cursor.take(b")"):
        cursor.expect(b"(")
        prefix = MailboxName(cursor.string())
        cursor.expect(b" ")
        delimiter = _delimiter(cursor)
        extensions: list[tuple[bytes, tuple[bytes, ...]]] = []
        while cursor.take(b" "):
            name = cursor.string()
            cursor.expect(b" (")
            values = [cursor.string()]
            while cursor.take(b" "):
                values.append(cursor.string())
            cursor.expect(b")")
            extensions.append((name, tuple(values)))
        cursor.expect(b")")
        entries.append(NamespaceEntry(prefix, delimiter, tuple(extensions)))
    if not entries:
        cursor.quirks.append(Quirk.EMPTY_LIST)
    return tuple(entries)


_READERS: Final[dict[bytes, Callable[[Cursor], UntaggedData]]] = {
    b"CAPABILITY": _capability,
    b"ENABLED": _enabled,
    b"ESEARCH": _esearch,
    b"FLAGS": _flags,
    b"ID": _id,
    b"LIST": _list,
    b"LSUB": _lsub,
    b"NAMESPACE": _namespace,
    b"SEARCH": _search,
    b"STATUS": _status,
}
