"""The handler of a mail server: into a store, or on to the next hop, and nothing in between.

The server says 250 only after the store has the message durably and the next hop has taken it; so
nothing that was accepted can be lost, and there is no queue.
"""

from __future__ import annotations

import datetime
import enum
import secrets
import time
from collections.abc import Callable
from email.utils import format_datetime
from typing import Final, Protocol

from attrs import evolve
from typing_extensions import TypeVar

from mailproto import sasl
from mailproto._core.limits import SMTPServerLimits
from mailproto.backend.directory import Directory
from mailproto.backend.store import Draft, Maybe, Store
from mailproto.errors import LocalProtocolError, MailError, StoreError
from mailproto.flows.effects import Flow, call, call_blocking
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session
from mailproto.flows.smtp_server import Context, Handler, Origin
from mailproto.smtp import (
    NULL_PATH,
    AddressError,
    BodyType,
    Capabilities,
    Data,
    EndOfMessage,
    EnhancedCode,
    Mail,
    Mailbox,
    Offer,
    Rcpt,
    Reply,
)
from mailproto.smtp.address import check_domain
from mailproto.smtp.onward import Hop, mail_onward, rcpt_onward

__all__ = ["Delivery", "NextHop", "Role", "delivery_context"]

T = TypeVar("T")

_NO_SUCH_USER: Final = Reply(550, "No such user here", EnhancedCode(5, 1, 1))
_NO_RELAYING: Final = Reply(550, "Relaying denied", EnhancedCode(5, 7, 1))
# The store as a last hop: it takes any octets at once, and knows nothing of times to come or past.
_TAKEN: Final = "8BITMIME BINARYMIME CHUNKING CONPERM CONNEG DELIVERBY REQUIRETLS SMTPUTF8"
_STORE: Final = Capabilities("", dict.fromkeys(_TAKEN.split(), ()))
_HOP_UNREACHABLE: Final = Reply(451, "The next hop cannot be reached now", EnhancedCode(4, 4, 1))
_HOP_UNABLE: Final = Reply(554, "The next hop cannot take this message", EnhancedCode(5, 6, 3))


class Role(enum.Enum):
    """What a listener is for."""

    MX = "mx"
    """Takes mail for local domains from anyone and relays for nobody."""
    SUBMISSION = "submission"
    """Takes mail of authenticated users, and relays it (RFC 6409)."""
    LMTP = "lmtp"
    """Delivers to local mailboxes (RFC 2033)."""


class NextHop(Protocol):
    """A connection to the server that takes mail for other domains, EHLO already said."""

    @property
    def session(self) -> Session:
        """The conversation with it; make its machine with ``long_lines=True``."""
        ...

    def run(self, flow: Flow[T]) -> Maybe[T]:
        """Run a flow of ``session`` on the connection."""
        ...

    def close(self) -> Maybe[None]:
        """Close the connection, in whatever state it is."""
        ...


def delivery_context(
    role: Role,
    *,
    store: Store,
    directory: Directory,
    shutdown: Shutdown,
    offer: sasl.Offer | None = None,
    hostname: str = "localhost",
    next_hop: Callable[[], Maybe[NextHop]] | None = None,
    allow_insecure_auth: bool = False,
    smtp_offer: Offer | None = None,
    limits: SMTPServerLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Context:
    """The context of a listener that delivers into ``store`` and relays to ``next_hop``.

    ``next_hop`` connects to it; without one only local recipients are accepted. ``offer`` is used
    by ``SUBMISSION`` only. ``smtp_offer`` says which extensions are offered. Their parameters are
    passed on to the next hop as ``smtp.onward`` has it. Nothing here holds messages, converts
    content or writes notifications: offer no more than the next hop does. Other roles have no next
    hop, and leave out what only one can do. ``clock`` tells seconds.
    """
    submission = role is Role.SUBMISSION
    offered = Offer() if smtp_offer is None else smtp_offer
    if not submission:
        offered = evolve(offered, dsn=False, future_release=None, rrvs=False, mtrk=False, burl=None)
    return Context(
        handler=lambda origin: Delivery(
            origin,
            role=role,
            store=store,
            directory=directory,
            hostname=hostname,
            next_hop=next_hop if submission else None,
            clock=clock,
        ),
        shutdown=shutdown,
        hostname=hostname,
        lmtp=role is Role.LMTP,
        directory=directory if submission else None,
        sasl=offer if submission else None,
        require_auth=submission,
        allow_insecure_auth=allow_insecure_auth,
        offer=offered,
        limits=SMTPServerLimits() if limits is None else limits,
    )


class Delivery(Handler):
    """Delivers the mail of one connection."""

    def __init__(
        self,
        origin: Origin,
        *,
        role: Role,
        store: Store,
        directory: Directory,
        hostname: str,
        next_hop: Callable[[], Maybe[NextHop]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self._role = role
        self._store = store
        self._directory = directory
        self._hostname = hostname
        self._connect = next_hop
        self._clock = clock
        self._began = 0.0
        self._mail: Mail | None = None
        self._recipients: list[Rcpt] = []
        self._accounts: dict[str, None] = {}
        self._draft: Draft | None = None
        self._hop: NextHop | None = None
        # Whether the next hop has accepted a recipient of this transaction.
        self._promised = False
        self._received = b""

    def mail(self, mail: Mail) -> None:
        """Begin with an empty envelope."""
        self._began = self._clock()
        self._mail = mail
        self._recipients = []
        self._accounts = {}
        self._promised = False

    def rcpt(self, rcpt: Rcpt) -> Flow[Reply | None]:
        """Find the account, or ask the next hop."""
        path = rcpt.forward_path
        local_part, domain = (
            (path.local_part, path.domain) if isinstance(path, Mailbox) else ("postmaster", "")
        )
        account = yield from call_blocking(self._directory.account_for, local_part, domain)
        if account is not None:
            refusal = self._refusal_here(rcpt)
            if refusal is not None:
                return refusal
            self._accounts[account] = None
        elif not domain or (yield from call_blocking(self._directory.is_local, domain)):
            return _NO_SUCH_USER
        elif self._connect is None:
            return _NO_RELAYING
        else:
            refusal = yield from self._relay_to(rcpt)
            if refusal is not None:
                return refusal
        self._recipients.append(rcpt)
        return None

    def data(self) -> Flow[Reply | None]:
        """Make ready for the content here, and at the next hop."""
        if self._stranded:
            return _HOP_UNREACHABLE
        self._received = self._trace_field()
        if not self._promised:
            # It has refused all that were for it.
            yield from self._close_hop()
        if self._accounts and self._draft is None:
            # First, for it can be asked for again, and the next hop hears of DATA once.
            self._draft = yield from call(self._store.draft)
        if self._hop is not None:
            refusal: Reply | None = None
            if not self._binary:
                refusal = yield from self._at_hop(lambda session: session.call(Data()))
            if refusal is None:
                refusal = yield from self._hop_content(self._received)
            if refusal is not None:
                return refusal
        return None

    def content(self, data: bytes) -> Flow[Reply | None]:
        """Write it where it goes; what cannot be written is refused at the end."""
        if self._hop is not None:
            refusal = yield from self._hop_content(data)
            if refusal is not None:
                return refusal
        if self._draft is not None:
            yield from call(self._draft.write, data)
        return None

    def end(self) -> Flow[Reply | None]:
        """First the next hop, which may refuse, then the store; 250 when both have it."""
        hop = self._hop
        if hop is not None:
            refusal = yield from self._at_hop(self._end_at_hop)
            yield from self._close_hop()
            if refusal is not None:
                yield from self.abandon()
                return refusal
        draft = self._draft
        if draft is not None:
            copies = dict.fromkeys(self._accounts, self._return_path() + self._received)
            try:
                # Off the event loop: a durable store waits for the disk.
                yield from call_blocking(self._store.deliver, draft, copies)
            except StoreError:
                yield from self.abandon()
                raise
            self._draft = None
        return None

    def abandon(self) -> Flow[None]:
        """Drop what was written and leave the next hop without its end of content."""
        yield from self._close_hop()
        draft, self._draft = self._draft, None
        if draft is not None:
            yield from call(draft.discard)

    def _refusal_here(self, rcpt: Rcpt) -> Reply | None:
        """Why the store cannot have the message as it was asked for."""
        assert self._mail is not None
        here = Hop(_STORE, tls=True, elapsed=int(self._clock() - self._began))
        mail = mail_onward(self._mail, here)
        if isinstance(mail, Reply):
            return mail
        recipient = rcpt_onward(rcpt, self._mail, here)
        return recipient if isinstance(recipient, Reply) else None

    # --- the next hop

    @property
    def _stranded(self) -> bool:
        """Whether a next hop has left with recipients that were told that all is well.

        No other one knows of them: the client has to begin again.
        """
        return self._promised and self._hop is None

    @property
    def _binary(self) -> bool:
        """Whether the content has octets of any kind, and goes by BDAT."""
        return self._mail is not None and self._mail.body is BodyType.BINARY_MIME

    def _relay_to(self, rcpt: Rcpt) -> Flow[Reply | None]:
        assert self._mail is not None
        assert self._connect is not None
        if self._stranded:
            return _HOP_UNREACHABLE
        if self._hop is None:
            try:
                self._hop = yield from call_blocking(self._connect)
            except (MailError, OSError):
                return _HOP_UNREACHABLE
            # Who has submitted it is not said unless a client is believed (RFC 4954 section 5).
            mail = evolve(self._mail, auth=self._mail.auth or NULL_PATH)
            onward = mail_onward(mail, self._capable(self._hop))
            if isinstance(onward, Reply):
                refusal: Reply | None = onward
            else:
                command = onward.command
                refusal = yield from self._at_hop(lambda session: session.call(command))
            if refusal is not None:
                yield from self._close_hop()
                return refusal
        recipient = rcpt_onward(rcpt, self._mail, self._capable(self._hop))
        if isinstance(recipient, Reply):
            return recipient
        refusal = yield from self._at_hop(lambda session: session.call(recipient.command))
        self._promised = self._promised or refusal is None
        return refusal

    def _capable(self, hop: NextHop) -> Hop:
        session = hop.session
        assert session.capabilities is not None
        elapsed = int(self._clock() - self._began)
        return Hop(session.capabilities, session.machine.tls, elapsed)

    def _hop_content(self, data: bytes) -> Flow[Reply | None]:
        if self._binary:
            return (yield from self._at_hop(lambda session: session.chunk(data)))
        hop = self._hop
        assert hop is not None
        try:
            yield from call_blocking(lambda: hop.run(hop.session.content(data)))
        except LocalProtocolError:
            yield from self._close_hop()
            return _HOP_UNABLE
        except MailError:
            yield from self._close_hop()
            return _HOP_UNREACHABLE
        return None

    def _end_at_hop(self, session: Session) -> Flow[Reply]:
        if self._binary:
            return session.chunk(b"", last=True)
        return session.call(EndOfMessage())

    def _at_hop(self, flow: Callable[[Session], Flow[Reply]]) -> Flow[Reply | None]:
        """Run a flow at the next hop; its refusal, or ``None``."""
        hop = self._hop
        assert hop is not None
        try:
            reply = yield from call_blocking(lambda: hop.run(flow(hop.session)))
        except LocalProtocolError:
            return _HOP_UNABLE
        except MailError:
            yield from self._close_hop()
            return _HOP_UNREACHABLE
        if reply.positive:
            return None
        if reply.code == 421:
            # Here it would end the wrong session.
            yield from self._close_hop()
            return _HOP_UNREACHABLE
        return reply

    def _close_hop(self) -> Flow[None]:
        hop, self._hop = self._hop, None
        if hop is not None:
            try:
                yield from call_blocking(hop.close)
            except (MailError, OSError):
                # Its verdict, if there was one, is known by now.
                return

    # --- trace fields (RFC 5321 section 4.4)

    def _return_path(self) -> bytes:
        assert self._mail is not None
        return f"Return-Path: <{self._mail.reverse_path}>\r\n".encode()

    def _trace_field(self) -> bytes:
        """``Received:`` with where, how and when."""
        origin = self._origin
        assert self._mail is not None
        try:
            name = check_domain(origin.hello)
        except AddressError:
            name = "unknown"
        if origin.peer is not None and origin.peer.port:
            address = origin.peer.address
            name += f" ([{'IPv6:' if ':' in address else ''}{address}])"
        single = ""
        if len(self._recipients) == 1:
            single = f"\r\n\tfor <{self._recipients[0].forward_path}>"
        date = format_datetime(datetime.datetime.now(datetime.UTC))
        return (
            f"Received: from {name}\r\n\tby {self._hostname} with {self._protocol()}"
            f" id {secrets.token_hex(8)}{single};\r\n\t{date}\r\n"
        ).encode()

    def _protocol(self) -> str:
        """How it came (RFC 3848, RFC 6531 section 4.3)."""
        origin = self._origin
        assert self._mail is not None
        if not origin.extended:
            return "SMTP"
        utf8 = self._mail.smtputf8
        if self._role is Role.LMTP:
            name = "UTF8LMTP" if utf8 else "LMTP"
        else:
            name = "UTF8SMTP" if utf8 else "ESMTP"
        return f"{name}{'S' if origin.tls else ''}{'A' if origin.account is not None else ''}"
