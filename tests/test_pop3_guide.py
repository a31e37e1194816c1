"""Every Python block of docs/pop3.md runs as it stands, against a real server on loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mailproto.sync.pop3
from mailproto import sync
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.tls import client_context, server_context

GUIDE = Path(__file__).parent.parent / "docs" / "pop3.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def store(certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryStore]:
    """Two messages for alice, behind the name of the guide."""
    made = MemoryStore()
    for number in (b"1", b"2"):
        draft = made.draft()
        draft.write(b"Subject: " + number + b"\r\n\r\nbody\r\n")
        made.deliver(draft, {"alice": b""})
    services = Services(made, Users({"alice": "secret"}))
    real = mailproto.sync.pop3.connect
    with sync.Server(services.shutdown) as server:
        port = server.listen(
            "127.0.0.1",
            0,
            services.sessions("pop3s"),
            tls=server_context(certificate.cert, certificate.key),
            implicit_tls=True,
        )

        def connect(host: str, **options: Any) -> Any:
            assert host == "mail.example.com"
            trust = client_context(certificate.cert)
            return real("localhost", port, tls_context=trust, **options)

        monkeypatch.setattr(mailproto.sync.pop3, "connect", connect)
        yield made


def run(block: str) -> None:
    exec(compile(block, "docs/pop3.md", "exec"), {})


def test_a_client(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    run(BLOCKS[0])
    assert "1 20 Subject: 1" in capsys.readouterr().out
    assert store.account("alice").open("INBOX").status().messages == 1


def test_a_download(
    store: MemoryStore,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run(BLOCKS[1])
    assert capsys.readouterr().out == "2 0 2\n0 0 2\n"
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 2


def test_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    run(BLOCKS[2])
    assert capsys.readouterr().out == "Idioma cambiado Expire(days=30, per_user=False) {1: 31}\n"
    assert len(BLOCKS) == 3
