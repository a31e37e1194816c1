"""An IMAP client's conversations: one method for each thing a client does, each a flow.

Every response goes somewhere: into the result of the method that asked, into ``mailbox``, and, if
nobody asked, into ``updates``. A NO or BAD is a CommandFailed.
"""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs
from typing_extensions import TypeVar

from mailproto import imap, sasl
from mailproto._core.machine import NEED_DATA, PAUSED, ConnectionClosed, Signal
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
)
from mailproto.flows.authentication import (
    binding_of,
    refusal,
    server_has_proved_itself,
    told_in_clear,
)
from mailproto.flows.effects import (
    Flow,
    Secured,
    Wakeup,
    call,
    deadline,
    not_taken,
    read,
    start_tls,
    too_late,
    write,
)
from mailproto.flows.effects import close as end_connection
from mailproto.flows.imap_client_answer import (
    Answer,
    append_uid,
    copy_uid,
    name_of,
    put_together,
)
from mailproto.flows.imap_client_mailbox import Mailbox

__all__ = ["Answer", "Mailbox", "Session"]

E = TypeVar("E")

_MOST_UPDATES: Final = 10_000
_SLOWEST: Final = 4096
"""Octets a second: a server that streams a literal more slowly runs into the deadline."""
# An initial response that keeps its command under 8,192 octets (RFC 7162 section 4).
_ROOM: Final = 6000
_TEMPORARY: Final = frozenset(("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA"))


class Session:
    """One session on one connection.

    ::

        session = Session(imap.Client(tls=True))
        yield from session.greeting()
        yield from session.sign_in("smith", "sesame")
        mailbox = yield from session.select("INBOX")
        for message in (yield from session.fetch("1:*", imap.FetchAtt.ENVELOPE)):
            ...

    ``timeout`` bounds the wait for each whole response in seconds (``None``: what the machine
    suggests); big literals get more, in proportion to their size.
    """

    def __init__(self, machine: imap.Client, *, timeout: float | None = None) -> None:
        self.machine = machine
        self.secured: Secured | None = None
        """What the TLS handshake has established; whoever does that from outside sets it."""
        self.mailbox: Mailbox | None = None
        """The selected mailbox."""
        self.updates: deque[imap.ClientEvent] = deque(maxlen=_MOST_UPDATES)
        """What came unasked, oldest first: take what you use (``popleft``). The newest 10,000."""
        self.bye: str | None = None
        """What the server said when it closed the session."""
        self._timeout = timeout
        # Whether the time for the next event is yet to begin, and what a big literal adds to it.
        self._renew = True
        self._extra = 0.0

    # -------------------------------------------------------------------------------- the loop

    def _next(self, wakeup: Wakeup | None = None) -> Flow[imap.ClientEvent | None]:
        """The next event; ``None`` if woken, or if the machine waits for the TLS handshake."""
        ended = False
        while True:
            try:
                event = self.machine.next_event()
            except RemoteProtocolError as error:
                if ended:
                    raise ConnectionLost(str(error)) from None
                raise
            if event is NEED_DATA:
                yield from self._write()
                if self._renew:
                    yield from deadline(self._seconds)
                    self._renew = False
                try:
                    data = yield from read(wakeup)
                except DeadlineExceeded:
                    raise too_late(self.machine.waiting_for, self._seconds) from None
                if data is None:
                    return None
                self.machine.receive_data(data)
                ended = not data
            elif event is PAUSED:
                yield from self._write()
                return None
            elif isinstance(event, ConnectionClosed):
                said = "" if self.bye is None else f", saying: {self.bye}"
                raise ConnectionLost(f"the server has closed the connection{said}")
            else:
                self._note(event)
                return event

    def _note(self, event: imap.ClientEvent) -> None:
        if isinstance(event, imap.LiteralChunk):
            return  # its time began with the literal
        self._renew = True
        self._extra = event.size / _SLOWEST if isinstance(event, imap.LiteralStart) else 0.0
        if isinstance(event, imap.Condition) and event.state is imap.BYE:
            self.bye = event.text
        if self.mailbox is not None:
            self.mailbox.update(event)

    @property
    def _seconds(self) -> float:
        """How long the next event may take."""
        own = None if self.machine.idling else self._timeout
        seconds = self.machine.timeout_hint if own is None else own
        return seconds + self._extra

    def _begin(self, command: imap.Command) -> Flow[str]:
        """Send a command; its tag. What has come before it is no answer to it."""
        while not isinstance(event := self.machine.next_event(), (Signal, ConnectionClosed)):
            self._note(event)
            self.updates.append(event)
        tag = self.machine.next_tag
        yield from self._send(command)
        return tag

    def _send(self, item: imap.ClientItem) -> Flow[None]:
        self.machine.send(item)
        self._extra = 0.0
        yield from deadline(self._seconds)
        yield from self._write(content=isinstance(item, imap.LiteralChunk))
        self._renew = False

    def _write(self, *, content: bool = False) -> Flow[None]:
        """Send what waits, in the time that runs."""
        machine, seconds = self.machine, self._seconds
        try:
            yield from write(machine.data_to_send())
        except DeadlineExceeded:
            late = not_taken(seconds) if content else too_late(machine.waiting_for, seconds)
            raise late from None

    def call(
        self,
        command: imap.Command,
        on_event: Callable[[imap.ClientEvent], object] | None = None,
        *,
        on_chunk: Callable[[imap.LiteralStart, bytes], object] | None = None,
    ) -> Flow[Answer]:
        """Send ``command`` and wait for its completion.

        Untagged responses are collected in the answer, or handed to ``on_event`` as they come.
        Chunks of big literals go to ``on_chunk``; without it they are put together and into
        their response. Raises CommandFailed for NO and BAD.
        """
        tag = yield from self._begin(command)
        return (yield from self._finish(tag, command, on_event, on_chunk))

    def _finish(
        self,
        tag: str,
        command: imap.Command,
        on_event: Callable[[imap.ClientEvent], object] | None = None,
        on_chunk: Callable[[imap.LiteralStart, bytes], object] | None = None,
    ) -> Flow[Answer]:
        data: list[imap.ClientEvent] = []
        start: imap.LiteralStart | None = None
        kept: list[list[bytes]] = []
        while True:
            event = yield from self._next()
            if isinstance(event, imap.Completion) and event.tag == tag:
                return self._judged(command, event, data)
            if event is None:
                continue
            if isinstance(event, imap.LiteralStart):
                start = event
                kept.append([])
                continue
            if isinstance(event, imap.LiteralChunk):
                if on_chunk is None:
                    kept[-1].append(event.data)
                elif start is not None:
                    yield from call(on_chunk, start, event.data)
                continue
            if kept and on_chunk is None and isinstance(event, imap.FetchData):
                event = put_together(event, kept)
            kept = []
            if on_event is None:
                data.append(event)
            else:
                yield from call(on_event, event)

    def _judged(
        self, command: imap.Command, completion: imap.Completion, data: list[imap.ClientEvent]
    ) -> Answer:
        if completion.state is imap.OK:
            return Answer(completion, tuple(data))
        self.updates += data
        name = type(command).__name__.upper()
        code = name_of(completion.code)
        failed = CommandFailed
        if isinstance(command, (imap.Login, imap.Authenticate)):
            failed = AuthenticationFailed
        raise failed(name, completion.text, code=code, temporary=code in _TEMPORARY)

    def _ask(self, command: imap.Command, kind: type[E]) -> Flow[tuple[E, ...]]:
        """The responses of one class to a command; all others are updates."""
        answer = yield from self.call(command)
        return self._sort(answer, kind)

    def _sort(self, answer: Answer, kind: type[E]) -> tuple[E, ...]:
        wanted: list[E] = []
        for event in answer.data:
            if isinstance(event, kind):
                wanted.append(event)
            else:
                self.updates.append(event)
        return tuple(wanted)

    def _do(self, command: imap.Command) -> Flow[imap.Completion]:
        """Carry out a command that has no data of its own."""
        answer = yield from self.call(command)
        self.updates += answer.data
        return answer.completion

    # ------------------------------------------------------------------------------ the session

    def greeting(self) -> Flow[imap.Condition]:
        """Wait for the greeting. Raises CommandFailed if the server says BYE."""
        event = yield from self._next()
        # The machine lets nothing else be first.
        assert isinstance(event, imap.Condition)
        if event.state is imap.BYE:
            raise CommandFailed("the connection", event.text, code=name_of(event.code))
        return event

    def capabilities(self) -> Flow[imap.Capabilities]:
        """What the server can; asked only if it has not said so by itself."""
        known = self.machine.capabilities
        if known is None:
            yield from self._do_capability()
            known = self.machine.capabilities
        return imap.Capabilities() if known is None else known

    def _do_capability(self) -> Flow[None]:
        yield from self._ask(imap.Capability(), imap.CapabilityData)

    def starttls(self) -> Flow[None]:
        """Go over to TLS. Raises SecurityError if the server does not do it; nothing was told."""
        if self.machine.state is not imap.State.NOT_AUTHENTICATED:
            raise SecurityError("STARTTLS is impossible: the server has begun a session in clear")
        if "STARTTLS" not in (yield from self.capabilities()):
            raise SecurityError("the server does not offer STARTTLS")
        try:
            yield from self._do(imap.StartTLS())
        except CommandFailed as error:
            raise SecurityError(f"the server refuses STARTTLS: {error.answer}") from error
        # Plaintext behind the OK is refused here, before the handshake.
        yield from self._next()
        self.secured = yield from start_tls(self._seconds)
        self.machine.start_tls()
        self.updates.clear()

    def login(self, user: str | bytes, password: str | bytes) -> Flow[None]:
        """LOGIN. Raises AuthenticationFailed; LocalProtocolError without TLS."""
        yield from self._do(imap.Login(user, password))

    def authenticate(
        self,
        credentials: sasl.Credentials,
        *,
        mechanisms: Sequence[sasl.Mechanism] = sasl.MECHANISMS,
        floor: sasl.Strength = sasl.Strength.ANONYMOUS,
        channel_binding: sasl.ChannelBinding | None = None,
    ) -> Flow[None]:
        """AUTHENTICATE with the strongest mechanism both sides know, as ``sasl.choose`` has it.

        Raises SecurityError if none is acceptable, AuthenticationFailed if the server refuses,
        SASLError when its part of the exchange is wrong.
        """
        offered = yield from self.capabilities()
        exchange = sasl.choose(
            offered.mechanisms,
            credentials,
            tls=self.machine.tls,
            mechanisms=mechanisms,
            floor=floor,
            channel_binding=channel_binding or binding_of(self.secured, floor),
            allow_insecure_auth=self.machine.allow_insecure_auth,
        )
        yield from self._authenticate(exchange)

    def _authenticate(self, exchange: sasl.ClientExchange) -> Flow[None]:
        known = self.machine.capabilities
        initial = exchange.start(_ROOM if known is not None and "SASL-IR" in known else 0)
        command = imap.Authenticate(exchange.name, initial)
        tag = yield from self._begin(command)
        refused: sasl.SASLError | None = None
        while True:
            event = yield from self._next()
            if isinstance(event, imap.Completion) and event.tag == tag:
                break
            malformed = isinstance(event, imap.Unparsed) and event.octets[:1] == b"+"
            if not (malformed or isinstance(event, imap.Challenge)):
                if event is not None:
                    self.updates.append(event)
                continue
            if refused is not None:
                yield from end_connection()
                raise RemoteProtocolError("a challenge does not answer a cancel")
            response: bytes | None = None
            if isinstance(event, imap.Challenge):
                try:
                    response = exchange.respond(event.data)
                except sasl.SASLError as error:
                    refused = error
            else:
                refused = sasl.SASLError("the server's challenge is not base64")
            yield from self._send(imap.AuthenticateResponse(response))
        if refused is not None:
            if event.state is imap.OK:
                yield from end_connection()
                raise sasl.ServerNotProven("the server reported success for a cancel") from refused
            raise refused
        told = attrs.evolve(event, text=refusal(exchange, event.text))
        self._judged(command, told, [])
        yield from server_has_proved_itself(exchange)

    def sign_in(self, user: str, password: str) -> Flow[None]:
        """Log in with a password: AUTHENTICATE if the server offers a way, else LOGIN."""
        machine = self.machine
        offered = yield from self.capabilities()
        try:
            exchange = sasl.choose(
                offered.mechanisms,
                sasl.PasswordCredentials(user, password),
                tls=machine.tls,
                allow_insecure_auth=machine.allow_insecure_auth,
                channel_binding=binding_of(self.secured, sasl.Strength.ANONYMOUS),
            )
        except SecurityError as error:
            if "LOGINDISABLED" in offered:
                raise
            if not (machine.tls or machine.allow_insecure_auth):
                raise told_in_clear("LOGIN") from error
            yield from self.login(user, password)
        else:
            yield from self._authenticate(exchange)

    def enable(self, *capabilities: str) -> Flow[imap.Capabilities]:
        """ENABLE; what was switched on by it."""
        found = yield from self._ask(imap.Enable(capabilities), imap.EnabledData)
        return imap.Capabilities([name for data in found for name in data.capabilities])

    def id(self, parameters: Iterable[tuple[str, str | None]] = ()) -> Flow[dict[str, str | None]]:
        """ID: tells who we are, and returns who the server says it is."""
        found = yield from self._ask(imap.Id(parameters), imap.IdData)
        return {
            _text(name): None if value is None else _text(value)
            for data in found
            for name, value in data.parameters
        }

    def namespace(self) -> Flow[imap.NamespaceData]:
        """NAMESPACE: where whose mailboxes are."""
        found = yield from self._ask(imap.Namespace(), imap.NamespaceData)
        return found[-1] if found else imap.NamespaceData()

    def noop(self) -> Flow[tuple[imap.ClientEvent, ...]]:
        """NOOP; what is new, instead of in ``updates``."""
        answer = yield from self.call(imap.Noop())
        return answer.data

    def logout(self) -> Flow[None]:
        """LOGOUT, and wait until the server has said goodbye."""
        try:
            yield from self._do(imap.Logout())
        except ConnectionLost:
            # BYE and the end without the tagged OK: the session is over all the same.
            if self.bye is None:
                raise

    # ------------------------------------------------------------------------------- mailboxes

    def select(
        self, mailbox: imap.MailboxName | str | bytes, *, read_only: bool = False
    ) -> Flow[Mailbox]:
        """SELECT, or EXAMINE if ``read_only``."""
        command = imap.Examine(mailbox) if read_only else imap.Select(mailbox)
        # What comes from now on is about the new mailbox; if it cannot be opened there is none.
        before, selected = self.mailbox, Mailbox(command.mailbox)
        self.mailbox = selected
        try:
            yield from self._do(command)
        except LocalProtocolError:
            self.mailbox = before
            raise
        except CommandFailed:
            self.mailbox = None
            raise
        selected.read_only = self.machine.read_only
        return selected

    def close(self) -> Flow[None]:
        r"""CLOSE: deselect and remove ``\\Deleted`` messages."""
        yield from self._do(imap.Close())
        self.mailbox = None

    def unselect(self) -> Flow[None]:
        """UNSELECT: deselect and remove nothing."""
        yield from self._do(imap.Unselect())
        self.mailbox = None

    def check(self) -> Flow[None]:
        """CHECK."""
        yield from self._do(imap.Check())

    def list(
        self,
        reference: imap.MailboxName | str | bytes = "",
        pattern: imap.MailboxName | str | bytes = "*",
    ) -> Flow[tuple[imap.ListData, ...]]:
        """LIST: the mailboxes whose names match, by default all."""
        return (yield from self._ask(imap.List(reference, pattern), imap.ListData))

    def lsub(
        self,
        reference: imap.MailboxName | str | bytes = "",
        pattern: imap.MailboxName | str | bytes = "*",
    ) -> Flow[tuple[imap.LsubData, ...]]:
        """LSUB: as ``list``, of the subscribed names."""
        return (yield from self._ask(imap.Lsub(reference, pattern), imap.LsubData))

    def status(
        self,
        mailbox: imap.MailboxName | str | bytes,
        items: imap.StatusItem | Iterable[imap.StatusItem] = tuple(imap.StatusItem),
    ) -> Flow[imap.StatusData]:
        """STATUS of a mailbox that is not selected, by default all of it."""
        command = imap.Status(mailbox, items)
        found = yield from self._ask(command, imap.StatusData)
        if not found:
            raise CommandFailed("STATUS", "the server said OK but told nothing")
        return found[-1]

    def create(self, mailbox: imap.MailboxName | str | bytes) -> Flow[None]:
        """CREATE."""
        yield from self._do(imap.Create(mailbox))

    def delete(self, mailbox: imap.MailboxName | str | bytes) -> Flow[None]:
        """DELETE: remove a mailbox and all in it."""
        yield from self._do(imap.Delete(mailbox))

    def rename(
        self,
        mailbox: imap.MailboxName | str | bytes,
        new_name: imap.MailboxName | str | bytes,
    ) -> Flow[None]:
        """RENAME."""
        yield from self._do(imap.Rename(mailbox, new_name))

    def subscribe(self, mailbox: imap.MailboxName | str | bytes) -> Flow[None]:
        """SUBSCRIBE."""
        yield from self._do(imap.Subscribe(mailbox))

    def unsubscribe(self, mailbox: imap.MailboxName | str | bytes) -> Flow[None]:
        """UNSUBSCRIBE."""
        yield from self._do(imap.Unsubscribe(mailbox))

    def append(
        self,
        mailbox: imap.MailboxName | str | bytes,
        message: bytes | Iterable[bytes],
        *,
        size: int | None = None,
        flags: str | Iterable[str] = (),
        internal_date: datetime.datetime | None = None,
    ) -> Flow[imap.AppendUid | None]:
        """APPEND a message: octets, or pieces of it that have ``size`` octets together.

        Returns where it went if the server tells (UIDPLUS). Raises LocalProtocolError if the
        pieces do not have that size; the connection is of no use then.
        """
        if isinstance(message, bytes):
            command = imap.Append(mailbox, message, flags, internal_date)
            answer = yield from self.call(command)
            self.updates += answer.data
            return append_uid(answer)
        if size is None:
            raise LocalProtocolError("a message in pieces needs its size")
        if not size:
            return (yield from self.append(mailbox, b"", flags=flags, internal_date=internal_date))
        command = imap.Append(mailbox, imap.Streamed(size), flags, internal_date)
        tag = yield from self._begin(command)
        while not self.machine.can_stream:
            event = yield from self._next()
            if isinstance(event, imap.Completion) and event.tag == tag:
                return append_uid(self._judged(command, event, []))
            if event is not None and not isinstance(event, imap.Continuation):
                self.updates.append(event)
        try:
            for piece in _of_size(message, size):
                yield from self._send(imap.LiteralChunk(piece))
        except LocalProtocolError:
            # Part of a literal is out, and there is no other way to end it.
            yield from end_connection()
            raise
        answer = yield from self._finish(tag, command)
        self.updates += answer.data
        return append_uid(answer)

    # -------------------------------------------------------------------------------- messages

    def fetch(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        items: imap.FetchItem | imap.FetchMacro | Iterable[imap.FetchItem],
        *,
        uid: bool = False,
        on_chunk: Callable[[imap.LiteralStart, bytes], object] | None = None,
    ) -> Flow[tuple[imap.FetchData, ...]]:
        """FETCH; changes of flags that came meanwhile are among the responses.

        With ``on_chunk`` literals over the machine's threshold are handed over piece by piece,
        and have ``Streamed(size)`` for octets in the response.
        """
        answer = yield from self.call(imap.Fetch(messages, items, uid), on_chunk=on_chunk)
        return self._sort(answer, imap.FetchData)

    def search(
        self,
        keys: imap.SearchKey | Iterable[imap.SearchKey],
        *,
        charset: str | None = None,
        uid: bool = False,
    ) -> Flow[tuple[int, ...]]:
        """SEARCH: the numbers (UIDs if ``uid``) of the messages that match all keys."""
        found = yield from self._ask(imap.Search(keys, charset, uid), imap.SearchData)
        return found[0].numbers if len(found) == 1 else tuple(n for d in found for n in d.numbers)

    def store(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        action: imap.StoreAction,
        flags: str | Iterable[str],
        *,
        silent: bool = False,
        uid: bool = False,
    ) -> Flow[tuple[imap.FetchData, ...]]:
        """STORE: change flags; the flags as they are now, unless ``silent``."""
        command = imap.Store(messages, action, flags, silent, uid)
        return (yield from self._ask(command, imap.FetchData))

    def copy(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        mailbox: imap.MailboxName | str | bytes,
        *,
        uid: bool = False,
    ) -> Flow[imap.CopyUid | None]:
        """COPY; which message became which, if the server tells (UIDPLUS)."""
        answer = yield from self.call(imap.Copy(messages, mailbox, uid))
        self.updates += answer.data
        return copy_uid(answer)

    def move(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        mailbox: imap.MailboxName | str | bytes,
        *,
        uid: bool = False,
    ) -> Flow[imap.CopyUid | None]:
        """MOVE; as ``copy``. The ExpungeData of what has gone is in ``updates``."""
        answer = yield from self.call(imap.Move(messages, mailbox, uid))
        self.updates += answer.data
        return copy_uid(answer)

    def expunge(
        self, uids: imap.SequenceSet | str | int | Iterable[int] | None = None
    ) -> Flow[tuple[int, ...]]:
        r"""EXPUNGE, or UID EXPUNGE: remove ``\\Deleted`` messages.

        Returns the number each one had when it went, in the order they went.
        """
        found = yield from self._ask(imap.Expunge(uids), imap.ExpungeData)
        return tuple([data.number for data in found])

    # ------------------------------------------------------------------------------------ IDLE

    def idle(self, on_event: Callable[[imap.ClientEvent], object], stop: Wakeup) -> Flow[None]:
        """IDLE until ``stop`` is set; ``on_event`` is called with everything that comes.

        It is renewed before servers lose patience. ``on_event`` may set ``stop`` itself. Raises
        LocalProtocolError if the server has no IDLE.
        """
        if "IDLE" not in (yield from self.capabilities()):
            raise LocalProtocolError("the server does not offer IDLE")
        stopped = False
        while not stopped:
            stopped = yield from self._idle_once(on_event, stop)

    def _idle_once(
        self, on_event: Callable[[imap.ClientEvent], object], stop: Wakeup
    ) -> Flow[bool]:
        """One IDLE; whether it ended because ``stop`` was set."""
        command = imap.Idle()
        tag = yield from self._begin(command)
        stopped = False
        while True:
            try:
                event = yield from self._next(stop if self.machine.idling else None)
            except DeadlineExceeded:
                if not self.machine.idling:
                    raise
                yield from self._send(imap.Done())
                continue
            if isinstance(event, imap.Completion) and event.tag == tag:
                self._judged(command, event, [])
                return stopped
            if event is None:
                stopped = True
                yield from self._send(imap.Done())
            elif not isinstance(event, imap.Continuation):
                yield from call(on_event, event)
            elif self.machine.idling:
                # One time for the whole IDLE, however much comes meanwhile.
                yield from deadline(self._seconds)
            self._renew = self._renew and not self.machine.idling


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _of_size(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The pieces; the last one only when they are known to have ``size`` octets together."""
    held, octets = b"", 0
    for piece in pieces:
        if not piece:
            continue
        octets += len(piece)
        if octets > size:
            raise LocalProtocolError(f"the pieces have more than the {size} octets announced")
        if held:
            yield held
        held = piece
    if octets < size:
        raise LocalProtocolError(f"the pieces have less than the {size} octets announced")
    yield held
