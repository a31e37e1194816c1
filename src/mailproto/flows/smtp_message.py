"""From ``email.message.EmailMessage`` to envelope and octets (RFC 5321 appendix B)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from email.encoders import encode_base64
from email.generator import BytesGenerator
from email.message import Message
from email.policy import EmailPolicy
from email.utils import getaddresses
from io import BytesIO
from typing import Final

from mailproto.errors import LocalProtocolError
from mailproto.flows.smtp_content import Content
from mailproto.smtp import ForwardPath, Mail, Mailbox, Rcpt, ReversePath, SpecialPath

__all__ = ["BLIND_FIELDS", "envelope_of", "flatten", "needs_utf8", "recipients_of", "sender_of"]

_SENDER_FIELDS: Final = ("Sender", "From")
_RECIPIENT_FIELDS: Final = ("To", "Cc", "Bcc")
_ADDRESS_FIELDS: Final = ("From", "Sender", "Reply-To", "To", "Cc")
BLIND_FIELDS: Final = ("Bcc", "Resent-Bcc")
"""What only the sender may see (RFC 5322 sections 3.6.3 and 3.6.6)."""


def envelope_of(
    content: Content,
    reverse_path: Mail | ReversePath | str | None,
    forward_paths: Iterable[ForwardPath | Rcpt | str] | None,
) -> tuple[Mail, list[Rcpt]]:
    """The paths as given, and those of the header of a ``Message`` where they are not.

    Raises ValueError where there are none, AddressError for text that is no address, TypeError for
    one text instead of several.
    """
    message = content if isinstance(content, Message) else None
    if reverse_path is None:
        if message is None:
            raise ValueError("octets have no envelope: give the reverse-path")
        reverse_path = sender_of(message)
    elif isinstance(reverse_path, str):
        reverse_path = Mailbox.parse(reverse_path) if reverse_path else SpecialPath.NULL
    mail = reverse_path if isinstance(reverse_path, Mail) else Mail(reverse_path)
    if forward_paths is None:
        if message is None:
            raise ValueError("octets have no envelope: give the forward-paths")
        forward_paths = recipients_of(message)
    elif isinstance(forward_paths, str):
        raise TypeError(f"forward_paths are several: write [{forward_paths!r}]")
    recipients = [_recipient(path) for path in forward_paths]
    if not recipients:
        raise ValueError("a message needs at least one recipient")
    return mail, recipients


def _recipient(path: ForwardPath | Rcpt | str) -> Rcpt:
    if isinstance(path, Rcpt):
        return path
    return Rcpt(Mailbox.parse(path) if isinstance(path, str) else path)


def sender_of(message: Message) -> Mailbox:
    """The mailbox of Sender, or else the first of From. Raises LocalProtocolError.

    Of a message that was resent it is that of Resent-Sender or Resent-From.
    """
    names = _current(message, _SENDER_FIELDS)
    for name in names:
        for mailbox in _mailboxes(message, (name,)):
            return mailbox
    raise LocalProtocolError("the message has neither {} nor {}".format(*names))


def recipients_of(message: Message) -> list[Mailbox]:
    """Every mailbox of To, Cc and Bcc, once. Raises LocalProtocolError if there is none.

    Of a message that was resent they are those of Resent-To, Resent-Cc and Resent-Bcc.
    """
    names = _current(message, _RECIPIENT_FIELDS)
    found = list(dict.fromkeys(_mailboxes(message, names)))
    if not found:
        raise LocalProtocolError("the message has no recipient in {}, {} or {}".format(*names))
    return found


def needs_utf8(message: Message) -> bool:
    """Whether an address in the header is not ASCII: it has no other form (RFC 6532 section 3.2).

    Only the names beside addresses can be encoded words.
    """
    names = [prefix + name for name in _ADDRESS_FIELDS for prefix in ("", "Resent-")]
    return not all(address.isascii() for address in _addresses(message, names))


def flatten(message: Message, *, utf8: bool, eight_bit: bool) -> bytes:
    """The message as octets with CRLF, without Bcc and Resent-Bcc, and without binary parts.

    ``utf8`` leaves non-ASCII header fields as they are (RFC 6532), and without it there are none;
    without ``eight_bit`` parts with 8-bit octets are encoded anew. Raises LocalProtocolError where
    they do not say what they are in.
    """
    if any(name in message for name in BLIND_FIELDS):
        message = copy.copy(message)
        for name in BLIND_FIELDS:
            del message[name]
    message = _without_binary(message)
    octets = _flattened(message, utf8=utf8, eight_bit=eight_bit)
    head, end, body = octets.partition(b"\r\n\r\n")
    if utf8 or head.isascii():
        return octets
    # Fields that came with such octets are encoded only where all of a message is.
    fields = copy.copy(message)
    fields.set_payload("")
    head = _flattened(fields, utf8=False, eight_bit=False).partition(b"\r\n\r\n")[0]
    return head + end + body


def _flattened(message: Message, *, utf8: bool, eight_bit: bool) -> bytes:
    policy = message.policy.clone(linesep="\r\n")
    if not eight_bit:
        policy = policy.clone(cte_type="7bit")
    if isinstance(policy, EmailPolicy):
        policy = policy.clone(utf8=utf8)
    octets = BytesIO()
    try:
        BytesGenerator(octets, mangle_from_=False, policy=policy).flatten(message)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            f"the message has text beyond ASCII without a charset to encode it anew: {error}"
        ) from error
    return octets.getvalue()


def _without_binary(message: Message) -> Message:
    """``message`` with base64 in place of binary, whose CR and LF would be taken for line ends."""
    if not any(_is_binary(part) for part in message.walk()):
        return message
    message = copy.deepcopy(message)
    for part in message.walk():
        if _is_binary(part):
            del part["Content-Transfer-Encoding"]
            encode_base64(part)
    return message


def _is_binary(part: Message) -> bool:
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    return encoding == "binary" and not part.is_multipart()


def _current(message: Message, names: tuple[str, ...]) -> tuple[str, ...]:
    """The fields that say where the message goes now: those of its resending, if there was one.

    Where each of several resendings begins and ends its fields do not tell.
    """
    times = len(message.get_all("Resent-Date", []))
    if times > 1:
        raise LocalProtocolError(
            f"the message was resent {times} times: give the reverse-path and the forward-paths"
        )
    return tuple([f"Resent-{name}" for name in names]) if times else names


def _mailboxes(message: Message, names: tuple[str, ...]) -> list[Mailbox]:
    return [Mailbox.parse(address) for address in _addresses(message, names)]


def _addresses(message: Message, names: Sequence[str]) -> list[str]:
    fields = [str(value) for name in names for value in message.get_all(name, [])]
    return [address for _, address in getaddresses(fields) if address]
