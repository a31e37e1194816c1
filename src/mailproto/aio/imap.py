"""An asyncio client of IMAP. The names are those of ``mailproto.sync.imap``."""

from __future__ import annotations

import asyncio
import datetime
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mailproto import imap
from mailproto.aio import connecting
from mailproto.flows.effects import Wakeup
from mailproto.flows.imap_client import Answer, Session
from mailproto.flows.imap_client_mailbox import Mailbox
from mailproto.flows.opening import IMAP_PORTS, Login, TLSMode, open_imap, port_of
from mailproto.flows.tls import client_context
from mailproto.sasl import MECHANISMS, ChannelBinding, Credentials, Mechanism, Strength

if TYPE_CHECKING:
    import ssl

    from mailproto._core.limits import IMAPClientLimits
    from mailproto._core.machine import Trace

__all__ = ["Answer", "Client", "Mailbox", "Wakeup", "connect"]


@connecting.opening
async def connect(
    host: str = "localhost",
    port: int | None = None,
    *,
    tls: TLSMode = "implicit",
    login: Login = None,
    tls_context: ssl.SSLContext | None = None,
    allow_insecure_auth: bool = False,
    limits: IMAPClientLimits | None = None,
    timeout: float | None = None,
    connect_timeout: float | None = 30.0,
    trace: Trace | None = None,
) -> Client:
    """Connect, go over to TLS and log in.

    ``port`` is 993 or 143 by default, as ``tls`` has it. ``login`` is user and password, or
    credentials of ``mailproto.sasl``. ``tls_context`` verifies the server, by default against the
    system's authorities. ``timeout`` bounds the wait for each response in seconds. ``trace`` gets
    every line, without secrets.

    Raises ConnectionLost, TLSError, SecurityError, CommandFailed, AuthenticationFailed.
    """
    if tls != "none" and tls_context is None:
        tls_context = client_context()
    driver = await connecting.dial(
        host,
        port_of(IMAP_PORTS, tls, port),
        tls=tls_context,
        timeout=connect_timeout,
    )
    try:
        machine = imap.Client(
            tls=tls == "implicit",
            allow_insecure_auth=allow_insecure_auth,
            limits=limits,
            trace=trace,
        )
        session = Session(machine, timeout=timeout)
        await driver.run(open_imap(session, tls, login))
    except BaseException:
        driver.abort()
        raise
    return Client(driver, session)


class Client(connecting.Client):
    """A session with a mail store.

    ::

        async with aio.imap.connect("mail.example.com", login=login) as client:
            await client.select("INBOX")
            for message in await client.fetch("1:*", imap.FetchAtt.ENVELOPE):
                ...

    Every method raises CommandFailed when the server says NO or BAD; the session stays usable.
    """

    def __init__(self, driver: connecting.Driver, session: Session) -> None:
        super().__init__(driver)
        self.session = session
        """The flows behind the methods, and the machine behind them."""

    @property
    def mailbox(self) -> Mailbox | None:
        """The selected mailbox, kept up to date."""
        return self.session.mailbox

    @property
    def updates(self) -> deque[imap.ClientEvent]:
        """What came unasked, oldest first; take what you use (``popleft``)."""
        return self.session.updates

    async def call(
        self,
        command: imap.Command,
        on_event: Callable[[imap.ClientEvent], object] | None = None,
        *,
        on_chunk: Callable[[imap.LiteralStart, bytes], object] | None = None,
    ) -> Answer:
        """Send any command and wait for its completion; see ``Session.call``."""
        return await self.run(self.session.call(command, on_event, on_chunk=on_chunk))

    # --- the session

    async def capabilities(self) -> imap.Capabilities:
        """What the server can; asked only if it has not said so by itself."""
        return await self.run(self.session.capabilities())

    async def login(self, user: str, password: str) -> None:
        """Log in as ``connect(login=...)`` does: by AUTHENTICATE, or by LOGIN where it must.

        Raises SecurityError when there is no acceptable way, AuthenticationFailed when the server
        refuses, SASLError when it is not who it should be.
        """
        await self.run(self.session.sign_in(user, password))

    async def authenticate(
        self,
        credentials: Credentials,
        *,
        floor: Strength = Strength.ANONYMOUS,
        channel_binding: ChannelBinding | None = None,
        mechanisms: Sequence[Mechanism] = MECHANISMS,
    ) -> None:
        """AUTHENTICATE by the strongest of ``mechanisms`` that the server offers.

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

    async def enable(self, *capabilities: str) -> imap.Capabilities:
        """ENABLE; what was switched on by it."""
        return await self.run(self.session.enable(*capabilities))

    async def id(self, parameters: Iterable[tuple[str, str | None]] = ()) -> dict[str, str | None]:
        """ID: tells who we are, and returns who the server says it is."""
        return await self.run(self.session.id(parameters))

    async def namespace(self) -> imap.NamespaceData:
        """NAMESPACE: where whose mailboxes are."""
        return await self.run(self.session.namespace())

    async def noop(self) -> tuple[imap.ClientEvent, ...]:
        """NOOP; what is new."""
        return await self.run(self.session.noop())

    async def logout(self) -> None:
        """Say LOGOUT and close; leaving the ``with`` block does the same."""
        await self._say_goodbye()
        await self.close()

    async def _say_goodbye(self) -> None:
        await self.run(self.session.logout())

    # --- mailboxes

    async def select(
        self, mailbox: imap.MailboxName | str | bytes, *, read_only: bool = False
    ) -> Mailbox:
        """SELECT, or EXAMINE if ``read_only``."""
        return await self.run(self.session.select(mailbox, read_only=read_only))

    async def close_mailbox(self) -> None:
        r"""CLOSE: deselect and remove ``\Deleted`` messages."""
        await self.run(self.session.close())

    async def unselect(self) -> None:
        """UNSELECT: deselect and remove nothing."""
        await self.run(self.session.unselect())

    async def check(self) -> None:
        """CHECK: ask for a checkpoint of the selected mailbox."""
        await self.run(self.session.check())

    async def list(
        self,
        reference: imap.MailboxName | str | bytes = "",
        pattern: imap.MailboxName | str | bytes = "*",
    ) -> tuple[imap.ListData, ...]:
        """LIST: the mailboxes whose names match, by default all."""
        return await self.run(self.session.list(reference, pattern))

    async def lsub(
        self,
        reference: imap.MailboxName | str | bytes = "",
        pattern: imap.MailboxName | str | bytes = "*",
    ) -> tuple[imap.LsubData, ...]:
        """LSUB: as ``list``, of the subscribed names."""
        return await self.run(self.session.lsub(reference, pattern))

    async def status(
        self,
        mailbox: imap.MailboxName | str | bytes,
        items: imap.StatusItem | Iterable[imap.StatusItem] = tuple(imap.StatusItem),
    ) -> imap.StatusData:
        """STATUS of a mailbox that is not selected."""
        return await self.run(self.session.status(mailbox, items))

    async def create(self, mailbox: imap.MailboxName | str | bytes) -> None:
        """CREATE."""
        await self.run(self.session.create(mailbox))

    async def delete(self, mailbox: imap.MailboxName | str | bytes) -> None:
        """DELETE: remove a mailbox and all in it."""
        await self.run(self.session.delete(mailbox))

    async def rename(
        self,
        mailbox: imap.MailboxName | str | bytes,
        new_name: imap.MailboxName | str | bytes,
    ) -> None:
        """RENAME."""
        await self.run(self.session.rename(mailbox, new_name))

    async def subscribe(self, mailbox: imap.MailboxName | str | bytes) -> None:
        """SUBSCRIBE."""
        await self.run(self.session.subscribe(mailbox))

    async def unsubscribe(self, mailbox: imap.MailboxName | str | bytes) -> None:
        """UNSUBSCRIBE."""
        await self.run(self.session.unsubscribe(mailbox))

    async def append(
        self,
        mailbox: imap.MailboxName | str | bytes,
        message: bytes | Iterable[bytes],
        *,
        size: int | None = None,
        flags: str | Iterable[str] = (),
        internal_date: datetime.datetime | None = None,
    ) -> imap.AppendUid | None:
        """APPEND octets, or pieces of ``size`` octets together; where it went, if told."""
        flow = self.session.append(
            mailbox, message, size=size, flags=flags, internal_date=internal_date
        )
        return await self.run(flow)

    # --- messages

    async def fetch(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        items: imap.FetchItem | imap.FetchMacro | Iterable[imap.FetchItem],
        *,
        uid: bool = False,
        on_chunk: Callable[[imap.LiteralStart, bytes], object] | None = None,
    ) -> tuple[imap.FetchData, ...]:
        """FETCH; with ``on_chunk`` large literals are handed over piece by piece."""
        return await self.run(self.session.fetch(messages, items, uid=uid, on_chunk=on_chunk))

    async def search(
        self,
        keys: imap.SearchKey | Iterable[imap.SearchKey],
        *,
        charset: str | None = None,
        uid: bool = False,
    ) -> tuple[int, ...]:
        """SEARCH: the numbers (UIDs if ``uid``) of the messages that match all keys."""
        return await self.run(self.session.search(keys, charset=charset, uid=uid))

    async def store(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        action: imap.StoreAction,
        flags: str | Iterable[str],
        *,
        silent: bool = False,
        uid: bool = False,
    ) -> tuple[imap.FetchData, ...]:
        """STORE: change flags; the flags as they are now, unless ``silent``."""
        return await self.run(self.session.store(messages, action, flags, silent=silent, uid=uid))

    async def copy(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        mailbox: imap.MailboxName | str | bytes,
        *,
        uid: bool = False,
    ) -> imap.CopyUid | None:
        """COPY; which message became which, if the server tells."""
        return await self.run(self.session.copy(messages, mailbox, uid=uid))

    async def move(
        self,
        messages: imap.SequenceSet | str | int | Iterable[int],
        mailbox: imap.MailboxName | str | bytes,
        *,
        uid: bool = False,
    ) -> imap.CopyUid | None:
        """MOVE; as ``copy``."""
        return await self.run(self.session.move(messages, mailbox, uid=uid))

    async def expunge(
        self, uids: imap.SequenceSet | str | int | Iterable[int] | None = None
    ) -> tuple[int, ...]:
        r"""EXPUNGE, or UID EXPUNGE: remove ``\Deleted`` messages; their numbers as they went."""
        return await self.run(self.session.expunge(uids))

    async def idle(
        self,
        on_event: Callable[[imap.ClientEvent], object],
        *,
        stop: Wakeup | None = None,
        seconds: float | None = None,
    ) -> None:
        """IDLE until ``stop`` is set, or for ``seconds``; ``on_event`` is told what comes.

        It is renewed before servers lose patience. ``on_event`` may set ``stop``; so may any
        thread. A cancelled IDLE closes the connection: set ``stop`` instead.
        """
        stop = Wakeup() if stop is None else stop
        timer = None
        if seconds is not None:
            timer = asyncio.get_running_loop().call_later(seconds, stop.set)
        try:
            await self.run(self.session.idle(on_event, stop))
        finally:
            if timer is not None:
                timer.cancel()
