"""A progress bar for long transfers: on standard error, and only when that is a terminal."""

from __future__ import annotations

import sys
import time
from typing import Final, Self

__all__ = ["Progress"]

_WORTH_IT: Final = 1024 * 1024
_WIDTH: Final = 30
_EVERY: Final = 0.1


class Progress:
    """Shows how much of ``total`` octets has gone through ``add``; silent for short transfers."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(total, 1)
        self._done = 0
        self._shown = total >= _WORTH_IT and sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._draw()
            sys.stderr.write("\n")

    def add(self, octets: int) -> None:
        """So many more have gone through."""
        self._done += octets
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._draw()

    def _draw(self) -> None:
        share = min(1.0, self._done / self._total)
        bar = "#" * round(share * _WIDTH)
        mebibytes = self._done / (1024 * 1024)
        sys.stderr.write(
            f"\r{self._label} [{bar:<{_WIDTH}}] {share:4.0%} {mebibytes:,.1f} MiB\033[K"
        )
        sys.stderr.flush()
