"""msmtp sends by SMTP and LMTP; each lane, and PLAIN and LOGIN."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import (
    RECIPIENT,
    SENDER,
    Lane,
    assert_same_mail,
    every_lane,
    make_message,
    smtp_port,
)
from interop.peers.process import Finished, require, run


def msmtp(
    server: MailServer,
    lane: Lane,
    home: Path,
    *options: str,
    message: bytes,
    password: str = "secret",
    mechanism: str = "plain",
    status: int = 0,
) -> Finished:
    arguments = ["--host=localhost", f"--port={smtp_port(server, lane)}", f"--from={SENDER}"]
    if lane is Lane.PLAIN:
        arguments += ["--tls=off"]
    else:
        arguments += ["--tls=on", f"--tls-trust-file={os.fspath(server.ca)}"]
        arguments += [f"--tls-starttls={'on' if lane is Lane.STARTTLS else 'off'}"]
        arguments += [f"--auth={mechanism}", "--user=alice", f"--passwordeval=echo {password}"]
    return run(
        *(require("msmtp"), "-C", "/dev/null", "--timeout=20", *arguments, *options),
        stdin=message.replace(b"\r\n", b"\n"),
        status=status,
        home=home,
    )


@every_lane
def test_send(server: MailServer, observer: Observer, tmp_path: Path, lane: Lane) -> None:
    message = make_message(lines=500)
    msmtp(server, lane, tmp_path, RECIPIENT, "bob@peer.test", message=message)
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], message)


@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_authentication(
    server: MailServer, observer: Observer, tmp_path: Path, mechanism: str
) -> None:
    message = make_message()
    refused = msmtp(
        server,
        Lane.STARTTLS,
        tmp_path,
        RECIPIENT,
        message=message,
        mechanism=mechanism,
        password="wrong",
        status=77,  # EX_NOPERM
    )
    assert b"535" in refused.stderr, refused.report()
    msmtp(server, Lane.STARTTLS, tmp_path, RECIPIENT, message=message, mechanism=mechanism)
    assert_same_mail(observer.wait_for(1)[0], message)


def test_lmtp(server: MailServer, observer: Observer, tmp_path: Path) -> None:
    message = make_message()
    msmtp(
        server,
        Lane.PLAIN,
        tmp_path,
        *("--protocol=lmtp", f"--port={server.lmtp}", RECIPIENT, "bob@peer.test"),
        message=message,
    )
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], message)


@every_lane
def test_server_information(server: MailServer, tmp_path: Path, lane: Lane) -> None:
    """What msmtp understands of our EHLO."""
    told = msmtp(server, lane, tmp_path, "--serverinfo", message=b"").text
    assert "PIPELINING" in told
    assert "SIZE" in told
    if lane is not Lane.PLAIN:
        assert "PLAIN" in told
        assert "LOGIN" in told
