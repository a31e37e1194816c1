"""What a server offers: its configuration, and what follows from it for CAPA and each command."""

from __future__ import annotations

from typing import Final

from mailproto._core.frozen import frozen
from mailproto.pop3.capabilities import Capabilities, Expire, LoginDelay
from mailproto.pop3.commands import (
    Apop,
    Auth,
    Command,
    Lang,
    Last,
    Pass,
    Rpop,
    Stls,
    User,
    Utf8,
)

__all__ = ["OPTIONAL", "Offer"]

OPTIONAL: Final[frozenset[type[Command]]] = frozenset(
    {User, Pass, Rpop, Apop, Auth, Stls, Last, Utf8, Lang}
)
"""The commands that an ``Offer`` may refuse."""


@frozen
class Offer:
    """The optional parts of POP3 that a server has on."""

    user: bool = True
    """USER and PASS."""
    mechanisms: tuple[str, ...] = ()
    """Mechanisms of AUTH, in upper case."""
    stls: bool = False
    """STLS, unless TLS is on already."""
    insecure_auth: bool = False
    """USER, PASS, APOP and AUTH also without TLS, where anyone may read the password."""
    timestamp: str | None = None
    """The msg-id in the greeting for APOP: unique to the connection, hard to guess. APOP rests on
    MD5 and needs passwords in clear at the server; ``None`` leaves it off."""
    rpop: bool = False
    """The RPOP command of RFC 1225."""
    last: bool = False
    """The LAST command of RFC 1460."""
    utf8: bool = False
    """The UTF8 command, and UTF-8 in USER and PASS (RFC 6856)."""
    languages: bool = False
    """The LANG command (RFC 6856)."""
    login_delay: LoginDelay | None = None
    """Its ``per_user`` is told before login only, when CAPA can tell no better yet."""
    expire: Expire | None = None
    """As ``login_delay``."""
    implementation: str | None = None

    def secure(self, *, tls: bool) -> bool:
        """Whether credentials may be sent now."""
        return tls or self.insecure_auth

    def capabilities(self, *, tls: bool, authenticated: bool) -> Capabilities:
        """The answer to CAPA in this state."""
        secure = self.secure(tls=tls)
        return Capabilities(
            top=True,
            uidl=True,
            user=self.user and secure,
            sasl=self.mechanisms if self.mechanisms and secure else None,
            stls=self.stls and not tls and not authenticated,
            pipelining=True,
            resp_codes=True,
            auth_resp_code=True,
            login_delay=self.login_delay
            and LoginDelay(
                self.login_delay.seconds, self.login_delay.per_user and not authenticated
            ),
            expire=self.expire
            and Expire(self.expire.days, self.expire.per_user and not authenticated),
            utf8=self.utf8,
            utf8_user=self.utf8,
            lang=self.languages,
            implementation=self.implementation,
        )

    def refusal(self, command: Command, *, tls: bool) -> str | None:
        """Why ``command`` is not to be had, whatever the state; ``None`` if it is."""
        match command:
            case User() | Pass() if not self.user:
                return "USER is not available"
            case Rpop() if not self.rpop:
                return "RPOP is not available"
            case Apop() if self.timestamp is None:
                return "APOP is not available"
            case Auth(mechanism) if mechanism not in self.mechanisms:
                return "this mechanism is not available"
            case User() | Pass() | Apop() | Auth() if not self.secure(tls=tls):
                return "TLS is needed first" + (": give STLS" if self.stls else "")
            case Stls() if tls:
                return "TLS is on already"
            case Stls() if not self.stls:
                return "STLS is not available"
            case Last() if not self.last:
                return "LAST is not available"
            case Utf8() if not self.utf8:
                return "UTF8 is not available"
            case Lang() if not self.languages:
                return "LANG is not available"
            case _:
                return None
