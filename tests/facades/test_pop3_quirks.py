"""What real servers do beside the RFCs, met by both facades and told where the user sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facades.world import Conversation, Facade, scripted
from mailproto import pop3
from mailproto.backend import DownloadDirectory
from mailproto.flows.pop3_download import Downloaded
from mailproto.pop3 import Quirk

LONG = b"Subject: long\r\n\r\n" + b"x" * 3000 + b"\r\n"
PLAIN: Mapping[bytes, bytes] = {
    b"CAPA": b"+OK\r\nUSER\r\nTOP\r\n.\r\n",
    b"LIST": b"+OK\r\n1 20\r\n.\r\n",
    b"RETR": b"+OK\r\nSubject: x\r\n\r\ntext\r\n.\r\n",
}
TEXT = b"Subject: x\r\n\r\ntext\r\n"


def talk(answers: Mapping[bytes, bytes]) -> Any:
    """A server that knows these answers beside ``PLAIN`` and says ``+OK`` to everything else."""
    every = {**PLAIN, **answers}

    def run(conversation: Conversation) -> None:
        conversation.say(every.get(b"", b"+OK ready\r\n"))
        while line := conversation.line():
            conversation.say(every.get(line.partition(b" ")[0], b"+OK\r\n"))

    return run


def connect(facade: Facade, port: int, met: list[tuple[Quirk, Any]], **options: Any) -> Any:
    return facade.connect(
        "pop3",
        port,
        tls="none",
        login=("alice", "wonderland"),
        allow_insecure_auth=True,
        on_quirk=lambda quirk, command: met.append((quirk, type(command))),
        **options,
    )


@pytest.mark.parity("pop3-client quirks")
@pytest.mark.parametrize(
    ("answers", "options", "message", "expected"),
    [
        ({}, {}, TEXT, []),
        ({b"CAPA": b"-ERR\r\n"}, {}, TEXT, [(Quirk.NO_CAPA, pop3.Capa)]),
        ({b"USER": b"+ok who is it?\r\n"}, {}, TEXT, [(Quirk.STATUS_SPELLING, pop3.User)]),
        ({b"PASS": b"+OK:welcome\r\n"}, {}, TEXT, [(Quirk.STATUS_SPELLING, pop3.Pass)]),
        ({b"": b"+OKhello\r\n"}, {}, TEXT, [(Quirk.STATUS_SPELLING, type(None))]),
        (
            {b"USER": b"+OK " + b"x" * 600 + b"\r\n"},
            {},
            TEXT,
            [(Quirk.LONG_LINE, pop3.User)],
        ),
        (
            {b"RETR": b"+OK\r\nSubject: x\r\n\r\ntext.\r\n", b"LIST": b"+OK\r\n1 18\r\n.\r\n"},
            {"missing_crlf": True},
            TEXT,
            [(Quirk.MISSING_CRLF, pop3.Retr)],
        ),
        (
            {b"RETR": b"+OK\r\n" + LONG + b".\r\n"},
            {},
            LONG,
            [(Quirk.LONG_CONTENT_LINE, pop3.Retr)],
        ),
    ],
    ids=["none", "CAPA", "case", "glued", "greeting", "status line", "CRLF", "content line"],
)
def test_P20_quirks_are_met_and_told(
    facade: Facade,
    answers: Mapping[bytes, bytes],
    options: Mapping[str, Any],
    message: bytes,
    expected: list[tuple[Quirk, Any]],
) -> None:
    met: list[tuple[Quirk, Any]] = []
    with scripted(talk(answers)) as (port, _):
        with connect(facade, port, met, **options) as client:
            assert client.retrieve(1) == message
            client.noop()
        assert met == expected
        assert client.quirks == {quirk for quirk, _ in expected}


@pytest.mark.parity("pop3-client quirks", "pop3-client downloads")
def test_P20_a_server_without_uidl_is_downloaded_from_once(facade: Facade, tmp_path: Path) -> None:
    answers = {b"CAPA": b"-ERR\r\n", b"UIDL": b"-ERR what?\r\n"}
    for received in (1, 0):
        met: list[tuple[Quirk, Any]] = []
        with scripted(talk(answers)) as (port, _):
            client = connect(facade, port, met)
            done = client.download(DownloadDirectory(tmp_path), leave_days=7)
        assert done == Downloaded(received, 0, 1)
        assert client.quirks == {Quirk.NO_CAPA, Quirk.NO_UIDL}
        assert met == [(Quirk.NO_CAPA, pop3.Capa), (Quirk.NO_UIDL, pop3.Uidl)]
        assert [file.read_bytes() for file in tmp_path.glob("*.eml")] == [TEXT]
