"""Everything that ``Services`` can serve, by name: each greets as its protocol does."""

from __future__ import annotations

import imaplib
import poplib
import smtplib

import pytest

from mailproto import sync
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


def test_P06_no_name_makes_TLS_of_a_connection_that_is_clear() -> None:
    ours = services()
    with sync.Server(ours.shutdown) as server:
        ports = [
            server.listen("127.0.0.1", 0, ours.sessions(name))
            for name in ("smtps", "imaps", "pop3s")
        ]
        with smtplib.SMTP("127.0.0.1", ports[0], timeout=20) as smtp:
            smtp.ehlo()
            assert "auth" not in smtp.esmtp_features
        with imaplib.IMAP4("127.0.0.1", ports[1], timeout=20) as imap:
            assert "LOGINDISABLED" in imap.capabilities
        pop3 = poplib.POP3("127.0.0.1", ports[2], timeout=20)
        assert not {"USER", "SASL"} & set(pop3.capa())
        pop3.quit()
