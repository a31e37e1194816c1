"""curl: it sends by SMTP, and lists, fetches, searches and deletes by IMAP and POP3."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import (
    RECIPIENT,
    SENDER,
    Lane,
    assert_same_mail,
    every_lane,
    imap_port,
    make_message,
    pop3_port,
    smtp_port,
)
from interop.peers.process import Finished, require, run

LOGIN = ("-u", "alice:secret")


class Curl:
    """curl with the options of one lane."""

    def __init__(self, server: MailServer, lane: Lane, home: Path) -> None:
        self.program = require("curl")
        self.server, self.lane, self.home = server, lane, home
        self.options = ["-sS", "--max-time", "20"]
        if lane is not Lane.PLAIN:
            self.options += ["--ssl-reqd", "--cacert", os.fspath(server.ca)]

    def url(self, protocol: str, port: int, path: str = "") -> str:
        scheme = protocol + ("s" if self.lane is Lane.IMPLICIT else "")
        return f"{scheme}://localhost:{port}/{path}"

    def __call__(self, *arguments: str, stdin: bytes = b"", status: int | None = 0) -> Finished:
        return run(
            self.program, *self.options, *arguments, stdin=stdin, status=status, home=self.home
        )

    def smtp(self, *arguments: str, **options: object) -> Finished:
        login = () if self.lane is Lane.PLAIN else LOGIN
        url = self.url("smtp", smtp_port(self.server, self.lane), "client.test")
        return self(url, *login, *arguments, **options)  # type: ignore[arg-type]  # passed on

    def imap(self, path: str, *arguments: str, stdin: bytes = b"") -> Finished:
        url = self.url("imap", imap_port(self.server, self.lane), path)
        return self(url, *LOGIN, *arguments, stdin=stdin)

    def pop3(self, path: str, *arguments: str) -> Finished:
        url = self.url("pop3", pop3_port(self.server, self.lane), path)
        return self(url, *LOGIN, *arguments)


@pytest.fixture
def curl(server: MailServer, lane: Lane, tmp_path: Path) -> Curl:
    return Curl(server, lane, tmp_path)


@every_lane
def test_smtp_send(curl: Curl, observer: Observer) -> None:
    message = make_message()
    curl.smtp("--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "-T", "-", stdin=message)
    (received,) = observer.wait_for(1)
    assert_same_mail(received, message)


@every_lane
def test_smtp_send_to_two(curl: Curl, observer: Observer) -> None:
    message = make_message()
    curl.smtp(
        *("--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--mail-rcpt", "bob@peer.test"),
        *("-T", "-"),
        stdin=message,
    )
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], message)


@every_lane
def test_smtp_unknown_recipient_is_refused(curl: Curl) -> None:
    refused = curl.smtp(
        *("--mail-from", SENDER, "--mail-rcpt", "nobody@peer.test", "-T", "-"),
        stdin=make_message(),
        status=55,  # curl: "failed sending network data", its status for a refused RCPT
    )
    assert re.search(rb"RCPT failed: 5[0-9][0-9]", refused.stderr), refused.report()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_smtp_wrong_password_is_refused(server: MailServer, tmp_path: Path, mechanism: str) -> None:
    curl = Curl(server, Lane.STARTTLS, tmp_path)
    url = curl.url("smtp", server.submission, "client.test")
    refused = curl(
        *(url, "-u", "alice:wrong", "--login-options", f"AUTH={mechanism}"),
        *("--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "-T", "-"),
        stdin=make_message(),
        status=67,  # curl: login denied
    )
    assert b"535" in refused.stderr or b"denied" in refused.stderr, refused.report()


@every_lane
def test_imap_list_fetch_search_delete(curl: Curl, observer: Observer) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    observer.put(*messages)

    listing = curl.imap("").text
    assert re.search(r'^\* LIST \(.*\) "." "?INBOX"?\r?$', listing, re.MULTILINE), listing

    assert curl.imap("INBOX;MAILINDEX=2").stdout == messages[1]
    header = curl.imap("INBOX;MAILINDEX=2;SECTION=HEADER.FIELDS%20(SUBJECT)").stdout
    assert header == b"Subject: number 1\r\n\r\n"

    assert "* SEARCH 3" in curl.imap("INBOX?SUBJECT%20%22number%202%22").text
    assert "* SEARCH 1 2 3" in curl.imap("INBOX", "-X", "SEARCH ALL").text
    assert "(MESSAGES 3)" in curl.imap("", "-X", "STATUS INBOX (MESSAGES)").text

    curl.imap("INBOX", "-X", r"STORE 2 +FLAGS (\Deleted)")
    curl.imap("INBOX", "-X", "EXPUNGE")
    assert observer.messages() == [messages[0], messages[2]]


@every_lane
def test_imap_append_and_fetch_by_uid(curl: Curl, observer: Observer) -> None:
    message = make_message("appended", lines=2000)
    file = curl.home / "message"
    file.write_bytes(message)
    curl.imap("INBOX", "-T", os.fspath(file))
    assert observer.messages() == [message]
    found = re.search(r"UID ([0-9]+)", curl.imap("INBOX", "-X", "FETCH 1 (UID)").text)
    assert found is not None
    assert curl.imap(f"INBOX;UID={found[1]}").stdout == message


@every_lane
def test_imap_mailboxes(curl: Curl, observer: Observer) -> None:
    curl.imap("", "-X", "CREATE Projects/2026")
    assert "Projects/2026" in curl.imap("", "-X", 'LIST "" *').text
    curl.imap("", "-X", "RENAME Projects/2026 Done")
    listing = curl.imap("", "-X", 'LIST "" *').text
    assert "Done" in listing
    assert "Projects/2026" not in listing
    curl.imap("", "-X", "DELETE Done")
    assert "Done" not in curl.imap("", "-X", 'LIST "" *').text


@every_lane
def test_pop3_list_fetch_delete(curl: Curl, observer: Observer) -> None:
    messages = [make_message(f"number {number}") for number in range(3)]
    observer.put(*messages)

    listing = [line.split() for line in curl.pop3("").text.split("\r\n") if line]
    assert listing == [[str(n), str(len(m))] for n, m in enumerate(messages, 1)]
    uids = [line.split()[1] for line in curl.pop3("", "-X", "UIDL").text.split("\r\n") if line]
    assert len(set(uids)) == 3

    assert curl.pop3("2").stdout == messages[1]
    header = curl.pop3("", "-X", "TOP 2 0").stdout
    assert header == messages[1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    curl.pop3("2", "-X", "DELE", "-I")
    assert observer.messages() == [messages[0], messages[2]]
