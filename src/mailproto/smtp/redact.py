"""Command lines as a server's trace and events may show them: no octets of SASL, no token of a URL.

A client that is refused AUTH may go on as if it were not, and send its responses as commands.
"""

from __future__ import annotations

from typing import Final

from mailproto.smtp.commands import Auth
from mailproto.smtp.url import redacted

__all__ = ["HIDDEN", "command_line", "misunderstood", "without_secret"]

HIDDEN: Final = b"<hidden>"

_TELLING: Final = (b"AUTH", b"BURL")


def command_line(line: bytes, command: object) -> bytes:
    """The line of ``command``."""
    if isinstance(command, Auth):
        hidden = b"" if command.initial_response is None else b" " + HIDDEN
        return b"AUTH " + command.mechanism.encode() + hidden
    return without_secret(line)


def without_secret(line: bytes) -> bytes:
    """A line that is a command, be it refused."""
    if line[:4].upper() == b"BURL":
        return redacted(line.decode("latin-1")).encode("latin-1")
    return b"AUTH " + HIDDEN if line[:4].upper() == b"AUTH" else line


def misunderstood(line: bytes, *, behind_auth: bool) -> bytes:
    """A line that is no command that is known; ``behind_auth``: AUTH was the last one that was."""
    if behind_auth:
        return HIDDEN
    return line[:4] + b" " + HIDDEN if line[:4].upper() in _TELLING else line
