"""How a POP3 server is set: what it offers, and what it allows its users."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import field

from mailproto import pop3
from mailproto._core.frozen import frozen
from mailproto.backend.store import Maybe
from mailproto.flows.pop3_maildrop import Internationalized, Sizes
from mailproto.flows.pop3_texts import Translation
from mailproto.flows.serving import Peer

__all__ = ["Logins", "Options", "Policy"]


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


@frozen
class Options:
    """What is particular to POP3 in a server.

    ::

        Options(policy=Policy(login_delay=60), languages=[Translation("es", "Español", texts)])
    """

    policy: Policy = Policy()
    """What holds for all accounts; where they differ, the longest delay and the shortest time."""
    policy_of: Callable[[str], Maybe[Policy]] | None = None
    """What holds for one account; before login CAPA then says USER behind ``policy``."""
    internationalized: Internationalized = Internationalized.SURROGATE
    """What a client gets of mail with headers beyond ASCII before it has said UTF8."""
    languages: Sequence[Translation] = ()
    """Languages beside English for LANG, the preferred one first; without any it is not offered."""
    rpop: Callable[[Peer, str, str], Maybe[bool]] | None = None
    """Whether the host of a client, which speaks from a port below 1024, may open the mail of the
    user that USER has named for the user that RPOP names; ``None`` leaves RPOP off."""
    last: bool = False
    """Offer LAST, which RFC 1725 has removed."""
    apop_password: Callable[[str], Maybe[str | None]] | None = None
    """The password in clear of a user, which APOP needs; ``None`` leaves APOP off. The account is
    the user's name. See ``pop3.Apop`` for why to leave it off."""
    limits: pop3.POP3ServerLimits = pop3.POP3ServerLimits()
    logins: Logins = field(factory=Logins, repr=False)
    """When each account has logged in, for ``Policy.login_delay``."""
    sizes: Sizes = field(factory=Sizes, repr=False)
    """What sessions have found out about messages."""
