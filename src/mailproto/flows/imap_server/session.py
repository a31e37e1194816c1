"""One connection: octets in and out, the current command, and who is logged in.

Commands are carried out one after the other. Whatever else happened in the selected mailbox is
told where the protocol allows it: before the completion of every command, and while idling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import evolve, field

from mailproto._core.frozen import frozen
from mailproto._core.limits import IMAPServerLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Trace
from mailproto.backend.directory import Directory
from mailproto.backend.store import Account, Store
from mailproto.errors import (
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    StoreError,
    TransportError,
)
from mailproto.flows.authentication import Offered, offered
from mailproto.flows.effects import Flow, Secured, Wakeup, call, deadline, read, start_tls, write
from mailproto.flows.imap_server.answers import Answer, Ended, Refused, answer_of
from mailproto.flows.imap_server.contents import Contents
from mailproto.flows.imap_server.selected import Selected
from mailproto.flows.serving import Peer, await_silence
from mailproto.flows.shutdown import Shutdown
from mailproto.imap.commands import Command, Copy, Fetch, Move, Search, Tagged
from mailproto.imap.commands import Store as StoreFlags
from mailproto.imap.events import InvalidCommand, ServerEvent
from mailproto.imap.offer import Offer
from mailproto.imap.response_code import UNAVAILABLE
from mailproto.imap.responses import BYE, Completion, Condition, Response
from mailproto.imap.server import Server
from mailproto.imap.states import State
from mailproto.sasl import Offer as SASLOffer

__all__ = ["Context", "Handler", "Session"]

_UID_COMMANDS: Final = (Fetch, StoreFlags, Search, Copy, Move)
_BATCH: Final = 65536
_FAREWELL: Final = 10.0
_EARLY: Final = Condition(BYE, "the server speaks first")


@frozen
class Context:
    """What all IMAP sessions of a server share."""

    store: Store
    directory: Directory
    shutdown: Shutdown
    sasl: SASLOffer
    """Make it with the same ``allow_insecure_auth``."""
    allow_insecure_auth: bool = False
    """Take LOGIN and AUTHENTICATE also without TLS, where anyone may read the password."""
    identity: Mapping[str, str | None] = field(factory=lambda: {"name": "mailproto"})
    """What ID tells of the server (RFC 2971)."""
    limits: IMAPServerLimits = IMAPServerLimits()
    greeting_delay: float | None = None
    """Seconds before the greeting; who speaks within them is refused. ``None``: it is said at
    once, and to everybody."""

    def machine(
        self, *, tls: bool = False, starttls: bool = False, trace: Trace | None = None
    ) -> Server:
        """The machine for one connection: ``tls`` for implicit TLS, ``starttls`` to offer it."""
        offer = Offer(
            mechanisms=self.sasl.names(tls=tls or starttls),
            starttls=starttls and not tls,
            insecure_auth=self.allow_insecure_auth,
        )
        return Server(offer=offer, tls=tls, limits=self.limits, trace=trace)


class Session:
    """The state of one connection; the handlers of commands work on it."""

    def __init__(self, machine: Server, context: Context, peer: Peer | None = None) -> None:
        self.machine = machine
        self.context = context
        self.offered: Offered = Offered(context.sasl, machine.tls)
        self._peer = peer
        self.contents: Contents = Contents()
        self.wakeup: Wakeup = Wakeup()
        self.selected: Selected | None = None
        self._account: Account | None = None
        self._unlisten: Callable[[], None] | None = None
        self._changed = False
        self._idling = False
        self._out: list[bytes] = []
        self._out_size = 0

    # -------------------------------------------------------------------------------- the account

    @property
    def account(self) -> Account:
        """Whose session it is. The machine lets no command through that needs one before login."""
        assert self._account is not None
        return self._account

    def enter(self, name: str) -> Flow[None]:
        """Become the account ``name``, and hear of its changes from now on."""
        self._account = yield from call(self.context.store.account, name)
        self._unlisten = self._account.listen(self._heard)

    def leave(self) -> None:
        """Hear of nothing any more."""
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    def _heard(self, mailbox: str) -> None:
        """A mailbox of the account has changed; called from any thread.

        Names are not compared, because a selected mailbox may have been renamed.
        """
        self._changed = True
        if self._idling:
            self.wakeup.set()

    # ------------------------------------------------------------------------------------ output

    def send(self, response: Response) -> None:
        """Queue a response; ``drain`` or ``flush`` lets it go."""
        self.machine.send(response)
        data = self.machine.data_to_send()
        self._out.append(data)
        self._out_size += len(data)

    def drain(self) -> Flow[None]:
        """Write what is queued if it is much, so that little is ever held."""
        if self._out_size >= _BATCH:
            yield from self.flush()

    def flush(self) -> Flow[None]:
        """Write everything; the client has the whole time of the deadline to take it."""
        data = b"".join([*self._out, self.machine.data_to_send()])
        self._out.clear()
        self._out_size = 0
        if data:
            yield from deadline(self.machine.timeout_hint)
            yield from write(data)

    # ------------------------------------------------------------------------------------- input

    def event(self) -> Flow[ServerEvent]:
        """The next event of the command in progress. Raises Ended at end of file."""
        event = yield from self._event(lambda: False)
        assert event is not None
        return event

    def next_command(self) -> Flow[Tagged | InvalidCommand]:
        """The next command. Raises Ended at end of file and when the server ends."""
        event = yield from self._event(lambda: self.context.shutdown.requested)
        if event is None:
            raise self._server_ends()
        assert isinstance(event, Tagged | InvalidCommand)
        return event

    def event_or_news(self) -> Flow[ServerEvent | None]:
        """The next event, or ``None`` because something has changed. For IDLE."""
        event = yield from self._event(lambda: True)
        if event is None and self.context.shutdown.requested:
            raise self._server_ends()
        return event

    def idle(self, idling: bool) -> None:
        """From now on changes end, or do not end, ``event_or_news``."""
        self._idling = idling

    def _event(self, woken: Callable[[], bool]) -> Flow[ServerEvent | None]:
        yield from deadline(self.machine.timeout_hint)
        while True:
            event = self.machine.next_event()
            if event is NEED_DATA:
                yield from self.flush()
                if woken() and self.context.shutdown.requested:
                    return None
                data = yield from read(self.wakeup)
                if data is not None:
                    self.machine.receive_data(data)
                elif woken():
                    return None
            elif isinstance(event, ConnectionClosed) or event is PAUSED:
                raise Ended
            else:
                return event

    def _server_ends(self) -> Ended:
        self.send(Condition(BYE, "the server is shutting down", UNAVAILABLE))
        return Ended()

    # ---------------------------------------------------------------------------------- commands

    def run(self, handlers: Mapping[type[Command], Handler]) -> Flow[None]:
        """Greet, then carry out commands until the session ends."""
        farewell: Condition | None = None
        try:
            yield from self._offer_mechanisms(None if self._peer is None else self._peer.secured)
            if (yield from await_silence(self.context.greeting_delay, self.wakeup)):
                raise RemoteProtocolError("octets before the greeting", _EARLY)
            self.machine.accept()
            while self.machine.state is not State.LOGOUT:
                yield from self.drain()
                event = yield from self.next_command()
                if isinstance(event, InvalidCommand):
                    self.machine.accept()
                else:
                    yield from self._carry_out(event, handlers[type(event.command)])
        except Ended:
            pass
        except RemoteProtocolError as error:
            farewell = error.hint if isinstance(error.hint, Condition) else None
        except DeadlineExceeded:
            farewell = Condition(BYE, "idle for too long")
        yield from self._end(farewell)

    def _carry_out(self, tagged: Tagged, handler: Handler) -> Flow[None]:
        try:
            answer = yield from handler(self, tagged)
        except Refused as refused:
            answer = refused.answer
        except StoreError as error:
            answer = answer_of(error)
        yield from self._tell_news(tagged.command)
        try:
            self.send(Completion(tagged.tag, answer.state, answer.text, answer.code))
        except LocalProtocolError:
            # A store failed in the middle of a literal: the rest of it can never be sent.
            raise Ended from None
        if self.machine.awaiting_tls:
            yield from self.flush()
            # Raises if there is plaintext behind the command.
            self.machine.next_event()
            yield from deadline(self.machine.timeout_hint)
            secured = yield from start_tls()
            self.machine.start_tls()
            yield from self._offer_mechanisms(secured)

    def _offer_mechanisms(self, secured: Secured | None) -> Flow[None]:
        """Offer what can be offered now; ``secured`` is of the handshake, where there was one."""
        machine, context = self.machine, self.context
        self.offered = yield from offered(
            context.sasl, context.directory, tls=machine.tls, secured=secured
        )
        if machine.tls:
            machine.offer = evolve(machine.offer, mechanisms=self.offered.names)

    def _tell_news(self, command: Command) -> Flow[None]:
        """What has changed in the selected mailbox, as far as ``command`` allows to tell it."""
        selected = self.selected
        if selected is None:
            return
        if self._changed:
            yield from self.refresh(selected)
        by_uid = isinstance(command, _UID_COMMANDS) and command.uid
        held = isinstance(command, Fetch | StoreFlags | Search) and not by_uid
        yield from self.report(selected, expunges=not held, uids=by_uid)

    def refresh(
        self, selected: Selected, expected: Mapping[int, frozenset[str]] | None = None
    ) -> Flow[None]:
        """Learn what has changed in the mailbox."""
        self._changed = False
        yield from selected.refresh(expected)

    def report(self, selected: Selected, *, expunges: bool, uids: bool = False) -> Flow[None]:
        """Tell the client what has changed; its numbers change with it."""
        for response in selected.report(expunges=expunges, uids=uids):
            self.send(response)
            yield from self.drain()

    def report_new_keywords(self, selected: Selected, uids: list[int]) -> Flow[None]:
        """Tell of keywords that the client has not heard of, before a FETCH response has them."""
        for response in selected.report_new_keywords(uids):
            self.send(response)
        yield from self.drain()

    def _end(self, farewell: Condition | None) -> Flow[None]:
        try:
            if farewell is not None:
                self.send(farewell)
        except LocalProtocolError:
            return
        data = b"".join([*self._out, self.machine.data_to_send()])
        try:
            yield from deadline(_FAREWELL)
            yield from write(data)
        except TransportError:
            pass


Handler: TypeAlias = Callable[[Session, Tagged], Flow[Answer]]
"""Carries out one command, up to its completion."""
