"""What SMTP, POP3 and IMAP share of a login by SASL, on both sides.

A server: what it offers on a connection, and asking its directory. A client: what binds the login
to the connection, how a refusal reads, and judging a success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailproto._core.frozen import frozen
from mailproto.errors import SecurityError, StoreError
from mailproto.flows.effects import Secured, call_blocking, close
from mailproto.sasl import (
    Challenge,
    ChannelBinding,
    Failure,
    Offer,
    SASLError,
    ServerExchange,
    Strength,
    Success,
    Verify,
)

if TYPE_CHECKING:
    from mailproto.backend.directory import Directory
    from mailproto.flows.effects import Flow
    from mailproto.sasl import ClientExchange, Credentials, Step

__all__ = [
    "Offered",
    "binding_of",
    "offered",
    "refusal",
    "server_has_proved_itself",
    "settle",
    "told_in_clear",
    "verify",
]

# ------------------------------------------------------------------------------------- the server


@frozen
class Offered:
    """What an ``Offer`` comes to on one connection, in clear or under TLS as it is now."""

    offer: Offer
    tls: bool
    channel_bindings: tuple[ChannelBinding, ...] = ()
    external_identity: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The mechanisms to announce."""
        return self.offer.names(
            tls=self.tls,
            channel_bindings=self.channel_bindings,
            external_identity=self.external_identity,
        )

    def begin(self, mechanism: str) -> ServerExchange | None:
        """Begin a mechanism; ``None`` when it is not offered."""
        return self.offer.begin(
            mechanism,
            tls=self.tls,
            channel_bindings=self.channel_bindings,
            external_identity=self.external_identity,
        )


def offered(
    offer: Offer, directory: Directory, *, tls: bool, secured: Secured | None
) -> Flow[Offered]:
    """What ``offer`` comes to; ``directory`` is asked whom the client's certificate names."""
    if not tls or secured is None:
        return Offered(offer, tls)
    identity: str | None = None
    certificate = secured.client_certificate
    if certificate is not None and offer.takes_certificates:
        try:
            identity = yield from call_blocking(directory.identify, certificate)
        except StoreError:
            # A password may still do.
            identity = None
    return Offered(offer, tls, secured.channel_bindings, identity or "")


def settle(
    exchange: ServerExchange, step: Step, directory: Directory
) -> Flow[Challenge | Success | Failure]:
    """Answer the questions of ``exchange`` from ``directory`` until something is to be sent."""
    while not isinstance(step, Challenge | Success | Failure):
        if isinstance(step, Verify):
            step = exchange.answer((yield from verify(directory, step.credentials)))
        else:
            keys = yield from call_blocking(directory.lookup, step.user, step.scheme)
            step = exchange.answer(keys)
    return step


def verify(directory: Directory, credentials: Credentials) -> Flow[str | None]:
    """The account that ``credentials`` open, also for POP3's PASS and IMAP's LOGIN.

    A directory's methods are called off the event loop, because deriving keys takes milliseconds;
    what is awaitable is awaited on it.
    """
    return (yield from call_blocking(directory.verify, credentials))


# ------------------------------------------------------------------------------------- the client


def binding_of(secured: Secured | None, floor: Strength) -> ChannelBinding | None:
    """The channel binding that a client uses unasked: the default of the version of TLS.

    tls-server-end-point is used only by who insists on binding: most servers that offer ``-PLUS``
    do not know it, and there is no way to ask.
    """
    for binding in () if secured is None else secured.channel_bindings:
        if floor >= Strength.BOUND or binding.type != "tls-server-end-point":
            return binding
    return None


def told_in_clear(commands: str) -> SecurityError:
    """Why ``commands`` are not sent, and what would permit it."""
    return SecurityError(
        f"{commands} would tell the password without TLS, "
        "only allow_insecure_auth=True would permit it"
    )


def refusal(exchange: ClientExchange, answer: str) -> str:
    """What the server has answered, and what it had said before inside the mechanism."""
    error = exchange.server_error
    return answer if error is None else f"{answer} ({exchange.name}: {error})"


def server_has_proved_itself(exchange: ClientExchange) -> Flow[None]:
    """Take note of the server's success; if it has not earned it, close and raise SASLError.

    The server has the client logged in: the connection must not be used by a caller who goes on.
    """
    try:
        exchange.succeed()
    except SASLError:
        yield from close()
        raise
