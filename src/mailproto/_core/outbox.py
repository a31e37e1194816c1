"""Octets that wait to be sent, and the points where sending must wait for the peer.

A synchronizing literal (RFC 9051 section 4.3) ends what may be sent until the server asks for
more: ``hold()`` marks that point, ``release()`` opens it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outbox"]


class Outbox:
    """A queue of octets with wait points."""

    __slots__ = ("_behind", "_ready", "write")

    def __init__(self) -> None:
        self._ready: list[bytes] = []
        self.write: Callable[[bytes], None] = self._ready.append
        """Queue octets behind everything written before."""
        # One list for each wait point that is still closed, oldest first.
        self._behind: deque[list[bytes]] = deque()

    def __bool__(self) -> bool:
        """Whether ``take`` would return something."""
        return bool(self._ready)

    @property
    def holding(self) -> int:
        """How many wait points are still closed."""
        return len(self._behind)

    def hold(self) -> None:
        """Let nothing that is written from now on out before one more ``release``."""
        behind: list[bytes] = []
        self._behind.append(behind)
        self.write = behind.append

    def release(self) -> None:
        """Open the oldest wait point."""
        self._ready += self._behind.popleft()
        if not self._behind:
            self.write = self._ready.append

    def abandon(self) -> None:
        """Forget what waits behind the wait points, and the wait points."""
        self._behind.clear()
        self.write = self._ready.append

    def take(self) -> bytes:
        """Everything that may be sent now; it is the caller's from here on."""
        # One piece is not copied.
        data = b"".join(self._ready)
        self._ready.clear()
        return data

    def clear(self) -> None:
        """Forget everything that waits."""
        self._ready.clear()
        self.abandon()
