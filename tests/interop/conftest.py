"""Fixtures for real programs: servers of others, and `mailproto serve` for clients.

`server` is what the tests of client programs talk to. With MAILPROTO_INTEROP_CONTROL=1 it is not
ours but Postfix delivering to Dovecot: a test that fails there has a wrong recipe, not found a bug.
"""

from __future__ import annotations

import imaplib
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from facades.world import Facade
from interop.peers.authority import Authority, make_authority
from interop.peers.dovecot import DOMAIN, PASSWORD, USERS, Dovecot, run_dovecot
from interop.peers.exim import Exim, run_exim
from interop.peers.mail_server import Relay
from interop.peers.postfix import Postfix, run_postfix
from interop.peers.process import HOST, eventually, reachable_directory
from interop.peers.serve import Serve, run_serve, serving

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles

CONTROL = os.environ.get("MAILPROTO_INTEROP_CONTROL") == "1"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def certificate() -> Iterator[CertificateFiles]:
    """One certificate for localhost that every server of the run presents and can read.

    Of several self-signed certificates of one name in a CA file, TLS libraries pick the wrong one.
    """
    from mailproto.cli.certificate import make_certificate

    with reachable_directory("tls") as directory:
        made = make_certificate(directory)
        os.chmod(made.key, 0o644)  # a throw-away key, read by the servers' own users
        yield made


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """Who signs the certificates of clients: those of alice, and of somebody unknown."""
    with reachable_directory("ca") as directory:
        yield make_authority(directory, ["alice", "mallory"])


@pytest.fixture(scope="session")
def dovecot(certificate: CertificateFiles) -> Iterator[Dovecot]:
    """A Dovecot for the whole session; use a mailbox or user of your own in each test."""
    with run_dovecot(certificate) as running:
        yield running


@pytest.fixture(scope="session")
def postfix(certificate: CertificateFiles, dovecot: Dovecot) -> Iterator[Postfix]:
    """A Postfix for the whole session, AUTH by Dovecot, delivering to maildirs."""
    with run_postfix(certificate, sasl_port=dovecot.sasl) as running:
        yield running


PostfixFactory = Callable[..., Postfix]


@pytest.fixture
def start_postfix(certificate: CertificateFiles) -> Iterator[PostfixFactory]:
    """Start a Postfix with `sasl_port`, `relay` or `lmtp_port`; stopped after the test."""
    with ExitStack() as stack:

        def start(
            *,
            sasl_port: int | None = None,
            relay: Relay | None = None,
            lmtp_port: int | None = None,
        ) -> Postfix:
            return stack.enter_context(
                run_postfix(certificate, sasl_port=sasl_port, relay=relay, lmtp_port=lmtp_port)
            )

        yield start


@pytest.fixture(scope="session")
def exim(certificate: CertificateFiles) -> Iterator[Exim]:
    """An Exim for the whole session, delivering to maildirs."""
    with run_exim(certificate) as running:
        yield running


@pytest.fixture(scope="session", params=["sync", "aio"])
def facade(request: pytest.FixtureRequest) -> Iterator[Facade]:
    """Our clients and servers of either kind, as blocking objects."""
    made = Facade(request.param)
    yield made
    made.close()


# ------------------------------------------------------------------ the server under test

ServeFactory = Callable[..., Serve]


def options_of_serve(domain: str, certificate: CertificateFiles | None) -> list[str]:
    """Users, domain and certificate."""
    options = [f"--user={user}:{PASSWORD}" for user in USERS] + [f"--domain={domain}"]
    if certificate is not None:
        options += [f"--tls-cert={certificate.cert}", f"--tls-key={certificate.key}"]
    return options


class Reserve:
    """Servers that are all alike; the next one starts while a test has the last.

    For a short test half of the time would go into waiting for its server.
    """

    def __init__(self, options: list[str], make_directory: Callable[[], Path]) -> None:
        self._options = options
        self._make_directory = make_directory
        self._next = self._start()

    def _start(self) -> Serve:
        return Serve(self._options, self._make_directory())

    def take(self) -> Serve:
        """A server that was started and that nobody else has."""
        taken, self._next = self._next, self._start()
        return taken

    def close(self) -> None:
        """End the one that is left."""
        self._next.kill()


@pytest.fixture(scope="session")
def reserve(
    certificate: CertificateFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reserve]:
    """Servers with all ports open and clear-text login allowed."""
    options = [*options_of_serve(DOMAIN, certificate), "--allow-insecure-auth"]
    made = Reserve(options, lambda: tmp_path_factory.mktemp("serve"))
    yield made
    made.close()


@pytest.fixture
def start_serve(certificate: CertificateFiles, tmp_path: Path) -> Iterator[ServeFactory]:
    """Start `mailproto serve` with these options added to users, domain and certificate."""
    with ExitStack() as stack:

        def start(
            *options: str,
            domain: str = DOMAIN,
            certificate: CertificateFiles | None = certificate,
        ) -> Serve:
            everything = [*options_of_serve(domain, certificate), *options]
            return stack.enter_context(run_serve(everything, tmp_path))

        yield start


class MailServer(Protocol):
    """What a client program needs to know of a server; ours and the control look alike."""

    @property
    def host(self) -> str: ...
    @property
    def smtp(self) -> int: ...
    @property
    def submission(self) -> int: ...
    @property
    def smtps(self) -> int: ...
    @property
    def lmtp(self) -> int: ...
    @property
    def imap(self) -> int: ...
    @property
    def imaps(self) -> int: ...
    @property
    def pop3(self) -> int: ...
    @property
    def pop3s(self) -> int: ...
    @property
    def ca(self) -> Path: ...


@dataclass(frozen=True)
class ControlServer:
    """Postfix delivering to Dovecot, as one server."""

    smtp: int
    submission: int
    smtps: int
    lmtp: int
    imap: int
    imaps: int
    pop3: int
    pop3s: int
    ca: Path
    host: str = HOST


@pytest.fixture
def server(request: pytest.FixtureRequest, certificate: CertificateFiles) -> Iterator[MailServer]:
    """An empty mail server for client programs, all ports open, clear-text login allowed."""
    if not CONTROL:
        reserve: Reserve = request.getfixturevalue("reserve")
        with serving(reserve.take()) as ours:
            yield ours
        return
    with ExitStack() as stack:
        dovecot = stack.enter_context(run_dovecot(certificate))
        postfix = stack.enter_context(
            run_postfix(certificate, sasl_port=dovecot.sasl, lmtp_port=dovecot.lmtp)
        )
        yield ControlServer(
            postfix.smtp,
            postfix.submission,
            postfix.smtps,
            dovecot.lmtp,
            dovecot.imap,
            dovecot.imaps,
            dovecot.pop3,
            dovecot.pop3s,
            dovecot.ca,
        )


# -------------------------------------------------------------- looking with the stdlib's eyes


class Observer:
    """Puts and reads a user's mail with imaplib, so that each program is judged by another."""

    def __init__(self, server: MailServer) -> None:
        self.server = server

    def session(self, user: str = "alice") -> AbstractContextManager[imaplib.IMAP4]:
        context = ssl.create_default_context(cafile=os.fspath(self.server.ca))
        connection = imaplib.IMAP4_SSL("localhost", self.server.imaps, ssl_context=context)
        connection.login(user, PASSWORD)
        return connection

    def put(self, *messages: bytes, user: str = "alice", mailbox: str = "INBOX") -> None:
        with self.session(user) as connection:
            for message in messages:
                status, answer = connection.append(mailbox, "", "", message)
                assert status == "OK", answer

    def messages(self, user: str = "alice", mailbox: str = "INBOX") -> list[bytes]:
        """Every message of a mailbox, oldest first."""
        return [message for message, _ in self.messages_and_flags(user, mailbox)]

    def messages_and_flags(
        self, user: str = "alice", mailbox: str = "INBOX"
    ) -> list[tuple[bytes, frozenset[str]]]:
        found: list[tuple[bytes, frozenset[str]]] = []
        with self.session(user) as connection:
            status, answer = connection.select(f'"{mailbox}"', readonly=True)
            assert status == "OK", answer
            count = int(answer[0] or b"0")
            for number in range(1, count + 1):
                status, data = connection.fetch(str(number), "(FLAGS BODY.PEEK[])")
                assert status == "OK", data
                body = next(item[1] for item in data if isinstance(item, tuple))
                attributes = b" ".join(
                    item[0] if isinstance(item, tuple) else item or b"" for item in data
                )
                flags = frozenset(f.decode() for f in imaplib.ParseFlags(attributes))
                found.append((body, flags - {"\\Recent"}))
        return found

    def wait_for(self, count: int = 1, user: str = "alice") -> list[bytes]:
        """Wait until a user's INBOX holds that many messages (ours: at once) and return them."""

        def enough() -> list[bytes] | None:
            found = self.messages(user)
            return found if len(found) >= count else None

        found = eventually(f"{count} messages for {user}", enough)
        assert len(found) == count
        return found


@pytest.fixture
def observer(server: MailServer) -> Observer:
    return Observer(server)
