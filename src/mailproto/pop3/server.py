"""The server's end of a POP3 connection (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

One command at a time: after each event the machine is PAUSED until the application has sent the
whole answer, so that pipelined commands are carried out in turn (RFC 2449 section 6.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailproto._core.dot import Stuffer, stuffed
from mailproto._core.foreign import begins_tls, opens_another_protocol
from mailproto._core.framer import LineTooLong
from mailproto._core.limits import POP3ServerLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Machine, Signal, Trace
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3.capabilities import Capabilities
from mailproto.pop3.commands import (
    Apop,
    Auth,
    AuthCancel,
    AuthResponse,
    Capa,
    Command,
    Lang,
    Last,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rpop,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from mailproto.pop3.offer import OPTIONAL, Offer
from mailproto.pop3.parse import BY_MESSAGE, USUAL, parse_auth_line, parse_command
from mailproto.pop3.redact import redact_command, redact_invalid, redact_response
from mailproto.pop3.responses import (
    AUTH,
    Answer,
    Body,
    Challenge,
    DropListing,
    EndOfListing,
    EndOfMessage,
    Err,
    Greeting,
    Invalid,
    LanguageChanged,
    Languages,
    LastAccessed,
    Message,
    Ok,
    ScanListing,
    ScanListings,
    ServerEvent,
    ServerItem,
    UniqueIdListing,
    UniqueIdListings,
)
from mailproto.pop3.serialize import serialize_answer, serialize_listings, serialize_ok
from mailproto.pop3.states import STATES_OF, State

__all__ = ["Server"]

_GREETING: Final = State.GREETING
_AUTHORIZATION: Final = State.AUTHORIZATION
_TRANSACTION: Final = State.TRANSACTION
_CLOSED: Final = State.CLOSED


class Server(Machine[ServerEvent, ServerItem]):
    r"""A POP3 server without I/O.

    ::

        server = Server(offer=Offer(insecure_auth=True))
        server.accept()                             # the greeting
        server.receive_data(b"USER mrose\r\n")
        server.next_event()                         # User("mrose")
        server.accept()                             # +OK send PASS

    A multi-line answer is ``Ok``, then any number of pieces (``Body``; ``ScanListings`` or
    ``UniqueIdListings``), then ``EndOfMessage`` or ``EndOfListing``; ``Message`` is all of it.
    Keywords: ``offer``; ``tls`` if the connection begins under TLS; ``limits``; ``trace``.
    """

    __slots__ = (
        "_asked",
        "_content",
        "_errors",
        "_failed_authentications",
        "_in_exchange",
        "_limits",
        "_lines",
        "_offer",
        "_state",
        "_streaming",
        "_stuffer",
        "_user",
        "_utf8",
    )

    _upgrade = "STLS"

    def __init__(
        self,
        *,
        offer: Offer | None = None,
        tls: bool = False,
        limits: POP3ServerLimits | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._offer = offer or Offer()
        self._limits = limits or POP3ServerLimits()
        super().__init__(tls=tls, trace=trace)

    def _begin(self) -> None:
        self._state = State.GREETING
        self._user: str | None = None
        self._utf8 = False
        # What the application must answer now.
        self._asked: ServerEvent | None = None
        # The AUTH under way, whose next line is a response.
        self._in_exchange: Auth | None = None
        self._streaming: Command | None = None
        self._stuffer = Stuffer()
        self._content = 0
        self._lines = 0
        self._errors = 0
        self._failed_authentications = 0

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS, in AUTHORIZATION: there is no second greeting."""
        super().start_tls()
        if not self.failed:
            self._state = State.AUTHORIZATION

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
        """The state of the session."""
        return self._state

    @property
    def capabilities(self) -> Capabilities:
        """What ``accept()`` answers to CAPA now."""
        return self._offer.capabilities(
            tls=self._tls, authenticated=self._state is State.TRANSACTION
        )

    @property
    def user(self) -> str | None:
        """The name that the last accepted USER gave, until PASS is answered."""
        return self._user

    @property
    def utf8(self) -> bool:
        """Whether UTF8 was accepted."""
        return self._utf8

    @property
    def failed_authentications(self) -> int:
        """How many logins were refused; at the limit, ``next_event`` ends the connection."""
        return self._failed_authentications

    @property
    def waiting_for(self) -> str:
        """What the client owes, in words for an error message."""
        return "a command" if self._in_exchange is None else "a response of the AUTH exchange"

    @property
    def timeout_hint(self) -> float:
        """Seconds for the client's next command: the autologout timer of RFC 1939 section 3.

        When it has passed, close without a response and without UPDATE.
        """
        return 600.0

    # --------------------------------------------------------------------------------- receiving

    def _advance(self) -> ServerEvent | ConnectionClosed | Signal:
        state = self._state
        if state is _CLOSED:
            return ConnectionClosed()
        if self._asked is not None or state is _GREETING:
            return PAUSED
        if state is _TRANSACTION:
            # What is asked for most, at once.
            if self._trace is None and (usual := self._input.match(USUAL)) is not None:
                self._asked = command = BY_MESSAGE[usual[1]](int(usual[2]))
                return command
            line = self._line(self._limits.command_line)
        else:
            line = self._line_before_login()
        if line is None:
            return ConnectionClosed() if self._input.ended else NEED_DATA
        self._asked = event = self._event(line)
        if self._trace is not None:
            self._trace(
                "C",
                redact_invalid(line) if isinstance(event, Invalid) else redact_command(event, line),
            )
        if isinstance(event, Invalid):
            self._count_error(event)
        elif state is _TRANSACTION and isinstance(event, Quit):
            self._state = State.UPDATE
        return event

    def _line(self, limit: int) -> bytes | None:
        try:
            return self._input.line(limit)
        except LineTooLong as error:
            # Not quoted: it may hold a password.
            raise RemoteProtocolError(str(error), hint=Err("line too long")) from None

    def _line_before_login(self) -> bytes | None:
        limits = self._limits
        if self._failed_authentications >= limits.failed_authentications:
            raise RemoteProtocolError(f"{self._failed_authentications} logins have failed")
        if begins_tls(self._input):
            problem = "a TLS handshake where plain text was expected"
            raise RemoteProtocolError(problem, hint=Err("TLS is not expected here"))
        if not self._offer.mechanisms:
            return self._line(limits.command_line)
        # An initial response may be as long as any, and nothing tells before it is read.
        line = self._line(max(limits.command_line, limits.authentication_line))
        if (
            line is not None
            and len(line) + 2 > limits.command_line
            and self._in_exchange is None
            and line[:5].upper() != b"AUTH "
        ):
            raise RemoteProtocolError(
                f"line longer than {limits.command_line} octets", hint=Err("line too long")
            )
        return line

    def _event(self, line: bytes) -> ServerEvent:
        if self._in_exchange is not None:
            response = parse_auth_line(line)
            return Invalid(line, Err(response)) if isinstance(response, str) else response
        command = parse_command(line)
        if isinstance(command, str):
            if opens_another_protocol(line):
                raise RemoteProtocolError(
                    f"this is not POP3: {line[:64]!r}", hint=Err("this is a POP3 server")
                )
            return Invalid(line, Err(command))
        refusal = self._refusal(command)
        return command if refusal is None else Invalid(line, Err(refusal))

    def _refusal(self, command: Command) -> str | None:
        """Why ``command`` cannot be carried out now; ``None`` if it can."""
        kind = type(command)
        if self._state not in STATES_OF[kind]:
            return "not allowed in this state"
        if kind not in OPTIONAL:
            return None
        if isinstance(command, Stls) and self._utf8:
            return "STLS is not allowed after UTF8"
        refusal = self._offer.refusal(command, tls=self._tls)
        if refusal is None and isinstance(command, (Pass, Rpop)) and self._user is None:
            return f"{kind.__name__.upper()} must follow USER"
        return refusal

    def _count_error(self, event: Invalid) -> None:
        self._errors += 1
        if self._errors > self._limits.errors:
            self._asked = None
            raise RemoteProtocolError(
                f"{self._errors} invalid commands, the last: {event.reply.text}",
                hint=Err("too many errors"),
            )

    # ----------------------------------------------------------------------------------- sending

    def accept(self) -> None:
        """Give the canonical positive answer; for ``Invalid`` its ``reply``.

        For the greeting, USER, CAPA, NOOP, RSET, STLS, UTF8, and QUIT in AUTHORIZATION. Raises
        LocalProtocolError where an answer depends on the application.
        """
        if self._state is State.GREETING:
            self.send(Greeting("POP3 server ready", self._offer.timestamp))
            return
        match self._asked:
            case Invalid(_, reply):
                self.send(reply)
            case Capa():
                self.send(self.capabilities)
            case User():
                self.send(Ok("send PASS"))
            case Noop() | Rset():
                self.send(Ok())
            case Stls():
                self.send(Ok("begin TLS negotiation"))
            case Utf8():
                self.send(Ok("UTF-8 mode"))
            case Quit() if self._state is State.AUTHORIZATION:
                self.send(Ok("bye"))
            case asked:
                name = "nothing" if asked is None else type(asked).__name__.upper()
                raise LocalProtocolError(f"{name} has no canonical answer")

    def send(self, item: ServerItem) -> None:
        """Queue an answer, or a piece of one.

        Raises LocalProtocolError if it does not answer what was asked or cannot be written.
        """
        if self._failure is not None:
            self._send_last(item)
        elif self._streaming is not None:
            self._send_piece(self._streaming, item)
        elif isinstance(item, Message):
            self._send_message(item)
        else:
            self._send_answer(item)

    def farewell(self, reason: Err) -> None:
        """Say unasked that the server ends, and take no more commands.

        POP3 has no such response: a client takes it for the answer to its next command. Raises
        LocalProtocolError while an answer is due, for then that one can say it.
        """
        if self._asked is not None or self._awaiting_tls or self._failure is not None:
            raise LocalProtocolError("a farewell while an answer is due")
        self._write(serialize_answer(reason))
        self._state = State.CLOSED

    def _send_answer(self, item: ServerItem) -> None:
        asked = self._asked
        if asked is not None:
            expected = _expected(asked)
        elif self._state is State.GREETING:
            expected = (Greeting, Err)
        else:
            raise LocalProtocolError(f"{type(item).__name__} answers no command")
        if not isinstance(item, expected):
            if isinstance(item, _PIECES):
                raise LocalProtocolError(f"{type(item).__name__} outside a multi-line answer")
            what = "the connection" if asked is None else type(asked).__name__.upper()
            names = " or ".join(kind.__name__ for kind in expected)
            raise LocalProtocolError(f"{what} is answered with {names}, not {type(item).__name__}")
        if isinstance(item, Greeting) and item.timestamp != self._offer.timestamp:
            raise LocalProtocolError("the timestamp of a greeting is that of the Offer")
        self._write(serialize_answer(item))
        self._asked = None
        if asked is None:
            self._state = State.CLOSED if isinstance(item, Err) else State.AUTHORIZATION
        elif isinstance(item, Err):
            self._refused(asked, item)
        elif isinstance(item, Challenge):
            if isinstance(asked, Auth):
                self._in_exchange = asked
        else:
            self._granted(asked)

    def _send_message(self, item: Message) -> None:
        if not isinstance(self._asked, (Retr, Top)):
            raise LocalProtocolError("Message answers RETR and TOP")
        first = serialize_ok(item.text)
        self._output.write(b"".join((first, *stuffed(item.data))))
        self._asked = None
        if self._trace is not None:
            for line in (first[:-2], b"<%d octets>" % len(item.data), b"."):
                self._trace("S", line)

    def _granted(self, asked: ServerEvent) -> None:
        match asked:
            case Retr() | Top():
                self._streaming = self._asked = asked
                self._stuffer = Stuffer()
                self._content = 0
            case List(None) | Uidl(None):
                self._streaming = self._asked = asked
                self._lines = 0
            case User(name):
                self._user = name
            case Pass() | Rpop() | Apop() | Auth() | AuthResponse():
                self._state = State.TRANSACTION
                self._user = self._in_exchange = None
            case Stls():
                self._await_tls()
            case Utf8():
                self._utf8 = True
            case Quit():
                self._state = State.CLOSED
            case _:
                pass

    def _refused(self, asked: ServerEvent, item: Err) -> None:
        self._in_exchange = None
        match asked:
            case Pass() | Rpop() | Apop() | Auth() | AuthResponse():
                self._user = None
                # A maildrop in use, or a failure of the system, says nothing of the credentials.
                if item.code is None or AUTH.covers(item.code):
                    self._failed_authentications += 1
            case User():
                self._user = None
            case Quit():
                self._state = State.CLOSED
            case _:
                pass

    def _send_piece(self, streaming: Command, item: ServerItem) -> None:
        # The usual ones first, and without the cost of a match statement.
        if isinstance(streaming, (Retr, Top)):
            if isinstance(item, Body):
                self._output.write(self._stuffer.feed(item.data))
                self._content += len(item.data)
                return
            if isinstance(item, EndOfMessage):
                self._end_pieces(self._stuffer.finish(), b"<%d octets>", self._content)
                return
        elif isinstance(item, ScanListings if isinstance(streaming, List) else UniqueIdListings):
            self._output.write(serialize_listings(item))
            self._lines += len(item.entries)
            return
        elif isinstance(item, EndOfListing):
            self._end_pieces(b".\r\n", b"<%d lines>", self._lines)
            return
        raise LocalProtocolError(
            f"{type(item).__name__} inside the answer to {type(streaming).__name__.upper()}"
        )

    def _end_pieces(self, end: bytes, summary: bytes, count: int) -> None:
        self._output.write(end)
        self._streaming = self._asked = None
        if self._trace is not None:
            self._trace("S", summary % count)
            self._trace("S", b".")

    def _send_last(self, item: ServerItem) -> None:
        """After a failure only the farewell may follow."""
        if not isinstance(item, Err) or self._state is State.CLOSED:
            raise LocalProtocolError("the connection has failed: only one Err may follow")
        self._write(serialize_answer(item))
        self._state = State.CLOSED

    def _write(self, lines: bytes) -> None:
        self._output.write(lines)
        if self._trace is not None:
            for line in lines.split(b"\r\n")[:-1]:
                self._trace("S", redact_response(line))


_YES_OR_NO: Final = (Ok, Err)
_PIECES: Final = (Body, EndOfMessage, ScanListings, UniqueIdListings, EndOfListing)

# The classes of which an answer must be, where they are others; of List, Uidl and Lang those with
# an argument.
_ANSWERS: Final[Mapping[type[ServerEvent], tuple[type[Answer], ...]]] = {
    Stat: (DropListing, Err),
    List: (ScanListing, Err),
    Uidl: (UniqueIdListing, Err),
    Capa: (Capabilities, Err),
    Lang: (LanguageChanged, Err),
    Last: (LastAccessed, Err),
    Auth: (Challenge, Ok, Err),
    AuthResponse: (Challenge, Ok, Err),
    AuthCancel: (Err,),
    Invalid: (Err,),
}


def _expected(asked: ServerEvent) -> tuple[type[Answer], ...]:
    """The classes of which an answer must be."""
    answers = _ANSWERS.get(type(asked))
    if answers is None:
        return _YES_OR_NO
    match asked:
        case List(None) | Uidl(None):
            return _YES_OR_NO
        case Lang(None):
            return (Languages, Err)
        case _:
            return answers
