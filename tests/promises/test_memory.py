"""P08 at the servers' sessions; the bounds of the machines are tested beside them."""

from __future__ import annotations

import tracemalloc

import pytest

from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.flows.effects import Call, Read, Write
from mailproto.flows.services import Services
from mailproto.flows.serving import Peer

MIB = 1024 * 1024
USERS = Users({"alice": "wonderland"})
PEER = Peer("127.0.0.1", 1, "127.0.0.1", 2)
FLOODS = [
    ("smtp", b"EHLO x\r\n"),
    ("smtp", b"NOOP\r\n"),
    ("smtp", b"EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<alice@localhost>\r\nRSET\r\n"),
    ("smtp", b"HELP\r\n"),
    ("imap", b"a NOOP\r\n"),
    ("imap", b"a CAPABILITY\r\n"),
    ("imap", b"a ID NIL\r\n"),
    ("pop3", b"CAPA\r\n"),
]


def services() -> Services:
    return Services(MemoryStore(), USERS, allow_insecure_auth=True)


@pytest.mark.parametrize(("name", "command"), FLOODS)
def test_P08_answers_to_a_flood_of_commands_leave_in_pieces(name: str, command: bytes) -> None:
    """A client may send many commands in one go; their answers must not all wait."""
    flow = services().sessions(name)(PEER)
    effect = flow.send(None)
    while not isinstance(effect, Read):
        effect = flow.send(None)
    flood = command * (80 * 1024 // len(command))
    largest = 0
    tracemalloc.start()
    try:
        effect = flow.send(flood)
        while not isinstance(effect, Read):
            result = None
            if isinstance(effect, Write):
                largest = max(largest, len(effect.data))
            elif isinstance(effect, Call):
                result = effect.function()
            effect = flow.send(result)
        _, peak = tracemalloc.get_traced_memory()
    except StopIteration:
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        flow.close()
    assert largest <= 64 * 1024 + 512
    assert peak <= MIB
