"""Whether work grows with its size and no faster (P09), told on a machine that does other things.

Noise only adds time, so the least of several runs is taken, and as many are made as it needs:
linear work passes as soon as one quiet run of each size was seen, quadratic work never does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

__all__ = ["assert_linear", "processor_seconds"]

_MARGIN: Final = 2.5
_RESOLUTION: Final = 0.002
_ATTEMPTS: Final = 10


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds of processor time that one call of ``work`` takes, the garbage collector aside."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        begin = time.process_time()
        work()
        return time.process_time() - begin
    finally:
        if enabled:
            gc.enable()


def assert_linear(
    prepare: Callable[[int], Callable[[], object]], small: int, *, factor: int = 8
) -> None:
    """Raise AssertionError if work of ``factor`` times the size takes far more time than that.

    ``prepare(size)`` returns fresh work of that size; only the work is timed. It is called with
    ``small`` and ``small * factor``, again and again while the times do not fit: a machine that is
    busy makes the check longer, not wrong. With the default factor, quadratic work takes 64 times
    as long and may take 20 times as long.
    """
    least, most = float("inf"), float("inf")
    for _ in range(_ATTEMPTS):
        least = min(least, processor_seconds(prepare(small)))
        most = min(most, processor_seconds(prepare(small * factor)))
        if most <= least * factor * _MARGIN + _RESOLUTION:
            return
    raise AssertionError(
        f"size {small} took {least:.6f} s and size {small * factor} took {most:.6f} s,"
        f" {most / least:.1f} times as long for {factor} times the size"
    )
