"""ATRN at the client: the connection on which mail was asked for is served, as if it had come in.

The other half, where the provider becomes a client, is ``Handler.atrn`` and ``turned_round``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mailproto.flows.effects import Flow
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_listening import ServerOptions
from mailproto.flows.smtp_server import Context, Handler, Origin, serve
from mailproto.smtp import Atrn, Reply

__all__ = ["turn_round"]


def turn_round(
    session: Session,
    domains: Iterable[str],
    handler: Callable[[Origin], Handler],
    options: ServerOptions,
) -> Flow[Reply]:
    """Ask for the mail of ``domains``, or of all that the login may have, and take what comes.

    After a positive reply the connection is at its end: everything that waited has come
    (RFC 2645 section 5). A refusal changes nothing.
    """
    context = Context(handler=handler, shutdown=Shutdown(), **options)
    reply = yield from session.call(Atrn(tuple(domains)))
    if reply.positive:
        machine = context.machine(tls=session.machine.tls)
        early = session.machine.trailing_data
        if early:
            machine.receive_data(early)
        yield from serve(machine, context)
    return reply
