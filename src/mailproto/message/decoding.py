"""Bodies and header values as text: transfer encodings (RFC 2045), encoded words (RFC 2047).

Decoding is for reading and searching: it never fails, it makes of damaged input what can be made.
Decoders take chunks of any size and hold back no more than a line.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from mailproto._core.strict import decode_base64
from mailproto.message.charsets import CharsetDecoder, decode
from mailproto.message.indexing import Part

__all__ = ["TextDecoder", "TransferDecoder", "decode_words"]

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(octet for octet in range(256) if octet not in _BASE64 + b"=")

# A line of quoted-printable has 76 octets; a longer one is decoded in pieces.
_LONGEST_LINE: Final = 8192

# encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 section 2), with the
# language of RFC 2231 section 5; 8-bit text and blanks inside occur in real mail.
_ENCODED_WORD: Final = re.compile(
    rb"=\?([!-)+->@-~]{1,64})(?:\*[!->@-~]{0,64})?\?([BbQq])\?([^?\r\n]*+)\?="
)
_ONLY_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")


class TransferDecoder:
    """Undoes a Content-Transfer-Encoding; what is not base64 or quoted-printable stays as it is."""

    __slots__ = ("_encoding", "_held")

    def __init__(self, encoding: bytes) -> None:
        self._encoding = encoding.lower()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The octets that can be decoded so far."""
        if self._encoding == b"base64":
            return self._base64(data)
        if self._encoding == b"quoted-printable":
            return self._quoted_printable(data)
        return data

    def close(self) -> bytes:
        """What the last octets become."""
        held, self._held = self._held, b""
        if self._encoding == b"base64":
            return _base64_end(held)
        return binascii.a2b_qp(held)

    def _base64(self, data: bytes) -> bytes:
        text = self._held + data.translate(None, _NOT_BASE64)
        result = list[bytes]()
        # Padding ends a group; more may follow, as in bodies that were glued together.
        while (end := text.find(b"=")) >= 0:
            whole = end - end % 4
            result += _base64_groups(text[:whole]), _base64_end(text[whole:end])
            text = text[end:].lstrip(b"=")
        whole = len(text) - len(text) % 4
        self._held = text[whole:]
        return b"".join((*result, _base64_groups(text[:whole])))

    def _quoted_printable(self, data: bytes) -> bytes:
        text = self._held + data
        end = text.rfind(b"\n") + 1
        if not end and len(text) > _LONGEST_LINE:
            # Not inside of an encoded octet or a soft line break, and not among blanks that may
            # yet turn out to be the end of a line.
            end = len(text) - 3
            end = text.rfind(b"=", end, end + 3) if b"=" in text[end:] else len(text)
            end = len(text[:end].rstrip(b" \t\r")) or end
        self._held = text[end:]
        return binascii.a2b_qp(text[:end])


class TextDecoder:
    """The text of a part's body: octets as transferred in, Unicode out, in chunks."""

    __slots__ = ("_charset", "_transfer")

    def __init__(self, part: Part) -> None:
        self._transfer = TransferDecoder(part.encoding)
        self._charset = CharsetDecoder(part.content_type.raw_parameter(b"charset") or b"utf-8")

    def feed(self, data: bytes) -> str:
        """The text that is complete so far."""
        return self._charset.feed(self._transfer.feed(data))

    def close(self) -> str:
        """The text that the last octets become."""
        return self._charset.feed(self._transfer.close()) + self._charset.close()


def decode_words(value: bytes) -> str:
    """A header value as text: encoded words decoded, the rest read as UTF-8 (RFC 6532).

    Blanks between encoded words are left out (RFC 2047 section 6.2); neighbours of one charset
    are decoded together, because senders cut characters in two.
    """
    if b"=?" not in value:
        return decode(value, b"utf-8")
    result = list[str]()
    charset, octets, at = b"", list[bytes](), 0
    for found in _ENCODED_WORD.finditer(value):
        apart = not _ONLY_BLANKS.fullmatch(value, at, found.start()) or not octets
        if octets and (apart or found[1].lower() != charset):
            result.append(decode(b"".join(octets), charset))
            octets.clear()
        if apart:
            result.append(decode(value[at : found.start()], b"utf-8"))
        charset = found[1].lower()
        octets.append(_word_octets(found[2], found[3]))
        at = found.end()
    if octets:
        result.append(decode(b"".join(octets), charset))
    result.append(decode(value[at:], b"utf-8"))
    return "".join(result)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Qq":
        return binascii.a2b_qp(text, header=True)
    decoder = TransferDecoder(b"base64")
    return decoder.feed(text) + decoder.close()


def _base64_groups(text: bytes) -> bytes:
    """Whole groups of four characters of the alphabet."""
    return decode_base64(text) or b""


def _base64_end(text: bytes) -> bytes:
    """One to three characters without padding: six bits each, an incomplete octet dropped."""
    return _base64_groups(text.ljust(4, b"A"))[: len(text) * 6 // 8] if text else b""
