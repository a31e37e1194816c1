"""poplib's retr() over a socket in memory, its lines joined to the message."""

from __future__ import annotations

import io
import platform
import poplib

from registry import Prepared, in_chunks

VERSION = platform.python_version()


class Chunks(io.RawIOBase):
    """What a socket's file reads from: one chunk at a time."""

    def __init__(self, chunks):
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.rest:
            self.rest = memoryview(next(self.chunks, b""))
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


class Socket:
    def sendall(self, data):
        pass


def pop3_client(given):
    wire, count = given
    chunks = in_chunks(wire)

    def run():
        client = poplib.POP3.__new__(poplib.POP3)
        client._debugging, client.encoding = 0, "UTF-8"
        client.sock, client.file = Socket(), io.BufferedReader(Chunks(chunks * count), 65536)
        return [b"\r\n".join([*client.retr(1)[1], b""]) for _ in range(count)]

    return Prepared(run)
