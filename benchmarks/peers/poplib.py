"""poplib over a socket in memory: the lines of retr() joined to the message, listings raw."""

from __future__ import annotations

import io
import platform
import poplib

from registry import Prepared, in_chunks, keep, new_processes

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


def transaction_state(chunks):
    client = poplib.POP3.__new__(poplib.POP3)
    client._debugging, client.encoding = 0, "UTF-8"
    client.sock, client.file = Socket(), io.BufferedReader(Chunks(chunks), 65536)
    return client


def pop3_client(given):
    wire, count = given
    chunks = in_chunks(wire)

    def run():
        client = transaction_state(chunks * count)
        messages = []
        for _ in range(count):
            keep(messages, b"\r\n".join([*client.retr(1)[1], b""]))
        return messages

    return Prepared(run)


def pop3_client_list(given):
    chunks = in_chunks(given)
    return Prepared(
        lambda: transaction_state(chunks).list()[1],
        lambda lines: [tuple(map(int, line.split())) for line in lines],
    )


def pop3_client_uidl(given):
    chunks = in_chunks(given)

    def entry(line):
        message, unique_id = line.decode().split()
        return int(message), unique_id

    return Prepared(
        lambda: transaction_state(chunks).uidl()[1], lambda lines: list(map(entry, lines))
    )


def pop3_import(given):
    return new_processes("import poplib", given)


def pop3_import_and_use(given):
    # Its client connects at once; without that there is nothing to make.
    return new_processes("import poplib; poplib.POP3.__new__(poplib.POP3)", given)
