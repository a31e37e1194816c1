"""An asyncio client of SMTP, submission and LMTP, named as in ``mailproto.sync.smtp``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from typing_extensions import Unpack

from mailproto.aio import connecting
from mailproto.aio.relaying import Relay
from mailproto.aio.server import Server as Listeners
from mailproto.flows.opening import (
    Login,
    TLSMode,
    address_literal,
    open_smtp,
    smtp_port_of,
)
from mailproto.flows.smtp_client import ClosedAtEhlo, Session
from mailproto.flows.smtp_content import Content
from mailproto.flows.smtp_listening import Listening, ServerOptions
from mailproto.flows.smtp_relay_result import Attempt, LeftOut, RelayResult
from mailproto.flows.smtp_result import (
    DeliveryFailed,
    DeliveryUnknown,
    Outcome,
    RecipientResult,
    SendResult,
)
from mailproto.flows.smtp_server import Handler, Origin, Resume
from mailproto.flows.smtp_turn import turn_round
from mailproto.flows.tls import client_context
from mailproto.sasl import (
    MECHANISMS,
    ChannelBinding,
    Credentials,
    Mechanism,
    PasswordCredentials,
    Strength,
)
from mailproto.smtp import (
    BareNewlines,
    BodyType,
    Capabilities,
    Command,
    ForwardPath,
    Mail,
    MailParameter,
    Rcpt,
    Reply,
    ReversePath,
    Timeouts,
)
from mailproto.smtp import Client as Machine

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace
    from mailproto.flows.serving import Network

__all__ = [
    "Attempt",
    "Client",
    "DeliveryFailed",
    "DeliveryUnknown",
    "Handler",
    "LeftOut",
    "Origin",
    "Outcome",
    "RecipientResult",
    "Relay",
    "RelayResult",
    "Resume",
    "SendResult",
    "Server",
    "ServerOptions",
    "connect",
    "serve",
]


@connecting.opening
async def connect(
    host: str = "localhost",
    port: int | None = None,
    *,
    tls: TLSMode = "starttls",
    login: Login = None,
    lmtp: bool = False,
    domain: str | None = None,
    tls_context: ssl.SSLContext | None = None,
    allow_insecure_auth: bool = False,
    bare_newlines: BareNewlines = BareNewlines.REJECT,
    long_lines: bool = False,
    timeout: Timeouts | float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
) -> Client:
    """Connect, say EHLO (``lmtp``: LHLO), go over to TLS and log in.

    ``port`` is 465, 587 or 25 by default, as ``tls`` has it; for LMTP it must be given. ``login``
    is user and password, or credentials of ``mailproto.sasl``. ``domain`` is how the client names
    itself, by default its address. ``tls_context`` verifies the server, by default against the
    system's authorities.
    ``bare_newlines=smtp.BareNewlines.REPAIR`` makes each CR or LF of content that is no CRLF one,
    and ``long_lines`` allows lines of more than 998 octets. ``timeout`` is seconds for each phase
    (``smtp.Timeouts``) or for all alike, by default those of RFC 5321 section 4.5.3.2. ``trace``
    gets every line, without secrets.

    Where EHLO is refused for what ``flows.smtp_client.HELO_AFTER`` lists, HELO is said. Where the
    server closes the connection at EHLO, and neither TLS nor a login is wanted, HELO is said on
    another one (RFC 1869 section 4.7).

    Raises ConnectionLost, DeadlineExceeded, TLSError, SecurityError, CommandFailed (the greeting or
    EHLO was refused), AuthenticationFailed, SASLError, RemoteProtocolError.
    """
    if tls != "none" and tls_context is None:
        tls_context = client_context()

    async def attempt(*, extended: bool) -> Client:
        driver = await connecting.dial(
            host,
            smtp_port_of(tls, port, lmtp=lmtp),
            tls=tls_context,
            timeout=connect_timeout,
        )
        try:
            machine = Machine(
                lmtp=lmtp,
                tls=tls == "implicit",
                allow_insecure_auth=allow_insecure_auth,
                bare_newlines=bare_newlines,
                long_lines=long_lines,
                timeouts=Timeouts.of(timeout),
                trace=trace,
            )
            name = address_literal(driver.local_address) if domain is None else domain
            session = Session(machine, name, extended=extended)
            await driver.run(open_smtp(session, tls, login))
        except BaseException:
            driver.abort()
            raise
        return Client(driver, session)

    try:
        return await attempt(extended=True)
    except ClosedAtEhlo:
        if tls != "none" or login is not None:
            raise
        return await attempt(extended=False)


@connecting.opening
async def serve(
    handler: Callable[[Origin], Handler],
    host: str = "localhost",
    port: int = 0,
    *,
    tls_context: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    proxied_by: Collection[Network] = (),
    trace: Trace | None = None,
    **options: Unpack[ServerOptions],
) -> Server:
    """Serve SMTP or LMTP on one port; what is decided about mail, ``handler`` decides.

    ``handler`` makes the ``Handler`` of one connection, and is usually the class itself. ``port``
    0 lets the system choose; the server has it as ``port``. ``tls_context`` is for STARTTLS, or
    from the first octet with ``implicit_tls``. ``proxied_by`` are the networks of proxies that must
    begin with a PROXY header. ``trace`` gets every line, without secrets. ``options`` are the
    fields of ``flows.smtp_server.Context``: ``hostname``, ``lmtp``, ``directory``, ``offer`` and
    so on.

    Raises OSError when the address cannot be had, LocalProtocolError for ``implicit_tls`` without
    ``tls_context``, for a ``hostname`` that is no domain, and for ``require_auth`` without
    ``directory``.
    """
    listening = Listening.of(handler, options, tls_context, implicit_tls=implicit_tls, trace=trace)
    server = Server(listening.shutdown)
    server.port = await server.listen(
        host,
        port,
        listening.sessions,
        tls=tls_context,
        implicit_tls=implicit_tls,
        proxied_by=proxied_by,
    )
    return server


class Server(Listeners):
    """A running server of one port; leaving the ``with`` block closes it.

    ::

        async with aio.smtp.serve(Inbox, port=2525) as server:
            ...  # until it is time to go
    """

    port: int = 0
    """What it listens on."""


class Client(connecting.Client):
    """A connection to a server, ready to send.

    ::

        async with aio.smtp.connect("mail.example.com", login=login) as client:
            result = await client.send(message)
    """

    def __init__(self, driver: connecting.Driver, session: Session) -> None:
        super().__init__(driver)
        self.session = session
        """The flows behind the methods, and the machine behind them."""

    @property
    def capabilities(self) -> Capabilities | None:
        """What the server offers."""
        return self.session.capabilities

    async def send(
        self,
        content: Content,
        reverse_path: Mail | ReversePath | str | None = None,
        forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
        *,
        size: int | None = None,
        parameters: tuple[MailParameter, ...] = (),
        body: BodyType | None = None,
        chunking: bool | None = None,
    ) -> SendResult:
        """Send a message: an ``EmailMessage``, octets with CRLF, pieces of them (also
        asynchronous ones), a binary file, or a stream whose ``read`` is awaited.

        Of pieces, files and streams a bounded part is in memory at a time; ``size`` is the number
        of their octets, where it is known. The paths are by default those in the header of an
        ``EmailMessage``. A sender with parameters is given as ``smtp.Mail``, a recipient as
        ``smtp.Rcpt``; ``parameters`` and ``body`` say the same beside an address. ``chunking`` says
        whether to use BDAT, by default where that saves a round trip.

        What became of each recipient is in the result. Raises DeliveryFailed when no recipient's
        message was taken and DeliveryUnknown when the connection ended before the answer; both have
        the result. Raises LocalProtocolError for what cannot be sent, AddressError for an address
        that is none, ConnectionLost, DeadlineExceeded and RemoteProtocolError when the conversation
        breaks before the content was sent whole. After a refusal, and after what is raised before
        anything was sent, the connection is as it was; after all others it is closed.
        """
        flow = self.session.send(
            content,
            reverse_path,
            forward_paths,
            size=size,
            parameters=parameters,
            body=body,
            chunking=chunking,
        )
        result = await self.run(flow)
        if not result.delivered:
            result.check()
        return result

    async def call(self, command: Command) -> Reply:
        """The reply to any one command, as data.

        This and the methods below raise LocalProtocolError for what cannot be sent now, and
        ConnectionLost, DeadlineExceeded or RemoteProtocolError when the conversation breaks; a
        refusal is a reply like any other.
        """
        return await self.run(self.session.call(command))

    async def login(self, user: str, password: str) -> Reply:
        """Log in as ``connect(login=...)`` does; the server's 235.

        Raises SecurityError when no mechanism is acceptable, AuthenticationFailed when the server
        refuses, SASLError when it is not who it should be.
        """
        return await self.authenticate(PasswordCredentials(user, password))

    async def authenticate(
        self,
        credentials: Credentials,
        *,
        floor: Strength = Strength.ANONYMOUS,
        channel_binding: ChannelBinding | None = None,
        mechanisms: Sequence[Mechanism] = MECHANISMS,
    ) -> Reply:
        """AUTH by the strongest of ``mechanisms`` that the server offers; the server's 235.

        The arguments are those of ``sasl.choose``; ``channel_binding`` is by default that of the
        TLS handshake. A refusal leaves the connection as it was. Raises what ``login`` raises.
        """
        return await self.run(
            self.session.authenticate(
                credentials,
                floor=floor,
                channel_binding=channel_binding,
                mechanisms=mechanisms,
            )
        )

    async def hello(self) -> Capabilities:
        """Say EHLO (or LHLO) again: what the server offers now, for instance after a login."""
        return await self.run(self.session.hello())

    async def verify(self, text: str) -> Reply:
        """VRFY: is this a user or mailbox?"""
        return await self.run(self.session.verify(text))

    async def expand(self, text: str) -> Reply:
        """EXPN: who is on this list?"""
        return await self.run(self.session.expand(text))

    async def help(self, topic: str = "") -> Reply:
        """HELP: what the server says about itself."""
        return await self.run(self.session.help(topic))

    async def etrn(self, node: str) -> Reply:
        """ETRN: send what waits for a node; ``@node`` with its subdomains, ``#`` for a queue."""
        return await self.run(self.session.etrn(node))

    async def atrn(
        self,
        handler: Callable[[Origin], Handler],
        domains: Iterable[str] = (),
        **options: Unpack[ServerOptions],
    ) -> Reply:
        """ATRN: have the mail for ``domains``, or for all that the login may have, sent here.

        The connection is turned round: the server becomes a client, and what it sends is decided
        about by ``handler``, as in ``serve``, with the same ``options``. After a positive reply the
        mail has come and the connection is closed.
        """
        reply = await self.run(turn_round(self.session, domains, handler, options))
        if reply.positive:
            await self.close()
        return reply

    async def noop(self) -> Reply:
        """NOOP: is the server there?"""
        return await self.run(self.session.noop())

    async def reset(self) -> Reply:
        """RSET: end any transaction."""
        return await self.run(self.session.reset())

    async def quit(self) -> None:
        """Say QUIT, unless the connection is closed, and close; as leaving the ``with`` block."""
        if not self.closed:
            await self._say_goodbye()
        await self.close()

    async def _say_goodbye(self) -> None:
        await self.run(self.session.quit())
