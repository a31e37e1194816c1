"""Content that is proven safe: what the type promises, and that nobody looks at it again."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.testing import Link

PIECES = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"x" * 998, b"\r\n.\r\n"]))
REPAIR = smtp.BareNewlines.REPAIR


def taken(content: bytes, policy: smtp.BareNewlines) -> bytes:
    """What our server makes of the content, sent as it is."""
    received: list[bytes] = []

    def answer(machine: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Body):
            received.append(event.data)
        else:
            machine.accept()

    link = Link(smtp.Client(), smtp.Server("mx", bare_newlines=policy), on_server=answer)
    link.pump()
    for command in (smtp.Ehlo("a"), smtp.Mail(smtp.NULL_PATH), smtp.Rcpt(smtp.POSTMASTER)):
        link.client.send(command)
        link.pump()
    link.client.send(smtp.Data())
    link.pump()
    link.client.send(smtp.Body(content))
    link.client.send(smtp.EndOfMessage())
    link.pump()
    assert [e.code for e in link.client_events if isinstance(e, smtp.Reply)][-1] == 250
    return b"".join(received)


@pytest.mark.parity("smtp-client bare CR and LF in content")
@given(PIECES, st.sampled_from([smtp.BareNewlines.REJECT, REPAIR]))
def test_P03_what_is_safe_is_safe_for_every_server(
    pieces: list[bytes], policy: smtp.BareNewlines
) -> None:
    octets = b"".join(pieces)
    try:
        content = smtp.SafeContent(octets, policy)
    except LocalProtocolError:
        bare = b"\r" in octets.replace(b"\r\n", b"") or b"\n" in octets.replace(b"\r\n", b"")
        lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        assert bare or max(map(len, lines)) > 998
        return
    rest = content.replace(b"\r\n", b"")
    assert b"\r" not in rest
    assert b"\n" not in rest
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert content == b"" or content.endswith(b"\r\n")
    for server in smtp.BareNewlines:
        assert taken(content, server) == content


@given(PIECES)
def test_what_is_refused_as_content_is_not_safe(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    try:
        smtp.Client().check_content(octets)
    except LocalProtocolError as expected:
        with pytest.raises(LocalProtocolError, match=str(expected)):
            smtp.SafeContent(octets)
    else:
        assert smtp.SafeContent(octets) in (octets, octets + b"\r\n")


def test_the_proof_is_the_type() -> None:
    content = smtp.SafeContent(b"a\r\nb")
    assert content == b"a\r\nb\r\n"
    for other in (content[:2], content + b"\n", content.replace(b"\r", b""), content * 2):
        assert type(other) is bytes
    for other in (copy.copy(content), copy.deepcopy(content), pickle.loads(pickle.dumps(content))):
        assert other == content
    assert repr(content) == "<SafeContent of 6 octets>"
    with pytest.raises(LocalProtocolError, match="never safe"):
        smtp.SafeContent(b"a\n", smtp.BareNewlines.PASS)


@pytest.mark.parametrize("chunks", [True, False])
def test_what_is_proven_is_not_looked_at_again(
    chunks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = smtp.SafeContent(b"a\r\n")

    def look(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("mailproto.smtp.content.OutgoingContent.check", look)
    smtp.Client().check_content(content, chunks=chunks)
    with pytest.raises(AssertionError):
        smtp.Client().check_content(bytes(content), chunks=chunks)
