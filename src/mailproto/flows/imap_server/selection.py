"""Selecting a mailbox and leaving it again."""

from __future__ import annotations

from mailproto.backend.store import NoSuchMailbox
from mailproto.flows.effects import Flow, call
from mailproto.flows.imap_server.answers import Answer, ok
from mailproto.flows.imap_server.names import store_name
from mailproto.flows.imap_server.selected import open_mailbox
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import Examine, Select, Tagged
from mailproto.imap.flags import ANY_KEYWORD, SEEN
from mailproto.imap.response_code import READ_ONLY, READ_WRITE, NumberCode, PermanentFlags
from mailproto.imap.responses import OK, Condition, ExistsData, FlagsData, RecentData

__all__ = ["close", "select", "unselect"]


def select(session: Session, tagged: Tagged) -> Flow[Answer]:
    """SELECT and EXAMINE. A mailbox that was selected is so no more, even if this fails."""
    command = tagged.command
    assert isinstance(command, Select | Examine)
    read_only = isinstance(command, Examine)
    session.selected = None
    mailbox = yield from call(session.account.open, store_name(command.mailbox))
    selected, status = yield from open_mailbox(mailbox, read_only=read_only)
    tracker = selected.tracker
    session.send(FlagsData(selected.flags))
    session.send(ExistsData(len(tracker)))
    session.send(RecentData(tracker.recent))
    for number, message in enumerate(tracker, 1):
        if SEEN not in message.flags:
            session.send(Condition(OK, "first unseen message", NumberCode("UNSEEN", number)))
            break
    permanent = () if read_only else (*selected.flags, ANY_KEYWORD)
    session.send(Condition(OK, "flags that stay", PermanentFlags(permanent)))
    uid_next = max(status.uid_next, tracker.uids[-1] + 1 if len(tracker) else 1)
    session.send(Condition(OK, "next UID", NumberCode("UIDNEXT", uid_next)))
    session.send(Condition(OK, "UIDs are valid", NumberCode("UIDVALIDITY", status.uid_validity)))
    session.selected = selected
    name = "EXAMINE" if read_only else "SELECT"
    return ok(f"{name} completed", READ_ONLY if read_only else READ_WRITE)


def close(session: Session, tagged: Tagged) -> Flow[Answer]:
    r"""CLOSE: expunges without telling, unless the mailbox is read-only."""
    selected, session.selected = session.selected, None
    if selected is not None and not selected.read_only:
        try:
            yield from call(selected.mailbox.expunge)
        except NoSuchMailbox:
            pass
    return ok("CLOSE completed")


def unselect(session: Session, tagged: Tagged) -> Flow[Answer]:
    """UNSELECT (RFC 3691): expunges nothing."""
    session.selected = None
    yield from ()
    return ok("UNSELECT completed")
