"""Status responses and continuations (RFC 3501 section 9: ``resp-text``, ``resp-text-code``).

A code that is not what its name promises is kept as ``Code`` with its argument as it stood: the
word before it (OK, NO, BAD) is what a command waits for, and must not be lost over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mailproto._core.strict import NUMBER_64
from mailproto.imap.capability import Capabilities
from mailproto.imap.parse.fetch import parse_flag_list
from mailproto.imap.quirks import Quirk
from mailproto.imap.response_code import (
    NUMBER_CODES,
    AppendUid,
    BadCharset,
    CapabilityCode,
    Code,
    CopyUid,
    NumberCode,
    PermanentFlags,
    ResponseCode,
)
from mailproto.imap.sequence_set import SequenceSet, parse_sequence_set
from mailproto.imap.wire.cursor import Cursor, Malformed

__all__ = ["code_is_open", "parse_capabilities", "parse_text"]

_CODE: Final = re.compile(rb"\[([^\x00-\x20\x7f-\xff(){%*\"\\\]]+)( ?)")
_UNKNOWN: Final = re.compile(rb"[^\]\r\n]*")
_CLOSED: Final = re.compile(rb'(?:[^"\]]++|"(?:[^"\\]++|\\.)*+(?:"|\Z))*+\]', re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CAPABILITY: Final = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_SET: Final = re.compile(rb"[0-9:,]+")


def parse_text(cursor: Cursor) -> tuple[str, ResponseCode | None]:
    """Read ``resp-text`` up to the end: the text for people, and the code if there is one."""
    code = None
    if cursor.at(b"["):
        code = _code(cursor)
        if code is not None:
            if cursor.at_end or (cursor.at(b" ") and cursor.position + 1 == len(cursor.text)):
                cursor.quirks.append(Quirk.MISSING_TEXT)
            cursor.take(b" ")
    elif cursor.at_end:
        cursor.quirks.append(Quirk.MISSING_TEXT)
    text = cursor.rest.decode("utf-8", "backslashreplace")
    cursor.position = len(cursor.text)
    if not text.isprintable():
        text = _CONTROL.sub(_escape, text)
    return text, code


def _escape(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def _code(cursor: Cursor) -> ResponseCode | None:
    start = cursor.position
    found = cursor.match(_CODE)
    if found is None:
        return None
    name = found[1].decode("ascii").upper()
    reader = _READERS.get(name)
    argument = cursor.position
    quirks = len(cursor.quirks)
    if reader is not None and found[2]:
        mark = cursor.mark()
        try:
            code = reader(cursor, name)
            if cursor.at(b" ]"):
                cursor.quirks.append(Quirk.TRAILING_SPACE)
                cursor.position += 1
            cursor.expect(b"]")
            return code
        except Malformed:
            cursor.reset(mark)
            del cursor.quirks[quirks:]
    cursor.position = argument
    raw = cursor.read(_UNKNOWN, "a code")[0]
    if not cursor.take(b"]"):
        cursor.position = start
        return None
    return Code(name, raw or None)


def _number(cursor: Cursor, name: str) -> ResponseCode:
    value = cursor.number(NUMBER_64)
    if name == "UIDVALIDITY" and not value:
        cursor.quirks.append(Quirk.ZERO_UIDVALIDITY)
    return NumberCode(name, value)


def _permanent_flags(cursor: Cursor, name: str) -> ResponseCode:
    return PermanentFlags(parse_flag_list(cursor))


def parse_capabilities(cursor: Cursor) -> Capabilities:
    """Read names with one space between them."""
    names = [cursor.read(_CAPABILITY, "a capability")[0].decode("ascii")]
    while cursor.take(b" "):
        found = cursor.match(_CAPABILITY)
        if found is None:
            cursor.position -= 1
            break
        names.append(found[0].decode("ascii"))
    return Capabilities(names)


def _capability(cursor: Cursor, name: str) -> ResponseCode:
    return CapabilityCode(parse_capabilities(cursor))


def _bad_charset(cursor: Cursor, name: str) -> ResponseCode:
    cursor.expect(b"(")
    charsets = [cursor.astring()]
    while cursor.take(b" "):
        charsets.append(cursor.astring())
    cursor.expect(b")")
    return BadCharset(tuple(charsets))


def _uid_set(cursor: Cursor) -> SequenceSet:
    found = cursor.read(_SET, "a set of UIDs")
    uids = parse_sequence_set(found[0])
    if uids is None:
        cursor.position = found.start()
        raise cursor.fail("a set of UIDs")
    return uids


def _append_uid(cursor: Cursor, name: str) -> ResponseCode:
    uid_validity = cursor.number(minimum=1)
    cursor.expect(b" ")
    return AppendUid(uid_validity, _uid_set(cursor))


def _copy_uid(cursor: Cursor, name: str) -> ResponseCode:
    uid_validity = cursor.number(minimum=1)
    cursor.expect(b" ")
    source = _uid_set(cursor)
    cursor.expect(b" ")
    return CopyUid(uid_validity, source, _uid_set(cursor))


_READERS: Final[dict[str, Callable[[Cursor, str], ResponseCode]]] = {
    **dict.fromkeys(NUMBER_CODES, _number),
    "APPENDUID": _append_uid,
    "BADCHARSET": _bad_charset,
    "CAPABILITY": _capability,
    "COPYUID": _copy_uid,
    "PERMANENTFLAGS": _permanent_flags,
}


def code_is_open(text: bytes) -> bool:
    """Whether a bracket is open at the end of ``text``: the rest of a line behind OK, NO and BAD.

    Only then does ``{n}`` at the end announce a literal; elsewhere it is text for people. A
    literal may come inside of a code only.
    """
    return _CLOSED.match(text) is None
