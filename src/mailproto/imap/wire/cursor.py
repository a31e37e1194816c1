r"""A cursor over the text of a frame: one compiled pattern for each production.

A method either reads its production and moves on, or raises ``Malformed``; where the grammar has
alternatives, ``at`` and ``take`` look first, so that no exception is part of normal reading.
Nothing recurses: ``value`` keeps its own stack.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.strict import NUMBER_32, NUMBER_64, number
from mailproto.imap.quirks import Quirk
from mailproto.imap.value import Value
from mailproto.imap.wire.frames import Frame, Literal

__all__ = ["ASTRING", "ATOM", "Cursor", "Malformed", "NUMBER", "QUOTED", "unquote"]

ATOM: Final = rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+"
"""``atom`` (RFC 3501 section 9)."""

ASTRING: Final = rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+"
"""The atom-like form of ``astring``: an atom that may hold ``]``."""

QUOTED: Final = rb'"((?:[^"\\\r\n\x00]++|\\["\\])*+)"'
"""``quoted``, 8-bit octets included (RFC 9051 allows UTF-8); one group: what is between."""

NUMBER: Final = rb"[0-9]+"

_LITERAL: Final = rb"(~?)\{[0-9]+\+?\}\r\n"

_QUOTED: Final = re.compile(QUOTED)
_STRING: Final = re.compile(QUOTED + rb"|" + _LITERAL)
_NSTRING: Final = re.compile(QUOTED + rb"|" + _LITERAL + rb"|[Nn][Ii][Ll](?![^ )\r\n])")
_ASTRING: Final = re.compile(QUOTED + rb"|" + _LITERAL + rb"|(" + ASTRING + rb")")
_ATOM: Final = re.compile(ATOM)
_NUMBER: Final = re.compile(NUMBER)
_VALUE: Final = re.compile(
    QUOTED + rb"|" + _LITERAL + rb"|([()])|(\\\*|[^\x00-\x20\x7f-\xff(){%*\"]+)"
)
_NIL: Final = re.compile(rb"[Nn][Ii][Ll](?![^ )\r\n])")
_NEGATIVE: Final = re.compile(rb"-[0-9]{1,20}")
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)


class Malformed(Exception):
    """The text is not what the grammar says; quotes where."""

    def __init__(self, expected: str, text: bytes, position: int) -> None:
        found = text[position : position + 24]
        where = f"{found!r} at octet {position}" if found else "the end"
        super().__init__(f"expected {expected}, found {where}")


def unquote(text: bytes) -> bytes:
    """The octets that the inside of a quoted string stands for."""
    return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text


class Cursor:
    """A position in the text of a frame, and the next of its literals.

    ``depth`` bounds the nesting of parentheses.
    """

    __slots__ = ("_literals", "_next", "depth", "position", "quirks", "text")

    def __init__(self, frame: Frame, position: int = 0, *, depth: int = 50) -> None:
        self.text: bytes = frame.text
        self.position: int = position
        self.depth: int = depth
        self.quirks: list[Quirk] = []
        """Known faults that were met so far."""
        self._literals = frame.literals
        self._next = 0

    def fail(self, expected: str) -> Malformed:
        """The exception for text that is not ``expected``."""
        return Malformed(expected, self.text, self.position)

    @property
    def rest(self) -> bytes:
        """What has not been read."""
        return self.text[self.position :]

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return self.position == len(self.text)

    def end(self) -> None:
        """Make sure that everything was read."""
        if self.position != len(self.text):
            raise self.fail("the end of the line")

    def mark(self) -> tuple[int, int]:
        """Where the cursor stands, for ``reset``."""
        return self.position, self._next

    def reset(self, mark: tuple[int, int]) -> None:
        """Go back to a mark."""
        self.position, self._next = mark

    def at(self, octets: bytes) -> bool:
        """Whether ``octets`` come next."""
        return self.text.startswith(octets, self.position)

    def take(self, octets: bytes) -> bool:
        """Read ``octets`` if they come next."""
        if self.text.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Read ``octets``."""
        if not self.text.startswith(octets, self.position):
            raise self.fail(repr(octets)[1:])
        self.position += len(octets)

    def take_nil(self) -> bool:
        """Read NIL if it comes next."""
        return self.match(_NIL) is not None

    def close_list(self) -> None:
        """Read ``)``; a space before it is a quirk."""
        if self.at(b" )"):
            self.quirks.append(Quirk.TRAILING_SPACE)
            self.position += 1
        self.expect(b")")

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Read what ``pattern`` matches here, if it does."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def read(self, pattern: re.Pattern[bytes], expected: str) -> re.Match[bytes]:
        """Read what ``pattern`` matches here."""
        found = pattern.match(self.text, self.position)
        if found is None:
            raise self.fail(expected)
        self.position = found.end()
        return found

    def number(self, maximum: int = NUMBER_32, *, minimum: int = 0) -> int:
        """Read ``number``, or with ``minimum=1`` ``nz-number``."""
        found = self.read(_NUMBER, "a number")
        value = number(found[0], maximum, minimum=minimum)
        if value is None:
            self.position = found.start()
            raise self.fail(f"a number from {minimum} to {maximum}")
        return value

    def quantity(self) -> int:
        """Read ``number64``; a negative number is a quirk and 0."""
        if self.match(_NEGATIVE) is not None:
            self.quirks.append(Quirk.NEGATIVE_NUMBER)
            return 0
        return self.number(NUMBER_64)

    def atom(self) -> str:
        """Read ``atom``, in the case it has."""
        return self.read(_ATOM, "an atom")[0].decode("ascii")

    def keyword(self) -> str:
        """Read ``atom`` in upper case: a word of the protocol."""
        return self.read(_ATOM, "a word")[0].decode("ascii").upper()

    def literal(self) -> Literal:
        """The literal whose header was just read."""
        literal = self._literals[self._next]
        self._next += 1
        return literal

    def string_or_streamed(self) -> Literal:
        """Read ``string``; a literal that was not kept is its size."""
        found = self.read(_STRING, "a string")
        quoted = found[1]
        return self.literal() if quoted is None else unquote(quoted)

    def string(self) -> bytes:
        """Read ``string``."""
        return self._kept(self.string_or_streamed())

    def nstring_or_streamed(self) -> Literal | None:
        """Read ``nstring``; a literal that was not kept is its size."""
        found = self.read(_NSTRING, "a string or NIL")
        if found[1] is not None:
            return unquote(found[1])
        return None if found[2] is None else self.literal()

    def nstring(self) -> bytes | None:
        """Read ``nstring``; NIL is ``None``."""
        found = self.nstring_or_streamed()
        return None if found is None else self._kept(found)

    def astring(self) -> bytes:
        """Read ``astring``."""
        found = self.read(_ASTRING, "an atom or a string")
        if found[3] is not None:
            return found[3]
        return self._kept(self.literal()) if found[1] is None else unquote(found[1])

    def _kept(self, literal: Literal) -> bytes:
        if isinstance(literal, bytes):
            return literal
        raise self.fail("a string of less octets")

    def value(self) -> Value:
        """Read one value of any kind: atom, number, string, NIL or a list of such."""
        stack: list[list[Value]] = [[]]
        while True:
            found = self.read(_VALUE, "a value")
            quoted, literal, parenthesis, word = found.groups()
            if parenthesis == b"(":
                if len(stack) > self.depth:
                    raise self.fail(f"at most {self.depth} levels of parentheses")
                stack.append([])
                continue
            if parenthesis == b")":
                if len(stack) == 1:
                    self.position = found.start()
                    raise self.fail("a value")
                done = tuple(stack.pop())
                stack[-1].append(done)
            elif quoted is not None:
                stack[-1].append(unquote(quoted))
            elif literal is not None:
                stack[-1].append(self._kept(self.literal()))
            else:
                stack[-1].append(_word(word))
            if len(stack) == 1:
                return stack[0][0]
            self.take(b" ")


def _word(word: bytes) -> Value:
    if word[0] in b"0123456789":
        value = number(word, NUMBER_64)
        # 007 and what is no number64 stay the octets they are.
        if value is not None and b"%d" % value == word:
            return value
    return None if word.upper() == b"NIL" else word.decode("ascii")
