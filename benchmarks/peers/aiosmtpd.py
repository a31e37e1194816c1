"""aiosmtpd's SMTP protocol over a transport in memory; iterations of the event loop count."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version

from aiosmtpd.smtp import SMTP
from loopback import Sender, await_word, one_core
from registry import Prepared, keep

VERSION = version("aiosmtpd")


class Transport(asyncio.Transport):
    """Counts replies, and honours back pressure."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.replies = 0
        self.paused = False

    def write(self, data):
        # every reply here is one line or a block whose last line has a space after the code
        self.replies += data[3:4] == b" " or b"\r\n250 " in data

    def is_closing(self):
        return False

    def close(self):
        pass

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


class Handler:
    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):  # aiosmtpd's name
        keep(self.messages, envelope.content)
        return "250 OK"


def smtp_server(given):
    async def drive():
        transport, handler = Transport(), Handler()
        protocol = SMTP(handler, loop=asyncio.get_running_loop(), hostname="mx.example.test")
        protocol.connection_made(transport)
        expected = 1
        while transport.replies < expected:
            await asyncio.sleep(0)
        for chunk, replies in given:
            protocol.data_received(chunk)
            expected += replies
            await asyncio.sleep(0)
            while transport.paused or (replies and transport.replies < expected):
                await asyncio.sleep(0)
        protocol._handler_coroutine.cancel()
        protocol.connection_lost(None)
        return handler.messages

    return Prepared(lambda: asyncio.run(drive()))


def smtp_loopback(given):
    """The same over sockets, on asyncio's own loop."""
    count, mode = given
    one_core()
    loop, handler = asyncio.new_event_loop(), Handler()

    def protocol():
        return SMTP(handler, loop=loop, hostname="mx.example.test")

    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    sender = Sender(server.sockets[0].getsockname()[1], count, mode)
    await_word(loop, sender, b"ready")

    def run():
        sender.start()
        await_word(loop, sender, b"done")
        return handler.messages

    def read(messages):
        sender.close()
        server.close()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        return messages

    return Prepared(run, read, time.process_time)
