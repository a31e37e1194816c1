"""An asyncio client of SMTP, submission and LMTP, named as in ``mailproto.sync.smtp``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from mailproto._core.limits import SMTPServerLimits
from mailproto.aio import connecting
from mailproto.aio.relaying import Relay
from mailproto.aio.server import Server as Listeners
from mailproto.errors import LocalProtocolError
from mailproto.flows.opening import SMTP_PORTS, Login, TLSMode, address_literal, open_smtp
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Content, Session
from mailproto.flows.smtp_listening import sessions
from mailproto.flows.smtp_relay_result import Attempt, RelayResult
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome, RecipientResult, SendResult
from mailproto.flows.smtp_server import Context, Handler, Origin
from mailproto.flows.tls import client_context
from mailproto.sasl import Offer as SASLOffer
from mailproto.smtp import (
    BodyType,
    Capabilities,
    Command,
    ForwardPath,
    MailParameter,
    Offer,
    Rcpt,
    Reply,
    ReversePath,
)
from mailproto.smtp import Client as Machine

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace
    from mailproto.backend.directory import Directory
    from mailproto.flows.serving import Network, Peer

__all__ = [
    "Attempt",
    "Client",
    "DeliveryUnknown",
    "Handler",
    "Origin",
    "Outcome",
    "RecipientResult",
    "Relay",
    "RelayResult",
    "SendResult",
    "Server",
    "connect",
    "serve",
]


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
    long_lines: bool = False,
    timeout: float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
) -> Client:
    """Connect, say EHLO (``lmtp``: LHLO), go over to TLS and log in.

    ``port`` is 465, 587 or 25 by default, as ``tls`` has it. ``login`` is user and password, or
    credentials of ``mailproto.sasl``. ``domain`` is how the client names itself, by default its
    address. ``tls_context`` verifies the server, by default against the system's authorities.
    ``timeout`` bounds each phase in seconds instead of the times of RFC 5321 section 4.5.3.2.
    ``long_lines`` allows lines of more than 998 octets in content. ``trace`` gets every line,
    without secrets.

    Raises ConnectionLost, TLSError, SecurityError, CommandFailed, AuthenticationFailed.
    """
    if tls != "none" and tls_context is None:
        tls_context = client_context()
    driver = await connecting.dial(
        host,
        SMTP_PORTS[tls] if port is None else port,
        tls=tls_context,
        timeout=connect_timeout,
    )
    try:
        machine = Machine(
            lmtp=lmtp,
            tls=tls == "implicit",
            allow_insecure_auth=allow_insecure_auth,
            long_lines=long_lines,
            trace=trace,
        )
        name = address_literal(driver.local_address) if domain is None else domain
        session = Session(machine, name, timeout=timeout)
        await driver.run(open_smtp(session, tls, login))
    except BaseException:
        driver.abort()
        raise
    return Client(driver, session)


async def serve(
    handler: Callable[[Origin], Handler],
    host: str = "localhost",
    port: int = 0,
    *,
    tls_context: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    hostname: str = "localhost",
    lmtp: bool = False,
    directory: Directory | None = None,
    sasl: SASLOffer | None = None,
    offer: Offer | None = None,
    require_auth: bool = False,
    allow_insecure_auth: bool = False,
    trusts_forwarding: Callable[[Peer], bool] | None = None,
    greeting_delay: float | None = None,
    limits: SMTPServerLimits | None = None,
    timeout: float | None = None,
    proxied_by: Collection[Network] = (),
    trace: Trace | None = None,
) -> Server:
    """Serve SMTP or LMTP on one port; what is decided about mail, ``handler`` decides.

    ``handler`` makes the ``Handler`` of one connection, and is usually the class itself. ``port``
    0 lets the system choose; the server has it as ``port``. ``tls_context`` is for STARTTLS, or
    from the first octet with ``implicit_tls``. ``hostname`` is how the server calls itself.
    AUTH is offered for the users of ``directory``, by the mechanisms of ``sasl``, and mail of
    others refused with ``require_auth``; without TLS only if ``allow_insecure_auth``. ``offer``
    says what else is offered; AUTH, STARTTLS, XCLIENT and XFORWARD in it are set from the other
    arguments. ``trusts_forwarding`` says who may use XCLIENT and XFORWARD. Clients that speak
    within ``greeting_delay`` seconds, before the greeting, are refused.
    ``timeout`` bounds a command, or 64 KiB of content, instead of the RFC's five minutes.
    ``proxied_by`` are the networks of proxies that must begin with a PROXY header. ``trace`` gets
    every line, without secrets.

    Raises OSError when the address cannot be had, LocalProtocolError for ``implicit_tls`` without
    ``tls_context``.
    """
    if implicit_tls and tls_context is None:
        raise LocalProtocolError("implicit_tls needs a tls_context")
    if directory is not None and sasl is None:
        sasl = SASLOffer(allow_insecure_auth=allow_insecure_auth)
    context = Context(
        handler=handler,
        shutdown=Shutdown(),
        hostname=hostname,
        lmtp=lmtp,
        directory=directory,
        sasl=sasl,
        offer=Offer() if offer is None else offer,
        require_auth=require_auth,
        allow_insecure_auth=allow_insecure_auth,
        trusts_forwarding=trusts_forwarding,
        greeting_delay=greeting_delay,
        limits=SMTPServerLimits() if limits is None else limits,
        timeout=timeout,
    )
    starttls = tls_context is not None and not implicit_tls
    server = Server(context.shutdown)
    server.port = await server.listen(
        host,
        port,
        sessions(context, implicit_tls=implicit_tls, starttls=starttls, trace=trace),
        tls=tls_context,
        implicit_tls=implicit_tls,
        proxied_by=proxied_by,
    )
    return server


class Server(Listeners):
    """A running server of one port; leaving the ``with`` block closes it.

    ::

        async with await aio.smtp.serve(Inbox, port=2525) as server:
            ...  # until it is time to go
    """

    port: int = 0
    """What it listens on."""


class Client(connecting.Client):
    """A connection to a server, ready to send.

    ::

        async with await aio.smtp.connect("mail.example.com", login=login) as client:
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
        reverse_path: ReversePath | str | None = None,
        forward_paths: Iterable[ForwardPath | Rcpt | str] | None = None,
        *,
        size: int | None = None,
        parameters: tuple[MailParameter, ...] = (),
        body: BodyType | None = None,
        chunking: bool | None = None,
    ) -> SendResult:
        """Send a message: an ``EmailMessage``, octets with CRLF, or pieces of them.

        The paths are by default those in the header of an ``EmailMessage``. What became of each
        recipient is in the result; CommandFailed is raised when no recipient's message was taken,
        DeliveryUnknown when the connection ended before the answer. A refusal leaves the
        connection usable. ``body`` says what the content is where it cannot be seen, and
        ``chunking`` whether to send it by BDAT; by default both are chosen.
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
        """The reply to any one command, as data."""
        return await self.run(self.session.call(command))

    async def verify(self, text: str) -> Reply:
        """VRFY: is this a user or mailbox?"""
        return await self.run(self.session.verify(text))

    async def expand(self, text: str) -> Reply:
        """EXPN: who is on this list?"""
        return await self.run(self.session.expand(text))

    async def help(self, topic: str = "") -> Reply:
        """HELP: what the server says about itself."""
        return await self.run(self.session.help(topic))

    async def noop(self) -> Reply:
        """NOOP: is the server there?"""
        return await self.run(self.session.noop())

    async def reset(self) -> Reply:
        """RSET: end any transaction."""
        return await self.run(self.session.reset())

    async def quit(self) -> None:
        """Say QUIT and close; leaving the ``with`` block does the same."""
        await self._say_goodbye()
        await self.close()

    async def _say_goodbye(self) -> None:
        await self.run(self.session.quit())
