"""A POP3 session as its client leads it: every method of ``Session`` is a flow.

Credentials never go over a connection without TLS unless the caller insists by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from mailproto import pop3, sasl
from mailproto._core.machine import PAUSED, Signal
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalProtocolError,
    ProtocolError,
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
    call,
    close,
    deadline,
    read,
    start_tls,
    too_late,
    write,
)

__all__ = ["Session"]

Kind = TypeVar("Kind")

_RENEW: Final = 1024 * 1024
"""After so many octets of an answer its time begins anew."""

_NOT_THE_CREDENTIALS: Final = (pop3.IN_USE, pop3.LOGIN_DELAY, pop3.SYS_TEMP, pop3.SYS_PERM)
_TEMPORARY: Final = (pop3.IN_USE, pop3.LOGIN_DELAY, pop3.SYS_TEMP)


class Session:
    """One connection to a POP3 server, with or without TLS.

    ::

        session = Session(pop3.Client(tls=True))
        yield from session.greet()
        yield from session.login("mrose", "secret")
        sizes = yield from session.list()
        message = yield from session.retrieve(1)
        yield from session.quit()

    ``timeout`` bounds the wait for each answer, and for each further mebibyte of one, in seconds
    (``None``: what the machine suggests).
    ``missing_crlf`` puts up with a server whose messages run into their final dot, by the sizes
    that LIST tells (``pop3.Retr.octets``).

    Every method raises CommandFailed for ``-ERR`` (AuthenticationFailed where the credentials are
    at fault), ProtocolError for an answer that makes no sense, RemoteProtocolError when the
    framing is lost, ConnectionLost when the connection ends, DeadlineExceeded when an answer takes
    too long.
    """

    def __init__(
        self,
        machine: pop3.Client,
        *,
        allow_insecure_auth: bool = False,
        timeout: float | None = None,
        missing_crlf: bool = False,
    ) -> None:
        self.machine = machine
        """The machine: its ``state``, ``capabilities``, ``quirks`` may be read at any time."""
        self.secured: Secured | None = None
        """What the TLS handshake has established; whoever does that from outside sets it."""
        self._allow_insecure_auth = allow_insecure_auth
        self._timeout = timeout
        # What LIST has told, where messages may end without CRLF.
        self._sizes: dict[int, int] | None = {} if missing_crlf else None
        self._since_renewal = 0
        # Pieces of a message may come before its end is missed.
        self._ended = False

    @property
    def quirks(self) -> frozenset[pop3.Quirk]:
        """What this server was met with beside the RFCs so far."""
        return self.machine.quirks

    # --------------------------------------------------------------------------- before the login

    def greet(self) -> Flow[pop3.Greeting]:
        """Wait for the greeting. Raises CommandFailed if the server refuses service."""
        yield from deadline(self._seconds)
        event = yield from self._event()
        if isinstance(event, pop3.Err):
            raise _failed("the connection", event)
        assert isinstance(event, pop3.Greeting)
        return event

    def capabilities(self) -> Flow[pop3.Capabilities]:
        """Ask with CAPA. A server that knows no CAPA is taken to have USER, as RFC 1939 has it;
        ``machine.quirks`` then has ``NO_CAPA``.
        """
        answer = yield from self._answer(pop3.Capa())
        if isinstance(answer, pop3.Err):
            return pop3.Capabilities(user=True)
        return self._expect(answer, pop3.Capabilities)

    def _known(self) -> Flow[pop3.Capabilities]:
        """What CAPA has told, asked for once."""
        if pop3.Quirk.NO_CAPA in self.quirks:
            return pop3.Capabilities(user=True)
        return self.machine.capabilities or (yield from self.capabilities())

    def start_tls(self) -> Flow[None]:
        """Go on under TLS by STLS. Raises SecurityError if the server refuses it."""
        answer = yield from self._answer(pop3.Stls())
        if isinstance(answer, pop3.Err):
            raise SecurityError(str(_failed("STLS", answer)))
        # Octets that came with the answer were sent by nobody who has a certificate.
        if self.machine.next_event() is not PAUSED:
            raise ConnectionLost("the server has closed the connection")
        self.secured = yield from start_tls(self._seconds)
        self.machine.start_tls()

    def use_utf8(self) -> Flow[bool]:
        """Say UTF8, before the login, if the server announces it; whether it is on.

        With it messages come as they are stored; without it those with names or addresses beyond
        ASCII come as surrogates or not at all (RFC 6856 section 2).
        """
        if self.machine.utf8:
            return True
        if (yield from self._known()).utf8:
            yield from self._answer(pop3.Utf8())
        return self.machine.utf8

    def login(self, user: str, password: str) -> Flow[None]:
        """Log in by the strongest SASL mechanism that the server offers, else by USER and PASS.

        Raises SecurityError without TLS unless ``allow_insecure_auth``.
        """
        capabilities = yield from self._known()
        credentials = sasl.PasswordCredentials(user, password)
        if capabilities.sasl:
            try:
                exchange = self._choose(credentials)
            except SecurityError:
                if not (capabilities.user and self._may_tell_secrets()):
                    raise
            else:
                yield from self._exchange(exchange)
                return
        self._check_security()
        yield from self._ok(pop3.User(user))
        answer = yield from self._answer(pop3.Pass(password))
        if isinstance(answer, pop3.Err):
            raise _login_failed("PASS", answer)

    def authenticate(
        self,
        credentials: sasl.Credentials,
        *,
        mechanisms: Sequence[sasl.Mechanism] = sasl.MECHANISMS,
        floor: sasl.Strength = sasl.Strength.ANONYMOUS,
        channel_binding: sasl.ChannelBinding | None = None,
    ) -> Flow[None]:
        """Log in by SASL (RFC 5034); the arguments are those of ``sasl.choose``.

        Raises SecurityError if no mechanism is acceptable, or if the server did not prove itself
        where the mechanism has it do so: then close the connection.
        """
        yield from self._known()
        yield from self._exchange(self._choose(credentials, mechanisms, floor, channel_binding))

    def _choose(
        self,
        credentials: sasl.Credentials,
        mechanisms: Sequence[sasl.Mechanism] = sasl.MECHANISMS,
        floor: sasl.Strength = sasl.Strength.ANONYMOUS,
        channel_binding: sasl.ChannelBinding | None = None,
    ) -> sasl.ClientExchange:
        capabilities = self.machine.capabilities
        return sasl.choose(
            () if capabilities is None else capabilities.sasl or (),
            credentials,
            tls=self.machine.tls,
            mechanisms=mechanisms,
            floor=floor,
            channel_binding=channel_binding or binding_of(self.secured, floor),
            allow_insecure_auth=self._allow_insecure_auth,
        )

    def _exchange(self, exchange: sasl.ClientExchange) -> Flow[None]:
        """Do the exchange of AUTH; a challenge that makes no sense is cancelled."""
        initial = exchange.start(room=pop3.initial_response_room(exchange.name))
        answer = yield from self._answer(pop3.Auth(exchange.name, initial))
        refused: sasl.SASLError | None = None
        while isinstance(answer, pop3.Challenge | pop3.Unparsed):
            if refused is not None:
                yield from close()
                raise RemoteProtocolError("a challenge does not answer a cancel")
            reply: pop3.ClientItem = pop3.AuthCancel()
            if isinstance(answer, pop3.Unparsed):
                refused = sasl.SASLError(answer.reason)
            else:
                try:
                    reply = pop3.AuthResponse(exchange.respond(answer.data))
                except sasl.SASLError as error:
                    refused = error
            self.machine.send(reply)
            answer = yield from self._event()
        if refused is not None:
            if not isinstance(answer, pop3.Err):
                yield from close()
                raise sasl.ServerNotProven("the server reported success for a cancel") from refused
            raise refused
        if isinstance(answer, pop3.Err):
            told = evolve(answer, text=refusal(exchange, answer.text))
            raise _login_failed(f"AUTH {exchange.name}", told)
        yield from server_has_proved_itself(exchange)

    def apop(self, user: str, password: str) -> Flow[None]:
        """Log in by APOP, which hides the password behind MD5; ``pop3.Client(apop=True)`` allows
        it. Raises SecurityError if the greeting had no timestamp.
        """
        timestamp = self.machine.timestamp
        if timestamp is None:
            raise SecurityError(
                "APOP needs a timestamp that is a msg-id (RFC 822): there is none in the greeting,"
                " or TLS was begun since"
            )
        digest = pop3.apop_digest(timestamp, password)
        answer = yield from self._answer(pop3.Apop(user, digest))
        if isinstance(answer, pop3.Err):
            raise _login_failed("APOP", answer)

    # -------------------------------------------------------------------------------- the maildrop

    def stat(self) -> Flow[pop3.DropListing]:
        """How many messages there are, and their octets."""
        return self._expect((yield from self._granted(pop3.Stat())), pop3.DropListing)

    def list(self, message: int | None = None) -> Flow[dict[int, int]]:
        """Octets by message number, of all messages or of one."""
        answer = yield from self._granted(pop3.List(message))
        if message is not None:
            found = self._expect(answer, pop3.ScanListing)
            return {found.message: found.octets}
        sizes: dict[int, int] = {}
        yield from self._listing(pop3.ScanListings, lambda piece: sizes.update(piece.entries))
        if self._sizes is not None:
            self._sizes = dict(sizes)
        return sizes

    def uidl(self, message: int | None = None) -> Flow[dict[int, str]]:
        """Unique-ids by message number, of all messages or of one."""
        answer = yield from self._granted(pop3.Uidl(message))
        if message is not None:
            found = self._expect(answer, pop3.UniqueIdListing)
            return {found.message: found.unique_id}
        unique_ids: dict[int, str] = {}
        yield from self._listing(
            pop3.UniqueIdListings, lambda piece: unique_ids.update(piece.entries)
        )
        return unique_ids

    def retrieve(self, message: int) -> Flow[bytes]:
        """A whole message."""
        return (yield from self._message((yield from self._retr(message))))

    def retrieve_into(self, message: int, take: Callable[[bytes], object]) -> Flow[int]:
        """A whole message in pieces, as they come, for ``take`` (a file's ``write``); its octets.

        What ``take`` raises ends the session, for the rest of the message is still to come.
        """
        return (yield from self._into((yield from self._retr(message)), take))

    def top_into(self, message: int, lines: int, take: Callable[[bytes], object]) -> Flow[int]:
        """What ``top`` gives, in pieces for ``take`` as ``retrieve_into`` has it."""
        return (yield from self._into(pop3.Top(message, lines), take))

    def top(self, message: int, lines: int = 0) -> Flow[bytes]:
        """The header, the blank line and the first ``lines`` lines of the body."""
        return (yield from self._message(pop3.Top(message, lines)))

    def delete(self, message: int) -> Flow[None]:
        """Mark a message as deleted; ``quit`` removes it."""
        yield from self._ok(pop3.Dele(message))

    def reset(self) -> Flow[None]:
        """Unmark what was marked as deleted."""
        yield from self._ok(pop3.Rset())

    def noop(self) -> Flow[None]:
        """Keep the session alive."""
        yield from self._ok(pop3.Noop())

    def quit(self) -> Flow[str]:
        """End the session and have the marked messages removed; the server's words.

        Raises CommandFailed if the server could not remove all of them.
        """
        return (yield from self._ok(pop3.Quit())).text

    def call(self, command: pop3.Command) -> Flow[pop3.Answer]:
        """Send a command whose answer is one event, and return that; ``-ERR`` raises.

        Raises LocalProtocolError for a multi-line answer, STLS and AUTH, which have methods of
        their own.
        """
        match command:
            case pop3.List(None) | pop3.Uidl(None) | pop3.Retr() | pop3.Top():
                raise LocalProtocolError(
                    f"{_name(command)} has a multi-line answer, which takes a method of its own"
                )
            case pop3.Stls() | pop3.Auth():
                raise LocalProtocolError(
                    f"{_name(command)} is more than a command, and has a method of its own"
                )
            case pop3.Pass() | pop3.User():
                self._check_security()
            case _:
                pass
        answer = yield from self._granted(command)
        if isinstance(answer, pop3.Unparsed):
            raise self._unparsed(answer)
        return answer

    # ------------------------------------------------------------------------------------ the wire

    @property
    def _seconds(self) -> float:
        """How long the server may take for an answer, or for the next mebibyte of one."""
        return self.machine.timeout_hint if self._timeout is None else self._timeout

    def _event(self) -> Flow[pop3.ClientEvent]:
        """The machine's next event; what it has to say goes out when it needs more input."""
        machine = self.machine
        while True:
            try:
                event = machine.next_event()
            except RemoteProtocolError as error:
                if self._ended:
                    raise ConnectionLost(str(error)) from None
                raise
            if isinstance(event, pop3.ConnectionClosed):
                raise ConnectionLost("the server has closed the connection")
            if not isinstance(event, Signal):
                return event
            yield from write(machine.data_to_send())
            try:
                data = yield from read()
            except DeadlineExceeded:
                raise too_late(machine.waiting_for, self._seconds) from None
            machine.receive_data(data or b"")
            self._ended = not data

    def _answer(self, command: pop3.Command) -> Flow[pop3.ClientEvent]:
        """Send a command; the first event of its answer."""
        # What has come unasked is refused here, and not taken for the answer.
        if isinstance(self.machine.next_event(), pop3.ConnectionClosed):
            raise ConnectionLost("the server has closed the connection")
        self.machine.send(command)
        yield from deadline(self._seconds)
        return (yield from self._event())

    def _granted(self, command: pop3.Command) -> Flow[pop3.Answer | pop3.Unparsed]:
        answer = yield from self._answer(command)
        if isinstance(answer, pop3.Err):
            raise _failed(_name(command), answer)
        assert isinstance(answer, pop3.Answer | pop3.Unparsed)
        return answer

    def _ok(self, command: pop3.Command) -> Flow[pop3.Ok]:
        return self._expect((yield from self._granted(command)), pop3.Ok)

    def _listing(self, kind: type[Kind], add: Callable[[Kind], object]) -> Flow[None]:
        """The pieces of a listing; what cannot be parsed is raised once the listing is over."""
        odd: pop3.Unparsed | None = None
        while not isinstance(event := (yield from self._event()), pop3.EndOfListing):
            if isinstance(event, kind):
                add(event)
                yield from deadline(self._seconds)
            elif odd is None and isinstance(event, pop3.Unparsed):
                odd = event
        if odd is not None:
            raise self._unparsed(odd)

    def _body(self) -> Flow[bytes | None]:
        """The next piece of a message; every mebibyte renews the time."""
        event = yield from self._event()
        if not isinstance(event, pop3.Body):
            return None
        self._since_renewal += len(event.data)
        if self._since_renewal >= _RENEW:
            self._since_renewal = 0
            yield from deadline(self._seconds)
        return event.data

    def _retr(self, message: int) -> Flow[pop3.Retr]:
        if self._sizes is None:
            return pop3.Retr(message)
        if message not in self._sizes:
            yield from self.list()
        return pop3.Retr(message, self._sizes.get(message))

    def _into(self, command: pop3.Command, take: Callable[[bytes], object]) -> Flow[int]:
        yield from self._granted(command)
        octets = 0
        while (piece := (yield from self._body())) is not None:
            octets += len(piece)
            yield from call(take, piece)
        return octets

    def _message(self, command: pop3.Command) -> Flow[bytes]:
        yield from self._granted(command)
        pieces: list[bytes] = []
        while (piece := (yield from self._body())) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    def _unparsed(self, event: pop3.Unparsed) -> ProtocolError:
        """The framing is intact, so the session stays usable: this is no RemoteProtocolError."""
        asked = self.machine.in_answer_to
        assert asked is not None
        return ProtocolError(f"the answer to {_name(asked)}: {event.reason}: {event.line!r}")

    def _expect(self, answer: pop3.ClientEvent, kind: type[Kind]) -> Kind:
        if isinstance(answer, pop3.Unparsed):
            raise self._unparsed(answer)
        assert isinstance(answer, kind)
        return answer

    def _may_tell_secrets(self) -> bool:
        return self.machine.tls or self._allow_insecure_auth

    def _check_security(self) -> None:
        if not self._may_tell_secrets():
            raise told_in_clear("USER and PASS")


def _name(command: pop3.Command) -> str:
    return type(command).__name__.upper()


def _failed(command: str, answer: pop3.Err) -> CommandFailed:
    return CommandFailed(
        command,
        answer.text,
        code=None if answer.code is None else answer.code.text,
        temporary=any(code.covers(answer.code) for code in _TEMPORARY),
    )


def _login_failed(command: str, answer: pop3.Err) -> CommandFailed:
    if any(code.covers(answer.code) for code in _NOT_THE_CREDENTIALS):
        return _failed(command, answer)
    return AuthenticationFailed(
        command, answer.text, code=None if answer.code is None else answer.code.text
    )
