"""A machine, a peer made of octets and an application, and the promises that hold for any of them.

``check`` plays a case several times, cut differently, and raises ``Violation`` when a promise is
broken; an exception that is none of ours goes through as it is. What is checked:

- P01: whole, octet by octet and cut at random give the same events, output, end and properties.
- P11: ``receive_data`` raises nothing, ``next_event`` only RemoteProtocolError, ``send`` only
  LocalProtocolError, after which the machine has nothing more to send and looks as before.
- P13: after a failure every octet is ignored; a server's ``hint`` can be sent, once.
- Events come of octets: a machine cannot yield more of them than it was given octets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, Protocol, TypeAlias

from typing_extensions import TypeVar

from mailproto._core.machine import PAUSED, Signal
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.testing.chop import (
    Endpoint,
    Outcome,
    drain,
    joined,
    octets,
    properties,
    random_cuts,
    sized,
)
from mailproto.testing.fuzz.case import Case, Turn

__all__ = [
    "TEXTS",
    "Conversation",
    "Party",
    "Player",
    "Speaker",
    "Violation",
    "check",
    "heard",
    "whole",
]

TEXTS: Final = (
    "",
    "x",
    "two words",
    "\r\nA1 OK done",
    "x\r\n250 OK",
    "x\r\n+OK",
    "\r",
    "\n",
    "\0",
    "\x7f",
    "[ALERT] x",
    "]",
    "{5}",
    "{5+}",
    '"\\',
    ".",
    "*",
    "=",
    "%",
    " x",
    "x ",
    "(",
    "2.0.0 OK",
    "INBOX",
    "joe@example.com",
    "Entwürfe",
    "\udcff",
    "\ud800",
    "\u2028",
    "x" * 3000,
    "x\r\n2 y",
    "x\r\n* 1 EXISTS",
    "x\r\n.\r\n+OK",
)
"""Texts that an application may pass on, harmless and not."""

_PROTOCOL_TEXT: Final = b"\r\n.\r\nQUIT\r\nA1 LOGOUT\r\n* BYE\r\n+OK\r\n250 OK\r\n"


Cut: TypeAlias = Callable[[bytes], Sequence[bytes]]


class Violation(AssertionError):
    """A promise was broken; the message says which and how."""


class Party(Endpoint, Protocol):
    """A machine that can fail."""

    @property
    def failed(self) -> bool:
        """Whether a RemoteProtocolError has ended receiving."""
        ...


class Speaker(Party, Protocol):
    """A machine that can be spoken through; each has its own items."""

    @property
    def send(self) -> Callable[..., None]:
        """Queue an item."""
        ...


M = TypeVar("M", bound=Speaker)
N = TypeVar("N", bound=Speaker, contravariant=True)


class Player(Protocol[N]):
    """An application, for one conversation: what it does must follow from its decisions.

    It may not look at the borders of chunks, nor count how often it is told ``PAUSED``.
    """

    def answer(self, machine: N, event: object) -> None:
        """Answer an event, or ``PAUSED``."""
        ...

    def move(self, machine: N, turn: Turn) -> None:
        """Do something unasked, before the octets of ``turn`` come."""
        ...


class Conversation(Generic[M]):
    """One machine at work: what it was told, what it said, and what the application decides."""

    def __init__(self, case: Case, machine: M, *, quick: bool = False) -> None:
        self.case = case
        self.machine = machine
        self.quick = quick
        """Whether what is said need not be checked: it was, or memory and time are measured."""
        self.events: list[object] = []
        """Every event so far."""
        self.output: list[bytes] = []
        """Everything the machine has said so far."""
        self.turn: Turn = Turn(0, b"")
        """The turn whose octets are coming in."""
        self.room: int = 2 * len(case.data) + 64
        """How many more events may come: not many more than octets."""
        self._decided = 0

    def decide(self, count: int) -> int:
        """The next decision, as a number below ``count``."""
        decisions = self.case.decisions
        self._decided += 1
        return decisions[(self._decided - 1) % len(decisions)] % count

    def text(self) -> str:
        """A text to pass on: one of ``TEXTS``, or what the peer is saying."""
        chosen = self.decide(len(TEXTS) + 4)
        return TEXTS[chosen] if chosen < len(TEXTS) else self.turn.text

    def say(self, item: object) -> bytes | None:
        """Send ``item``; the octets it became, or ``None`` for a refusal, which is checked."""
        return self._do(lambda: self.machine.send(item), f"send({item!r})")

    def do(self, act: Callable[[], object]) -> bytes | None:
        """The same for any other method that speaks: ``conversation.do(server.accept)``."""
        return self._do(act, f"{act!r}")

    def _do(self, act: Callable[[], object], name: str) -> bytes | None:
        machine = self.machine
        self.output.append(machine.data_to_send())
        before = {} if self.quick else properties(machine)
        try:
            act()
        except LocalProtocolError as error:
            after, said = {} if self.quick else properties(machine), machine.data_to_send()
            if said or before != after:
                raise Violation(
                    f"{name} was refused ({error}), but left {said!r} to send and changed "
                    f"{_changed(before, after)}"
                ) from error
            return None
        said = machine.data_to_send()
        self.output.append(said)
        return said

    def drain(self, player: Player[M]) -> object:
        """Pull every event; the last signal. Lets RemoteProtocolError through."""

        def answer(machine: M, event: object) -> None:
            self.room -= 1
            if self.room < 0 and event is not PAUSED:
                raise Violation(f"more events than octets: {self.events[-3:]!r}")
            player.answer(machine, event)

        return drain(self.machine, answer, self.events, self.output)


def heard(reader: Party, said: bytes) -> list[object]:
    """The events that a machine of the other side makes of what was said (P15)."""
    reader.receive_data(said)
    events: list[object] = []
    try:
        while not isinstance(event := reader.next_event(), Signal):
            events.append(event)
    except RemoteProtocolError as error:
        raise Violation(f"P15: {said!r} is not understood after {events!r}: {error}") from error
    return events


def whole(data: bytes) -> Sequence[bytes]:
    """``data`` in one piece."""
    return [data] if data else []


def check(
    case: Case, make: Callable[[Case], M], play: Callable[[Conversation[M]], Player[M]]
) -> Outcome:
    """Play ``case`` in three ways of cutting; the outcome, which is the same for all.

    ``make(case)`` is a new machine and ``play(conversation)`` a new application. Raises Violation.
    """
    expected = _outcome(case, make, play, whole)
    cuts: tuple[Cut, ...] = (octets, partial(_cut, case.cut))
    for cut in cuts:
        found = _outcome(case, make, play, cut)
        for field in ("error", "events", "output", "end", "hint", "state"):
            one, other = getattr(expected, field), getattr(found, field)
            if one != other:
                raise Violation(f"P01: {field} depends on chunks:\n  {one!r}\n  {other!r}")
    return expected


def _cut(seed: int, data: bytes) -> Sequence[bytes]:
    return sized(data, seed // 2 + 2) if seed % 2 else random_cuts(data, seed)


def _outcome(
    case: Case,
    make: Callable[[Case], M],
    play: Callable[[Conversation[M]], Player[M]],
    cut: Cut,
) -> Outcome:
    # What was checked once is only compared then.
    conversation = Conversation(case, make(case), quick=cut is not whole)
    machine = conversation.machine
    end: object = None
    error: RemoteProtocolError | None = None
    try:
        end = _converse(conversation, play(conversation), cut)
    except RemoteProtocolError as failure:
        error = failure
    state = properties(machine)
    if error is not None:
        _check_failed(conversation, error)
    return Outcome(
        events=tuple(joined(conversation.events)),
        output=b"".join(conversation.output),
        end=end,
        error=None if error is None else str(error),
        hint=None if error is None else error.hint,
        state=state,
    )


def _converse(conversation: Conversation[M], player: Player[M], cut: Cut) -> object:
    machine = conversation.machine
    end = conversation.drain(player)
    for turn in conversation.case.turns:
        conversation.turn = turn
        if machine.awaiting_tls and turn.move % 8 != 7:
            machine.start_tls()
        player.move(machine, turn)
        end = conversation.drain(player)
        for chunk in cut(turn.data):
            machine.receive_data(chunk)
            end = conversation.drain(player)
    _check_idle(conversation, end)
    machine.receive_data(b"")
    end = conversation.drain(player)
    _check_idle(conversation, end)
    return end


def _check_idle(conversation: Conversation[M], end: object) -> None:
    """Asked again, a machine that has nothing more says the same."""
    machine = conversation.machine
    before = properties(machine)
    again = machine.next_event()
    said, after = machine.data_to_send(), properties(machine)
    if again != end and not (again is PAUSED and machine.awaiting_tls):
        raise Violation(f"next_event() gave {end!r} and then {again!r}")
    if said or before != after:
        raise Violation(f"next_event() gave {end!r}, said {said!r}, {_changed(before, after)}")


def _check_failed(conversation: Conversation[M], error: RemoteProtocolError) -> None:
    """P13: nothing more is interpreted; the hint can be sent, once."""
    machine = conversation.machine
    conversation.output.append(machine.data_to_send())
    if not machine.failed:
        raise Violation(f"RemoteProtocolError, but not failed: {error}")
    before = properties(machine)
    for data in (_PROTOCOL_TEXT, conversation.case.data, b"x" * 20_000, b""):
        machine.receive_data(data)
        _check_still_failed(machine, error)
    after = properties(machine)
    if before != after:
        raise Violation(f"P13: after {error} more octets changed {_changed(before, after)}")
    if error.hint is not None:
        said = conversation.say(error.hint)
        _check_still_failed(machine, error)
        if said is not None and not (said.endswith(b"\r\n") and said.count(b"\r\n") == 1):
            raise Violation(f"P15: the hint {error.hint!r} was sent as {said!r}")
        if said is not None and conversation.say(error.hint) is not None:
            raise Violation(f"P13: the hint {error.hint!r} could be sent twice")


def _check_still_failed(machine: Party, error: RemoteProtocolError) -> None:
    try:
        event = machine.next_event()
    except RemoteProtocolError as again:
        if str(again) != str(error):
            raise Violation(f"P13: {error} became {again}") from again
    else:
        raise Violation(f"P13: after {error} there came {event!r}")
    if said := machine.data_to_send():
        raise Violation(f"P13: after {error} the machine said {said!r}")


def _changed(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    return ", ".join([name for name in before if before[name] != after.get(name)]) or "nothing"
