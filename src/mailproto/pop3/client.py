"""The client's end of a POP3 connection (RFC 1939, RFC 2449, RFC 2595, RFC 5034, RFC 6856).

Every response is paired with the command it answers through one queue; octets that no command
waits for are a RemoteProtocolError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from mailproto._core.dot import BareNewlines, Unstuffer, open_line, whole
from mailproto._core.framer import Framer, LineTooLong
from mailproto._core.limits import POP3ClientLimits
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Machine, Signal, Trace
from mailproto._core.strict import decode_base64, number
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.pop3.capabilities import Capabilities
from mailproto.pop3.commands import (
    Apop,
    Auth,
    AuthCancel,
    AuthResponse,
    Capa,
    ClientItem,
    Command,
    Lang,
    Last,
    List,
    Pass,
    Quit,
    Retr,
    Rpop,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from mailproto.pop3.parse import (
    parse_capabilities,
    parse_greeting,
    parse_language,
    parse_scan_listing,
    parse_scan_listings,
    parse_text,
    parse_unique_id_listing,
    parse_unique_id_listings,
    text_of,
)
from mailproto.pop3.quirks import Quirk
from mailproto.pop3.redact import redact_command, redact_response, secrets_in, unquoted
from mailproto.pop3.responses import (
    Body,
    Challenge,
    ClientEvent,
    DropListing,
    EndOfListing,
    EndOfMessage,
    Err,
    Language,
    LanguageChanged,
    Languages,
    LastAccessed,
    Ok,
    ScanListing,
    ScanListings,
    UniqueIdListing,
    UniqueIdListings,
    Unparsed,
)
from mailproto.pop3.serialize import serialize_command
from mailproto.pop3.states import STATES_OF, State
from mailproto.pop3.told_end import ToldEnd

__all__ = ["Client"]

_AUTHORIZATION: Final = State.AUTHORIZATION
_PASS: Final = BareNewlines.PASS
_END_OF_MESSAGE: Final = EndOfMessage()
_BLOCK: Final = 65536
_ANOTHER: Final = "about another message than was asked for"
_LOGIN: Final = (Pass, Rpop, Apop, Auth)
_NORMAL_LINE: Final = 512
# Octets of a line of a message without its CRLF (RFC 5322 section 2.1.1).
_CONTENT_LINE: Final = 998


class Client(Machine[ClientEvent, ClientItem]):
    r"""A POP3 client without I/O.

    ::

        client = Client()
        client.receive_data(b"+OK POP3 server ready\r\n")
        client.next_event()                 # Greeting("POP3 server ready")
        client.send(User("mrose"))
        client.data_to_send()               # b"USER mrose\r\n"

    Keywords: ``tls`` if the connection begins under TLS; ``apop`` to allow APOP, which rests on
    MD5; ``limits``; ``trace``; ``on_quirk``, which is called each time that a quirk was met, with
    the command in whose answer (``None``: in the greeting).
    """

    __slots__ = (
        "_apop", "_assumed", "_capabilities", "_collected", "_collected_octets", "_content",
        "_exchange", "_in_answer_to", "_limits", "_lines", "_odd_lines", "_on_quirk", "_open_line",
        "_pending", "_quirks", "_reader", "_state", "_stray", "_timestamp", "_told", "_told_end",
        "_unstuffer", "_user_sent", "_utf8",
    )  # fmt: skip

    _upgrade = "STLS"

    def __init__(
        self,
        *,
        tls: bool = False,
        apop: bool = False,
        limits: POP3ClientLimits | None = None,
        trace: Trace | None = None,
        on_quirk: Callable[[Quirk, Command | None], object] | None = None,
    ) -> None:
        self._apop = apop
        self._on_quirk = on_quirk
        self._limits = limits or POP3ClientLimits()
        super().__init__(tls=tls, trace=trace)

    def _begin(self) -> None:
        self._state = State.GREETING
        # The state once every pending command has succeeded: what may be pipelined depends on it.
        self._assumed = State.GREETING
        self._capabilities: Capabilities | None = None
        self._timestamp: str | None = None
        self._quirks: set[Quirk] = set()
        self._pending: deque[Command] = deque()
        self._in_answer_to: Command | None = None
        self._user_sent = False
        self._utf8 = False
        # Inside AUTH: True while the client owes a response, False while the server does.
        self._exchange: bool | None = None
        # What the login in progress has told the server.
        self._told: tuple[bytes, ...] = ()
        self._stray = False
        self._reader: Callable[[], ClientEvent | ConnectionClosed | Signal] = self._read_greeting
        self._unstuffer: Unstuffer | None = None
        self._told_end: ToldEnd | None = None
        self._content = 0
        # Octets of the message's line that has not ended; -1 once one was too long.
        self._open_line = 0
        self._lines = 0
        self._collected: list[bytes] = []
        self._collected_octets = 0
        self._odd_lines: Iterator[bytes] = iter(())

    def start_tls(self) -> None:
        """Go on as a fresh machine under TLS, in AUTHORIZATION: no second greeting comes."""
        super().start_tls()
        if not self.failed:
            self._state = self._assumed = State.AUTHORIZATION
            self._reader = self._read_status

    # ------------------------------------------------------------------------- what can be asked

    @property
    def state(self) -> State:
        """The state as far as answers have come; UPDATE while that to QUIT is due."""
        if self._state is State.TRANSACTION and self._pending and type(self._pending[0]) is Quit:
            return State.UPDATE
        return self._state

    @property
    def capabilities(self) -> Capabilities | None:
        """The last answer to CAPA on this connection since TLS began; ``None`` without one."""
        return self._capabilities

    @property
    def timestamp(self) -> str | None:
        """The greeting's timestamp for APOP, unless TLS was begun since."""
        return self._timestamp

    @property
    def utf8(self) -> bool:
        """Whether the server has accepted UTF8 (RFC 6856) on this connection since TLS began."""
        return self._utf8

    @property
    def in_answer_to(self) -> Command | None:
        """The command that the last event answers."""
        return self._in_answer_to

    @property
    def pending(self) -> int:
        """Commands sent and not yet answered."""
        return len(self._pending)

    @property
    def quirks(self) -> frozenset[Quirk]:
        """What this server was met with beside the RFCs so far, since TLS began."""
        return frozenset(self._quirks)

    @property
    def waiting_for(self) -> str:
        """What the server owes, in words for an error message."""
        if self._state is State.GREETING:
            owed = "the greeting"
        elif self._reader != self._read_status:
            owed = f"the rest of the answer to {type(self._in_answer_to).__name__.upper()}"
        elif self._pending:
            owed = f"the answer to {type(self._pending[0]).__name__.upper()}"
        else:
            return "nothing"
        return owed + self._so_far()

    def _so_far(self) -> str:
        """What has come of a line without its end, which it may never get: LF alone is none."""
        if not len(self._input) or self._reader == self._read_body:
            return ""
        # Half a line may end in half a secret, which nothing would know for one.
        begun = f"{len(self._input)} octets" if self._told else repr(self._input.beginning(64))
        return f" (so far {begun}, without CRLF)"

    @property
    def timeout_hint(self) -> float:
        """Seconds for the server's next answer; a server gives up after 600 (RFC 1939)."""
        return 300.0

    # ----------------------------------------------------------------------------------- sending

    def send(self, item: ClientItem) -> None:
        """Queue a command, or an answer to a ``Challenge``.

        Raises LocalProtocolError if the state forbids it, if it would be pipelined and the server
        has not announced PIPELINING, or if an argument cannot be written.
        """
        if isinstance(item, (AuthResponse, AuthCancel)):
            if not self._exchange:
                raise LocalProtocolError("no challenge waits for a response")
            line = serialize_command(item)
            self._exchange = False
            self._told += secrets_in(item)
        else:
            self._check(item)
            line = serialize_command(item)
            if self._assumed is _AUTHORIZATION:
                self._toward_login(item, line)
                self._told = secrets_in(item) or self._told
            elif isinstance(item, Quit):
                self._assumed = State.CLOSED
            if not self._under_way() and len(self._input):
                self._stray = True
            self._pending.append(item)
        self._output.write(line)
        if self._trace is not None:
            self._trace("C", redact_command(item, line))

    def _check(self, item: Command) -> None:
        allowed = STATES_OF.get(type(item))
        if allowed is None:
            raise LocalProtocolError(f"not a POP3 command: {type(item).__name__}")
        reason: str | None
        if self._failure is not None:
            reason = "the connection has failed"
        elif self._awaiting_tls:
            reason = "TLS is due"
        elif self._exchange is not None:
            reason = "an AUTH exchange is under way"
        elif self._assumed not in allowed:
            reason = f"not allowed in the state {self._assumed.value}"
        elif not self._under_way() or (reason := self._no_pipelining()) is None:
            return
        raise LocalProtocolError(f"{type(item).__name__.upper()} cannot be sent: {reason}")

    def _toward_login(self, item: Command, line: bytes) -> None:
        """What is particular to AUTHORIZATION; raises before it changes anything."""
        reason: str | None = None
        if isinstance(item, (Pass, Rpop)) and not self._user_sent:
            reason = "it must follow USER (RFC 1939 section 7)"
        elif isinstance(item, Stls) and self._tls:
            reason = "TLS is on already"
        elif isinstance(item, Stls) and (self._utf8 or Utf8() in self._pending):
            reason = "it must not follow UTF8 (RFC 6856 section 2.1)"
        elif isinstance(item, Auth) and item.initial_response is not None and self._no_sasl():
            reason = "without the SASL capability it has no initial response (RFC 5034 section 3)"
        elif isinstance(item, Apop) and not self._apop:
            reason = "APOP is off, only apop=True would permit it"
        elif isinstance(item, Apop) and self._timestamp is None:
            reason = "the greeting has no timestamp that is a msg-id (RFC 822)"
        elif not line.isascii() and not (self._capabilities and self._capabilities.utf8_user):
            reason = "beyond ASCII, and the server has not announced UTF8 USER (RFC 6856)"
        if reason is not None:
            raise LocalProtocolError(f"{type(item).__name__.upper()} cannot be sent: {reason}")
        self._user_sent = isinstance(item, User)
        if isinstance(item, Auth):
            self._exchange = False
        self._assumed = self._after(item, self._assumed)

    def _no_sasl(self) -> bool:
        """Whether the server is known not to have the SASL capability."""
        if self._capabilities is None:
            return Quirk.NO_CAPA in self._quirks
        return self._capabilities.sasl is None

    def _under_way(self) -> bool:
        """Whether there is an answer that has not come, or not been read to its end."""
        return bool(self._pending) or self._reader != self._read_status

    def _no_pipelining(self) -> str | None:
        """Why nothing can be sent before the last answer has come; ``None`` if it can."""
        if Stls() in self._pending:
            return "STLS has not been answered"
        if self._capabilities is None or not self._capabilities.pipelining:
            return "the server has not announced PIPELINING"
        if len(self._pending) >= self._limits.pending_commands:
            return f"{len(self._pending)} commands are pending already"
        return None

    @staticmethod
    def _after(command: Command, state: State) -> State:
        """The state after ``command`` has succeeded in ``state``."""
        if isinstance(command, _LOGIN):
            return State.TRANSACTION
        return State.CLOSED if isinstance(command, Quit) else state

    # --------------------------------------------------------------------------------- receiving

    def _advance(self) -> ClientEvent | ConnectionClosed | Signal:
        return self._reader()

    def _line(self, *, traced: bool = True) -> bytes | None:
        """The next line; raises if the connection has ended inside or before it."""
        line = self._input.line(self._limits.response_line)
        if line is None:
            if self._input.ended:
                raise RemoteProtocolError(f"the connection ended before {self.waiting_for}")
            return None
        if len(line) + 2 > _NORMAL_LINE or self._told or self._trace is not None:
            return self._noted(line, traced=traced)
        return line

    def _noted(self, line: bytes, *, traced: bool) -> bytes:
        """A line that is long, or may quote a secret, or is to be traced."""
        if len(line) + 2 > _NORMAL_LINE:
            if self._reader == self._read_status and self._pending:
                self._in_answer_to = self._pending[0]
            self._met(Quirk.LONG_LINE)
        if self._told and self._reader == self._read_status:
            if self._state is State.AUTHORIZATION:
                line = unquoted(line, self._told)
            else:
                self._told = ()
        if traced and self._trace is not None:
            self._trace("S", redact_response(line))
        return line

    def _read_greeting(self) -> ClientEvent | Signal:
        line = self._line()
        if line is None:
            return NEED_DATA
        if (text := self._positive(line)) is not None:
            greeting = parse_greeting(text)
            self._timestamp = greeting.timestamp
            self._state = self._assumed = State.AUTHORIZATION
            self._reader = self._read_status
            return greeting
        if (text := self._negative(line)) is not None:
            self._state = self._assumed = State.CLOSED
            self._reader = self._read_status
            return Err(*parse_text(text))
        raise RemoteProtocolError(f"neither +OK nor -ERR as a greeting: {line!r}")

    def _read_status(self) -> ClientEvent | ConnectionClosed | Signal:
        pending = self._pending
        if self._exchange:
            return PAUSED
        if not pending and self._input.eof:
            return ConnectionClosed()
        line = self._line()
        if line is None:
            return NEED_DATA
        if not pending or self._stray:
            raise RemoteProtocolError(f"a response that no command waits for: {line!r}")
        self._in_answer_to = command = pending[0]
        text = line[4:] if line[:4] == b"+OK " else self._positive(line)
        if text is not None:
            pending.popleft()
            # The usual one first, and without the cost of a match statement.
            if isinstance(command, Retr):
                return self._begin_content(text, command.octets)
            return self._granted(command, text)
        text = self._negative(line)
        if text is not None:
            pending.popleft()
            refusal = Err(*parse_text(text))
            self._refused(command, refusal)
            return refusal
        if self._exchange is not None and line[:1] == b"+":
            return self._challenge(line)
        raise RemoteProtocolError(
            f"neither +OK nor -ERR in the answer to {type(command).__name__.upper()}: {line!r}"
        )

    def _positive(self, line: bytes) -> bytes | None:
        """The text of a positive status line, with the spellings that real servers have."""
        if line[:3] == b"+OK" and (len(line) == 3 or line[3] == 32):
            return line[4:]
        if line[:3].upper() == b"+OK":
            self._met(Quirk.STATUS_SPELLING)
            return line[3:].removeprefix(b" ")
        return None

    def _negative(self, line: bytes) -> bytes | None:
        if line[:4] == b"-ERR" and (len(line) == 4 or line[4] == 32):
            return line[5:]
        if line[:4].upper() == b"-ERR":
            self._met(Quirk.STATUS_SPELLING)
            return line[4:].removeprefix(b" ")
        return None

    def _challenge(self, line: bytes) -> ClientEvent:
        """``+ base64``: the next step of the exchange."""
        self._exchange = True
        if line[:2] != b"+ ":
            self._met(Quirk.CHALLENGE_SPACE)
        data = decode_base64(line[1:].removeprefix(b" "))
        if data is None:
            return Unparsed(line, "the challenge is not base64: cancel the exchange")
        return Challenge(data)

    def _refused(self, command: Command, refusal: Err) -> None:
        if isinstance(command, Auth):
            self._exchange = None
        elif isinstance(command, Capa):
            self._met(Quirk.NO_CAPA)
        elif isinstance(command, Uidl) and command.message is None and refusal.code is None:
            self._met(Quirk.NO_UIDL)
        elif isinstance(command, Quit):
            self._state = State.CLOSED
        if isinstance(command, (*_LOGIN, User)):
            self._user_sent = False
        assumed = self._state
        for waiting in self._pending:
            assumed = self._after(waiting, assumed)
        self._assumed = assumed

    def _granted(self, command: Command, text: bytes) -> ClientEvent | Signal:
        """The positive answer to ``command``, and what it changes."""
        match command:
            case Top():
                return self._begin_content(text, None)
            case List(None) | Uidl(None):
                self._lines = 0
                self._reader = self._read_listing
            case List() | Uidl():
                return self._one_listing(text)
            case Stat():
                return self._drop_listing(text)
            case Pass() | Rpop() | Apop() | Auth():
                self._exchange = None
                self._state = State.TRANSACTION
            case Quit():
                self._state = State.CLOSED
            case Stls():
                self._await_tls()
            case Utf8():
                self._utf8 = True
            case Capa() | Lang(None):
                # Their lines make one event.
                self._collected = []
                self._collected_octets = 0
                self._reader = self._read_collected
                return self._read_collected()
            case Lang():
                language = parse_language(text)
                if language is None:
                    return Unparsed(text, "no language tag at its beginning")
                return LanguageChanged(language.tag, language.description)
            case Last():
                message = number(text.split(b" ", 1)[0])
                if message is None:
                    return Unparsed(text, "not a number")
                return LastAccessed(message)
            case _:
                pass
        return Ok(*parse_text(text))

    def _begin_content(self, text: bytes, octets: int | None) -> Ok:
        self._content = self._open_line = 0
        self._told_end = None if octets is None else ToldEnd(octets)
        self._reader = self._read_body
        return Ok(*parse_text(text)) if text[:1] == b"[" else Ok(text_of(text))

    def _drop_listing(self, text: bytes) -> ClientEvent:
        messages, _, rest = text.partition(b" ")
        found = parse_scan_listing(b"1 " + rest)
        count = number(messages)
        if count is None or isinstance(found, str):
            return Unparsed(text, "not two numbers")
        self._report(found[1])
        return DropListing(count, found[0][1])

    def _one_listing(self, text: bytes) -> ClientEvent:
        """One line of a listing, whose quirks are reported."""
        if isinstance(self._in_answer_to, List):
            scan = parse_scan_listing(text)
            if isinstance(scan, str):
                return Unparsed(text, scan)
            if self._is_of_another(scan[0][0]):
                return Unparsed(text, _ANOTHER)
            self._report(scan[1])
            return ScanListing(*scan[0])
        unique = parse_unique_id_listing(text)
        if isinstance(unique, str):
            return Unparsed(text, unique)
        if self._is_of_another(unique[0][0]):
            return Unparsed(text, _ANOTHER)
        self._report(unique[1])
        return UniqueIdListing(*unique[0])

    def _is_of_another(self, message: int) -> bool:
        """Whether a listing is not of the one message that was asked for."""
        asked = self._in_answer_to
        return isinstance(asked, (List, Uidl)) and asked.message not in (None, message)

    def _report(self, quirk: Quirk | None) -> None:
        if quirk is not None:
            self._met(quirk)

    def _met(self, quirk: Quirk) -> None:
        self._quirks.add(quirk)
        if self._on_quirk is not None:
            self._on_quirk(quirk, self._in_answer_to)

    # ------------------------------------------------------------------------ multi-line answers

    def _read_body(self) -> ClientEvent | Signal:
        unstuffer = self._unstuffer
        if unstuffer is None:
            if self._told_end is None and (content := whole(self._input)) is not None:
                self._reader = self._read_end_of_message
                return self._body(content)
            self._unstuffer = unstuffer = Unstuffer(_PASS)
        while True:
            if self._told_end is None:
                source = self._input
                if not source.gather(unstuffer.least):
                    break
            else:
                source = self._up_to(self._told_end)
                if not len(source):
                    break
            content, complete = unstuffer.read(source)
            if complete:
                if source is not self._input:
                    self._input.unread(source.rest())
                self._reader = self._read_end_of_message
                if not content:
                    return self._read_end_of_message()
            if content:
                return self._body(content)
        if self._input.ended:
            raise RemoteProtocolError(f"the connection ended before {self.waiting_for}")
        return NEED_DATA

    def _body(self, content: bytes) -> Body:
        self._content += len(content)
        if self._open_line >= 0:
            self._open_line = open_line(content, self._open_line, _CONTENT_LINE)
            if self._open_line < 0:
                self._met(Quirk.LONG_CONTENT_LINE)
        return Body(content)

    def _up_to(self, told_end: ToldEnd) -> Framer:
        """The octets that may be read before it is known whether the message ends without CRLF."""
        source = told_end.read(self._input)
        if told_end.decided:
            self._told_end = None
            if told_end.missing:
                self._met(Quirk.MISSING_CRLF)
        return source

    def _read_end_of_message(self) -> ClientEvent:
        bare = None if self._unstuffer is None else self._unstuffer.bare
        if bare is not None:
            self._met(Quirk.BARE_NEWLINE)
        if self._trace is not None:
            self._trace("S", b"<%d octets>" % self._content)
            self._trace("S", b".")
        self._unstuffer = None
        self._reader = self._read_status
        return _END_OF_MESSAGE if bare is None else EndOfMessage(bare)

    def _read_collected(self) -> ClientEvent | Signal:
        while (line := self._line()) is not None:
            if line == b".":
                self._reader = self._read_status
                return self._collected_answer()
            self._collected_octets += len(line) + 2
            if self._collected_octets > self._limits.capabilities:
                raise RemoteProtocolError(
                    f"an answer of more than {self._limits.capabilities} octets to"
                    f" {type(self._in_answer_to).__name__.upper()}"
                )
            self._collected.append(line[1:] if line[:1] == b"." else line)
        return NEED_DATA

    def _collected_answer(self) -> ClientEvent:
        lines, self._collected = self._collected, []
        if isinstance(self._in_answer_to, Capa):
            self._capabilities, malformed = parse_capabilities(lines)
            if malformed:
                self._met(Quirk.CAPABILITY_SYNTAX)
            return self._capabilities
        languages: list[Language] = []
        for line in lines:
            language = parse_language(line)
            if language is None:
                return Unparsed(line, "a language listing does not begin with a language tag")
            languages.append(language)
        return Languages(tuple(languages))

    def _read_listing(self) -> ClientEvent | Signal:
        odd = next(self._odd_lines, None)
        if odd is not None:
            return self._odd_line(odd)
        line = self._line(traced=False)
        if line is None:
            return NEED_DATA
        if line != b".":
            return self._listing_block(line + b"\r\n" + self._more_lines())
        if self._trace is not None:
            self._trace("S", b"<%d lines>" % self._lines)
            self._trace("S", b".")
        self._reader = self._read_status
        return EndOfListing()

    def _more_lines(self) -> bytes:
        """Whole lines of a listing that lie ready, up to its end."""
        block = self._input.read(_BLOCK)
        if block[:3] == b".\r\n":
            end = 0
        elif b"." not in block or (end := block.find(b"\r\n.\r\n") + 2) < 2:
            end = block.rfind(b"\r\n") + 2
        if end < 2:
            end = 0
        if end < len(block):
            self._input.unread(block[end:])
        return block[:end]

    def _listing_block(self, block: bytes) -> ClientEvent:
        """Lines in the strict form become one event at once; others go one by one."""
        event: ScanListings | UniqueIdListings | None = None
        if isinstance(self._in_answer_to, List):
            if (scan := parse_scan_listings(block)) is not None:
                event = ScanListings(scan)
        elif (unique := parse_unique_id_listings(block)) is not None:
            event = UniqueIdListings(unique)
        if event is not None and self._lines + len(event.entries) <= self._limits.listing_lines:
            self._lines += len(event.entries)
            return event
        self._odd_lines = iter(block[:-2].split(b"\r\n"))
        return self._odd_line(next(self._odd_lines))

    def _odd_line(self, line: bytes) -> ClientEvent:
        if len(line) + 2 > self._limits.response_line:
            raise LineTooLong(self._limits.response_line, line[:64])
        if len(line) + 2 > _NORMAL_LINE:
            self._met(Quirk.LONG_LINE)
        if self._lines == self._limits.listing_lines:
            raise RemoteProtocolError(f"a listing of more than {self._lines} lines")
        self._lines += 1
        event = self._one_listing(line[1:] if line[:1] == b"." else line)
        match event:
            case ScanListing(message, octets):
                return ScanListings({message: octets})
            case UniqueIdListing(message, unique_id):
                return UniqueIdListings({message: unique_id})
            case _:
                return event
