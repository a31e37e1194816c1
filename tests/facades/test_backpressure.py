"""P08 at the drivers: who sends and never reads is, after a while, no longer read."""

from __future__ import annotations

import select
import socket
import threading
import tracemalloc
from typing import Final

import pytest

from facades.world import USERS, Conversation, Facade, scripted
from mailproto.backend import MemoryStore
from mailproto.flows.services import Services

MIB: Final = 1024 * 1024


def send_until_stuck(sock: socket.socket, flood: bytes, most: int) -> int:
    """Send without ever reading, until nothing moves for a while or ``most`` octets are out."""
    sock.setblocking(False)
    sent = 0
    while sent < most and select.select([], [sock], [], 0.5)[1]:
        try:
            sent += sock.send(flood)
        except BlockingIOError:
            continue
        except OSError:
            break
    return sent


@pytest.mark.parametrize(
    ("name", "command"), [("imap", b"a CAPABILITY\r\n"), ("pop3", b"CAPA\r\n")]
)
def test_P08_a_client_that_sends_and_never_reads_is_no_longer_read(
    facade: Facade, name: str, command: bytes
) -> None:
    services = Services(MemoryStore(), USERS)
    server = facade.server(services)
    port = server.listen("127.0.0.1", 0, services.sessions(name))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tracemalloc.start()
        try:
            sent = send_until_stuck(sock, command * 2000, 64 * MIB)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    server.close(grace=0.1)
    assert sent < 64 * MIB, "the server reads on although nobody takes its answers"
    assert peak < 4 * MIB


def test_P08_a_client_that_is_busy_elsewhere_is_not_flooded(facade: Facade) -> None:
    done = threading.Event()

    def talk(conversation: Conversation) -> None:
        conversation.say(b"* OK [CAPABILITY IMAP4rev1] hi\r\n")
        connection = conversation.connection
        sent.append(send_until_stuck(connection, b"* 1 EXISTS\r\n" * 5000, 64 * MIB))
        done.set()

    sent: list[int] = []
    with scripted(talk) as (port, _):
        tracemalloc.start()
        try:
            client = facade.connect("imap", port, tls="none")
            assert done.wait(20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        client.close()
    assert sent[0] < 64 * MIB
    assert peak < 4 * MIB
