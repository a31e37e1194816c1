"""Postfix's smtp-sink, a server that takes every message or fails on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from interop.peers.process import HOST, Daemon, Worker, free_ports, reachable_directory, require


@dataclass(frozen=True)
class Sink:
    """A running smtp-sink."""

    port: int
    directory: Path

    def messages(self) -> list[bytes]:
        """What came, with LF, behind the fields of its own that say how."""
        paths = sorted((self.directory / "mail").iterdir())
        return [path.read_bytes() for path in paths]


@contextmanager
def run_sink(*options: str, backlog: int = 100) -> Iterator[Sink]:
    """Start smtp-sink with these options; every message becomes a file."""
    program = require("smtp-sink", "postfix")
    worker = Worker.current()
    with reachable_directory("sk") as directory:
        mail = directory / "mail"
        mail.mkdir()
        worker.own(mail)
        (port,) = free_ports(1)
        daemon = Daemon(
            [program, *options, "-d", f"{mail}/%M.", f"{HOST}:{port}", str(backlog)],
            log=directory / "log",
            worker=worker,
        )
        try:
            daemon.wait_for_port(port)
            yield Sink(port, directory)
        finally:
            daemon.stop()
