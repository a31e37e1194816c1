"""mailproto's own machines, fed chunks as a socket would, every event taken as typed objects."""

from __future__ import annotations

import time

from registry import CHUNK, Prepared, in_chunks, keep, new_processes

from mailproto import __version__, imap, pop3, smtp

VERSION = __version__


# --------------------------------------------------------------------------- POP3 client


def pop3_transaction_state():
    """A POP3 client that has logged in."""
    client = pop3.Client()
    client.receive_data(b"+OK ready\r\n")
    client.next_event()
    for command in (pop3.User("alice"), pop3.Pass("secret")):
        client.send(command)
        client.data_to_send()
        client.receive_data(b"+OK\r\n")
        client.next_event()
    return client


def retrieve(client, chunks):
    """One RETR: the message's octets."""
    need_data, body_class, end_class = pop3.NEED_DATA, pop3.Body, pop3.EndOfMessage
    receive_data, next_event = client.receive_data, client.next_event
    client.send(pop3.Retr(1))
    client.data_to_send()
    body = []
    for chunk in chunks:
        receive_data(chunk)
        while (event := next_event()) is not need_data:
            kind = type(event)
            if kind is body_class:
                body.append(event.data)
            elif kind is end_class:
                return b"".join(body)
    raise AssertionError("the message did not end")


def pop3_client(given):
    wire, count = given
    chunks = in_chunks(wire)
    client = pop3_transaction_state()

    def run():
        messages = []
        for _ in range(count):
            keep(messages, retrieve(client, chunks))
        return messages

    return Prepared(run)


def pop3_client_octets(given):
    wire, _ = given
    chunks = in_chunks(wire, 1)
    client = pop3_transaction_state()
    return Prepared(lambda: [retrieve(client, chunks)])


def listing(command, chunks):
    """LIST or UIDL: all entries."""
    client = pop3_transaction_state()
    client.send(command)
    client.data_to_send()
    entries = {}
    for chunk in chunks:
        client.receive_data(chunk)
        while (event := client.next_event()) is not pop3.NEED_DATA:
            if type(event) in (pop3.ScanListings, pop3.UniqueIdListings):
                entries |= event.entries
            elif type(event) is pop3.EndOfListing:
                return entries
    raise AssertionError("the listing did not end")


def pairs(entries):
    return list(entries.items())


def pop3_client_list(given):
    chunks = in_chunks(given)
    return Prepared(lambda: listing(pop3.List(), chunks), pairs)


def pop3_client_uidl(given):
    chunks = in_chunks(given)
    return Prepared(lambda: listing(pop3.Uidl(), chunks), pairs)


def pop3_import(given):
    return new_processes("import mailproto.pop3", given)


def pop3_import_and_use(given):
    return new_processes("import mailproto.pop3; mailproto.pop3.Client()", given)


# --------------------------------------------------------------------------- POP3 server


def pop3_open_maildrop():
    """A POP3 server whose client has logged in."""
    server = pop3.Server(offer=pop3.Offer(insecure_auth=True))
    server.accept()
    for line in (b"USER alice\r\n", b"PASS secret\r\n"):
        server.receive_data(line)
        server.next_event()
        server.send(pop3.Ok())
    server.data_to_send()
    return server


def message(server, command, content):
    """One message in one piece, as the flow sends those that are small."""
    server.receive_data(command)
    server.next_event()
    server.send(pop3.Message(content))
    return [server.data_to_send()]


def answer(server, command, pieces, end):
    """One multi-line answer; like the flow it writes at once what is no last small piece."""
    server.receive_data(command)
    server.next_event()
    server.send(pop3.Ok())
    wire = []
    for piece in pieces:
        server.send(piece)
        if type(piece) is not pop3.Body or len(piece.data) == CHUNK:
            wire.append(server.data_to_send())
    server.send(end)
    wire.append(server.data_to_send())
    return wire


def read_answers(answers):
    """What follows the status lines."""
    return [b"".join(wire).partition(b"\r\n")[2] for wire in answers]


def pop3_server(given):
    content, count = given
    chunks = in_chunks(content)
    server = pop3_open_maildrop()

    def run():
        answers = []
        for _ in range(count):
            if len(chunks) == 1:
                keep(answers, message(server, b"RETR 1\r\n", content))
                continue
            pieces = map(pop3.Body, chunks)
            keep(answers, answer(server, b"RETR 1\r\n", pieces, pop3.EndOfMessage()))
        return answers

    return Prepared(run, read_answers)


def blocks(values):
    """Entries of 2,000 messages at a time, as the flow makes them."""
    for first in range(0, len(values), 2000):
        block = values[first : first + 2000]
        yield dict(zip(range(first + 1, first + 1 + len(block)), block, strict=True))


def pop3_server_list(given):
    server = pop3_open_maildrop()

    def run():
        pieces = map(pop3.ScanListings, blocks(given))
        return [answer(server, b"LIST\r\n", pieces, pop3.EndOfListing())]

    return Prepared(run, read_answers)


def pop3_server_uidl(given):
    server = pop3_open_maildrop()

    def run():
        pieces = map(pop3.UniqueIdListings, blocks(given))
        return [answer(server, b"UIDL\r\n", pieces, pop3.EndOfListing())]

    return Prepared(run, read_answers)


# --------------------------------------------------------------------------- SMTP server


def receive(chunks):
    """A session in which everything is accepted: the messages."""
    server = smtp.Server("mx.example.test")
    server.accept()
    messages, body = [], []
    receive_data, next_event, need_data = server.receive_data, server.next_event, smtp.NEED_DATA
    body_kind, end_kind = smtp.Body, smtp.EndOfMessage
    for chunk in chunks:
        receive_data(chunk)
        answered = False
        while (event := next_event()) is not need_data:
            kind = type(event)
            if kind is body_kind:
                body.append(event.data)
                continue
            if kind is end_kind:
                keep(messages, b"".join(body))
                body.clear()
            server.accept()
            answered = True
        if answered:
            server.data_to_send()
    return messages


def smtp_server(given):
    chunks = [chunk for chunk, _ in given]
    return Prepared(lambda: receive(chunks))


smtp_server_octets = smtp_server


# --------------------------------------------------------------------------- SMTP client


def smtp_ready_for_mail():
    """An SMTP client after EHLO."""
    client = smtp.Client()
    client.receive_data(b"220 mx.example.test ESMTP\r\n")
    client.next_event()
    client.send(smtp.Ehlo("client.example.test"))
    client.data_to_send()
    client.receive_data(
        b"250-mx.example.test\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250 8BITMIME\r\n"
    )
    client.next_event()
    return client


def submit(client, chunks):
    """One transaction; only what follows 354 is returned."""
    path = smtp.Mailbox("someone", "example.test")
    for command in (smtp.Mail(path), smtp.Rcpt(path), smtp.Data()):
        client.send(command)
    client.data_to_send()
    client.receive_data(b"250 OK\r\n250 OK\r\n354 go ahead\r\n")
    for _ in range(3):
        client.next_event()
    wire = []
    for chunk in chunks:
        client.send(smtp.Body(chunk))
        wire.append(client.data_to_send())
    client.send(smtp.EndOfMessage())
    wire.append(client.data_to_send())
    client.receive_data(b"250 OK\r\n")
    client.next_event()
    return wire


def smtp_client(given):
    content, count = given
    chunks = in_chunks(content)
    client = smtp_ready_for_mail()

    def run():
        sent = []
        for _ in range(count):
            keep(sent, submit(client, chunks))
        return sent

    return Prepared(run, lambda sent: [b"".join(wire) for wire in sent])


# --------------------------------------------------------------------------- SMTP submission

OK, GO_AHEAD = b"250 2.0.0 OK\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"


def repeated(submit, count):
    """What that many transactions have sent as content."""
    sent = []
    for _ in range(count):
        keep(sent, submit())
    return sent


def smtp_submission(given):
    """Whole transactions, one command at a time."""
    content, count = given
    client = smtp_ready_for_mail()
    sender = smtp.Mailbox("sender", "example.test")
    recipient = smtp.Mailbox("recipient", "example.test")

    def ask(command, reply):
        client.send(command)
        sent = client.data_to_send()
        client.receive_data(reply)
        assert client.next_event().positive
        return sent

    def submit():
        ask(smtp.Mail(sender, len(content)), OK)
        ask(smtp.Rcpt(recipient), OK)
        ask(smtp.Data(), GO_AHEAD)
        client.send(smtp.Body(content))
        return ask(smtp.EndOfMessage(), OK)

    return Prepared(lambda: repeated(submit, count))


def smtp_submission_pipelined(given):
    """Whole transactions: the envelope and DATA in one write."""
    content, count = given
    client = smtp_ready_for_mail()
    sender = smtp.Mailbox("sender", "example.test")
    recipient = smtp.Mailbox("recipient", "example.test")

    def submit():
        client.send(smtp.Mail(sender, len(content)))
        client.send(smtp.Rcpt(recipient))
        client.send(smtp.Data())
        client.data_to_send()
        client.receive_data(OK + OK + GO_AHEAD)
        for _ in range(3):
            assert client.next_event().positive
        client.send(smtp.Body(content))
        client.send(smtp.EndOfMessage())
        sent = client.data_to_send()
        client.receive_data(OK)
        assert client.next_event().positive
        return sent

    return Prepared(lambda: repeated(submit, count))


# --------------------------------------------------------------------------- SMTP over loopback


def smtp_loopback(given):
    """The asyncio server with a handler that keeps messages, over sockets."""
    import asyncio

    from loopback import Sender, await_word, one_core

    from mailproto.aio.smtp import serve
    from mailproto.flows.smtp_server import Handler

    count, mode = given
    messages = []

    class Sink(Handler):
        def __init__(self, origin):
            self.pieces = []

        def rcpt(self, rcpt):
            return None

        def content(self, data):
            self.pieces.append(data)

        def end(self):
            keep(messages, b"".join(self.pieces))
            self.pieces = []

    one_core()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(serve(Sink, "127.0.0.1", 0, hostname="mx.example.test"))
    sender = Sender(server.port, count, mode)
    await_word(loop, sender, b"ready")

    def run():
        sender.start()
        await_word(loop, sender, b"done")
        return messages

    def read(result):
        sender.close()
        loop.run_until_complete(server.close())
        loop.close()
        return result

    return Prepared(run, read, time.process_time)


# --------------------------------------------------------------------------- IMAP client


def imap_selected_client():
    """An IMAP client with a mailbox open and a FETCH under way."""
    client = imap.Client(tls=True)
    client.receive_data(b"* PREAUTH ready\r\n")
    client.next_event()
    client.send(imap.Select("INBOX"))
    client.data_to_send()
    client.receive_data(b"A1 OK [READ-WRITE] selected\r\n")
    client.next_event()
    client.send(imap.Fetch("1:*", (imap.FetchAtt.FLAGS,)))
    client.data_to_send()
    return client


def responses(client, chunks):
    """Every event that the chunks hold."""
    events = []
    for chunk in chunks:
        client.receive_data(chunk)
        while (event := client.next_event()) is not imap.NEED_DATA:
            events.append(event)
    return events


def imap_client(given):
    chunks = in_chunks(b"".join(given))
    client = imap_selected_client()
    return Prepared(lambda: responses(client, chunks), read_fetch)


def read_fetch(events):
    told = []
    for event in events:
        entry = [event.number, event.uid]
        flags = tuple(sorted(event.flags))
        if event.envelope is None:
            told.append((*entry, flags))
            continue
        body = event.body_structure
        top = b"multipart" if type(body) is imap.MultiPart else body.media_type
        sender = event.envelope.from_[0].mailbox.decode()
        entry += [event.size, flags, event.envelope.subject.decode(), sender]
        told.append((*entry, (top + b"/" + body.subtype).decode().lower()))
    return told


# --------------------------------------------------------------------------- IMAP server


def imap_selected_server():
    """An IMAP server with a mailbox open."""
    server = imap.Server(tls=True)
    server.accept()
    for line, name in ((b"a LOGIN alice secret\r\n", "a"), (b"b SELECT INBOX\r\n", "b")):
        server.receive_data(line)
        server.next_event()
        server.send(imap.Completion(name, imap.OK, "done"))
        server.data_to_send()
    return server


def commands(server, chunks):
    """Every command that the chunks hold, each completed at once."""
    found = []
    for chunk in chunks:
        server.receive_data(chunk)
        while (event := server.next_event()) is not imap.NEED_DATA:
            if type(event) is imap.Tagged:
                found.append(event)
                if type(event.command) is imap.Append:
                    server.accept()  # the content may come
                    continue
            elif type(event) is imap.LiteralChunk:
                continue
            server.send(imap.Completion(found[-1].tag, imap.OK, "done"))
        server.data_to_send()
    return found


def imap_server(given):
    chunks = in_chunks(b"".join(given))
    server = imap_selected_server()
    return Prepared(lambda: commands(server, chunks), read_commands)


def read_commands(found):
    return [
        ("UID " if getattr(tagged.command, "uid", False) else "")
        + type(tagged.command).__name__.upper()
        for tagged in found
    ]
