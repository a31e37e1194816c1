"""Sections of a message by their IMAP names (RFC 3501 section 6.4.5), as ranges of offsets.

``BODY[1.2.HEADER.FIELDS (To)]`` is ``section(found, (1, 2), SectionText.HEADER_FIELDS, [b"To"])``.
No octet is made up: what a section sends is what lies in its ranges.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence

from mailproto._core.frozen import frozen
from mailproto.message.headers import joined
from mailproto.message.indexing import Index, Part

__all__ = ["Section", "SectionText", "find_part", "section"]


class SectionText(enum.Enum):
    """What of a part a section means (``section-text`` of RFC 3501 section 9)."""

    ALL = ""
    """The body of the part; without part numbers the whole message."""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@frozen
class Section:
    """Ranges ``(start, end)`` of the message, ascending; what they hold together is the section."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Octets in all."""
        return sum(end - start for start, end in self.ranges)

    def partial(self, origin: int, count: int) -> Section:
        """At most ``count`` octets from ``origin`` on, as ``BODY[...]<origin.count>`` asks."""
        result = list[tuple[int, int]]()
        for start, end in self.ranges:
            size = end - start
            first, last = min(origin, size), min(origin + count, size)
            result.append((start + first, start + last))
            origin -= first
            count -= last - first
        return Section(joined(result))

    def of(self, data: bytes) -> bytes:
        """The section of the message ``data``."""
        return b"".join(data[start:end] for start, end in self.ranges)


def find_part(index: Index, numbers: Sequence[int]) -> Part | None:
    """The part of those numbers, ``None`` where there is none; no number is the message.

    Part 1 of a message that is no multipart is its body: the same ``Part`` as the message.
    """
    part, message = index.root, True
    for number in numbers:
        if not message and part.message is not None:
            part, message = part.message, True
        if part.content_type.multipart:
            if not 1 <= number <= len(part.parts):
                return None
            part = part.parts[number - 1]
        elif not message or number != 1:
            return None
        message = False
    return part


def section(
    index: Index,
    numbers: Sequence[int] = (),
    text: SectionText = SectionText.ALL,
    fields: Collection[bytes] = (),
) -> Section | None:
    """Where that section lies; ``None`` for one that the message does not have.

    HEADER and TEXT of a part exist where it is a message/rfc822; MIME needs a part number.
    ``fields`` are the names for HEADER.FIELDS and HEADER.FIELDS.NOT.
    """
    part = find_part(index, numbers)
    if part is None:
        return None
    if text is SectionText.ALL:
        return Section(joined([(part.body if numbers else part.start, part.end)]))
    if text is SectionText.MIME:
        return Section(joined([(part.start, part.body)])) if numbers else None
    message = part.message if numbers else part
    if message is None:
        return None
    if text is SectionText.TEXT:
        return Section(joined([(message.body, message.end)]))
    if text is SectionText.HEADER:
        return Section(joined([(message.start, message.body)]))
    exclude = text is SectionText.HEADER_FIELDS_NOT
    return Section(message.header.ranges(fields, exclude=exclude))
