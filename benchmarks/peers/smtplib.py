"""smtplib's data(): doubling of dots and the end, over a socket in memory."""

from __future__ import annotations

import io
import itertools
import platform
import smtplib

from registry import Prepared, keep

VERSION = platform.python_version()
OK, GO_AHEAD = b"250 2.0.0 OK\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"


class Socket:
    def __init__(self, period):
        self.sent = []
        self.period = period

    def sendall(self, data):
        keep(self.sent, data, self.period)

    def close(self):
        pass


class Replies(io.RawIOBase):
    """What the socket's file reads from: the same replies in turn, one at a time."""

    def __init__(self, *lines):
        super().__init__()
        self.lines = itertools.cycle(lines)

    def readable(self):
        return True

    def readinto(self, buffer):
        line = next(self.lines)
        buffer[: len(line)] = line
        return len(line)


def session(*lines):
    """A client with its socket, where the server answers with these replies in turn."""
    client = smtplib.SMTP(local_hostname="client.example.test")
    client.sock, client.file = Socket(len(lines)), io.BufferedReader(Replies(*lines))
    return client


def smtp_client(given):
    content, count = given
    client = session(GO_AHEAD, OK)
    socket = client.sock

    def run():
        socket.sent.clear()
        for _ in range(count):
            client.data(content)
        return socket.sent

    return Prepared(run, lambda sent: sent[1::2])  # every other write is the command


def smtp_submission(given):
    """sendmail() in a session that has said EHLO."""
    content, count = given
    client = session(OK, OK, GO_AHEAD, OK)
    socket = client.sock
    client.ehlo_resp, client.does_esmtp = b"", True
    client.esmtp_features = {"size": "", "pipelining": "", "8bitmime": ""}

    def run():
        socket.sent.clear()
        for _ in range(count):
            client.sendmail("sender@example.test", ["recipient@example.test"], content)
        return socket.sent

    return Prepared(run, lambda sent: sent[3::4])


smtp_submission_pipelined = smtp_submission
