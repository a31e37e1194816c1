"""How a server that ends tells its sessions: one ``Shutdown`` for all, one ``Wakeup`` for each.

A session registers the wakeup that it waits with; when the server ends, the session is woken out
of its ``Read``, sees ``requested``, tells its peer (421, BYE, -ERR) and returns. A session that is
busy with a command finishes it first, so nothing that was accepted is lost.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from mailproto.flows.effects import Wakeup

__all__ = ["Shutdown"]


class Shutdown:
    """The wish of a server to end, known to all its sessions; usable from any thread.

    ::

        wakeup = Wakeup()
        with shutdown.watch(wakeup):
            data = yield from read(wakeup)
            if data is None and shutdown.requested:
                ...  # say goodbye and return
    """

    __slots__ = ("_lock", "_requested", "_wakeups")

    def __init__(self) -> None:
        self._lock = Lock()
        self._requested = False
        self._wakeups: set[Wakeup] = set()

    @property
    def requested(self) -> bool:
        """Whether sessions are to end at the next point where the protocol allows it."""
        return self._requested

    def request(self) -> None:
        """Wake every session, and at once those that begin later."""
        with self._lock:
            self._requested = True
            waiting = tuple(self._wakeups)
        for wakeup in waiting:
            wakeup.set()

    @contextmanager
    def watch(self, wakeup: Wakeup) -> Generator[None]:
        """Have ``wakeup`` set by ``request``, for as long as the context lasts."""
        with self._lock:
            self._wakeups.add(wakeup)
            requested = self._requested
        if requested:
            wakeup.set()
        try:
            yield
        finally:
            with self._lock:
                self._wakeups.discard(wakeup)
