"""A message of 200 MiB goes in by SMTP and out by IMAP and POP3, and the server stays small."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from interop.conftest import ServeFactory

MIB = 1024 * 1024
SIZE = 200 * MIB
LIMIT = 100 * MIB
LINE = b"." + b"x" * 61 + b"\r\n"
HEADER = b"Subject: large\r\n\r\n"
LINES = (SIZE - len(HEADER)) // len(LINE)


@contextmanager
def dialogue(port: int) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.create_connection(("127.0.0.1", port), 60) as sock, sock.makefile("rb") as lines:
        yield sock, lines


def ask(sock: socket.socket, lines: BinaryIO, command: bytes, expected: bytes) -> bytes:
    sock.sendall(command + b"\r\n")
    while True:
        line = lines.readline()
        assert line, f"closed after {command!r}"
        if line.startswith(expected):
            return line
        assert line.startswith((b"250-", b"* ")), line


def submit(port: int) -> None:
    block = (b"." + LINE) * 1024
    with dialogue(port) as (sock, lines):
        assert lines.readline().startswith(b"220")
        ask(sock, lines, b"EHLO client.test", b"250 ")
        ask(sock, lines, b"MAIL FROM:<a@elsewhere.test>", b"250")
        ask(sock, lines, b"RCPT TO:<alice@peer.test>", b"250")
        ask(sock, lines, b"DATA", b"354")
        sock.sendall(HEADER)
        for _ in range(LINES // 1024):
            sock.sendall(block)
        sock.sendall((b"." + LINE) * (LINES % 1024))
        ask(sock, lines, b".", b"250")


def wanted_digest() -> str:
    digest = hashlib.sha256()
    for _ in range(LINES // 1024):
        digest.update(LINE * 1024)
    digest.update(LINE * (LINES % 1024))
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_P08_200_mib_in_and_out_under_100_mib(
    start_serve: ServeFactory, tmp_path: Path, store: str
) -> None:
    where = store if store == "memory" else f"sqlite:{tmp_path / 'mail.db'}"
    served = start_serve("--allow-insecure-auth", f"--store={where}")
    submit(served.smtp)
    wanted = wanted_digest()

    with dialogue(served.imap) as (sock, lines):
        lines.readline()
        ask(sock, lines, b"a LOGIN alice secret", b"a OK")
        ask(sock, lines, b"b SELECT INBOX", b"b OK")
        sock.sendall(b"c FETCH 1 (BODYSTRUCTURE BODY.PEEK[])\r\n")
        start = lines.readline()
        size = int(start.rpartition(b"{")[2].rstrip(b"}\r\n"))
        head, digest, left = b"", hashlib.sha256(), size
        while not head.endswith(b"\r\n\r\n"):
            line = lines.readline()
            head += line
            left -= len(line)
        assert left == LINES * len(LINE)
        while left:
            piece = lines.read(min(left, MIB))
            digest.update(piece)
            left -= len(piece)
        assert digest.hexdigest() == wanted
        assert lines.readline() == b")\r\n"
        assert lines.readline().startswith(b"c OK")

    with dialogue(served.pop3) as (sock, lines):
        lines.readline()
        ask(sock, lines, b"USER alice", b"+OK")
        ask(sock, lines, b"PASS secret", b"+OK")
        ask(sock, lines, b"RETR 1", b"+OK")
        while lines.readline() != b"\r\n":
            pass
        digest = hashlib.sha256()
        for _ in range(LINES):
            digest.update(lines.readline()[1:])
        assert digest.hexdigest() == wanted
        assert lines.readline() == b".\r\n"

    assert served.peak_memory() < LIMIT
