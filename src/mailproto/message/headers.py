"""The header of a message or part as fields with their offsets in the message, nothing lost.

A line ends in CRLF or, in mail that went through less careful hands, in LF. A line that is no
field and continues none is skipped; it stays in the octets that HEADER sections give out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.message.lexical import unfold

__all__ = ["Field", "Header"]

# field = field-name ":" unstructured CRLF (RFC 5322 section 2.2), blanks before the colon allowed
# by its obsolete syntax (section 4.5)
_FIELD: Final = re.compile(rb"^([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?", re.MULTILINE)
_BLANK: Final = re.compile(rb"\r?\n")


@frozen
class Field:
    """One header field."""

    name: bytes
    """The field name as spelt."""
    body: bytes
    """The octets behind the colon, folding included, without the last line end."""
    start: int
    """Offset in the message of the name's first octet."""
    end: int
    """Offset in the message behind the field's last line end."""

    @property
    def value(self) -> bytes:
        """The body on one line, without blanks around it."""
        return unfold(self.body)


@frozen
class Header:
    """The header of a message or of a part: its fields in order.

    ``start`` and ``end`` are offsets in the message; the header ends behind its blank line.
    ``blank`` is the offset of the blank line, equal to ``end`` where there is none.
    """

    start: int
    blank: int
    end: int
    fields: tuple[Field, ...]

    @classmethod
    def parse(cls, data: bytes, start: int = 0) -> Header:
        """The header that ``data``, found at offset ``start``, begins with.

        ``data`` ends where the header ends, with or without the blank line.
        """
        blank = len(data)
        if data.endswith((b"\n\r\n", b"\n\n")) or _BLANK.fullmatch(data):
            blank -= 2 if data.endswith(b"\r\n") else 1
        return cls(start, start + blank, start + len(data), parse_fields(data[:blank], start))

    def all(self, name: bytes) -> Iterator[Field]:
        """Every field of that name, in order; upper and lower case are the same."""
        lower = name.lower()
        size = len(lower)
        for field in self.fields:
            if len(field.name) == size and field.name.lower() == lower:
                yield field

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field of that name, on one line, or ``None``."""
        for field in self.all(name):
            return field.value
        return None

    def ranges(
        self, names: Collection[bytes], *, exclude: bool = False
    ) -> tuple[tuple[int, int], ...]:
        """Offsets of the fields named, or of all the rest, and of the blank line behind them.

        This is HEADER.FIELDS and HEADER.FIELDS.NOT of RFC 3501 section 6.4.5, octet for octet.
        """
        wanted = {name.lower() for name in names}
        chosen = ((f.start, f.end) for f in self.fields if f.name.lower() in wanted)
        if not exclude:
            return joined([*chosen, (self.blank, self.end)])
        result, at = list[tuple[int, int]](), self.start
        for start, end in chosen:
            result.append((at, start))
            at = end
        return joined([*result, (at, self.end)])


def parse_fields(data: bytes, start: int = 0) -> tuple[Field, ...]:
    """The fields among the lines of ``data``, found at offset ``start`` of a message."""
    result = list[Field]()
    for found in _FIELD.finditer(data):
        body = found[2]
        result.append(
            Field(
                found[1],
                body[:-1] if body.endswith(b"\r") else body,
                start + found.start(),
                start + found.end(),
            )
        )
    return tuple(result)


def joined(ranges: Collection[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same ascending ranges, neighbours made one and empty ones left out."""
    result = list[tuple[int, int]]()
    for start, end in ranges:
        if start == end:
            continue
        if result and result[-1][1] == start:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return tuple(result)
