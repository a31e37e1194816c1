"""Our POP3 clients against Courier, the one server here that has UTF8 (RFC 6856)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facades.world import Facade
from interop.mail import make_message, make_utf8_message
from interop.peers.courier import Courier, run_courier
from interop.peers.dovecot import PASSWORD
from interop.peers.process import deliver
from mailproto import pop3, sasl


@pytest.fixture(scope="module")
def courier() -> Iterator[Courier]:
    with run_courier() as running:
        yield running


def connect(facade: Facade, courier: Courier, user: str | None, **options: Any) -> Any:
    login = None if user is None else (user, PASSWORD)
    return facade.connect(
        "pop3", courier.pop3, tls="none", login=login, allow_insecure_auth=True, **options
    )


@pytest.fixture
def user(courier: Courier, facade: Facade, request: pytest.FixtureRequest) -> str:
    """A user of this test's own."""
    name = f"{request.node.originalname}-{facade.name}"
    deliver(courier.maildir(name))
    return name


@pytest.mark.parity("pop3-client UTF8")
def test_utf8(facade: Facade, courier: Courier, user: str) -> None:
    message = make_utf8_message()
    deliver(courier.maildir(user), message)
    with connect(facade, courier, user) as client:
        assert client.retrieve(1) == message
    with connect(facade, courier, user, utf8=False) as client:
        # A client that did not say UTF8 gets a message that says so.
        assert b"Subject: Cannot display Unicode content" in client.retrieve(1)


@pytest.mark.parity("pop3-client UTF8")
def test_names_beyond_ascii(facade: Facade, courier: Courier, user: str) -> None:
    name = f"j\u00f6rg-{facade.name}"
    deliver(courier.maildir(name), make_message())
    with connect(facade, courier, None) as client:
        assert client.capabilities().utf8_user
        assert client.use_utf8()
        client.call(pop3.User(name))
        client.call(pop3.Pass(PASSWORD))
        assert client.stat().messages == 1


@pytest.mark.parity("pop3-client CAPA", "pop3-client LOGIN-DELAY", "pop3-client IMPLEMENTATION")
def test_capabilities(facade: Facade, courier: Courier, user: str) -> None:
    with connect(facade, courier, user) as client:
        told = client.capabilities()
    assert told.login_delay == pop3.LoginDelay(10)
    assert told.implementation == "Courier Mail Server"
    assert told.sasl == ("LOGIN", "PLAIN")
    assert told.utf8
    assert told.pipelining
    assert told.other == ()


@pytest.mark.parametrize("mechanism", [sasl.LOGIN, sasl.PLAIN], ids=lambda it: it.name)
def test_logins(facade: Facade, courier: Courier, user: str, mechanism: sasl.Mechanism) -> None:
    client = connect(facade, courier, None)
    credentials = sasl.PasswordCredentials(user, PASSWORD)
    client.run(client.session.authenticate(credentials, mechanisms=[mechanism]))
    assert client.stat().messages == 0
    client.quit()


def test_every_command(facade: Facade, courier: Courier, user: str, tmp_path: Path) -> None:
    messages = [make_message(f"number {number}", lines=700) for number in range(3)]
    deliver(courier.maildir(user), *messages)
    with connect(facade, courier, user) as client:
        assert client.stat() == pop3.DropListing(3, sum(map(len, messages)))
        assert client.list() == {n: len(message) for n, message in enumerate(messages, 1)}
        unique_ids = client.uidl()
        for number, message in enumerate(messages, 1):
            assert client.retrieve(number) == message
        header = messages[1].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert client.top(2, 1) == header + b"line 0 of number 1\r\n"
        client.delete(1)
        client.reset()
        client.delete(2)
    with connect(facade, courier, user) as client:
        assert list(client.uidl().values()) == [unique_ids[1], unique_ids[3]]
        assert client.retrieve(2) == messages[2]
