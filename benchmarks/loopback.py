"""A client of raw sockets in a process of its own: `python loopback.py PORT COUNT MODE`.

It says EHLO, tells `ready` on its standard output, waits for a line on its standard input, sends so
many equal transactions (MODE is `pipelined` or `sequential`), waits for each reply that it has to
wait for, and tells `done`. What the server's process does meanwhile is measured there.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import data

if TYPE_CHECKING:
    import asyncio

Exchange = tuple[bytes, int]
"""What is sent, and how many lines of replies are waited for before the next."""


def one_core() -> None:
    """Both ends share a core: then none of them runs while the other is measured."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Sender:
    """The client's process, as the server's sees it."""

    def __init__(self, port: int, count: int, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(port), str(count), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def fileno(self) -> int:
        """What becomes readable when the client has said a word."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def check(self, word: bytes) -> None:
        """Read the word that the client has said; raise RuntimeError for any other."""
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != word:
            raise RuntimeError(f"the client of the loopback ended: {self.process.wait()}")

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def await_word(loop: asyncio.AbstractEventLoop, sender: Sender, word: bytes) -> None:
    """Run the loop until the client has said `word`."""
    loop.add_reader(sender.fileno(), loop.stop)
    loop.run_forever()
    loop.remove_reader(sender.fileno())
    sender.check(word)


def transaction(content: bytes, mode: str) -> list[Exchange]:
    """One message: its envelope in one segment, or each command in its own."""
    mail = b"MAIL FROM:<sender@example.test> SIZE=%d\r\n" % len(content)
    rcpt, start = b"RCPT TO:<recipient@example.test>\r\n", b"DATA\r\n"
    body = (data.stuffed(content), 1)
    if mode == "pipelined":
        return [(mail + rcpt + start, 3), body]
    return [(mail, 1), (rcpt, 1), (start, 1), body]


def main() -> None:
    port, count, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send, receive = connection.sendall, connection.recv

    def replies(lines: int) -> bytes:
        told = b""
        while told.count(b"\n") < lines:
            piece = receive(65536)
            if not piece:
                raise SystemExit(f"the server closed the connection after {told!r}")
            told += piece
        return told

    replies(1)
    send(b"EHLO client.example.test\r\n")
    told = b""
    while b"250 " not in told[-200:] or not told.endswith(b"\n"):
        told += replies(1)
    print("ready", flush=True)
    sys.stdin.readline()
    exchanges = transaction(data.normal_content(2048), mode)
    for _ in range(count):
        for chunk, lines in exchanges:
            send(chunk)
            told = replies(lines)
            if told[:1] not in b"23":
                raise SystemExit(f"the server said {told!r}")
    print("done", flush=True)
    sys.stdin.readline()
    connection.close()


if __name__ == "__main__":
    main()
