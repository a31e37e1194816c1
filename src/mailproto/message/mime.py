"""MIME header fields as values (RFC 2045 section 5.1, RFC 2183, RFC 2231, RFC 3282).

Parameters are kept as they were written (``filename*0*``), as BODYSTRUCTURE sends them;
``parameter()`` puts continuations together and decodes them.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from mailproto._core.frozen import frozen
from mailproto._core.strict import number
from mailproto.message.charsets import decode
from mailproto.message.lexical import ATOM, COMMENT, QUOTED, Token, tokens

__all__ = ["ContentType", "Disposition", "Parameters", "MESSAGE_RFC822", "TEXT_PLAIN"]

Parameters: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Attributes and values in order, as written, quoting removed."""

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


@frozen
class ContentType:
    """A Content-Type: ``ContentType(b"text", b"plain", ((b"charset", b"us-ascii"),))``."""

    type: bytes
    """As spelt; compare ``media``."""
    subtype: bytes
    parameters: Parameters = ()

    @property
    def media(self) -> bytes:
        """``b"text/plain"``, in lower case."""
        return self.type.lower() + b"/" + self.subtype.lower()

    @property
    def multipart(self) -> bool:
        """Whether the type is multipart."""
        return self.type.lower() == b"multipart"

    def raw_parameter(self, attribute: bytes) -> bytes | None:
        """The value of the first parameter of that attribute, as written."""
        return _raw_parameter(self.parameters, attribute)

    def parameter(self, attribute: str) -> str | None:
        """The value as text, RFC 2231 continuations and charsets decoded, or ``None``."""
        return _parameter(self.parameters, attribute)


@frozen
class Disposition:
    """A Content-Disposition: ``Disposition(b"attachment", ((b"filename", b"a.txt"),))``."""

    type: bytes
    parameters: Parameters = ()

    def parameter(self, attribute: str) -> str | None:
        """The value as text, RFC 2231 continuations and charsets decoded, or ``None``."""
        return _parameter(self.parameters, attribute)


TEXT_PLAIN: Final = ContentType(b"text", b"plain", ((b"charset", b"us-ascii"),))
"""What a part is that does not say (RFC 2045 section 5.2)."""

MESSAGE_RFC822: Final = ContentType(b"message", b"rfc822")
"""What a part of a multipart/digest is that does not say (RFC 2046 section 5.1.5)."""


def parse_content_type(value: bytes) -> ContentType:
    """The Content-Type of an unfolded field value; text/plain where it names no type."""
    head, *rest = _segments(value)
    if len(head) == 3 and head[1].text == b"/" and head[0].kind == head[2].kind == ATOM:
        return ContentType(head[0].text, head[2].text, _parameters(rest))
    return TEXT_PLAIN


def parse_disposition(value: bytes) -> Disposition | None:
    """The Content-Disposition of an unfolded field value, ``None`` where it names none."""
    head, *rest = _segments(value)
    return Disposition(head[0].text, _parameters(rest)) if head and head[0].text else None


def parse_token(value: bytes) -> bytes | None:
    """The first word of an unfolded field value (Content-Transfer-Encoding), comments skipped."""
    for token in tokens(value):
        if token.kind in (ATOM, QUOTED):
            return token.text
    return None


def parse_languages(value: bytes) -> tuple[bytes, ...]:
    """The language tags of a Content-Language (RFC 3282)."""
    return tuple(token.text for token in tokens(value) if token.kind in (ATOM, QUOTED))


def _segments(value: bytes) -> list[list[Token]]:
    """The tokens between the semicolons, comments left out."""
    result: list[list[Token]] = [[]]
    for token in tokens(value):
        if token.text == b";" and token.kind not in (COMMENT, QUOTED):
            result.append([])
        elif token.kind != COMMENT:
            result[-1].append(token)
    return result


def _parameters(segments: list[list[Token]]) -> Parameters:
    result = list[tuple[bytes, bytes]]()
    for name, *rest in filter(None, segments):
        if not rest or rest[0].text != b"=":
            continue
        if len(rest) > 1 and rest[1].kind == QUOTED:
            result.append((name.text, rest[1].text))
            continue
        # Values with specials ought to be quoted and often are not: boundary=a=b, name=my file.
        text = b"".join(b" " + t.text if t.spaced else t.text for t in rest[1:])
        result.append((name.text, text.strip(b" ")))
    return tuple(result)


def _raw_parameter(parameters: Parameters, attribute: bytes) -> bytes | None:
    lower = attribute.lower()
    for name, value in parameters:
        if name.lower() == lower:
            return value
    return None


def _parameter(parameters: Parameters, attribute: str) -> str | None:
    name = attribute.lower().encode("ascii", "replace")
    pieces = dict[int, tuple[bytes, bool]]()
    for key, value in parameters:
        base, star, rest = key.lower().partition(b"*")
        if base != name or not star:
            continue
        extended = not rest or rest.endswith(b"*")
        section = number(rest.removesuffix(b"*") or b"0", 9999)
        if section is not None:
            pieces.setdefault(section, (value, extended))
    if 0 not in pieces:
        plain = _raw_parameter(parameters, name)
        return None if plain is None else decode(plain, b"utf-8")
    charset = b"utf-8"
    value, extended = pieces[0]
    if extended and value.count(b"'") >= 2:
        charset, _language, value = value.split(b"'", 2)
        pieces[0] = value, True
    octets = list[bytes]()
    for section in range(len(pieces)):
        if section not in pieces:
            break
        value, extended = pieces[section]
        octets.append(_PERCENT.sub(_octet, value) if extended else value)
    return decode(b"".join(octets), charset)


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode("ascii"))
