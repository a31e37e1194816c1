"""What mail servers of others have in common: maildirs to look into, and a next hop."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from interop.peers.process import HOST, eventually


@dataclass(frozen=True)
class Relay:
    """Where a server sends mail on, and how."""

    port: int
    tls: bool = False
    """STARTTLS is demanded, with the certificate checked."""
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """A running server that delivers to ``home/USER/Maildir`` below its directory."""

    ca: Path
    directory: Path
    logs: tuple[str, ...]
    """Its log files, below the directory."""
    host: str = field(default=HOST)

    def log(self) -> str:
        """Everything that it has logged."""
        paths = [self.directory / name for name in self.logs]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def delivered(self, user: str) -> list[bytes]:
        """The messages in a user's maildir, oldest first, as the server wrote them (with LF)."""
        folder = self.directory / "home" / user / "Maildir" / "new"
        return [path.read_bytes() for path in sorted(folder.glob("*"), key=_modified)]

    def wait_for_delivery(self, user: str, count: int = 1) -> list[bytes]:
        """Wait until a user has that many messages."""

        def enough() -> list[bytes] | None:
            found = self.delivered(user)
            return found if len(found) >= count else None

        return eventually(f"{type(self).__name__} delivers {count} to {user}", enough, 30.0)

    def wait_for_log(self, text: str) -> None:
        """Wait until the log says so."""
        eventually(f"{text!r} in the log of {type(self).__name__}", lambda: text in self.log(), 30)


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns
