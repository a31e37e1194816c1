"""What a MAIL may not ask of a server that has offered this: one text for both sides.

A server refuses with the reply; a client does not send the command.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Final

from mailproto.smtp.commands import Mail
from mailproto.smtp.extensions import Capabilities
from mailproto.smtp.parameter_values import parse_mail_parameter
from mailproto.smtp.parameters import (
    DeliverBy,
    HoldFor,
    HoldUntil,
    MailParameter,
    Parameter,
    Solicit,
)
from mailproto.smtp.replies import EnhancedCode, Reply

__all__ = ["beyond", "too_large"]

_BAD_ARGUMENTS: Final = EnhancedCode(5, 5, 4)


def beyond(
    mail: Mail, offered: Capabilities, now: Callable[[], datetime.datetime] | None = None
) -> Reply | None:
    """The reply to a MAIL that asks for more than was offered; ``None`` for one that does not.

    Without ``now`` a HOLDUNTIL cannot be held against BY.
    """
    most = offered.size
    if mail.size is not None and most is not None and mail.size > most:
        return too_large(most)
    if not mail.parameters:
        return None
    parameters = [_typed(parameter) for parameter in mail.parameters]
    for parameter in parameters:
        rule = _RULES.get(type(parameter))
        reply = None if rule is None else rule(parameter, offered)
        if reply is not None:
            return reply
    return _hold_beyond_delivery(parameters, now)


def too_large(most: int) -> Reply:
    """The answer to a message over the limit (RFC 1870 section 6)."""
    return Reply(552, f"Message larger than {most} octets", EnhancedCode(5, 3, 4))


def _typed(parameter: MailParameter) -> MailParameter | None:
    if isinstance(parameter, Parameter):
        return parse_mail_parameter(parameter.keyword, parameter.value)
    return parameter


def _deliver_by(parameter: DeliverBy, offered: Capabilities) -> Reply | None:
    least = offered.deliver_by
    if parameter.mode == "R" and parameter.seconds < least:
        # RFC 2852 section 4: 555 where the condition is permanent.
        return Reply(555, f"BY is less than {least} seconds", _BAD_ARGUMENTS)
    return None


def _hold_for(parameter: HoldFor, offered: Capabilities) -> Reply | None:
    bounds = offered.future_release
    if bounds is not None and parameter.seconds > bounds.interval:
        return Reply(501, f"HOLDFOR is more than {bounds.interval} seconds", _BAD_ARGUMENTS)
    return None


def _hold_until(parameter: HoldUntil, offered: Capabilities) -> Reply | None:
    bounds = offered.future_release
    if bounds is not None and parameter.time > bounds.until:
        return Reply(501, f"HOLDUNTIL is later than {bounds.until.isoformat()}", _BAD_ARGUMENTS)
    return None


def _solicit(parameter: Solicit, offered: Capabilities) -> Reply | None:
    unwanted = {name.lower() for name in offered.no_soliciting}
    found = [name for name in parameter.keywords if name.lower() in unwanted]
    if found:
        # RFC 3865 section 2.4
        return Reply(550, f"SOLICIT={','.join(found)}", EnhancedCode(5, 7, 1))
    return None


def _hold_beyond_delivery(
    parameters: list[MailParameter | None], now: Callable[[], datetime.datetime] | None
) -> Reply | None:
    """RFC 4865 section 5.2: held for longer than it may take to deliver."""
    by = next((p.seconds for p in parameters if isinstance(p, DeliverBy)), None)
    if by is None:
        return None
    for hold in parameters:
        if isinstance(hold, HoldFor) and hold.seconds > by:
            return Reply(501, "HOLDFOR is more than BY", _BAD_ARGUMENTS)
        if (
            isinstance(hold, HoldUntil)
            and now is not None
            and (hold.time - now()).total_seconds() > by
        ):
            return Reply(501, "HOLDUNTIL is later than BY allows", _BAD_ARGUMENTS)
    return None


_RULES: Final[Mapping[type, Callable[..., Reply | None]]] = {
    DeliverBy: _deliver_by,
    HoldFor: _hold_for,
    HoldUntil: _hold_until,
    Solicit: _solicit,
}
