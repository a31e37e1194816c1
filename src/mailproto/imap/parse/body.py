"""ENVELOPE and BODYSTRUCTURE (RFC 3501 section 9: ``envelope``, ``body``).

Usual shapes are read by one pattern each, everything else by the reader behind it; both give the
same values, which a test holds them to. Nesting is a stack of parts, never recursion.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from mailproto._core.frozen import frozen
from mailproto.imap.body_structure import (
    BodyStructure,
    Disposition,
    MultiPart,
    Parameters,
    SinglePart,
)
from mailproto.imap.envelope import Address, Envelope
from mailproto.imap.parse.memo import remember
from mailproto.imap.quirks import Quirk
from mailproto.imap.value import Value
from mailproto.imap.wire.cursor import Cursor

__all__ = ["parse_addresses", "parse_body", "parse_envelope"]

# Strings of the usual shape: quoted without a backslash, or NIL.
_NSTRING: Final = rb'(?:"([^"\\\r\n\x00]*+)"|NIL)'
_PLAIN: Final = rb'(?:"[^"\\\r\n\x00]*+"|NIL)'
_ADDRESS: Final = rb"\(" + rb" ".join([_NSTRING] * 4) + rb"\)"
_ADDRESSES: Final = rb"(NIL|\((?:\(" + rb" ".join([_PLAIN] * 4) + rb"\))++\))"
_PAIR: Final = rb'"[^"\\\r\n\x00]*+" "[^"\\\r\n\x00]*+"'
_PARAMETERS: Final = rb"(?:\((" + _PAIR + rb"(?: " + _PAIR + rb")*+)\)|NIL)"

# envelope
_ENVELOPE: Final = re.compile(
    rb"\(" + b" ".join([_NSTRING] * 2 + [_ADDRESSES] * 6 + [_NSTRING] * 2) + rb"\)"
)
# address
_ONE_ADDRESS: Final = re.compile(_ADDRESS)
# body-type-1part without message/rfc822; body-ext-1part as far as the location
_SINGLE: Final = re.compile(
    rb'\("([^"\\\r\n\x00]*+)" "([^"\\\r\n\x00]*+)" '
    + _PARAMETERS
    + b" "
    + _NSTRING
    + b" "
    + _NSTRING
    + rb' "([^"\\\r\n\x00]*+)" ([0-9]{1,18})(?: ([0-9]{1,18}))?'
    + rb"(?: "
    + _NSTRING
    + rb'(?: (?:NIL|\("([^"\\\r\n\x00]*+)" '
    + _PARAMETERS
    + rb"\))"
    + rb"(?: "
    + _NSTRING
    + rb"(?: "
    + _NSTRING
    + rb")?)?)?)?"
    + rb"\)"
)
# the end of body-type-mpart
_MULTI: Final = re.compile(
    rb' "([^"\\\r\n\x00]*+)"'
    rb"(?: "
    + _PARAMETERS
    + rb'(?: (?:NIL|\("([^"\\\r\n\x00]*+)" '
    + _PARAMETERS
    + rb"\))"
    + rb"(?: "
    + _NSTRING
    + rb"(?: "
    + _NSTRING
    + rb")?)?)?)?"
    + rb"\)"
)

_BEFORE_NUMBER: Final = re.compile(rb" (?=[0-9-])")

_Fields: TypeAlias = tuple[bytes, bytes, Parameters, bytes | None, bytes | None, bytes, int]

_known_addresses: dict[bytes, tuple[Address, ...]] = {b"NIL": ()}
_known_parameters: dict[bytes, Parameters] = {}


# --------------------------------------------------------------------------------- envelope


def parse_envelope(cursor: Cursor, *, usual: bool = True) -> Envelope:
    """Read ``envelope``; without ``usual`` by the general reader alone."""
    found = cursor.match(_ENVELOPE) if usual else None
    if found is not None:
        date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, id = found.groups()
        return Envelope(
            date,
            subject,
            _usual_addresses(from_),
            _usual_addresses(sender),
            _usual_addresses(reply_to),
            _usual_addresses(to),
            _usual_addresses(cc),
            _usual_addresses(bcc),
            in_reply_to,
            id,
        )
    cursor.expect(b"(")
    envelope = Envelope(
        cursor.nstring(),
        _after_space(cursor).nstring(),
        parse_addresses(_after_space(cursor)),
        parse_addresses(_after_space(cursor)),
        parse_addresses(_after_space(cursor)),
        parse_addresses(_after_space(cursor)),
        parse_addresses(_after_space(cursor)),
        parse_addresses(_after_space(cursor)),
        _after_space(cursor).nstring(),
        _after_space(cursor).nstring(),
    )
    cursor.close_list()
    return envelope


def _after_space(cursor: Cursor) -> Cursor:
    cursor.expect(b" ")
    return cursor


def _usual_addresses(text: bytes) -> tuple[Address, ...]:
    known = _known_addresses.get(text)
    if known is not None:
        return known
    addresses = tuple([Address(*found.groups()) for found in _ONE_ADDRESS.finditer(text)])
    remember(_known_addresses, text, addresses)
    return addresses


def parse_addresses(cursor: Cursor) -> tuple[Address, ...]:
    """Read an address list, ``"(" 1*address ")" / nil``."""
    if cursor.take_nil():
        return ()
    cursor.expect(b"(")
    addresses: list[Address] = []
    while not cursor.take(b")"):
        if cursor.take(b" "):
            cursor.quirks.append(Quirk.ADDRESS_SPACES)
            continue
        cursor.expect(b"(")
        name = cursor.nstring()
        cursor.expect(b" ")
        adl = cursor.nstring()
        cursor.expect(b" ")
        mailbox = cursor.nstring()
        cursor.expect(b" ")
        host = cursor.nstring()
        cursor.expect(b")")
        addresses.append(Address(name, adl, mailbox, host))
    if not addresses:
        cursor.quirks.append(Quirk.EMPTY_LIST)
    return tuple(addresses)


# ----------------------------------------------------------------------------------- body


class _OpenMultiPart:
    """A multipart whose parts are being read."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[BodyStructure] = []


@frozen
class _OpenMessage:
    """A message/rfc822 part whose body is being read."""

    fields: _Fields
    envelope: Envelope


def parse_body(cursor: Cursor, *, usual: bool = True) -> BodyStructure:
    """Read ``body``; without ``usual`` by the general reader alone."""
    stack: list[_OpenMultiPart | _OpenMessage] = []
    while True:
        done: BodyStructure | None = _usual_single(cursor) if usual else None
        if done is None:
            cursor.expect(b"(")
            if len(stack) >= cursor.depth:
                raise cursor.fail(f"at most {cursor.depth} levels of parts")
            if cursor.at(b"("):
                stack.append(_OpenMultiPart())
                continue
            fields = _fields(cursor)
            if cursor.take(b" ("):
                cursor.position -= 1
                stack.append(_OpenMessage(fields, parse_envelope(cursor, usual=usual)))
                cursor.expect(b" ")
                continue
            lines = _lines(cursor)
            done = SinglePart(*fields, lines, None, None, *_single_extension(cursor))
        while True:
            if not stack:
                return done
            parent = stack[-1]
            if isinstance(parent, _OpenMultiPart):
                parent.parts.append(done)
                if cursor.at(b"("):
                    break
                done = _end_of_multipart(cursor, tuple(parent.parts), usual=usual)
            else:
                lines = _lines(cursor)
                done = SinglePart(
                    *parent.fields, lines, parent.envelope, done, *_single_extension(cursor)
                )
            stack.pop()


def _usual_single(cursor: Cursor) -> SinglePart | None:
    found = cursor.match(_SINGLE)
    if found is None:
        return None
    (
        media_type, subtype, parameters, id, description, encoding, octets, lines,
        md5, disposition, disposition_parameters, language, location,
    ) = found.groups()  # fmt: skip
    return SinglePart(
        media_type,
        subtype,
        _usual_parameters(parameters),
        id,
        description,
        encoding,
        int(octets),
        None if lines is None else int(lines),
        None,
        None,
        md5,
        None
        if disposition is None
        else Disposition(disposition, _usual_parameters(disposition_parameters)),
        () if language is None else (language,),
        location,
    )


def _end_of_multipart(
    cursor: Cursor, parts: tuple[BodyStructure, ...], *, usual: bool
) -> MultiPart:
    found = cursor.match(_MULTI) if usual else None
    if found is not None:
        kind = found[3]
        return MultiPart(
            parts,
            found[1],
            _usual_parameters(found[2]),
            None if kind is None else Disposition(kind, _usual_parameters(found[4])),
            () if found[5] is None else (found[5],),
            found[6],
        )
    cursor.expect(b" ")
    subtype = _due_string(cursor)
    parameters: Parameters = ()
    if cursor.take(b" "):
        parameters = _parameters(cursor)
    return MultiPart(parts, subtype, parameters, *_extension(cursor))


def _usual_parameters(text: bytes | None) -> Parameters:
    if text is None:
        return ()
    known = _known_parameters.get(text)
    if known is not None:
        return known
    # No string here holds a quote: the odd pieces between quotes are the strings.
    strings = iter(text.split(b'"')[1::2])
    parameters = tuple(zip(strings, strings, strict=True))
    remember(_known_parameters, text, parameters)
    return parameters


def _fields(cursor: Cursor) -> _Fields:
    """``media-basic`` or ``media-text`` and ``body-fields``."""
    media_type = _due_string(cursor)
    cursor.expect(b" ")
    subtype = _due_string(cursor)
    parameters: Parameters = ()
    id = description = None
    encoding = b"7BIT"
    octets = 0
    if not _missing(cursor):
        parameters = _parameters(cursor)
    if not _missing(cursor):
        id = cursor.nstring()
    if not _missing(cursor):
        description = cursor.nstring()
    if not _missing(cursor):
        encoding = _due_string(cursor)
    if not _missing(cursor):
        octets = cursor.quantity()
    return media_type, subtype, parameters, id, description, encoding, octets


def _missing(cursor: Cursor) -> bool:
    if cursor.at(b")"):
        if Quirk.MISSING_FIELDS not in cursor.quirks:
            cursor.quirks.append(Quirk.MISSING_FIELDS)
        return True
    cursor.expect(b" ")
    return False


def _due_string(cursor: Cursor) -> bytes:
    if cursor.take_nil():
        cursor.quirks.append(Quirk.NIL_STRING)
        return b""
    return cursor.string()


def _parameters(cursor: Cursor) -> Parameters:
    """``body-fld-param``."""
    if cursor.take_nil():
        return ()
    cursor.expect(b"(")
    if cursor.take(b")"):
        cursor.quirks.append(Quirk.EMPTY_LIST)
        return ()
    pairs: list[tuple[bytes, bytes]] = []
    while True:
        name = cursor.string()
        cursor.expect(b" ")
        pairs.append((name, _due_string(cursor)))
        if not cursor.at(b" ") or cursor.at(b" )"):
            cursor.close_list()
            return tuple(pairs)
        cursor.expect(b" ")


def _lines(cursor: Cursor) -> int | None:
    """``body-fld-lines``, which only some types have."""
    if cursor.match(_BEFORE_NUMBER) is None:
        return None
    return cursor.quantity()


def _single_extension(
    cursor: Cursor,
) -> tuple[bytes | None, Disposition | None, tuple[bytes, ...], bytes | None, tuple[Value, ...]]:
    """``body-ext-1part``, as much of it as is there, and the end of the part."""
    md5 = None
    if cursor.take(b" "):
        md5 = cursor.nstring()
    return (md5, *_extension(cursor))


def _extension(
    cursor: Cursor,
) -> tuple[Disposition | None, tuple[bytes, ...], bytes | None, tuple[Value, ...]]:
    """What both kinds of parts share, as much of it as is there, and the end of the part."""
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    extensions: list[Value] = []
    if cursor.take(b" "):
        disposition = _disposition(cursor)
        if cursor.take(b" "):
            language = _language(cursor)
            if cursor.take(b" "):
                location = cursor.nstring()
                while cursor.take(b" "):
                    extensions.append(cursor.value())
    cursor.expect(b")")
    return disposition, language, location, tuple(extensions)


def _disposition(cursor: Cursor) -> Disposition | None:
    """``body-fld-dsp``."""
    if cursor.take_nil():
        return None
    if not cursor.take(b"("):
        kind = cursor.string()
        cursor.quirks.append(Quirk.MISSING_FIELDS)
        return Disposition(kind)
    kind = cursor.string()
    cursor.expect(b" ")
    disposition = Disposition(kind, _parameters(cursor))
    cursor.close_list()
    return disposition


def _language(cursor: Cursor) -> tuple[bytes, ...]:
    """``body-fld-lang``."""
    if not cursor.take(b"("):
        one = cursor.nstring()
        return () if one is None else (one,)
    languages = [cursor.string()]
    while cursor.take(b" "):
        languages.append(cursor.string())
    cursor.expect(b")")
    return tuple(languages)
