"""A whole message that is proven to be safe to send: what was looked at once needs no second look.

The proof is the type: nothing but the constructor makes a ``SafeContent``, and a slice or a sum of
one is plain ``bytes`` again.
"""

from __future__ import annotations

from typing import Self, final

from mailproto._core.dot import BareNewlines
from mailproto.errors import LocalProtocolError
from mailproto.smtp.content import NEWLINE, OutgoingContent

__all__ = ["SafeContent"]


@final
class SafeContent(bytes):
    r"""The octets of a message in which every CR and LF is part of a CRLF.

    ::

        SafeContent(b"Subject: x\r\n\r\nhello\r\n")
        SafeContent(b"Subject: x\n\nhello\n", BareNewlines.REPAIR)    # equal

    It ends with CRLF unless it is empty, and no line has more than 998 octets (RFC 5321 section
    4.5.3.1.6). So no server, however lenient, finds an end of the content inside it, once dots are
    doubled, which the client does. It goes wherever content goes, unchecked.

    The constructor is the only way to make one.
    """

    __slots__ = ()

    def __new__(cls, octets: bytes, bare_newlines: BareNewlines = BareNewlines.REJECT) -> Self:
        """Prove it; a CRLF is added to a last line that has none.

        REPAIR makes CRLF of every other newline. Raises LocalProtocolError, which says where, for
        what is not safe.
        """
        if bare_newlines is BareNewlines.PASS:
            raise LocalProtocolError("content with a bare CR or LF is never safe")
        if bare_newlines is BareNewlines.REPAIR:
            octets = NEWLINE.sub(b"\r\n", octets)
        OutgoingContent(BareNewlines.REJECT, long_lines=False).check(octets)
        if octets and not octets.endswith(b"\r\n"):
            octets += b"\r\n"
        return super().__new__(cls, octets)

    def __repr__(self) -> str:
        """How long it is; what it says is nobody's business."""
        return f"<SafeContent of {len(self)} octets>"
