"""From the options of a listener to its sessions: what every SMTP or LMTP server does alike."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TypedDict

from mailproto import sasl
from mailproto._core.frozen import frozen
from mailproto._core.limits import SMTPServerLimits
from mailproto._core.machine import Trace
from mailproto.backend.directory import Directory
from mailproto.errors import LocalProtocolError
from mailproto.flows import smtp_server
from mailproto.flows.effects import Flow
from mailproto.flows.serving import Peer, SessionFactory
from mailproto.flows.shutdown import Shutdown
from mailproto.smtp import BareNewlines, Offer

__all__ = ["Listening", "ServerOptions", "sessions"]


class ServerOptions(TypedDict, total=False):
    """The fields of ``smtp_server.Context`` that ``serve`` of both facades takes by keyword."""

    hostname: str
    lmtp: bool
    directory: Directory | None
    sasl: sasl.Offer | None
    require_auth: bool
    allow_insecure_auth: bool
    offer: Offer
    trusts_forwarding: Callable[[Peer], bool] | None
    greeting_delay: float | None
    trust_auth_parameter: bool
    bare_newlines: BareNewlines
    limits: SMTPServerLimits
    timeout: float | None


@frozen
class Listening:
    """A server to be: its sessions, and what ends them."""

    sessions: SessionFactory
    shutdown: Shutdown

    @classmethod
    def of(
        cls,
        handler: Callable[[smtp_server.Origin], smtp_server.Handler],
        options: ServerOptions,
        tls_context: ssl.SSLContext | None,
        *,
        implicit_tls: bool,
        trace: Trace | None,
    ) -> Listening:
        """With AUTH by the mechanisms of ``sasl.Offer`` where there is a directory and no offer.

        Raises LocalProtocolError for ``implicit_tls`` without ``tls_context``, and for options that
        no session could have.
        """
        if implicit_tls and tls_context is None:
            raise LocalProtocolError("implicit_tls needs a tls_context")
        if options.get("directory") is not None and options.get("sasl") is None:
            insecure = options.get("allow_insecure_auth", False)
            options = {**options, "sasl": sasl.Offer(allow_insecure_auth=insecure)}
        context = smtp_server.Context(handler=handler, shutdown=Shutdown(), **options)
        return cls(sessions(context, trace=trace), context.shutdown)


def sessions(context: smtp_server.Context, *, trace: Trace | None = None) -> SessionFactory:
    """The sessions of a listener: under TLS where it has begun, or with STARTTLS where it can be.

    ``trace`` gets every line, without secrets. Raises LocalProtocolError for a context that no
    session could have.
    """
    if context.require_auth and context.directory is None:
        raise LocalProtocolError("require_auth needs a directory of who may log in")
    # What is wrong with it is better known now than when a client comes.
    context.machine()

    def session(peer: Peer) -> Flow[None]:
        tls = peer.secured is not None
        machine = context.machine(tls=tls, starttls=peer.starttls and not tls, trace=trace)
        return smtp_server.serve(machine, context, peer)

    return session
