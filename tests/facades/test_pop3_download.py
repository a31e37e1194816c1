"""Downloads with both facades over real sockets, cut here and there: each message arrives once.

``tests/flows/test_pop3_download.py`` cuts them at every event.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from facades.world import SECONDS, World
from mailproto.backend import DownloadDirectory, Incoming, StoreFailure
from mailproto.errors import CommandFailed, ConnectionLost, RemoteProtocolError
from mailproto.flows.pop3_download import Downloaded

MAIL = [b"Subject: one\r\n\r\n.first\r\n", b"Subject: two\r\n\r\nsecond\r\n..\r\n"]
DAY = 86_400.0


class Cutter:
    """A proxy for one connection that cuts it at a line; lines count from UIDL on."""

    def __init__(self, listener: socket.socket, port: int, lines: int, *, half: bool) -> None:
        self._listener = listener
        self._port = port
        self._left = lines
        self._half = half
        self._counting = False
        self.cut = False

    def run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._port), SECONDS) as server:
            other = {client: server, server: client}
            held = {client: b"", server: b""}
            with selectors.DefaultSelector() as ready:
                for end in other:
                    ready.register(end, selectors.EVENT_READ)
                while found := ready.select(SECONDS):
                    for key, _ in found:
                        end = client if key.fileobj is client else server
                        data = end.recv(65536)
                        if not data or not self._forward(held[end] + data, other[end]):
                            return

    def _forward(self, data: bytes, to: socket.socket) -> bool:
        """Send lines on; whether the connection lives."""
        for line in data.splitlines(keepends=True):
            self._counting = self._counting or line == b"UIDL\r\n"
            self._left -= self._counting
            if self._left < 0:
                self.cut = True
                to.sendall(line[: len(line) // 2] if self._half else b"")
                return False
            to.sendall(line)
        return True


@contextmanager
def cutting(port: int, lines: int, *, half: bool) -> Iterator[tuple[int, Cutter]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        cutter = Cutter(listener, port, lines, half=half)
        thread = threading.Thread(target=cutter.run, daemon=True)
        thread.start()
        yield listener.getsockname()[1], cutter
        thread.join(SECONDS)
        assert not thread.is_alive()


def connected(world: World) -> Any:
    """A client, once the session that was cut has given its lock back."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            return world.connect("pop3")
        except CommandFailed as error:
            if error.code != "IN-USE" or time.monotonic() > until:
                raise


def mail(path: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in path.glob("*.eml"))


def test_P22_a_download_that_is_cut_is_completed_by_the_next(world: World, tmp_path: Path) -> None:
    """Before a line, and in the middle of one."""
    port = world.port("pop3")
    for lines in range(2, 1000, 5):
        world.deliver(*MAIL)
        path = tmp_path / str(lines)
        with cutting(port, lines, half=lines % 2 == 1) as (proxy, cutter):
            try:
                with world.facade.connect(
                    "pop3",
                    proxy,
                    tls="none",
                    login=("alice", "wonderland"),
                    allow_insecure_auth=True,
                ) as client:
                    client.download(DownloadDirectory(path))
            except (ConnectionLost, RemoteProtocolError):
                pass
        # Nothing is removed that was not kept.
        assert set(mail(path)) | set(world.contents()) == set(MAIL)
        done = connected(world).download(DownloadDirectory(path))
        assert done.left == 0
        assert mail(path) == MAIL
        assert world.contents() == []
        if not cutter.cut:
            assert lines > 20
            return
    raise AssertionError("the cutter never came to the end")


def test_messages_stay_for_the_days_they_are_left(world: World, tmp_path: Path) -> None:
    world.deliver(*MAIL)
    arrivals = DownloadDirectory(tmp_path)
    assert connected(world).download(arrivals, leave_days=7, now=0) == Downloaded(2, 0, 2)
    assert connected(world).download(arrivals, leave_days=7, now=6 * DAY) == Downloaded(0, 0, 2)
    world.deliver(b"late\r\n")
    client = connected(world)
    assert client.download(arrivals, leave_days=7, now=7 * DAY) == Downloaded(1, 2, 1)
    assert client.closed
    assert connected(world).download(arrivals, leave_days=None) == Downloaded(0, 0, 1)
    assert mail(tmp_path) == sorted([*MAIL, b"late\r\n"])


class Full(DownloadDirectory):
    """A directory on a disk that is full after the first message."""

    def begin(self) -> Incoming:
        if mail(self.path):
            raise StoreFailure("no space left")
        return super().begin()


def test_what_cannot_be_kept_is_not_removed(world: World, tmp_path: Path) -> None:
    world.deliver(*MAIL)
    client = connected(world)
    with pytest.raises(StoreFailure, match="no space"):
        client.download(Full(tmp_path))
    client.close()
    assert connected(world).download(DownloadDirectory(tmp_path)) == Downloaded(1, 2, 0)
    assert mail(tmp_path) == MAIL
