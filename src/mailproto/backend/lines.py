"""Whether octets that come in pieces are lines with CRLF at their ends, and nothing else."""

from __future__ import annotations

from mailproto._core.dot import find_bare_newline

__all__ = ["Lines", "canonical"]


class Lines:
    """Looks at octets as they are written."""

    __slots__ = ("_bare", "_end")

    def __init__(self) -> None:
        self._bare = False
        self._end = b"\r\n"

    def feed(self, data: bytes) -> None:
        """The next octets."""
        if self._bare or not data:
            return
        seen = b"\r" + data if self._end[-1:] == b"\r" else data
        self._bare = find_bare_newline(seen) >= 0
        self._end = (self._end + data[-2:])[-2:]

    @property
    def canonical(self) -> bool:
        """Whether each line so far ends with CRLF, and no CR or LF stands anywhere else."""
        return not self._bare and self._end == b"\r\n"


def canonical(data: bytes) -> bool:
    """Whether ``data`` is whole lines with CRLF at their ends, or nothing."""
    lines = Lines()
    lines.feed(data)
    return lines.canonical
