"""What a relay reports: what became of each recipient, and an account of every attempt.

Where no server has answered, the relay says itself what a server would have said, so that a
result reads the same wherever it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mailproto._core.frozen import frozen
from mailproto.errors import (
    AuthenticationFailed,
    CommandFailed,
    LocalProtocolError,
    MailError,
    RemoteProtocolError,
    SecurityError,
    TLSError,
)
from mailproto.flows.smtp_result import Outcome, RecipientResult, SendResult
from mailproto.smtp import (
    DeliverBy,
    EnhancedCode,
    ForwardPath,
    MailParameter,
    Notify,
    RcptParameter,
    Reply,
)

__all__ = [
    "NO_ADDRESS",
    "NO_SUCH_DOMAIN",
    "OUT_OF_TIME",
    "UNRESOLVED",
    "Attempt",
    "LeftOut",
    "RelayResult",
    "outcome_of",
    "reply_for",
]

NO_SUCH_DOMAIN: Final = Reply(550, "The domain does not exist", EnhancedCode(5, 1, 2))
UNRESOLVED: Final = Reply(451, "The DNS does not answer", EnhancedCode(4, 4, 3))
NO_ADDRESS: Final = Reply(451, "The host has no address", EnhancedCode(4, 4, 4))
OUT_OF_TIME: Final = Reply(451, "There was no time left to connect", EnhancedCode(4, 4, 1))

_LONGEST: Final = 400
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_REFUSAL: Final = re.compile(r"[0-9]{3} (?:([245])\.([0-9]{1,3})\.([0-9]{1,3}) )?(.*)", re.DOTALL)


@frozen
class LeftOut:
    """A parameter of the transaction that a host was not told."""

    forward_path: ForwardPath | None
    """The recipient that it came with; ``None`` for one of MAIL."""
    parameter: MailParameter | RcptParameter


@frozen
class Attempt:
    """One connection, or the attempt to make one."""

    host: str
    """As MX records or the smart host name it, or the address literal of a recipient."""
    address: str
    """What was connected to; empty when the host has no address."""
    tls: bool
    """Whether the connection was under TLS when it ended."""
    outcome: Outcome
    """DELIVERED if a recipient's message was taken; UNKNOWN if there was no reply to the content;
    else TEMPORARY if other hosts may take it, and PERMANENT if all recipients were refused."""
    replies: tuple[RecipientResult, ...]
    """What this host means for each recipient that was tried here. Without an answer from the
    server the reply is the relay's own."""
    error: Exception | None
    """What went wrong outside the replies: no connection, no TLS, a greeting of 5yz."""
    seconds: float
    """How long it took."""
    left_out: tuple[LeftOut, ...] = ()
    """The parameters of the message that this host was not told, since it has no extension for
    them. The sender is owed notice of some; see ``smtp.onward.Onward.left_out``."""


@frozen
class RelayResult(SendResult):
    """What became of a message that was relayed: ``recipients`` as after a plain ``send``.

    ``final`` is the last reply of any host to the content.
    """

    attempts: tuple[Attempt, ...]
    """In the order they were made."""

    @property
    def relayed(self) -> tuple[tuple[Attempt, RecipientResult], ...]:
        """To whom it went where nobody will notify: the sender is owed a "relayed" notification.

        That is so where NOTIFY had SUCCESS, or BY the trace, and the host that took the message
        could not be told (RFC 3461 section 5.2.2 (b), RFC 2852 section 4.1.4). Who has NOTIFY of
        NEVER is owed nothing, even where there is a trace.
        """
        return tuple(
            (attempt, recipient)
            for attempt in self.attempts
            for recipient in attempt.replies
            if recipient.outcome is Outcome.DELIVERED
            and any(_is_owed(left, recipient.forward_path) for left in attempt.left_out)
        )


def _is_owed(left: LeftOut, path: ForwardPath) -> bool:
    """Whether what a host was not told has somebody else tell that it has the message."""
    parameter = left.parameter
    if isinstance(parameter, Notify):
        return left.forward_path == path and "SUCCESS" in parameter.events
    return isinstance(parameter, DeliverBy) and parameter.trace


def outcome_of(results: Sequence[RecipientResult]) -> Outcome:
    """The outcome of an attempt, of which one recipient's decides."""
    outcomes = {result.outcome for result in results}
    order = (Outcome.DELIVERED, Outcome.UNKNOWN, Outcome.TEMPORARY)
    return next((outcome for outcome in order if outcome in outcomes), Outcome.PERMANENT)


def reply_for(host: str, error: MailError, *, reached: bool, requires_tls: bool) -> Reply:
    """The reply that stands for an error before any recipient was answered.

    ``reached`` says whether there was a connection.
    """
    if isinstance(error, CommandFailed) and not isinstance(error, AuthenticationFailed):
        return _refusal(error)
    code, enhanced = 451, EnhancedCode(4, 4, 2 if reached else 1)
    if isinstance(error, AuthenticationFailed):
        # The fault is in the settings, and no fault of the message.
        enhanced = EnhancedCode(4, 7, 8)
    elif isinstance(error, SecurityError | TLSError):
        if requires_tls:
            # RFC 8689 section 4.2.1
            code, enhanced = 550, EnhancedCode(5, 7, 10)
        else:
            enhanced = EnhancedCode(4, 7, 10)
    elif isinstance(error, LocalProtocolError):
        code, enhanced = 554, EnhancedCode(5, 6, 3)
    elif isinstance(error, RemoteProtocolError):
        enhanced = EnhancedCode(4, 5, 0)
    return Reply(code, _plain(f"{host}: {error}"), enhanced)


def _refusal(error: CommandFailed) -> Reply:
    """The server's reply, of which a CommandFailed has the text."""
    match = _REFUSAL.fullmatch(error.answer)
    assert match is not None
    assert error.code is not None
    enhanced = None
    if match[1]:
        enhanced = EnhancedCode(int(match[1]), int(match[2]), int(match[3]))
    return Reply(int(error.code), tuple(match[4].split("\n")), enhanced)


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:_LONGEST]
