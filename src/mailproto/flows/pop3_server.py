"""One POP3 session over a store, from the greeting to QUIT or the end of the connection.

The maildrop is the account's INBOX as it was at login, locked for the session. What DELE has
marked is removed in UPDATE, in one step of the store; a connection that ends in any other way
removes nothing (RFC 1939 section 6).
"""

from __future__ import annotations

import hmac
import secrets
from contextlib import suppress
from inspect import iscoroutine
from typing import Final

from attrs import evolve, field

from mailproto import pop3
from mailproto._core.frozen import frozen
from mailproto._core.machine import Signal, Trace
from mailproto.backend.directory import Directory
from mailproto.backend.store import (
    Mailbox,
    MessageGone,
    NoSuchMailbox,
    Store,
)
from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    StoreError,
    TLSError,
)
from mailproto.flows import pop3_texts as texts
from mailproto.flows.authentication import Offered, offered, settle, verify
from mailproto.flows.effects import Flow, Secured, Wakeup, call, deadline, read, start_tls, write
from mailproto.flows.pop3_content import Top
from mailproto.flows.pop3_maildrop import PIECE, Internationalized, Maildrop
from mailproto.flows.pop3_policy import Options, Policy
from mailproto.flows.serving import Peer, await_silence
from mailproto.flows.shutdown import Shutdown
from mailproto.sasl import (
    Challenge,
    Failure,
    FailureReason,
    PasswordCredentials,
    Success,
)
from mailproto.sasl import Offer as SASLOffer
from mailproto.sasl.saslprep import saslprep

__all__ = ["Context", "Options", "Policy", "serve"]

# Ports that only the host itself gives away (RFC 1225, RPOP).
_RESERVED: Final = 1024
# Answers to pipelined commands that go out together at most.
_GROUP: Final = 64


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
    options: Options = field(factory=Options)
    greeting_delay: float | None = None
    """Seconds before the greeting; who speaks within them is refused. ``None``: it is said at
    once, and to everybody."""

    def machine(
        self, *, tls: bool = False, stls: bool = False, trace: Trace | None = None
    ) -> pop3.Server:
        """The machine for one connection: ``tls`` for implicit TLS, ``stls`` to offer STLS."""
        options = self.options
        timestamp = None
        if options.apop_password is not None:
            timestamp = f"<{secrets.token_hex(16)}@{self.hostname}>"
        per_user = options.policy_of is not None
        delay, expire = options.policy.login_delay, options.policy.expire
        offer = pop3.Offer(
            mechanisms=self.sasl.names(tls=tls or stls),
            stls=stls and not tls,
            insecure_auth=self.allow_insecure_auth,
            timestamp=timestamp,
            rpop=options.rpop is not None,
            last=options.last,
            utf8=options.internationalized is not Internationalized.AS_IS,
            languages=bool(options.languages),
            login_delay=pop3.LoginDelay(delay, per_user) if delay else None,
            expire=expire and pop3.Expire(expire.days, per_user),
            implementation="mailproto",
        )
        return pop3.Server(offer=offer, tls=tls, limits=options.limits, trace=trace)


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


class _Session:
    """The state of one connection beside its machine."""

    def __init__(self, machine: pop3.Server, context: Context, peer: Peer | None) -> None:
        self.wakeup = Wakeup()
        self._machine = machine
        self._context = context
        self._peer = peer
        self._offered = Offered(context.sasl, machine.tls)
        self._speech = texts.Speech(context.options.languages)
        self._policy = context.options.policy
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
        if (yield from await_silence(self._context.greeting_delay, self.wakeup)):
            self._machine.send(self._speech.err(texts.TOO_EARLY))
            yield from self._flush()
            return
        self._machine.accept()
        maildrop: Maildrop | None = None
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
                    machine.send(self._speech.err(error.hint.text, error.hint.code))
                yield from self._flush()
                return None
            if event is pop3.PAUSED:
                yield from self._flush()
                secured = yield from start_tls()
                machine.start_tls()
                self._speech.reset()
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
                    machine.farewell(self._speech.err(texts.SHUTDOWN, pop3.SYS_TEMP))
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
        if self._queued >= PIECE:
            yield from deadline(self._machine.timeout_hint)
            yield from self._flush()

    # ----------------------------------------------------------------------------- AUTHORIZATION

    def _authorize(self, event: pop3.ServerEvent) -> Flow[Maildrop | None]:
        """Answer a command before login; the maildrop once there is one."""
        machine = self._machine
        account: str | None
        try:
            match event:
                case pop3.Pass(password):
                    account = yield from self._verify(machine.user or "", password)
                case pop3.Rpop(name):
                    account = yield from self._rpop(machine.user or "", name)
                case pop3.Apop(name, digest):
                    account = yield from self._apop(name, digest)
                case pop3.Auth(mechanism, initial_response):
                    outcome = yield from self._exchange(mechanism, initial_response)
                    if not isinstance(outcome, Success):
                        return None
                    account = outcome.identity
                case _:
                    self._common(event)
                    return None
        except StoreError:
            # The directory cannot say; a store's errors are the only ones that it may raise.
            machine.send(self._speech.err(texts.STORE_FAILED, pop3.SYS_TEMP))
            return None
        if account is None:
            machine.send(self._speech.err(texts.WRONG, pop3.AUTH))
            return None
        return (yield from self._open(account))

    def _common(self, event: pop3.ServerEvent) -> None:
        """Answer what needs no account."""
        machine, speech = self._machine, self._speech
        match event:
            case pop3.Invalid(_, reply):
                machine.send(speech.err(reply.text, reply.code))
            case pop3.Lang(None):
                machine.send(speech.listing())
            case pop3.Lang(str(language_range)):
                machine.send(speech.choose(language_range))
            case pop3.User():
                machine.send(speech.ok(texts.SEND_PASS))
            case pop3.Stls():
                machine.send(speech.ok(texts.BEGIN_TLS))
            case pop3.Utf8():
                machine.send(speech.ok(texts.UTF8_ON))
            case pop3.Quit():
                machine.send(speech.ok(texts.BYE))
            case pop3.Capa() if machine.state is pop3.State.TRANSACTION:
                machine.send(self._capabilities())
            case _:
                machine.accept()

    def _capabilities(self) -> pop3.Capabilities:
        """What CAPA tells an account that is known."""
        delay, expire = self._policy.login_delay, self._policy.expire
        return evolve(
            self._machine.capabilities,
            login_delay=pop3.LoginDelay(delay) if delay else None,
            expire=expire and pop3.Expire(expire.days),
        )

    def _verify(self, user: str, password: str) -> Flow[str | None]:
        """The account that USER and PASS open, prepared as RFC 6856 section 2.2 has it."""
        name, secret = saslprep(user), saslprep(password)
        if not name or not secret:
            return None
        return (yield from verify(self._context.directory, PasswordCredentials(name, secret)))

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
            machine.send(self._speech.err(texts.NO_MECHANISM))
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
            if step.reason is FailureReason.REFUSED:
                machine.send(self._speech.err(texts.WRONG, pop3.AUTH))
            else:
                machine.send(self._speech.err(step.reason.value))
            return None
        return step

    def _rpop(self, user: str, name: str) -> Flow[str | None]:
        """The account for which the word of the client's host is taken (RFC 1225)."""
        trusts, peer = self._context.options.rpop, self._peer
        assert trusts is not None
        account, remote = saslprep(user), saslprep(name)
        if peer is None or not 0 < peer.port < _RESERVED or not account or not remote:
            return None
        return account if (yield from call(trusts, peer, account, remote)) else None

    def _apop(self, name: str, digest: str) -> Flow[str | None]:
        find, timestamp = self._context.options.apop_password, self._machine.offer.timestamp
        assert find is not None
        assert timestamp is not None
        user = saslprep(name)
        password = (yield from call(find, user)) if user else None
        try:
            # An unknown user costs the same work and gets the same answer.
            expected = pop3.apop_digest(timestamp, "" if password is None else password)
        except LocalProtocolError:
            return None
        fits = hmac.compare_digest(expected, digest)
        return user if fits and password is not None else None

    def _open(self, name: str) -> Flow[Maildrop | None]:
        """Lock and list the INBOX of an account; ``None`` if that was refused."""
        machine, context = self._machine, self._context
        options = context.options
        answer: pop3.Answer | None = None
        maildrop: Maildrop | None = None
        try:
            policy = options.policy
            if options.policy_of is not None:
                policy = yield from call(options.policy_of, name)
            account = yield from call(context.store.account, name)
            mailbox = yield from call(account.open, "INBOX")
            wait = options.logins.wait(name, policy.login_delay)
            if wait:
                answer = self._speech.err(texts.LOGIN_DELAY, pop3.LOGIN_DELAY, wait)
            elif not (yield from call(mailbox.lock)):
                answer = self._speech.err(texts.IN_USE, pop3.IN_USE)
            else:
                self._locked = mailbox
                as_is = Internationalized.AS_IS
                maildrop = yield from Maildrop.load(
                    name,
                    mailbox,
                    as_is if machine.utf8 else options.internationalized,
                    options.sizes,
                )
                answer = self._speech.ok(texts.LOGGED_IN, maildrop.count)
                options.logins.note(name)
                self._policy = policy
        except NoSuchMailbox:
            answer = self._speech.err(texts.NO_MAILDROP, pop3.SYS_PERM)
        except StoreError:
            answer = self._speech.err(texts.STORE_FAILED, pop3.SYS_TEMP)
        if maildrop is None:
            yield from self.unlock()
        machine.send(answer)
        return maildrop

    # ------------------------------------------------------------------------------- TRANSACTION

    def _transact(self, maildrop: Maildrop, event: pop3.ServerEvent) -> Flow[None]:
        machine, speech = self._machine, self._speech
        match event:
            case pop3.Retr(message) | pop3.Top(message) if maildrop.has(message):
                maildrop.last = max(maildrop.last, message)
                lines = event.lines if isinstance(event, pop3.Top) else None
                yield from self._message(maildrop, message, lines)
            case pop3.Dele(message) if maildrop.has(message):
                maildrop.delete(message)
                maildrop.last = max(maildrop.last, message)
                machine.send(speech.ok(texts.DELETED, message))
            case pop3.List(int(message)) if maildrop.has(message):
                yield from maildrop.measure(message)
                machine.send(pop3.ScanListing(message, maildrop.size(message)))
            case pop3.Uidl(int(message)) if maildrop.has(message):
                machine.send(pop3.UniqueIdListing(message, maildrop.unique_id(message)))
            case pop3.List(None):
                yield from self._scan_listings(maildrop)
            case pop3.Uidl(None):
                yield from self._unique_id_listings(maildrop)
            case pop3.Retr() | pop3.Top() | pop3.Dele() | pop3.List() | pop3.Uidl():
                machine.send(speech.err(texts.NO_SUCH_MESSAGE))
            case pop3.Stat():
                yield from maildrop.measure()
                machine.send(pop3.DropListing(maildrop.count, maildrop.octets))
            case pop3.Last():
                machine.send(pop3.LastAccessed(maildrop.last))
            case pop3.Rset():
                maildrop.reset()
                machine.accept()
            case pop3.Quit():
                yield from self._update(maildrop)
            case _:
                self._common(event)

    def _scan_listings(self, maildrop: Maildrop) -> Flow[None]:
        yield from maildrop.measure()
        self._machine.send(self._speech.ok(texts.LOGGED_IN, maildrop.count))
        for entries in maildrop.scan_listings():
            yield from self._piece(pop3.ScanListings(entries), 16 * len(entries))
        self._machine.send(pop3.EndOfListing())

    def _unique_id_listings(self, maildrop: Maildrop) -> Flow[None]:
        self._machine.send(self._speech.ok(texts.LOGGED_IN, maildrop.count))
        for entries in maildrop.unique_id_listings():
            yield from self._piece(pop3.UniqueIdListings(entries), 32 * len(entries))
        self._machine.send(pop3.EndOfListing())

    def _message(self, maildrop: Maildrop, message: int, lines: int | None) -> Flow[None]:
        """RETR, and TOP with its number of lines.

        A store that fails in the middle ends the connection: no answer can tell it any more.
        """
        try:
            content = yield from call(maildrop.mailbox.content, maildrop.uid(message))
            edits = yield from maildrop.edits(message, content)
            outgoing = maildrop.outgoing(message, content, edits or ())
            piece = yield from outgoing.next()
        except MessageGone:
            self._machine.send(self._speech.err(texts.GONE))
            return
        except StoreError:
            self._machine.send(self._speech.err(texts.UNREADABLE, pop3.SYS_TEMP))
            return
        if edits is None:
            self._machine.send(self._speech.err(texts.NEEDS_UTF8, pop3.UTF8))
            return
        words = ""
        if lines is None and maildrop.size_is_known(message):
            words = self._speech.say(texts.OCTETS, maildrop.size(message))
        top = None if lines is None else Top(lines)
        if top is None:
            maildrop.retrieved.add(message)
        if content.size <= PIECE:
            piece += yield from outgoing.next()
            if top is not None:
                piece = top.feed(piece)
            yield from self._piece(pop3.Message(piece, words), len(piece))
            return
        self._machine.send(pop3.Ok(words))
        while piece:
            if top is not None:
                piece = top.feed(piece)
            yield from self._piece(pop3.Body(piece), len(piece))
            if top is not None and top.complete:
                break
            piece = yield from outgoing.next()
        self._machine.send(pop3.EndOfMessage())

    def _update(self, maildrop: Maildrop) -> Flow[None]:
        """The UPDATE state: remove what is marked, unlock, and say what stays."""
        gone = maildrop.deleted
        expire = self._policy.expire
        if expire is not None and expire.days == 0:
            gone |= maildrop.retrieved
        try:
            if gone:
                # What was asked for before goes out first: a broken connection shows here.
                yield from self._flush()
                uids = [maildrop.uid(message) for message in sorted(gone)]
                yield from call(maildrop.mailbox.remove, uids)
        except StoreError:
            answer: pop3.Answer = self._speech.err(texts.NOT_REMOVED, pop3.SYS_TEMP)
        else:
            left = texts.BYE_LEFT if maildrop.count else texts.BYE_EMPTY
            answer = self._speech.ok(left, maildrop.count)
        yield from self.unlock()
        self._machine.send(answer)
