"""The server's half of a SASL exchange that is the same in SMTP, POP3 and IMAP: asking a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailproto.flows.effects import call
from mailproto.sasl import Challenge, Failure, Lookup, Success, Verify

if TYPE_CHECKING:
    from mailproto.backend.directory import Directory
    from mailproto.flows.effects import Flow
    from mailproto.sasl import ServerExchange, Step

__all__ = ["settle"]


def settle(
    exchange: ServerExchange, step: Step, directory: Directory
) -> Flow[Challenge | Success | Failure]:
    """Answer the questions of ``exchange`` from ``directory`` until something is to be sent."""
    while not isinstance(step, Challenge | Success | Failure):
        if isinstance(step, Verify):
            step = exchange.answer((yield from call(directory.verify, step.credentials)))
        else:
            step = exchange.answer((yield from call(directory.lookup, step.user, step.scheme)))
    return step
