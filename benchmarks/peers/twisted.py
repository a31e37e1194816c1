"""Twisted's ESMTP server protocol without a reactor; the sink joins the lines it is given."""

from __future__ import annotations

from importlib.metadata import version

from registry import Prepared
from twisted.internet import defer
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from zope.interface import implementer

VERSION = version("Twisted")


@implementer(smtp.IMessage)
class Sink:
    def __init__(self, messages):
        self.messages = messages
        self.lines = []
        self.lineReceived = self.lines.append

    def eomReceived(self):  # Twisted's name
        self.messages.append(b"\r\n".join([*self.lines, b""]))
        return defer.succeed(None)


@implementer(smtp.IMessageDelivery)
class Delivery:
    def __init__(self, messages):
        self.messages = messages

    def receivedHeader(self, helo, origin, recipients):  # Twisted's name
        return b""

    def validateFrom(self, helo, origin):  # Twisted's name
        return origin

    def validateTo(self, user):  # Twisted's name
        return lambda: Sink(self.messages)


def smtp_server(given):
    chunks = [chunk for chunk, _ in given]

    def run():
        messages = []
        protocol = smtp.ESMTP()
        protocol.timeout, protocol.noisy = None, False
        protocol.delivery = Delivery(messages)
        transport = StringTransport()
        protocol.makeConnection(transport)
        for chunk in chunks:
            protocol.dataReceived(chunk)
        return messages

    return Prepared(run)
