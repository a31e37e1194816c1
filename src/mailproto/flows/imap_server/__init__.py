"""The IMAP server's conversation: one whole connection over a ``Store`` and a ``Directory``.

::

    context = Context(store, directory, shutdown, sasl.Offer())
    flow = serve(context.machine(starttls=True), context)

Each file carries out the commands of one topic; ``HANDLERS`` is the list of them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailproto.errors import TransportError
from mailproto.flows.effects import Flow
from mailproto.flows.imap_server import (
    append,
    changes,
    fetch,
    idle,
    login,
    mailboxes,
    search,
    selection,
)
from mailproto.flows.imap_server.session import Context, Handler, Session
from mailproto.flows.serving import Peer
from mailproto.imap.commands import (
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    Move,
    Namespace,
    Noop,
    Rename,
    Search,
    Select,
    StartTLS,
    Status,
    Store,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from mailproto.imap.server import Server

__all__ = ["HANDLERS", "Context", "serve"]

HANDLERS: Final[Mapping[type[Command], Handler]] = {
    Capability: login.capability,
    Noop: login.noop,
    Check: login.noop,
    Logout: login.logout,
    Id: login.id,
    StartTLS: login.start_tls,
    Authenticate: login.authenticate,
    Login: login.login,
    Enable: login.enable,
    Namespace: login.namespace,
    Select: selection.select,
    Examine: selection.select,
    Close: selection.close,
    Unselect: selection.unselect,
    Create: mailboxes.create,
    Delete: mailboxes.delete,
    Rename: mailboxes.rename,
    Subscribe: mailboxes.subscribe,
    Unsubscribe: mailboxes.unsubscribe,
    List: mailboxes.list_mailboxes,
    Lsub: mailboxes.lsub,
    Status: mailboxes.status,
    Append: append.append,
    Idle: idle.idle,
    Search: search.search,
    Fetch: fetch.fetch,
    Store: changes.store,
    Copy: changes.copy,
    Move: changes.move,
    Expunge: changes.expunge,
}
"""What carries out each command."""


def serve(machine: Server, context: Context, peer: Peer | None = None) -> Flow[None]:
    """Serve one connection, from the greeting to its end."""
    session = Session(machine, context, peer)
    try:
        with context.shutdown.watch(session.wakeup):
            yield from session.run(HANDLERS)
    except TransportError:
        # Peers that vanish or fail the handshake are daily life.
        pass
    finally:
        session.leave()
