"""FETCH responses: envelope, body structure, sections (RFC 3501 section 7.4.2).

A response with streamed literals comes as pieces: octets, and numbers where content is to follow.
Structures nest on an explicit stack.
"""

from __future__ import annotations

from typing import Final

from mailproto._core.strict import NUMBER_64
from mailproto.errors import LocalProtocolError
from mailproto.imap.body_structure import (
    BodyStructure,
    Disposition,
    MultiPart,
    Parameters,
    SinglePart,
)
from mailproto.imap.envelope import Address, Envelope
from mailproto.imap.fetch_item import FetchAtt, Section, SectionText
from mailproto.imap.responses import FetchData, SectionData
from mailproto.imap.serialize.responses_values import nstring, nstrings, string, value
from mailproto.imap.streamed import Streamed
from mailproto.imap.wire.strings import (
    as_astring,
    check_atom,
    check_literal,
    check_number,
    date_time_text,
    flag_list_text,
)

__all__ = ["fetch_data"]

_FLAG_LISTS: Final[dict[tuple[str, ...], bytes]] = {}
_REMEMBER: Final = 256


def fetch_data(response: FetchData) -> list[bytes | int]:
    """``* 12 FETCH (...)``; a number stands for so many octets of a streamed literal."""
    items: list[bytes] = []
    if response.uid is not None:
        items.append(b"UID " + check_number(response.uid, minimum=1))
    if response.flags is not None:
        items.append(b"FLAGS " + _flags(response.flags))
    if response.internal_date is not None:
        items.append(b"INTERNALDATE " + date_time_text(response.internal_date))
    if response.size is not None:
        items.append(b"RFC822.SIZE " + check_number(response.size, NUMBER_64))
    if response.mod_seq is not None:
        items.append(b"MODSEQ (%b)" % check_number(response.mod_seq, NUMBER_64))
    if response.envelope is not None:
        items.append(b"ENVELOPE " + envelope(response.envelope))
    if response.body is not None:
        items.append(b"BODY " + body_structure(response.body, extended=False))
    if response.body_structure is not None:
        items.append(b"BODYSTRUCTURE " + body_structure(response.body_structure, extended=True))
    items += [check_atom(name) + b" " + value(other) for name, other in response.others]
    pieces: list[bytes | int] = []
    text = b"* %b FETCH (" % check_number(response.number, minimum=1) + b" ".join(items)
    separator = b" " if items else b""
    for section in response.sections:
        text += separator + _section_name(section)
        separator = b" "
        data = section.data
        if isinstance(data, Streamed):
            pieces += (text + b"{%b}\r\n" % check_number(data.size, NUMBER_64), data.size)
            text = b""
        elif data is None:
            text += b"NIL"
        else:
            pieces += (text + b"{%d}\r\n" % len(data), data)
            text = b""
    if not items and not response.sections:
        raise LocalProtocolError("a FETCH response needs at least one item")
    return _joined([*pieces, text + b")\r\n"])


def _joined(pieces: list[bytes | int]) -> list[bytes | int]:
    """Octets that lie together as one."""
    result: list[bytes | int] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
        else:
            result += (b"".join(run), piece)
            run = []
    result.append(run[0] if len(run) == 1 else b"".join(run))
    return result


def _flags(flags: tuple[str, ...]) -> bytes:
    text = _FLAG_LISTS.get(flags)
    if text is None:
        text = flag_list_text(flags)
        if len(_FLAG_LISTS) >= _REMEMBER:
            _FLAG_LISTS.clear()
        _FLAG_LISTS[flags] = text
    return text


# -------------------------------------------------------------------------------------- sections

_ITEMS: Final = {
    FetchAtt.RFC822: b"RFC822 ",
    FetchAtt.RFC822_HEADER: b"RFC822.HEADER ",
    FetchAtt.RFC822_TEXT: b"RFC822.TEXT ",
}
_FIELD_TEXTS: Final = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def _section_name(data: SectionData) -> bytes:
    section = data.section
    if isinstance(section, FetchAtt):
        name = _ITEMS.get(section)
        if name is None or data.origin is not None:
            raise LocalProtocolError(f"no octets of {section.value} can be sent so")
        return name
    origin = b"" if data.origin is None else b"<%b>" % check_number(data.origin, NUMBER_64)
    return b"BODY[%b]%b " % (_section(section), origin)


def _section(section: Section) -> bytes:
    words = [check_number(number, minimum=1) for number in section.part]
    text = section.text
    if text is not None:
        words.append(text.value.encode("ascii"))
    name = b".".join(words)
    if (text in _FIELD_TEXTS) != bool(section.fields) or (
        text is SectionText.MIME and not section.part
    ):
        raise LocalProtocolError(f"not a section: {section!r}")
    if not section.fields:
        return name
    return name + b" (" + b" ".join([_field(field) for field in section.fields]) + b")"


def _field(name: bytes) -> bytes:
    plain = as_astring(name)
    return b"{%d}\r\n%b" % (len(name), check_literal(name)) if plain is None else plain


# -------------------------------------------------------------------------------------- envelope


def envelope(given: Envelope) -> bytes:
    """``envelope``."""
    from_ = _addresses(given.from_)
    # What is absent in the header is the same object as From, as a rule.
    sender = from_ if given.sender is given.from_ else _addresses(given.sender)
    reply_to = from_ if given.reply_to is given.from_ else _addresses(given.reply_to)
    date, subject, in_reply_to, message_id = nstrings(
        (given.date, given.subject, given.in_reply_to, given.message_id)
    )
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        date,
        subject,
        from_,
        sender,
        reply_to,
        _addresses(given.to),
        _addresses(given.cc),
        _addresses(given.bcc),
        in_reply_to,
        message_id,
    )


def _addresses(addresses: tuple[Address, ...]) -> bytes:
    if not addresses:
        return b"NIL"
    strings: list[bytes | None] = []
    for address in addresses:
        strings += (address.name, address.adl, address.mailbox, address.host)
    words = nstrings(strings)
    quads = [b"(%b)" % b" ".join(words[at : at + 4]) for at in range(0, len(words), 4)]
    return b"(" + b"".join(quads) + b")"


# ------------------------------------------------------------------------------- body structure


def body_structure(given: BodyStructure, *, extended: bool) -> bytes:
    """``body``; with its extension data if ``extended``."""
    out: list[bytes] = []
    stack: list[BodyStructure | bytes] = [given]
    while stack:
        item = stack.pop()
        if isinstance(item, bytes):
            out.append(item)
        elif isinstance(item, MultiPart):
            if not item.parts:
                raise LocalProtocolError("a multipart needs at least one part")
            stack.append(_after_parts(item, extended))
            stack.extend(reversed(item.parts))
            out.append(b"(")
        else:
            begin, inner, end = _single_part(item, extended)
            out.append(begin)
            stack.append(end)
            if inner is not None:
                stack.append(inner)
    return b"".join(out)


def _after_parts(part: MultiPart, extended: bool) -> bytes:
    text = b" " + string(part.subtype)
    if extended:
        text += b" %b %b %b %b" % (
            _parameters(part.parameters),
            _disposition(part.disposition),
            _languages(part.language),
            nstring(part.location),
        )
        text += b"".join([b" " + value(extension) for extension in part.extensions])
    return text + b")"


def _single_part(part: SinglePart, extended: bool) -> tuple[bytes, BodyStructure | None, bytes]:
    """What is before the body of a message/rfc822, that body, and what is behind it."""
    kind, subtype, id, description, encoding = nstrings(
        (part.media_type, part.subtype, part.id, part.description, part.encoding)
    )
    begin = b"(%b %b %b %b %b %b %b" % (
        kind,
        subtype,
        _parameters(part.parameters),
        id,
        description,
        encoding,
        check_number(part.octets, NUMBER_64),
    )
    media_type = part.media_type.upper()
    message = media_type == b"MESSAGE" and part.subtype.upper() == b"RFC822"
    if (part.lines is not None) != (message or media_type == b"TEXT") or not (
        (part.envelope is not None) == (part.body is not None) == message
    ):
        raise LocalProtocolError(
            "text has lines; message/rfc822 has lines, envelope and body; nothing else has them"
        )
    end = b"" if part.lines is None else b" " + check_number(part.lines, NUMBER_64)
    if extended:
        end += b" %b %b %b %b" % (
            nstring(part.md5),
            _disposition(part.disposition),
            _languages(part.language),
            nstring(part.location),
        )
        end += b"".join([b" " + value(extension) for extension in part.extensions])
    if part.envelope is not None:
        begin += b" " + envelope(part.envelope) + b" "
    return begin, part.body, end + b")"


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    strings: list[bytes | None] = []
    for pair in parameters:
        strings += pair
    return b"(" + b" ".join(nstrings(strings)) + b")"


def _disposition(disposition: Disposition | None) -> bytes:
    if disposition is None:
        return b"NIL"
    return b"(%b %b)" % (string(disposition.kind), _parameters(disposition.parameters))


def _languages(languages: tuple[bytes, ...]) -> bytes:
    if not languages:
        return b"NIL"
    if len(languages) == 1:
        return string(languages[0])
    return b"(" + b" ".join([string(language) for language in languages]) + b")"
