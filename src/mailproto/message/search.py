"""What SEARCH asks of a message (RFC 3501 section 6.4.4): contained text and sent dates.

Text is compared without regard to case, after transfer decoding, charsets and encoded words.
Bodies are searched in chunks: nothing but the end of the last one, shorter than the text looked
for, is kept.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from mailproto.message.dates import parse_date
from mailproto.message.decoding import TextDecoder, decode_words
from mailproto.message.headers import Header
from mailproto.message.indexing import Index, Part

__all__ = ["TextSearch", "header_contains", "sent_date"]


def header_contains(header: Header, name: bytes, text: str) -> bool:
    """Whether a field of that name contains ``text``; the empty text is in every such field.

    This is HEADER, and with the name given SUBJECT, FROM, TO, CC and BCC.
    """
    wanted = text.casefold()
    return any(wanted in decode_words(field.value).casefold() for field in header.all(name))


def sent_date(header: Header) -> datetime.date | None:
    """The date of the Date field as its sender saw it, for SENTON, SENTBEFORE and SENTSINCE."""
    value = header.get(b"date")
    sent = parse_date(value) if value else None
    return sent.date() if sent else None


class TextSearch:
    """Looks for a text in the body (BODY), or in header and body (TEXT), of one message.

    The octets of ``ranges`` are to be fed, in order and cut anyhow::

        search = TextSearch(found, "hello", header=True)
        for start, end in search.ranges:
            search.feed(data[start:end])
        search.found

    To the body belong the texts in it and the headers of its parts, which the index knows;
    images and the like are not searched and need not be read.
    """

    __slots__ = ("_decoder", "_matcher", "_part", "_parts", "_read", "found", "ranges")

    def __init__(self, index: Index, text: str, *, header: bool) -> None:
        self._matcher = _Matcher(text)
        self.found: bool = self._in_headers(index.root, header=header)
        """Whether the text was found in what was fed so far."""
        searched = [] if self.found else [p for p in _leaves(index.root) if p.size and _is_text(p)]
        self.ranges: tuple[tuple[int, int], ...] = tuple((p.body, p.end) for p in searched)
        """Where the octets lie that must be fed, ascending; empty when the headers decide."""
        self._parts = iter(searched)
        self._part: Part | None = None
        self._read = 0
        self._decoder: TextDecoder | None = None

    def feed(self, data: bytes) -> bool:
        """Search the next octets of ``ranges``; true as soon as the text was found."""
        while data and not self.found:
            if self._part is None or self._decoder is None:
                self._part = next(self._parts, None)
                if self._part is None:
                    break
                self._decoder, self._read = TextDecoder(self._part), 0
                self._matcher.begin()
            taken = data[: self._part.size - self._read]
            data = data[len(taken) :]
            self._read += len(taken)
            self.found = self._matcher.feed(self._decoder.feed(taken))
            if self._read == self._part.size:
                self.found = self.found or self._matcher.feed(self._decoder.close())
                self._part = None
        return self.found

    def _in_headers(self, root: Part, *, header: bool) -> bool:
        for part in _all_parts(root):
            if part is root and not header:
                continue
            for field in part.header.fields:
                self._matcher.begin()
                name = field.name.decode("ascii", "replace")
                if self._matcher.feed(f"{name}: {decode_words(field.value)}"):
                    return True
        return False


class _Matcher:
    """Finds a text in chunks of text, without regard to case."""

    __slots__ = ("_end", "_wanted")

    def __init__(self, text: str) -> None:
        self._wanted = text.casefold()
        self._end = ""

    def begin(self) -> None:
        """What follows does not continue what came before."""
        self._end = ""

    def feed(self, text: str) -> bool:
        searched = self._end + text.casefold()
        if self._wanted in searched:
            return True
        overlap = len(self._wanted) - 1
        self._end = searched[-overlap:] if overlap > 0 else ""
        return False


def _all_parts(root: Part) -> Iterator[Part]:
    """Every part and inner message, in the order of the message."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(part.parts)
        if part.message is not None:
            waiting.append(part.message)


def _leaves(root: Part) -> Iterator[Part]:
    return (part for part in _all_parts(root) if not part.parts and part.message is None)


def _is_text(part: Part) -> bool:
    return part.content_type.type.lower() in (b"text", b"message")
