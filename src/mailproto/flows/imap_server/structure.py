"""From ``mailproto.message`` to what IMAP sends about a message: envelope and body structure."""

from __future__ import annotations

from mailproto import message
from mailproto.imap.body_structure import BodyStructure, Disposition, MultiPart, SinglePart
from mailproto.imap.envelope import Address, Envelope

__all__ = ["body_structure", "envelope"]


def envelope(header: message.Header) -> Envelope:
    """The ENVELOPE of the message with that header."""
    found = message.envelope(header)
    from_ = _addresses(found.from_)
    return Envelope(
        found.date,
        found.subject,
        from_,
        from_ if found.sender is found.from_ else _addresses(found.sender),
        from_ if found.reply_to is found.from_ else _addresses(found.reply_to),
        _addresses(found.to),
        _addresses(found.cc),
        _addresses(found.bcc),
        found.in_reply_to,
        found.message_id,
    )


def _addresses(addresses: tuple[message.Address, ...]) -> tuple[Address, ...]:
    return tuple([Address(one.name, one.route, one.mailbox, one.host) for one in addresses])


def body_structure(root: message.Part) -> BodyStructure:
    """The BODYSTRUCTURE of a message, extension data included."""
    order: list[message.Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        order.append(part)
        waiting += part.parts
        if part.message is not None:
            waiting.append(part.message)
    # Inner parts come behind the outer ones, so that backwards they are done first.
    done: dict[int, BodyStructure] = {}
    for part in reversed(order):
        done[id(part)] = _structure(part, done)
    return done[id(root)]


def _structure(part: message.Part, done: dict[int, BodyStructure]) -> BodyStructure:
    kind = part.content_type
    disposition = part.disposition
    placed = None if disposition is None else Disposition(disposition.type, disposition.parameters)
    if part.parts:
        return MultiPart(
            tuple([done[id(inner)] for inner in part.parts]),
            kind.subtype,
            kind.parameters,
            placed,
            part.languages,
            part.location,
        )
    inner = part.message if kind.media == b"message/rfc822" else None
    return SinglePart(
        kind.type,
        kind.subtype,
        kind.parameters,
        part.id,
        part.description,
        part.encoding,
        part.size,
        part.lines if inner is not None or kind.type.lower() == b"text" else None,
        None if inner is None else envelope(inner.header),
        None if inner is None else done[id(inner)],
        part.md5,
        placed,
        part.languages,
        part.location,
    )
