"""The client's machine: commands out, responses in, every tag and continuation accounted for.

Its rule: nothing is paired by guess. A completion belongs to the command of its tag, ``+`` to the
command that waits for one, and what nobody waits for ends the connection.
"""

from __future__ import annotations

import re
from typing import Final

from mailproto._core.limits import IMAPClientLimits
from mailproto._core.machine import NEED_DATA, ConnectionClosed, Machine, Signal, Trace
from mailproto._core.strict import NUMBER_64
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap import redact
from mailproto.imap.capability import Capabilities
from mailproto.imap.command_writer import CommandWriter
from mailproto.imap.commands import (
    Authenticate,
    AuthenticateResponse,
    ClientItem,
    Close,
    Command,
    Done,
    Examine,
    Idle,
    Login,
    Logout,
    Select,
    StartTLS,
    Tagged,
    Unselect,
)
from mailproto.imap.events import ClientEvent, Unparsed
from mailproto.imap.parse.fetch import pending_section
from mailproto.imap.parse.responses import (
    Parsed,
    is_fetch,
    is_status,
    parse_response,
    usual_response,
)
from mailproto.imap.parse.status import code_is_open
from mailproto.imap.pipelining import conflict
from mailproto.imap.quirks import Quirk
from mailproto.imap.response_code import READ_ONLY, CapabilityCode
from mailproto.imap.responses import (
    BYE,
    NO,
    OK,
    PREAUTH,
    CapabilityData,
    Challenge,
    Completion,
    Condition,
    Continuation,
    EnabledData,
)
from mailproto.imap.serialize.commands import serialize_command
from mailproto.imap.states import STATES_OF, State
from mailproto.imap.streamed import LiteralChunk, LiteralStart, Streamed
from mailproto.imap.wire.cursor import Cursor, Malformed
from mailproto.imap.wire.frames import Frame, FrameReader, LiteralHeader
from mailproto.imap.wire.strings import check_tag
from mailproto.sasl import MECHANISMS, Strength, Unusable, decode_challenge, encode
from mailproto.sasl.wire import secrets_of

__all__ = ["Client"]

_LITERAL: Final = re.compile(rb"~?\{([0-9]+)\+?\}\r\n")
_SECRET_TELLING: Final = frozenset(
    mechanism.name for mechanism in MECHANISMS if mechanism.strength is Strength.PLAINTEXT
)
_IDLE_SECONDS: Final = 29 * 60
"""RFC 2177: an IDLE is to be ended and begun again before 29 minutes."""
_ANSWER_SECONDS: Final = 300.0


class Client(Machine[ClientEvent, ClientItem]):
    r"""The client's end of one connection (RFC 3501).

    ::

        client = imap.Client(tls=True)
        client.receive_data(b"* OK IMAP4rev1 ready\r\n")
        client.next_event()                          # Condition(OK, "IMAP4rev1 ready")
        client.send(imap.Login("smith", "sesame"))
        client.data_to_send()                        # b"A1 LOGIN smith sesame\r\n"

    The first event is the greeting. A command that is sent is completed by a ``Completion`` with
    its tag, ``next_tag`` before it was sent. Several may be under way unless RFC 9051 section 5.5
    forbids it; ``send`` then raises LocalProtocolError.

    Literals: the machine waits for ``+`` by itself. Only for an ``Append`` with ``Streamed``
    content it tells of it, by ``Continuation``; then send the octets as ``LiteralChunk``, unless
    ``can_stream`` was already true after ``send`` (LITERAL+).

    Without TLS, LOGIN and mechanisms that tell the password are refused unless
    ``allow_insecure_auth``.
    """

    __slots__ = (
        "_capabilities",
        "_challenged",
        "_enabled",
        "_frames",
        "_idle_asked",
        "_idling",
        "_in_answer_to",
        "_insecure",
        "_limit",
        "_limits",
        "_pending",
        "_plain",
        "_prefix",
        "_quirks",
        "_read_only",
        "_start",
        "_state",
        "_tags",
        "_told",
        "_writer",
    )

    def __init__(
        self,
        *,
        tls: bool = False,
        allow_insecure_auth: bool = False,
        limits: IMAPClientLimits | None = None,
        tag_prefix: str = "A",
        trace: Trace | None = None,
    ) -> None:
        check_tag(tag_prefix)
        self._insecure = allow_insecure_auth
        self._limits = limits or IMAPClientLimits()
        self._prefix = tag_prefix
        super().__init__(tls=tls, trace=trace)

    def _begin(self) -> None:
        self._state = State.GREETING
        # Octets of one response; before login the server is nobody in particular.
        self._limit = self._limits.line
        self._capabilities: Capabilities | None = None
        self._enabled = Capabilities()
        self._read_only = False
        self._quirks: set[Quirk] = set()
        self._frames = FrameReader(self._input)
        # The start of a literal that is to be told before its octets.
        self._start: LiteralStart | None = None
        self._writer = CommandWriter(self._output, self._trace)
        self._plain = False
        # Commands in progress, in the order sent.
        self._pending: dict[str, Command] = {}
        self._in_answer_to: Command | None = None
        self._tags = 0
        # Whether the server waits for our response to its challenge.
        self._challenged = False
        # What the login in progress has told the server.
        self._told: tuple[bytes, ...] = ()
        # IDLE was sent and not yet answered with "+"; it was.
        self._idle_asked = False
        self._idling = False

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS, not authenticated: no second greeting comes."""
        super().start_tls()
        if not self.failed:
            self._enter(State.NOT_AUTHENTICATED)

    # ------------------------------------------------------------------------ what can be asked

    @property
    def state(self) -> State:
        """The state of the session as far as answers have come."""
        return self._state

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server last said it can; ``None`` since the start, TLS or login if nothing."""
        return self._capabilities

    @property
    def enabled(self) -> Capabilities:
        """What ENABLE has switched on."""
        return self._enabled

    @property
    def read_only(self) -> bool:
        """Whether the selected mailbox was opened read-only."""
        return self._read_only

    @property
    def next_tag(self) -> str:
        """The tag that the next command gets."""
        return f"{self._prefix}{self._tags + 1}"

    @property
    def pending(self) -> tuple[Tagged, ...]:
        """The commands in progress, in the order sent."""
        return tuple([Tagged(tag, command) for tag, command in self._pending.items()])

    @property
    def in_answer_to(self) -> Command | None:
        """The command that the last ``Completion`` has completed."""
        return self._in_answer_to

    @property
    def idling(self) -> bool:
        """Whether an IDLE is on, so that ``Done`` may be sent."""
        return self._idling

    @property
    def allow_insecure_auth(self) -> bool:
        """Whether LOGIN and mechanisms that tell the password are allowed without TLS."""
        return self._insecure

    @property
    def can_stream(self) -> bool:
        """Whether the server will take the next ``LiteralChunk``."""
        return self._writer.can_stream

    @property
    def quirks(self) -> frozenset[Quirk]:
        """Which known faults this server has shown so far."""
        return frozenset(self._quirks)

    @property
    def waiting_for(self) -> str:
        """What the server owes, in words for an error message."""
        if self._state is State.GREETING:
            return "the greeting"
        if not self._frames.idle:
            return "the rest of a response"
        for tag, command in self._pending.items():
            asked = self._idle_asked if isinstance(command, Idle) else self._writer.held == tag
            what = "continuation" if asked else "completion"
            return f"the {what} of {tag} {type(command).__name__.upper()}"
        return "nothing"

    @property
    def timeout_hint(self) -> float:
        """Seconds for the server's next answer; while idling, until IDLE must be renewed."""
        return _IDLE_SECONDS if self._idling else _ANSWER_SECONDS

    @property
    def _authenticating(self) -> bool:
        return any(isinstance(command, Authenticate) for command in self._pending.values())

    # ---------------------------------------------------------------------------------- sending

    def send(self, item: ClientItem) -> None:
        """Queue a command, or what the command in progress still has to say.

        Raises LocalProtocolError if the state or RFC 9051 section 5.5 forbids it, if it would
        tell a password without TLS, or if an argument cannot be written.
        """
        if self.failed or self.awaiting_tls:
            raise LocalProtocolError(
                "the connection has failed" if self.failed else "the TLS handshake is due"
            )
        if isinstance(item, LiteralChunk):
            self._send_chunk(item)
        elif isinstance(item, AuthenticateResponse):
            self._send_authenticate_response(item)
        elif isinstance(item, Done):
            self._send_done()
        else:
            self._send_command(item)

    def _send_command(self, command: Command) -> None:
        name = type(command).__name__.upper()
        allowed = STATES_OF.get(type(command))
        if allowed is None:
            raise LocalProtocolError(f"not a command: {name}")
        if self._state not in allowed:
            raise LocalProtocolError(f"{name} cannot be sent in the state {self._state.value!r}")
        if self._writer.streaming is not None:
            raise LocalProtocolError(f"{name} cannot be sent inside of APPEND's content")
        if len(self._pending) >= self._limits.pending_commands:
            raise LocalProtocolError(f"{len(self._pending)} commands are in progress already")
        for tag, pending in self._pending.items():
            why = conflict(pending, command)
            if why is not None:
                raise LocalProtocolError(
                    f"{name} cannot be sent before {tag} {type(pending).__name__.upper()} is "
                    f"completed: {why}"
                )
        self._check_security(command, name)
        parts = serialize_command(command)
        tag = self.next_tag
        self._tags += 1
        self._pending[tag] = command
        if isinstance(command, Idle):
            self._idle_asked = True
        elif isinstance(command, (Login, Authenticate)):
            self._told = redact.secrets_in(command)
        self._writer.write(tag, parts)

    def _check_security(self, command: Command, name: str) -> None:
        known = self._capabilities
        if isinstance(command, Login):
            if known is not None and "LOGINDISABLED" in known:
                raise LocalProtocolError("the server has disabled LOGIN")
            if not (self.tls or self._insecure):
                raise LocalProtocolError(
                    "LOGIN would tell the password without TLS, "
                    "only allow_insecure_auth=True would permit it"
                )
        elif isinstance(command, Authenticate):
            mechanism = command.mechanism.upper()
            if mechanism in _SECRET_TELLING and not (self.tls or self._insecure):
                raise LocalProtocolError(
                    f"{mechanism} would tell the secret without TLS, "
                    "only allow_insecure_auth=True would permit it"
                )
            if command.initial_response is not None and (known is None or "SASL-IR" not in known):
                raise LocalProtocolError("the server has not announced SASL-IR")
        elif isinstance(command, StartTLS) and self.tls:
            raise LocalProtocolError("TLS is on already")

    def _send_chunk(self, chunk: LiteralChunk) -> None:
        self._writer.chunk(chunk.data)

    def _send_authenticate_response(self, response: AuthenticateResponse) -> None:
        if not self._challenged:
            raise LocalProtocolError("no challenge waits for a response")
        self._challenged = False
        self._told += secrets_of(response.data or b"")
        self._output.write((b"*" if response.data is None else encode(response.data)) + b"\r\n")
        if self._trace is not None:
            self._trace("C", b"*" if response.data is None else redact.HIDDEN)

    def _send_done(self) -> None:
        if not self._idling:
            raise LocalProtocolError("DONE without an IDLE that is on")
        self._idling = False
        self._output.write(b"DONE\r\n")
        if self._trace is not None:
            self._trace("C", b"DONE")

    # -------------------------------------------------------------------------------- receiving

    def _advance(self) -> ClientEvent | ConnectionClosed | Signal:
        while True:
            if self._start is not None:
                start, self._start = self._start, None
                return start
            frames = self._frames
            step: Frame | LiteralHeader | LiteralChunk | None
            if frames.idle:
                line = self._input.line(self._limit)
                if line is None:
                    return self._no_more()
                if self._plain:
                    # What has no effect on the session is read without a frame.
                    usual = usual_response(line)
                    if usual is not None:
                        return usual
                step = frames.take(line)
            else:
                step = frames.advance(self._limit - frames.collected)
                if step is None:
                    return self._no_more()
            if isinstance(step, LiteralHeader):
                frame = self._announced(step)
                if frame is None:
                    continue
            elif isinstance(step, Frame):
                frame = step
            else:
                return step
            event = self._response(frame)
            if event is not None:
                return event

    def _no_more(self) -> ConnectionClosed | Signal:
        if not self._input.ended:
            return NEED_DATA
        if not self._frames.idle or len(self._input):
            raise RemoteProtocolError("the connection ended inside of a response")
        if self._state is State.GREETING or (self._pending and self._state is not State.LOGOUT):
            raise RemoteProtocolError(f"the connection ended before {self.waiting_for}")
        return ConnectionClosed()

    def _announced(self, header: LiteralHeader) -> Frame | None:
        """Decide on a literal; a frame if it is none, so that the response ends here."""
        frames = self._frames
        first, last = frames.first_line, frames.last_line
        status = is_status(first)
        if status is not None:
            inside = last[:-2] if last is not first else first[status.end() : -2]
            if (last is first and inside[:1] != b"[") or not code_is_open(inside):
                return frames.as_text()
        elif header.size > self._limits.literal_threshold and self._streamable(header):
            frames.stream()
            return None
        if frames.size + header.size > self._limit:
            raise RemoteProtocolError(
                f"a literal of {header.size} octets exceeds {self._limit} of a response"
            )
        frames.collect()
        return None

    def _streamable(self, header: LiteralHeader) -> bool:
        """Whether the literal is a section of a message; if so its start is to be told."""
        if self._limit < self._limits.response or header.size > NUMBER_64:
            return False
        found = is_fetch(self._frames.first_line)
        if found is None:
            return False
        frame = self._frames.so_far()
        announced = Frame(frame.text, (*frame.literals, Streamed(header.size)))
        try:
            pending = pending_section(Cursor(announced, found.end(), depth=self._limits.depth))
        except Malformed:
            return False
        if pending is None:
            return False
        uid, section = pending
        self._start = LiteralStart(int(found[1]), uid, section, header.size)
        return True

    def _response(self, frame: Frame) -> ClientEvent | None:
        """The event of a whole response, ``None`` if it was the machine's own business."""
        if self._told:
            frame = Frame(redact.unquoted(frame.text, self._told), frame.literals)
        text = frame.text
        if self._trace is not None:
            self._trace_response(frame)
        if text[:1] == b"+":
            return self._continuation(frame)
        try:
            parsed, quirks = parse_response(frame, self._limits.depth)
        except Malformed as error:
            return self._unparsed(frame, str(error))
        if quirks:
            self._quirks.update(quirks)
        if self._state is State.GREETING:
            self._greeting(parsed)
        if isinstance(parsed, Completion):
            self._completion(parsed)
        elif isinstance(parsed, Condition):
            self._condition(parsed)
        elif isinstance(parsed, CapabilityData):
            self._learn(parsed.capabilities)
        elif isinstance(parsed, EnabledData):
            self._enabled = Capabilities((*self._enabled, *parsed.capabilities))
        return parsed

    def _unparsed(self, frame: Frame, problem: str) -> Unparsed:
        """Skip a malformed response, unless what waits for it would wait for ever."""
        word = frame.text.partition(b" ")[0].decode("latin-1")
        if self._state is State.GREETING or word in self._pending:
            raise RemoteProtocolError(f"not a response: {frame.text[:64]!r} ({problem})")
        return Unparsed(frame.octets(), problem)

    def _greeting(self, parsed: Parsed) -> None:
        if not isinstance(parsed, Condition) or parsed.state not in (OK, PREAUTH, BYE):
            raise RemoteProtocolError(f"not a greeting: {parsed!r}")
        preauth = parsed.state is PREAUTH
        self._enter(State.AUTHENTICATED if preauth else State.NOT_AUTHENTICATED)

    def _condition(self, condition: Condition) -> None:
        if condition.state is BYE:
            self._enter(State.LOGOUT)
        if isinstance(condition.code, CapabilityCode):
            self._learn(condition.code.capabilities)

    def _learn(self, capabilities: Capabilities | None) -> None:
        self._capabilities = capabilities
        self._writer.allow(capabilities)

    def _continuation(self, frame: Frame) -> ClientEvent | None:
        if self._writer.held is not None:
            self._writer.go_on()
            return Continuation() if self._writer.can_stream else None
        if self._authenticating and not self._challenged:
            self._challenged = True
            if frame.text == b"+":
                self._quirks.add(Quirk.EMPTY_CONTINUATION)
            data = decode_challenge(frame.text[2:])
            if isinstance(data, Unusable):
                return Unparsed(frame.octets(), "not a challenge in base64")
            return Challenge(data)
        if self._idle_asked:
            self._idle_asked = False
            self._idling = True
            parsed, quirks = parse_response(frame)
            self._quirks.update(quirks)
            assert isinstance(parsed, Continuation)
            return parsed
        raise RemoteProtocolError(f"a continuation that nothing waits for: {frame.text[:64]!r}")

    def _completion(self, completion: Completion) -> None:
        tag = completion.tag
        command = self._pending.get(tag)
        if command is None or self._writer.queued(tag):
            raise RemoteProtocolError(f"the completion of a command that was not sent: {tag!r}")
        if completion.state is OK and tag == self._writer.held:
            raise RemoteProtocolError(f"{tag} was completed with OK before it was sent whole")
        del self._pending[tag]
        self._in_answer_to = command
        self._writer.completed(tag)
        ok = completion.state is OK
        if isinstance(command, (Login, Authenticate)):
            self._challenged = False
            self._told = ()
            if ok:
                self._enter(State.AUTHENTICATED)
                # What was announced before login need not hold after it.
                self._learn(None)
        elif isinstance(command, (Select, Examine)):
            if ok:
                self._enter(State.SELECTED)
                self._read_only = completion.code == READ_ONLY or isinstance(command, Examine)
            elif completion.state is NO:
                self._enter(State.AUTHENTICATED)
        elif isinstance(command, Idle):
            self._idle_asked = self._idling = False
        elif ok and isinstance(command, (Close, Unselect)):
            self._enter(State.AUTHENTICATED)
        elif ok and isinstance(command, Logout):
            self._enter(State.LOGOUT)
        elif ok and isinstance(command, StartTLS):
            self._await_tls()
        if isinstance(completion.code, CapabilityCode):
            self._learn(completion.code.capabilities)

    def _enter(self, state: State) -> None:
        self._plain = self._trace is None
        if self._state is not State.LOGOUT:
            self._state = state
        if state is not State.SELECTED:
            self._read_only = False
        if state is State.AUTHENTICATED:
            self._limit = self._limits.response

    def _trace_response(self, frame: Frame) -> None:
        assert self._trace is not None
        secret = frame.text[:1] == b"+" and self._authenticating
        self._trace(
            "S", b"+ " + redact.HIDDEN if secret else _LITERAL.sub(rb"<\1 octets>", frame.text)
        )
