"""What a server answers: replies with their enhanced status codes, and challenges of AUTH.

A server sends these classes and a client yields them, equal.
"""

from __future__ import annotations

from typing import Final

from attrs import field

from mailproto._core.frozen import frozen

__all__ = ["Challenge", "EnhancedCode", "Reply", "in_ascii"]


@frozen
class EnhancedCode:
    """``class.subject.detail`` (RFC 3463 section 2), as ``5.1.1``: bad destination mailbox."""

    status: int
    """2 success, 4 temporary failure, 5 permanent failure: the first digit of the code."""
    subject: int
    """0 to 999: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 security."""
    detail: int
    """0 to 999."""

    def __str__(self) -> str:
        return f"{self.status}.{self.subject}.{self.detail}"


def _as_lines(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


@frozen
class Reply:
    """``S: 550 5.1.1 No such user`` (RFC 5321 section 4.2).

    ``Reply(550, "No such user", EnhancedCode(5, 1, 1))``; a tuple makes several lines.
    """

    code: int
    """200 to 599; the first digit is the verdict."""
    lines: tuple[str, ...] = field(default=("",), converter=_as_lines)
    """Text of each line, without codes. Octets that are not UTF-8 are surrogate escapes."""
    enhanced: EnhancedCode | None = None
    """Sent once on every line where the RFC allows it (RFC 2034 section 4)."""

    def __str__(self) -> str:
        codes = str(self.code) if self.enhanced is None else f"{self.code} {self.enhanced}"
        return f"{codes} {self.text}"

    @property
    def text(self) -> str:
        """All lines, joined by a line feed."""
        return "\n".join(self.lines)

    @property
    def positive(self) -> bool:
        """2yz or 3yz: the command was accepted."""
        return self.code < 400

    @property
    def temporary(self) -> bool:
        """4yz: the same command may succeed later."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5yz: the same command will fail again."""
        return self.code >= 500


@frozen
class Challenge:
    """``S: 334 <base64>``: the server's turn in a SASL exchange (RFC 4954 section 4)."""

    data: bytes = field(repr=False)
    """Decoded; may be empty."""


_WITHOUT_ADDRESS: Final = {251: 250, 551: 550}


def in_ascii(reply: Reply, *, query: bool) -> Reply:
    """The reply for a client that takes no UTF-8, with ``?`` for it (RFC 6531 section 3.7.4).

    Where an address was the point of it, the code is the one without an address; ``query`` says
    that VRFY or EXPN is answered.
    """
    if query and not reply.temporary:
        code, status = (252, 2) if reply.positive else (550, 5)
        return Reply(code, "The answer needs SMTPUTF8", EnhancedCode(status, 6, 8))
    lines = tuple([line.encode("ascii", "replace").decode() for line in reply.lines])
    return Reply(_WITHOUT_ADDRESS.get(reply.code, reply.code), lines, reply.enhanced)
