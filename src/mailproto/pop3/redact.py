"""Lines as a trace may show them: passwords, digests and SASL octets are never among them."""

from __future__ import annotations

import re
from typing import Final

from mailproto.pop3.commands import Apop, Auth, AuthResponse, ClientItem, Pass

__all__ = ["redact_command", "redact_invalid", "redact_response", "secrets_in", "unquoted"]

_HIDDEN: Final = b"<hidden>"
_KEPT: Final = re.compile(
    rb"(?:-ERR|\+OK)(?: \[[^\]]*\])?(?![^ ])|\+ .*", re.IGNORECASE | re.DOTALL
)
"""Of a status line all but the words, and challenges, which may resemble anything."""
_KEYWORD: Final = re.compile(rb"[A-Za-z]{3,4}(?![^ ])")
"""RFC 1939 section 3; longer ones are none, but base64 of a short password resembles them."""


def redact_command(item: ClientItem, line: bytes) -> bytes:
    """The line of ``item``, without its CRLF."""
    match item:
        case Pass():
            return b"PASS " + _HIDDEN
        case AuthResponse():
            return _HIDDEN
        case Auth(_, initial_response) if initial_response is not None:
            return line.rstrip(b"\r\n ").rpartition(b" ")[0] + b" " + _HIDDEN
        case Apop():
            return line.rstrip(b"\r\n").rpartition(b" ")[0] + b" " + _HIDDEN
        case _:
            return line.removesuffix(b"\r\n")


def redact_invalid(line: bytes) -> bytes:
    """A line that is no command: at most its keyword, for the rest may be a misplaced secret."""
    keyword = _KEYWORD.match(line)
    if keyword is None:
        return _HIDDEN
    return keyword[0] if len(line) == keyword.end() else keyword[0] + b" " + _HIDDEN


def redact_response(line: bytes) -> bytes:
    """A line of the server, without its CRLF."""
    return b"+ " + _HIDDEN if line[:1] == b"+" and line[:2] not in (b"+O", b"+o") else line


def secrets_in(item: ClientItem) -> tuple[bytes, ...]:
    """What of ``item`` no trace may show where the server quotes it."""
    match item:
        case Pass(password):
            return (password.encode(),)
        case Apop(_, digest):
            return (digest.encode(),)
        case Auth(_, bytes(response)) | AuthResponse(response):
            # Not before it is needed: all of SASL takes as long to load as this package.
            from mailproto.sasl.wire import secrets_of

            return secrets_of(response)
        case _:
            return ()


def unquoted(line: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """A line where a status is due, its words without ``secrets``."""
    from mailproto.sasl.wire import without

    kept = _KEPT.match(line)
    end = 0 if kept is None else kept.end()
    return line[:end] + without(line[end:], secrets)
