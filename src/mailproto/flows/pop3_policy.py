"""What a POP3 server allows its users: how often to log in, and how long mail may stay."""

from __future__ import annotations

import time
from collections.abc import Callable

from mailproto import pop3
from mailproto._core.frozen import frozen

__all__ = ["Logins", "Policy"]


@frozen
class Policy:
    """What holds for one account, or for all (RFC 2449 sections 6.5 and 6.7)."""

    login_delay: int = 0
    """Seconds after a login before the next one is taken; 0: none."""
    expire: pop3.Expire | None = pop3.Expire(None)
    """How long mail may stay, as CAPA tells it; something else has to remove it then. With 0 days
    what RETR has sent is removed by QUIT. ``None``: nothing is told."""


class Logins:
    """When each account has logged in, for LOGIN-DELAY; ``clock`` gives seconds."""

    __slots__ = ("_clock", "_times")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # One entry for an account that exists.
        self._times: dict[str, float] = {}

    def wait(self, account: str, delay: int) -> int:
        """Seconds until the account may log in, 0 if it may now."""
        last = self._times.get(account)
        if not delay or last is None:
            return 0
        left = last + delay - self._clock()
        return max(0, -int(-left // 1))

    def note(self, account: str) -> None:
        """The account has logged in now."""
        self._times[account] = self._clock()
