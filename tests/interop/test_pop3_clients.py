"""Programs that fetch by POP3, over three runs: what came stays known, left there or removed.

The state of unique-ids is each program's own: fetchmail, mpop and getmail6. And mutt, by hand.
"""

from __future__ import annotations

import enum
import os
import pty
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interop.conftest import MailServer, Observer
from interop.mail import Lane, body_of, every_lane, make_message, pop3_port
from interop.peers.process import Worker, reachable_directory, require, run
from interop.test_fetchmail import NOTHING_NEW, bodies_in, fetchmail
from interop.test_mpop import fetched, mpop

SECONDS = 30.0


class Mode(enum.Enum):
    """What becomes of mail that was fetched."""

    KEEP = "keep"
    DELETE = "delete"


Fetch = Callable[[MailServer, Lane, Path, Mode, bool], list[bytes]]
"""Runs a program once, given whether there is anything new; the bodies it has fetched so far."""


def by_fetchmail(server: MailServer, lane: Lane, home: Path, mode: Mode, new: bool) -> list[bytes]:
    options = ("--keep" if mode is Mode.KEEP else "--nokeep", "--uidl")
    fetchmail(server, "POP3", lane, home, *options, status=0 if new else NOTHING_NEW)
    return sorted(bodies_in(home / "mbox"))


def by_mpop(server: MailServer, lane: Lane, home: Path, mode: Mode, new: bool) -> list[bytes]:
    mpop(server, lane, home, f"--keep={'on' if mode is Mode.KEEP else 'off'}")
    return fetched(home)


def by_getmail(server: MailServer, lane: Lane, home: Path, mode: Mode, new: bool) -> list[bytes]:
    """getmail refuses to run as root."""
    folders = [home / "Maildir", *(home / "Maildir" / name for name in ("new", "cur", "tmp"))]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    tls = lane is Lane.IMPLICIT
    configuration = home / "getmailrc"
    configuration.write_text(
        f"""
[retriever]
type = SimplePOP3{"SSL" if tls else ""}Retriever
server = localhost
port = {pop3_port(server, lane)}
username = alice
password = secret
timeout = 20
{f"ca_certs = {server.ca}" if tls else ""}
[destination]
type = Maildir
path = {home}/Maildir/
[options]
read_all = false
delete = {mode is Mode.DELETE}
delivered_to = false
received = false
"""
    )
    worker = Worker.current()
    worker.own(home, configuration, *folders)
    prefix = ["setpriv", f"--reuid={worker.uid}", f"--regid={worker.gid}", "--clear-groups"]
    run(
        *(prefix if os.geteuid() == 0 else ()),
        *(require("getmail", "getmail6"), f"--getmaildir={home}", f"--rcfile={configuration}"),
        home=home,
    )
    return fetched(home)


EVERY = [
    pytest.param(fetch, lane, id=f"{fetch.__name__[3:]}-{lane.value}")
    for fetch in (by_fetchmail, by_mpop, by_getmail)
    for lane in Lane
    # getmail knows no STLS
    if not (fetch is by_getmail and lane is Lane.STARTTLS)
]


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that getmail can reach when it runs as another user."""
    with reachable_directory("pop") as directory:
        yield directory


@pytest.mark.parity("pop3-server UIDL", "pop3-server STLS")
@pytest.mark.parametrize("mode", list(Mode), ids=[mode.value for mode in Mode])
@pytest.mark.parametrize(("fetch", "lane"), EVERY)
def test_three_runs(
    server: MailServer, observer: Observer, home: Path, fetch: Fetch, lane: Lane, mode: Mode
) -> None:
    messages = [make_message(f"number {number}", lines=100) for number in range(3)]
    here: list[bytes] = []
    for new in (messages[:2], messages[2:], []):
        observer.put(*new)
        here += new
        bodies = fetch(server, lane, home, mode, bool(new))
        assert bodies == [body_of(message) for message in here]
        assert observer.messages() == (here if mode is Mode.KEEP else [])


@pytest.mark.parity("pop3-server AUTH")
def test_every_login_of_mpop(server: MailServer, observer: Observer, home: Path) -> None:
    message = make_message()
    observer.put(message)
    for mechanism in ("user", "plain", "login", "scram-sha-1", "scram-sha-256"):
        mpop(server, Lane.STARTTLS, home / mechanism, "--keep=on", mechanism=mechanism)
        assert fetched(home / mechanism) == [body_of(message)]


# --------------------------------------------------------------------------------- mutt


def run_in_terminal(*arguments: str, home: Path) -> None:
    """Run a program that wants a terminal, which nobody looks at, to its end."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            arguments,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=home,
            env={**os.environ, "HOME": os.fspath(home), "TERM": "vt100", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    finally:
        os.close(follower)
    kill = threading.Timer(SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    kill.start()
    shown = b""
    try:
        # It waits when nobody reads; its end shows as an error here.
        while select.select([leader], [], [])[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
        status = process.wait(SECONDS)
    finally:
        kill.cancel()
        os.close(leader)
    assert status == 0, shown.decode(errors="replace")


@every_lane
def test_mutt_reads_copies_and_deletes(
    server: MailServer, observer: Observer, home: Path, lane: Lane
) -> None:
    messages = [make_message(f"number {number}", lines=100) for number in range(3)]
    observer.put(*messages)
    scheme = "pops" if lane is Lane.IMPLICIT else "pop"
    maildrop = f"{scheme}://alice@localhost:{pop3_port(server, lane)}"
    configuration = home / "muttrc"
    configuration.write_text(
        f"""
set pop_user=alice pop_pass=secret ssl_ca_certificates_file={server.ca}
set ssl_starttls={"yes" if lane is Lane.STARTTLS else "no"}
set ssl_force_tls={"no" if lane is Lane.PLAIN else "yes"}
set folder={home} record="" header_cache="" message_cachedir="" mbox_type=Maildir
set confirmappend=no confirmcreate=no delete=yes quit=yes move=no wait_key=no sleep_time=0
set sort=mailbox-order
push "<tag-pattern>~A<enter><tag-prefix><copy-message>{home}/copies<enter>\
<delete-pattern>~s 1<enter><sync-mailbox><quit>"
"""
    )
    run_in_terminal(
        *(require("mutt"), "-n", "-F", os.fspath(configuration), "-f", maildrop), home=home
    )
    copies = sorted(path.read_bytes() for path in (home / "copies").glob("[nc]*/*"))
    assert [body_of(copy) for copy in copies] == [body_of(message) for message in messages]
    assert observer.messages() == [messages[0], messages[2]]
