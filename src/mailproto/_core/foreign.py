"""Whether a line opens another protocol than that of the port.

A web page can make a browser send a request with any body to any port, so that the lines of the
body look like commands. A server that goes on after the first line would carry them out.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.framer import Framer

__all__ = ["begins_tls", "opens_another_protocol"]

_OPENING: Final = re.compile(
    # Request-Line (RFC 9112 section 3), also the preface of HTTP/2 (RFC 9113 section 3.4)
    rb"[A-Z]{3,8} [^ ]* HTTP/[0-9](?:\.[0-9])?"
    # handshake record (RFC 8446 section 5.1)
    rb"|\x16\x03[\x00-\x04].*"
    # protocol version exchange (RFC 4253 section 4.2)
    rb"|SSH-[0-9.]+-.*",
    re.DOTALL,
)


def begins_tls(source: Framer) -> bool:
    """Whether what waits begins as a TLS handshake does, whose client waits for an answer to it.

    A line may never come. No command of any protocol here begins with this octet.
    """
    waiting, position = source.peek()
    return waiting[position : position + 1] == b"\x16"


def opens_another_protocol(line: bytes) -> bool:
    """Whether ``line``, without its CRLF, is how HTTP, TLS or SSH begin."""
    return _OPENING.fullmatch(line) is not None
