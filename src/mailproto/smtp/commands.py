"""What a client says: a class for each command, sent by a client and yielded by a server.

``Body`` and ``EndOfMessage`` are the content after DATA. After BDAT a client sends only ``Body``,
and a server yields the end of each chunk too: ``EndOfChunk``, or for the last ``EndOfMessage``.
Only yielded are also ``Invalid`` and ``BadContent``, for what cannot be accepted: each of them
carries the reply that ``Server.accept()`` sends.
"""

from __future__ import annotations

import enum
from typing import Literal, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.smtp.address import POSTMASTER, ForwardPath, Mailbox, ReversePath
from mailproto.smtp.parameters import MailParameter, RcptParameter
from mailproto.smtp.replies import Reply
from mailproto.smtp.url import redacted, submitter

__all__ = [
    "Atrn",
    "Auth",
    "AuthCancel",
    "AuthResponse",
    "BadContent",
    "Bdat",
    "Body",
    "BodyType",
    "Burl",
    "Command",
    "ContentProblem",
    "Data",
    "Ehlo",
    "EndOfChunk",
    "EndOfMessage",
    "Etrn",
    "Expn",
    "Helo",
    "Help",
    "Invalid",
    "Lhlo",
    "Mail",
    "Noop",
    "OtherCommand",
    "Quit",
    "Rcpt",
    "RepairedLine",
    "Rset",
    "ServerEvent",
    "StartTLS",
    "Vrfy",
    "XClient",
    "XForward",
]


class BodyType(enum.Enum):
    """The value of ``BODY=`` (RFC 6152 section 3, RFC 3030 section 3)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"
    """Any octets, in chunks after BDAT only."""


@frozen
class Ehlo:
    """``C: EHLO client.example.com`` (RFC 5321 section 4.1.1.1). Ends any transaction."""

    domain: str
    """The client's domain or address literal."""


@frozen
class Helo:
    """``C: HELO client.example.com``: a session without extensions (RFC 5321 section 4.1.1.1)."""

    domain: str


@frozen
class Lhlo:
    """``C: LHLO client.example.com``: EHLO of LMTP (RFC 2033 section 4.1)."""

    domain: str


@frozen
class StartTLS:
    """``C: STARTTLS`` (RFC 3207). After the 220 comes the handshake and a fresh machine."""


@frozen
class Auth:
    """``C: AUTH PLAIN AGFsaWNlAHNlY3JldA==`` (RFC 4954 section 4)."""

    mechanism: str
    """In upper case."""
    initial_response: bytes | None = field(default=None, repr=False)
    """Decoded; ``b""`` is sent as ``=``, ``None`` sends nothing."""


@frozen
class AuthResponse:
    """A line of base64: the client's turn in a SASL exchange (RFC 4954 section 4)."""

    data: bytes = field(repr=False)
    """Decoded; may be empty."""


@frozen
class AuthCancel:
    """``C: *``: the client gives up the exchange; the answer is 501 (RFC 4954 section 4)."""


@frozen
class Mail:
    """``C: MAIL FROM:<alice@example.com> SIZE=1000``: begins a transaction (section 4.1.1.2)."""

    reverse_path: ReversePath
    size: int | None = None
    """Octets of the content as the client estimates them (RFC 1870 section 3)."""
    body: BodyType | None = None
    smtputf8: bool = False
    """Addresses and header fields may hold UTF-8 (RFC 6531 section 3.4)."""
    auth: ReversePath | None = None
    """Who submitted the message (RFC 4954 section 5); ``NULL_PATH`` says unknown."""
    parameters: tuple[MailParameter, ...] = ()
    """The others, in their order; those that an RFC gives have a class each."""


@frozen
class Rcpt:
    """``C: RCPT TO:<bob@example.com>``: one more recipient (RFC 5321 section 4.1.1.3)."""

    forward_path: ForwardPath
    parameters: tuple[RcptParameter, ...] = ()

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent without SMTPUTF8."""
        path, parameters = self.forward_path, self.parameters
        if not parameters and isinstance(path, Mailbox):
            # The usual one, without another property.
            return path.local_part.isascii() and path.domain.isascii()
        return (path is POSTMASTER or path.is_ascii) and all(
            (parameter.value or "").isascii() for parameter in parameters
        )


@frozen
class Data:
    """``C: DATA``: the content follows once the server says 354 (RFC 5321 section 4.1.1.4)."""


@frozen
class Bdat:
    """``C: BDAT 86 LAST``: so many octets of content follow at once (RFC 3030 section 2).

    A client sends them as ``Body``; the reply comes after the last of them. A server yields it only
    inside ``Invalid``: what it accepts comes as ``Body``, and ``EndOfChunk`` or ``EndOfMessage``.
    """

    size: int
    """Octets of the chunk; 0 is allowed."""
    last: bool = False
    """Whether the content ends with this chunk."""


@frozen
class Body:
    """A piece of the content, cut anywhere, without dot stuffing."""

    data: bytes = field(repr=lambda data: f"<{len(data)} octets>")


@frozen
class EndOfMessage:
    """``C: .``: the content is complete. In LMTP a reply for each accepted recipient follows.

    After BDAT a server yields it at the end of the last chunk; a client does not send it then.
    """

    bare_newline: int | None = None
    """Only yielded: offset of the first bare CR or LF on the wire, where the policy repaired or
    passed it."""


@frozen
class Rset:
    """``C: RSET``: ends any transaction (RFC 5321 section 4.1.1.5)."""


@frozen
class Noop:
    """``C: NOOP`` (RFC 5321 section 4.1.1.9)."""

    text: str = ""


@frozen
class Vrfy:
    """``C: VRFY Crispin``: is this a user or mailbox (RFC 5321 section 4.1.1.6)?"""

    text: str
    smtputf8: bool = False
    """The reply may hold UTF-8 (RFC 6531 section 3.7.4.2)."""


@frozen
class Expn:
    """``C: EXPN Example-People``: who is on this list (RFC 5321 section 4.1.1.7)?"""

    text: str
    smtputf8: bool = False
    """The reply may hold UTF-8 (RFC 6531 section 3.7.4.2)."""


@frozen
class Help:
    """``C: HELP`` (RFC 5321 section 4.1.1.8)."""

    topic: str = ""


@frozen
class Quit:
    """``C: QUIT``: the server answers 221 and closes (RFC 5321 section 4.1.1.10)."""


@frozen
class Etrn:
    """``C: ETRN example.com``: start to send what waits for this node (RFC 1985 section 5).

    It is sent over another connection. The answer is 250, or 251 (nothing waits), 252 (something
    does) or 253 (so many messages do); 458 and 459 refuse.
    """

    node: str
    """A fully qualified domain name, or the name of a queue after ``#``."""
    option: Literal["", "@", "#"] = ""
    """``@``: the node and all its subdomains; ``#``: a queue (section 5.3)."""


@frozen
class Atrn:
    """``C: ATRN example.org,example.com``: turn the connection round (RFC 2645 section 5.2.1).

    After the 250 the client is a server and says the greeting; see ``trailing_data``. 450 and 451
    refuse, 453 says that there is no mail.
    """

    domains: tuple[str, ...] = ()
    """Whose mail is wanted; none for all that the login may have."""


@frozen
class Burl:
    """``C: BURL imap://harry@example.com/outbox;uid=25;urlauth=... LAST`` (RFC 4468).

    What the URL stands for is a chunk of the content, as after BDAT. A server resolves it and
    gives the octets to ``Server.supply``, or answers by a 4yz or 5yz.
    """

    url: str = field(repr=lambda url: repr(redacted(url)))
    """An absolute URI. The authority of a URLAUTH is as good as a password: it is not shown."""
    last: bool = False
    """Whether the content ends with this chunk."""

    @property
    def submitter(self) -> str | None:
        """The user of ``urlauth=submit+user``: only this one may submit the URL (section 3.3)."""
        return submitter(self.url)


@frozen
class XClient:
    """``C: XCLIENT NAME=spike.example ADDR=192.0.2.1``: for whom the client stands (Postfix).

    Accepted with 220, after which the session begins anew with EHLO.
    """

    attributes: tuple[tuple[str, str], ...]
    """Name in upper case and value, decoded; ``[UNAVAILABLE]`` and ``[TEMPUNAVAIL]`` as spelt."""


@frozen
class XForward:
    """``C: XFORWARD NAME=spike.example``: whence the next message came, for logs (Postfix)."""

    attributes: tuple[tuple[str, str], ...]
    """As in ``XClient``."""


@frozen
class OtherCommand:
    """A command this library has no class for: ``C: XADR bob``. One reply answers it.

    A server that does not know it either says so with ``accept()``: 500.
    """

    verb: str
    """In upper case."""
    argument: str = ""


@frozen
class EndOfChunk:
    """All octets of a BDAT without LAST have come; a 4yz or 5yz ends the transaction."""

    size: int
    """How many they were."""


@frozen
class RepairedLine:
    """A bare CR or LF has ended the line that is yielded next, as ``BareNewlines.REPAIR`` has it.

    The octets of an AUTH exchange are not kept. Nothing is to be answered.
    """

    line: bytes
    """As received, without its end."""


@frozen
class Invalid:
    """A line that has only one answer: malformed, out of sequence or beyond a limit.

    The octets of an AUTH exchange are not kept.
    """

    line: bytes
    """As received, without CRLF."""
    problem: str
    """What was wrong, and where."""
    reply: Reply
    """What ``accept()`` sends; any other 4yz or 5yz may be sent instead."""
    command: Command | None = None
    """The command, where it was well formed."""


class ContentProblem(enum.Enum):
    """Why content cannot be accepted."""

    BARE_NEWLINE = "bare CR or LF"
    TOO_LARGE = "larger than the limit"
    LONG_LINE = "a line over the limit"


@frozen
class BadContent:
    """The content ended but cannot be accepted; nothing of it is valid. Answered by a 5yz."""

    problem: ContentProblem
    offset: int
    """Where, in octets: the first bare CR or LF in the content as it came over the wire, before
    dots are taken out, the limit, or how much of the content a long line ended."""
    reply: Reply
    """What ``accept()`` sends, in LMTP once for each accepted recipient."""


Command: TypeAlias = (
    Ehlo
    | Helo
    | Lhlo
    | StartTLS
    | Auth
    | AuthResponse
    | AuthCancel
    | Mail
    | Rcpt
    | Data
    | Bdat
    | Body
    | EndOfMessage
    | Rset
    | Noop
    | Vrfy
    | Expn
    | Help
    | Quit
    | Etrn
    | Atrn
    | Burl
    | XClient
    | XForward
    | OtherCommand
)
"""What a client may send."""

ServerEvent: TypeAlias = Command | EndOfChunk | RepairedLine | Invalid | BadContent
"""What a server may yield. Everything but ``Body`` and ``RepairedLine`` waits for an answer."""
