"""Memory and work: the last turn of a case, over and over, against small limits (P08, P09).

A machine may hold what its limits allow, whatever comes, and eight times the octets may cost
eight times the work. Both are measured here with wide margins: a failure is a defect, not noise.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Final

from typing_extensions import TypeVar

from mailproto._core.machine import PAUSED
from mailproto.errors import RemoteProtocolError
from mailproto.testing.chop import Outcome
from mailproto.testing.fuzz.case import Case
from mailproto.testing.fuzz.conversation import Conversation, Player, Speaker, Violation, check
from mailproto.testing.growth import assert_linear

__all__ = ["check_case", "check_flood", "check_linear", "check_memory"]

_PIECE: Final = 1448
_SMALL: Final = 16 * 1024
_BIG: Final = 8 * _SMALL
_HELD: Final = 256 * 1024

M = TypeVar("M", bound=Speaker)


class _Dropping(list[object]):
    """Forgets: what was handed on is not held."""

    def append(self, item: object, /) -> None:
        self[:] = [item]


class _DroppingOctets(list[bytes]):
    def append(self, item: bytes, /) -> None:
        pass


def check_case(
    data: bytes, make: Callable[[Case], M], play: Callable[[Conversation[M]], Player[M]]
) -> Outcome:
    """``check`` of the case that ``data`` means, and ``check_flood`` where it asks for that."""
    case = Case.parse(data)
    outcome = check(case, make, play)
    if case.flood:
        check_flood(case, make, play)
    return outcome


def check_flood(
    case: Case, make: Callable[[Case], M], play: Callable[[Conversation[M]], Player[M]]
) -> None:
    """Repeat the last turn of ``case``; raises Violation when memory or work get out of hand.

    ``make(case)`` is to give the machine limits of a few KiB.
    """
    if not case.data:
        return

    def run(size: int) -> None:
        _flood(case, make, play, size)

    check_linear(run)
    check_memory(run)


def check_linear(run: Callable[[int], object]) -> None:
    """``run(size)`` feeds so many octets; raises Violation when time grows much faster."""
    try:
        assert_linear(lambda size: lambda: run(size), _SMALL, factor=_BIG // _SMALL)
    except AssertionError as error:
        raise Violation(f"P09: {error}") from None


def check_memory(run: Callable[[int], object]) -> None:
    """``run(size)`` feeds so many octets and drops what comes; raises Violation for much memory."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        run(_BIG)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak - before > _HELD:
        raise Violation(f"P08: {peak - before} octets of memory for {_BIG} octets of input")


def _flood(
    case: Case,
    make: Callable[[Case], M],
    play: Callable[[Conversation[M]], Player[M]],
    size: int,
) -> None:
    conversation = Conversation(case, make(case), quick=True)
    conversation.events, conversation.output = _Dropping(), _DroppingOctets()
    conversation.room += 2 * size
    machine, player = conversation.machine, play(conversation)
    try:
        conversation.drain(player)
        for turn in case.turns[:-1]:
            conversation.turn = turn
            if machine.awaiting_tls:
                machine.start_tls()
            player.move(machine, turn)
            conversation.drain(player)
            if turn.data:
                machine.receive_data(turn.data)
                conversation.drain(player)
        conversation.turn = turn = case.turns[-1]
        if machine.awaiting_tls:
            machine.start_tls()
        player.move(machine, turn)
        conversation.drain(player)
        for piece in _repeated(turn.data or case.data, size):
            machine.receive_data(piece)
            if conversation.drain(player) is PAUSED:
                return  # a driver does not read on while the application is asked
    except RemoteProtocolError:
        return


def _repeated(data: bytes, size: int) -> Iterator[bytes]:
    """``size`` octets of ``data`` over and over, in pieces as a network has them."""
    doubled = data * (_PIECE // len(data) + 2)
    at = 0
    while size > 0:
        piece = doubled[at : at + min(_PIECE, size)]
        yield piece
        size -= len(piece)
        at = (at + len(piece)) % len(data)
