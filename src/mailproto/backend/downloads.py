"""Where mail goes that is fetched from another server, and the memory of what has come.

``Arrivals`` is what a download asks for; ``DownloadDirectory`` is one on files. A message and the
memory of its unique-id are kept in one step, so that a run that ends anywhere leaves every message
either kept, or still on the server and not remembered.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol, cast

from mailproto.backend.store import Maybe, StoreFailure

__all__ = ["Arrivals", "DownloadDirectory", "Incoming"]

_DIGITS: Final = 32


class Incoming(Protocol):
    """A message that is being received; one that is dropped without ``keep`` leaves nothing
    behind, or what the next run removes.
    """

    def write(self, data: bytes) -> Maybe[object]:
        """Add octets at the end."""
        ...

    def keep(self, unique_id: str, now: float) -> Maybe[None]:
        """Store the message and remember ``unique_id`` and the time, in one step, durably.

        That is any text: where messages share one, a number is behind it, and where a message has
        none, it is made of its content.
        """
        ...

    def discard(self) -> Maybe[None]:
        """Forget it."""
        ...


class Arrivals(Protocol):
    """Where downloaded mail goes, and the memory of what has come from one maildrop.

    Methods may return their value or be ``async def``. Under asyncio all but ``Incoming.write`` are
    called in a worker thread, and what they return is awaited on the loop.
    """

    def kept(self) -> Maybe[Mapping[str, float]]:
        """Unique-ids that were kept and not forgotten, with the time of each in seconds."""
        ...

    def begin(self) -> Maybe[Incoming]:
        """Begin to receive a message."""
        ...

    def forget(self, unique_ids: Collection[str]) -> Maybe[None]:
        """These are no longer on the server, so they need not be remembered."""
        ...


class DownloadDirectory:
    """A directory with a file ``*.eml`` for each message, and a hidden one that remembers.

    ::

        DownloadDirectory("mail", maildrop="alice@mail.example.com")

    Files may be moved and removed at any time: what has come is remembered in ``.seen-*``, a line
    for each unique-id, as JSON. ``maildrop`` tells the maildrops apart that share a directory; of
    each maildrop one run at a time may go on, which servers see to that lock it.
    Every method raises StoreFailure for what the file system refuses.
    """

    def __init__(self, path: str | os.PathLike[str], maildrop: str = "") -> None:
        self.path: Path = Path(path)
        """The directory; it is made when it is first needed."""
        self._prefix = _digest(maildrop)[:8]
        self._seen = self.path / f".seen-{self._prefix}"

    def kept(self) -> dict[str, float]:
        """What is remembered; ends what an earlier run was stopped in."""
        with _told(self.path):
            times = self._read()
            names = {self._name(unique_id) for unique_id in times}
            for part in self.path.glob(f".{self._prefix}-*.part"):
                name = part.name[1:].removesuffix(".part")
                if name in names:
                    self._publish(part, name)
                else:
                    part.unlink()
            return times

    def begin(self) -> Incoming:
        """A message in a hidden file of its own."""
        with _told(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, part = tempfile.mkstemp(".part", f".{self._prefix}-", self.path)
            return _File(self, Path(part), open(number, "wb"))

    def forget(self, unique_ids: Collection[str]) -> None:
        """Write the memory anew without these."""
        gone = set(unique_ids)
        with _told(self.path):
            times = self._read()
            fresh = self._seen.with_suffix(".new")
            with open(fresh, "wb", opener=_private) as file:
                for unique_id, time in times.items():
                    if unique_id not in gone:
                        file.write(_line(unique_id, time))
                _sync(file)
            fresh.replace(self._seen)
            self._sync_directory()

    def remember(self, part: Path, unique_id: str, now: float) -> None:
        """Keep a message whose octets are safe in ``part``: the line that is written counts."""
        with _told(self.path):
            # By this name ``kept`` knows it, if nothing more can be done.
            part = part.rename(self.path / f".{self._name(unique_id)}.part")
            with open(self._seen, "ab", opener=_private) as file:
                file.write(_line(unique_id, now))
                _sync(file)
            self._publish(part, self._name(unique_id))

    def _read(self) -> dict[str, float]:
        """The lines of the memory; one that was not written whole is cut off."""
        times: dict[str, float] = {}
        try:
            octets = self._seen.read_bytes()
        except FileNotFoundError:
            return times
        whole = octets.rfind(b"\n") + 1
        if whole < len(octets):
            os.truncate(self._seen, whole)
        for number, line in enumerate(octets[:whole].split(b"\n")[:-1], 1):
            try:
                unique_id, time = cast("tuple[str, float]", json.loads(line))
                times[str(unique_id)] = float(time)
            except (ValueError, TypeError, RecursionError):
                raise StoreFailure(
                    f"{self._seen} has a line that is not its own, number {number}:"
                    " without that line its message comes again"
                ) from None
        return times

    def _publish(self, part: Path, name: str) -> None:
        """Give a kept message its name, and none that is there already."""
        target = self.path / f"{name}.eml"
        number = 1
        while target.exists():
            number += 1
            target = self.path / f"{name}-{number}.eml"
        part.rename(target)
        self._sync_directory()

    def _name(self, unique_id: str) -> str:
        return f"{self._prefix}-{_digest(unique_id)[:_DIGITS]}"

    def _sync_directory(self) -> None:
        # Not every system opens directories.
        with contextlib.suppress(OSError):
            directory = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


class _File:
    """A message on its way into a directory."""

    def __init__(self, directory: DownloadDirectory, part: Path, file: IO[bytes]) -> None:
        self._directory = directory
        self._part = part
        self._file = file

    def write(self, data: bytes) -> None:
        with _told(self._part):
            self._file.write(data)

    def keep(self, unique_id: str, now: float) -> None:
        with _told(self._part):
            _sync(self._file)
            self._file.close()
        self._directory.remember(self._part, unique_id, now)

    def discard(self) -> None:
        with _told(self._part):
            self._file.close()
            self._part.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _line(unique_id: str, time: float) -> bytes:
    return json.dumps([unique_id, time]).encode("ascii") + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _told(path: Path) -> Generator[None]:
    """Errors of the file system as those of a store."""
    try:
        yield
    except OSError as error:
        raise StoreFailure(f"{error.filename or path}: {error.strerror}") from error
