"""Twisted's ESMTP and POP3 servers without a reactor; the sink joins the lines it is given."""

from __future__ import annotations

import io
import time
from collections import deque
from importlib.metadata import version

from loopback import Sender, one_core
from registry import Prepared, keep
from twisted.internet import defer, reactor
from twisted.internet.abstract import FileDescriptor
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.mail import pop3, smtp
from zope.interface import implementer

VERSION = version("Twisted")


@implementer(smtp.IMessage)
class Sink:
    def __init__(self, messages):
        self.messages = messages
        self.lines = []
        self.lineReceived = self.lines.append

    def eomReceived(self):  # Twisted's name
        keep(self.messages, b"\r\n".join([*self.lines, b""]))
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


# --------------------------------------------------------------------------- POP3 server


@implementer(pop3.IMailbox)
class Maildrop(pop3.Mailbox):
    """Messages with LF line ends, the only ones that Twisted sends as they are."""

    def __init__(self, *, content=b"", sizes=(), unique_ids=()):
        self.content = content.replace(b"\r\n", b"\n")
        self.sizes = sizes
        self.unique_ids = unique_ids

    def listMessages(self, index=None):  # Twisted's name
        return self.sizes if index is None else self.sizes[index]

    def getMessage(self, index):  # Twisted's name
        return io.BytesIO(self.content)

    def getUidl(self, index):  # Twisted's name
        return self.unique_ids[index]


def at_once(iterator):
    """In place of the reactor's cooperator."""
    deque(iterator, 0)
    return defer.succeed(None)


def pop3_answers(maildrop, command, count):
    protocol = pop3.POP3()
    protocol.timeOut, protocol.noisy, protocol.schedule = None, False, at_once
    protocol.factory = None
    transport = StringTransport()
    protocol.makeConnection(transport)
    protocol.mbox = maildrop
    transport.clear()
    answers = []
    for _ in range(count):
        protocol.dataReceived(command)
        while transport.producer is not None:
            transport.producer.resumeProducing()
        keep(answers, transport.value())
        transport.clear()
    return answers


def read_pop3(answers):
    """What follows the status lines."""
    return [wire.partition(b"\r\n")[2] for wire in answers]


def pop3_server(given):
    content, count = given
    maildrop = Maildrop(content=content, sizes=[len(content)])
    return Prepared(lambda: pop3_answers(maildrop, b"RETR 1\r\n", count), read_pop3)


def pop3_server_list(given):
    maildrop = Maildrop(sizes=given)
    return Prepared(lambda: pop3_answers(maildrop, b"LIST\r\n", 1), read_pop3)


def pop3_server_uidl(given):
    maildrop = Maildrop(sizes=given, unique_ids=[text.encode() for text in given])
    return Prepared(lambda: pop3_answers(maildrop, b"UIDL\r\n", 1), read_pop3)


class Words(FileDescriptor):
    """Notes that the client of the loopback has said a word."""

    def __init__(self, sender):
        super().__init__(reactor)
        self.said, self.fileno = False, sender.fileno

    def doRead(self):  # Twisted's name
        self.said = True
        self.stopReading()


def await_word(sender, word):
    """Run the reactor until the client has said `word`."""
    words = Words(sender)
    words.startReading()
    while not words.said:
        reactor.runUntilCurrent()
        reactor.doIteration(reactor.timeout())
    sender.check(word)


def smtp_loopback(given):
    """The same over sockets, on Twisted's reactor."""
    count, mode = given
    one_core()
    if not reactor.running:
        reactor.startRunning(installSignalHandlers=False)
    messages = []

    class Sessions(Factory):
        noisy = False

        def buildProtocol(self, address):  # Twisted's name
            protocol = smtp.ESMTP()
            protocol.timeout, protocol.noisy = None, False
            protocol.delivery = Delivery(messages)
            return protocol

    port = reactor.listenTCP(0, Sessions(), interface="127.0.0.1")
    sender = Sender(port.getHost().port, count, mode)
    await_word(sender, b"ready")

    def run():
        sender.start()
        await_word(sender, b"done")
        return messages

    def read(result):
        sender.close()
        port.stopListening()
        reactor.iterate(0.01)
        return result

    return Prepared(run, read, time.process_time)
