"""Every Python block of docs/smtp.md runs as it stands, against real servers on loopback."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import mailproto.aio.smtp
import mailproto.sync.resolving
import mailproto.sync.smtp
from flows.relay_world import Host, listening
from mailproto import sync
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.smtp_relay_settings import RelaySettings
from mailproto.flows.tls import client_context, server_context

GUIDE = Path(__file__).parent.parent / "docs" / "smtp.md"
SOURCE = GUIDE.read_text(encoding="utf-8")
CONTENT = b"Subject: Nine\r\n\r\nYes.\r\n"
BLOCKS = re.findall(r"```python\n(.*?)```", SOURCE, re.DOTALL)


def run(block: str, **names: object) -> dict[str, Any]:
    space: dict[str, Any] = dict(names)
    exec(compile(block, "docs/smtp.md", "exec"), space)
    return space


@contextmanager
def submission(certificate: CertificateFiles) -> Iterator[int]:
    """A server for alice and bob."""
    services = Services(MemoryStore(), Users({"alice": "secret", "bob": "x"}, ["example.com"]))
    tls = server_context(certificate.cert, certificate.key)
    with sync.Server(services.shutdown) as server:
        yield server.listen("127.0.0.1", 0, services.sessions("submission"), tls=tls)


def test_the_examples_are_short() -> None:
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        lines = [line for line in block.split("\n") if line.strip()]
        assert len([line for line in lines if not line.startswith("from ")]) <= 11


def test_a_client(
    certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    real = mailproto.sync.smtp.connect
    with submission(certificate) as port:

        def connect(host: str, **options: Any) -> Any:
            assert host == "mail.example.com"
            trust = client_context(certificate.cert)
            return real("localhost", port, tls_context=trust, **options)

        monkeypatch.setattr(mailproto.sync.smtp, "connect", connect)
        run(BLOCKS[0])
    bob, eve = capsys.readouterr().out.rstrip("\n").split("\n")
    assert bob.startswith("bob@example.com delivered 250 ")
    assert eve.startswith("eve@example.com permanent 550 5.1.1 ")


def test_a_file_under_asyncio(
    certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = mailproto.aio.smtp.connect
    path = tmp_path / "message"
    path.write_bytes(CONTENT)
    with submission(certificate) as port:

        def connect(host: str, **options: Any) -> Any:
            assert host == "mail.example.com"
            trust = client_context(certificate.cert)
            return real("localhost", port, tls_context=trust, **options)

        monkeypatch.setattr(mailproto.aio.smtp, "connect", connect)
        result = asyncio.run(run(BLOCKS[1])["submit"](path))
    assert [r.outcome.value for r in result.recipients] == ["delivered"]


def test_a_server(capsys: Any) -> None:
    refused: list[object] = []

    def probe(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            recipients = ["bob@example.com", "eve@example.com"]
            refused.append(client.sendmail("alice@example.com", recipients, CONTENT))

    # What comes after the block is still inside its with statement.
    run(BLOCKS[2] + "    probe(port)\n", probe=probe)
    assert capsys.readouterr().out == CONTENT.decode()
    assert refused == [{"eve@example.com": (550, b"5.0.0 Who?")}]


def test_a_relay(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The names of the guide lead to loopback: a DNS of two domains and port 25 of their host."""
    zone: dict[str, Sequence[tuple[int, str]]] = {
        "example.org": [(10, "localhost")],
        "example.net": [(0, ".")],
    }
    monkeypatch.setattr(mailproto.sync.resolving, "resolve_mx", lambda domain: zone[domain])
    host = Host()
    with listening(host) as port:
        monkeypatch.setattr(RelaySettings, "effective_port", port)
        names = run(BLOCKS[3])
    assert capsys.readouterr().out.endswith("localhost delivered clear None\n")
    assert [r.outcome.value for r in names["result"].recipients] == ["delivered", "permanent"]
    assert host.commands("EHLO") == ["EHLO mail.example.com"]


def test_trying_again(capsys: Any) -> None:
    run(BLOCKS[4])
    first, late = capsys.readouterr().out.rstrip("\n").split("\n")
    assert first.endswith("1800.0 ()")
    assert "bob" in first
    assert late == "() None True"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", SOURCE):
        assert (GUIDE.parent / target).exists(), target
