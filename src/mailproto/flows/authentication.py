"""The part of a server's SASL exchange that SMTP, POP3 and IMAP share: asking a directory."""

from __future__ import annotations

from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING

from typing_extensions import TypeVar

from mailproto.flows.effects import call, call_blocking
from mailproto.sasl import Challenge, Failure, Success, Verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailproto.backend.directory import Directory
    from mailproto.backend.store import Maybe
    from mailproto.flows.effects import Flow
    from mailproto.sasl import Credentials, ServerExchange, Step

__all__ = ["ask", "settle", "verify"]

T = TypeVar("T")


def settle(
    exchange: ServerExchange, step: Step, directory: Directory
) -> Flow[Challenge | Success | Failure]:
    """Answer the questions of ``exchange`` from ``directory`` until something is to be sent."""
    while not isinstance(step, Challenge | Success | Failure):
        if isinstance(step, Verify):
            step = exchange.answer((yield from verify(directory, step.credentials)))
        else:
            question = partial(directory.lookup, step.user, step.scheme)
            step = exchange.answer((yield from ask(question)))
    return step


def verify(directory: Directory, credentials: Credentials) -> Flow[str | None]:
    """The account that ``credentials`` open, also for POP3's PASS and IMAP's LOGIN.

    A directory's methods are called off the event loop, because deriving keys takes milliseconds;
    what is awaitable is awaited on it.
    """
    return (yield from ask(partial(directory.verify, credentials)))


def ask(question: Callable[[], Maybe[T]]) -> Flow[T]:
    """The answer of a directory or of anything else that may block or be awaitable."""
    answer = yield from call_blocking(question)
    if isawaitable(answer):
        return (yield from call(lambda: answer))
    return answer
