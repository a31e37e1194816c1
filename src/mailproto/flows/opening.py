"""How a client's session begins: TLS as the caller named it, the greeting, the login.

There is no silent fallback: ``"implicit"`` and ``"starttls"`` end in TLS or in an exception, and
without TLS no password is sent unless the caller insists by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from mailproto.errors import LocalProtocolError
from mailproto.flows.effects import Flow, start_tls
from mailproto.sasl import Credentials, PasswordCredentials

if TYPE_CHECKING:
    from mailproto.flows import imap_client, pop3_client, smtp_client

__all__ = [
    "IMAP_PORTS",
    "POP3_PORTS",
    "SMTP_PORTS",
    "Login",
    "TLSMode",
    "address_literal",
    "credentials_of",
    "open_imap",
    "open_pop3",
    "open_smtp",
    "port_of",
    "smtp_port_of",
]

TLSMode: TypeAlias = Literal["implicit", "starttls", "none"]
"""TLS from the first octet, by an upgrade before anything else, or none."""

Login: TypeAlias = tuple[str, str] | Credentials | None
"""User and password, any other credentials of SASL, or nobody."""

SMTP_PORTS: Final[dict[TLSMode, int]] = {"implicit": 465, "starttls": 587, "none": 25}
IMAP_PORTS: Final[dict[TLSMode, int]] = {"implicit": 993, "starttls": 143, "none": 143}
POP3_PORTS: Final[dict[TLSMode, int]] = {"implicit": 995, "starttls": 110, "none": 110}

_HANDSHAKE: Final = 60.0


def port_of(ports: Mapping[TLSMode, int], tls: TLSMode, port: int | None) -> int:
    """``port``, or the usual one of ``tls``. Raises LocalProtocolError for what is no mode."""
    _check_mode(tls)
    return ports[tls] if port is None else port


def smtp_port_of(tls: TLSMode, port: int | None, *, lmtp: bool) -> int:
    """``port_of`` for SMTP and LMTP. Raises LocalProtocolError for LMTP without a port of its own.

    It is never 25 (RFC 2033).
    """
    if lmtp and port is None:
        raise LocalProtocolError("LMTP has no usual port: give the port of the server")
    return port_of(SMTP_PORTS, tls, port)


def _check_mode(tls: str) -> None:
    # What is misspelt would pass for "none" otherwise.
    if tls not in SMTP_PORTS:
        raise LocalProtocolError(f"tls={tls!r} is none of {', '.join(map(repr, SMTP_PORTS))}")


def _implicit_tls(
    session: smtp_client.Session | imap_client.Session | pop3_client.Session, tls: TLSMode
) -> Flow[None]:
    _check_mode(tls)
    if tls == "implicit":
        session.secured = yield from start_tls(_HANDSHAKE)


def credentials_of(login: tuple[str, str] | Credentials) -> Credentials:
    """Credentials of SASL for what ``Login`` allows."""
    return PasswordCredentials(*login) if isinstance(login, tuple) else login


def open_smtp(session: smtp_client.Session, tls: TLSMode, login: Login) -> Flow[None]:
    """Greeting, EHLO or LHLO, STARTTLS and AUTH as wanted.

    Raises SecurityError, AuthenticationFailed, CommandFailed.
    """
    yield from _implicit_tls(session, tls)
    yield from session.begin(starttls=tls == "starttls")
    if login is not None:
        yield from session.authenticate(credentials_of(login))


def open_imap(session: imap_client.Session, tls: TLSMode, login: Login) -> Flow[None]:
    """Greeting, STARTTLS and login as wanted.

    Raises SecurityError, AuthenticationFailed, CommandFailed.
    """
    yield from _implicit_tls(session, tls)
    yield from session.greeting()
    if tls == "starttls":
        yield from session.starttls()
    if isinstance(login, tuple):
        yield from session.sign_in(*login)
    elif login is not None:
        yield from session.authenticate(login)


def open_pop3(
    session: pop3_client.Session, tls: TLSMode, login: Login, *, utf8: bool = True
) -> Flow[None]:
    """Greeting, STLS, UTF8 and login as wanted; without a login UTF8 is left to the caller.

    Raises SecurityError, AuthenticationFailed, CommandFailed.
    """
    yield from _implicit_tls(session, tls)
    yield from session.greet()
    if tls == "starttls":
        yield from session.start_tls()
    if utf8 and login is not None:
        yield from session.use_utf8()
    if isinstance(login, tuple):
        yield from session.login(*login)
    elif login is not None:
        yield from session.authenticate(login)


def address_literal(address: str) -> str:
    """How a client without a name calls itself in EHLO (RFC 5321 section 4.1.3)."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return "localhost"
    return f"[{ip}]" if ip.version == 4 else f"[IPv6:{ip}]"
