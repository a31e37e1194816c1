"""An asyncio client of POP3. The names are those of ``mailproto.sync.pop3``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mailproto.aio import connecting
from mailproto.errors import MailError
from mailproto.flows.opening import POP3_PORTS, Login, TLSMode, open_pop3
from mailproto.flows.pop3_client import Session
from mailproto.flows.tls import client_context
from mailproto.pop3 import Answer, Capabilities, Command, DropListing, State
from mailproto.pop3 import Client as Machine

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace

__all__ = ["Client", "connect"]


async def connect(
    host: str = "localhost",
    port: int | None = None,
    *,
    tls: TLSMode = "implicit",
    login: Login = None,
    tls_context: ssl.SSLContext | None = None,
    allow_insecure_auth: bool = False,
    apop: bool = False,
    timeout: float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
) -> Client:
    """Connect, go over to TLS and log in.

    ``port`` is 995 or 110 by default, as ``tls`` has it. ``login`` is user and password, or
    credentials of ``mailproto.sasl``. ``tls_context`` verifies the server, by default against the
    system's authorities. ``apop`` allows ``Client.apop``. ``timeout`` bounds the wait for each
    answer in seconds. ``trace`` gets every line, without secrets.

    Raises ConnectionLost, TLSError, SecurityError, CommandFailed, AuthenticationFailed.
    """
    if tls != "none" and tls_context is None:
        tls_context = client_context()
    driver = await connecting.dial(
        host,
        POP3_PORTS[tls] if port is None else port,
        tls=tls_context,
        timeout=connect_timeout,
    )
    try:
        machine = Machine(tls=tls == "implicit", apop=apop, trace=trace)
        session = Session(machine, allow_insecure_auth=allow_insecure_auth, timeout=timeout)
        await driver.run(open_pop3(session, tls, login))
    except BaseException:
        driver.abort()
        raise
    return Client(driver, session)


class Client(connecting.Client):
    """A session with a maildrop.

    ::

        async with await aio.pop3.connect("mail.example.com", login=login) as client:
            for number in await client.list():
                message = await client.retrieve(number)

    Leaving the ``with`` block without an exception says QUIT, which removes what was deleted;
    an exception, or ``close``, removes nothing.
    """

    def __init__(self, driver: connecting.Driver, session: Session) -> None:
        super().__init__(driver)
        self.session = session
        """The flows behind the methods, and the machine behind them."""

    async def capabilities(self) -> Capabilities:
        """CAPA: what the server offers."""
        return await self.run(self.session.capabilities())

    async def apop(self, user: str, password: str) -> None:
        """Log in by APOP; see ``mailproto.pop3.Apop`` for why it is off by default."""
        await self.run(self.session.apop(user, password))

    async def stat(self) -> DropListing:
        """How many messages there are, and their octets."""
        return await self.run(self.session.stat())

    async def list(self, message: int | None = None) -> dict[int, int]:
        """Octets by message number, of all messages or of one."""
        return await self.run(self.session.list(message))

    async def uidl(self, message: int | None = None) -> dict[int, str]:
        """Unique-ids by message number, of all messages or of one."""
        return await self.run(self.session.uidl(message))

    async def retrieve(self, message: int) -> bytes:
        """A whole message."""
        return await self.run(self.session.retrieve(message))

    async def retrieve_into(self, message: int, take: Callable[[bytes], object]) -> int:
        """A whole message in pieces for ``take`` (a file's ``write``); its octets."""
        return await self.run(self.session.retrieve_into(message, take))

    async def top(self, message: int, lines: int = 0) -> bytes:
        """The header, the blank line and the first ``lines`` lines of the body."""
        return await self.run(self.session.top(message, lines))

    async def delete(self, message: int) -> None:
        """Mark a message as deleted; ``quit`` removes it."""
        await self.run(self.session.delete(message))

    async def reset(self) -> None:
        """Unmark what was marked as deleted."""
        await self.run(self.session.reset())

    async def noop(self) -> None:
        """Keep the session alive."""
        await self.run(self.session.noop())

    async def call(self, command: Command) -> Answer:
        """The answer to any command that has one line."""
        return await self.run(self.session.call(command))

    async def quit(self) -> str:
        """End the session: the server removes what was marked. Its words.

        Raises CommandFailed if it could not remove all.
        """
        words = await self.run(self.session.quit())
        await self.close()
        return words

    async def _say_goodbye(self) -> None:
        if self.session.machine.state is State.TRANSACTION:
            await self.quit()
            return
        try:
            await self.quit()
        except MailError:
            # Before the login nothing depends on the answer.
            await self.close()
