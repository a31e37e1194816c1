"""smtplib's data(): doubling of dots and the end, over a socket in memory."""

from __future__ import annotations

import itertools
import platform
import smtplib

from registry import Prepared

VERSION = platform.python_version()


class Socket:
    def __init__(self):
        self.sent = []
        self.sendall = self.sent.append

    def close(self):
        pass


class Replies:
    """Answers 354 and 250 in turn."""

    def __init__(self):
        lines = itertools.cycle([b"354 go ahead\r\n", b"250 OK\r\n"])
        self.readline = lambda limit: next(lines)

    def close(self):
        pass


def smtp_client(given):
    content, count = given
    client = smtplib.SMTP()
    client.sock, client.file = socket, _ = Socket(), Replies()

    def run():
        socket.sent.clear()
        for _ in range(count):
            client.data(content)
        return socket.sent

    return Prepared(run, lambda sent: sent[1::2])  # every other write is the command
