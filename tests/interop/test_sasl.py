"""The client's side of SASL against Dovecot: over its own authentication protocol, and over IMAP.

The first shows every mechanism with final data beside the success, the second with final data as
one more challenge. The server's side meets foreign clients in the tests of msmtp, mpop and others.
"""

from __future__ import annotations

import imaplib
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest

from interop.peers.dovecot import PASSWORD, PASSWORD_MECHANISMS, TOKEN_MECHANISMS, Dovecot
from mailproto import sasl

RIGHT = sasl.PasswordCredentials("alice", PASSWORD)
WRONG = sasl.PasswordCredentials("alice", "wrong")
UNKNOWN = sasl.PasswordCredentials("nobody", PASSWORD)


class AuthenticationService:
    """Dovecot's authentication protocol 1.1, from the side of a mail server that asks."""

    def __init__(self, dovecot: Dovecot) -> None:
        self.connection = socket.create_connection((dovecot.host, dovecot.sasl), timeout=20)
        self.lines = self.connection.makefile("rb")
        self.write("VERSION", "1", "1")
        self.write("CPID", "4711")
        self.offered: list[str] = []
        while (line := self.read())[0] != "DONE":
            if line[0] == "MECH":
                self.offered.append(line[1])

    def write(self, *fields: str) -> None:
        self.connection.sendall("\t".join(fields).encode() + b"\n")

    def read(self) -> list[str]:
        line = self.lines.readline()
        assert line.endswith(b"\n"), "Dovecot closed the connection"
        return line.decode().rstrip("\n").split("\t")

    def authenticate(self, exchange: sasl.ClientExchange, room: int | None) -> bool:
        """Whether Dovecot accepted; its final data, if any, are given to the exchange."""
        initial = exchange.start(room)
        request = ["AUTH", "1", exchange.name, "service=smtp", "secured"]
        if initial is not None:
            request.append("resp=" + b64encode(initial).decode())
        self.write(*request)
        for _ in range(10):
            kind, _number, *fields = self.read()
            if kind == "OK":
                final = [field[5:] for field in fields if field.startswith("resp=")]
                exchange.succeed(b64decode(final[0]) if final else None)
                return True
            if kind == "FAIL":
                return False
            assert kind == "CONT"
            response = exchange.respond(b64decode(fields[0] if fields else ""))
            self.write("CONT", "1", b64encode(response).decode())
        raise AssertionError("the exchange has no end")

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


@pytest.fixture
def service(dovecot: Dovecot) -> Iterator[AuthenticationService]:
    service = AuthenticationService(dovecot)
    yield service
    service.close()


def ident(mechanism: sasl.Mechanism) -> str:
    return mechanism.name


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS, ids=ident)
@pytest.mark.parametrize("room", [None, 0])
def test_P07_passwords(
    service: AuthenticationService, mechanism: sasl.Mechanism, room: int | None
) -> None:
    assert mechanism.name in service.offered
    for credentials, accepted in ((WRONG, False), (UNKNOWN, False), (RIGHT, True)):
        exchange = sasl.choose([mechanism.name], credentials, tls=True)
        assert service.authenticate(exchange, room) == accepted


@pytest.mark.parametrize("mechanism", TOKEN_MECHANISMS, ids=ident)
@pytest.mark.parametrize("room", [None, 0])
def test_tokens(
    dovecot: Dovecot, service: AuthenticationService, mechanism: sasl.Mechanism, room: int | None
) -> None:
    right = sasl.TokenCredentials("alice", dovecot.token, "localhost", 143)
    exchange = sasl.choose([mechanism.name], right, tls=True)
    assert service.authenticate(exchange, room)
    assert exchange.server_error is None

    wrong = sasl.TokenCredentials("alice", dovecot.token[:-4], "localhost", 143)
    exchange = sasl.choose([mechanism.name], wrong, tls=True)
    assert not service.authenticate(exchange, room)
    assert '"status"' in (exchange.server_error or "")


def test_the_strongest_of_dovecots_offer_is_chosen(service: AuthenticationService) -> None:
    exchange = sasl.choose(service.offered, RIGHT, tls=True)
    assert exchange.name == "SCRAM-SHA-256"
    assert service.authenticate(exchange, None)


@pytest.mark.parametrize("mechanism", [*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS], ids=ident)
def test_P07_over_imap(dovecot: Dovecot, mechanism: sasl.Mechanism) -> None:
    """imaplib carries the octets; it knows no initial response, so the first challenge is empty."""
    credentials: sasl.Credentials = RIGHT
    if mechanism in TOKEN_MECHANISMS:
        credentials = sasl.TokenCredentials("alice", dovecot.token)
    exchange = sasl.choose([mechanism.name], credentials, tls=True)
    exchange.start(room=0)
    with imaplib.IMAP4(dovecot.host, dovecot.imap) as connection:
        status, _ = connection.authenticate(mechanism.name, exchange.respond)
        assert status == "OK"
        exchange.succeed()
        assert connection.select("INBOX")[0] == "OK"


@pytest.mark.parametrize("mechanism", PASSWORD_MECHANISMS, ids=ident)
def test_wrong_password_over_imap(dovecot: Dovecot, mechanism: sasl.Mechanism) -> None:
    exchange = sasl.choose([mechanism.name], WRONG, tls=True)
    exchange.start(room=0)
    with (
        imaplib.IMAP4(dovecot.host, dovecot.imap) as connection,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        connection.authenticate(mechanism.name, exchange.respond)
