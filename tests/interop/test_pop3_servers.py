"""Our POP3 clients against Dovecot and GNU Mailutils: each lane, each login, what each server does.

Messages are laid into the servers' maildirs. Each test begins with an empty maildrop of alice.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from facades.world import Facade
from interop.mail import Lane, every_lane, make_message
from interop.peers.dovecot import (
    PASSWORD,
    PASSWORD_MECHANISMS,
    TOKEN_MECHANISMS,
    Dovecot,
)
from interop.peers.mailutils import Mailutils, run_mailutils
from interop.peers.process import deliver, eventually
from mailproto import errors, pop3, sasl
from mailproto.backend import DownloadDirectory

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles

MODES = {Lane.PLAIN: "none", Lane.STARTTLS: "starttls", Lane.IMPLICIT: "implicit"}
USER = "alice"


class Maildrop:
    """A server and what lies in the maildrop of alice."""

    def __init__(self, server: Dovecot | Mailutils, maildir: Path) -> None:
        self.server = server
        self._maildir = maildir

    @property
    def is_mailutils(self) -> bool:
        return isinstance(self.server, Mailutils)

    def empty(self) -> None:
        for path in self._maildir.glob("[nc]*/*"):
            path.unlink()

    def put(self, *messages: bytes) -> None:
        deliver(self._maildir, *messages)

    def stored(self, message: bytes) -> bytes:
        """A message as it was delivered: after UIDL Mailutils adds fields to the header."""
        if not self.is_mailutils:
            return message
        return re.sub(rb"(\r\nX-[^\r\n]*)+\r\n\r\n", b"\r\n\r\n", message, count=1)


@pytest.fixture(scope="session")
def mailutils(certificate: CertificateFiles) -> Iterator[Mailutils]:
    """A pop3d of GNU Mailutils for the whole session."""
    with run_mailutils(certificate) as running:
        yield running


@pytest.fixture(params=["dovecot", "mailutils"])
def maildrop(request: pytest.FixtureRequest) -> Iterator[Maildrop]:
    server = request.getfixturevalue(request.param)
    made = Maildrop(server, server.maildir(USER))
    made.empty()
    yield made
    made.empty()


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.fspath(ca))


def connect(facade: Facade, maildrop: Maildrop, lane: Lane = Lane.PLAIN, **options: Any) -> Any:
    server = maildrop.server
    options.setdefault("login", (USER, PASSWORD))
    if lane is Lane.PLAIN:
        options["allow_insecure_auth"] = True
    else:
        options["tls_context"] = trusting(server.ca)
    port = server.pop3s if lane is Lane.IMPLICIT else server.pop3
    return facade.connect("pop3", port, tls=MODES[lane], timeout=20, **options)


def some_messages(count: int = 3, lines: int = 3) -> list[bytes]:
    return [make_message(f"number {number}", lines=lines) for number in range(count)]


@pytest.mark.parity(
    "pop3-client USER and PASS",
    "pop3-client STAT, LIST, RETR, DELE, NOOP, RSET and QUIT",
    "pop3-client TOP",
    "pop3-client UIDL",
    "pop3-client STLS",
    "pop3-client dot transparency",
)
@every_lane
def test_every_command(facade: Facade, maildrop: Maildrop, lane: Lane, tmp_path: Path) -> None:
    messages = some_messages(lines=700)
    maildrop.put(*messages)
    with connect(facade, maildrop, lane) as client:
        assert client.stat().messages == 3
        # Mailutils adds a field to each message when it is asked for unique-ids.
        unique_ids, sizes = client.uidl(), client.list()
        assert sum(sizes.values()) == client.stat().octets
        assert client.list(2) == {2: sizes[2]}
        assert client.uidl(2) == {2: unique_ids[2]}
        assert len(set(unique_ids.values())) == 3
        for number, message in enumerate(messages, 1):
            assert maildrop.stored(client.retrieve(number)) == message
        with (tmp_path / "first").open("wb") as file:
            octets = client.retrieve_into(1, file.write)
        received = (tmp_path / "first").read_bytes()
        assert (octets, maildrop.stored(received)) == (len(received), messages[0])

        header = messages[1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert maildrop.stored(client.top(2)).startswith(header)
        top = maildrop.stored(client.top(2, 2))
        assert top.startswith(header)
        assert b"line 0" in top
        assert b"line 2" not in top

        client.noop()
        client.delete(2)
        with pytest.raises(errors.CommandFailed):
            client.retrieve(2)
        assert client.stat().messages == 2
        client.reset()
        assert client.stat().messages == 3
        client.delete(2)
    with connect(facade, maildrop, lane) as client:
        assert list(client.uidl().values()) == [unique_ids[1], unique_ids[3]]
        assert maildrop.stored(client.retrieve(2)) == messages[2]


@pytest.mark.parity("pop3-client CAPA")
def test_capabilities(facade: Facade, maildrop: Maildrop) -> None:
    with connect(facade, maildrop, Lane.STARTTLS, login=None) as client:
        before = client.capabilities()
        assert before.top
        assert before.uidl
        assert before.user
        assert before.resp_codes
        assert before.auth_resp_code
        assert before.pipelining
        assert not before.stls  # on already
        if maildrop.is_mailutils:
            # It forgets the blank behind EXPIRE: what is not understood is kept as it came.
            assert before.sasl is None
            assert "EXPIRE30" in before.other
        else:
            assert {"PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"} <= set(before.sasl or ())
            assert "APOP" not in before.other


def test_P22_without_quit_nothing_is_removed(facade: Facade, maildrop: Maildrop) -> None:
    maildrop.put(*some_messages())
    client = connect(facade, maildrop)
    client.delete(1)
    client.close()
    with connect(facade, maildrop) as client:
        assert client.stat().messages == 3


def test_wrong_password(facade: Facade, maildrop: Maildrop) -> None:
    with pytest.raises(errors.AuthenticationFailed):
        connect(facade, maildrop, login=(USER, "wrong"))
    with connect(facade, maildrop) as client:
        assert client.stat().messages == 0


@pytest.mark.parity("pop3-client APOP")
def test_apop(facade: Facade, maildrop: Maildrop) -> None:
    maildrop.put(make_message())
    client = connect(facade, maildrop, login=None, apop=True)
    with pytest.raises(errors.AuthenticationFailed):
        client.apop(USER, "wrong")
    client.close()
    with connect(facade, maildrop, login=None, apop=True) as client:
        client.apop(USER, PASSWORD)
        assert client.stat().messages == 1


@pytest.mark.parity("pop3-client AUTH")
@pytest.mark.parametrize(
    "mechanism", [*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS], ids=lambda mechanism: mechanism.name
)
def test_auth(facade: Facade, dovecot: Dovecot, mechanism: sasl.Mechanism) -> None:
    credentials: sasl.Credentials = sasl.PasswordCredentials(USER, PASSWORD)
    if mechanism in TOKEN_MECHANISMS:
        credentials = sasl.TokenCredentials(USER, dovecot.token)
    client = facade.connect("pop3", dovecot.pop3s, tls_context=trusting(dovecot.ca))
    client.run(client.session.authenticate(credentials, mechanisms=[mechanism]))
    assert client.session.machine.state is pop3.State.TRANSACTION
    client.quit()


@pytest.mark.parametrize(
    "mechanism", [sasl.SCRAM_SHA_256, sasl.XOAUTH2], ids=lambda mechanism: mechanism.name
)
def test_a_refused_login_ends_nothing(
    facade: Facade, dovecot: Dovecot, mechanism: sasl.Mechanism
) -> None:
    wrong: sasl.Credentials = sasl.PasswordCredentials(USER, "wrong")
    if mechanism is sasl.XOAUTH2:
        wrong = sasl.TokenCredentials(USER, dovecot.token[:-4])
    client = facade.connect("pop3", dovecot.pop3s, tls_context=trusting(dovecot.ca))
    with pytest.raises(errors.AuthenticationFailed):
        client.run(client.session.authenticate(wrong, mechanisms=[mechanism]))
    client.run(client.session.login(USER, PASSWORD))
    client.quit()


def test_a_thousand_messages(facade: Facade, maildrop: Maildrop) -> None:
    """Listings of many reads, and a UIDL and a LIST that say the same numbers."""
    maildrop.put(*some_messages(1000, lines=0))
    with connect(facade, maildrop, Lane.IMPLICIT) as client:
        assert list(client.uidl()) == list(client.list()) == list(range(1, 1001))
        for number in range(1, 1001):
            client.delete(number)
    with connect(facade, maildrop) as client:
        assert client.list() == {}
        assert client.uidl() == {}


@pytest.mark.parity("pop3-client lines of real mail")
def test_what_is_odd_comes_whole(facade: Facade, maildrop: Maildrop) -> None:
    """Lines of more than 2048 octets (where poplib gives up), no line end at the end, dots."""
    messages = [
        b"Subject: long\r\n\r\n" + b"x" * 70_000 + b"\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.\r\n",
        b"Subject: open\r\n\r\nno line end",
        b"Subject: empty\r\n\r\n",
    ]
    maildrop.put(*messages)
    with connect(facade, maildrop, Lane.STARTTLS) as client:
        received = [maildrop.stored(client.retrieve(number)) for number in client.list()]
    messages[2] += b"\r\n"
    assert received == messages


@pytest.mark.parametrize("leave", [0, None], ids=["remove", "leave"])
def test_P22_download_over_three_runs(
    facade: Facade, maildrop: Maildrop, tmp_path: Path, leave: int | None
) -> None:
    messages = some_messages(4)
    expected: list[bytes] = []
    for new in (messages[:2], messages[2:], []):
        maildrop.put(*new)
        expected += new
        arrivals = DownloadDirectory(tmp_path / "mail")
        with connect(facade, maildrop, Lane.STARTTLS) as client:
            client.download(arrivals, leave_days=leave)
        files = sorted((tmp_path / "mail").glob("*.eml"))
        got = sorted(maildrop.stored(path.read_bytes()) for path in files)
        assert got == sorted(expected)
        with connect(facade, maildrop) as client:
            assert client.stat().messages == (0 if leave == 0 else len(expected))


@pytest.mark.parity("pop3-client IN-USE, LOGIN-DELAY, SYS/TEMP, SYS/PERM and AUTH codes")
def test_a_login_that_comes_too_soon(facade: Facade, certificate: CertificateFiles) -> None:
    with run_mailutils(certificate, login_delay=3600) as server:
        maildrop = Maildrop(server, server.maildir(USER))
        maildrop.put(make_message())
        with connect(facade, maildrop, login=None) as client:
            # It forgets the name of this capability.
            assert "3600" in client.capabilities().other
        connect(facade, maildrop).quit()
        # It makes the record of logins readable to its group, and then refuses to read it.
        record = server.directory / "spool" / "logins"
        eventually("Mailutils records a login", record.exists)
        record.chmod(0o600)

        def refused() -> errors.CommandFailed | None:
            try:
                connect(facade, maildrop).quit()
            except errors.CommandFailed as error:
                return error
            return None

        assert eventually("Mailutils refuses a login", refused).code == "LOGIN-DELAY"
