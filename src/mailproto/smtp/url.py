"""The URLs of BURL: absolute URIs (RFC 3986), of which a server resolves those it has offered.

The token of a URLAUTH (RFC 4467) lets whoever has it read what the URL stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["is_absolute_uri", "may_be_resolved", "redacted", "submitter", "token"]

# absolute-URI (RFC 3986 section 4.3): no fragment. What may stand where is the resolver's business.
_ABSOLUTE_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})+"
)
_IMAP_AUTHORITY: Final = re.compile(r"imap://(?:[^/?@]*@)?([^/?@]+)", re.IGNORECASE)
# authimapurlfull (RFC 4467 section 7)
_URLAUTH: Final = re.compile(r"(;urlauth=[^:;]*).*", re.DOTALL | re.IGNORECASE)
_TOKEN: Final = re.compile(r";urlauth=[^:;]*:[^:]*:(.*)", re.DOTALL | re.IGNORECASE)
_SUBMITTER: Final = re.compile(r";urlauth=submit\+([^:;]*)", re.IGNORECASE)
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def is_absolute_uri(text: str) -> bool:
    """Whether ``text`` can be the argument of BURL."""
    return _ABSOLUTE_URI.fullmatch(text) is not None


def redacted(text: str) -> str:
    """``text`` without the token of a URLAUTH."""
    return _URLAUTH.sub(r"\1:<hidden>", text)


def token(url: str) -> str:
    """The token of a URLAUTH, empty where there is none."""
    match = _TOKEN.search(url)
    return "" if match is None else match[1]


def submitter(url: str) -> str | None:
    """The user that ``urlauth=submit+user`` names, or ``None``."""
    match = _SUBMITTER.search(url)
    if match is None:
        return None
    octets = _ENCODED.sub(lambda code: bytes.fromhex(code[1].decode()), match[1].encode())
    return octets.decode(errors="surrogateescape")


def may_be_resolved(url: str, offered: Iterable[str]) -> bool:
    """Whether a server with these arguments of the keyword BURL takes ``url``.

    ``imap`` stands for every IMAP URL with URLAUTH, ``imap://host`` for those on that host without
    (RFC 4468 section 3.3).
    """
    match = _IMAP_AUTHORITY.match(url)
    if match is None:
        return False
    needed = "imap" if _URLAUTH.search(url) else f"imap://{match[1]}".lower()
    return needed in [name.rstrip("/").lower() for name in offered]
