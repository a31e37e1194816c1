"""What became of a message: one result for each recipient, for SMTP and LMTP alike.

Partial failure is data. Only ``check()`` makes an exception of it.
"""

from __future__ import annotations

import enum

from mailproto._core.frozen import frozen
from mailproto.errors import CommandFailed, OutcomeUnknown
from mailproto.flows.smtp_queue_id import queue_id
from mailproto.smtp import EnhancedCode, ForwardPath, Reply

__all__ = ["DeliveryFailed", "DeliveryUnknown", "Outcome", "RecipientResult", "SendResult"]


class Outcome(enum.Enum):
    """What a reply means for a recipient."""

    DELIVERED = "delivered"
    """The server has taken responsibility (2yz)."""
    TEMPORARY = "temporary"
    """Sending again later may succeed (4yz)."""
    PERMANENT = "permanent"
    """It will never succeed (5yz)."""
    UNKNOWN = "unknown"
    """The content was sent whole, but no reply to it came."""


@frozen
class RecipientResult:
    """What became of the message for one recipient."""

    forward_path: ForwardPath
    reply: Reply | None
    """The reply that decided: to the content, or the refusal of an earlier command."""

    @property
    def outcome(self) -> Outcome:
        """The verdict of ``reply``."""
        if self.reply is None:
            return Outcome.UNKNOWN
        if self.reply.positive:
            return Outcome.DELIVERED
        return Outcome.TEMPORARY if self.reply.temporary else Outcome.PERMANENT

    @property
    def enhanced(self) -> EnhancedCode | None:
        """The enhanced status code of ``reply``, where it has one (RFC 3463)."""
        return None if self.reply is None else self.reply.enhanced

    @property
    def queue_id(self) -> str | None:
        """What the server calls the message, where it says so; in LMTP each recipient's own."""
        return None if self.reply is None else queue_id(self.reply)


@frozen
class SendResult:
    """What became of a message."""

    recipients: tuple[RecipientResult, ...]
    """In the order they were given."""
    final: Reply | None
    """The last reply to the content, ``None`` if it was not sent or not answered."""

    @property
    def delivered(self) -> tuple[RecipientResult, ...]:
        """The recipients whose message was taken."""
        return tuple(r for r in self.recipients if r.outcome is Outcome.DELIVERED)

    @property
    def failed(self) -> tuple[RecipientResult, ...]:
        """The others."""
        return tuple(r for r in self.recipients if r.outcome is not Outcome.DELIVERED)

    @property
    def queue_id(self) -> str | None:
        """What the server calls the message, where it says so."""
        return None if self.final is None else queue_id(self.final)

    def check(self) -> None:
        """Raise DeliveryFailed unless every recipient's message was taken.

        Raises DeliveryUnknown where nothing was refused and a reply is missing.
        """
        if not self.failed:
            return
        for recipient in self.failed:
            if recipient.reply is not None:
                raise DeliveryFailed(recipient.forward_path, recipient.reply, self)
        raise DeliveryUnknown("no reply to the content has come", self)


class DeliveryFailed(CommandFailed):
    """A recipient's message was refused: the first such recipient, and its reply.

    ``result`` has them all; the connection stays usable.
    """

    def __init__(self, forward_path: ForwardPath, reply: Reply, result: SendResult) -> None:
        super().__init__(
            f"sending to <{forward_path}>",
            str(reply),
            code=str(reply.code),
            temporary=reply.temporary,
        )
        self.result = result


class DeliveryUnknown(OutcomeUnknown):
    """The content was sent whole, but the connection ended before all replies to it came.

    ``result`` is what is known: in LMTP some recipients may have their reply.
    """

    def __init__(self, message: str, result: SendResult) -> None:
        super().__init__(message)
        self.result = result
