"""Fetching new mail by POP3, each message once, however often a run is interrupted.

Two rules make it so: a message and the memory of its unique-id are kept in one step, and nothing
is deleted on the server before that. A run that ends anywhere leaves every message either kept or
still on the server, and the next run goes on from there.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.backend.downloads import Arrivals
from mailproto.flows.effects import Flow, call_blocking
from mailproto.flows.pop3_client import Session

__all__ = ["Downloaded", "download"]

_DAY: Final = 86_400.0


@frozen
class Downloaded:
    """What a run has done."""

    received: int
    """Messages that were new, and kept."""
    removed: int
    """Messages removed from the server."""
    left: int
    """Messages that stay on the server."""


def download(
    session: Session, arrivals: Arrivals, *, now: float, leave_days: float | None = 0
) -> Flow[Downloaded]:
    """Receive what is new, remove what may go, and end the session with QUIT.

    ``session`` is logged in. ``leave_days`` is how long a message stays on the server after it
    was received: 0 removes it at once, ``None`` never; ``now`` is the time in seconds, from the
    same clock in every run. Raises CommandFailed if the server has no UIDL, or could not remove
    what was deleted: the next run does that then. What ``arrivals`` raises ends the session, and
    nothing is removed.
    """
    kept = dict((yield from call_blocking(arrivals.kept)))
    unique_ids = yield from session.uidl()
    received = removed = 0
    for message, unique_id in unique_ids.items():
        # Identical messages may have one unique-id (RFC 1939 section 7): one of them is enough.
        if unique_id not in kept:
            yield from _receive(session, arrivals, message, unique_id, now)
            kept[unique_id] = now
            received += 1
        if leave_days is not None and now - kept[unique_id] >= leave_days * _DAY:
            yield from session.delete(message)
            removed += 1
    yield from session.quit()
    gone = kept.keys() - unique_ids.values()
    if gone:
        yield from call_blocking(arrivals.forget, gone)
    return Downloaded(received, removed, len(unique_ids) - removed)


def _receive(
    session: Session, arrivals: Arrivals, message: int, unique_id: str, now: float
) -> Flow[None]:
    incoming = yield from call_blocking(arrivals.begin, unique_id, now)
    try:
        yield from session.retrieve_into(message, incoming.write)
    except Exception:
        yield from call_blocking(incoming.discard)
        raise
    except BaseException:
        # The driver has cut the session: nothing can be awaited any more.
        discarding = incoming.discard()
        if iscoroutine(discarding):
            discarding.close()
        raise
    yield from call_blocking(incoming.keep)
