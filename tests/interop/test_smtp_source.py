"""Postfix's load generator against `mailproto serve`: every message is there, once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interop.conftest import CONTROL, MailServer, Observer, ServeFactory
from interop.mail import RECIPIENT, SENDER
from interop.peers.process import HOST, require, run

pytestmark = pytest.mark.skipif(CONTROL, reason="the load is meant for our server")

_MESSAGE_ID = re.compile(rb"(?im)^message-id: *(<[^>]*>)")


def message_ids(server: MailServer, user: str = "alice") -> list[bytes]:
    """The Message-ID of every message of a user, as imaplib fetches them."""
    with Observer(server).session(user) as imap:
        status, count = imap.select(readonly=True)
        assert (status, len(count)) == ("OK", 1)
        if count == [b"0"]:
            return []
        status, data = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        assert status == "OK"
    fields = b"".join(item[1] for item in data if isinstance(item, tuple))
    return _MESSAGE_ID.findall(fields)


def load(port: int, count: int, sessions: int, *options: str) -> None:
    run(
        *(require("smtp-source", "postfix"), "-s", str(sessions), "-m", str(count), "-l", "200"),
        *("-f", SENDER, "-t", RECIPIENT, *options, f"{HOST}:{port}"),
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_messages_over_fifty_sessions(start_serve: ServeFactory) -> None:
    server = start_serve()
    load(server.smtp, 10_000, 50, "-d")
    found = message_ids(server)
    assert len(found) == 10_000
    assert len(set(found)) == 10_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["a connection each", "lmtp", "on disk"])
def test_five_hundred_messages(start_serve: ServeFactory, tmp_path: Path, way: str) -> None:
    server = start_serve(*([f"--store=sqlite:{tmp_path / 'mail.db'}"] if way == "on disk" else []))
    if way == "lmtp":
        load(server.lmtp, 500, 50, "-d", "-L")
    else:
        load(server.smtp, 500, 50, *([] if way == "a connection each" else ["-d"]))
    found = message_ids(server)
    assert len(found) == 500
    assert len(set(found)) == 500
