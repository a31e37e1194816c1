r"""What FETCH asks for, read from the wire (``fetch-att``, ``section``; RFC 3501 section 9).

Clients ask for the same items over and over, so that whole lists are remembered, up to a bound.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from mailproto._core.strict import NUMBER_64, number
from mailproto.imap.fetch_item import (
    BodySection,
    FetchAtt,
    FetchItem,
    FetchMacro,
)
from mailproto.imap.parse.memo import remember
from mailproto.imap.parse.section import parse_section
from mailproto.imap.wire.cursor import Cursor

__all__ = ["fetch_items", "remembered_items"]

Items: TypeAlias = "tuple[FetchItem, ...] | FetchMacro"

_ITEM: Final = re.compile(rb"BODY(\.PEEK)?\[|([A-Z0-9.]+)(?=[ )]|$)", re.IGNORECASE)
_PARTIAL: Final = re.compile(rb"<([0-9]+)\.([0-9]+)>")

_ATTRIBUTES: Final = {item.value.encode("ascii"): item for item in FetchAtt}
_MACROS: Final = {macro.value.encode("ascii"): macro for macro in FetchMacro}

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
    section = parse_section(cursor)
    return BodySection(section, found[1] is not None, _partial(cursor))


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
