"""Octets that come in order and are read anywhere: in memory while few, then in an unnamed file.

A ``Spool`` is the draft of both stores, and the content of the one in memory.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from typing import IO, Final, Protocol

from mailproto.backend.lines import Lines
from mailproto.backend.store import Draft, StoreFailure
from mailproto.errors import StoreError

__all__ = ["IN_MEMORY", "Body", "Prefixed", "Spool", "sealed"]

IN_MEMORY: Final = 1024 * 1024
"""Octets that a spool holds in memory before it goes to a file."""


class Spool:
    """A draft; ``seal`` makes it a content that no longer changes. Safe to use from threads."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._lock = threading.Lock()
        self._pieces = list[bytes]()
        self._file: IO[bytes] | None = None
        self._size = 0
        self._eight_bit = False
        self._lines = Lines()
        self._sealed = False

    @property
    def eight_bit(self) -> bool:
        """Whether octets beyond ASCII were written."""
        return self._eight_bit

    @property
    def canonical(self) -> bool:
        """Whether all lines end with CRLF, and no CR or LF stands anywhere else."""
        return self._lines.canonical

    @property
    def size(self) -> int:
        """Octets written so far."""
        return self._size

    def write(self, data: bytes) -> None:
        """Add octets at the end. Raises StoreFailure when the disk is full or it is sealed."""
        with self._lock:
            if self._sealed:
                raise StoreFailure("the draft is delivered already and takes no more octets")
            if self._file is None and self._size + len(data) > self._in_memory:
                self._to_file()
            if self._file is None:
                self._pieces.append(data)
            else:
                _on_disk(self._file, self._size, data)
            self._size += len(data)
            self._eight_bit = self._eight_bit or not data.isascii()
            self._lines.feed(data)

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset``, at most ``size``, fewer only at the end."""
        with self._lock:
            if self._file is None:
                if len(self._pieces) > 1:
                    self._pieces = [b"".join(self._pieces)]
                return self._pieces[0][offset : offset + size] if self._pieces else b""
            try:
                self._file.seek(offset)
                return self._file.read(max(0, min(size, self._size - offset)))
            except OSError as error:
                raise StoreFailure(f"cannot read the spool file: {error.strerror}") from error

    def seal(self) -> None:
        """Take no more octets, and let ``discard`` do nothing: it belongs to a mailbox now."""
        self._sealed = True

    def discard(self) -> None:
        """Forget it; also harmless after it was delivered."""
        with self._lock:
            if self._sealed:
                return
            self._sealed = True
            self._pieces = []
            self._size = 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def _to_file(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="mailproto-")  # noqa: SIM115 -- see finalize
        except OSError as error:
            raise StoreFailure(f"cannot make a spool file: {error.strerror}") from error
        weakref.finalize(self, self._file.close)
        _on_disk(self._file, 0, b"".join(self._pieces))
        self._pieces = []


def _on_disk(file: IO[bytes], offset: int, data: bytes) -> None:
    try:
        file.seek(offset)
        file.write(data)
        file.flush()
    except OSError as error:
        raise StoreFailure(f"cannot write the spool file: {error.strerror}") from error


class Body(Protocol):
    """What lies behind the prefix of a content."""

    @property
    def size(self) -> int:
        """Octets in all."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset``, at most ``size``, fewer only at the end."""
        ...


class Prefixed:
    """A content made of one recipient's prefix and of a body that others share."""

    __slots__ = ("_body", "_prefix")

    def __init__(self, prefix: bytes, body: Body) -> None:
        self._prefix = prefix
        self._body = body

    @property
    def size(self) -> int:
        """Octets in all."""
        return len(self._prefix) + self._body.size

    def read(self, offset: int, size: int) -> bytes:
        """The octets from ``offset``, at most ``size``, fewer only at the end."""
        head = self._prefix[offset : offset + size]
        rest = size - len(head)
        if not rest:
            return head
        data = self._body.read(max(0, offset - len(self._prefix)), rest)
        return head + data if head else data


def sealed(draft: Draft) -> Spool:
    """The draft as a body that changes no more. Raises StoreError for one of another store."""
    if not isinstance(draft, Spool):
        raise StoreError(f"{draft!r} is no draft of this store")
    draft.seal()
    return draft
