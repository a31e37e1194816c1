r"""The server's end of an IMAP connection (RFC 3501, and RFC 9051 where it is the clearer text).

Commands are yielded one at a time: after each the machine is PAUSED until its completion was sent,
so that what a command changes (the state, the numbers of the messages) is settled before the next
one is read. FETCH, STORE and SEARCH, which may do neither, may overlap: several of them can be in
progress at once (RFC 9051 section 5.5).

Literals within the limits are asked for by the machine. The message of APPEND is not: the command
is yielded first, and the application lets the literal come (``accept()`` or ``Continuation``) or
refuses it (``Completion``), in which case it is never read, or drained if it did not wait.
"""

from __future__ import annotations

import enum
from typing import Final

from mailproto._core.foreign import begins_tls, opens_another_protocol
from mailproto._core.framer import LineTooLong
from mailproto._core.limits import IMAPServerLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Machine, Signal, Trace
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.imap.canonical import negative_answer, positive_answer
from mailproto.imap.capability import Capabilities
from mailproto.imap.commands import (
    Append,
    Authenticate,
    AuthenticateResponse,
    Close,
    Command,
    Done,
    Examine,
    Fetch,
    Idle,
    Login,
    Logout,
    Search,
    Select,
    StartTLS,
    Store,
    Tagged,
    Unselect,
)
from mailproto.imap.events import InvalidCommand, ServerEvent
from mailproto.imap.offer import Offer, Refusal
from mailproto.imap.parse.commands import KINDS, Head, append, arguments, head
from mailproto.imap.redact import HIDDEN, command_text, has_secret
from mailproto.imap.response_code import (
    TOOBIG,
    CapabilityCode,
)
from mailproto.imap.response_writer import ResponseWriter
from mailproto.imap.responses import (
    BAD,
    BYE,
    OK,
    PREAUTH,
    Challenge,
    Completion,
    Condition,
    Continuation,
    ESearchData,
    ExistsData,
    ExpungeData,
    FetchData,
    RecentData,
    Response,
    SearchData,
)
from mailproto.imap.states import State
from mailproto.imap.streamed import LiteralChunk, LiteralEnd
from mailproto.imap.wire.cursor import Malformed
from mailproto.imap.wire.frames import Frame, FrameReader, LiteralHeader
from mailproto.sasl import CANCEL, Unusable, decode_response

__all__ = ["Server"]


class _Expects(enum.Enum):
    """What the next octets are."""

    COMMAND = enum.auto()
    VERDICT = enum.auto()
    """Nothing: whether the message of APPEND may come is for the application to say."""
    CONTENT = enum.auto()
    REFUSED = enum.auto()
    """The rest of a command that was completed already."""
    RESPONSE = enum.auto()
    DONE = enum.auto()


# Looking a member up in its class costs more than the comparison.
_COMMAND: Final = _Expects.COMMAND
_GREETING: Final = State.GREETING
_NOT_AUTHENTICATED: Final = State.NOT_AUTHENTICATED
_LOGOUT: Final = State.LOGOUT


class _Open:
    """A command that was yielded and is not completed."""

    __slots__ = ("command", "continued", "event", "tag")

    def __init__(self, event: Tagged | InvalidCommand) -> None:
        self.event = event
        self.tag = event.tag
        self.continued = False
        self.command: Command | None = event.command if isinstance(event, Tagged) else None

    @property
    def overlaps(self) -> bool:
        return type(self.command) in _OVERLAPPING


_OVERLAPPING: Final = frozenset({Fetch, Store, Search})
_CHANGING: Final = frozenset(
    {Login, Authenticate, Select, Examine, Close, Unselect, Logout, StartTLS, Append}
)
_OF_MAILBOX: Final = frozenset(
    {ExistsData, RecentData, ExpungeData, FetchData, SearchData, ESearchData}
)

_BEFORE_LOGIN: Final = 60.0
_AFTER_LOGIN: Final = 1800.0


class Server(Machine[ServerEvent, Response]):
    r"""An IMAP server without I/O.

    ::

        server = Server(offer=Offer(insecure_auth=True))
        server.accept()                                  # * OK [CAPABILITY ...] ready
        server.receive_data(b"a1 LOGIN mrc secret\r\n")
        server.next_event()                              # Tagged("a1", Login(b"mrc", b"secret"))
        server.send(Completion("a1", OK, "welcome"))     # or server.accept()

    Keywords: ``offer``; ``tls`` if the connection begins under TLS; ``limits``; ``trace``.

    A FETCH response may hold ``Streamed(size)`` in the place of octets: after it so many octets
    are sent as ``LiteralChunk``, and nothing else until they are complete.
    """

    __slots__ = (
        "_behind_login",
        "_bye_said",
        "_errors",
        "_expects",
        "_failed_authentications",
        "_head",
        "_held",
        "_limits",
        "_offer",
        "_open",
        "_reader",
        "_refusal",
        "_state",
        "_synchronizing",
        "_writer",
    )

    def __init__(
        self,
        *,
        offer: Offer | None = None,
        tls: bool = False,
        limits: IMAPServerLimits | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._offer = offer or Offer()
        self._limits = limits or IMAPServerLimits()
        super().__init__(tls=tls, trace=trace)

    def _begin(self) -> None:
        self._state = State.GREETING
        self._reader = FrameReader(self._input)
        self._expects = _Expects.COMMAND
        self._open: list[_Open] = []
        # The command whose octets are coming in: its head, why it will be refused, and the step
        # of the reader that waits until commands before it are completed.
        self._head: Head | None = None
        self._refusal: Refusal | None = None
        self._held: Frame | LiteralHeader | None = None
        self._synchronizing = True
        self._writer = ResponseWriter(self._output, self._trace)
        self._bye_said = False
        self._behind_login = False  # then what is no command may be a response
        self._errors = 0
        self._failed_authentications = 0

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS, not authenticated: there is no second greeting."""
        super().start_tls()
        if not self.failed:
            self._state = State.NOT_AUTHENTICATED

    # ------------------------------------------------------------------------- what can be asked

    @property
    def offer(self) -> Offer:
        """What this server offers; may be set anew, for instance under TLS."""
        return self._offer

    @offer.setter
    def offer(self, offer: Offer) -> None:
        self._offer = offer

    @property
    def state(self) -> State:
        """The state of the session; after LOGOUT the connection is to be closed."""
        return self._state

    @property
    def capabilities(self) -> Capabilities:
        """What ``accept()`` answers to CAPABILITY now."""
        return self.capabilities_in(self._state)

    def capabilities_in(self, state: State) -> Capabilities:
        """What CAPABILITY tells in ``state``, for the code in the completion of a login."""
        return self._offer.capabilities(state, tls=self._tls, append_limit=self._limits.append)

    @property
    def failed_authentications(self) -> int:
        """How many logins were refused; at the limit, ``next_event`` ends the connection."""
        return self._failed_authentications

    @property
    def waiting_for(self) -> str:
        """What the machine waits for, for people."""
        if self._awaiting_tls:
            return "the TLS handshake"
        if self._state is State.GREETING:
            return "the greeting to be sent"
        if self._open and self._expects in (_Expects.COMMAND, _Expects.VERDICT):
            return "the answer to a command"
        return _WAITING[self._expects]

    @property
    def timeout_hint(self) -> float:
        """Seconds to wait for the client: one minute before login, 30 after (RFC 3501, 5.4)."""
        before = (State.GREETING, State.NOT_AUTHENTICATED)
        return _BEFORE_LOGIN if self._state in before else _AFTER_LOGIN

    # ------------------------------------------------------------------------------------- input

    def _advance(self) -> ServerEvent | ConnectionClosed | Signal:
        if self._state is _LOGOUT:
            self._input.clear()
            return ConnectionClosed() if self._input.ended else NEED_DATA
        if self._state is _GREETING or self._writer.remaining:
            return PAUSED
        if self._errors >= self._limits.errors and not self._open:
            raise RemoteProtocolError(f"{self._errors} malformed commands in a row")
        if self._failed_authentications >= self._limits.failed_authentications and not self._open:
            raise RemoteProtocolError(f"{self._failed_authentications} failed logins")
        try:
            if self._expects is _COMMAND:
                return self._next_command()
            return self._go_on()
        except LineTooLong as error:
            start = HIDDEN if self._in_secret else self._kept(error.start)
            failure = RemoteProtocolError(f"{error}, beginning with {start!r}")
            failure.hint = Condition(BYE, "the line is too long", TOOBIG)
            raise failure from None

    def _go_on(self) -> ServerEvent | ConnectionClosed | Signal:
        """Whatever continues a command."""
        match self._expects:
            case _Expects.CONTENT:
                return self._content()
            case _Expects.REFUSED:
                return self._skip()
            case _Expects.RESPONSE:
                return self._response()
            case _Expects.DONE:
                return self._done()
            case _:
                return PAUSED

    @property
    def _in_secret(self) -> bool:
        """Whether what comes in may be a password or a response."""
        secret = self._head is not None and self._head.name in (b"LOGIN", b"AUTHENTICATE")
        return secret or self._expects is _Expects.RESPONSE

    def _next_command(self) -> ServerEvent | ConnectionClosed | Signal:
        while True:
            if self._open and not all(one.overlaps for one in self._open):
                return PAUSED
            step = self._held or self._read()
            if step is None:
                return self._nothing_comes()
            if isinstance(step, LiteralChunk):
                continue
            if self._head is None:
                line = step.text if isinstance(step, Frame) else self._reader.first_line
                self._head = head(line)
                if not self._may_be_response(self._head):
                    self._behind_login = has_secret(line)
                elif not self._head.name:
                    self._head = Head(None, b"")  # a response has no tag
                self._refusal = self._offer.refusal_of_head(self._head, self._state, tls=self._tls)
            if self._open and not self._may_overlap(self._head):
                self._held = step
                return PAUSED
            self._held = None
            event = self._literal(step) if isinstance(step, LiteralHeader) else self._frame(step)
            if event is not None:
                return event

    def _may_be_response(self, of: Head) -> bool:
        return self._behind_login and self._state is _NOT_AUTHENTICATED and of.name not in KINDS

    def _kept(self, line: bytes) -> bytes:
        return command_text(line, may_be_response=self._may_be_response(head(line)))

    def _read(self) -> Frame | LiteralHeader | LiteralChunk | None:
        before, limits = self._state is _NOT_AUTHENTICATED, self._limits
        if before and self._reader.idle and begins_tls(self._input):
            raise RemoteProtocolError("a TLS handshake where plain text was expected")
        step = self._reader.advance(
            limits.command_line_unauthenticated if before else limits.command_line
        )
        if self._trace is not None and isinstance(step, Frame | LiteralHeader):
            text = step.text if isinstance(step, Frame) else self._reader.text()[:-2]
            first, *later = text.split(b"\r\n")
            if not later:
                self._trace("C", self._kept(first))
            elif later[-1]:
                self._trace("C", HIDDEN if has_secret(first) else later[-1])
        return step

    def _nothing_comes(self) -> ConnectionClosed | Signal:
        if not self._input.ended:
            return NEED_DATA
        if self._reader.idle and not len(self._input):
            return ConnectionClosed()
        raise RemoteProtocolError("the connection was closed in the middle of a command")

    def _may_overlap(self, of: Head) -> bool:
        return self._refusal is None and KINDS.get(of.name) in _OVERLAPPING

    # ---------------------------------------------------------------------------------- commands

    def _frame(self, frame: Frame) -> ServerEvent:
        """The event for a whole command."""
        of, refusal = self._head, self._refusal
        assert of is not None
        self._head = self._refusal = None
        if refusal is None:
            try:
                command = arguments(of.name, frame, of.end, depth=self._limits.depth)
            except Malformed as error:
                refusal = Refusal(str(error))
            else:
                refusal = self._offer.refusal_of(command)
                if refusal is None:
                    return self._yield(of, command)
        return self._invalid(of, frame.text, refusal)

    def _yield(self, of: Head, command: Command) -> Tagged:
        assert of.tag is not None
        event = Tagged(of.tag, command)
        self._open.append(_Open(event))
        self._errors = 0
        return event

    def _invalid(self, of: Head, text: bytes, refusal: Refusal) -> InvalidCommand:
        if opens_another_protocol(text):
            raise RemoteProtocolError(f"this is not IMAP: {text[:64]!r}")
        event = InvalidCommand(
            of.tag, self._kept(text), refusal.problem, refusal.state, refusal.code
        )
        self._open.append(_Open(event))
        self._errors += 1
        return event

    # ---------------------------------------------------------------------------------- literals

    def _literal(self, header: LiteralHeader) -> ServerEvent | None:
        """Decide on a literal that was announced; an event if there is one now."""
        of = self._head
        assert of is not None
        if self._refusal is None and header.binary:
            self._refusal = Refusal("literal8 is not known here")
        line = self._reader.first_line
        names_mailbox = line[of.end : of.end + 2] == b" {" and not self._reader.so_far().literals
        content = of.name == b"APPEND" and not names_mailbox
        if content and self._refusal is None:
            event = self._offer_content(of, header)
            if event is not None:
                return event
        if header.size > self._room(content):
            if not header.synchronizing and not content:
                failure = RemoteProtocolError(
                    f"a literal of {header.size} octets exceeds the limit, and did not wait"
                )
                failure.hint = Condition(BYE, "the literal is too big", TOOBIG)
                raise failure
            self._refusal = self._refusal or Refusal("the literal is too big", BAD, TOOBIG)
        if self._refusal is None:
            self._reader.collect()
            if header.synchronizing:
                self._writer.text(b"+ OK\r\n")
        elif header.synchronizing:
            return self._abandon(of)
        else:
            self._reader.discard()
        return None

    def _room(self, content: bool) -> int:
        limits = self._limits
        if self._state is State.NOT_AUTHENTICATED:
            return limits.literal_unauthenticated - self._reader.collected
        return limits.append if content else limits.literal - self._reader.collected

    def _offer_content(self, of: Head, header: LiteralHeader) -> Tagged | None:
        """APPEND as an event, before its message; ``None`` if it is to be refused."""
        try:
            command = append(self._reader.so_far(), of.end, header.size)
        except Malformed as error:
            self._refusal = Refusal(str(error))
            return None
        if header.size > self._limits.append:
            return None
        self._expects = _Expects.VERDICT
        self._synchronizing = header.synchronizing
        return self._yield(of, command)

    def _abandon(self, of: Head) -> InvalidCommand:
        """End a refused command whose literal waits, and so will not come."""
        refusal = self._refusal
        assert refusal is not None
        text = self._reader.text().removesuffix(b"\r\n")
        self._reader.abandon()
        self._head = self._refusal = None
        return self._invalid(of, text, refusal)

    def _content(self) -> ServerEvent | ConnectionClosed | Signal:
        """The octets of an accepted message, and what is behind them."""
        of = self._head
        assert of is not None
        while True:
            step = self._read()
            if step is None:
                return self._nothing_comes()
            if isinstance(step, LiteralChunk):
                return step
            if isinstance(step, LiteralHeader):
                self._refusal = Refusal("APPEND takes one message here")
                if not step.synchronizing:
                    self._reader.discard()
                    continue
                text = self._reader.text()
                self._reader.abandon()
            else:
                text = step.text
                if self._refusal is None and not text.endswith(b"}\r\n"):
                    self._refusal = Refusal("expected the end of the line after the message")
            refusal, self._refusal, self._head = self._refusal, None, None
            self._expects = _Expects.COMMAND
            if refusal is None:
                return LiteralEnd()
            self._open.clear()
            return self._invalid(of, text, refusal)

    def _skip(self) -> ServerEvent | ConnectionClosed | Signal:
        """Drop the rest of an APPEND that was completed before all of it had come."""
        while True:
            step = self._read()
            if step is None:
                return self._nothing_comes()
            if isinstance(step, LiteralChunk):
                continue
            if isinstance(step, LiteralHeader):
                if not step.synchronizing:
                    self._reader.discard()
                    continue
                self._reader.abandon()
            self._head = None
            self._expects = _Expects.COMMAND
            return self._next_command()

    # ------------------------------------------------------------- what continues a command

    def _response(self) -> ServerEvent | ConnectionClosed | Signal:
        line = self._input.line(self._limits.authentication_line)
        if line is None:
            return self._nothing_comes()
        if self._trace is not None:
            self._trace("C", HIDDEN)
        self._expects = _Expects.COMMAND
        data = decode_response(line)
        if not isinstance(data, Unusable):
            return AuthenticateResponse(data)
        if data is CANCEL:
            return AuthenticateResponse(None)
        self._failed_authentications += 1
        return self._instead(HIDDEN, "the response is not base64")

    def _done(self) -> ServerEvent | ConnectionClosed | Signal:
        line = self._input.line(self._limits.command_line)
        if line is None:
            return self._nothing_comes()
        if self._trace is not None:
            self._trace("C", command_text(line))
        self._expects = _Expects.COMMAND
        if line.upper() == b"DONE":
            return Done()
        return self._instead(command_text(line), "expected DONE")

    def _instead(self, octets: bytes, problem: str) -> InvalidCommand:
        """The command in progress has become invalid by what continued it."""
        tag = self._open.pop().tag
        event = InvalidCommand(tag, octets, problem)
        self._open.append(_Open(event))
        self._errors += 1
        return event

    # ------------------------------------------------------------------------------------ output

    def accept(self) -> None:
        """Send the canonical positive answer to whatever is due.

        That is the greeting; the continuation that APPEND or IDLE waits for; or the completion of
        the oldest command in progress (with its data where none has to be decided); for an
        ``InvalidCommand`` the refusal it asks for. Raises LocalProtocolError where nothing is due
        or where only the application can know (SELECT, STATUS, NAMESPACE).
        """
        if self._state is State.GREETING:
            self.send(Condition(OK, "ready", CapabilityCode(self.capabilities)))
            return
        if not self._open:
            raise LocalProtocolError("no command waits for an answer")
        open = self._open[0]
        if isinstance(open.event, InvalidCommand):
            self.send(negative_answer(open.event))
        elif self._expects is _Expects.VERDICT:
            self.send(Continuation("go on"))
        elif isinstance(open.command, Idle) and not open.continued:
            self.send(Continuation("idling"))
        else:
            for response in positive_answer(open.event, self.capabilities):
                self.send(response)

    def send(self, item: Response) -> None:
        """Queue a response, or octets of a literal that a response has announced.

        Raises LocalProtocolError, and then nothing has changed, when the item is not due or
        cannot be written.
        """
        if isinstance(item, LiteralChunk):
            self._writer.chunk(item.data)
            return
        if self._writer.remaining:
            raise LocalProtocolError(
                f"{self._writer.remaining} octets of a literal are still to be sent"
            )
        if self._awaiting_tls or self._state is _LOGOUT:
            raise LocalProtocolError("nothing may follow here")
        if self._failure is not None and not (isinstance(item, Condition) and item.state is BYE):
            raise LocalProtocolError("after a protocol error only BYE can be sent")
        if self._state is _GREETING and not (
            isinstance(item, Condition) and item.state in (OK, PREAUTH, BYE)
        ):
            raise LocalProtocolError("the greeting comes first: OK, PREAUTH or BYE")
        match item:
            case Completion():
                self._send_completion(item)
            case Condition():
                self._send_condition(item)
            case Continuation() | Challenge():
                self._send_continuation(item)
            case _:
                self._send_data(item)

    def _send_completion(self, item: Completion) -> None:
        for open in self._open:
            if open.tag == item.tag:
                break
        else:
            raise LocalProtocolError(f"no command with the tag {item.tag!r} is in progress")
        command = open.command
        if self._expects is not _COMMAND and self._expects in (_Expects.RESPONSE, _Expects.DONE):
            raise LocalProtocolError(f"the command is not over: it waits for {self.waiting_for}")
        if item.state is OK:
            if command is None:
                raise LocalProtocolError("a command that is invalid cannot be OK")
            if self._expects is not _COMMAND:
                raise LocalProtocolError("APPEND cannot be OK before its message has come")
            if isinstance(command, Logout) and not self._bye_said:
                raise LocalProtocolError("BYE goes before the completion of LOGOUT")
        self._writer.write(item)
        self._open.remove(open)
        if type(command) in _CHANGING:
            self._completed(command, item.state is OK)

    def _completed(self, command: Command | None, ok: bool) -> None:
        """Change the state as the completion of ``command`` says."""
        match command:
            case Login() | Authenticate():
                if ok:
                    self._state = State.AUTHENTICATED
                else:
                    self._failed_authentications += 1
            case Select() | Examine():
                self._state = State.SELECTED if ok else State.AUTHENTICATED
            case Close() | Unselect() if ok:
                self._state = State.AUTHENTICATED
            case Logout() if ok:
                self._state = State.LOGOUT
            case StartTLS() if ok:
                self._await_tls()
            case Append():
                self._content_refused()
            case _:
                pass

    def _content_refused(self) -> None:
        """APPEND was completed: what is still to come of its message is nobody's."""
        if self._expects is _Expects.VERDICT and self._synchronizing:
            self._reader.abandon()
            self._head = None
            self._expects = _Expects.COMMAND
        elif self._expects is _Expects.VERDICT:
            self._reader.discard()
            self._expects = _Expects.REFUSED
        elif self._expects is _Expects.CONTENT:
            self._expects = _Expects.REFUSED

    def _send_condition(self, item: Condition) -> None:
        if item.state is PREAUTH and self._state is not State.GREETING:
            raise LocalProtocolError("PREAUTH is a greeting only")
        self._writer.write(item)
        if self._state is State.GREETING:
            self._state = _GREETED[item.state]
        elif item.state is BYE:
            if self._open and isinstance(self._open[0].command, Logout):
                self._bye_said = True
            else:
                self._state = State.LOGOUT
        elif item.state is not OK and self._open and self._open[0].tag is None:
            del self._open[0]

    def _send_continuation(self, item: Continuation | Challenge) -> None:
        open = self._open[0] if self._open else None
        command = None if open is None else open.command
        if isinstance(item, Challenge):
            if not isinstance(command, Authenticate) or self._expects is not _Expects.COMMAND:
                raise LocalProtocolError("no AUTHENTICATE waits for a challenge")
            self._writer.write(item, shown=b"+ " + HIDDEN + b"\r\n")
            self._expects = _Expects.RESPONSE
        elif self._expects is _Expects.VERDICT:
            if self._synchronizing:
                self._writer.write(item)
            self._reader.stream()
            self._expects = _Expects.CONTENT
        elif open is not None and isinstance(command, Idle) and not open.continued:
            self._writer.write(item)
            open.continued = True
            self._expects = _Expects.DONE
        else:
            raise LocalProtocolError("no command waits for a continuation")

    def _send_data(self, item: Response) -> None:
        kind = type(item)
        selecting = bool(self._open) and isinstance(self._open[0].command, Select | Examine)
        if kind in _OF_MAILBOX and not (self._state is State.SELECTED or selecting):
            raise LocalProtocolError(f"no mailbox is selected for {kind.__name__}")
        if kind is ExpungeData and not self._may_expunge:
            raise LocalProtocolError("EXPUNGE cannot be sent now (RFC 3501 section 7.4.1)")
        self._writer.write(item)

    @property
    def _may_expunge(self) -> bool:
        """Whether a command is in progress, and none that the numbers must stay for."""
        return bool(self._open) and not any(
            isinstance(one.command, Fetch | Store | Search) and not one.command.uid
            for one in self._open
        )

    def _hint_for(self, error: RemoteProtocolError, *, line_too_long: bool) -> Condition:
        return Condition(BYE, str(error))


_GREETED: Final = {
    OK: State.NOT_AUTHENTICATED,
    PREAUTH: State.AUTHENTICATED,
    BYE: State.LOGOUT,
}

_WAITING: Final = {
    _Expects.COMMAND: "a command",
    _Expects.VERDICT: "the answer to a command",
    _Expects.CONTENT: "the message of APPEND",
    _Expects.REFUSED: "the rest of a refused command",
    _Expects.RESPONSE: "the client's response",
    _Expects.DONE: "DONE",
}
