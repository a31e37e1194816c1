"""Lines for the trace hook: secrets hidden, literals abbreviated; one rule for both sides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mailproto.imap.commands import Authenticate, Command, Login
from mailproto.sasl.wire import secrets_of, without

__all__ = ["HIDDEN", "command_text", "has_secret", "lines", "secrets_in", "unquoted"]

HIDDEN: Final = b"<hidden>"

# Without a tag the name may come first; whatever follows it is hidden all the same.
_SECRET: Final = re.compile(
    rb"((?:[^ ]* +)?(?:LOGIN|AUTHENTICATE +[^ \r\n]*))[ \r\n].*", re.IGNORECASE | re.DOTALL
)
_KEPT: Final = re.compile(
    rb"[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: \[[^\]]*\])?(?![^ ])|\* CAPABILITY .*|\+ .*",
    re.IGNORECASE | re.DOTALL,
)
"""Of a condition all but the words, and what machines read or what may resemble anything."""
_LITERAL: Final = re.compile(rb"\{([0-9]{1,20})\+?\}\r\n")


def has_secret(line: bytes) -> bool:
    """Whether a command that begins with ``line`` carries a secret."""
    return _SECRET.match(line + b" ") is not None


def command_text(text: bytes, *, may_be_response: bool = False) -> bytes:
    """A command line, or all lines of a command, without the arguments that are secret.

    ``may_be_response``: it is no command that is known, and stands behind a login.
    """
    found = _SECRET.match(text)
    if found is not None:
        return found[1] + b" " + HIDDEN
    return HIDDEN if may_be_response else text


def lines(octets: bytes) -> Iterator[bytes]:
    """The lines of whole commands or responses, each literal as ``<3 octets>``."""
    text: list[bytes] = []
    at = 0
    for found in _LITERAL.finditer(octets):
        if found.start() < at:  # inside of a literal
            continue
        size = int(found[1])
        text += (octets[at : found.end() - 2], b"<%d octets>" % size)
        at = found.end() + size
    text.append(octets[at:])
    for line in b"".join(text).split(b"\r\n"):
        if line:
            yield line


def secrets_in(command: Command) -> tuple[bytes, ...]:
    """What of ``command`` no trace may show where the server quotes it."""
    match command:
        case Login(_, password):
            return (password,)
        case Authenticate(_, bytes(response)):
            return secrets_of(response)
        case _:
            return ()


def unquoted(text: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """A response in the course of a login, its words without ``secrets``."""
    kept = _KEPT.match(text)
    end = 0 if kept is None else kept.end()
    return text[:end] + without(text[end:], secrets)
