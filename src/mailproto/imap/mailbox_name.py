"""Mailbox names: the octets of the wire are the name, text is a view of them.

A name that a server lists can be sent back octet for octet, whatever is in it. Modified UTF-7
(RFC 3501 section 5.1.3) is applied to names given as ``str`` and undone for display only.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field

from mailproto._core.frozen import frozen
from mailproto._core.strict import decode_base64, encode_base64

__all__ = ["INBOX", "MailboxName", "decode_utf7", "encode_utf7", "mailbox_name"]

_TO_ENCODE: Final = re.compile(r"&|[^\x20-\x7e]+")
_ENCODED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_NOT_ENCODED: Final = re.compile(r"[^\x20-\x7e]|&(?![A-Za-z0-9+,]*-)")


def encode_utf7(text: str) -> bytes:
    """Modified UTF-7 of ``text``; raises UnicodeEncodeError for a lone surrogate.

    ::

        encode_utf7("Entwürfe")  # b"Entw&APw-rfe"
    """
    return _TO_ENCODE.sub(_encode_run, text).encode("ascii")


def _encode_run(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    shifted = encode_base64(run[0].encode("utf-16-be")).decode("ascii")
    return "&" + shifted.rstrip("=").replace("/", ",") + "-"


def decode_utf7(octets: bytes) -> str | None:
    """The text of canonical modified UTF-7, ``None`` for anything else."""
    try:
        wire = octets.decode("ascii")
        if _NOT_ENCODED.search(wire):
            return None
        text = _ENCODED.sub(_decode_run, wire)
        return text if encode_utf7(text) == octets else None
    except UnicodeError:
        return None


def _decode_run(run: re.Match[str]) -> str:
    shifted = run[1]
    if not shifted:
        return "&"
    padded = shifted.replace(",", "/") + "=" * (-len(shifted) % 4)
    data = decode_base64(padded.encode("ascii"))
    # An empty run never encodes to what it was decoded from, so that the caller refuses it.
    return "" if data is None else data.decode("utf-16-be")


def _canonical(octets: bytes) -> bytes:
    """INBOX has one spelling (RFC 3501 section 5.1); everything else is as it is."""
    return b"INBOX" if len(octets) == 5 and octets.upper() == b"INBOX" else octets


@frozen
class MailboxName:
    r"""A mailbox name as it is on the wire: ``MailboxName(b"Entw&APw-rfe")``.

    Any octets but NUL can be sent, as a literal where a quoted string cannot hold them.
    ``str(name)`` is the text with unprintable characters escaped, fit for screens and logs.
    """

    octets: bytes = field(converter=_canonical)

    @classmethod
    def from_text(cls, text: str) -> MailboxName:
        """The name whose modified UTF-7 stands for ``text``.

        Raises UnicodeEncodeError for a lone surrogate.
        """
        return cls(encode_utf7(text))

    @property
    def text(self) -> str:
        r"""The name for people: modified UTF-7 or UTF-8 decoded, other octets as ``\xNN``."""
        if b"&" not in self.octets and self.octets.isascii():
            return self.octets.decode("ascii")
        text = decode_utf7(self.octets)
        return self.octets.decode("utf-8", "backslashreplace") if text is None else text

    def __str__(self) -> str:
        return "".join(
            character
            if character.isprintable()
            else character.encode("unicode_escape").decode("ascii")
            for character in self.text
        )


INBOX: Final = MailboxName(b"INBOX")


def mailbox_name(value: MailboxName | str | bytes) -> MailboxName:
    """The converter of commands: ``str`` is text, ``bytes`` are the octets of the wire."""
    if isinstance(value, MailboxName):
        return value
    return MailboxName.from_text(value) if isinstance(value, str) else MailboxName(bytes(value))
