"""Deliver one message to the servers of its recipients' domains, or to a smart host.

The core of a relay, written once: it yields nothing but ``Call`` effects, so that any driver runs
it, and a server's handler may as well. Each recipient has a list of hosts; hosts are tried in
turn, each for all recipients whose turn it is. A 2yz or 5yz reply to a recipient is final, and so
is an unknown outcome, which the next host would likely turn into a duplicate; a 4yz reply or a
fault of the connection goes on to the next host.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from email.message import Message
from typing import Final, Protocol, runtime_checkable

import attrs
from typing_extensions import TypeVar

from mailproto.backend.store import Maybe
from mailproto.errors import (
    ConnectionLost,
    LocalProtocolError,
    MailError,
    SecurityError,
    TLSError,
)
from mailproto.flows.effects import Deadline, Effect, Flow, call, call_blocking, deadline, start_tls
from mailproto.flows.opening import address_literal, credentials_of
from mailproto.flows.smtp_client import ClosedAtEhlo, Session
from mailproto.flows.smtp_content import Content, Readable
from mailproto.flows.smtp_message import envelope_of, needs_utf8
from mailproto.flows.smtp_relay_result import (
    NO_ADDRESS,
    NO_SUCH_DOMAIN,
    OUT_OF_TIME,
    UNRESOLVED,
    Attempt,
    LeftOut,
    RelayResult,
    outcome_of,
    reply_for,
)
from mailproto.flows.smtp_relay_route import MXRecords, NoSuchDomain, literal_address, route
from mailproto.flows.smtp_relay_settings import RelaySettings
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome, RecipientResult, SendResult
from mailproto.flows.tls import client_context, unverified_client_context
from mailproto.smtp import (
    BodyType,
    Client,
    Mail,
    Mailbox,
    MailParameter,
    Rcpt,
    Reply,
    ReversePath,
    State,
    Timeouts,
)
from mailproto.smtp.address import ForwardPath
from mailproto.smtp.content import ContentNotASCII
from mailproto.smtp.onward import Hop, mail_onward, rcpt_onward
from mailproto.smtp.serialize import serialize_command

__all__ = ["Connection", "Transport", "deliver"]

T = TypeVar("T")

# What a server gets to answer QUIT, when the message is no concern any more.
_FAREWELL: Final = 10.0
_HANDSHAKE: Final = 60.0


class Connection(Protocol):
    """A connection to a host: what ``connecting.Client`` of ``sync`` and ``aio`` is."""

    @property
    def local_address(self) -> str:
        """The host part of our end's address."""
        ...

    def run(self, flow: Flow[T]) -> Maybe[T]:
        """Run a flow on it; a fault of the connection closes it."""
        ...

    def close(self) -> Maybe[None]:
        """Close it, in whatever state it is."""
        ...


class Transport(Protocol):
    """What the relay needs of the world, in ``sync`` and in ``aio``."""

    def clock(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def resolve_mx(self, domain: str) -> Maybe[MXRecords]:
        """As ``ResolveMX``, where the settings name no other."""
        ...

    def resolve_addresses(self, host: str) -> Maybe[Sequence[str]]:
        """The addresses of a host, the best first; none if there are none.

        Raises OSError when the answer cannot be had now.
        """
        ...

    def connect(
        self,
        address: str,
        port: int,
        *,
        server_hostname: str,
        tls: ssl.SSLContext | None,
        timeout: float | None,
    ) -> Maybe[Connection]:
        """Connect to an address within ``timeout`` seconds; raises ConnectionLost."""
        ...


def deliver(
    settings: RelaySettings,
    transport: Transport,
    content: Content,
    reverse_path: Mail | ReversePath | str | None = None,
    forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
    *,
    size: int | None = None,
    parameters: tuple[MailParameter, ...] = (),
    body: BodyType | None = None,
    chunking: bool | None = None,
) -> Flow[RelayResult]:
    """Deliver one message as far as that can be done now; see ``sync.relaying.Relay.send``."""
    mail, recipients = envelope_of(content, reverse_path, forward_paths)
    path = mail.reverse_path
    mail = attrs.evolve(
        mail,
        body=body or mail.body,
        smtputf8=mail.smtputf8
        or (isinstance(path, Mailbox) and not path.is_ascii)
        or (isinstance(content, Message) and needs_utf8(content)),
        parameters=mail.parameters + parameters,
    )
    if chunking is None:
        # The envelope first: a host that hangs up has then had nothing, and the next one may.
        chunking = mail.body is BodyType.BINARY_MIME
    message = _Message.of(content, mail, size, chunking)
    _check(settings, message, recipients)
    delivery = _Delivery(settings, transport, message, recipients)
    return (yield from delivery.run())


def _check(settings: RelaySettings, message: _Message, recipients: Sequence[Rcpt]) -> None:
    """Raise LocalProtocolError for what no server could be sent."""
    serialize_command(message.mail)
    for recipient in recipients:
        serialize_command(recipient)
    binary = message.mail.body is BodyType.BINARY_MIME
    if isinstance(message.content, bytes) and not binary:
        machine = Client(long_lines=settings.long_lines)
        machine.check_content(message.content, chunks=message.chunking)
    if settings.smart_host is None:
        for recipient in recipients:
            if not isinstance(recipient.forward_path, Mailbox):
                raise LocalProtocolError(f"<{recipient.forward_path}> has no domain to relay to")


@runtime_checkable
class _Seekable(Readable, Protocol):
    """A file that can be read again."""

    def tell(self) -> int: ...
    def seek(self, offset: int, /) -> object: ...


@attrs.frozen
class _Message:
    content: Content
    mail: Mail
    size: int | None
    chunking: bool
    is_ascii: bool
    start: int
    """Where the content begins in a file."""

    @classmethod
    def of(cls, content: Content, mail: Mail, size: int | None, chunking: bool) -> _Message:
        """Raises LocalProtocolError for content that can be read only once."""
        start = 0
        is_ascii = False
        if isinstance(content, bytes | bytearray | memoryview):
            content = content if isinstance(content, bytes) else bytes(content)
            is_ascii = content.isascii()
            if mail.body is None and not is_ascii:
                mail = attrs.evolve(mail, body=BodyType.EIGHT_BIT_MIME)
        elif isinstance(content, _Seekable):
            start = content.tell()
        elif isinstance(content, Readable | Iterator | AsyncIterator):
            raise LocalProtocolError(
                "a stream or iterator can be sent only once, and a relay may have to retry"
            )
        return cls(content, mail, size, chunking, is_ascii, start)

    def rewind(self) -> None:
        """Have a file begin anew for the next host."""
        if isinstance(self.content, _Seekable):
            self.content.seek(self.start)

    @property
    def requires_tls(self) -> bool:
        """Whether it carries REQUIRETLS (RFC 8689)."""
        return any(p.keyword.upper() == "REQUIRETLS" for p in self.mail.parameters)


@attrs.define
class _Recipient:
    """Where one recipient stands."""

    rcpt: Rcpt
    hosts: list[str] = attrs.Factory(list[str])
    """Those not tried yet."""
    reply: Reply | None = None
    settled: bool = False
    """Whether ``reply`` is final; ``None`` then says unknown."""

    @property
    def domain(self) -> str:
        path = self.rcpt.forward_path
        return path.domain.lower() if isinstance(path, Mailbox) else ""

    def settle(self, reply: Reply | None) -> None:
        self.reply, self.settled = reply, True

    def defer(self, reply: Reply) -> None:
        """Note why a host did not do; if one may do later, the message may be sent later."""
        if self.reply is None or self.reply.permanent or reply.temporary:
            self.reply = reply


@attrs.define
class _Onward:
    """What one host is sent of the transaction."""

    mail: Mail | None = None
    sent: list[Rcpt] = attrs.Factory(list[Rcpt])
    refused: list[Reply | None] = attrs.Factory(list["Reply | None"])
    """For each recipient why it is not sent to this host; ``None`` where it is."""
    left_out: list[LeftOut] = attrs.Factory(list[LeftOut])


class _NothingToSend(LocalProtocolError):
    """The host lacks what every recipient's message needs."""


class _Delivery:
    """The state of ``deliver``."""

    def __init__(
        self,
        settings: RelaySettings,
        transport: Transport,
        message: _Message,
        recipients: Sequence[Rcpt],
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._message = message
        self._recipients = [_Recipient(rcpt) for rcpt in recipients]
        self._tls = _tls_context(settings, message)
        self._orders: dict[tuple[str, ...], Sequence[str]] = {}
        # Domains without MX records, which are their own hosts.
        self._without_mx: set[str] = set()
        self._attempts: list[Attempt] = []
        self._final: Reply | None = None
        self._began = transport.clock()
        self._end: float | None = None
        if settings.deadline is not None:
            self._end = self._began + settings.deadline

    def run(self) -> Flow[RelayResult]:
        yield from self._find_hosts()
        while (first := next((r for r in self._recipients if r.hosts), None)) is not None:
            host = first.hosts[0]
            due = [r for r in self._recipients if r.hosts and r.hosts[0] == host]
            for recipient in due:
                del recipient.hosts[0]
            yield from self._try_host(host, due)
            for recipient in due:
                if recipient.settled or self._late:
                    recipient.hosts.clear()
        for recipient in self._recipients:
            if not recipient.settled and recipient.reply is None:
                recipient.settle(OUT_OF_TIME)
        results = tuple(RecipientResult(r.rcpt.forward_path, r.reply) for r in self._recipients)
        return RelayResult(results, self._final, tuple(self._attempts))

    # --- time

    def _left(self, most: float | None) -> float | None:
        """Seconds that something may take, of which ``most`` is the bound without a deadline."""
        if self._end is None:
            return most
        left = max(0.0, self._end - self._transport.clock())
        return left if most is None else min(left, most)

    @property
    def _late(self) -> bool:
        return self._end is not None and self._transport.clock() >= self._end

    # --- hosts

    def _find_hosts(self) -> Flow[None]:
        routes: dict[str, tuple[str, ...] | Reply] = {}
        for recipient in self._recipients:
            domain = recipient.domain
            if domain not in routes:
                routes[domain] = yield from self._route(domain)
            found = routes[domain]
            if isinstance(found, tuple):
                recipient.hosts = list(found[: self._settings.most_hosts])
            else:
                recipient.settle(found)

    def _route(self, domain: str) -> Flow[tuple[str, ...] | Reply]:
        settings = self._settings
        if settings.smart_host is not None:
            return (settings.smart_host,)
        if literal_address(domain) is not None:
            return (domain,)
        resolve = settings.resolve_mx or self._transport.resolve_mx
        try:
            records = yield from call_blocking(resolve, domain)
        except NoSuchDomain:
            return NO_SUCH_DOMAIN
        except (MailError, OSError):
            return UNRESOLVED
        if not records:
            self._without_mx.add(domain)
        return route(domain, records, order=self._order, own_names=settings.own_names)

    def _order(self, hosts: Sequence[str]) -> Sequence[str]:
        """One order for the same hosts of several domains, which then share their connections."""
        key = tuple(hosts)
        if key not in self._orders:
            self._orders[key] = self._settings.order(hosts)
        return self._orders[key]

    def _addresses(self, host: str) -> Flow[Sequence[str]]:
        literal = literal_address(host)
        if literal is not None:
            return (literal,)
        found = yield from call_blocking(self._transport.resolve_addresses, host)
        return tuple(dict.fromkeys(found))[: self._settings.most_addresses]

    def _try_host(self, host: str, due: Sequence[_Recipient]) -> Flow[None]:
        began = self._transport.clock()
        try:
            addresses = yield from self._addresses(host)
        except (MailError, OSError) as error:
            self._unreached(host, due, error, began, UNRESOLVED)
            return
        if not addresses:
            missing = ConnectionLost(f"{host} has no address")
            self._unreached(host, due, missing, began, NO_ADDRESS)
            for recipient in due:
                if recipient.domain in self._without_mx:
                    # No MX record and no address either: no host is behind the name.
                    recipient.settle(NO_SUCH_DOMAIN)
            return
        for address in addresses:
            if self._late or (yield from self._try_address(host, address, due)):
                return

    def _unreached(
        self, host: str, due: Sequence[_Recipient], error: Exception, began: float, reply: Reply
    ) -> None:
        seconds = self._transport.clock() - began
        self._attempts.append(
            Attempt(host, "", False, Outcome.TEMPORARY, (), error, seconds),
        )
        for recipient in due:
            recipient.defer(reply)

    # --- one connection

    def _try_address(self, host: str, address: str, due: Sequence[_Recipient]) -> Flow[bool]:
        """Whether the host has heard of the message, so that its other addresses need not."""
        settings = self._settings
        opportunistic = settings.tls == "opportunistic" and not self._message.requires_tls
        error = yield from self._attempt(host, address, due)
        handshake_failed = isinstance(error, TLSError) and not self._attempts[-1].tls
        if handshake_failed and opportunistic and not self._late:
            error = yield from self._attempt(host, address, due, in_clear=True)
        needs_nothing = (opportunistic or settings.tls == "none") and settings.login is None
        if isinstance(error, ClosedAtEhlo) and needs_nothing and not self._late:
            error = yield from self._attempt(host, address, due, extended=False)
        return error is None

    def _attempt(
        self,
        host: str,
        address: str,
        due: Sequence[_Recipient],
        *,
        in_clear: bool = False,
        extended: bool = True,
    ) -> Flow[MailError | None]:
        """Connect and send; what went wrong before there was an answer for any recipient."""
        settings, transport = self._settings, self._transport
        began = transport.clock()
        batch = due
        connection: Connection | None = None
        session: Session | None = None
        onward: _Onward | None = None
        result: SendResult | None = None
        error: MailError | None = None
        try:
            connection = yield from call(
                transport.connect,
                address,
                settings.effective_port,
                server_hostname=literal_address(host) or host,
                tls=self._tls,
                timeout=self._left(settings.connect_timeout),
            )
            session = self._session(connection, extended)
            yield from self._run(connection, self._open(session, in_clear))
            batch = _within_limits(session, due)
            onward = self._onward(session, batch)
            if not any(reply is None for reply in onward.refused):
                raise _NothingToSend(f"{host} cannot be sent the message: {onward.refused[0]}")
            result = yield from self._run(connection, self._send(session, onward))
        except DeliveryUnknown as unknown:
            error, result = unknown, unknown.result
        except ContentNotASCII as unable:
            # Another host may have 8BITMIME.
            error = unable
        except LocalProtocolError as unable:
            if session is None or session.machine.state is not State.READY:
                # It is the content itself, of which no server will hear more.
                raise
            error = unable
        except MailError as fault:
            error = fault
        seconds = transport.clock() - began
        if connection is not None and session is not None:
            yield from self._leave(connection, session)
        tls = session is not None and session.machine.tls
        if result is None and not isinstance(error, _NothingToSend):
            batch = due
        for recipient in due[len(batch) :]:
            # One more than the server takes at a time: the host has yet to be asked.
            recipient.hosts.insert(0, host)
        results = self._account(host, batch, onward, result, error, reached=session is not None)
        left_out = () if onward is None else tuple(onward.left_out)
        self._attempts.append(
            Attempt(host, address, tls, outcome_of(results), results, error, seconds, left_out)
        )
        return error if result is None else None

    def _session(self, connection: Connection, extended: bool) -> Session:
        settings = self._settings
        machine = Client(
            tls=settings.tls == "implicit",
            allow_insecure_auth=settings.allow_insecure_auth,
            long_lines=settings.long_lines,
            timeouts=Timeouts.of(settings.timeout),
            trace=settings.trace,
        )
        domain = settings.domain
        name = address_literal(connection.local_address) if domain is None else domain
        return Session(machine, name, extended=extended)

    def _onward(self, session: Session, batch: Sequence[_Recipient]) -> _Onward:
        """What the next hop is sent of the transaction, by the rules of each extension."""
        message = self._message
        assert session.capabilities is not None
        elapsed = int(self._transport.clock() - self._began)
        hop = Hop(session.capabilities, session.machine.tls, elapsed)
        onward = _Onward()
        mail = mail_onward(message.mail, hop, is_ascii=message.is_ascii)
        if isinstance(mail, Reply):
            onward.refused = [mail for _ in batch]
            return onward
        onward.mail = mail.command
        onward.left_out += [LeftOut(None, parameter) for parameter in mail.left_out]
        for recipient in batch:
            rcpt = rcpt_onward(recipient.rcpt, message.mail, hop)
            if isinstance(rcpt, Reply):
                onward.refused.append(rcpt)
                continue
            onward.refused.append(None)
            onward.sent.append(rcpt.command)
            path = rcpt.command.forward_path
            onward.left_out += [LeftOut(path, parameter) for parameter in rcpt.left_out]
        return onward

    def _send(self, session: Session, onward: _Onward) -> Flow[SendResult]:
        message = self._message
        yield from call_blocking(message.rewind)
        return (
            yield from session.send(
                message.content,
                onward.mail,
                onward.sent,
                size=message.size,
                chunking=message.chunking,
            )
        )

    def _open(self, session: Session, in_clear: bool) -> Flow[None]:
        """Greeting, EHLO, TLS as far as it is wanted, AUTH."""
        settings, machine = self._settings, session.machine
        if settings.tls == "implicit":
            yield from deadline(_HANDSHAKE)
            session.secured = yield from start_tls()
        yield from session.begin()
        if settings.tls == "required" or (
            settings.tls == "opportunistic" and self._message.requires_tls
        ):
            yield from session.starttls()
        elif settings.tls == "opportunistic" and not in_clear and machine.offers("STARTTLS"):
            # Offered and then refused: the session goes on as it was.
            with contextlib.suppress(SecurityError):
                yield from session.starttls()
        if settings.login is not None:
            yield from session.authenticate(credentials_of(settings.login))

    def _account(
        self,
        host: str,
        due: Sequence[_Recipient],
        onward: _Onward | None,
        result: SendResult | None,
        error: MailError | None,
        *,
        reached: bool,
    ) -> tuple[RecipientResult, ...]:
        """Note what has become of each recipient."""
        if onward is not None and (result is not None or isinstance(error, _NothingToSend)):
            refusals: Sequence[Reply | None] = onward.refused
        else:
            assert error is not None
            requires_tls = self._message.requires_tls
            failed = reply_for(host, error, reached=reached, requires_tls=requires_tls)
            refusals = [failed] * len(due)
        answered = iter(() if result is None else result.recipients)
        results: list[RecipientResult] = []
        for recipient, refused in zip(due, refusals, strict=True):
            if refused is not None:
                # What this host is not told, or does not hear, another one may.
                recipient.defer(refused)
                results.append(RecipientResult(recipient.rcpt.forward_path, refused))
                continue
            found = next(answered)
            results.append(found)
            if found.reply is not None and found.reply.temporary:
                recipient.defer(found.reply)
            else:
                recipient.settle(found.reply)
        if result is not None:
            self._final = result.final or self._final
        return tuple(results)

    def _leave(self, connection: Connection, session: Session) -> Flow[None]:
        try:
            yield from self._run(connection, session.quit(), _FAREWELL)
        except MailError:
            # The connection is gone already.
            pass
        yield from call(connection.close)

    def _run(self, connection: Connection, flow: Flow[T], most: float | None = None) -> Flow[T]:
        """Run a flow on a connection, every phase within its own time and the whole time."""

        def shorter(seconds: float | None) -> float | None:
            return seconds if most is None or seconds is None else min(seconds, most)

        bounded = _bounded(flow, lambda seconds: self._left(shorter(seconds)))
        return (yield from call(connection.run, bounded))


def _within_limits(session: Session, due: Sequence[_Recipient]) -> Sequence[_Recipient]:
    """The first of ``due``, as many as the server takes in a transaction (RFC 9422)."""
    capabilities = session.capabilities
    if capabilities is None:
        return due
    most = capabilities.limit("RCPTMAX")
    most_domains = capabilities.limit("RCPTDOMAINMAX")
    domains: set[str] = set()
    for number, recipient in enumerate(due):
        domains.add(recipient.domain)
        full = most is not None and number >= most
        if number and (full or (most_domains is not None and len(domains) > most_domains)):
            return due[:number]
    return due


def _bounded(flow: Flow[T], bound: Callable[[float | None], float | None]) -> Flow[T]:
    """``flow`` with other deadlines."""
    result: object = None
    error: Exception | None = None
    while True:
        try:
            effect: Effect = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            value: T = stop.value
            return value
        if isinstance(effect, Deadline):
            effect = Deadline(bound(effect.seconds))
        result, error = None, None
        try:
            result = yield effect
        except Exception as caught:
            error = caught


def _tls_context(settings: RelaySettings, message: _Message) -> ssl.SSLContext | None:
    """The context for the connections. Raises SecurityError where REQUIRETLS cannot be kept."""
    if settings.tls == "none":
        if message.requires_tls:
            raise SecurityError("REQUIRETLS needs TLS, and this relay has none")
        return None
    context = settings.tls_context
    if context is not None:
        if message.requires_tls and not context.check_hostname:
            raise SecurityError("REQUIRETLS needs a TLS context that verifies the server")
        return context
    if settings.tls == "opportunistic" and not message.requires_tls:
        return unverified_client_context()
    return client_context()
