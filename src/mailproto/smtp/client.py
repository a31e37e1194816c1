"""The client's side of SMTP and LMTP: commands out, replies in, paired by a queue.

``send`` refuses what the server has not offered and what would not be legal if all commands
before it were accepted; a reply that nothing waits for ends the connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from mailproto._core import strict
from mailproto._core.dot import BareNewlines
from mailproto._core.limits import SMTPClientLimits
from mailproto._core.machine import (
    NEED_DATA,
    PAUSED,
    ConnectionClosed,
    Machine,
    Signal,
    Trace,
)
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.sasl import wire
from mailproto.smtp.commands import (
    Auth,
    AuthCancel,
    AuthResponse,
    Bdat,
    Body,
    Burl,
    Command,
    Data,
    Ehlo,
    EndOfChunk,
    EndOfMessage,
    Helo,
    Lhlo,
    Mail,
    Quit,
    Rcpt,
    StartTLS,
    XClient,
)
from mailproto.smtp.content import ContentNotASCII, OutgoingChunks, OutgoingContent
from mailproto.smtp.extensions import Capabilities
from mailproto.smtp.parameters import TransId
from mailproto.smtp.parse import USUAL, parse_reply, parse_reply_line, usual_reply
from mailproto.smtp.replies import Challenge, Reply
from mailproto.smtp.safe_content import SafeContent
from mailproto.smtp.serialize import serialize_command
from mailproto.smtp.states import LEGAL, MAY_BE_FOLLOWED, NAMES, PROJECTED, State, after
from mailproto.smtp.terms import Terms
from mailproto.smtp.timeouts import Timeouts
from mailproto.smtp.url import redacted, token

__all__ = ["Client", "ClientEvent"]

ClientEvent: TypeAlias = Reply | Challenge
"""What a client yields."""

# Whose replies have no enhanced status code; the greeting has none, either.
_WITHOUT_STATUS: Final = frozenset({Ehlo, Helo, Lhlo, None})
_MAY_BE_INTERMEDIATE: Final = frozenset({Data, Auth, AuthResponse})
_EFFECTIVE: Final = frozenset({Data, Ehlo, Lhlo, Helo, StartTLS, XClient, Auth, AuthResponse})
_CHUNKS: Final = (Bdat, Burl)
_WITH_CONSEQUENCES: Final = frozenset({Mail, Bdat, Burl})
_TELL_SECRETS: Final = frozenset({Auth, AuthResponse, AuthCancel, Burl})

# Before Python 3.12 looking up a member of an enumeration takes longer than calling a function.
_CHUNK: Final = State.CHUNK
_CLOSED: Final = State.CLOSED
_READY: Final = State.READY
_REVERSED: Final = State.REVERSED

# What a command of a transaction is mostly answered, and where that leads.
_HOPED: Final[Mapping[type, tuple[int, State]]] = {
    kind: (code, after(State.READY, kind, code))
    for kind, code in ((Mail, 250), (Rcpt, 250), (Data, 354), (EndOfMessage, 250))
}


class Client(Machine[ClientEvent, Command]):
    r"""A client's end of one SMTP or LMTP connection.

    ::

        client = smtp.Client()
        client.receive_data(...)
        client.next_event()                   # smtp.Reply(220, ...): the greeting
        client.send(smtp.Ehlo("client.example.org"))
        client.data_to_send()                 # b"EHLO client.example.org\r\n"

    Where PIPELINING is offered MAIL, RCPT, RSET, BDAT and the end of the content need not wait for
    their replies (RFC 2920 section 3.1); replies come in the order of the commands and
    ``answered`` is the command of the last one. ``bare_newlines`` says what becomes of a CR or LF
    in content that is not part of a CRLF: REJECT or REPAIR; they are never sent. With
    ``long_lines`` lines of content may have more than 998 octets. AUTH is refused without TLS
    unless ``allow_insecure_auth``. ``timeouts`` are what ``timeout_hint`` tells.
    """

    __slots__ = (
        "_allow_insecure_auth",
        "_answered",
        "_bare_newlines",
        "_chunk_due",
        "_chunks",
        "_content",
        "_due",
        "_limits",
        "_lines",
        "_lines_code",
        "_lines_size",
        "_lmtp",
        "_long_lines",
        "_open_group",
        "_pending",
        "_projected",
        "_recipients",
        "_resumed",
        "_secrets",
        "_state",
        "_terms",
        "_timeouts",
    )

    def __init__(
        self,
        *,
        lmtp: bool = False,
        tls: bool = False,
        allow_insecure_auth: bool = False,
        bare_newlines: BareNewlines = BareNewlines.REJECT,
        long_lines: bool = False,
        limits: SMTPClientLimits | None = None,
        timeouts: Timeouts | None = None,
        trace: Trace | None = None,
    ) -> None:
        if bare_newlines is BareNewlines.PASS:
            raise LocalProtocolError("a client never sends a bare CR or LF")
        self._lmtp = lmtp
        self._allow_insecure_auth = allow_insecure_auth
        self._bare_newlines = bare_newlines
        self._long_lines = long_lines
        self._limits = SMTPClientLimits() if limits is None else limits
        self._timeouts = Timeouts() if timeouts is None else timeouts
        super().__init__(tls=tls, trace=trace)

    def _begin(self) -> None:
        self._state = State.GREETING
        # The state if all commands that are on their way are accepted.
        self._projected = State.GREETING
        self._pending: deque[Command] = deque()
        self._open_group = True
        self._answered: Command | None = None
        self._terms = Terms(self._lmtp, self._tls, self._allow_insecure_auth)
        self._recipients = 0
        self._resumed: int | None = None
        # What the AUTH exchange in progress has told.
        self._secrets: tuple[bytes, ...] = ()
        # Replies that the end of the content still waits for.
        self._due = 0
        self._content: OutgoingContent | None = None
        # The same for the last chunk whose reply is due; 0 before its first one.
        self._chunk_due = 0
        self._chunks: OutgoingChunks | None = None
        # The lines of a reply that is not yet complete.
        self._lines: list[str] = []
        self._lines_code = 0
        self._lines_size = 0

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS: capabilities are forgotten, EHLO is due."""
        super().start_tls()
        if not self.failed:
            self._state = self._projected = State.START

    # --- what can be asked

    @property
    def state(self) -> State:
        """Where the session is, by the replies that have arrived."""
        return self._state

    @property
    def closing(self) -> bool:
        """Whether the server has said 221 or 421: close; input is dropped."""
        return self._state is State.CLOSED

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers; ``None`` before EHLO, LHLO or HELO was accepted."""
        return self._terms.capabilities

    @property
    def pending(self) -> int:
        """How many commands wait for a reply; the greeting is not counted."""
        return len(self._pending)

    @property
    def answered(self) -> Command | None:
        """The command that the last event answered; ``None`` for a greeting or a 421 unasked."""
        return self._answered

    @property
    def recipients(self) -> int:
        """How many recipients of the current transaction were accepted."""
        return self._recipients

    @property
    def resumed(self) -> int | None:
        """How many octets of the content the server has already, if it answered MAIL by 355.

        Send only the rest; the recipients of the earlier session are those that it accepted then
        (RFC 1845 section 3).
        """
        return self._resumed

    @property
    def trailing_data(self) -> bytes:
        """After ATRN was accepted: octets of the server's, which is a client now.

        Go on with a ``Server`` that is given these octets first, and says the greeting.
        """
        return self._input.rest() if self._state is State.REVERSED else b""

    @property
    def allow_insecure_auth(self) -> bool:
        """Whether AUTH is allowed without TLS."""
        return self._allow_insecure_auth

    @property
    def bare_newlines(self) -> BareNewlines:
        """What becomes of a bare CR or LF in content."""
        return self._bare_newlines

    @property
    def lmtp(self) -> bool:
        """Whether LMTP is spoken."""
        return self._lmtp

    def offers(self, extension: str) -> bool:
        """Whether the server has offered the extension of this keyword, in upper case."""
        return self._terms.offers(extension)

    def check_content(self, data: bytes, *, chunks: bool = False) -> None:
        """Raise LocalProtocolError if ``data`` could not be sent as the whole content.

        ``chunks`` says that it is to go after BDAT, where nothing is repaired.
        """
        if isinstance(data, SafeContent):
            return
        policy = BareNewlines.REJECT if chunks else self._bare_newlines
        OutgoingContent(policy, self._long_lines).check(data)

    def check_transaction(self, mail: Mail, recipients: Iterable[Rcpt]) -> None:
        """Raise LocalProtocolError if one of these could not be sent, so that none needs to be."""
        terms = self._terms.copy()
        commands: list[Mail | Rcpt] = [mail, *recipients]
        for command in commands:
            serialize_command(command)
            terms.take(command)

    @property
    def timeout_hint(self) -> float:
        """Seconds to wait for the server (RFC 5321 section 4.5.3.2)."""
        if self._pending:
            return self._timeouts.waiting_for(type(self._pending[0]))
        if self._state is State.GREETING:
            return self._timeouts.greeting
        return self._timeouts.block if self._content is not None else self._timeouts.other

    @property
    def waiting_for(self) -> str:
        """What the conversation waits for, for messages about timeouts."""
        if self._awaiting_tls:
            return "the TLS handshake"
        if self._state is State.GREETING:
            return "the greeting"
        if self._pending:
            return f"the reply to {NAMES[type(self._pending[0])]}"
        return "the next command"

    # --- to the server

    def send(self, item: Command) -> None:
        """Queue a command or a piece of content.

        Raises LocalProtocolError when it is not legal now, not offered by the server or not
        expressible; nothing has changed then.
        """
        kind = type(item)
        if self._awaiting_tls or self._failure is not None:
            self._refuse_all(kind)
        try:
            legal = self._projected in LEGAL[kind]
        except KeyError:
            raise LocalProtocolError(f"not an SMTP command: {kind.__name__}") from None
        if not legal:
            raise LocalProtocolError(f"{NAMES[kind]} is not allowed {self._projected.value}")
        # Quicker than isinstance().
        if type(item) is Body:
            self._send_content(item.data)
            return
        pending = self._pending
        if pending:
            self._check_pipelining(kind)
        if kind is EndOfMessage:
            assert self._content is not None
            data = self._content.finish()
            if self._trace is not None:
                self._trace("C", b"<%d octets of content>" % self._content.size)
            self._content = None
            self._due = self._recipients if self._lmtp else 1
        else:
            data = serialize_command(item)
            self._terms.take(item)
            if kind in _CHUNKS:
                self._begin_chunk(item)
        self._output.write(data)
        if self._trace is not None:
            self._trace_command(item, data)
        pending.append(item)
        self._projected = PROJECTED.get(kind, self._projected)
        self._open_group = kind in MAY_BE_FOLLOWED
        if kind in _WITH_CONSEQUENCES:
            self._after_sending(item)

    def _after_sending(self, item: Command) -> None:
        """What MAIL, BDAT and BURL say of the commands behind them."""
        if isinstance(item, Mail):
            if item.parameters and _is_resumable(item):
                # What may come next depends on the answer (RFC 1845 section 3).
                self._open_group = False
        elif isinstance(item, Bdat):
            self._after_chunk()
        elif isinstance(item, Burl):
            self._projected = State.READY if item.last else State.BETWEEN_CHUNKS
            # RFC 4468 section 3.2
            self._open_group = not item.last

    def _send_content(self, data: bytes) -> None:
        if not self._terms.takes_8bit and not data.isascii():
            raise ContentNotASCII("the content is not ASCII, and the server has no 8BITMIME")
        if self._projected is _CHUNK:
            assert self._chunks is not None
            self._output.write(self._chunks.feed(data))
            self._after_chunk()
        else:
            assert self._content is not None
            self._output.write(self._content.feed(data))

    def _begin_chunk(self, chunk: Command) -> None:
        assert isinstance(chunk, _CHUNKS)
        chunks = self._chunks
        if chunks is None or self._projected is not State.BETWEEN_CHUNKS:
            chunks = OutgoingChunks(self._long_lines, binary=self._terms.binary)
        chunks.begin(chunk)
        self._chunks = chunks

    def _after_chunk(self) -> None:
        """Say where the session is heading, once all octets of the chunk are queued."""
        chunks = self._chunks
        assert chunks is not None
        if chunks.remaining:
            self._projected = State.CHUNK
            return
        if self._trace is not None:
            self._trace("C", b"<content>")
        if not self._pending:
            # The server did not wait for them.
            self._projected = self._state
        else:
            self._projected = State.READY if chunks.last else State.BETWEEN_CHUNKS

    def _refuse_all(self, kind: type[Command]) -> None:
        if self._failure is not None:
            raise LocalProtocolError(f"{NAMES[kind]} cannot be sent: {self._failure}")
        raise LocalProtocolError(f"{NAMES[kind]} cannot be sent before the TLS handshake")

    def _check_pipelining(self, kind: type[Command]) -> None:
        last = NAMES[type(self._pending[-1])]
        if not self._terms.offers("PIPELINING"):
            raise LocalProtocolError(f"{NAMES[kind]} has to wait for the reply to {last}")
        if not self._open_group:
            raise LocalProtocolError(f"nothing may be sent before the reply to {last}")
        if len(self._pending) >= self._limits.pending_commands:
            raise LocalProtocolError("too many commands wait for their replies")

    def _trace_command(self, command: Command, data: bytes) -> None:
        assert self._trace is not None
        line = data[:-2]
        if isinstance(command, Auth):
            hidden = b"" if command.initial_response is None else b" <hidden>"
            line = b"AUTH " + command.mechanism.encode() + hidden
        elif isinstance(command, AuthResponse):
            line = b"<hidden>"
        elif isinstance(command, Burl):
            line = redacted(line.decode()).encode()
        elif isinstance(command, EndOfMessage):
            line = b"."
        self._trace("C", line)

    # --- from the server

    def _advance(self) -> ClientEvent | ConnectionClosed | Signal:
        while True:
            state = self._state
            if state is _REVERSED:
                return PAUSED
            if state is _CLOSED:
                self._input.clear()
                return ConnectionClosed() if self._input.ended else NEED_DATA
            line = self._input.line(self._limits.reply_line)
            if line is None:
                return self._at_end_of_input() if self._input.ended else NEED_DATA
            pending, lines = self._pending, self._lines
            kind = type(pending[0]) if pending else None
            if kind in _HOPED and self._trace is None and not lines and len(line) <= USUAL:
                reply = usual_reply(line)
                if reply is not None:
                    return self._take_reply(pending[0], reply)
            elif kind in _TELL_SECRETS:
                line = self._without_secrets(pending[0], line)
            elif self._trace is not None:
                self._trace("S", line)
            enhanced = kind not in _WITHOUT_STATUS
            code, more, text = parse_reply_line(line)
            if lines or more:
                if lines and code != self._lines_code:
                    raise RemoteProtocolError(
                        f"the code changed from {self._lines_code} to {code} inside a reply"
                    )
                self._add_line(code, text, len(line))
                if more:
                    continue
                self._lines = []
                reply = parse_reply(code, tuple(lines), enhanced=enhanced)
            else:
                reply = parse_reply(code, (text,), enhanced=enhanced)
            return self._take_reply(pending[0], reply) if pending else self._take_unasked(reply)

    def _without_secrets(self, command: Command, line: bytes) -> bytes:
        """A line of a reply, without what it quotes of the secrets that it answers."""
        told = self._secrets
        if isinstance(command, Burl):
            told = (token(command.url).encode(),)
        elif isinstance(command, Auth):
            told = wire.secrets_of(command.initial_response or b"")
        elif isinstance(command, AuthResponse):
            told += wire.secrets_of(command.data)
        if line[:1] == b"3":
            # A challenge is not for people: it may resemble anything, and helps to guess passwords.
            self._secrets = told
            if self._trace is not None:
                self._trace("S", line[:3] + b" <hidden>")
            return line
        # The code stays as it is, if there is one.
        code = 4 if line[3:4] in (b" ", b"-") else 0
        shown = line[:code] + wire.without(line[code:], told)
        if self._trace is not None:
            self._trace("S", shown)
        if line[3:4] != b"-":
            self._secrets = ()
        return shown

    def _add_line(self, code: int, text: str, size: int) -> None:
        if not self._lines:
            self._lines_code = code
            self._lines_size = 0
        self._lines.append(text)
        self._lines_size += size + 2
        limits = self._limits
        if len(self._lines) > limits.reply_lines:
            raise RemoteProtocolError(f"a reply of more than {limits.reply_lines} lines")
        if self._lines_size > limits.reply:
            raise RemoteProtocolError(f"a reply of more than {limits.reply} octets")

    def _at_end_of_input(self) -> ConnectionClosed:
        if len(self._input) or self._lines:
            raise RemoteProtocolError("the connection was closed inside a reply")
        if self._pending and type(self._pending[0]) is not Quit:
            name = NAMES[type(self._pending[0])]
            raise RemoteProtocolError(f"the connection was closed before the reply to {name}")
        if self._state in (State.GREETING, State.CONTENT, State.AUTHENTICATING):
            raise RemoteProtocolError(f"the connection was closed {self._state.value}")
        return ConnectionClosed()

    def _take_reply(self, command: Command, reply: Reply) -> ClientEvent:
        kind = type(command)
        hoped = _HOPED.get(kind)
        if hoped is None or reply.code != hoped[0] or self._due > 1:
            return self._take_other(command, reply)
        self._answered = command
        self._go_to(hoped[1])
        if kind is Rcpt:
            self._recipients += 1
        elif kind is Data:
            return self._take_effect(kind, reply)
        return reply

    def _take_other(self, command: Command, reply: Reply) -> ClientEvent:
        """Take a reply that is not the one a transaction hopes for."""
        kind, code = type(command), reply.code
        state = self._judge(command, reply)
        if state is None:
            return reply
        self._go_to(state)
        if code >= 400:
            return reply
        if kind is Rcpt:
            self._recipients += 1
        elif kind in _EFFECTIVE:
            return self._take_effect(kind, reply)
        return reply

    def _go_to(self, state: State) -> None:
        """The oldest command is answered for good, and has led to ``state``."""
        pending = self._pending
        pending.popleft()
        self._state = state
        if state is _READY:
            self._recipients = 0
            self._resumed = None
        if not pending and self._projected is not _CHUNK:
            self._projected = state

    def _judge(self, command: Command, reply: Reply) -> State | None:
        """Where a reply leads to; ``None`` if ``command`` still waits, or nothing does any more.

        Raises RemoteProtocolError for a code that cannot answer it.
        """
        kind, code = type(command), reply.code
        if code < 300:
            if kind is Data:
                raise RemoteProtocolError(f"{code} does not answer DATA")
        elif code < 400 and kind not in _MAY_BE_INTERMEDIATE:
            if code != 355 or not _is_resumable(command):
                raise RemoteProtocolError(f"{code} does not answer {NAMES[kind]}")
            self._resumed = _offset(reply.lines[0])
        self._answered = command
        if code == 421:
            self._close()
            return None
        if self._due > 1 and kind is EndOfMessage:
            self._due -= 1
            return None
        if isinstance(command, _CHUNKS):
            waits = self._chunk_replies_due(command)
            return None if waits else self._after_chunk_reply(command, code)
        return after(self._state, kind, code)

    def _chunk_replies_due(self, chunk: Bdat | Burl) -> bool:
        """Whether more replies than the one that has come answer the chunk, as in LMTP."""
        if not (self._lmtp and chunk.last and self._state in LEGAL[Bdat]):
            return False
        self._chunk_due = (self._chunk_due or self._recipients) - 1
        return self._chunk_due > 0

    def _after_chunk_reply(self, chunk: Bdat | Burl, code: int) -> State:
        expected = self._state in LEGAL[Bdat]
        if expected and chunk.last and (code < 400 or self._lmtp):
            return after(self._state, EndOfMessage, code)
        # Only RSET helps after a refusal (RFC 3030 section 2).
        return after(self._state, EndOfChunk, code)

    def _take_unasked(self, reply: Reply) -> Reply:
        code, lines = reply.code, reply.lines
        self._answered = None
        if self._state is State.GREETING:
            if 300 <= code < 400:
                raise RemoteProtocolError(f"{code} is not a greeting")
            if code == 421:
                self._close()
            else:
                self._state = self._projected = State.START if code < 400 else State.REFUSED
            return reply
        if code != 421:
            raise RemoteProtocolError(f"a reply that nothing waits for: {code} {lines[0]!r}")
        # A server that shuts down may say so at any time (RFC 5321 section 3.8).
        self._close()
        return parse_reply(code, lines)

    def _close(self) -> None:
        self._state = self._projected = State.CLOSED
        self._pending.clear()
        self._content = None
        self._chunks = None

    def _take_effect(self, kind: type[Command], reply: Reply) -> ClientEvent:
        """Do what a positive reply does besides changing the state."""
        code = reply.code
        if kind is Data:
            if self._lmtp and not self._recipients:
                raise RemoteProtocolError("354 although no recipient was accepted")
            self._content = OutgoingContent(self._bare_newlines, self._long_lines)
        elif kind is Ehlo or kind is Lhlo:
            self._terms.learn(Capabilities.of_reply(reply))
        elif kind is Helo:
            self._terms.learn(Capabilities.of_reply(Reply(code, reply.lines[:1])))
        elif kind is StartTLS:
            self._await_tls()
        elif kind is XClient:
            # What was offered was offered to another.
            self._terms = Terms(self._lmtp, self._tls, self._allow_insecure_auth)
        elif code >= 300:
            return _challenge(reply)
        return reply


def _is_resumable(command: Command) -> bool:
    return isinstance(command, Mail) and any(
        parameter.keyword == TransId.keyword for parameter in command.parameters
    )


def _offset(line: str) -> int:
    """The offset that a 355 begins with."""
    digits = line.replace("\t", " ").partition(" ")[0]
    offset = strict.number(digits.encode(errors="replace"), strict.NUMBER_64)
    if offset is None:
        raise RemoteProtocolError(f"355 without an offset: {line!r}")
    return offset


def _challenge(reply: Reply) -> ClientEvent:
    """A challenge, or the reply itself where it is not base64: then only cancelling helps."""
    data = wire.decode_challenge(reply.text.encode(errors="surrogateescape"))
    return reply if data is wire.MALFORMED else Challenge(data)
