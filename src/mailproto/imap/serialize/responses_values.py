"""Strings and values in what a server says: quoted where that is possible, else as literals.

A server's literals never wait for anything, so that every string is written in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mailproto._core.strict import NUMBER_64
from mailproto.errors import LocalProtocolError
from mailproto.imap.value import Value
from mailproto.imap.wire.strings import as_quoted, check_literal, check_number

__all__ = ["nstring", "nstrings", "string", "value"]

_NOT_PLAIN: Final = re.compile(rb'[\x00\r\n"\\\x80-\xff]')
_TOGETHER: Final = 4000


def string(octets: bytes) -> bytes:
    """``string``."""
    quoted = as_quoted(octets)
    return b"{%d}\r\n%b" % (len(octets), check_literal(octets)) if quoted is None else quoted


def nstring(octets: bytes | None) -> bytes:
    """``nstring``."""
    return b"NIL" if octets is None else string(octets)


def nstrings(strings: Sequence[bytes | None]) -> list[bytes]:
    """Each as ``nstring``; one search tells that nothing needs quoting, as is usual."""
    together = b"".join([octets for octets in strings if octets])
    if len(together) < _TOGETHER and _NOT_PLAIN.search(together) is None:
        return [b"NIL" if octets is None else b'"' + octets + b'"' for octets in strings]
    return [b"NIL" if octets is None else string(octets) for octets in strings]


# An extension's word: more than an atom, because servers have their own ideas (``\Sent``).
_WORD: Final = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"]+|\\\*')
_NOT_A_WORD: Final = re.compile(r"[0-9]+|NIL", re.IGNORECASE)


def value(given: Value) -> bytes:
    """A value of extension data, whatever its kind; lists nest on an explicit stack."""
    out: list[bytes] = []
    stack: list[Value | _Close] = [given]
    separate = False
    while stack:
        item = stack.pop()
        if item is _CLOSE:
            out.append(b")")
            separate = True
            continue
        if separate:
            out.append(b" ")
        separate = True
        if item is None:
            out.append(b"NIL")
        elif isinstance(item, int):
            out.append(check_number(item, NUMBER_64))
        elif isinstance(item, bytes):
            out.append(string(item))
        elif isinstance(item, str):
            if _WORD.fullmatch(item) is None or _NOT_A_WORD.fullmatch(item) is not None:
                raise LocalProtocolError(f"not an atom: {item[:64]!r}")
            out.append(item.encode("ascii"))
        elif isinstance(item, tuple):
            out.append(b"(")
            stack.append(_CLOSE)
            stack.extend(reversed(item))
            separate = False
        else:
            raise LocalProtocolError(f"not a value: {item!r}")
    return b"".join(out)


class _Close:
    """Marks on the stack where a list ends."""


_CLOSE: Final = _Close()
