"""fetchmail drains a mailbox by IMAP and by POP3, and hands it to a file or to LMTP."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import Lane, body_of, every_lane, imap_port, make_message, pop3_port
from interop.peers.process import Finished, require, run

NOTHING_NEW = 1
"""fetchmail's exit status when there was no mail."""

both_protocols = pytest.mark.parametrize("protocol", ["IMAP", "POP3"])


def fetchmail(
    server: MailServer,
    protocol: str,
    lane: Lane,
    home: Path,
    *options: str,
    destination: str = "",
    status: int = 0,
) -> Finished:
    port = (imap_port if protocol == "IMAP" else pop3_port)(server, lane)
    tls = {
        Lane.PLAIN: "sslproto ''",
        Lane.STARTTLS: f"sslproto 'TLS1.2+' sslcertck sslcertfile '{os.fspath(server.ca)}'",
        Lane.IMPLICIT: f"ssl sslcertck sslcertfile '{os.fspath(server.ca)}'",
    }[lane]
    destination = destination or f"mda '/bin/cat >> {home / 'mbox'}'"
    configuration = home / "fetchmailrc"
    configuration.write_text(
        f"poll localhost protocol {protocol} port {port} timeout 20\n"
        f"  user 'alice' password 'secret' is 'alice' here {tls} {destination}\n"
    )
    configuration.chmod(0o600)
    return run(
        require("fetchmail"),
        *("-f", os.fspath(configuration), "-v", "-v", "--nosyslog"),
        *("--pidfile", os.fspath(home / "pid"), "-i", os.fspath(home / "ids"), *options),
        status=status,
        home=home,
        environment={"FETCHMAILHOME": os.fspath(home)},
    )


def bodies_in(mbox: Path) -> list[bytes]:
    """What was appended; each of our messages ends with the same lines."""
    text = mbox.read_bytes().replace(b"\n", b"\r\n")
    return re.findall(rb"(?s)(line 0 of .*?From here on\r\n\r\n)", text)


@both_protocols
@every_lane
def test_fetch_and_delete(
    server: MailServer, observer: Observer, tmp_path: Path, protocol: str, lane: Lane
) -> None:
    messages = [make_message(f"number {number}", lines=300) for number in range(3)]
    observer.put(*messages)
    fetchmail(server, protocol, lane, tmp_path, "--fetchall", "--nokeep")
    assert bodies_in(tmp_path / "mbox") == [body_of(message) for message in messages]
    assert observer.messages() == []
    fetchmail(server, protocol, lane, tmp_path, "--fetchall", "--nokeep", status=NOTHING_NEW)


@pytest.mark.parametrize(("protocol", "options"), [("IMAP", ()), ("POP3", ("--uidl",))])
def test_keep_and_fetch_only_what_is_new(
    server: MailServer, observer: Observer, tmp_path: Path, protocol: str, options: tuple[str, ...]
) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    observer.put(*messages[:2])
    fetchmail(server, protocol, Lane.STARTTLS, tmp_path, "--keep", *options)
    fetchmail(server, protocol, Lane.STARTTLS, tmp_path, "--keep", *options, status=NOTHING_NEW)
    observer.put(messages[2])
    fetchmail(server, protocol, Lane.STARTTLS, tmp_path, "--keep", *options)
    assert bodies_in(tmp_path / "mbox") == [body_of(message) for message in messages]
    assert observer.messages() == messages


def test_from_imap_to_lmtp(server: MailServer, observer: Observer, tmp_path: Path) -> None:
    """fetchmail as an LMTP client of the same server: alice's mail becomes bob's."""
    messages = [make_message(f"number {number}") for number in range(2)]
    observer.put(*messages)
    destination = f"smtphost 'localhost/{server.lmtp}' smtpname 'bob@peer.test' lmtp"
    fetchmail(
        server,
        "IMAP",
        Lane.STARTTLS,
        tmp_path,
        "--fetchall",
        "--nokeep",
        destination=destination,
    )
    received = observer.wait_for(2, "bob")
    assert [body_of(message) for message in received] == [body_of(message) for message in messages]
    assert observer.messages() == []
