"""Our clients log in at Dovecot by every mechanism that it has, in every protocol and facade.

Dovecot 2.3 has no channel binding. Who was let in is seen by whose mail is there; by SMTP it is
whether the mail goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, assert_same_mail, make_message
from interop.peers.authority import Authority
from interop.peers.dovecot import (
    ANONYMOUS_ACCOUNT,
    PASSWORD,
    PASSWORD_MECHANISMS,
    TOKEN_MECHANISMS,
    USERS,
    Dovecot,
    run_dovecot,
)
from interop.peers.process import deliver
from interop.peers.recorder import Recorder, recording
from mailproto import errors, imap, sasl
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import client_context

pytestmark = pytest.mark.skipif(CONTROL, reason="the client under test is ours by nature")


@dataclass
class World:
    """Dovecot, and what it has sent on."""

    dovecot: Dovecot
    relay: Recorder
    authority: Authority

    def connect(self, facade: Facade, protocol: str, certificate: str | None = None) -> Any:
        """A client that has not logged in, with the certificate of this name."""
        context = client_context(str(self.dovecot.ca))
        if certificate is not None:
            context.load_cert_chain(*self.authority.of[certificate])
        name = "submission" if protocol == "smtp" else protocol
        port = getattr(self.dovecot, name)
        return facade.connect(protocol, port, tls="starttls", tls_context=context)

    def check(self, client: Any, protocol: str, account: str) -> None:
        """See that the account is open."""
        if protocol == "imap":
            assert client.select("INBOX", read_only=True).exists == 1
            (message,) = client.fetch(1, imap.BodySection(peek=True))
            assert message.section() == _mail_of(account)
        elif protocol == "pop3":
            assert client.retrieve(1) == _mail_of(account)
        else:
            self.relay.messages.clear()
            client.send(_mail_of(account), SENDER, ["bob@other.test"])
            assert_same_mail(self.relay.wait_for()[0].content, _mail_of(account))


def _mail_of(account: str) -> bytes:
    return make_message(f"for {account}")


@pytest.fixture(scope="module")
def world(certificate: CertificateFiles, authority: Authority) -> Iterator[World]:
    facade = Facade("sync")
    with (
        recording(facade) as relay,
        run_dovecot(certificate, relay_port=relay.port, client_authorities=authority.ca) as dovecot,
    ):
        for user in USERS:
            deliver(dovecot.maildir(user), _mail_of(user))
        yield World(dovecot, relay, authority)
    facade.close()


protocols = pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])


@protocols
@pytest.mark.parametrize(
    "mechanism", [*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS], ids=lambda mechanism: mechanism.name
)
def test_P07_by_a_secret(
    world: World, facade: Facade, protocol: str, mechanism: sasl.Mechanism
) -> None:
    wrong: sasl.Credentials = sasl.PasswordCredentials("alice", "wrong")
    right: sasl.Credentials = sasl.PasswordCredentials("alice", PASSWORD)
    if mechanism in TOKEN_MECHANISMS:
        wrong = sasl.TokenCredentials("alice", world.dovecot.token[:-4])
        right = sasl.TokenCredentials("alice", world.dovecot.token)
    with world.connect(facade, protocol) as client:
        with pytest.raises(errors.AuthenticationFailed):
            client.authenticate(wrong, mechanisms=[mechanism])
        client.authenticate(right, mechanisms=[mechanism])
        world.check(client, protocol, "alice")


@protocols
def test_by_a_certificate(world: World, facade: Facade, protocol: str) -> None:
    with world.connect(facade, protocol, "alice") as client:
        client.authenticate(sasl.ExternalCredentials())
        world.check(client, protocol, "alice")
    with (
        world.connect(facade, protocol) as client,
        pytest.raises(errors.AuthenticationFailed),
    ):
        client.authenticate(sasl.ExternalCredentials())


# Its submission service does not let it in.
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_by_no_name(world: World, facade: Facade, protocol: str) -> None:
    with world.connect(facade, protocol) as client:
        client.authenticate(sasl.AnonymousCredentials("guest@client.test"))
        world.check(client, protocol, ANONYMOUS_ACCOUNT)


@protocols
def test_P07_what_it_offers_is_not_bound(world: World, facade: Facade, protocol: str) -> None:
    """Nothing goes below what the caller demands."""
    with world.connect(facade, protocol) as client, pytest.raises(errors.SecurityError):
        client.authenticate(sasl.PasswordCredentials("alice", PASSWORD), floor=sasl.Strength.BOUND)
