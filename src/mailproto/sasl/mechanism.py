"""What a mechanism is: a name, how much it protects, and its two sides. No mechanism is here.

``Mechanism`` is a plain value. Nothing is registered anywhere: whoever chooses or offers
mechanisms is given the tuple to use.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Final

from attrs import Attribute, field
from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.errors import LocalProtocolError
from mailproto.sasl.channel_binding import ChannelBinding
from mailproto.sasl.credentials import Credentials
from mailproto.sasl.exchange import ClientDialogue, ServerDialogue

__all__ = ["ClientSettings", "Mechanism", "ServerSettings", "Strength", "takes"]

C = TypeVar("C", bound=Credentials)

_NAME: Final = re.compile(r"[A-Z0-9_-]{1,20}")


def _named(_: object, __: Attribute[str], name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise LocalProtocolError(
            f"{name!r} is no name of a mechanism: it must have 1 to 20 upper-case letters, digits, "
            "hyphens and underscores (RFC 4422 section 3.1)"
        )


class Strength(enum.IntEnum):
    """How much a mechanism protects, from little to much; the scale for a floor."""

    ANONYMOUS = 0
    """Authenticates nobody."""
    PLAINTEXT = 1
    """Tells the server the secret itself: PLAIN, LOGIN, OAUTHBEARER, XOAUTH2."""
    CHALLENGE = 2
    """Does not tell it, but neither proves the server: CRAM-MD5."""
    MUTUAL = 3
    """Both prove that they know the keys: SCRAM. EXTERNAL: TLS has proved both."""
    BOUND = 4
    """Mutual, and bound to this TLS connection: SCRAM-*-PLUS."""


@frozen
class ClientSettings:
    """What the client's side of a mechanism gets beside the credentials."""

    nonce: Callable[[], str] = field(repr=False)
    """Makes a fresh nonce: printable ASCII without a comma, 64 random bits or more."""
    channel_binding: ChannelBinding | None = None
    """What binds to the TLS connection; ``None`` when the program has nothing."""
    server_can_bind: bool = False
    """Whether the server offered a ``-PLUS`` mechanism."""


@frozen
class ServerSettings:
    """What the server's side of a mechanism gets."""

    nonce: Callable[[], str] = field(repr=False)
    """Makes a fresh nonce: printable ASCII without a comma, 64 random bits or more."""
    decoy_key: bytes = field(repr=False)
    """Secret of this server from which the keys of users that do not exist are made."""
    decoy_iterations: int = 4096
    """The iteration count shown for users that do not exist: that of those who do."""
    hostname: str = "localhost"
    """The server's name, shown in the challenge of CRAM-MD5."""
    channel_bindings: tuple[ChannelBinding, ...] = ()
    """Every channel binding of this connection that the server knows."""
    offers_binding: bool = False
    """Whether this connection was offered a ``-PLUS`` mechanism."""
    external_identity: str = ""
    """Whom TLS has authenticated; empty: nobody."""


@frozen
class Mechanism:
    """One SASL mechanism.

    ``client(credentials, settings)`` and ``server(initial_response, settings)`` return the
    dialogues that ``mailproto.sasl.exchange`` describes; ``client`` returns ``None`` for
    credentials of a class that is not its own (``takes`` makes such a function).

    Raises LocalProtocolError for a name that no server could announce.
    """

    name: str = field(validator=_named)
    """At most 20 upper-case letters, digits, hyphens and underscores (RFC 4422 section 3.1)."""
    strength: Strength
    client: Callable[[Credentials, ClientSettings], ClientDialogue | None] = field(repr=False)
    server: Callable[[bytes | None, ServerSettings], ServerDialogue] = field(repr=False)
    binds: bool = False
    """Whether it binds to the TLS connection, and so needs a channel binding."""
    external: bool = False
    """Whether it rests on an identity that TLS has established: without TLS it proves nothing."""


def takes(
    kind: type[C], dialogue: Callable[[C, ClientSettings], ClientDialogue]
) -> Callable[[Credentials, ClientSettings], ClientDialogue | None]:
    """The client's side of a mechanism that works with credentials of one class."""

    def client(credentials: Credentials, settings: ClientSettings) -> ClientDialogue | None:
        return dialogue(credentials, settings) if isinstance(credentials, kind) else None

    return client
