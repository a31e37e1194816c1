"""FETCH responses (RFC 3501 section 9: ``message-data``, ``msg-att``).

Numbers, flags and dates, which most responses are made of, are read by one pattern however they
are ordered; what it does not match is read item by item. If an item comes twice the last counts.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from mailproto._core.strict import NUMBER_64, date_time, number
from mailproto.imap.body_structure import BodyStructure
from mailproto.imap.envelope import Envelope
from mailproto.imap.fetch_item import FetchAtt, Section
from mailproto.imap.flags import canonical_flag
from mailproto.imap.parse.body import parse_body, parse_envelope
from mailproto.imap.parse.memo import remember
from mailproto.imap.parse.section import parse_section
from mailproto.imap.quirks import Quirk
from mailproto.imap.responses import FetchData, SectionData
from mailproto.imap.value import Value
from mailproto.imap.wire.cursor import ATOM, Cursor

__all__ = [
    "known_flags",
    "parse_fetch",
    "parse_flag_list",
    "pending_section",
    "usual_fetch",
]

# Any number of msg-att of the usual kinds, each with the space behind it or before the ")".
_USUAL_ITEMS: Final = (
    rb"(?:(?:UID ([1-9][0-9]{0,8})"
    rb'|FLAGS \(([^()"{]*+)\)'
    rb'|INTERNALDATE "([^"]{26})"'
    rb"|RFC822\.SIZE ([0-9]{1,18})"
    rb"|MODSEQ \(([0-9]{1,18})\)"
    rb")(?: (?!\))|(?=\))))++"
)
_USUAL: Final = re.compile(_USUAL_ITEMS)
_WHOLE: Final = re.compile(rb"\* ([1-9][0-9]{0,8}) FETCH \(" + _USUAL_ITEMS + rb"\)")
_NAME: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.\-_]*")
_FLAG: Final = rb"(?:\\?" + ATOM + rb"|\\\*)"
_FLAGS: Final = re.compile(rb"(?:" + _FLAG + rb"(?: " + _FLAG + rb")*+)?")
_LOOSE_FLAG: Final = re.compile(rb"[^\x00-\x20\x7f()\"{]+")
_QUOTED_DATE: Final = re.compile(rb'"([^"]{1,40})"')
_ORIGIN: Final = re.compile(rb"<([0-9]{1,19})>")


_known_flags: dict[bytes, tuple[str, ...]] = {}


_Scalars: TypeAlias = tuple[
    int | None, tuple[str, ...] | None, datetime.datetime | None, int | None, int | None
]


def parse_fetch(cursor: Cursor, sequence_number: int, *, usual: bool = True) -> FetchData:
    """Read what follows ``* n FETCH ``; without ``usual`` by the general readers alone."""
    cursor.expect(b"(")
    items = _Items(cursor, usual=usual)
    items.read()
    cursor.close_list()
    return items.response(sequence_number)


def usual_fetch(line: bytes) -> FetchData | None:
    """A whole response of nothing but the usual items; ``None`` if it is another."""
    found = _WHOLE.fullmatch(line)
    if found is None:
        return None
    sequence_number, uid, flags, date, size, mod_seq = found.groups()
    known = when = None
    if flags is not None:
        known = _known_flags.get(flags)
        if known is None:
            known = known_flags(flags)
            if known is None:
                return None
    if date is not None:
        when = date_time(date)
        if when is None:
            return None
    return FetchData(
        int(sequence_number),
        None if uid is None else int(uid),
        known,
        when,
        None if size is None else int(size),
        None,
        None,
        None,
        (),
        None if mod_seq is None else int(mod_seq),
    )


def known_flags(text: bytes) -> tuple[str, ...] | None:
    """The flags in the inside of a ``flag-list``; ``None`` if ``text`` is not that."""
    known = _known_flags.get(text)
    if known is None and _FLAGS.fullmatch(text) is not None:
        known = tuple([canonical_flag(flag.decode("ascii")) for flag in text.split()])
        remember(_known_flags, text, known)
    return known


def pending_section(cursor: Cursor) -> tuple[int | None, Section | FetchAtt] | None:
    """UID if told, and section, of the literal whose header ends the text that has come so far.

    ``None`` if that literal is not a section of a message.
    """
    cursor.expect(b"(")
    items = _Items(cursor, usual=True)
    items.read()
    if not cursor.at_end or not items.sections or items.sections[-1].data.__class__ is bytes:
        return None
    return items.uid, items.sections[-1].section


def _scalars(cursor: Cursor, found: re.Match[bytes]) -> _Scalars:
    """The values of what ``_USUAL`` has matched; an item that did not come is ``None``."""
    uid, flags, date, size, mod_seq = found.groups()
    known = when = None
    if flags is not None:
        known = _known_flags.get(flags)
        if known is None:
            cursor.position = found.start(2) - 1
            known = parse_flag_list(cursor)
    if date is not None:
        when = date_time(date)
        if when is None:
            cursor.position = found.start(3)
            raise cursor.fail("a date and time")
    return (
        None if uid is None else int(uid),
        known,
        when,
        None if size is None else int(size),
        None if mod_seq is None else int(mod_seq),
    )


class _Items:
    """The items of one response while they are read."""

    __slots__ = (
        "_body",
        "_body_structure",
        "_cursor",
        "_envelope",
        "_flags",
        "_mod_seq",
        "_others",
        "_size",
        "_usual",
        "_when",
        "sections",
        "uid",
    )

    def __init__(self, cursor: Cursor, *, usual: bool) -> None:
        self._cursor = cursor
        self._usual = usual
        self.uid: int | None = None
        self._flags: tuple[str, ...] | None = None
        self._when: datetime.datetime | None = None
        self._size: int | None = None
        self._envelope: Envelope | None = None
        self._body: BodyStructure | None = None
        self._body_structure: BodyStructure | None = None
        self.sections: list[SectionData] = []
        self._mod_seq: int | None = None
        self._others: list[tuple[str, Value]] = []

    def response(self, sequence_number: int) -> FetchData:
        """The response that has these items."""
        return FetchData(
            sequence_number,
            self.uid,
            self._flags,
            self._when,
            self._size,
            self._envelope,
            self._body,
            self._body_structure,
            tuple(self.sections),
            self._mod_seq,
            tuple(self._others),
        )

    def read(self) -> None:
        """Read up to the ")", or to the end of a text that is not yet whole."""
        cursor = self._cursor
        if cursor.at(b")"):
            return
        while True:
            if self._usual:
                found = cursor.match(_USUAL)
                if found is not None:
                    self._keep(_scalars(cursor, found))
                    cursor.position = found.end()
                    if cursor.at(b")"):
                        return
            name = cursor.read(_NAME, "a data item")[0].decode("ascii").upper()
            reader = _READERS.get(name)
            if reader is not None:
                reader(self)
            else:
                cursor.expect(b" ")
                self._others.append((name, cursor.value()))
            if not cursor.at(b" ") or cursor.at(b" )"):
                return
            cursor.position += 1

    def _keep(self, scalars: _Scalars) -> None:
        uid, flags, when, size, mod_seq = scalars
        if uid is not None:
            self.uid = uid
        if flags is not None:
            self._flags = flags
        if when is not None:
            self._when = when
        if size is not None:
            self._size = size
        if mod_seq is not None:
            self._mod_seq = mod_seq

    def _read_uid(self) -> None:
        self._cursor.expect(b" ")
        self.uid = self._cursor.number(minimum=1)

    def _read_flags(self) -> None:
        self._cursor.expect(b" ")
        self._flags = parse_flag_list(self._cursor)

    def _read_internal_date(self) -> None:
        cursor = self._cursor
        cursor.expect(b" ")
        start = cursor.position
        self._when = date_time(cursor.read(_QUOTED_DATE, "a date and time")[1])
        if self._when is None:
            cursor.position = start
            raise cursor.fail("a date and time")

    def _read_size(self) -> None:
        self._cursor.expect(b" ")
        self._size = self._cursor.quantity()

    def _read_mod_seq(self) -> None:
        cursor = self._cursor
        cursor.expect(b" (")
        self._mod_seq = cursor.number(NUMBER_64)
        cursor.close_list()

    def _read_envelope(self) -> None:
        self._cursor.expect(b" ")
        self._envelope = parse_envelope(self._cursor, usual=self._usual)

    def _read_body_structure(self) -> None:
        self._cursor.expect(b" ")
        self._body_structure = parse_body(self._cursor, usual=self._usual)

    def _read_body(self) -> None:
        cursor = self._cursor
        if cursor.take(b" "):
            self._body = parse_body(cursor, usual=self._usual)
            return
        cursor.expect(b"[")
        section = parse_section(cursor)
        found = cursor.match(_ORIGIN)
        origin = None
        if found is not None:
            origin = number(found[1], NUMBER_64)
            if origin is None:
                raise cursor.fail("a number before this")
        cursor.expect(b" ")
        self.sections.append(SectionData(section, cursor.nstring_or_streamed(), origin))

    def _read_rfc822(self) -> None:
        self._read_text(FetchAtt.RFC822)

    def _read_rfc822_header(self) -> None:
        self._read_text(FetchAtt.RFC822_HEADER)

    def _read_rfc822_text(self) -> None:
        self._read_text(FetchAtt.RFC822_TEXT)

    def _read_text(self, item: FetchAtt) -> None:
        self._cursor.expect(b" ")
        self.sections.append(SectionData(item, self._cursor.nstring_or_streamed()))

    READERS: ClassVar[dict[str, Callable[[_Items], None]]] = {
        "UID": _read_uid,
        "FLAGS": _read_flags,
        "INTERNALDATE": _read_internal_date,
        "RFC822.SIZE": _read_size,
        "MODSEQ": _read_mod_seq,
        "ENVELOPE": _read_envelope,
        "BODYSTRUCTURE": _read_body_structure,
        "BODY": _read_body,
        "RFC822": _read_rfc822,
        "RFC822.HEADER": _read_rfc822_header,
        "RFC822.TEXT": _read_rfc822_text,
    }


_READERS: Final = _Items.READERS


def parse_flag_list(cursor: Cursor) -> tuple[str, ...]:
    """Read ``flag-list``, with the characters that some servers allow beyond the grammar."""
    cursor.expect(b"(")
    start = cursor.position
    found = _FLAGS.match(cursor.text, start)
    if found is not None and cursor.text[found.end() : found.end() + 1] == b")":
        cursor.position = found.end() + 1
        known = known_flags(found[0])
        assert known is not None
        return known
    flags: list[str] = []
    while not cursor.at(b")") and not cursor.at(b" )"):
        if flags:
            cursor.expect(b" ")
        flag = cursor.read(_LOOSE_FLAG, "a flag")[0]
        if _FLAGS.fullmatch(flag) is None and Quirk.FLAG_CHARACTERS not in cursor.quirks:
            cursor.quirks.append(Quirk.FLAG_CHARACTERS)
        flags.append(canonical_flag(flag.decode("utf-8", "backslashreplace")))
    cursor.close_list()
    return tuple(flags)
