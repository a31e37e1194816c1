"""What FETCH asks for (RFC 3501 section 6.4.5): data items, body sections, macros.

A later extension adds a member to ``FetchAtt`` or a class to ``FetchItem`` (BINARY).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.imap.convert import octets

__all__ = [
    "WHOLE_MESSAGE",
    "BodySection",
    "FetchAtt",
    "FetchItem",
    "FetchMacro",
    "Section",
    "SectionText",
    "fetch_item_tuple",
]


class FetchAtt(enum.Enum):
    """Data items without an argument (``fetch-att``)."""

    BODY = "BODY"
    """The structure of the body, without extension data."""
    BODYSTRUCTURE = "BODYSTRUCTURE"
    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    RFC822 = "RFC822"
    RFC822_HEADER = "RFC822.HEADER"
    RFC822_SIZE = "RFC822.SIZE"
    RFC822_TEXT = "RFC822.TEXT"
    UID = "UID"


class FetchMacro(enum.Enum):
    """Macros; each stands alone in a FETCH."""

    ALL = "ALL"
    FAST = "FAST"
    FULL = "FULL"

    @property
    def items(self) -> tuple[FetchAtt, ...]:
        """The data items that the macro stands for."""
        fast = (FetchAtt.FLAGS, FetchAtt.INTERNALDATE, FetchAtt.RFC822_SIZE)
        if self is FetchMacro.FAST:
            return fast
        if self is FetchMacro.ALL:
            return (*fast, FetchAtt.ENVELOPE)
        return (*fast, FetchAtt.ENVELOPE, FetchAtt.BODY)


class SectionText(enum.Enum):
    """What of a message or part a section names (``section-text``)."""

    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    MIME = "MIME"
    TEXT = "TEXT"


def _octets_tuple(names: Iterable[str | bytes]) -> tuple[bytes, ...]:
    return tuple(map(octets, names))


@frozen
class Section:
    """A section specification: ``[]``, ``[1.2]``, ``[TEXT]``, ``[1.HEADER.FIELDS (To Cc)]``.

    ``text`` is ``None`` for the whole of the message or part. MIME needs a part.
    """

    part: tuple[int, ...] = ()
    text: SectionText | None = None
    fields: tuple[bytes, ...] = field(converter=_octets_tuple, default=())
    """Names of header fields, for the two HEADER.FIELDS texts only."""


WHOLE_MESSAGE: Final = Section()
"""``[]``."""


@frozen
class BodySection:
    r"""``BODY[section]<first.count>``; with ``peek`` it does not set ``\Seen``."""

    section: Section = WHOLE_MESSAGE
    peek: bool = False
    partial: tuple[int, int] | None = None
    """First octet (from 0) and the count of octets (at least 1)."""


FetchItem: TypeAlias = FetchAtt | BodySection


def fetch_item_tuple(
    value: FetchItem | FetchMacro | Iterable[FetchItem],
) -> tuple[FetchItem, ...] | FetchMacro:
    """The converter of commands: one item, several, or a macro."""
    if isinstance(value, FetchMacro):
        return value
    return (value,) if isinstance(value, (FetchAtt, BodySection)) else tuple(value)
