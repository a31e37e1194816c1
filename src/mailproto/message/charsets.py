"""Character sets of mail as Python codecs: only real text encodings, and only ones that exist.

The names come from strangers. Python's codec search imports modules by name, remembers every
name it was ever asked for, and also knows encodings that are no character sets (zlib, punycode),
so a name is looked up in its fixed table first.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from typing import Final

__all__ = ["CharsetDecoder", "codec_name", "decode"]

_NOT_ALPHANUMERIC: Final = re.compile(r"[^a-z0-9]+")

_NO_CHARSETS: Final = frozenset(
    {"base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec",
     "zlib_codec"}
)  # fmt: skip
# The table of aliases lists no codec without one.
_WITHOUT_ALIAS: Final = {"cp720", "cp737", "cp856", "cp874", "koi8_t", "koi8_u"}
_CODECS: Final = (frozenset(aliases.values()) | _WITHOUT_ALIAS) - _NO_CHARSETS

# What mail says and Python's table does not know, or means more narrowly than mail does.
_MAIL_NAMES: Final = {
    "ascii": "utf_8",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_1": "latin_1",
    "iso_8859_6_e": "iso8859_6",
    "iso_8859_6_i": "iso8859_6",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_8_i": "iso8859_8",
    "utf8mb4": "utf_8",
    "windows_874": "cp874",
    "x_gbk": "gb18030",
    "x_mac_roman": "mac_roman",
    "x_sjis": "cp932",
}


def codec_name(charset: bytes) -> str | None:
    """The Python codec for a MIME charset name, or ``None`` for a name nobody knows."""
    if len(charset) > 64:
        return None
    name = _NOT_ALPHANUMERIC.sub("_", charset.decode("ascii", "replace").lower()).strip("_")
    name = aliases.get(name, name)
    name = _MAIL_NAMES.get(name, name)
    return name if name in _CODECS else None


class CharsetDecoder:
    """Octets of a charset to text, in chunks; what does not decode becomes U+FFFD.

    An unknown charset is read as UTF-8, and so is us-ascii, its subset.
    """

    __slots__ = ("_decoder",)

    def __init__(self, charset: bytes) -> None:
        name = codec_name(charset) or "utf_8"
        self._decoder = codecs.getincrementaldecoder(name)(errors="replace")

    def feed(self, data: bytes) -> str:
        """The text of the characters that are complete."""
        return self._decoder.decode(data)

    def close(self) -> str:
        """What an incomplete character at the end becomes."""
        return self._decoder.decode(b"", final=True)


def decode(data: bytes, charset: bytes) -> str:
    """All of ``data`` as text."""
    decoder = CharsetDecoder(charset)
    return decoder.feed(data) + decoder.close()
