"""What an application decides about the mail of one connection to a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from attrs import define
from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.flows.effects import Flow
from mailproto.flows.serving import Peer
from mailproto.flows.smtp_client import Session
from mailproto.smtp import (
    Atrn,
    Burl,
    EnhancedCode,
    Etrn,
    Mail,
    OtherCommand,
    Rcpt,
    Reply,
)

__all__ = ["Answer", "Handler", "Origin", "Resume"]

T = TypeVar("T")

Answer: TypeAlias = T | Awaitable[T] | Flow[T]
"""What a method of a handler returns: a value, an awaitable of it (under ``aio`` only), or a flow
that ends with it."""


@frozen
class Resume:
    """Go on with a transaction that was interrupted (RFC 1845): the content is here in part."""

    offset: int
    """How many octets of it; for content after DATA an offset at which a line begins."""
    recipients: int
    """How many recipients were accepted."""


@define
class Origin:
    """Who is at the other end, as far as the session knows by now."""

    peer: Peer | None
    tls: bool
    hello: str = ""
    """The domain or address literal of EHLO, HELO or LHLO, unverified."""
    extended: bool = False
    """Whether it was EHLO or LHLO."""
    account: str | None = None
    """The account that AUTH has opened, or that a trusted client has named by XCLIENT."""
    attributes: Mapping[str, str] = MappingProxyType({})
    """What a trusted client has said by XCLIENT, and by XFORWARD of this transaction: ``NAME``,
    ``ADDR`` and so on."""


class Handler(ABC):
    """What an application decides about the mail of one connection.

    ``None`` accepts; a ``Reply`` of 4yz or 5yz refuses. Methods are called in the order of the
    protocol; ``mail`` begins a transaction, ``end`` or ``abandon`` ends it. A StoreError that
    leaves a method becomes a 452 or 451; any other exception, and one of ``abandon`` or
    ``interrupted``, ends the session by 421 and is logged.
    """

    __slots__ = ()

    def mail(self, mail: Mail) -> Answer[Reply | Resume | None]:
        """A transaction begins; one with TRANSID may be answered by ``Resume``."""
        return None

    @abstractmethod
    def rcpt(self, rcpt: Rcpt) -> Answer[Reply | None]:
        """One more recipient. Accept only what ``end`` can take responsibility for."""

    def data(self) -> Answer[Reply | None]:
        """The content is about to come, for at least one recipient."""
        return None

    @abstractmethod
    def content(self, data: bytes) -> Answer[Reply | None]:
        """A piece of the content, cut anywhere. A refusal is kept for the end."""

    @abstractmethod
    def end(self) -> Answer[Reply | Sequence[Reply] | None]:
        """The content is complete: when this accepts, the message is the server's to lose.

        In LMTP a sequence has a reply for each accepted recipient; one reply is for all.
        """

    def abandon(self) -> Answer[None]:
        """The transaction is over without ``end``: nothing of it counts."""
        return None

    def interrupted(self) -> Answer[None]:
        """The connection was lost inside the transaction; by default the same as ``abandon``.

        Where CHECKPOINT is offered and MAIL had a TRANSID, keep what has come for ``Resume``.
        """
        return self.abandon()

    def verify(self, text: str) -> Answer[Reply | None]:
        """VRFY; ``None`` says 252, that mail will show."""
        return None

    def expand(self, text: str) -> Answer[Reply | None]:
        """EXPN; ``None`` says 502, that it is not implemented. Asked only if it is offered."""
        return None

    def etrn(self, command: Etrn) -> Answer[Reply | None]:
        """ETRN: start to send what waits for a node; ``None`` says 250, that it has begun.

        251 says that nothing waits, 252 and 253 that something does. Asked only if it is offered.
        """
        return Reply(458, "Unable to queue messages for this node", EnhancedCode(4, 3, 0))

    def atrn(self, command: Atrn) -> Answer[Reply | None]:
        """ATRN: the client wants its mail on this connection; ``None`` says 250 and turns it round.

        450 refuses, 451 puts off, 453 says that there is none. Asked only if it is offered.
        """
        return Reply(450, "ATRN request refused", EnhancedCode(4, 7, 0))

    def turned_round(self, session: Session) -> Answer[None]:
        """After ATRN: the client is a server now, which has answered the EHLO of ``session``.

        A flow (``yield from session.send(...)``) sends what waits; QUIT is said behind it.
        """
        return None

    def burl(self, command: Burl) -> Answer[Reply | bytes]:
        """BURL: the octets that the URL stands for, or a refusal.

        They are judged like all content, and come to ``content``. Asked only if it is offered,
        and after a login, for the URLs that were offered and of which the login is the submitter.
        """
        return Reply(554, "IMAP URL resolution failed", EnhancedCode(5, 6, 6))

    def other(self, command: OtherCommand) -> Answer[Reply | None]:
        """A command without a class; ``None`` says 500, that it is not known."""
        return None
