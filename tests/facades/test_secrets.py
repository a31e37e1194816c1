"""P16: a secret used in whole sessions of every kind is in nothing that anybody can read."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any, Final

import pytest

from facades.world import USERS, Facade
from mailproto import imap, pop3, sasl
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.errors import MailError
from mailproto.flows.services import Services

CANARY: Final = "Canary-7Q4x.Zk9w!"
WRONG: Final = "Wrong-Bird-2M8v?yt"
BODY: Final = "Only-Alice-may-read-3H6r"
WITH_A_SECRET: Final = [
    mechanism
    for mechanism in sasl.MECHANISMS
    if not mechanism.binds and mechanism.name not in ("EXTERNAL", "ANONYMOUS")
]
PORTS: Final = {"smtp": "submission", "imap": "imap", "pop3": "pop3"}


def disguises(secret: str) -> Iterator[bytes]:
    """The secret as it may appear: plain, hexadecimal, in base64 at any offset."""
    octets = secret.encode()
    yield octets
    yield binascii.hexlify(octets)
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + octets)
        # The first and last group depend on the neighbours.
        yield encoded[4:-4]


class Ears:
    """Keeps everything that sessions show."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def trace(self, side: str, line: bytes) -> None:
        self.heard.append(f"{side}: {line.decode('latin-1')}")

    def look_at(self, *things: object) -> None:
        self.heard += [f"{thing!r} {thing!s}" for thing in things]

    def catch(self, error: BaseException) -> None:
        self.look_at(error, getattr(error, "__dict__", None), error.__cause__, error.__context__)
        self.heard += traceback.format_exception(error)

    def assert_ignorant_of(self, *secrets: str) -> None:
        everything = "\n".join(self.heard).encode("utf-8", "backslashreplace")
        for secret in secrets:
            for disguise in disguises(secret):
                assert disguise not in everything


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize("mechanism", WITH_A_SECRET, ids=lambda mechanism: mechanism.name)
@pytest.mark.parametrize("right", [True, False])
def test_P16_no_session_tells_its_secret(
    facade: Facade,
    protocol: str,
    mechanism: sasl.Mechanism,
    right: bool,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    ears = Ears()
    users = Users({"alice": CANARY}, cram_md5=True)
    services = Services(MemoryStore(), users, allow_insecure_auth=True, trace=ears.trace)
    server = facade.server(services)
    secret = CANARY if right else WRONG
    credentials: sasl.Credentials = sasl.PasswordCredentials("alice", secret)
    if mechanism.name in ("XOAUTH2", "OAUTHBEARER"):
        credentials = sasl.TokenCredentials("alice", secret)
    try:
        port = server.listen("127.0.0.1", 0, services.sessions(PORTS[protocol]))
        client = facade.connect(
            protocol, port, tls="none", allow_insecure_auth=True, trace=ears.trace
        )
        ears.look_at(client, client.session, client.session.machine, credentials, users)
        try:
            client.authenticate(credentials, mechanisms=(mechanism,))
            client.noop()
        except MailError as error:
            ears.catch(error)
        ears.look_at(client, client.session.machine, vars(client.session))
        client.close()
    finally:
        server.close(grace=0.2)
    ears.heard += [record.getMessage() for record in caplog.records]
    ears.heard += capfd.readouterr()
    ears.assert_ignorant_of(CANARY, WRONG)
    # With salt, count and signature of SCRAM passwords could be tried out.
    challenges = [line for line in ears.heard if re.match(r"S: (334|\+)( |$)", line)]
    assert {line.partition(" ")[2] for line in challenges} <= {"334 <hidden>", "+ <hidden>"}
    assert any(mechanism.name in line for line in ears.heard) or "offers" in str(ears.heard)


@pytest.mark.parametrize("password", [CANARY, WRONG])
def test_P16_commands_that_carry_a_password(
    facade: Facade, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ears = Ears()
    users = Users({"alice": CANARY})
    services = Services(MemoryStore(), users, allow_insecure_auth=True, trace=ears.trace)
    server = facade.server(services)
    commands: list[tuple[str, Any]] = [
        ("imap", imap.Login("alice", password)),
        ("imap", imap.Login("alice", password + '"\\')),
        ("imap", imap.Login("alice", password + "ü")),
        ("pop3", pop3.Pass(password)),
    ]
    try:
        for protocol, command in commands:
            port = server.listen("127.0.0.1", 0, services.sessions(PORTS[protocol]))
            client = facade.connect(
                protocol, port, tls="none", allow_insecure_auth=True, trace=ears.trace
            )
            try:
                if protocol == "pop3":
                    client.call(pop3.User("alice"))
                client.call(command)
            except MailError as error:
                ears.catch(error)
            ears.look_at(command, client.session.machine, vars(client.session))
            client.close()
    finally:
        server.close(grace=0.2)
    ears.heard += [record.getMessage() for record in caplog.records]
    ears.assert_ignorant_of(CANARY, WRONG)
    assert any("LOGIN" in line for line in ears.heard)


def test_P16_the_content_of_messages_is_not_traced(facade: Facade) -> None:
    ears = Ears()
    store = MemoryStore()
    services = Services(store, USERS, allow_insecure_auth=True, trace=ears.trace)
    server = facade.server(services)
    options: dict[str, Any] = {
        "tls": "none",
        "allow_insecure_auth": True,
        "login": ("alice", "wonderland"),
        "trace": ears.trace,
    }
    content = f"Subject: {BODY}\r\n\r\n{BODY}\r\n".encode()
    try:
        ports = {
            protocol: server.listen("127.0.0.1", 0, services.sessions(name))
            for protocol, name in PORTS.items()
        }
        with facade.connect("smtp", ports["smtp"], **options) as smtp:
            smtp.send(content, "alice@localhost", ["alice@localhost"])
        with facade.connect("imap", ports["imap"], **options) as reader:
            reader.append("INBOX", content)
            reader.select("INBOX")
            (data,) = reader.fetch(1, imap.BodySection())
            assert content in data.sections[0].data
            ears.look_at(data)
        with facade.connect("pop3", ports["pop3"], **options) as maildrop:
            assert content in maildrop.retrieve(1)
    finally:
        server.close(grace=1)
    lines = [line for line in ears.heard if line.startswith(("C: ", "S: "))]
    assert not any(BODY in line for line in lines)
