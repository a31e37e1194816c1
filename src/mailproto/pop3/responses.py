"""What a POP3 server says. The server machine sends these values, the client machine yields them.

A positive answer whose content matters has a class of its own; every other one is ``Ok``. A
multi-line answer begins with ``Ok``, goes on in pieces (``Body``, ``ScanListings``,
``UniqueIdListings``) whose borders mean nothing, and ends with one event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import field

from mailproto._core.frozen import frozen
from mailproto.pop3.capabilities import Capabilities
from mailproto.pop3.commands import ClientItem

__all__ = [
    "AUTH",
    "Answer",
    "Body",
    "Challenge",
    "ClientEvent",
    "DropListing",
    "EndOfListing",
    "EndOfMessage",
    "Err",
    "Greeting",
    "IN_USE",
    "Invalid",
    "LOGIN_DELAY",
    "Language",
    "LanguageChanged",
    "Languages",
    "LastAccessed",
    "Message",
    "Ok",
    "ResponseCode",
    "SYS_PERM",
    "SYS_TEMP",
    "ScanListing",
    "ScanListings",
    "ServerEvent",
    "ServerItem",
    "UTF8",
    "UniqueIdListing",
    "UniqueIdListings",
    "Unparsed",
]


@frozen
class ResponseCode:
    """``[SYS/TEMP]`` at the beginning of a text (RFC 2449 section 8), in upper case.

    Detail may follow a known code: ask ``SYS_TEMP.covers(answer.code)`` rather than compare.
    """

    text: str

    @property
    def levels(self) -> tuple[str, ...]:
        """The hierarchy: ``("SYS", "TEMP")``."""
        return tuple(self.text.split("/"))

    def covers(self, code: ResponseCode | None) -> bool:
        """Whether ``code`` is this one, or this one with more detail."""
        return code is not None and (code.text + "/").startswith(self.text + "/")

    def __str__(self) -> str:
        return self.text


LOGIN_DELAY: Final = ResponseCode("LOGIN-DELAY")
"""The user has logged in too recently (RFC 2449 section 8.1.1)."""
IN_USE: Final = ResponseCode("IN-USE")
"""Another session has the maildrop (RFC 2449 section 8.1.2)."""
SYS_TEMP: Final = ResponseCode("SYS/TEMP")
"""Not the credentials are at fault, and it is likely to pass (RFC 3206 section 4)."""
SYS_PERM: Final = ResponseCode("SYS/PERM")
"""Not the credentials are at fault, and it needs a person (RFC 3206 section 4)."""
AUTH: Final = ResponseCode("AUTH")
"""The credentials are at fault (RFC 3206 section 5)."""
UTF8: Final = ResponseCode("UTF8")
"""The message needs the UTF8 command first (RFC 6856 section 5)."""


@frozen
class Ok:
    """``S: +OK message 1 deleted``: yes; before a multi-line answer also its beginning."""

    text: str = ""
    code: ResponseCode | None = None


@frozen
class Err:
    """``S: -ERR [IN-USE] Do you have another POP session running?``: no."""

    text: str = ""
    code: ResponseCode | None = None


@frozen
class Greeting:
    """``S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>`` (RFC 1939 section 4).

    ``timestamp`` is the msg-id with its angle brackets, if the server offers APOP with it.
    """

    text: str = ""
    timestamp: str | None = None


@frozen
class Challenge:
    """``S: + Y2hhbGxlbmdl``: octets after base64; answer with ``AuthResponse`` (RFC 5034)."""

    data: bytes = field(repr=False)


@frozen
class DropListing:
    """``S: +OK 2 320``: the answer to STAT (RFC 1939 section 5)."""

    messages: int
    octets: int


@frozen
class ScanListing:
    """``S: +OK 2 200``: the answer to LIST with a message number (RFC 1939 section 5)."""

    message: int
    octets: int


@frozen
class UniqueIdListing:
    """``S: +OK 2 QhdPYR:00WBw1Ph7x7``: the answer to UIDL with a number (RFC 1939 section 7)."""

    message: int
    unique_id: str


@frozen
class ScanListings:
    """Some lines ``S: 1 120`` of the answer to LIST: octets by message number."""

    # A mapping of numbers is no work for Python's garbage collector; as many pairs are.
    entries: Mapping[int, int] = field(hash=False)


@frozen
class UniqueIdListings:
    """Some lines ``S: 1 whqtswO00WBw418f9t5JxYwZ`` of the answer to UIDL: unique-id by number."""

    entries: Mapping[int, str] = field(hash=False)


@frozen
class EndOfListing:
    """``S: .`` of LIST and UIDL."""


@frozen
class Body:
    """Octets of a message (RETR, TOP), dots as in the message, of whatever size they came in."""

    data: bytes = field(repr=False)


@frozen
class Message:
    """A whole answer to RETR or TOP in one value: ``Ok(text)``, ``Body(data)``, ``EndOfMessage()``.

    For servers, and for messages that lie in memory as one piece anyway.
    """

    data: bytes = field(repr=False)
    text: str = ""


@frozen
class EndOfMessage:
    """``S: .`` of RETR and TOP: the message is complete.

    ``bare_newline`` is the offset (doubled dots counted) of its first CR or LF that is not part
    of a CRLF; such octets are handed on as they are. A server's is not sent.
    """

    bare_newline: int | None = None


@frozen
class LastAccessed:
    """``S: +OK 3``: the answer to LAST; 0 if no message has been accessed (RFC 1460)."""

    message: int


@frozen
class Language:
    """``S: es Espanol``: one line of a language listing (RFC 6856 section 3.2)."""

    tag: str
    description: str = ""


@frozen
class Languages:
    """The answer to LANG without an argument."""

    languages: tuple[Language, ...]


@frozen
class LanguageChanged:
    """``S: +OK es Idioma cambiado``: the answer to LANG with an argument (RFC 6856)."""

    tag: str
    text: str = ""


@frozen
class Invalid:
    """The server's event for a line that is no command it can carry out now.

    Malformed, unknown, in the wrong state or not offered: ``reply`` says which, and ``accept()``
    sends it. ``line`` is never shown, for it may hold a password in the wrong place.
    """

    line: bytes = field(repr=False)
    reply: Err


@frozen
class Unparsed:
    """The client's event for a response it cannot make sense of; the framing is intact.

    It stands for the whole answer, or for one line of a listing, which goes on.
    """

    line: bytes
    reason: str


Answer: TypeAlias = (
    Ok
    | Err
    | Greeting
    | DropListing
    | ScanListing
    | UniqueIdListing
    | Capabilities
    | Languages
    | LanguageChanged
    | LastAccessed
    | Challenge
)
"""The first line of an answer, with the whole of it where that is small."""

_Said: TypeAlias = Answer | Body | EndOfMessage | ScanListings | UniqueIdListings | EndOfListing

ServerItem: TypeAlias = _Said | Message
"""Everything a server can say."""

ServerEvent: TypeAlias = ClientItem | Invalid
"""What ``pop3.Server.next_event`` yields, signals apart."""

ClientEvent: TypeAlias = _Said | Unparsed
"""What ``pop3.Client.next_event`` yields, signals apart."""
