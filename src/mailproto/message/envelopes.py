"""The ENVELOPE of a message (RFC 3501 section 7.4.2), made of its header; nothing is decoded."""

from __future__ import annotations

from mailproto._core.frozen import frozen
from mailproto.message.addresses import Address, parse_addresses
from mailproto.message.headers import Header

__all__ = ["Envelope", "envelope"]


@frozen
class Envelope:
    """What an ENVELOPE tells; ``None`` or an empty tuple where the field is absent."""

    date: bytes | None
    subject: bytes | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    """As ``from_`` where there is no Sender field."""
    reply_to: tuple[Address, ...]
    """As ``from_`` where there is no Reply-To field."""
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to: bytes | None
    message_id: bytes | None


def envelope(header: Header) -> Envelope:
    """The envelope of the message with this header.

    Of a field that occurs more than once the first counts; addresses are taken from all.
    """
    texts = dict[bytes, bytes]()
    addresses = dict[bytes, tuple[Address, ...]]()
    for field in header.fields:
        name = field.name.lower()
        if name in _TEXTS:
            texts.setdefault(name, field.value)
        elif name in _ADDRESSES:
            found = parse_addresses(field.value)
            addresses[name] = addresses[name] + found if name in addresses else found
    from_ = addresses.get(b"from", ())
    return Envelope(
        texts.get(b"date"),
        texts.get(b"subject"),
        from_,
        addresses.get(b"sender") or from_,
        addresses.get(b"reply-to") or from_,
        addresses.get(b"to", ()),
        addresses.get(b"cc", ()),
        addresses.get(b"bcc", ()),
        texts.get(b"in-reply-to"),
        texts.get(b"message-id"),
    )


_TEXTS = frozenset({b"date", b"subject", b"in-reply-to", b"message-id"})
_ADDRESSES = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
