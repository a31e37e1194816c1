"""What a server offers: its configuration, and the capabilities that follow from it."""

from __future__ import annotations

from typing import Final

from mailproto._core.frozen import frozen
from mailproto.imap.capability import Capabilities
from mailproto.imap.states import State

__all__ = ["EXTENSIONS", "Offer"]

EXTENSIONS: Final = (
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "SPECIAL-USE",
    "ESEARCH",
)
"""The extensions that ``imap.Server`` knows the grammar of."""


@frozen
class Offer:
    """The optional parts of IMAP that a server has on."""

    mechanisms: tuple[str, ...] = ()
    """Mechanisms of AUTHENTICATE, in upper case."""
    login: bool = True
    """The LOGIN command."""
    starttls: bool = False
    """STARTTLS, unless TLS is on already."""
    insecure_auth: bool = False
    """LOGIN and AUTHENTICATE also without TLS, where anyone may read the password."""
    extensions: tuple[str, ...] = EXTENSIONS
    """Names of capabilities. A command of an extension that is not here is unknown."""

    def secure(self, *, tls: bool) -> bool:
        """Whether credentials may be sent now."""
        return tls or self.insecure_auth

    def capabilities(self, state: State, *, tls: bool, append_limit: int) -> Capabilities:
        """What CAPABILITY tells in this state; ``append_limit`` in octets (RFC 7889)."""
        names = ["IMAP4rev1", *self.extensions, f"APPENDLIMIT={append_limit}"]
        if state in (State.GREETING, State.NOT_AUTHENTICATED):
            if self.starttls and not tls:
                names.append("STARTTLS")
            if self.secure(tls=tls):
                names += [f"AUTH={name}" for name in self.mechanisms]
            if not self.login or not self.secure(tls=tls):
                names.append("LOGINDISABLED")
        return Capabilities(names)
