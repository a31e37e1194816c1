"""isync's mbsync keeps a maildir and a mailbox alike: both directions, twice, nothing lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import Lane, every_lane, imap_port, make_message
from interop.peers.process import require, run

SSL_TYPES = {Lane.PLAIN: "None", Lane.STARTTLS: "STARTTLS", Lane.IMPLICIT: "IMAPS"}


class Mbsync:
    """One account, one maildir, one channel."""

    def __init__(self, server: MailServer, lane: Lane, home: Path) -> None:
        self.program = require("mbsync", "isync")
        self.home = home
        self.inbox = home / "Mail" / "Inbox"
        self.inbox.parent.mkdir()
        certificate = "" if lane is Lane.PLAIN else f"CertificateFile {os.fspath(server.ca)}\n"
        self.configuration = home / "mbsyncrc"
        self.configuration.write_text(
            "IMAPAccount server\nHost localhost\n"
            f"Port {imap_port(server, lane)}\nUser alice\nPass secret\nTimeout 20\n"
            f"SSLType {SSL_TYPES[lane]}\n{certificate}PipelineDepth 50\n\n"
            "IMAPStore remote\nAccount server\n\n"
            f"MaildirStore local\nPath {home}/Mail/\nInbox {self.inbox}\nSubFolders Verbatim\n\n"
            "Channel all\nFar :remote:\nNear :local:\nPatterns *\n"
            "Sync All\nCreate Both\nExpunge Both\nSyncState *\n"
        )

    def sync(self) -> None:
        run(self.program, "-c", self.configuration, "-a", home=self.home, timeout=60)

    def files(self, folder: Path | None = None) -> list[Path]:
        folder = folder or self.inbox
        return sorted(p for name in ("new", "cur") for p in (folder / name).iterdir())

    def state(self, folder: Path | None = None) -> list[tuple[bytes, str]]:
        """Subject and flag letters of each local message."""
        return sorted(
            (subject_of(path.read_bytes()), path.name.partition(":2,")[2])
            for path in self.files(folder)
        )

    def find(self, subject: str) -> Path:
        (path,) = (p for p in self.files() if subject_of(p.read_bytes()) == subject.encode())
        return path

    def set_flags(self, subject: str, letters: str) -> None:
        path = self.find(subject)
        path.rename(self.inbox / "cur" / f"{path.name.partition(':')[0]}:2,{letters}")

    def add(self, message: bytes, name: str, letters: str = "S") -> None:
        target = self.inbox / "cur" / f"1780000000.{name}.client.test:2,{letters}"
        target.write_bytes(message.replace(b"\r\n", b"\n"))


def subject_of(message: bytes) -> bytes:
    lines = message.replace(b"\r\n", b"\n").split(b"\n")
    return next(line for line in lines if line.startswith(b"Subject: ")).removeprefix(b"Subject: ")


LETTERS = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D", "\\Deleted": "T"}


def remote_state(observer: Observer, mailbox: str = "INBOX") -> list[tuple[bytes, str]]:
    """The server's side in the terms of `Mbsync.state`."""
    return sorted(
        (subject_of(message), "".join(sorted(LETTERS[f] for f in flags if f in LETTERS)))
        for message, flags in observer.messages_and_flags(mailbox=mailbox)
    )


@pytest.fixture
def mbsync(server: MailServer, lane: Lane, tmp_path: Path) -> Mbsync:
    return Mbsync(server, lane, tmp_path)


@every_lane
def test_two_ways_twice(mbsync: Mbsync, observer: Observer) -> None:
    observer.put(*(make_message(f"number {n}") for n in range(3)))
    mbsync.sync()
    assert mbsync.state() == [(b"number 0", ""), (b"number 1", ""), (b"number 2", "")]

    # what a person does on this side
    mbsync.set_flags("number 0", "FS")
    mbsync.find("number 1").unlink()
    mbsync.add(make_message("from here"), "local1")
    mbsync.sync()
    expected = [(b"from here", "S"), (b"number 0", "FS"), (b"number 2", "")]
    assert remote_state(observer) == expected
    assert mbsync.state() == expected

    mbsync.sync()
    assert remote_state(observer) == expected
    assert mbsync.state() == expected

    # and on the other side
    with observer.session() as imap:
        imap.select()
        _, (found,) = imap.search(None, 'SUBJECT "number 2"')
        imap.store(found.decode(), "+FLAGS", r"(\Answered \Seen)")
        _, (found,) = imap.search(None, 'SUBJECT "number 0"')
        imap.store(found.decode(), "+FLAGS", r"(\Deleted)")
        imap.expunge()
    observer.put(make_message("from there"))
    mbsync.sync()
    expected = [(b"from here", "S"), (b"from there", ""), (b"number 2", "RS")]
    assert mbsync.state() == expected
    mbsync.sync()
    assert mbsync.state() == expected
    assert remote_state(observer) == expected


@every_lane
def test_mailboxes_are_made_on_both_sides(mbsync: Mbsync, observer: Observer) -> None:
    with observer.session() as imap:
        imap.create("Projects")
    observer.put(make_message("a project"), mailbox="Projects")
    mbsync.sync()
    projects = mbsync.home / "Mail" / "Projects"
    assert mbsync.state(projects) == [(b"a project", "")]

    for name in ("new", "cur", "tmp"):
        (mbsync.home / "Mail" / "Ideas" / name).mkdir(parents=True)
    idea = make_message("an idea").replace(b"\r\n", b"\n")
    (mbsync.home / "Mail" / "Ideas" / "cur" / "1780000001.idea.client.test:2,S").write_bytes(idea)
    mbsync.sync()
    mbsync.sync()
    assert remote_state(observer, "Ideas") == [(b"an idea", "S")]
    assert remote_state(observer, "Projects") == [(b"a project", "")]


@pytest.mark.parametrize("lane", [Lane.STARTTLS], ids=["starttls"])
def test_in_bulk(mbsync: Mbsync, observer: Observer) -> None:
    """500 messages up, again without change, all deleted, again."""
    mbsync.sync()
    names = [f"bulk {number:03}" for number in range(500)]
    for name in names:
        mbsync.add(make_message(name, lines=20), name.replace(" ", ""))
    mbsync.sync()
    expected = [(name.encode(), "S") for name in names]
    assert remote_state(observer) == expected
    mbsync.sync()
    assert remote_state(observer) == expected
    assert mbsync.state() == expected
    for path in mbsync.files():
        path.unlink()
    mbsync.sync()
    mbsync.sync()
    assert remote_state(observer) == []
    assert mbsync.state() == []
