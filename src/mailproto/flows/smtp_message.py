"""From ``email.message.EmailMessage`` to envelope and octets (RFC 5321 appendix B)."""

from __future__ import annotations

import copy
from email.generator import BytesGenerator
from email.message import Message
from email.policy import EmailPolicy
from email.utils import getaddresses
from io import BytesIO
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.smtp import Mailbox

__all__ = ["flatten", "recipients_of", "sender_of"]

_RECIPIENT_FIELDS: Final = ("To", "Cc", "Bcc")


def sender_of(message: Message) -> Mailbox:
    """The mailbox of Sender, or else the first of From. Raises LocalProtocolError."""
    for name in ("Sender", "From"):
        for mailbox in _mailboxes(message, (name,)):
            return mailbox
    raise LocalProtocolError("the message has neither Sender nor From")


def recipients_of(message: Message) -> list[Mailbox]:
    """Every mailbox of To, Cc and Bcc, once. Raises LocalProtocolError if there is none."""
    found = list(dict.fromkeys(_mailboxes(message, _RECIPIENT_FIELDS)))
    if not found:
        raise LocalProtocolError("the message has no recipient in To, Cc or Bcc")
    return found


def flatten(message: Message, *, utf8: bool, eight_bit: bool) -> bytes:
    """The message as octets with CRLF, without Bcc.

    ``utf8`` leaves non-ASCII header fields as they are (RFC 6532); without ``eight_bit`` parts
    with 8-bit octets are encoded anew.
    """
    if "Bcc" in message:
        message = copy.copy(message)
        del message["Bcc"]
    policy = message.policy.clone(linesep="\r\n")
    if not eight_bit:
        policy = policy.clone(cte_type="7bit")
    if isinstance(policy, EmailPolicy):
        policy = policy.clone(utf8=utf8)
    octets = BytesIO()
    BytesGenerator(octets, mangle_from_=False, policy=policy).flatten(message)
    return octets.getvalue()


def _mailboxes(message: Message, names: tuple[str, ...]) -> list[Mailbox]:
    fields = [str(value) for name in names for value in message.get_all(name, [])]
    return [Mailbox.parse(address) for _, address in getaddresses(fields) if address]
