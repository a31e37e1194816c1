"""What SMTP, POP3 and IMAP share of a SASL exchange: asking a directory, judging a success."""

from __future__ import annotations

from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING

from typing_extensions import TypeVar

from mailproto.flows.effects import call, call_blocking, close
from mailproto.sasl import Challenge, Failure, SASLError, Success, Verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mailproto.backend.directory import Directory
    from mailproto.backend.store import Maybe
    from mailproto.flows.effects import Flow
    from mailproto.sasl import ClientExchange, Credentials, ServerExchange, Step

__all__ = ["ask", "server_has_proved_itself", "settle", "verify"]

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


def server_has_proved_itself(exchange: ClientExchange) -> Flow[None]:
    """Take note of the server's success; if it has not earned it, close and raise SASLError.

    The server has the client logged in: the connection must not be used by a caller who goes on.
    """
    try:
        exchange.succeed()
    except SASLError:
        yield from close()
        raise


def ask(question: Callable[[], Maybe[T]]) -> Flow[T]:
    """The answer of a directory or of anything else that may block or be awaitable."""
    answer = yield from call_blocking(question)
    if isawaitable(answer):
        awaitable: Awaitable[T] = answer
        return (yield from call(lambda: awaitable))
    return answer
