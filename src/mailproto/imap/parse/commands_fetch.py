r"""What FETCH asks for, read from the wire (``fetch-att``, ``section``; RFC 3501 section 9).

Clients ask for the same items over and over, so that whole lists are remembered, up to a bound.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from mailproto._core.strict import NUMBER_32, NUMBER_64, number
from mailproto.imap.fetch_item import (
    BodySection,
    FetchAtt,
    FetchItem,
    FetchMacro,
    Section,
    SectionText,
)
from mailproto.imap.parse.memo import remember
from mailproto.imap.wire.cursor import Cursor

__all__ = ["fetch_items", "remembered_items"]

Items: TypeAlias = "tuple[FetchItem, ...] | FetchMacro"

_ITEM: Final = re.compile(rb"BODY(\.PEEK)?\[|([A-Z0-9.]+)(?=[ )]|$)", re.IGNORECASE)
_SECTION: Final = re.compile(
    rb"([0-9]+(?:\.[0-9]+)*+)?(\.(?=[A-Z]))?"
    rb"(HEADER\.FIELDS(?:\.NOT)?(?= )|HEADER|TEXT|MIME)?",
    re.IGNORECASE,
)
_PARTIAL: Final = re.compile(rb"<([0-9]+)\.([0-9]+)>")

_ATTRIBUTES: Final = {item.value.encode("ascii"): item for item in FetchAtt}
_MACROS: Final = {macro.value.encode("ascii"): macro for macro in FetchMacro}
_TEXTS: Final = {text.value.encode("ascii"): text for text in SectionText}

_MEMO: Final[dict[bytes, Items]] = {}


def remembered_items(text: bytes) -> Items | None:
    """What ``text`` asks for, if it was read not long ago."""
    return _MEMO.get(text)


def fetch_items(cursor: Cursor) -> Items:
    """Read everything that follows the sequence set, up to the end of the command."""
    text = cursor.rest
    known = _MEMO.get(text)
    if known is not None:
        cursor.position = len(cursor.text)
        return known
    items = _items(cursor)
    cursor.end()
    if b"{" not in text:
        remember(_MEMO, text, items)
    return items


def _items(cursor: Cursor) -> Items:
    if not cursor.take(b"("):
        start = cursor.position
        found = cursor.match(_ITEM)
        macro = _MACROS.get(found[2].upper()) if found and found[2] else None
        if macro is not None:
            return macro
        cursor.position = start
        return (_item(cursor),)
    items = [_item(cursor)]
    while not cursor.take(b")"):
        cursor.expect(b" ")
        items.append(_item(cursor))
    return tuple(items)


def _item(cursor: Cursor) -> FetchItem:
    start = cursor.position
    found = cursor.read(_ITEM, "a data item of FETCH")
    name = found[2]
    if name is not None:
        attribute = _ATTRIBUTES.get(name.upper())
        if attribute is None:
            cursor.position = start
            raise cursor.fail("a data item of FETCH")
        return attribute
    section = _section(cursor)
    cursor.expect(b"]")
    return BodySection(section, found[1] is not None, _partial(cursor))


def _section(cursor: Cursor) -> Section:
    start = cursor.position
    found = cursor.read(_SECTION, "a section")
    numbers, dot, name = found.groups()
    part: tuple[int, ...] = ()
    if numbers is not None:
        values = [number(digits, NUMBER_32, minimum=1) for digits in numbers.split(b".")]
        part = tuple([value for value in values if value is not None])
        if len(part) < len(values):
            cursor.position = start
            raise cursor.fail("part numbers from 1 to 4294967295")
    # A dot stands between part numbers and a text, and nowhere else; MIME is of a part only.
    text = None if name is None else _TEXTS[name.upper()]
    joined = part and text is not None
    if bool(dot) != bool(joined) or (text is SectionText.MIME and not part):
        cursor.position = start
        raise cursor.fail("a section")
    if text not in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        return Section(part, text)
    cursor.expect(b" (")
    fields = [cursor.astring()]
    while not cursor.take(b")"):
        cursor.expect(b" ")
        fields.append(cursor.astring())
    return Section(part, text, tuple(fields))


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    if not cursor.at(b"<"):
        return None
    start = cursor.position
    found = cursor.read(_PARTIAL, "<first.count>")
    origin = number(found[1], NUMBER_64)
    count = number(found[2], NUMBER_64, minimum=1)
    if origin is None or count is None:
        cursor.position = start
        raise cursor.fail("<first.count> with a count of at least 1")
    return origin, count
