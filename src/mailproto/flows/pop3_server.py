"""One POP3 session over a store, from the greeting to QUIT or the end of the connection.

The maildrop is the account's INBOX as it was at login, locked for the session. What DELE has
marked is removed in UPDATE, in one step of the store; a connection that ends in any other way
removes nothing (RFC 1939 section 6).
"""

from __future__ import annotations

import hmac
import secrets
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import iscoroutine
from typing import Final

from attrs import evolve

from mailproto import pop3
from mailproto._core.frozen import frozen
from mailproto._core.machine import Signal, Trace
from mailproto.backend.directory import Directory
from mailproto.backend.store import Mailbox, Maybe, Store
from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    RemoteProtocolError,
    StoreError,
    TLSError,
)
from mailproto.flows.authentication import Offered, offered, settle, verify
from mailproto.flows.effects import Flow, Secured, Wakeup, call, deadline, read, start_tls, write
from mailproto.flows.pop3_content import CanonicalLines, Top
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.sasl import (
    Challenge,
    Failure,
    FailureReason,
    PasswordCredentials,
    Success,
)
from mailproto.sasl import Offer as SASLOffer

__all__ = ["Context", "serve"]

_PIECE: Final = 65536
_LINES: Final = 2000
# Answers to pipelined commands that go out together at most.
_GROUP: Final = 64

_REFUSED: Final = pop3.Err("the user name or the password is wrong", pop3.AUTH)
_NO_SUCH_MESSAGE: Final = pop3.Err("no such message")
_STORE_FAILED: Final = pop3.Err("the maildrop cannot be used now", pop3.SYS_TEMP)


@frozen
class Context:
    """What all POP3 sessions of a server share."""

    store: Store
    directory: Directory
    shutdown: Shutdown
    sasl: SASLOffer
    """Make it with the same ``allow_insecure_auth``."""
    allow_insecure_auth: bool = False
    """Take USER and AUTH also without TLS, where anyone may read the password."""
    hostname: str = "localhost"
    """In the timestamp for APOP."""
    apop_password: Callable[[str], Maybe[str | None]] | None = None
    """The password in clear of a user, which APOP needs; ``None`` leaves APOP off. The account is
    the user's name. See ``pop3.Apop`` for why to leave it off."""
    limits: pop3.POP3ServerLimits = pop3.POP3ServerLimits()

    def machine(
        self, *, tls: bool = False, stls: bool = False, trace: Trace | None = None
    ) -> pop3.Server:
        """The machine for one connection: ``tls`` for implicit TLS, ``stls`` to offer STLS."""
        timestamp = None
        if self.apop_password is not None:
            timestamp = f"<{secrets.token_hex(16)}@{self.hostname}>"
        offer = pop3.Offer(
            mechanisms=self.sasl.names(tls=tls or stls),
            stls=stls and not tls,
            insecure_auth=self.allow_insecure_auth,
            timestamp=timestamp,
            expire=pop3.Expire(None),
            implementation="mailproto",
        )
        return pop3.Server(offer=offer, tls=tls, limits=self.limits, trace=trace)


def serve(machine: pop3.Server, context: Context, peer: Peer | None = None) -> Flow[None]:
    """Serve one connection to its end; whatever ends it, the maildrop is unlocked."""
    session = _Session(machine, context, peer)
    try:
        with context.shutdown.watch(session.wakeup):
            yield from session.run()
    except (ConnectionLost, DeadlineExceeded, TLSError):
        # The autologout timer closes without a response, too (RFC 1939 section 3).
        pass
    except GeneratorExit:
        # The driver has cut the session: nothing can be awaited any more.
        session.abandon()
        raise
    except Exception:
        yield from session.unlock()
        raise
    yield from session.unlock()


class _Maildrop:
    """The messages of an INBOX as they were when it was locked; numbers begin at 1."""

    __slots__ = ("deleted", "last", "mailbox", "octets", "sizes", "uid_validity", "uids")

    def __init__(self, mailbox: Mailbox, uid_validity: int) -> None:
        self.mailbox = mailbox
        self.uid_validity = uid_validity
        self.uids = array("Q")
        self.sizes = array("Q")
        self.octets = 0
        self.deleted: set[int] = set()
        self.last = 0

    def add(self, uid: int, size: int) -> None:
        self.uids.append(uid)
        self.sizes.append(size)
        self.octets += size

    @property
    def count(self) -> int:
        """Messages that are not marked as deleted."""
        return len(self.uids) - len(self.deleted)

    def has(self, message: int) -> bool:
        return 1 <= message <= len(self.uids) and message not in self.deleted

    def delete(self, message: int) -> None:
        self.deleted.add(message)
        self.octets -= self.sizes[message - 1]

    def reset(self) -> None:
        self.octets += sum(self.sizes[message - 1] for message in self.deleted)
        self.deleted.clear()
        self.last = 0

    def unique_id(self, message: int) -> str:
        """UIDVALIDITY and UID: never used again for another message (RFC 1939 section 7)."""
        return f"{self.uid_validity}.{self.uids[message - 1]}"

    def blocks(self) -> Iterator[list[int]]:
        """The numbers of the messages, some at a time."""
        for first in range(1, len(self.uids) + 1, _LINES):
            block = range(first, min(first + _LINES, len(self.uids) + 1))
            yield [message for message in block if message not in self.deleted]


class _Session:
    """The state of one connection beside its machine."""

    def __init__(self, machine: pop3.Server, context: Context, peer: Peer | None) -> None:
        self.wakeup = Wakeup()
        self._machine = machine
        self._context = context
        self._peer = peer
        self._offered = Offered(context.sasl, machine.tls)
        self._locked: Mailbox | None = None
        self._queued = 0
        self._unsent = 0

    def unlock(self) -> Flow[None]:
        """Give the lock back, if there is one."""
        mailbox, self._locked = self._locked, None
        if mailbox is not None:
            yield from call(mailbox.unlock)

    def abandon(self) -> None:
        """Give the lock back without waiting for it: a store's coroutine gets one step."""
        mailbox, self._locked = self._locked, None
        unlocking = None if mailbox is None else mailbox.unlock()
        if iscoroutine(unlocking):
            with suppress(StopIteration):
                unlocking.send(None)
            unlocking.close()

    # ---------------------------------------------------------------------------- the conversation

    def run(self) -> Flow[None]:
        """Greet, authenticate, and serve the maildrop."""
        yield from self._offer_mechanisms(None if self._peer is None else self._peer.secured)
        self._machine.accept()
        maildrop: _Maildrop | None = None
        while maildrop is None:
            event = yield from self._event()
            if event is None:
                return
            maildrop = yield from self._authorize(event)
        while (event := (yield from self._event())) is not None:
            yield from self._transact(maildrop, event)
        yield from write(self._machine.data_to_send())

    def _event(self) -> Flow[pop3.ServerEvent | None]:
        """The client's next command; ``None`` when the session is over."""
        machine = self._machine
        waiting = False
        while True:
            try:
                event = machine.next_event()
            except RemoteProtocolError as error:
                if isinstance(error.hint, pop3.Err):
                    machine.send(error.hint)
                yield from self._flush()
                return None
            if event is pop3.PAUSED:
                yield from self._flush()
                secured = yield from start_tls()
                machine.start_tls()
                yield from self._offer_mechanisms(secured)
            elif event is pop3.NEED_DATA:
                yield from self._flush()
                if not waiting:
                    yield from deadline(machine.timeout_hint)
                    waiting = True
                data = yield from read(self.wakeup)
                if data is not None:
                    machine.receive_data(data)
                elif self._context.shutdown.requested:
                    machine.farewell(pop3.Err("the server is shutting down", pop3.SYS_TEMP))
                    yield from self._flush()
                    return None
            elif isinstance(event, pop3.ConnectionClosed):
                yield from self._flush()
                return None
            else:
                assert not isinstance(event, Signal)
                self._unsent += 1
                if self._unsent >= _GROUP:
                    yield from deadline(machine.timeout_hint)
                    yield from self._flush()
                return event

    def _flush(self) -> Flow[None]:
        self._queued = self._unsent = 0
        yield from write(self._machine.data_to_send())

    def _piece(self, item: pop3.ServerItem, octets: int) -> Flow[None]:
        """Send a piece of an answer; wait for the client once enough is queued."""
        self._machine.send(item)
        self._queued += octets
        if self._queued >= _PIECE:
            yield from deadline(self._machine.timeout_hint)
            yield from self._flush()

    # ----------------------------------------------------------------------------- AUTHORIZATION

    def _authorize(self, event: pop3.ServerEvent) -> Flow[_Maildrop | None]:
        """Answer a command before login; the maildrop once there is one."""
        machine = self._machine
        account: str | None
        match event:
            case pop3.Pass(password):
                credentials = PasswordCredentials(machine.user or "", password)
                account = yield from verify(self._context.directory, credentials)
            case pop3.Apop(name, digest):
                account = name if (yield from self._apop(name, digest)) else None
            case pop3.Auth(mechanism, initial_response):
                outcome = yield from self._exchange(mechanism, initial_response)
                if not isinstance(outcome, Success):
                    return None
                account = outcome.identity
            case _:
                machine.accept()
                return None
        if account is None:
            machine.send(_REFUSED)
            return None
        return (yield from self._open(account))

    def _offer_mechanisms(self, secured: Secured | None) -> Flow[None]:
        """Offer what can be offered now; ``secured`` is of the handshake, where there was one."""
        machine, context = self._machine, self._context
        self._offered = yield from offered(
            context.sasl, context.directory, tls=machine.tls, secured=secured
        )
        if machine.tls:
            machine.offer = evolve(machine.offer, mechanisms=self._offered.names)

    def _exchange(self, mechanism: str, initial: bytes | None) -> Flow[Success | None]:
        """The SASL exchange; unless it succeeded, the refusal has been sent."""
        machine, directory = self._machine, self._context.directory
        exchange = self._offered.begin(mechanism)
        if exchange is None:
            machine.send(pop3.Err("this mechanism is not available"))
            return None
        step = yield from settle(exchange, exchange.start(initial), directory)
        while isinstance(step, Challenge):
            machine.send(pop3.Challenge(step.data))
            event = yield from self._event()
            if event is None:
                return None
            if isinstance(event, pop3.AuthResponse):
                step = yield from settle(exchange, exchange.respond(event.data), directory)
            elif isinstance(event, pop3.AuthCancel):
                step = exchange.cancel()
            else:
                step = exchange.malformed()
        if isinstance(step, Failure):
            refused = step.reason is FailureReason.REFUSED
            machine.send(_REFUSED if refused else pop3.Err(step.reason.value))
            return None
        return step

    def _apop(self, name: str, digest: str) -> Flow[bool]:
        find, timestamp = self._context.apop_password, self._machine.offer.timestamp
        assert find is not None
        assert timestamp is not None
        password = yield from call(find, name)
        # An unknown user costs the same work and gets the same answer.
        expected = pop3.apop_digest(timestamp, "" if password is None else password)
        return hmac.compare_digest(expected, digest) and password is not None

    def _open(self, name: str) -> Flow[_Maildrop | None]:
        """Lock and list the INBOX of an account; ``None`` if that was refused."""
        try:
            account = yield from call(self._context.store.account, name)
            mailbox = yield from call(account.open, "INBOX")
            if not (yield from call(mailbox.lock)):
                self._machine.send(pop3.Err("another session has the maildrop", pop3.IN_USE))
                return None
            self._locked = mailbox
            status = yield from call(mailbox.status)
            found = yield from call(mailbox.messages)
        except StoreError:
            yield from self.unlock()
            self._machine.send(_STORE_FAILED)
            return None
        maildrop = _Maildrop(mailbox, status.uid_validity)
        for info in found.messages:
            maildrop.add(info.uid, info.size)
        self._machine.send(pop3.Ok(f"{maildrop.count} messages ({maildrop.octets} octets)"))
        return maildrop

    # ------------------------------------------------------------------------------- TRANSACTION

    def _transact(self, maildrop: _Maildrop, event: pop3.ServerEvent) -> Flow[None]:
        machine = self._machine
        match event:
            case pop3.Retr(message) | pop3.Top(message) if maildrop.has(message):
                maildrop.last = max(maildrop.last, message)
                lines = event.lines if isinstance(event, pop3.Top) else None
                yield from self._message(maildrop, message, lines)
            case pop3.Dele(message) if maildrop.has(message):
                maildrop.delete(message)
                maildrop.last = max(maildrop.last, message)
                machine.send(pop3.Ok(f"message {message} deleted"))
            case pop3.List(int(message)) if maildrop.has(message):
                machine.send(pop3.ScanListing(message, maildrop.sizes[message - 1]))
            case pop3.Uidl(int(message)) if maildrop.has(message):
                machine.send(pop3.UniqueIdListing(message, maildrop.unique_id(message)))
            case pop3.List(None):
                yield from self._scan_listings(maildrop)
            case pop3.Uidl(None):
                yield from self._unique_id_listings(maildrop)
            case pop3.Retr() | pop3.Top() | pop3.Dele() | pop3.List() | pop3.Uidl():
                machine.send(_NO_SUCH_MESSAGE)
            case pop3.Stat():
                machine.send(pop3.DropListing(maildrop.count, maildrop.octets))
            case pop3.Last():
                machine.send(pop3.LastAccessed(maildrop.last))
            case pop3.Rset():
                maildrop.reset()
                machine.accept()
            case pop3.Quit():
                yield from self._update(maildrop)
            case _:
                machine.accept()

    def _scan_listings(self, maildrop: _Maildrop) -> Flow[None]:
        self._machine.send(pop3.Ok(f"{maildrop.count} messages ({maildrop.octets} octets)"))
        sizes = maildrop.sizes
        for block in maildrop.blocks():
            entries = tuple([(message, sizes[message - 1]) for message in block])
            yield from self._piece(pop3.ScanListings(entries), 16 * len(entries))
        self._machine.send(pop3.EndOfListing())

    def _unique_id_listings(self, maildrop: _Maildrop) -> Flow[None]:
        self._machine.send(pop3.Ok(f"{maildrop.count} messages"))
        for block in maildrop.blocks():
            entries = tuple([(message, maildrop.unique_id(message)) for message in block])
            yield from self._piece(pop3.UniqueIdListings(entries), 32 * len(entries))
        self._machine.send(pop3.EndOfListing())

    def _message(self, maildrop: _Maildrop, message: int, lines: int | None) -> Flow[None]:
        """RETR, and TOP with its number of lines.

        A store that fails in the middle ends the connection: no answer can tell it any more.
        """
        try:
            content = yield from call(maildrop.mailbox.content, maildrop.uids[message - 1])
            size = content.size
            piece = yield from call(content.read, 0, _PIECE)
        except StoreError:
            self._machine.send(pop3.Err("the message cannot be read", pop3.SYS_TEMP))
            return
        self._machine.send(pop3.Ok(f"{size} octets" if lines is None else ""))
        canonical = CanonicalLines()
        top = None if lines is None else Top(lines)
        offset = 0
        while piece:
            offset += len(piece)
            octets = canonical.feed(piece)
            if top is not None:
                octets = top.feed(octets)
            yield from self._piece(pop3.Body(octets), len(octets))
            if offset >= size or (top is not None and top.complete):
                break
            piece = yield from call(content.read, offset, _PIECE)
        rest = canonical.finish()
        if rest and (top is None or not top.complete):
            self._machine.send(pop3.Body(rest))
        self._machine.send(pop3.EndOfMessage())

    def _update(self, maildrop: _Maildrop) -> Flow[None]:
        """The UPDATE state: remove what is marked, unlock, and say what stays."""
        try:
            if maildrop.deleted:
                # What was asked for before goes out first: a broken connection shows here.
                yield from self._flush()
                uids = [maildrop.uids[message - 1] for message in sorted(maildrop.deleted)]
                yield from call(maildrop.mailbox.remove, uids)
        except StoreError:
            answer: pop3.Answer = pop3.Err("the deleted messages were not removed", pop3.SYS_TEMP)
        else:
            left = f"{maildrop.count} messages left" if maildrop.count else "maildrop empty"
            answer = pop3.Ok(f"bye ({left})")
        yield from self.unlock()
        self._machine.send(answer)
