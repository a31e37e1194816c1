"""mpop fetches by POP3: each lane, leaving and deleting, and UIDL over two sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import Lane, body_of, every_lane, make_message, pop3_port
from interop.peers.process import Finished, require, run


def mpop(
    server: MailServer,
    lane: Lane,
    home: Path,
    *options: str,
    password: str = "secret",
    mechanism: str = "plain",
    status: int = 0,
) -> Finished:
    for name in ("new", "cur", "tmp"):
        (home / "Maildir" / name).mkdir(parents=True, exist_ok=True)
    arguments = ["--host=localhost", f"--port={pop3_port(server, lane)}"]
    arguments += [f"--auth={mechanism}", "--user=alice", f"--passwordeval=echo {password}"]
    if lane is Lane.PLAIN:
        arguments += ["--tls=off"]
    else:
        arguments += ["--tls=on", f"--tls-trust-file={os.fspath(server.ca)}"]
        arguments += [f"--tls-starttls={'on' if lane is Lane.STARTTLS else 'off'}"]
    return run(
        *(require("mpop"), "-C", "/dev/null", "--timeout=20", *arguments),
        *(f"--uidls-file={home / 'uidls'}", f"--delivery=maildir,{home / 'Maildir'}", *options),
        status=status,
        home=home,
    )


def fetched(home: Path) -> list[bytes]:
    """Bodies in the maildir, in no order that means anything."""
    return sorted(body_of(path.read_bytes()) for path in (home / "Maildir" / "new").iterdir())


@every_lane
def test_fetch_and_leave_then_only_what_is_new(
    server: MailServer, observer: Observer, tmp_path: Path, lane: Lane
) -> None:
    messages = [make_message(f"number {number}", lines=200) for number in range(3)]
    observer.put(*messages[:2])
    mpop(server, lane, tmp_path, "--keep=on")
    assert fetched(tmp_path) == [body_of(message) for message in messages[:2]]
    observer.put(messages[2])
    mpop(server, lane, tmp_path, "--keep=on")
    assert fetched(tmp_path) == [body_of(message) for message in messages]
    assert observer.messages() == messages


@every_lane
def test_fetch_and_delete(
    server: MailServer, observer: Observer, tmp_path: Path, lane: Lane
) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    observer.put(*messages)
    mpop(server, lane, tmp_path, "--keep=off")
    assert fetched(tmp_path) == [body_of(message) for message in messages]
    assert observer.messages() == []


@pytest.mark.parametrize("mechanism", ["plain", "user"])
def test_authentication(
    server: MailServer, observer: Observer, tmp_path: Path, mechanism: str
) -> None:
    observer.put(make_message())
    mpop(
        server,
        Lane.STARTTLS,
        tmp_path,
        mechanism=mechanism,
        password="wrong",
        status=77,  # EX_NOPERM
    )
    assert fetched(tmp_path) == []
    mpop(server, Lane.STARTTLS, tmp_path, mechanism=mechanism)
    assert len(fetched(tmp_path)) == 1
