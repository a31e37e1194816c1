"""When to send again, to whom, and what to give back (RFC 5321 section 4.5.4.1).

Nothing here keeps a queue or knows the time: an application that has a queue asks ``advise``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.flows.smtp_result import Outcome, RecipientResult, SendResult
from mailproto.smtp import ForwardPath

__all__ = ["Advice", "Bounce", "Schedule", "advise"]

_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


@frozen
class Schedule:
    """How long to wait between two attempts, in seconds: longer each time, up to a bound.

    The default waits half an hour, an hour, two hours, then three hours each time, and gives up
    after five days.
    """

    first: float = 30 * _MINUTE
    """After the first attempt; the RFC wants at least 30 minutes."""
    factor: float = 2.0
    """What each wait is multiplied by for the next one."""
    longest: float = 3 * _HOUR
    """No wait is longer."""
    give_up_after: float = 5 * _DAY
    """The age of a message at which failed recipients are not tried again; the RFC wants at least
    four to five days. Notifications may have less."""

    def wait(self, attempts: int) -> float:
        """Seconds to wait after so many attempts."""
        wait = self.first
        for _ in range(attempts - 1):
            if wait >= self.longest or self.factor <= 1.0:
                break
            wait *= self.factor
        return min(wait, self.longest)


@frozen
class Bounce:
    """A recipient whose failure the sender is to be told."""

    recipient: RecipientResult
    """Its last result."""
    expired: bool
    """Whether it was given up for its age, and not refused for good: status 4.4.7 (RFC 3463)."""


@frozen
class Advice:
    """What to do with a message after an attempt."""

    retry: tuple[ForwardPath, ...]
    """Whom to send it to again."""
    after: float | None
    """Seconds to wait before that; ``None`` when there is nobody to try again."""
    bounce: tuple[Bounce, ...]
    """Who has failed for good in the last attempt. Tell the reverse-path, unless that is
    ``NULL_PATH``, which nothing is ever returned to (RFC 5321 section 4.5.5)."""


def advise(
    results: Sequence[SendResult], *, age: float, schedule: Schedule | None = None
) -> Advice:
    """What follows from all attempts so far to deliver one message, the last one last.

    ``age`` is the time in seconds since the message was accepted. The last attempt decides:
    recipients that it did not try were settled by an earlier one. A refusal of 4yz is tried again.
    So is an unknown outcome, since of a duplicate and a loss the RFC prefers the duplicate
    (section 6.1). Raises ValueError without results.
    """
    if not results:
        raise ValueError("no attempt has been made yet")
    chosen = Schedule() if schedule is None else schedule
    expired = age >= chosen.give_up_after
    retry: list[ForwardPath] = []
    bounce: list[Bounce] = []
    for recipient in results[-1].failed:
        if recipient.outcome is Outcome.PERMANENT:
            bounce.append(Bounce(recipient, expired=False))
        elif expired:
            bounce.append(Bounce(recipient, expired=True))
        else:
            retry.append(recipient.forward_path)
    after = chosen.wait(len(results)) if retry else None
    return Advice(tuple(retry), after, tuple(bounce))
