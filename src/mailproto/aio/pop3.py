"""An asyncio client of POP3. The names are those of ``mailproto.sync.pop3``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailproto.aio import connecting
from mailproto.backend.downloads import Arrivals
from mailproto.errors import MailError
from mailproto.flows.opening import POP3_PORTS, Login, TLSMode, open_pop3, port_of
from mailproto.flows.pop3_client import Session
from mailproto.flows.pop3_download import Downloaded, download
from mailproto.flows.tls import client_context
from mailproto.pop3 import Answer, Capabilities, Command, DropListing, Quirk, State
from mailproto.pop3 import Client as Machine
from mailproto.sasl import MECHANISMS, ChannelBinding, Credentials, Mechanism, Strength

if TYPE_CHECKING:
    import ssl

    from mailproto._core.machine import Trace

__all__ = ["Client", "connect"]


@connecting.opening
async def connect(
    host: str = "localhost",
    port: int | None = None,
    *,
    tls: TLSMode = "implicit",
    login: Login = None,
    tls_context: ssl.SSLContext | None = None,
    allow_insecure_auth: bool = False,
    apop: bool = False,
    utf8: bool = True,
    missing_crlf: bool = False,
    timeout: float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
    on_quirk: Callable[[Quirk, Command | None], object] | None = None,
) -> Client:
    """Connect, go over to TLS and log in.

    ``port`` is 995 or 110 by default, as ``tls`` has it. ``login`` is user and password, or
    credentials of ``mailproto.sasl``. ``tls_context`` verifies the server, by default against the
    system's authorities. ``apop`` allows ``Client.apop``. ``utf8``: messages come as they are
    stored, where the server can (see ``Client.use_utf8``); otherwise those with headers beyond
    ASCII may come changed. ``missing_crlf``: a message that runs into its final dot is complete at
    the size that LIST tells; only for servers that need it, and whose sizes are right (see
    ``pop3.Retr.octets``). ``timeout`` bounds the wait for each answer, and for each further
    mebibyte of one, in seconds. ``trace`` gets every line, without secrets. ``on_quirk`` is called
    each time that the server does something beside the RFCs, with the command that it answers so
    (``None``: the greeting).

    Raises ConnectionLost, TLSError, SecurityError, CommandFailed, AuthenticationFailed.
    """
    if tls != "none" and tls_context is None:
        tls_context = client_context()
    driver = await connecting.dial(
        host,
        port_of(POP3_PORTS, tls, port),
        tls=tls_context,
        timeout=connect_timeout,
    )
    try:
        machine = Machine(tls=tls == "implicit", apop=apop, trace=trace, on_quirk=on_quirk)
        session = Session(
            machine,
            allow_insecure_auth=allow_insecure_auth,
            timeout=timeout,
            missing_crlf=missing_crlf,
        )
        await driver.run(open_pop3(session, tls, login, utf8=utf8))
    except BaseException:
        driver.abort()
        raise
    return Client(driver, session)


class Client(connecting.Client):
    """A session with a maildrop.

    ::

        async with aio.pop3.connect("mail.example.com", login=login) as client:
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

    @property
    def quirks(self) -> frozenset[Quirk]:
        """What this server was met with beside the RFCs so far, by name."""
        return self.session.quirks

    async def use_utf8(self) -> bool:
        """Say UTF8 (RFC 6856) if the server announces it; whether it is on.

        ``connect`` does so unless told otherwise, but not without a ``login``.
        """
        return await self.run(self.session.use_utf8())

    async def login(self, user: str, password: str) -> None:
        """Log in as ``connect(login=...)`` does: by SASL, or by USER and PASS where there is none.

        ``use_utf8`` must come before it. Raises SecurityError when there is no acceptable way,
        AuthenticationFailed when the server refuses, SASLError when it is not who it should be.
        """
        await self.run(self.session.login(user, password))

    async def authenticate(
        self,
        credentials: Credentials,
        *,
        floor: Strength = Strength.ANONYMOUS,
        channel_binding: ChannelBinding | None = None,
        mechanisms: Sequence[Mechanism] = MECHANISMS,
    ) -> None:
        """AUTH by the strongest of ``mechanisms`` that the server offers.

        The arguments are those of ``sasl.choose``; ``channel_binding`` is by default that of the
        TLS handshake. A refusal leaves the connection as it was. Raises what ``login`` raises.
        """
        await self.run(
            self.session.authenticate(
                credentials,
                floor=floor,
                channel_binding=channel_binding,
                mechanisms=mechanisms,
            )
        )

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

    async def top_into(self, message: int, lines: int, take: Callable[[bytes], object]) -> int:
        """What ``top`` gives, in pieces for ``take`` (a file's ``write``); its octets."""
        return await self.run(self.session.top_into(message, lines, take))

    async def delete(self, message: int) -> None:
        """Mark a message as deleted; ``quit`` removes it."""
        await self.run(self.session.delete(message))

    async def reset(self) -> None:
        """Unmark what was marked as deleted."""
        await self.run(self.session.reset())

    async def noop(self) -> None:
        """Keep the session alive."""
        await self.run(self.session.noop())

    async def download(
        self, arrivals: Arrivals, *, leave_days: float | None = 0, now: float | None = None
    ) -> Downloaded:
        """Receive what has not come before, remove what may go, and end the session.

        ``arrivals`` is where messages go and what remembers their unique-ids, for instance a
        ``backend.DownloadDirectory``. ``leave_days`` is how long a message stays on the server
        after it was received: 0 removes it at once, ``None`` never. ``now`` is the time in
        seconds since 1970, by default the clock's.

        However often a run is interrupted, every message is kept once, and none is removed before
        it is kept. One that the server refuses to give or to remove stays there, and
        ``Downloaded.refused`` says why. From a server without UIDL (``Quirk.NO_UIDL``) every run
        receives all that is left there, to know it by its content. Raises CommandFailed if the
        server refuses UIDL although it announces it or had it before, or could not remove what was
        deleted: the next run does that then.
        """
        at = time.time() if now is None else now
        flow = download(self.session, arrivals, now=at, leave_days=leave_days)
        downloaded = await self.run(flow)
        await self.close()
        return downloaded

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
