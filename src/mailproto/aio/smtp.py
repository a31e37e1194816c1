"""An asyncio client of SMTP, submission and LMTP, named as in ``mailproto.sync.smtp``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailproto.aio import connecting
from mailproto.aio.relaying import Relay
from mailproto.flows.opening import SMTP_PORTS, Login, TLSMode, address_literal, open_smtp
from mailproto.flows.smtp_client import Content, Session
from mailproto.flows.smtp_relay_result import Attempt, RelayResult
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome, RecipientResult, SendResult
from mailproto.flows.tls import client_context
from mailproto.smtp import Capabilities, Command, ForwardPath, Parameter, Rcpt, Reply, ReversePath
from mailproto.smtp import Client as Machine

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace

__all__ = [
    "Attempt",
    "Client",
    "DeliveryUnknown",
    "Outcome",
    "RecipientResult",
    "Relay",
    "RelayResult",
    "SendResult",
    "connect",
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
        parameters: tuple[Parameter, ...] = (),
    ) -> SendResult:
        """Send a message: an ``EmailMessage``, octets with CRLF, or pieces of them.

        The paths are by default those in the header of an ``EmailMessage``. What became of each
        recipient is in the result; CommandFailed is raised when no recipient's message was taken,
        DeliveryUnknown when the connection ended before the answer. A refusal leaves the
        connection usable.
        """
        flow = self.session.send(
            content, reverse_path, forward_paths, size=size, parameters=parameters
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
