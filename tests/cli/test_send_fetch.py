"""``mailproto send`` and ``mailproto fetch`` against our own server, in a process of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailproto import sync
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli import main
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import PORTS, Services
from mailproto.flows.tls import server_context
from mailproto.testing import Line, peer, transcript
from mailproto.testing.script import Script

MESSAGE = (
    b"From: Sender <sender@far.test>\n"
    b"To: alice@peer.test, Bob <bob@peer.test>\n"
    b"Bcc: carol@peer.test,\n"
    b"\tcarol@peer.test\n"
    b"Subject: =?utf-8?q?caf=C3=A9=1B=5B2J?=\n"
    b"Date: Mon, 01 Jun 2026 12:00:00 +0000\n"
    b"\n"
    b".a dot\n"
    b"the end\n"
)
WIRE = MESSAGE.replace(b"\n", b"\r\n")
WITHOUT_BCC = WIRE[: WIRE.index(b"Bcc:")] + WIRE[WIRE.index(b"Subject:") :]


class Served:
    """A server for alice, bob and carol, and the commands that talk to it."""

    def __init__(self, ports: dict[str, int], certificate: CertificateFiles) -> None:
        self.ports = ports
        self._common = ["--host=localhost", f"--ca={certificate.cert}"]

    def command(self, name: str, port: str, *options: str) -> list[str]:
        number = f"--port={self.ports[port]}"
        return [sys.executable, "-m", "mailproto", name, *self._common, number, *options]

    def run(
        self, name: str, port: str, *options: str, stdin: bytes = b"", password: str = "secret"
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            self.command(name, port, *options),
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            env={**os.environ, "MAILPROTO_PASSWORD": password},
        )
        # P16, of every command that a test here gives.
        assert password.encode() not in done.stdout + done.stderr
        return done

    def fetch(self, user: str, *options: str, protocol: str = "imap") -> bytes:
        done = self.run(
            "fetch", f"{protocol}s", f"--user={user}", f"--protocol={protocol}", *options
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


@pytest.fixture
def served(certificate: CertificateFiles) -> Iterator[Served]:
    users = Users(dict.fromkeys(("alice", "bob", "carol"), "secret"), ["peer.test"])
    services = Services(MemoryStore(), users)
    tls = server_context(certificate.cert, certificate.key)
    with sync.Server(services.shutdown) as server:
        ports = {
            name: server.listen(
                "127.0.0.1",
                0,
                services.sessions(name),
                tls=tls,
                implicit_tls=name in ("smtps", "imaps", "pop3s"),
            )
            for name in PORTS
        }
        yield Served(ports, certificate)


def test_envelope_from_the_header_and_no_bcc_on_the_wire(served: Served, tmp_path: Path):
    file = tmp_path / "message.eml"
    file.write_bytes(MESSAGE)
    done = served.run("send", "submission", "--user=alice", str(file))
    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split(b":")[0] for line in done.stdout.splitlines()] == [
        b"delivered alice@peer.test",
        b"delivered bob@peer.test",
        b"delivered carol@peer.test",
    ]
    for user in ("alice", "bob", "carol"):
        assert served.fetch(user).endswith(b"\r\n" + WITHOUT_BCC)


def test_a_message_that_was_resent_goes_to_whom_it_was_resent_to(served: Served):
    resent = (
        b"Resent-Date: Mon, 01 Jan 2024 00:00:00 +0000\n"
        b"Resent-From: alice@peer.test\n"
        b"Resent-Bcc: bob@peer.test\n"
    )
    done = served.run("send", "smtp", "--tls=none", "-", stdin=resent + MESSAGE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [line.split(b":")[0] for line in done.stdout.splitlines()] == [
        b"delivered bob@peer.test"
    ]
    received = served.fetch("bob")
    assert b"Resent-From: alice@peer.test\r\n" in received
    assert b"Bcc" not in received


def test_recipients_by_option_leave_the_message_as_it_is_but_for_bcc(served: Served):
    options = ("--tls=none", "--from=", "--to=carol@peer.test", "-")
    done = served.run("send", "smtp", *options, stdin=MESSAGE)
    assert done.returncode == 0
    received = served.fetch("carol")
    assert received.startswith(b"Return-Path: <>\r\n")
    assert received.endswith(b"\r\n" + WITHOUT_BCC)


def test_partial_failure_is_told_for_each_recipient(served: Served):
    options = ("--tls=none", "--from=a@far.test", "--to=alice@peer.test", "--to=zoe@peer.test")
    done = served.run("send", "smtp", *options, "-", stdin=MESSAGE)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith(b"delivered alice@peer.test: 250")
    assert done.stdout.splitlines()[1].startswith(b"permanent zoe@peer.test: 550")


def test_lmtp(served: Served):
    options = ("--tls=none", "--lmtp", "--from=a@far.test", "--to=bob@peer.test", "-")
    assert served.run("send", "lmtp", *options, stdin=MESSAGE).returncode == 0
    assert served.fetch("bob").endswith(WITHOUT_BCC)


def test_P16_a_wrong_password_is_one_line_and_status_1(served: Served):
    for name, port, rest in (
        ("send", "submission", ["-"]),
        ("fetch", "imaps", []),
        ("fetch", "pop3s", ["--protocol=pop3"]),
    ):
        done = served.run(name, port, "--user=alice", *rest, stdin=MESSAGE, password="guess-me")
        assert done.returncode == 1
        assert done.stderr.count(b"\n") == 1
        assert b"refused" in done.stderr
        assert b"guess-me" not in done.stderr + done.stdout


@pytest.mark.parametrize(("code", "status"), [("250", 0), ("550", 1)])
def test_P28_what_a_server_says_can_be_shown_whatever_it_is(
    code: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Octets that are no UTF-8, and what would steer a terminal."""
    script = transcript(f"""
        S: 220 x
        C: EHLO [127.0.0.1]
        S: 250 x
        C: MAIL FROM:<a@b.test>
        S: 250 ok
        C: RCPT TO:<c@d.test>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: x
        C: .
        S: {code} HOSTILE
        C: QUIT
        S: 221 HOSTILE
    """)
    hostile = [
        Line(line.side, line.data.replace(b"HOSTILE", b"\xff\x1b[2J"))
        for line in script
        if isinstance(line, Line)
    ]
    (tmp_path / "mail").write_bytes(b"Subject: x\n")
    with sync.Server() as server:
        port = server.listen("127.0.0.1", 0, lambda client: peer(hostile))
        options = ["--from=a@b.test", "--to=c@d.test", "--tls=none", str(tmp_path / "mail")]
        assert main(["send", "--host=127.0.0.1", f"--port={port}", *options]) == status
    outcome = "permanent" if status else "delivered"
    assert capsys.readouterr().out == f"{outcome} c@d.test: {code}   [2J\n"


def test_no_tls_to_be_had_sends_no_password(served: Served):
    done = served.run("fetch", "imap", "--tls=none", "--user=alice")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_list_fetch_to_a_directory_and_delete(served: Served, tmp_path: Path, protocol: str):
    assert served.fetch("alice", "--list", protocol=protocol) == b""
    for _ in range(2):
        options = ("--tls=none", "--from=a@far.test", "--to=alice@peer.test", "-")
        assert served.run("send", "smtp", *options, stdin=MESSAGE).returncode == 0
    lines = served.fetch("alice", "--list", protocol=protocol).decode().splitlines()
    assert len(lines) == 2
    number, size, date, sender, subject = lines[0].split("\t")
    assert (number, sender) == ("1", "Sender <sender@far.test>")
    assert date == "Mon, 01 Jun 2026 12:00:00 +0000"
    # What would clear the reader's screen is shown harmless.
    assert subject == "café [2J"
    target = tmp_path / "mail"
    served.fetch("alice", "--message=2", f"--output={target}", "--delete", protocol=protocol)
    assert [path.name for path in target.iterdir()] == ["2.eml"]
    assert (target / "2.eml").read_bytes().endswith(WITHOUT_BCC)
    assert len((target / "2.eml").read_bytes()) == int(size)
    assert len(served.fetch("alice", "--list", protocol=protocol).splitlines()) == 1


def test_no_message_is_overwritten_and_a_missing_one_is_told(served: Served, tmp_path: Path):
    """Numbers of POP3 are of one session: the next message number 1 is another one."""
    options = ("--tls=none", "--from=a@far.test", "--to=alice@peer.test", "-")
    for text in (b"one", b"two"):
        sent = served.run("send", "smtp", *options, stdin=b"Subject: x\n\n" + text + b"\n")
        assert sent.returncode == 0
        for fate in ([], ["--delete"]):
            served.fetch("alice", f"--output={tmp_path}", *fate, protocol="pop3")
    ends = {path.name: path.read_bytes()[-5:] for path in tmp_path.iterdir()}
    assert ends == {"1.eml": b"one\r\n", "1-2.eml": b"two\r\n"}
    for protocol in ("imap", "pop3"):
        user = ("--user=alice", f"--protocol={protocol}", "--message=7")
        done = served.run("fetch", f"{protocol}s", *user)
        assert (done.returncode, done.stderr) == (1, b"message 7 is not there\n")


def test_usage_of_fetch(served: Served, tmp_path: Path):
    for options, said in (
        ((), b"--user"),
        (("--user=alice", "--delete"), b"--output"),
        (("--user=alice", "--message=0"), b"'0'"),
    ):
        done = served.run("fetch", "imaps", *options)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count(b"\n") == 1
    file = tmp_path / "file"
    file.touch()
    done = served.run("fetch", "imaps", "--user=alice", f"--output={file}")
    assert done.returncode == 2


def test_progress_is_shown_on_a_terminal_for_long_transfers(served: Served, tmp_path: Path):
    file = tmp_path / "large.eml"
    file.write_bytes(MESSAGE + b"0123456789 and so on, and on\n" * 100_000)
    ours, theirs = pty.openpty()
    sending = subprocess.Popen(
        served.command("send", "lmtp", "--tls=none", "--lmtp", str(file)),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while piece := _read(ours):
        shown += piece
    os.close(ours)
    assert sending.wait(60) == 0
    assert b"sending [" in shown
    assert b"100%" in shown
    large = served.fetch("carol")
    assert large.endswith(b"and so on, and on\r\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # EIO: the last process with the other end has gone.
        return b""


def test_new_mail_is_fetched_once_and_remembered(served: Served, tmp_path: Path) -> None:
    options = ["--new", f"--output={tmp_path / 'mail'}"]
    served.run("send", "submission", "--user=alice", "-", stdin=MESSAGE)
    first = served.fetch("bob", *options, "--leave-days=30", protocol="pop3")
    assert first == b"1 received, 0 removed, 1 left\n"
    (fetched,) = (tmp_path / "mail").glob("*.eml")
    assert fetched.read_bytes().endswith(b".a dot\r\nthe end\r\n")
    fetched.unlink()
    again = served.fetch("bob", *options, "--delete", protocol="pop3")
    assert again == b"0 received, 1 removed, 0 left\n"
    assert list((tmp_path / "mail").glob("*.eml")) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--new"],
        ["--new", "--output={}", "--list"],
        ["--new", "--output={}", "--message=1"],
        ["--output={}", "--leave-days=3"],
        ["--new", "--output={}", "--leave-days=-1"],
        ["--new", "--output={}", "--leave-days=3", "--delete"],
    ],
)
def test_new_mail_needs_a_place_that_remembers(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [option.format(tmp_path / "new") for option in options]
    try:
        status = main(["fetch", "--host=localhost", "--protocol=pop3", "--user=bob", *given])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


def fetch_new(script: Script, directory: Path, *further: str) -> int:
    """The status of ``mailproto fetch --new`` at a POP3 server that plays its part of a script."""
    with sync.Server() as server:
        port = server.listen("127.0.0.1", 0, lambda client: peer(script))
        options = ["--tls=none", "--allow-insecure-auth", "--user=bob", "--protocol=pop3"]
        given = [*options, "--new", f"--output={directory}", *further]
        return main(["fetch", "--host=127.0.0.1", f"--port={port}", *given])


def test_P20_what_a_server_does_beside_the_RFCs_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without CAPA and UIDL; each departure is told once, and mail comes all the same."""
    script = transcript("""
        S: +OK
        C: CAPA
        S: -ERR
        C: USER bob
        S: +ok
        C: PASS secret
        S: +ok
        C: UIDL
        S: -ERR
        C: LIST
        S: +OK
        S: 1 20
        S: .
        C: RETR 1
        S: +OK
        S: Subject: x
        S:
        S: text
        S: .
        C: QUIT
        S: +OK
    """)
    monkeypatch.setenv("MAILPROTO_PASSWORD", "secret")
    assert fetch_new(script, tmp_path) == 0
    told = capsys.readouterr()
    assert told.out == "1 received, 0 removed, 1 left\n"
    names = ("NO_CAPA", "STATUS_SPELLING", "NO_UIDL")
    assert told.err == "".join(f"the server departs from the RFCs: {name}\n" for name in names)
    assert [file.read_bytes() for file in tmp_path.glob("*.eml")] == [b"Subject: x\r\n\r\ntext\r\n"]


def test_P20_a_message_that_runs_into_its_final_dot_is_fetched_where_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = transcript("""
        S: +OK
        C: CAPA
        S: +OK
        S: USER
        S: .
        C: USER bob
        S: +OK
        C: PASS secret
        S: +OK
        C: UIDL
        S: +OK
        S: 1 a
        S: .
        C: LIST
        S: +OK
        S: 1 18
        S: .
        C: RETR 1
        S: +OK
        S: Subject: x
        S:
        S: text.
        C: QUIT
        S: +OK
    """)
    monkeypatch.setenv("MAILPROTO_PASSWORD", "secret")
    assert fetch_new(script, tmp_path, "--missing-crlf") == 0
    assert capsys.readouterr().err == "the server departs from the RFCs: MISSING_CRLF\n"
    assert [file.read_bytes() for file in tmp_path.glob("*.eml")] == [b"Subject: x\r\n\r\ntext\r\n"]
    options = ["--user=bob", "--protocol=imap", "--missing-crlf"]
    assert main(["fetch", "--host=localhost", *options]) == 2
    assert "--missing-crlf needs --protocol pop3" in capsys.readouterr().err


def test_what_a_server_refuses_is_told_and_the_rest_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = transcript("""
        S: +OK
        C: CAPA
        S: -ERR
        C: USER bob
        S: +OK
        C: PASS secret
        S: +OK
        C: UIDL
        S: +OK
        S: 1 a
        S: 2 b
        S: .
        C: RETR 1
        S: -ERR cannot be read
        C: RETR 2
        S: +OK
        S: text
        S: .
        C: QUIT
        S: +OK
    """)
    monkeypatch.setenv("MAILPROTO_PASSWORD", "secret")
    assert fetch_new(script, tmp_path) == 1
    told = capsys.readouterr()
    assert told.out == "1 received, 0 removed, 2 left\n"
    last = told.err.splitlines()[-1]
    assert last == "message 1 stays on the server: RETR was refused: cannot be read"
    assert [file.read_bytes() for file in tmp_path.glob("*.eml")] == [b"text\r\n"]
