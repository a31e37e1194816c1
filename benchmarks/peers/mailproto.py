"""mailproto's own machines, fed chunks as a socket would, every event taken as typed objects."""

from __future__ import annotations

from registry import Prepared, in_chunks

from mailproto import __version__

VERSION = __version__


# --------------------------------------------------------------------------- POP3 client


def pop3_transaction_state():
    """A POP3 client that has logged in."""
    from mailproto import pop3

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
    from mailproto import pop3

    client.send(pop3.Retr(1))
    client.data_to_send()
    body = []
    for chunk in chunks:
        client.receive_data(chunk)
        while (event := client.next_event()) is not pop3.NEED_DATA:
            if type(event) is pop3.Body:
                body.append(event.data)
            elif type(event) is pop3.EndOfMessage:
                return b"".join(body)
    raise AssertionError("the message did not end")


def pop3_client(given):
    wire, count = given
    chunks = in_chunks(wire)
    client = pop3_transaction_state()
    return Prepared(lambda: [retrieve(client, chunks) for _ in range(count)])
