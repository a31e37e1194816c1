"""From the context of a listener to its sessions: what every SMTP or LMTP server does alike."""

from __future__ import annotations

from mailproto._core.machine import Trace
from mailproto.flows import smtp_server
from mailproto.flows.effects import Flow
from mailproto.flows.serving import Peer, SessionFactory

__all__ = ["sessions"]


def sessions(
    context: smtp_server.Context, *, implicit_tls: bool, starttls: bool, trace: Trace | None = None
) -> SessionFactory:
    """The sessions of a listener, with TLS from the first octet or STARTTLS on offer.

    ``trace`` gets every line, without secrets.
    """

    def session(peer: Peer) -> Flow[None]:
        machine = context.machine(tls=implicit_tls, starttls=starttls, trace=trace)
        return smtp_server.serve(machine, context, peer)

    return session
