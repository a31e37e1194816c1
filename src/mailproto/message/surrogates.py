"""The surrogate of an internationalised message, for clients of ASCII headers (RFC 6858).

Only header fields change, those of parts and of messages inside included: addresses beyond ASCII
become ones that nobody has, MIME parameters and other fields beyond ASCII are left out, a Subject
is written in encoded words. Bodies stay as they are. What changes is a list of edits by offset,
so that a message of any size can be rewritten while it streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mailproto._core.frozen import frozen
from mailproto._core.strict import encode_base64
from mailproto.message.addresses import Address, parse_addresses
from mailproto.message.decoding import decode_words
from mailproto.message.headers import Field, Header
from mailproto.message.indexing import Index
from mailproto.message.mime import TEXT_PLAIN, Parameters, parse_content_type, parse_disposition

__all__ = ["Edit", "Rewriter", "encode_words", "surrogate", "unparsed"]

_ADDRESSES: Final = frozenset(
    {
        b"bcc", b"cc", b"from", b"reply-to", b"resent-bcc", b"resent-cc", b"resent-from",
        b"resent-sender", b"resent-to", b"sender", b"to",
    }
)  # fmt: skip
"""The fields of RFC 6858 section 2.1, without Return-Path, which has no place for a name."""

_INVALID: Final = b"<invalid@internationalized-address.invalid>"
_FOLD: Final = b"\r\n "
# Octets in one encoded word: with a name and a colon before it the line has at most 76.
_WORD: Final = 36

_ATOMS: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_DOT_ATOM: Final = re.compile(
    rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
)
_TOKEN: Final = re.compile(rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
_TO_ESCAPE: Final = re.compile(rb'(["\\])')


@frozen
class Edit:
    """``replacement`` instead of the octets of a message from ``start`` up to ``end``."""

    start: int
    end: int
    replacement: bytes = b""


class Rewriter:
    """Applies edits, in ascending order, to a message that comes in pieces of any size."""

    __slots__ = ("_at", "_edits", "_next")

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._next = 0
        self._at = 0

    def feed(self, piece: bytes) -> bytes:
        """What ``piece`` becomes."""
        start = at = self._at
        end = self._at = start + len(piece)
        pieces: list[bytes] = []
        while self._next < len(self._edits) and (edit := self._edits[self._next]).start < end:
            if edit.start >= start:
                pieces += piece[at - start : edit.start - start], edit.replacement
            at = min(edit.end, end)
            if edit.end > end:
                break
            self._next += 1
        if not pieces and at == start:
            return piece
        pieces.append(piece[at - start :])
        return b"".join(pieces)


def surrogate(found: Index) -> tuple[Edit, ...]:
    """The edits that make the message's header fields ASCII; none if they are already."""
    edits = [
        Edit(field.start, field.end, _presented(field))
        for header in _headers(found)
        for field in header.fields
        if not field.body.isascii()
    ]
    return tuple(sorted(edits, key=lambda edit: edit.start))


def unparsed(found: Index) -> tuple[tuple[int, int], ...]:
    """Where octets of headers lie that belong to no field, and that no edit concerns."""
    ranges: list[tuple[int, int]] = []
    for header in _headers(found):
        at = header.start
        for field in header.fields:
            ranges.append((at, field.start))
            at = field.end
        ranges.append((at, header.blank))
    return tuple(sorted((start, end) for start, end in ranges if start < end))


def _headers(found: Index) -> Iterator[Header]:
    """The headers of the message, of its parts and of the messages inside."""
    parts = [found.root]
    while parts:
        part = parts.pop()
        yield part.header
        parts += part.parts
        if part.message is not None:
            parts.append(part.message)


def _presented(field: Field) -> bytes:
    """The field in ASCII with its line end; nothing where it has to be left out."""
    name, value = field.name.lower(), field.value
    body: bytes | None = None
    if name in _ADDRESSES:
        body = _address_list(parse_addresses(value))
    elif name == b"return-path":
        body = _INVALID
    elif name == b"subject":
        body = encode_words(value)
    elif name == b"content-type":
        content_type = parse_content_type(value)
        if content_type is not TEXT_PLAIN:
            media = content_type.type + b"/" + content_type.subtype
            body = _with_parameters(media, content_type.parameters)
    elif name == b"content-disposition":
        disposition = parse_disposition(value)
        if disposition is not None:
            body = _with_parameters(disposition.type, disposition.parameters)
    return field.name + b": " + body + b"\r\n" if body else b""


# ---------------------------------------------------------------------------------- addresses


def _address_list(addresses: Sequence[Address]) -> bytes:
    """Addresses and groups as a field's body, one on each line."""
    items: list[bytes] = []
    group: bytes | None = None
    members: list[bytes] = []
    for address in addresses:
        if address.host is not None:
            (items if group is None else members).append(_address(address))
        elif address.mailbox is not None:
            group = _phrase(address.mailbox)
        elif group is not None:
            items.append(group + b": " + (b"," + _FOLD).join(members) + b";")
            group, members = None, []
    return (b"," + _FOLD).join(items)


def _address(address: Address) -> bytes:
    mailbox, host, name = address.mailbox or b"", address.host or b"", address.name
    written = (_local_part(mailbox) + b"@" + host) if host else mailbox
    if not written.isascii():
        shown = written if not name else name + b" <" + written + b">"
        return encode_words(shown) + _FOLD + _INVALID
    if not host:
        # No address at all, but a word, or nothing.
        return _phrase(mailbox) if mailbox else b"<>"
    return (_phrase(name) + _FOLD if name else b"") + b"<" + written + b">"


def _local_part(mailbox: bytes) -> bytes:
    return mailbox if _DOT_ATOM.fullmatch(mailbox) or not mailbox.isascii() else _quoted(mailbox)


def _phrase(words: bytes) -> bytes:
    """A display name or a group's name."""
    if not words.isascii() or b"=?" in words:
        return encode_words(words)
    return words if _ATOMS.fullmatch(words) else _quoted(words)


def _quoted(text: bytes) -> bytes:
    return b'"' + _TO_ESCAPE.sub(rb"\\\1", text) + b'"'


# ------------------------------------------------------------------------------- other fields


def _with_parameters(value: bytes, parameters: Parameters) -> bytes | None:
    """A MIME value with those of its parameters that are ASCII (RFC 6858 section 2.2)."""
    if not value.isascii():
        return None
    for name, text in parameters:
        if name.isascii() and text.isascii():
            value += b";" + _FOLD + name + b"="
            value += text if _TOKEN.fullmatch(text) else _quoted(text)
    return value


def encode_words(value: bytes) -> bytes:
    """``value``, maybe with encoded words in it already, as encoded words (RFC 2047).

    Octets that are no UTF-8 keep their values, in the charset ``unknown-8bit`` (RFC 1428).
    """
    try:
        value.decode()
    except UnicodeDecodeError:
        charset = b"unknown-8bit"
        words = [value[at : at + _WORD] for at in range(0, len(value), _WORD)]
    else:
        charset = b"UTF-8"
        words = _cut(decode_words(value).encode("utf-8", "replace"))
    return _FOLD.join(b"=?%s?B?%s?=" % (charset, encode_base64(word)) for word in words)


def _cut(octets: bytes) -> list[bytes]:
    """UTF-8 in pieces that end where characters end."""
    pieces: list[bytes] = []
    at = 0
    while at < len(octets):
        end = min(at + _WORD, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(octets[at:end])
        at = end
    return pieces
