"""What became of a message: one result for each recipient, for SMTP and LMTP alike.

Partial failure is data. Only ``check()`` makes an exception of it.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.errors import CommandFailed, OutcomeUnknown
from mailproto.smtp import ForwardPath, Reply

__all__ = ["DeliveryUnknown", "Outcome", "RecipientResult", "SendResult"]

# "queued as 4XyzAB" of Postfix and others, "id=1abcde-0001-XY" of Exim
_QUEUE_ID: Final = re.compile(r"(?:\bqueued as <?|\bid=)([A-Za-z0-9._-]{1,64})")


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
        match = _QUEUE_ID.search(self.final.text) if self.final and self.final.positive else None
        return match[1] if match else None

    def check(self) -> None:
        """Raise CommandFailed unless every recipient's message was taken.

        Raises DeliveryUnknown where nothing was refused and a reply is missing.
        """
        if not self.failed:
            return
        for recipient in self.failed:
            if recipient.reply is not None:
                raise CommandFailed(
                    f"sending to <{recipient.forward_path}>",
                    str(recipient.reply),
                    code=str(recipient.reply.code),
                    temporary=recipient.reply.temporary,
                )
        raise DeliveryUnknown("no reply to the content has come", self)


class DeliveryUnknown(OutcomeUnknown):
    """The content was sent whole, but the connection ended before all replies to it came.

    ``result`` is what is known: in LMTP some recipients may have their reply.
    """

    def __init__(self, message: str, result: SendResult) -> None:
        super().__init__(message)
        self.result = result
