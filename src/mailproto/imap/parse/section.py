"""Sections of a message (RFC 3501 section 9: ``section``), as commands and responses name them."""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.strict import NUMBER_32
from mailproto.imap.fetch_item import WHOLE_MESSAGE, Section, SectionText
from mailproto.imap.wire.cursor import Cursor

__all__ = ["parse_section"]

_PART: Final = re.compile(rb"([1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+)(\.?)")
_SECTION_TEXT: Final = re.compile(rb"[A-Za-z.]+")
_SECTION_TEXTS: Final = {text.value.encode("ascii"): text for text in SectionText}


def parse_section(cursor: Cursor) -> Section:
    """Read a section and the "]" behind it: ``1.2.MIME]``, ``HEADER.FIELDS (To)]``, ``]``."""
    if cursor.take(b"]"):
        return WHOLE_MESSAGE
    part: tuple[int, ...] = ()
    found = cursor.match(_PART)
    if found is not None:
        part = tuple(map(int, found[1].split(b".")))
        if max(part) > NUMBER_32:
            raise cursor.fail("a part number before this")
        if not found[2]:
            cursor.expect(b"]")
            return Section(part)
    word = cursor.read(_SECTION_TEXT, "a section")
    text = _SECTION_TEXTS.get(word[0].upper())
    if text is None or (text is SectionText.MIME and not part):
        cursor.position = word.start()
        raise cursor.fail("a section")
    fields: list[bytes] = []
    if text is SectionText.HEADER_FIELDS or text is SectionText.HEADER_FIELDS_NOT:
        cursor.expect(b" (")
        fields.append(cursor.astring())
        while cursor.take(b" "):
            fields.append(cursor.astring())
        cursor.expect(b")")
    cursor.expect(b"]")
    return Section(part, text, fields)
