"""Every Python block of the README runs as it stands, against real servers on loopback."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import mailproto.aio.smtp
import mailproto.sync.imap
from interop.peers.serve import run_serve
from mailproto import sync
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli import main
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.tls import client_context, server_context
from mailproto.smtp import Ehlo

README = Path(__file__).parent.parent / "README.md"
SOURCE = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", SOURCE, re.DOTALL)


@pytest.fixture
def ports(
    certificate: CertificateFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, int]]:
    """A server for alice; ``mail.example.com`` and the usual ports lead to it."""
    services = Services(
        MemoryStore(), Users({"alice": "secret"}, ["example.com"]), hostname="mail.example.com"
    )
    tls = server_context(certificate.cert, certificate.key)
    with sync.Server(services.shutdown) as server:
        found = {
            name: server.listen(
                "127.0.0.1", 0, services.sessions(name), tls=tls, implicit_tls=name == "imaps"
            )
            for name in ("smtp", "submission", "imaps")
        }
        real_sync, real_aio = mailproto.sync.imap.connect, mailproto.aio.smtp.connect
        trust = client_context(certificate.cert)

        def connect_imap(host: str, **options: Any) -> Any:
            assert host == "mail.example.com"
            return real_sync("localhost", found["imaps"], tls_context=trust, **options)

        def connect_smtp(host: str, **options: Any) -> Any:
            assert host == "mail.example.com"
            return real_aio("localhost", found["submission"], tls_context=trust, **options)

        monkeypatch.setattr(mailproto.sync.imap, "connect", connect_imap)
        monkeypatch.setattr(mailproto.aio.smtp, "connect", connect_smtp)
        yield found


def run(block: str, **names: object) -> dict[str, Any]:
    space: dict[str, Any] = dict(names)
    exec(compile(block, "README.md", "exec"), space)
    return space


def message() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "alice@example.com", "alice@example.com", "Nine"
    made.set_content("Is nine all right?\n")
    return made


def test_there_are_four_examples_of_at_most_ten_lines():
    assert len(BLOCKS) == 4
    assert [len(block.splitlines()) for block in BLOCKS if len(block.splitlines()) > 10] == []


def test_without_io():
    names = run(BLOCKS[0])
    assert names["greeting"].code == 220
    assert names["command"] == Ehlo("client.example.org")


def test_a_blocking_client(ports, capsys):
    with smtplib.SMTP("127.0.0.1", ports["smtp"]) as client:
        client.send_message(message())
    run(BLOCKS[1])
    assert capsys.readouterr().out == "1 b'Nine'\n"


def test_the_same_names_on_asyncio(ports, capsys):
    names = run(BLOCKS[2])
    asyncio.run(names["submit"](message()))
    assert capsys.readouterr().out.startswith("alice@example.com Outcome.DELIVERED 250")


def test_a_server():
    # What comes after the block is still inside its with statement.
    block = BLOCKS[3] + "    probe(smtp_port, lmtp_port)\n"
    greetings: list[bytes] = []

    def probe(smtp_port: int, lmtp_port: int) -> None:
        with smtplib.SMTP("127.0.0.1", smtp_port) as client:
            greetings.append(client.ehlo()[1])
            client.send_message(message())
        with smtplib.LMTP("127.0.0.1", lmtp_port) as client:
            greetings.append(client.ehlo()[1])

    run(block, probe=probe)
    assert len(greetings) == 2


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", SOURCE):
        assert (README.parent / target).exists(), target


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three lines as they stand, but with ports that the system chooses."""
    serve, send, fetch = re.findall(r"^mailproto (?:serve|send|fetch) .*$", SOURCE, re.MULTILINE)
    (tmp_path / "FILE").write_bytes(bytes(message()))
    options = re.sub(r"(-port) [0-9]+", r"\1 0", serve).split()[2:]
    with run_serve(options, tmp_path) as served:
        ports = dict(zip(re.findall(r"-port ([0-9]+)", serve), served.ports.values(), strict=True))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MAILPROTO_PASSWORD", "secret")
        for line in (send, fetch):
            known = {**{old: str(new) for old, new in ports.items()}, "CERTIFICATE": str(served.ca)}
            words: list[str] = line.split()[1:]
            assert main([known.get(word, word) for word in words]) == 0
    sent, listed = capsys.readouterr().out.splitlines()
    assert sent.startswith("delivered alice@example.com: 250 ")
    assert listed.startswith("1\t")
    assert listed.endswith("\tNine")
    assert (tmp_path / "mail.db").exists()
