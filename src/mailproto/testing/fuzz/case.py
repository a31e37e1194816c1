"""The input of a fuzz target: octets that mean a configuration, decisions and turns.

Every string of octets is a case, so that a fuzzer may change it anywhere::

    OO C D... FF M data... FF M data...

``OO`` are sixteen options and ``C`` says how to cut; ``D...`` are what the application decides,
over and over. 0xFF, which no UTF-8 holds, ends them and begins each turn: an octet ``M`` for what
the application does unasked, and what the peer sends. What is missing is zero.
"""

from __future__ import annotations

from typing import Final

import attrs

from mailproto._core.machine import Trace

__all__ = ["Case", "Turn", "without_flood"]

_SEPARATOR: Final = b"\xff"
_FLOOD: Final = 0xF0


@attrs.frozen
class Turn:
    """What happens between two points where nothing is under way."""

    move: int
    """0 to 254: what the application does before the octets come."""
    data: bytes
    """What the peer sends."""

    @property
    def text(self) -> str:
        """The beginning of the octets as text, for applications that repeat what a peer said."""
        return self.data[:200].decode(errors="surrogateescape")


@attrs.frozen
class Case:
    """One input of a target."""

    options: int
    """Sixteen bits of configuration."""
    cut: int
    """Seed for one way of cutting the octets."""
    decisions: bytes
    """What the application decides, over and over; never empty."""
    turns: tuple[Turn, ...]

    @classmethod
    def parse(cls, data: bytes) -> Case:
        """The case that ``data`` means; every octet string means one."""
        settings, *turns = data.split(_SEPARATOR)
        padded = settings[:3].ljust(3, b"\0")
        return cls(
            int.from_bytes(padded[:2], "little"),
            padded[2],
            settings[3:] or b"\0",
            tuple([Turn(turn[0], turn[1:]) for turn in turns if turn]),
        )

    def option(self, bit: int) -> bool:
        """Whether option ``bit`` (0 to 15) is on."""
        return bool(self.options >> bit & 1)

    def trace(self, bit: int) -> Trace | None:
        """A trace that nobody reads, where option ``bit`` is on."""
        return _unread if self.option(bit) else None

    @property
    def flood(self) -> bool:
        """Whether the last turn is to be repeated, with small limits, for memory and time."""
        return self.cut >= _FLOOD

    @property
    def data(self) -> bytes:
        """What the peer sends in all."""
        return b"".join([turn.data for turn in self.turns])


def _unread(side: object, line: object) -> None:
    """Take note of nothing."""


def without_flood(data: bytes) -> bytes:
    """The same case without the measuring of memory and time, which takes a second or more."""
    settings, separator, turns = data.partition(_SEPARATOR)
    if len(settings) < 3 or settings[2] < _FLOOD:
        return data
    return settings[:2] + bytes([settings[2] - _FLOOD]) + settings[3:] + separator + turns
