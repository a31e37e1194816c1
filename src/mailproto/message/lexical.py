"""Lexical tokens of structured header fields (RFC 5322 section 3.2): linear, without recursion.

Comments nest, so they are counted, not matched. What does not belong to the grammar becomes a
token of its own text: real mail is read, not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mailproto._core.frozen import frozen

__all__ = ["ATOM", "COMMENT", "LITERAL", "QUOTED", "SPECIAL", "Token", "tokens", "unfold"]

_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])|[\0\r\n]+")

ATOM: Final = "atom"
QUOTED: Final = "quoted-string"
LITERAL: Final = "domain-literal"
COMMENT: Final = "comment"
SPECIAL: Final = "special"

_TOKEN: Final = re.compile(
    rb'[ \t\r\n]+|(?P<quoted>"(?:[^"\\]|\\.)*+"?)|(?P<literal>\[[^\]]*\]?)|(?P<comment>\()'
    rb"|(?P<special>[)<>,;:@.\]/=])|(?P<atom>[^ \t\r\n\"\[\]()<>,;:@./=]+)",
    re.DOTALL,
)
_COMMENT_PIECE: Final = re.compile(rb"[^()\\]++|\\.|[()\\]", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


@frozen
class Token:
    """One token: its kind, its text without quoting, and whether blanks or comments precede it."""

    kind: str
    text: bytes
    spaced: bool


def unfold(body: bytes) -> bytes:
    """A field body on one line (RFC 5322 section 2.2.3), blanks around it removed.

    NUL, and CR or LF that fold nothing, are left out: no protocol carries them in a string.
    """
    if b"\n" in body or b"\r" in body or b"\0" in body:
        body = _FOLD.sub(b"", body)
    return body.strip(b" \t")


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of an unfolded field body; comments come as tokens, blanks do not."""
    at, spaced = 0, False
    # Every octet begins some token, so that only the end matches nothing.
    while (found := _TOKEN.match(text, at)) is not None:
        kind = found.lastgroup
        at = found.end()
        if kind is None:
            spaced = True
            continue
        piece = found[0]
        if kind == "quoted":
            closed = len(piece) > 1 and piece.endswith(b'"')
            yield Token(QUOTED, _unquote(piece[1:-1] if closed else piece[1:]), spaced)
        elif kind == "comment":
            inner, at = _comment(text, at)
            yield Token(COMMENT, inner, spaced)
            spaced = True
            continue
        elif kind == "literal":
            yield Token(LITERAL, piece, spaced)
        elif kind == "special":
            yield Token(SPECIAL, piece, spaced)
        else:
            yield Token(ATOM, piece, spaced)
        spaced = False


def _unquote(text: bytes) -> bytes:
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def _comment(text: bytes, at: int) -> tuple[bytes, int]:
    """The text of the comment whose opening parenthesis was just read, and where it ends."""
    depth, pieces = 1, list[bytes]()
    for found in _COMMENT_PIECE.finditer(text, at):
        piece = found[0]
        at = found.end()
        if piece == b"(":
            depth += 1
        elif piece == b")":
            depth -= 1
            if not depth:
                break
        pieces.append(_unquote(piece))
    return b"".join(pieces).strip(b" \t"), at
