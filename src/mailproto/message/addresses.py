"""Address lists of header fields (RFC 5322 section 3.4, obsolete forms too), as ENVELOPE has them.

Whatever is written is read: an address without a domain gets an empty host, never ``None``,
because ``None`` marks groups. Time is linear, nothing recurs.
"""

from __future__ import annotations

import functools

from mailproto._core.frozen import frozen
from mailproto.message.lexical import ATOM, COMMENT, LITERAL, QUOTED, SPECIAL, Token, tokens

__all__ = ["Address", "parse_addresses"]


@frozen
class Address:
    """One address of an ENVELOPE (RFC 3501 section 7.4.2), its octets without quoting.

    A group begins with an address that has only a ``mailbox``, its name, and ends with one that
    has nothing.
    """

    name: bytes | None
    """The display name, encoded words not decoded."""
    route: bytes | None
    """The source route (``@a,@b``)."""
    mailbox: bytes | None
    """The local part, or the name of the group that begins here; ``None`` where one ends."""
    host: bytes | None
    """The domain; ``None`` at the begin and the end of a group."""


def parse_addresses(value: bytes) -> tuple[Address, ...]:
    """The addresses of an unfolded field value, groups flattened as in an ENVELOPE."""
    # The same few people write to each other again and again.
    return _remembered(value) if len(value) <= 256 else _parse(value)


def _parse(value: bytes) -> tuple[Address, ...]:
    reader = _Reader()
    for token in tokens(value):
        reader.take(token)
    return reader.finish()


_remembered = functools.lru_cache(maxsize=1024)(_parse)


class _Reader:
    """Collects the tokens of one address until what ends it."""

    def __init__(self) -> None:
        self._done = list[Address]()
        self._outside = list[Token]()  # phrase, or addr-spec without angle brackets
        self._inside: list[Token] | None = None  # what stands in angle brackets
        self._in_brackets = False
        self._comment: bytes | None = None
        self._in_group = False

    def take(self, token: Token) -> None:
        if token.kind == COMMENT:
            self._comment = token.text
            return
        mark = token.text if token.kind == SPECIAL else b""
        if self._in_brackets and self._inside is not None:
            if mark == b">":
                self._in_brackets = False
            else:
                self._inside.append(token)
        elif mark == b"<":
            self._inside = []
            self._in_brackets = True
        elif mark in (b",", b";"):
            self._address_ends()
            if mark == b";":
                self._group_ends()
        elif mark == b":" and not self._in_group and self._inside is None:
            self._done.append(Address(None, None, _phrase(self._outside) or b"", None))
            self._in_group = True
            self._outside.clear()
            self._comment = None
        elif mark != b">":
            self._outside.append(token)

    def finish(self) -> tuple[Address, ...]:
        self._address_ends()
        self._group_ends()
        return tuple(self._done)

    def _address_ends(self) -> None:
        if self._inside is not None:
            route, mailbox, host = _angle_address(self._inside)
            name = _phrase(self._outside) or self._comment
            # "<>" names nobody; it is kept, as an address with nothing in it but its name
            self._done.append(Address(name or None, route, mailbox, host))
        elif self._outside:
            mailbox, host = _address(self._outside)
            self._done.append(Address(self._comment or None, None, mailbox, host))
        self._outside.clear()
        self._inside = None
        self._in_brackets = False
        self._comment = None

    def _group_ends(self) -> None:
        if self._in_group:
            self._done.append(Address(None, None, None, None))
            self._in_group = False


def _phrase(words: list[Token]) -> bytes:
    return b"".join(b" " + word.text if word.spaced else word.text for word in words).strip(b" ")


def _address(words: list[Token]) -> tuple[bytes, bytes]:
    """Local part and domain; the last ``@`` parts them."""
    at = len(words) - 1
    while at >= 0 and not (words[at].kind == SPECIAL and words[at].text == b"@"):
        at -= 1
    if at < 0:
        return _phrase(words), b""
    return _dotted(words[:at]), _dotted(words[at + 1 :])


def _dotted(words: list[Token]) -> bytes:
    """Words as one, blanks left out around dots, where the obsolete syntax allows them."""
    result = list[bytes]()
    separate = False
    for word in words:
        plain = word.kind in (ATOM, QUOTED, LITERAL)
        result.append(b" " + word.text if word.spaced and separate and plain else word.text)
        separate = plain
    return b"".join(result)


def _angle_address(words: list[Token]) -> tuple[bytes | None, bytes, bytes]:
    """Route, local part and domain of what stands in angle brackets."""
    if words and words[0].text == b"@" and words[0].kind == SPECIAL:
        for at, word in enumerate(words):
            if word.kind == SPECIAL and word.text == b":":
                return (_dotted(words[:at]), *_address(words[at + 1 :]))
    return (None, *_address(words))
