"""The server's side of SMTP and LMTP: commands in, replies out, one at a time.

Every event but ``Body`` waits for its answer and the machine pauses until it has it. What can have
only one answer comes as ``Invalid`` or ``BadContent`` and is answered by ``accept()``, so that an
application sees malformed input and decides nothing about it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import evolve

from mailproto._core.dot import BareNewlines
from mailproto._core.foreign import begins_tls, opens_another_protocol
from mailproto._core.framer import Framer
from mailproto._core.limits import SMTPServerLimits
from mailproto._core.machine import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Machine,
    Signal,
    Trace,
)
from mailproto._core.repairing import RepairingFramer
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.sasl import wire
from mailproto.smtp.address import NULL_PATH, check_domain
from mailproto.smtp.bounds import too_large
from mailproto.smtp.canonical import CANONICAL, USUAL, status_of
from mailproto.smtp.commands import (
    Auth,
    AuthCancel,
    AuthResponse,
    BadContent,
    Bdat,
    Body,
    BodyType,
    Burl,
    ContentProblem,
    EndOfChunk,
    EndOfMessage,
    Expn,
    Helo,
    Invalid,
    Mail,
    OtherCommand,
    RepairedLine,
    ServerEvent,
    StartTLS,
    Vrfy,
    XClient,
)
from mailproto.smtp.content import IncomingChunks, IncomingContent
from mailproto.smtp.extensions import Capabilities
from mailproto.smtp.offer import Offer
from mailproto.smtp.parameters import TransId
from mailproto.smtp.parse import Malformed, parse_command
from mailproto.smtp.policy import HELLOS, Policy, Session, not_offered, refusal
from mailproto.smtp.redact import HIDDEN, command_line, misunderstood, without_secret
from mailproto.smtp.replies import Challenge, EnhancedCode, Reply, in_ascii
from mailproto.smtp.serialize import serialize_challenge, serialize_reply
from mailproto.smtp.states import NAMES, SUCCESS, State

__all__ = ["Server"]

_Usual: TypeAlias = Mapping[type, tuple[bytes, State, Callable[..., None] | None]]

# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_AUTHENTICATING: Final = State.AUTHENTICATING
_CLOSED: Final = State.CLOSED
# Where nothing but a line can come, the usual ones first.
_COMMANDS: Final = (
    State.READY,
    State.ENVELOPE,
    State.RECIPIENTS,
    State.BETWEEN_CHUNKS,
    State.CHUNK_REFUSED,
    State.AUTHENTICATING,
)

_SYNTAX_ERROR: Final = EnhancedCode(5, 5, 2)
_NO_SERVICE: Final = EnhancedCode(4, 7, 0)


class Server(Machine[ServerEvent, Reply | Challenge]):
    """A server's end of one SMTP or LMTP connection.

    ::

        server = smtp.Server("mx.example.com")
        server.accept()                       # S: 220 mx.example.com ESMTP
        server.receive_data(...)
        event = server.next_event()           # smtp.Ehlo(domain="client.example.org")
        server.accept()                       # S: 250-mx.example.com ...
        server.send(smtp.Reply(550, "No such user", smtp.EnhancedCode(5, 1, 1)))

    ``offer`` says which of the optional parts are on. ``require_auth`` has MAIL, VRFY and EXPN wait
    for authentication. With ``trust_auth_parameter`` the AUTH= of MAIL is believed (RFC 4954
    section 5); otherwise it is yielded as ``NULL_PATH``. With ``refuse_early_talkers`` octets that
    come before the greeting end the connection. ``now`` tells the time, aware of its zone, to which
    a HOLDUNTIL beside BY is held. ``tls`` is for a connection that begins under TLS.
    The constructor raises LocalProtocolError for a hostname that it cannot announce.
    """

    __slots__ = (
        "_behind_auth",
        "_content",
        "_due",
        "_in_hand",
        "_limits",
        "_policy",
        "_session",
        "_skip",
        "_supplied",
        "_usual",
    )

    def __init__(
        self,
        hostname: str = "localhost",
        *,
        lmtp: bool = False,
        tls: bool = False,
        offer: Offer | None = None,
        require_auth: bool = False,
        trust_auth_parameter: bool = False,
        refuse_early_talkers: bool = False,
        bare_newlines: BareNewlines = BareNewlines.REJECT,
        limits: SMTPServerLimits | None = None,
        now: Callable[[], datetime.datetime] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._policy = Policy(
            check_domain(hostname),
            lmtp,
            Offer() if offer is None else offer,
            require_auth,
            trust_auth_parameter,
            refuse_early_talkers,
            bare_newlines,
            SMTPServerLimits() if limits is None else limits,
            now,
        )
        self._limits = self._policy.limits
        super().__init__(tls=tls, trace=trace)
        self._usual = self._usual_answers()

    def _begin(self) -> None:
        self._session = Session(self._tls)
        # Whether AUTH was the last command: what is none then may be a response to it.
        self._behind_auth = False
        self._content: IncomingContent | None = None
        # What a URL stands for, from which the content is read instead of from the client.
        self._supplied: Framer | None = None
        self._in_hand: ServerEvent | None = None
        # Replies that the end of the content still waits for.
        self._due = 0
        # Octets of a refused chunk that are yet to come, before its refusal is yielded.
        self._skip: tuple[int, Invalid] | None = None

    def _framer(self) -> Framer:
        repairs = self._policy.bare_newlines is BareNewlines.REPAIR
        return RepairingFramer() if repairs else Framer()

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS; the client begins anew with EHLO (RFC 3207)."""
        super().start_tls()
        if not self.failed:
            self._session.state = State.START

    # --- what can be asked

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._session.state

    @property
    def closing(self) -> bool:
        """Whether 221 or 421 was sent: send what is left and close; input is dropped."""
        return self._session.state is _CLOSED

    @property
    def authenticated(self) -> bool:
        """Whether AUTH was answered with 235."""
        return self._session.authenticated

    @property
    def transaction(self) -> Mail | None:
        """The MAIL of the current transaction, once it was accepted."""
        return self._session.transaction

    @property
    def recipients(self) -> int:
        """How many recipients of the current transaction were accepted."""
        return self._session.recipients

    @property
    def replies_due(self) -> int:
        """How many replies the event in hand waits for; more than one only in LMTP."""
        if self._in_hand is None:
            return int(self._session.state is State.GREETING)
        return self._due or 1

    @property
    def capabilities(self) -> Capabilities:
        """What is offered to this client now."""
        session = self._session
        return self._policy.capabilities(tls=self._tls, authenticated=session.authenticated)

    @property
    def offer(self) -> Offer:
        """What this server offers; may be set anew, for instance once the client is known.

        The client learns of it with its next EHLO or LHLO.
        """
        return self._policy.offer

    @offer.setter
    def offer(self, offer: Offer) -> None:
        self._policy.offer = offer
        self._usual = self._usual_answers()

    @property
    def trailing_data(self) -> bytes:
        """After ATRN was accepted: octets of the client's, which is a server now.

        Send what is left, and go on with a ``Client`` that is given these octets first.
        """
        return self._input.rest() if self._session.state is State.REVERSED else b""

    @property
    def timeout_hint(self) -> float:
        """Seconds to wait for the client (RFC 5321 section 4.5.3.2.7)."""
        return 300.0

    @property
    def waiting_for(self) -> str:
        """What the conversation waits for, for messages about timeouts."""
        if self._awaiting_tls:
            return "the TLS handshake"
        if self._in_hand is not None:
            return f"the answer to {NAMES.get(type(self._in_hand), 'what cannot be accepted')}"
        return _WAITING_FOR.get(self._session.state, "a command")

    # --- from the client

    def _advance(self) -> ServerEvent | ConnectionClosed | Signal:
        if self._in_hand is not None:
            return PAUSED
        if self._content is not None:
            return self._read_content(self._content)
        if self._skip is not None:
            return self._skip_chunk(*self._skip)
        state = self._session.state
        if state not in _COMMANDS and (found := self._in_place_of_commands(state)) is not None:
            return found
        limits = self._limits
        line = self._input.line(limits.authentication_line)
        if line is None:
            return self._without_line(self._input)
        if state is _AUTHENTICATING:
            self._in_hand = event = self._read_response(line)
            return event
        if len(line) + 2 > limits.command_line and line[:5].upper() != b"AUTH ":
            raise RemoteProtocolError(
                f"line longer than {limits.command_line} octets, "
                f"beginning with {self._quotable(line[:64])!r}",
                _LINE_TOO_LONG,
            )
        return self._read_command(line)

    def _in_place_of_commands(self, state: State) -> ServerEvent | ConnectionClosed | Signal | None:
        """What there is where no command is to be expected; ``None``: read one."""
        if state is State.CONTENT:
            self._content = content = IncomingContent(
                self._policy.bare_newlines,
                self._limits.content,
                self._session.resumed,
                text_line=self._limits.text_line,
            )
            # Most often the client has waited for the 354.
            waiting = len(self._input) or self._input.ended
            return self._read_content(content) if waiting else NEED_DATA
        if state is State.GREETING:
            if self._policy.refuse_early_talkers and len(self._input):
                raise RemoteProtocolError("octets before the greeting", _EARLY)
            return PAUSED
        if state is State.START:
            self._check_first_octet()
        elif state is State.REVERSED:
            return PAUSED
        elif state is State.CLOSED:
            self._input.clear()
            return ConnectionClosed() if self._input.ended else NEED_DATA
        return None

    def supply(self, content: bytes) -> None:
        """Answer BURL with what its URL stands for: it is a chunk, as if it had come after BDAT.

        It comes back as ``Body``, judged like any content, and then as the end of a chunk or of
        the message, which waits for its answer. Raises LocalProtocolError without a BURL.
        """
        command = self._in_hand
        if not isinstance(command, Burl) or self._failure is not None:
            raise LocalProtocolError("no BURL waits for its content")
        self._in_hand = None
        self._supplied = source = Framer()
        if content:
            source.feed(content)
        self._open_chunk(Bdat(len(content), command.last))

    def _begin_chunk(self, chunk: Bdat) -> ServerEvent | Signal:
        self._open_chunk(chunk)
        assert self._content is not None
        return self._read_content(self._content)

    def _open_chunk(self, chunk: Bdat) -> None:
        policy, session = self._policy, self._session
        mail = session.transaction
        if session.chunks is None:
            session.chunks = IncomingChunks(
                policy.bare_newlines,
                policy.limits.content,
                session.resumed,
                binary=mail is not None and mail.body is BodyType.BINARY_MIME,
                text_line=policy.limits.text_line,
            )
        session.chunks.begin(chunk)
        session.state = State.CHUNK
        self._content = session.chunks

    def _skip_chunk(self, size: int, event: Invalid) -> ServerEvent | Signal:
        """Drop all octets of a refused chunk: only then is it answered (RFC 3030 section 2)."""
        while size and (dropped := self._input.read(size)):
            size -= len(dropped)
        if size:
            self._skip = (size, event)
            if self._input.ended:
                raise RemoteProtocolError("the connection was closed inside the content")
            return NEED_DATA
        self._skip = None
        self._in_hand = event
        return event

    def _check_first_octet(self) -> None:
        if begins_tls(self._input):
            raise RemoteProtocolError("a TLS handshake where plain text was expected", _NOT_TLS)

    def _without_line(self, source: Framer) -> RepairedLine | ConnectionClosed | Signal:
        """No line has come, or one of which something is to be told before."""
        if isinstance(source, RepairingFramer) and (line := source.bare) is not None:
            hidden = self._session.state is _AUTHENTICATING or self._behind_auth
            return RepairedLine(HIDDEN if hidden else without_secret(line))
        return self._at_end_of_input() if source.ended else NEED_DATA

    def _at_end_of_input(self) -> ConnectionClosed:
        if len(self._input):
            raise RemoteProtocolError("the connection was closed inside a line")
        if self._session.state is State.AUTHENTICATING:
            raise RemoteProtocolError("the connection was closed inside an AUTH exchange")
        return ConnectionClosed()

    def _read_command(self, line: bytes) -> ServerEvent | Signal:
        policy, session = self._policy, self._session
        try:
            command = parse_command(line, session.mail_parameters, session.rcpt_parameters)
        except Malformed as error:
            _refuse_another_protocol(line)
            reply = not_offered(policy, line.partition(b" ")[0].upper()) or error.reply
            if line[:4].upper() == b"BDAT":
                # Where its octets end is unknown.
                raise RemoteProtocolError(error.problem, reply) from None
            if session.errors > self._limits.errors:
                reply = _TOO_MANY_ERRORS
            kept = self._misunderstood(line)
            return self._refuse(kept, Invalid(kept, error.problem, reply))
        if isinstance(command, OtherCommand):
            _refuse_another_protocol(line)
            line = self._misunderstood(line)
        else:
            self._behind_auth = isinstance(command, Auth)
        refused = (
            _TOO_MANY_ERRORS
            if session.errors > self._limits.errors
            else refusal(policy, session, command)
        )
        if refused is not None:
            event = Invalid(without_secret(line), refused.text, refused, command)
            return self._refuse(line, event)
        if self._trace is not None:
            self._trace("C", command_line(line, command))
        if isinstance(command, Mail):
            if command.auth is not None and not self._takes_word():
                command = evolve(command, auth=NULL_PATH)
        elif isinstance(command, Bdat):
            return self._begin_chunk(command)
        self._in_hand = command
        return command

    def _misunderstood(self, line: bytes) -> bytes:
        kept = self._quotable(line)
        self._behind_auth = self._behind_auth or line[:4].upper() == b"AUTH"
        return kept

    def _refuse(self, line: bytes, event: Invalid) -> ServerEvent | Signal:
        if self._trace is not None:
            self._trace("C", command_line(line, event))
        if isinstance(event.command, Bdat):
            return self._skip_chunk(event.command.size, event)
        self._in_hand = event
        return event

    def _takes_word(self) -> bool:
        """Whether the client's word is taken for who submitted a message (RFC 4954 section 5)."""
        return self._policy.trust_auth_parameter and self._session.authenticated

    def _read_response(self, line: bytes) -> ServerEvent:
        if self._trace is not None:
            self._trace("C", b"*" if line == b"*" else HIDDEN)
        response = wire.decode_response(line)
        if response is wire.CANCEL:
            return AuthCancel()
        if isinstance(response, bytes):
            return AuthResponse(response)
        # The exchange is over, whatever is answered.
        self._session.state = State.READY
        self._session.failed_authentications += 1
        reply = Reply(501, "The response is not base64", _SYNTAX_ERROR)
        return Invalid(HIDDEN, reply.text, reply)

    def _read_content(
        self, content: IncomingContent
    ) -> Body | EndOfChunk | EndOfMessage | BadContent | Signal:
        if not content.ended:
            data = content.read(self._input if self._supplied is None else self._supplied)
            if data:
                return Body(data)
            if not content.ended:
                if self._input.ended:
                    raise RemoteProtocolError("the connection was closed inside the content")
                return NEED_DATA
        self._content = self._supplied = None
        chunks = self._session.chunks
        last = chunks is None or chunks.last
        self._due = self._session.recipients if self._policy.lmtp and last else 1
        if self._trace is not None:
            size = content.size if chunks is None else chunks.chunk_size
            self._trace("C", b"<%d octets of content>" % size)
            if chunks is None:
                self._trace("C", b".")
        self._in_hand = event = self._verdict(content)
        return event

    def _verdict(self, content: IncomingContent) -> EndOfChunk | EndOfMessage | BadContent:
        problem, offset = content.problem, content.offset
        if problem is None:
            if isinstance(content, IncomingChunks) and not content.last:
                return EndOfChunk(content.chunk_size)
            bare = content.bare_newline
            return _END if bare is None else EndOfMessage(bare)
        if problem is ContentProblem.TOO_LARGE:
            return BadContent(problem, offset, too_large(self._limits.content))
        text = f"Bare CR or LF in the message at octet {offset}"
        if problem is ContentProblem.LONG_LINE:
            text = f"Line longer than {self._limits.text_line} octets before octet {offset}"
        return BadContent(problem, offset, Reply(550, text, EnhancedCode(5, 6, 0)))

    # --- to the client

    def accept(self) -> None:
        """Send the canonical answer to the greeting or to the event in hand.

        Positive for what needs no decision, ``reply`` of ``Invalid`` and ``BadContent``, 500 for
        ``OtherCommand``; in LMTP it answers for all recipients that are left. Raises
        LocalProtocolError when nothing waits, and for AUTH and BURL, where there is none.
        """
        event = self._in_hand
        try:
            data, state, note = self._usual[type(event)]
        except KeyError:
            self._accept_otherwise(event)
            return
        # The same with fewer questions, for what comes most often.
        self._output.write(data)
        self._in_hand = None
        self._due = 0
        session = self._session
        session.state = state
        if note is not None:
            note(session, event, self._policy)

    def _usual_answers(self) -> _Usual:
        """What ``accept()`` can do by itself: nothing that is traced, or due more than once."""
        if self._policy.lmtp or self._trace is not None:
            return {}
        return USUAL[self._policy.offer.enhanced_codes]

    def _accept_otherwise(self, event: ServerEvent | None) -> None:
        kind = type(event)
        canonical = CANONICAL[self._policy.offer.enhanced_codes].get(kind)
        if event is None or self._failure is not None:
            self.send(self._policy.greeting())
        elif canonical is not None:
            code, data = canonical
            for _ in range(self._due or 1):
                self._write(data)
                self._answered(code)
        elif isinstance(event, _ANSWERED):
            for _ in range(self._due or 1):
                self.send(event.reply)
        elif kind is XClient:
            self.send(self._policy.greeting())
        elif kind in HELLOS:
            offered = None if kind is Helo else self.capabilities
            self._write(serialize_reply(self._policy.hello(offered), enhanced=False))
            self._answered(250)
        else:
            raise LocalProtocolError(f"{NAMES[kind]} needs a decision")

    def send(self, item: Reply | Challenge) -> None:
        """Answer the greeting or the event in hand; 421 may be sent at any time.

        In LMTP the end of the content takes a reply for each accepted recipient, in order. After
        a RemoteProtocolError one more 4yz or 5yz may be sent. A reply that is not ASCII goes out
        as it is only to a client that has said SMTPUTF8 (RFC 6531 section 3.7.4). One without an
        enhanced status code gets that of ``accept()`` or, for a refusal, one that says no more
        than its class, where such codes are offered (RFC 2034 section 4). Raises
        LocalProtocolError for a reply that does not fit.
        """
        kind = type(self._in_hand)
        if isinstance(item, Challenge):
            if self.failed or (kind is not Auth and kind is not AuthResponse):
                raise LocalProtocolError("no AUTH command waits for a challenge")
            self._output.write(serialize_challenge(item))
            if self._trace is not None:
                self._trace("S", b"334 " + HIDDEN)
            self._answered(334)
            return
        if not all(map(str.isascii, item.lines)) and not self._takes_utf8():
            item = in_ascii(item, query=kind is Vrfy or kind is Expn)
        self._check_fit(item.code)
        greeting = (
            self._session.state is State.GREETING
            if self._in_hand is None
            else kind is XClient and item.positive
        )
        enhanced = self._policy.offer.enhanced_codes and not (greeting or kind in HELLOS)
        default = status_of(kind, item.code) if enhanced and item.enhanced is None else None
        self._write(serialize_reply(item, enhanced=enhanced, default=default))
        self._answered(item.code)

    def resume(self, offset: int, recipients: int) -> None:
        """Answer a MAIL with TRANSID by 355: go on with a transaction that was interrupted.

        ``offset`` octets of the content are here (after DATA: whole lines), and so many
        ``recipients`` were accepted; what comes now is the rest (RFC 1845 section 3). Raises
        LocalProtocolError where the client has not asked for it.
        """
        mail = self._in_hand
        if not isinstance(mail, Mail) or self._failure is not None:
            raise LocalProtocolError("no MAIL waits for an answer")
        if not any(isinstance(parameter, TransId) for parameter in mail.parameters):
            raise LocalProtocolError("the MAIL has no TRANSID")
        if not 0 <= offset <= self._limits.content or recipients < 1:
            raise LocalProtocolError(f"{offset} octets for {recipients} recipients")
        reply = Reply(355, f"{offset} is the transaction offset")
        self._write(serialize_reply(reply, enhanced=False))
        self._answered(355)
        self._session.recipients = recipients
        self._session.resumed = offset

    def _takes_utf8(self) -> bool:
        """Whether the client has said SMTPUTF8 for the command that is answered."""
        event = self._in_hand
        command = event if isinstance(event, Mail | Vrfy | Expn) else self._session.transaction
        return command is not None and command.smtputf8

    def _check_fit(self, code: int) -> None:
        """Raise LocalProtocolError unless a reply of this code can be sent now."""
        state, kind = self._session.state, type(self._in_hand)
        if state is State.CLOSED or state is State.REVERSED:
            raise LocalProtocolError(f"nothing can be sent {state.value}")
        if self.failed:
            if code < 400:
                raise LocalProtocolError(f"{code} cannot be sent after a failure")
        elif self._awaiting_tls:
            raise LocalProtocolError("nothing can be sent before the TLS handshake")
        elif self._in_hand is None:
            if state is not State.GREETING:
                if code != 421:
                    raise LocalProtocolError("nothing waits for a reply")
            elif code < 400 and code != 220:
                raise LocalProtocolError(f"{code} is not a greeting")
        elif code < 400:
            if kind in HELLOS:
                raise LocalProtocolError(f"a positive answer to {NAMES[kind]} is accept()")
            if code not in SUCCESS.get(kind, ()):
                name = NAMES.get(kind, "what cannot be accepted")
                raise LocalProtocolError(f"{code} does not answer {name}")

    def _write(self, data: bytes) -> None:
        self._output.write(data)
        if self._trace is not None:
            for line in data[:-2].split(b"\r\n"):
                self._trace("S", line)

    def _answered(self, code: int) -> None:
        """Take note of a reply that was queued."""
        event = self._in_hand
        if event is None or code >= 400:
            self._refused(code)
            return
        if self._due:
            self._due -= 1
            if self._due:
                return
        self._in_hand = None
        self._session.accepted(event, code, self._policy)
        if code == 220:
            if type(event) is StartTLS:
                self._await_tls()
            elif isinstance(event, XClient):
                self._stand_for(event)

    def _refused(self, code: int) -> None:
        """Take note of a refusal, or of the greeting."""
        session, event = self._session, self._in_hand
        if code == 421 or self._failure is not None:
            session.state = State.CLOSED
            self._content = None
        elif event is None:
            session.state = State.START if code < 400 else State.REFUSED
        else:
            if code >= 500:
                session.errors += 1
            if self._due:
                self._due -= 1
                if self._due:
                    return
                between = session.chunks is not None and not session.chunks.last
                session.refused(EndOfChunk if between else EndOfMessage, code)
            elif not isinstance(event, _ANSWERED):
                session.refused(type(event), code)
        self._due = 0
        self._in_hand = None

    def _stand_for(self, command: XClient) -> None:
        """Begin anew, for the client that was named; what counts against this one is kept."""
        old = self._session
        login = dict(command.attributes).get("LOGIN", "[UNAVAILABLE]")
        self._session = Session(
            self._tls,
            State.START,
            authenticated=login not in ("[UNAVAILABLE]", "[TEMPUNAVAIL]"),
            errors=old.errors,
            idle_commands=old.idle_commands,
            failed_authentications=old.failed_authentications,
        )

    def _quotable(self, start: bytes) -> bytes:
        if self._session.state is _AUTHENTICATING:
            return HIDDEN
        return misunderstood(start, behind_auth=self._behind_auth)

    def _hint_for(self, error: RemoteProtocolError, *, line_too_long: bool) -> Reply:
        if line_too_long:
            authenticating = self._session.state is State.AUTHENTICATING
            return _RESPONSE_TOO_LONG if authenticating else _LINE_TOO_LONG
        return Reply(421, "Closing the connection after a protocol error", _NO_SERVICE)


def _refuse_another_protocol(line: bytes) -> None:
    if opens_another_protocol(line):
        raise RemoteProtocolError(f"this is not SMTP: {line[:64]!r}")


# What has its answer before anyone is asked, and changes nothing.
_END: Final = EndOfMessage()
_ANSWERED: Final = (Invalid, BadContent)
_TOO_MANY_ERRORS: Final = Reply(421, "Too many errors", _NO_SERVICE)
_EARLY: Final = Reply(554, "The client spoke before the greeting", EnhancedCode(5, 5, 1))
_NOT_TLS: Final = Reply(554, "TLS is not expected here", EnhancedCode(5, 5, 1))
_LINE_TOO_LONG: Final = Reply(500, "Line too long", _SYNTAX_ERROR)
_RESPONSE_TOO_LONG: Final = Reply(500, "Line too long", EnhancedCode(5, 5, 6))
_WAITING_FOR: Final[Mapping[State, str]] = {
    State.GREETING: "the greeting",
    State.CONTENT: "the content",
    State.CHUNK: "the rest of a chunk",
    State.AUTHENTICATING: "a response of AUTH",
    State.REVERSED: "the client that goes on",
    State.CLOSED: "the end of the connection",
}
