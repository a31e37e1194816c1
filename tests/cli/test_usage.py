"""Bad input at every door: one line on standard error, exit status 2, no traceback."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailproto.cli import main


def mailproto(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "mailproto", *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def refusal(*arguments: str) -> str:
    """What the command line says in this process; of its own it is the same, but takes longer."""
    output, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        try:
            status: object = main(arguments)
        except SystemExit as ended:
            status = ended.code
    return checked(status, output.getvalue(), error.getvalue())


def refusal_of_a_process(*arguments: str, stdin: bytes = b"") -> str:
    done = mailproto(*arguments, stdin=stdin)
    return checked(done.returncode, done.stdout.decode(), done.stderr.decode())


def checked(status: object, output: str, errors: str) -> str:
    assert status == 2, errors
    assert output == ""
    assert "Traceback" not in errors
    assert errors.endswith("\n")
    assert errors.count("\n") == 1
    return errors


@pytest.mark.parametrize("command", ["serve", "send", "fetch", "demo"])
def test_unknown_option(command):
    required = {"send": ["--from=a@b", "--to=a@b", "-"], "fetch": ["--user=alice"]}
    assert "--bogus" in refusal_of_a_process(command, *required.get(command, []), "--bogus")


def test_unknown_command_and_none():
    assert "bogus" in refusal("bogus")
    assert "COMMAND" in refusal()


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refusal("serve", f"--smtp-port={port}")
    assert str(port) in message
    assert "in use" in message


@pytest.mark.parametrize("port", ["65536", "-1", "imap", "1e3", ""])
def test_port_that_is_none(port):
    assert repr(port) in refusal("serve", f"--smtp-port={port}")


def test_certificate_that_does_not_exist(tmp_path: Path):
    missing = str(tmp_path / "missing.pem")
    assert missing in refusal("serve", f"--tls-cert={missing}", f"--tls-key={missing}")
    assert "go together" in refusal("serve", f"--tls-cert={missing}")


def test_certificate_that_is_none(tmp_path: Path):
    file = tmp_path / "cert.pem"
    file.write_text("nothing of the kind\n")
    assert str(file) in refusal("serve", f"--tls-cert={file}", f"--tls-key={file}")


@pytest.mark.parametrize("user", ["alice", ":secret", "@x:secret"])
def test_user_that_is_none(user):
    message = refusal("serve", f"--user={user}")
    assert "secret" not in message


def test_user_twice():
    assert "twice" in refusal("serve", "--user=alice:a", "--user=alice:b")


@pytest.mark.parametrize("relay", ["localhost", ":25", "localhost:port", "localhost:65536"])
def test_relay_that_is_none(relay):
    message = refusal("serve", f"--relay={relay}")
    assert "--relay" in message
    assert relay.rpartition(":")[2] in message


@pytest.mark.parametrize(
    "option",
    [
        "--offer=BURL",
        "--offer=DSN=1",
        "--offer=DELIVERBY=",
        "--offer=DELIVERBY=soon",
        "--offer=FUTURERELEASE",
        "--offer=FUTURERELEASE=60",
        "--offer=FUTURERELEASE=60,later",
        "--offer=MT-PRIORITY=a b",
        "--offer=NO-SOLICITING=,",
        "--limit=recipients=1",
        "--limit=ftp.errors=1",
        "--limit=smtp.recipient=1",
        "--limit=smtp.recipients=0",
        "--limit=smtp.recipients",
        "--pop3-login-delay=-1",
        "--pop3-expire=soon",
        "--pop3-utf8=no",
        "--hostname=two words",
        "--hostname=",
        "--proxied-by=10.0.0.1/8",
        "--proxied-by=proxy.test",
    ],
)
def test_value_that_is_none(option: str):
    message = refusal("serve", option)
    assert option.partition("=")[0] in message


def test_limits_are_named_where_one_is_not_known():
    assert "recipient_domains" in refusal("serve", "--limit=smtp.nonsense=1")


@pytest.mark.parametrize("offer", ["DSN", "MTRK", "RRVS", "FUTURERELEASE=60,2036-12-24T18:00:00Z"])
def test_what_only_a_next_hop_can_do_needs_one(offer: str):
    assert "--relay" in refusal("serve", f"--offer={offer}")


def test_authorities_that_are_none(tmp_path: Path):
    missing = str(tmp_path / "missing.pem")
    assert missing in refusal("serve", f"--client-ca={missing}")
    file = tmp_path / "authority.pem"
    file.write_text("nothing of the kind\n")
    assert str(file) in refusal("serve", f"--client-ca={file}")


def test_store_that_cannot_be(tmp_path: Path):
    assert "postgres" in refusal("serve", "--store=postgres")
    assert "nowhere" in refusal("serve", f"--store=sqlite:{tmp_path / 'nowhere' / 'mail.db'}")
    file = tmp_path / "text.db"
    file.write_text("this is no database, it is a text that is long enough to be looked at\n" * 20)
    assert str(file) in refusal("serve", f"--store=sqlite:{file}")


def test_message_file_that_is_not_there(tmp_path: Path):
    missing = str(tmp_path / "missing.eml")
    assert missing in refusal("send", "--from=a@b.test", "--to=c@d.test", missing)


def test_address_that_is_none():
    to, sender = "--to=c@d.test", "--from=a@b.test"
    message = refusal_of_a_process("send", "--from=no-at-sign", to, "-", stdin=b"x")
    assert "no-at-sign" in message
    assert "a@" in refusal_of_a_process("send", sender, "--to=a@", "-", stdin=b"x")


def test_server_that_is_not_there_is_one_line_and_status_1():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    done = mailproto(
        "send",
        "--from=a@b.test",
        "--to=c@d.test",
        f"--port={port}",
        "--host=127.0.0.1",
        "--tls=none",
        "-",
        stdin=b"Subject: x\r\n\r\n",
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert str(port).encode() in done.stderr
