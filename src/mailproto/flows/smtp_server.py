"""One SMTP or LMTP session as a flow: a machine, a handler that decides, and a directory for AUTH.

What a handler is not asked about has one right answer, which the machine gives. Replies to
pipelined commands go out together, before the session waits for input (RFC 2920 section 3.2).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Generator, Mapping, Sequence
from inspect import isawaitable
from types import MappingProxyType
from typing import Final, cast

from attrs import evolve
from typing_extensions import TypeVar

from mailproto import sasl
from mailproto._core.frozen import frozen
from mailproto._core.limits import SMTPServerLimits
from mailproto._core.machine import Signal, Trace
from mailproto.backend.directory import Directory
from mailproto.backend.store import OverQuota
from mailproto.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    StoreError,
    TLSError,
    TransportError,
)
from mailproto.flows.authentication import Offered, offered, settle
from mailproto.flows.effects import (
    Call,
    Deadline,
    Flow,
    Read,
    Secured,
    Wakeup,
    Write,
    deadline,
    start_tls,
    write,
)
from mailproto.flows.serving import Peer, await_silence
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_handler import Answer, Handler, Origin, Resume
from mailproto.smtp import (
    NEED_DATA,
    Atrn,
    Auth,
    AuthCancel,
    AuthResponse,
    BadContent,
    BareNewlines,
    Body,
    Burl,
    Challenge,
    Client,
    ConnectionClosed,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    EnhancedCode,
    Etrn,
    Expn,
    Helo,
    Help,
    Invalid,
    Lhlo,
    Mail,
    Noop,
    Offer,
    OtherCommand,
    Quit,
    Rcpt,
    RepairedLine,
    Reply,
    Rset,
    Server,
    StartTLS,
    State,
    Vrfy,
    XClient,
    XForward,
)

__all__ = ["Answer", "Context", "Handler", "Origin", "Resume", "serve"]

T = TypeVar("T")

_UNAVAILABLE: Final = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
# What the next XCLIENT takes back where it does not say it anew; the others stay.
_OF_ONE_XCLIENT: Final = frozenset({"HELO", "PROTO", "LOGIN"})
_FAREWELL: Final = 5.0
_HANDSHAKE: Final = 60.0
# A client that sends content keeps its time by sending so much of it.
_PROGRESS: Final = 64 * 1024
# Replies to pipelined commands that go out together at most.
_GROUP: Final = range(64)

_AUTHENTICATED: Final = Reply(235, "Authentication successful", EnhancedCode(2, 7, 0))
_REFUSED: Final = Reply(535, "Authentication failed", EnhancedCode(5, 7, 8))
_MALFORMED: Final = Reply(501, "The response is malformed", EnhancedCode(5, 5, 2))
_NO_MECHANISM: Final = Reply(504, "Mechanism not offered", EnhancedCode(5, 5, 4))
_NO_DIRECTORY: Final = Reply(454, "Authentication is not possible now", EnhancedCode(4, 7, 0))
_NO_ROOM: Final = Reply(452, "Insufficient storage", EnhancedCode(4, 2, 2))
_STORE_FAILED: Final = Reply(451, "The message cannot be stored now", EnhancedCode(4, 3, 0))
_FAILED: Final = Reply(421, "Internal error, closing the connection", EnhancedCode(4, 3, 0))
_NOT_THE_SUBMITTER: Final = Reply(554, "The URL is for another user", EnhancedCode(5, 7, 0))
_TOO_SLOW: Final = Reply(421, "Timeout, closing the connection", EnhancedCode(4, 4, 2))
_ENDING: Final = Reply(421, "The server is going down", EnhancedCode(4, 3, 2))


@frozen
class Context:
    """What all sessions of a listener share."""

    handler: Callable[[Origin], Handler]
    """Makes the handler of one connection."""
    shutdown: Shutdown
    hostname: str = "localhost"
    lmtp: bool = False
    directory: Directory | None = None
    """Who may log in; ``None`` together with ``sasl``: nobody, AUTH is not offered."""
    sasl: sasl.Offer | None = None
    """Make it with the same ``allow_insecure_auth``."""
    require_auth: bool = False
    allow_insecure_auth: bool = False
    offer: Offer = Offer()
    """What is offered besides AUTH, STARTTLS and forwarding, which follow from the other fields."""
    trusts_forwarding: Callable[[Peer], bool] | None = None
    """Whether this client may use XCLIENT and XFORWARD; without it none may."""
    greeting_delay: float | None = None
    """Seconds before the greeting; who speaks within them is refused."""
    trust_auth_parameter: bool = False
    """Whether clients that have logged in are believed about the AUTH= of MAIL; from all others
    handlers get ``NULL_PATH`` (RFC 4954 section 5)."""
    bare_newlines: BareNewlines = BareNewlines.REJECT
    """What becomes of a CR or LF that is no CRLF, in content and in command lines."""
    limits: SMTPServerLimits = SMTPServerLimits()
    timeout: float | None = None
    """Seconds for one command or 64 KiB of content instead of the RFC's five minutes."""

    def machine(
        self, *, tls: bool = False, starttls: bool = False, trace: Trace | None = None
    ) -> Server:
        """The machine for one connection: ``tls`` for implicit TLS, ``starttls`` to offer it."""
        login = None if self.directory is None else self.sasl
        return Server(
            self.hostname,
            lmtp=self.lmtp,
            tls=tls,
            offer=evolve(
                self.offer,
                starttls=starttls,
                mechanisms=() if login is None else login.names(tls=tls or starttls),
                insecure_auth=self.allow_insecure_auth,
                forwarding=False,
            ),
            require_auth=self.require_auth,
            trust_auth_parameter=self.trust_auth_parameter,
            bare_newlines=self.bare_newlines,
            refuse_early_talkers=self.greeting_delay is not None,
            limits=self.limits,
            now=_now,
            trace=trace,
        )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def serve(machine: Server, context: Context, peer: Peer | None = None) -> Flow[None]:
    """Serve one connection to its end, whatever ends it."""
    wakeup = Wakeup()
    with context.shutdown.watch(wakeup):
        try:
            session = _Session(machine, context, peer, wakeup)
        except Exception:
            # There is no handler to be told of the end.
            machine.send(_FAILED)
            yield from deadline(_FAREWELL)
            yield from write(machine.data_to_send())
            raise
        try:
            yield from session.run()
        except RemoteProtocolError as error:
            hint = error.hint
            yield from session.farewell(hint if isinstance(hint, Reply) else _FAILED)
        except DeadlineExceeded:
            yield from session.farewell(_TOO_SLOW)
        except (ConnectionLost, TLSError):
            yield from session.interrupt()
        except Exception:
            yield from session.farewell(_FAILED)
            raise


class _Session:
    """The state of ``serve``."""

    def __init__(
        self, machine: Server, context: Context, peer: Peer | None, wakeup: Wakeup
    ) -> None:
        self._machine = machine
        self._context = context
        self._wakeup = wakeup
        self._origin = Origin(peer, machine.tls)
        self._handler = context.handler(self._origin)
        trusts = context.trusts_forwarding
        if trusts is not None and peer is not None and trusts(peer):
            machine.offer = evolve(machine.offer, forwarding=True)
        self._in_transaction = False
        # What XCLIENT has said, and whether MAIL has followed what XFORWARD has said since.
        self._stands_for: Mapping[str, str] = MappingProxyType({})
        self._forwarded: bool | None = None
        # The refusal that a piece of content has met; the rest of it is dropped.
        self._refusal: Reply | None = None
        self._content_begun = False
        self._offered: Offered | None = None
        self._exchange: sasl.ServerExchange | None = None
        # Octets of content that came since the deadline began.
        self._progress = 0
        # Steps that took time since something was sent: their answers wait, too.
        self._delayed = 0
        self._patience = Deadline(context.timeout or machine.timeout_hint)
        self._over = False

    def run(self) -> Flow[None]:
        machine = self._machine
        peer = self._origin.peer
        yield from self._offer_mechanisms(None if peer is None else peer.secured)
        early = yield from await_silence(self._context.greeting_delay, self._wakeup)
        if early:
            machine.receive_data(early)
            machine.next_event()
        machine.accept()
        reading = Read(self._wakeup, self._answer)
        while not self._over:
            later = self._proceed()
            if later is None:
                yield from self._flush()
                data = yield reading
                if isinstance(data, bytes):
                    machine.receive_data(data)
                elif data is not None:
                    later = cast("Flow[None]", data)
                elif self._context.shutdown.requested:
                    yield from self.farewell(_ENDING)
                    break
            if later is not None:
                yield from later
                self._delayed += 1
                if self._delayed >= len(_GROUP):
                    yield from self._flush()
        yield from self.interrupt()

    def _answer(self, data: bytes) -> bytes | Flow[None]:
        """Answer what has come, or say what must be done first."""
        self._machine.receive_data(data)
        later = self._proceed()
        if later is not None:
            return later
        if self._progress >= _PROGRESS:
            return self._flush()
        return self._machine.data_to_send()

    def _proceed(self) -> Flow[None] | None:
        """Take one step after the other, until there is no input; or until one takes time, which
        is then a flow to be run before the next.
        """
        machine = self._machine
        for _ in _GROUP:
            event = machine.next_event()
            if event is NEED_DATA:
                return self._end() if machine.closing else None
            try:
                later = _STEPS[type(event)](self, event)
            except StoreError as error:
                later = self._decided(event, _refusal(error))
            if later is not None:
                return later
        return self._flush()

    def _end(self) -> Flow[None]:
        """Nothing more is to be read."""
        yield from self._flush()
        self._over = True

    def farewell(self, reply: Reply) -> Flow[None]:
        """Say why the connection ends, if the client still listens, and tell the handler."""
        yield from self._say_at_last(reply)
        yield from self.interrupt()

    def _say_at_last(self, reply: Reply) -> Flow[None]:
        machine = self._machine
        handshake_due = machine.awaiting_tls and not machine.failed
        if machine.closing or handshake_due or machine.state is State.REVERSED:
            return
        machine.send(reply)
        try:
            yield from deadline(_FAREWELL)
            yield from write(machine.data_to_send())
        except TransportError:
            # Nobody is there any more to be told.
            return

    def abandon(self) -> Flow[None]:
        """Tell the handler that the transaction, if there is one, has ended."""
        if self._forget():
            yield from self._ask(self._handler.abandon())

    def interrupt(self) -> Flow[None]:
        """Tell the handler that the connection has ended inside the transaction, if it has."""
        if self._forget():
            yield from self._ask(self._handler.interrupted())

    def _forget(self) -> bool:
        """Whether there was a transaction."""
        found = self._in_transaction
        self._in_transaction = self._content_begun = False
        self._refusal = None
        return found

    # --- input and output

    def _flush(self) -> Flow[None]:
        """Send what is to be sent; the deadline begins anew with each answer."""
        self._delayed = 0
        data = self._machine.data_to_send()
        if data or self._progress >= _PROGRESS:
            self._progress = 0
            yield self._patience
        if data:
            yield Write(data)

    def pause(self, _: Signal) -> Flow[None]:
        """The client may not speak on as it did: TLS begins, or the connection was turned round."""
        if self._machine.state is State.REVERSED:
            yield from self._go_on_as_client()
            self._over = True
        else:
            yield from self._start_tls()

    def closed(self, _: ConnectionClosed) -> Flow[None]:
        self._over = True
        yield from ()

    def _start_tls(self) -> Flow[None]:
        yield from self._flush()
        yield from deadline(_HANDSHAKE)
        secured = yield from start_tls()
        self._machine.start_tls()
        yield self._patience
        yield from self.abandon()
        origin = self._origin
        origin.tls, origin.hello, origin.extended, origin.account = True, "", False, None
        yield from self._offer_mechanisms(secured)

    def _ask(self, answer: Answer[T]) -> Flow[T]:
        """The value of what a handler has answered."""
        if isinstance(answer, Generator):
            return (yield from cast("Flow[T]", answer))
        if isawaitable(answer):
            return cast("T", (yield Call(lambda: answer)))
        return answer

    def _decide(self, answer: Callable[[], Answer[T]]) -> Flow[T | Reply]:
        """What a handler answers, with what it raises as a reply."""
        try:
            return (yield from self._ask(answer()))
        except StoreError as error:
            return _refusal(error)

    def _decided(self, event: object, given: object) -> Flow[None] | None:
        """Go on with what a handler has answered to an event: at once, or when it is known."""
        if given is None or isinstance(given, Reply):
            return _DECIDED[type(event)](self, given)
        return self._decided_later(event, given)

    def _decided_later(self, event: object, given: object) -> Flow[None]:
        answer = yield from self._decide(lambda: given)
        later = _DECIDED[type(event)](self, answer)
        if later is not None:
            yield from later

    def _reply(self, reply: Reply | None) -> bool:
        """Answer the event in hand; whether that was positive."""
        if reply is None:
            self._machine.accept()
            return True
        self._machine.send(reply)
        return reply.positive

    # --- what commands do: at once (None), or as a flow that takes time

    def accept(self, _: object) -> None:
        """Let the machine answer alone."""
        self._machine.accept()

    def pass_over(self, _: object) -> None:
        """What waits for no answer."""

    def hello(self, event: Ehlo | Helo | Lhlo) -> Flow[None]:
        yield from self.abandon()
        self._origin.hello = event.domain
        self._origin.extended = not isinstance(event, Helo)
        self._machine.accept()

    def mail(self, event: Mail) -> Flow[None] | None:
        self._in_transaction = True
        if self._forwarded is not None:
            self._begin_forwarded()
        given = self._handler.mail(event)
        if given is not None:
            return self._decided(event, given)
        self._machine.accept()
        return None

    def mail_decided(self, answer: Reply | Resume | None) -> Flow[None] | None:
        if isinstance(answer, Resume):
            self._machine.resume(answer.offset, answer.recipients)
            return None
        return None if self._reply(answer) else self.abandon()

    def rcpt(self, event: Rcpt) -> Flow[None] | None:
        given = self._handler.rcpt(event)
        if given is not None:
            return self._decided(event, given)
        self._machine.accept()
        return None

    def rcpt_decided(self, reply: Reply | None) -> None:
        self._reply(reply)

    def data(self, event: Data) -> Flow[None] | None:
        given = self._handler.data()
        if given is not None:
            return self._decided(event, given)
        self._content_begun = True
        self._machine.accept()
        return None

    def data_decided(self, reply: Reply | None) -> None:
        self._content_begun = self._reply(reply)

    def _begin_content(self) -> Flow[None]:
        """Ask what is asked at DATA, when BDAT has begun the content without it."""
        self._content_begun = True
        self.content_decided((yield from self._decide(self._handler.data)))

    def end_of_chunk(self, _: EndOfChunk) -> Flow[None]:
        if not self._content_begun:
            yield from self._begin_content()
        refusal = self._refusal
        if refusal is not None:
            yield from self.abandon()
        self._reply(refusal)

    def content(self, event: Body) -> Flow[None] | None:
        data = event.data
        self._progress += len(data)
        if not self._content_begun:
            return self._first_content(event)
        if self._refusal is not None:
            return None
        given = self._handler.content(data)
        return None if given is None else self._decided(event, given)

    def content_decided(self, reply: Reply | None) -> None:
        # What is not refused is accepted, as by None: it must never be dropped.
        self._refusal = None if reply is None or reply.positive else reply

    def _first_content(self, event: Body) -> Flow[None]:
        yield from self._begin_content()
        if self._refusal is None:
            self.content_decided(
                (yield from self._decide(lambda: self._handler.content(event.data)))
            )

    def bad_content(self, _: BadContent) -> Flow[None]:
        yield from self.abandon()
        self._machine.accept()

    def end(self, event: EndOfMessage) -> Flow[None] | None:
        if self._refusal is not None or not self._content_begun:
            return self._end_otherwise()
        self._in_transaction = self._content_begun = False
        given = self._handler.end()
        if given is not None:
            return self._decided(event, given)
        self._machine.accept()
        return None

    def _end_otherwise(self) -> Flow[None]:
        """The end of content that was refused on its way, or of content that is empty."""
        if not self._content_begun:
            yield from self._begin_content()
        refusal = self._refusal
        if refusal is None:
            self._in_transaction = self._content_begun = False
            self.end_decided((yield from self._decide(self._handler.end)))
        else:
            yield from self.abandon()
            self.end_decided(refusal)

    def end_decided(self, replies: Reply | Sequence[Reply] | None) -> None:
        due = self._machine.replies_due
        if replies is None:
            self._machine.accept()
            return
        if isinstance(replies, Reply):
            replies = [replies] * due
        elif len(replies) != due:
            raise LocalProtocolError(
                f"the handler answers the content {len(replies)} times, not {due}"
            )
        for reply in replies:
            self._machine.send(reply)

    def leave(self, _: Rset | Quit) -> Flow[None]:
        yield from self.abandon()
        self._machine.accept()

    def stand_for(self, event: XClient) -> Flow[None]:
        yield from self.abandon()
        origin = self._origin
        named = dict(event.attributes)
        login = named.get("LOGIN", _UNAVAILABLE[0])
        origin.account = None if login in _UNAVAILABLE else login
        origin.hello, origin.extended = "", False
        kept = {k: v for k, v in self._stands_for.items() if k not in _OF_ONE_XCLIENT}
        self._stands_for = origin.attributes = MappingProxyType({**kept, **named})
        self._forwarded = None
        self._machine.accept()

    def forward(self, event: XForward) -> Flow[None]:
        if self._forwarded:
            self._origin.attributes = self._stands_for
        self._origin.attributes = MappingProxyType(
            {**self._origin.attributes, **dict(event.attributes)}
        )
        self._forwarded = False
        self._machine.accept()
        yield from ()

    def _begin_forwarded(self) -> None:
        """What XFORWARD has said is of one transaction, the next (XFORWARD_README)."""
        if self._forwarded:
            self._origin.attributes = self._stands_for
            self._forwarded = None
        else:
            self._forwarded = True

    def verify(self, event: Vrfy) -> Flow[None]:
        self._reply((yield from self._decide(lambda: self._handler.verify(event.text))))

    def expand(self, event: Expn) -> Flow[None]:
        self._reply((yield from self._decide(lambda: self._handler.expand(event.text))))

    def etrn(self, event: Etrn) -> Flow[None]:
        self._reply((yield from self._decide(lambda: self._handler.etrn(event))))

    def atrn(self, event: Atrn) -> Flow[None]:
        self._reply((yield from self._decide(lambda: self._handler.atrn(event))))

    def _go_on_as_client(self) -> Flow[None]:
        """The connection was turned round: what waits for the client goes to it as to a server."""
        yield from self._flush()
        machine = Client(tls=self._machine.tls)
        early = self._machine.trailing_data
        if early:
            machine.receive_data(early)
        session = Session(machine, self._context.hostname)
        yield from session.begin()
        yield from self._ask(self._handler.turned_round(session))
        yield from session.quit()

    def burl(self, event: Burl) -> Flow[None]:
        def fetch() -> Answer[Reply | bytes]:
            # RFC 4468 section 3.3
            mine = event.submitter is None or event.submitter == self._origin.account
            return self._handler.burl(event) if mine else _NOT_THE_SUBMITTER

        deciding: Flow[Reply | bytes] = self._decide(fetch)
        answer = yield from deciding
        if isinstance(answer, Reply):
            yield from self.abandon()
            self._machine.send(answer)
        else:
            self._machine.supply(answer)

    def other(self, event: OtherCommand) -> Flow[None]:
        self._reply((yield from self._decide(lambda: self._handler.other(event))))

    # --- AUTH

    def _offer_mechanisms(self, secured: Secured | None) -> Flow[None]:
        """Offer what can be offered now; ``secured`` is of the handshake, where there was one."""
        machine, directory, offer = self._machine, self._context.directory, self._context.sasl
        if offer is None or directory is None:
            return
        self._offered = yield from offered(offer, directory, tls=machine.tls, secured=secured)
        if machine.tls:
            machine.offer = evolve(machine.offer, mechanisms=self._offered.names)

    def auth(self, event: Auth) -> Flow[None]:
        exchange = None if self._offered is None else self._offered.begin(event.mechanism)
        if exchange is None:
            self._machine.send(_NO_MECHANISM)
            return
        self._exchange = exchange
        yield from self._authenticate(exchange, exchange.start(event.initial_response))

    def auth_response(self, event: AuthResponse) -> Flow[None]:
        exchange = self._exchange
        assert exchange is not None
        yield from self._authenticate(exchange, exchange.respond(event.data))

    def auth_cancel(self, _: AuthCancel) -> Flow[None]:
        assert self._exchange is not None
        self._exchange.cancel()
        self._exchange = None
        self._machine.accept()
        yield from ()

    def _authenticate(self, exchange: sasl.ServerExchange, step: sasl.Step) -> Flow[None]:
        directory = self._context.directory
        assert directory is not None
        try:
            outcome = yield from settle(exchange, step, directory)
        except StoreError:
            self._machine.send(_NO_DIRECTORY)
            return
        if isinstance(outcome, sasl.Challenge):
            self._machine.send(Challenge(outcome.data))
            return
        self._exchange = None
        if isinstance(outcome, sasl.Success):
            self._origin.account = outcome.identity
            self._machine.send(_AUTHENTICATED)
        elif outcome.reason is sasl.FailureReason.REFUSED:
            self._machine.send(_REFUSED)
        else:
            self._machine.send(_MALFORMED)


def _refusal(error: StoreError) -> Reply:
    return _NO_ROOM if isinstance(error, OverQuota) else _STORE_FAILED


_STEPS: Final[Mapping[type, Callable[..., Flow[None] | None]]] = {
    Ehlo: _Session.hello,
    Helo: _Session.hello,
    Lhlo: _Session.hello,
    Auth: _Session.auth,
    AuthResponse: _Session.auth_response,
    AuthCancel: _Session.auth_cancel,
    Mail: _Session.mail,
    Rcpt: _Session.rcpt,
    Data: _Session.data,
    EndOfChunk: _Session.end_of_chunk,
    Body: _Session.content,
    BadContent: _Session.bad_content,
    EndOfMessage: _Session.end,
    Rset: _Session.leave,
    Quit: _Session.leave,
    Vrfy: _Session.verify,
    Expn: _Session.expand,
    XClient: _Session.stand_for,
    XForward: _Session.forward,
    Etrn: _Session.etrn,
    Atrn: _Session.atrn,
    StartTLS: _Session.accept,
    Noop: _Session.accept,
    Help: _Session.accept,
    Invalid: _Session.accept,
    Burl: _Session.burl,
    OtherCommand: _Session.other,
    RepairedLine: _Session.pass_over,
    Signal: _Session.pause,
    ConnectionClosed: _Session.closed,
}
# What is done with the answer of a handler.
_DECIDED: Final[Mapping[type, Callable[..., Flow[None] | None]]] = {
    Mail: _Session.mail_decided,
    Rcpt: _Session.rcpt_decided,
    Data: _Session.data_decided,
    Body: _Session.content_decided,
    EndOfMessage: _Session.end_decided,
}
