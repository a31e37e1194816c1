"""A whole mail server's sessions over one store and one directory, for any driver.

::

    services = Services(MemoryStore(), Users({"alice": "secret"}, ["example.com"]))
    server = aio.Server(services.shutdown)       # or sync.Server
    await server.listen("127.0.0.1", 0, services.sessions("imap"), tls=context)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import Factory, evolve, field, frozen

from mailproto import sasl, smtp
from mailproto._core.limits import IMAPServerLimits, SMTPServerLimits
from mailproto._core.machine import Trace
from mailproto.backend.directory import Directory
from mailproto.backend.store import Maybe, Store
from mailproto.flows import imap_server, pop3_server
from mailproto.flows.effects import Flow
from mailproto.flows.serving import Peer, SessionFactory
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_delivery import NextHop, Role, delivery_context
from mailproto.flows.smtp_listening import sessions

__all__ = ["IMPLICIT_TLS", "PORTS", "Services"]

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
_SMTP_LIMITS: Final = SMTPServerLimits(content=_LARGEST)
_IMAP_LIMITS: Final = IMAPServerLimits(append=_LARGEST)


def _default_offer(services: Services) -> sasl.Offer:
    return sasl.Offer(allow_insecure_auth=services.allow_insecure_auth)


@frozen
class Services:
    """The sessions of a server that keeps mail in ``store`` for the users of ``directory``."""

    store: Store
    directory: Directory
    hostname: str = "localhost"
    next_hop: Callable[[], Maybe[NextHop]] | None = None
    """Connects to the server that takes mail for other domains (``aio.relay``, ``sync.relay``);
    without one such recipients are refused."""
    allow_insecure_auth: bool = False
    offer: sasl.Offer = field(default=Factory(_default_offer, takes_self=True))
    """How users log in; make it with the same ``allow_insecure_auth``."""
    smtp_offer: smtp.Offer = field(factory=smtp.Offer)
    """What SMTP and LMTP offer beside; see ``delivery_context``."""
    smtp_limits: SMTPServerLimits = _SMTP_LIMITS
    imap_limits: IMAPServerLimits = _IMAP_LIMITS
    pop3: pop3_server.Options = field(factory=pop3_server.Options)
    """What is particular to POP3, on whichever port."""
    greeting_delay: float | None = None
    """Seconds before each greeting; who speaks within them is refused. ``None``: greetings are
    said at once, and to everybody."""
    trace: Trace | None = None
    """Gets every line of every session, without secrets."""
    shutdown: Shutdown = field(factory=Shutdown)

    def sessions(self, name: str) -> SessionFactory:
        """The sessions of one of ``PORTS``; raises ValueError for any other name.

        Those of ``IMPLICIT_TLS`` want a listener with ``implicit_tls``; on any other they are what
        their namesakes are, for whether a session is under TLS is asked of its connection.
        """
        if name not in PORTS:
            raise ValueError(f"{name!r} is none of {', '.join(PORTS)}")
        if name in _ROLES:
            return self._smtp(_ROLES[name])
        return self._imap() if name.startswith("imap") else self._pop3()

    def _smtp(self, role: Role) -> SessionFactory:
        context = delivery_context(
            role,
            store=self.store,
            directory=self.directory,
            shutdown=self.shutdown,
            offer=self.offer,
            hostname=self.hostname,
            next_hop=self.next_hop,
            allow_insecure_auth=self.allow_insecure_auth,
            smtp_offer=self.smtp_offer,
            limits=self.smtp_limits,
        )
        context = evolve(context, greeting_delay=self.greeting_delay)
        return sessions(context, trace=self.trace)

    def _imap(self) -> SessionFactory:
        context = imap_server.Context(
            self.store,
            self.directory,
            self.shutdown,
            self.offer,
            allow_insecure_auth=self.allow_insecure_auth,
            limits=self.imap_limits,
            greeting_delay=self.greeting_delay,
        )

        def session(peer: Peer) -> Flow[None]:
            tls = peer.secured is not None
            starttls = peer.starttls and not tls
            machine = context.machine(tls=tls, starttls=starttls, trace=self.trace)
            return imap_server.serve(machine, context, peer)

        return session

    def _pop3(self) -> SessionFactory:
        context = pop3_server.Context(
            self.store,
            self.directory,
            self.shutdown,
            self.offer,
            self.allow_insecure_auth,
            self.hostname,
            self.pop3,
            self.greeting_delay,
        )

        def session(peer: Peer) -> Flow[None]:
            tls = peer.secured is not None
            machine = context.machine(tls=tls, stls=peer.starttls and not tls, trace=self.trace)
            return pop3_server.serve(machine, context, peer)

        return session
