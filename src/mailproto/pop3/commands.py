"""What a POP3 client says. The client machine sends these values, the server machine yields them.

Values are plain: whether an argument can go over the wire is checked where it is encoded
(``pop3.serialize``), whether a command is allowed now by the machines.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import field

from mailproto._core.frozen import frozen

__all__ = [
    "Apop",
    "Auth",
    "AuthCancel",
    "AuthResponse",
    "Capa",
    "ClientItem",
    "Command",
    "Dele",
    "Lang",
    "Last",
    "List",
    "Noop",
    "Pass",
    "Quit",
    "Retr",
    "Rpop",
    "Rset",
    "Stat",
    "Stls",
    "Top",
    "Uidl",
    "User",
    "Utf8",
]


@frozen
class User:
    """``C: USER mrose``: name the mailbox (RFC 1939 section 7)."""

    name: str


@frozen
class Pass:
    """``C: PASS secret``: the password, spaces included (RFC 1939 section 7)."""

    password: str = field(repr=False)


@frozen
class Rpop:
    """``C: RPOP mrose``: instead of PASS, who the user is at the client's host (RFC 1225).

    It takes the client's word, and RFC 1460 has removed it: servers have it off unless asked for.
    """

    name: str


@frozen
class Apop:
    """``C: APOP mrose c4c9334bac560ecc979e58001b3e22fb`` (RFC 1939 section 7).

    ``digest`` is what ``apop_digest`` makes of the greeting's timestamp and the password. MD5 is
    broken and the server must keep the password in clear: both machines have APOP off unless
    asked for.
    """

    name: str
    digest: str = field(repr=False)


@frozen
class Auth:
    """``C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm``: begin a SASL exchange (RFC 5034).

    ``initial_response`` is in octets before base64; ``b""`` goes as ``=``, ``None`` not at all.
    """

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)


@frozen
class AuthResponse:
    """``C: dGVzdA==``: the answer to a ``Challenge``, in octets before base64 (RFC 5034)."""

    data: bytes = field(repr=False)


@frozen
class AuthCancel:
    """``C: *``: give up the SASL exchange; the server answers with ``Err`` (RFC 5034 section 4)."""


@frozen
class Stls:
    """``C: STLS``: begin TLS after the positive answer (RFC 2595 section 4)."""


@frozen
class Capa:
    """``C: CAPA``: what can the server do? Answered by ``Capabilities`` (RFC 2449 section 5)."""


@frozen
class Utf8:
    """``C: UTF8``: messages and names may be UTF-8 from here on (RFC 6856 section 2)."""


@frozen
class Lang:
    """``C: LANG es``: the language of texts (RFC 6856 section 3).

    ``None`` asks for the ``Languages`` there are, ``"*"`` for the server's preferred one.
    """

    language_range: str | None = None


@frozen
class Stat:
    """``C: STAT``: answered by ``DropListing`` (RFC 1939 section 5)."""


@frozen
class List:
    """``C: LIST`` or ``C: LIST 2``: sizes of all messages, or of one (RFC 1939 section 5)."""

    message: int | None = None


@frozen
class Uidl:
    """``C: UIDL`` or ``C: UIDL 2``: unique-ids of all messages or of one (RFC 1939 section 7)."""

    message: int | None = None


@frozen
class Retr:
    """``C: RETR 1``: the whole message (RFC 1939 section 5)."""

    message: int
    octets: int | None = field(default=None, eq=False)
    """Not sent: the size that LIST has told. A client that gives it takes a message whose last
    line runs into the final dot for complete, at this size only (``Quirk.MISSING_CRLF``). Leave
    it out for a server whose sizes are wrong: who sends mail through it could say where a
    message ends."""


@frozen
class Top:
    """``C: TOP 1 10``: the header and ``lines`` lines of the body (RFC 1939 section 7)."""

    message: int
    lines: int


@frozen
class Dele:
    """``C: DELE 1``: mark as deleted; it is removed in the UPDATE state (RFC 1939 section 5)."""

    message: int


@frozen
class Noop:
    """``C: NOOP``: nothing but an answer (RFC 1939 section 5)."""


@frozen
class Rset:
    """``C: RSET``: unmark what was marked as deleted (RFC 1939 section 5)."""


@frozen
class Last:
    """``C: LAST``: the highest message number accessed (RFC 1460; gone since RFC 1725)."""


@frozen
class Quit:
    """``C: QUIT``: end; after TRANSACTION by way of UPDATE (RFC 1939 sections 4 to 6)."""


Command: TypeAlias = (
    User
    | Pass
    | Rpop
    | Apop
    | Auth
    | Stls
    | Capa
    | Utf8
    | Lang
    | Stat
    | List
    | Uidl
    | Retr
    | Top
    | Dele
    | Noop
    | Rset
    | Last
    | Quit
)
"""A command with its arguments."""

ClientItem: TypeAlias = Command | AuthResponse | AuthCancel
"""Everything a client can say."""
