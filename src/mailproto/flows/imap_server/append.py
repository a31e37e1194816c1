"""APPEND: the message goes to the store as it comes in, whatever its size."""

from __future__ import annotations

from mailproto.backend.store import NoSuchMailbox
from mailproto.flows.effects import Flow, call, call_blocking
from mailproto.flows.imap_server.answers import Answer, Refused, no, ok
from mailproto.flows.imap_server.changes import allowed_flags
from mailproto.flows.imap_server.names import store_name
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import Append, Tagged
from mailproto.imap.events import InvalidCommand
from mailproto.imap.response_code import CANNOT, TRYCREATE, AppendUid
from mailproto.imap.sequence_set import SequenceSet
from mailproto.imap.streamed import LiteralChunk, LiteralEnd, Streamed

__all__ = ["append"]


def append(session: Session, tagged: Tagged) -> Flow[Answer]:
    """APPEND: what can be refused is refused before the message is sent."""
    command = tagged.command
    assert isinstance(command, Append)
    name = store_name(command.mailbox)
    flags = allowed_flags(command.flags)
    if command.message == Streamed(0):
        return no("a message is not empty", CANNOT)
    try:
        yield from call(session.account.open, name)
    except NoSuchMailbox:
        return no("there is no such mailbox; it could be made", TRYCREATE)
    draft = yield from call(session.context.store.draft)
    try:
        session.machine.accept()
        while not isinstance(event := (yield from session.event()), LiteralEnd):
            if isinstance(event, LiteralChunk):
                yield from call(draft.write, event.data)
            elif isinstance(event, InvalidCommand):
                raise Refused(Answer(event.state, event.problem, event.code))
        # Off the event loop: a durable store waits for the disk.
        uid_validity, uid = yield from call_blocking(
            session.account.append, name, draft, flags, command.internal_date
        )
    except NoSuchMailbox:
        yield from call(draft.discard)
        return no("there is no such mailbox; it could be made", TRYCREATE)
    except Exception:
        yield from call(draft.discard)
        raise
    return ok("APPEND completed", AppendUid(uid_validity, SequenceSet(((uid, uid),))))
