"""Everything that ``Services`` can serve, by name: each greets as its protocol does."""

from __future__ import annotations

import pytest

from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.flows.effects import Read, StartTLS, Write
from mailproto.flows.services import PORTS, Services
from mailproto.flows.serving import Peer

PEER = Peer("127.0.0.1", 1, "127.0.0.1", 2)
GREETINGS = {"imap": b"* OK ", "pop3": b"+OK ", "imaps": b"* OK ", "pop3s": b"+OK "}


def services() -> Services:
    return Services(MemoryStore(), Users({"alice": "secret"}))


@pytest.mark.parametrize("name", PORTS)
def test_each_name_greets_in_its_protocol(name: str) -> None:
    flow = services().sessions(name)(PEER)
    said = b""
    effect = next(flow)
    while not isinstance(effect, Read | StartTLS):
        if isinstance(effect, Write):
            said += effect.data
        effect = flow.send(None)
    flow.close()
    # TLS from the first octet is begun by who listens.
    assert not isinstance(effect, StartTLS)
    assert said.startswith(GREETINGS.get(name, b"220 "))


@pytest.mark.parametrize("name", ["ftp", "", "SMTP", "pop", "imap4"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is none of smtp, submission"):
        services().sessions(name)
