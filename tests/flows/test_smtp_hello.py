"""EHLO said again in a session that has begun (RFC 5321 section 4.1.4)."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import CommandFailed
from mailproto.flows.effects import Flow
from mailproto.flows.smtp_client import HELO_AFTER, Session
from mailproto.testing import converse, peer, transcript

BEGIN = """S: 220 mx
C: EHLO me
S: 250-mx
S: 250-SIZE 1000
S: 250 8BITMIME
"""


def test_what_is_offered_now_replaces_what_was() -> None:
    session = Session(smtp.Client(tls=True), "me")

    def flow() -> Flow[smtp.Capabilities]:
        yield from session.begin()
        assert session.machine.offers("8BITMIME")
        return (yield from session.hello())

    script = BEGIN + "C: EHLO me\nS: 250-mx\nS: 250-SIZE 2000\nS: 250 DSN\n"
    offered, _ = converse(flow(), peer(transcript(script)))
    assert offered == session.capabilities
    assert offered.size == 2000
    assert session.machine.offers("DSN")
    assert not session.machine.offers("8BITMIME")


@pytest.mark.parametrize("code", sorted(HELO_AFTER))
def test_a_refusal_leaves_all_as_it_was(code: int) -> None:
    """The server must be as before then, so the client does not fall back to HELO."""
    session = Session(smtp.Client(tls=True), "me")

    def flow() -> Flow[smtp.Reply]:
        yield from session.begin()
        with pytest.raises(CommandFailed, match=f"EHLO was refused: {code}"):
            yield from session.hello()
        assert session.machine.offers("8BITMIME")
        return (yield from session.noop())

    script = BEGIN + f"C: EHLO me\nS: {code} no\nC: NOOP\nS: 250 ok\n"
    reply, _ = converse(flow(), peer(transcript(script)))
    assert reply.positive
