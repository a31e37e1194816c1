"""What each port of ``mailproto serve`` does: the sessions over one store and one directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from attrs import field, frozen

from mailproto import aio, sasl
from mailproto._core.limits import IMAPServerLimits, SMTPServerLimits
from mailproto._core.machine import Trace
from mailproto.backend import Store
from mailproto.backend.directory import Directory
from mailproto.flows import imap_server, pop3_server, smtp_server
from mailproto.flows.effects import Flow
from mailproto.flows.serving import Peer, SessionFactory
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_delivery import NextHop, Role, delivery_context

__all__ = ["IMPLICIT_TLS", "PORTS", "Services"]

T = TypeVar("T")

PORTS: Final = ("smtp", "submission", "smtps", "lmtp", "imap", "imaps", "pop3", "pop3s")
IMPLICIT_TLS: Final = frozenset({"smtps", "imaps", "pop3s"})

_ROLES: Final = {
    "smtp": Role.MX,
    "submission": Role.SUBMISSION,
    "smtps": Role.SUBMISSION,
    "lmtp": Role.LMTP,
}
_LARGEST: Final = 1024 * 1024 * 1024
"""Octets of one message: it streams to the store, so only the disk minds."""


class Relay:
    """The connection to the server that takes mail for other domains."""

    def __init__(self, client: aio.smtp.Client) -> None:
        self._client = client

    @classmethod
    async def to(cls, host: str, port: int, hostname: str, trace: Trace | None = None) -> Relay:
        """Connect and say EHLO. Raises MailError."""
        client = await aio.smtp.connect(
            host, port, tls="none", domain=hostname, long_lines=True, trace=trace
        )
        return cls(client)

    @property
    def session(self) -> Session:
        """The conversation with it."""
        return self._client.session

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow of ``session``."""
        return await self._client.run(flow)

    async def close(self) -> None:
        """Say QUIT where that is possible, and close."""
        if not self._client.closed:
            await self._client.quit()


@frozen
class Services:
    """The sessions of a server that keeps mail in ``store`` for the users of ``directory``.

    ``relay`` is host and port of the server that takes mail for other domains.
    """

    store: Store
    directory: Directory
    hostname: str = "localhost"
    relay: tuple[str, int] | None = None
    allow_insecure_auth: bool = False
    trace: Trace | None = None
    """Gets every line of every session, without secrets."""
    relay_trace: Trace | None = None
    """The same for the connections to ``relay``."""
    shutdown: Shutdown = field(factory=Shutdown)

    def sessions(self, name: str) -> SessionFactory:
        """The sessions of one of ``PORTS``."""
        implicit = name in IMPLICIT_TLS
        offer = sasl.Offer(allow_insecure_auth=self.allow_insecure_auth)
        if name in _ROLES:
            return self._smtp(_ROLES[name], offer, implicit)
        if name.startswith("imap"):
            return self._imap(offer, implicit)
        return self._pop3(offer, implicit)

    def _smtp(self, role: Role, offer: sasl.Offer, implicit: bool) -> SessionFactory:
        context = delivery_context(
            role,
            store=self.store,
            directory=self.directory,
            shutdown=self.shutdown,
            offer=offer,
            hostname=self.hostname,
            next_hop=self._next_hop(),
            allow_insecure_auth=self.allow_insecure_auth,
            limits=SMTPServerLimits(content=_LARGEST),
        )

        def session(peer: Peer) -> Flow[None]:
            machine = context.machine(tls=implicit, starttls=not implicit, trace=self.trace)
            return smtp_server.serve(machine, context, peer)

        return session

    def _next_hop(self) -> Callable[[], Awaitable[NextHop]] | None:
        relay = self.relay
        if relay is None:
            return None
        return lambda: Relay.to(*relay, self.hostname, self.relay_trace)

    def _imap(self, offer: sasl.Offer, implicit: bool) -> SessionFactory:
        context = imap_server.Context(
            self.store,
            self.directory,
            self.shutdown,
            offer,
            allow_insecure_auth=self.allow_insecure_auth,
            limits=IMAPServerLimits(append=_LARGEST),
        )

        def session(_: Peer) -> Flow[None]:
            machine = context.machine(tls=implicit, starttls=not implicit, trace=self.trace)
            return imap_server.serve(machine, context)

        return session

    def _pop3(self, offer: sasl.Offer, implicit: bool) -> SessionFactory:
        context = pop3_server.Context(
            self.store,
            self.directory,
            self.shutdown,
            offer,
            self.allow_insecure_auth,
            self.hostname,
        )

        def session(_: Peer) -> Flow[None]:
            machine = context.machine(tls=implicit, stls=not implicit, trace=self.trace)
            return pop3_server.serve(machine, context)

        return session
