"""Sequence sets (RFC 3501 section 9, ``sequence-set``): ranges, never expanded.

A set a peer sent may name four thousand million messages in ten octets, so nothing here costs
more than the ranges that were written, except ``numbers``, which is lazy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

from mailproto._core.frozen import frozen

__all__ = ["STAR", "SequenceSet", "parse_sequence_set", "sequence_set"]

STAR: Final = 0x1_0000_0000
"""Stands for ``*``, the largest number in use; it is above every number (RFC 9051 section 9)."""

_LARGEST: Final = STAR - 1
_NUMBER: Final = rb"(?:[1-9][0-9]{0,9}|\*)"
_RANGE: Final = _NUMBER + rb"(?::" + _NUMBER + rb")?"
_SET: Final = re.compile(_RANGE + rb"(?:," + _RANGE + rb")*+")
_ONE: Final = re.compile(rb"([1-9][0-9]{0,9})(?::([1-9][0-9]{0,9}|\*))?")
_TEN_DIGITS: Final = re.compile(rb"[0-9]{10}")


@frozen
class SequenceSet:
    """Message numbers or UIDs as (first, last) pairs, in the order written.

    ``SequenceSet(((1, 3), (7, STAR)))`` is ``1:3,7:*``. The lower number is first, also where it
    was written ``7:3``, which is the same range.
    """

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, numbers: Iterable[int]) -> SequenceSet:
        """The set of ``numbers``, sorted and joined to ranges. Raises ValueError if empty."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(numbers):
            if ranges and number <= ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        if not ranges:
            raise ValueError("a sequence set names at least one message")
        return cls(tuple(ranges))

    def resolve(self, largest: int) -> tuple[tuple[int, int], ...]:
        """The ranges sorted and joined, with ``largest`` for ``*`` and for a range that ends there.

        ``largest`` is the largest number in use, 0 in an empty mailbox, where ``*`` names nothing.
        ``9:*`` includes ``largest`` even if that is 5 (RFC 3501 section 6.4.8).
        """
        pairs: list[tuple[int, int]] = []
        for first, last in self.ranges:
            if last == STAR:
                last = largest
                first = min(first, largest)
                if not largest:
                    continue
            pairs.append((first, last))
        pairs.sort()
        merged: list[tuple[int, int]] = []
        for first, last in pairs:
            if merged and first <= merged[-1][1] + 1:
                if last > merged[-1][1]:
                    merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        return tuple(merged)

    def contains(self, number: int, largest: int) -> bool:
        """Whether the set names ``number`` when ``largest`` is the largest number in use."""
        for first, last in self.ranges:
            if last == STAR:
                if min(first, largest) <= number <= largest:
                    return True
            elif first <= number <= last:
                return True
        return False

    def numbers(self, largest: int) -> Iterator[int]:
        """Every number up to ``largest`` once, ascending; lazily, however wide the ranges are."""
        for first, last in self.resolve(largest):
            yield from range(first, min(last, largest) + 1)

    def __str__(self) -> str:
        return ",".join(
            [
                _text(first) if first == last else f"{_text(first)}:{_text(last)}"
                for first, last in self.ranges
            ]
        )


def _text(number: int) -> str:
    return "*" if number == STAR else str(number)


def parse_sequence_set(text: bytes) -> SequenceSet | None:
    """The set that ``text`` spells, ``None`` if it is not one (zero and 2**32 are not numbers)."""
    one = _ONE.fullmatch(text)
    if one is not None:
        first, last = one.groups()
        low = int(first)
        high = low if last is None else STAR if last == b"*" else int(last)
        if low > _LARGEST or (high > _LARGEST and last != b"*"):
            return None
        return SequenceSet(((low, high) if low <= high else (high, low),))
    if _SET.fullmatch(text) is None:
        return None
    if b"*" in text:
        # What stands for the star must be no number that the peer wrote.
        if any(int(number) > _LARGEST for number in _TEN_DIGITS.findall(text)):
            return None
        return SequenceSet(_ranges(text.replace(b"*", b"%d" % STAR)))
    ranges = _ranges(text)
    return SequenceSet(ranges) if max(map(itemgetter(1), ranges)) <= _LARGEST else None


def _ranges(text: bytes) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for part in text.split(b","):
        if b":" in part:
            first, _, last = part.partition(b":")
            low, high = int(first), int(last)
            ranges.append((low, high) if low <= high else (high, low))
        else:
            low = int(part)
            ranges.append((low, low))
    return tuple(ranges)


def sequence_set(value: SequenceSet | str | int | Iterable[int]) -> SequenceSet:
    """The converter of commands: ``"1:*"``, ``5`` or ``[1, 2, 3]``. Raises ValueError."""
    if isinstance(value, SequenceSet):
        return value
    if isinstance(value, int):
        return SequenceSet(((value, value),))
    if isinstance(value, str):
        parsed = parse_sequence_set(value.encode("utf-8", "surrogateescape"))
        if parsed is None:
            raise ValueError(f"not a sequence set: {value!r}")
        return parsed
    return SequenceSet.of(value)
