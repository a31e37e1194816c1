"""Bounded memos: what repeats from response to response is read once.

They are shared by all connections; a peer can fill them, but neither grow them nor change what
they say, because a key is the very text that was read.
"""

from __future__ import annotations

from typing import Final

from typing_extensions import TypeVar

__all__ = ["remember"]

T = TypeVar("T")

ENTRIES: Final = 256
"""Entries of one memo before it is emptied."""
LONGEST: Final = 512
"""Octets of the longest text that is remembered."""


def remember(memo: dict[bytes, T], text: bytes, value: T) -> None:
    """Keep ``value`` for ``text`` if both are small enough."""
    if len(text) <= LONGEST:
        if len(memo) >= ENTRIES:
            memo.clear()
        memo[text] = value
