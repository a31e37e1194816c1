"""aiosmtplib's protocol over a transport in memory; iterations of the event loop count."""

from __future__ import annotations

import asyncio
import itertools
from importlib.metadata import version

from aiosmtplib import SMTP, SMTPResponse
from aiosmtplib.protocol import SMTPProtocol
from registry import Prepared

VERSION = version("aiosmtplib")
OK, GO_AHEAD = b"250 2.0.0 OK\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"


class Transport(asyncio.Transport):
    """Answers every write in the next iteration of the loop."""

    def __init__(self, loop, protocol):
        super().__init__()
        self.sent = []
        self.call_soon, self.received = loop.call_soon, protocol.data_received
        self.replies = itertools.cycle([OK, OK, GO_AHEAD, OK])

    def write(self, data):
        self.sent.append(data)
        self.call_soon(self.received, next(self.replies))

    def is_closing(self):
        return False


def smtp_submission(given):
    """sendmail() in a session that has said EHLO."""
    content, count = given

    async def submit():
        loop = asyncio.get_running_loop()
        protocol = SMTPProtocol(loop)
        transport = Transport(loop, protocol)
        protocol.connection_made(transport)
        client = SMTP(local_hostname="client.example.test")
        client.protocol, client.transport = protocol, transport
        client.last_ehlo_response = SMTPResponse(250, "mx.example.test")
        client.esmtp_extensions = {"size": "", "pipelining": "", "8bitmime": ""}
        client.supports_esmtp = True
        for _ in range(count):
            await client.sendmail("sender@example.test", "recipient@example.test", content)
        return transport.sent

    return Prepared(lambda: asyncio.run(submit()), lambda sent: sent[3::4])


smtp_submission_pipelined = smtp_submission
