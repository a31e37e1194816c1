"""What a server offers: its configuration, and the capabilities that follow from it."""

from __future__ import annotations

from typing import Final

from mailproto._core.frozen import frozen
from mailproto.imap.capability import Capabilities
from mailproto.imap.commands import Authenticate, Command, Login, Search, StartTLS
from mailproto.imap.parse.commands import KINDS, Head
from mailproto.imap.response_code import PRIVACYREQUIRED, ResponseCode
from mailproto.imap.responses import BAD, NO, ConditionState
from mailproto.imap.states import STATES_OF, State

__all__ = ["EXTENSIONS", "Offer", "Refusal"]

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

_EXTENSION_OF: Final = {
    b"ID": "ID",
    b"ENABLE": "ENABLE",
    b"IDLE": "IDLE",
    b"NAMESPACE": "NAMESPACE",
    b"UID EXPUNGE": "UIDPLUS",
    b"MOVE": "MOVE",
    b"UID MOVE": "MOVE",
    b"UNSELECT": "UNSELECT",
}


_WITH_EXTENSIONS: Final = frozenset({Authenticate, Search})


@frozen
class Refusal:
    """Why a command is not to be had, and how to say so."""

    problem: str
    state: ConditionState = BAD
    code: ResponseCode | None = None


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

    def refusal_of_head(self, head: Head, state: State, *, tls: bool) -> Refusal | None:
        """Why the command with that head cannot be given now, whatever its arguments are."""
        name = head.name
        kind = KINDS.get(name)
        if head.tag is None:
            return Refusal("a command begins with a tag")
        if kind is None or not self._knows(name):
            return Refusal("unknown command")
        if state not in STATES_OF[kind]:
            return Refusal(f"{name.decode('ascii')} is not allowed in the {state.value} state")
        if kind is StartTLS and (tls or not self.starttls):
            return Refusal("TLS is on already" if tls else "STARTTLS is not available")
        if kind in (Login, Authenticate) and not self.secure(tls=tls):
            return Refusal("TLS is needed before credentials", NO, PRIVACYREQUIRED)
        if kind is Login and not self.login:
            return Refusal("LOGIN is disabled", NO)
        return None

    def refusal_of(self, command: Command) -> Refusal | None:
        """Why ``command`` cannot be given with these arguments."""
        if type(command) not in _WITH_EXTENSIONS:
            return None
        match command:
            case Authenticate(initial_response=bytes()) if "SASL-IR" not in self.extensions:
                return Refusal("AUTHENTICATE takes no initial response here")
            case Search(return_options=tuple()) if "ESEARCH" not in self.extensions:
                return Refusal("SEARCH takes no return options here")
            case _:
                return None

    def _knows(self, name: bytes) -> bool:
        """Whether the command ``name`` is RFC 3501's own, or of an extension that is on."""
        extension = _EXTENSION_OF.get(name)
        return extension is None or extension in self.extensions
