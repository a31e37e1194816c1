"""IDLE (RFC 2177): what is new is told as it happens, until the client has had enough."""

from __future__ import annotations

from mailproto.flows.effects import Flow
from mailproto.flows.imap_server.answers import Answer, Refused, ok
from mailproto.flows.imap_server.session import Session
from mailproto.imap.commands import Done, Tagged
from mailproto.imap.events import InvalidCommand

__all__ = ["idle"]


def idle(session: Session, tagged: Tagged) -> Flow[Answer]:
    """IDLE; also without a selected mailbox, where there is nothing to tell."""
    session.idle(True)
    try:
        session.machine.accept()
        while True:
            if session.selected is not None:
                yield from session.refresh(session.selected)
                yield from session.report(session.selected, expunges=True)
            event = yield from session.event_or_news()
            if isinstance(event, Done):
                return ok("IDLE completed")
            if isinstance(event, InvalidCommand):
                raise Refused(Answer(event.state, event.problem, event.code))
    finally:
        session.idle(False)
