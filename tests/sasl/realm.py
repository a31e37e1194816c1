"""One password database in the simplest form, and the loop that lets two exchanges talk."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import attrs

from mailproto import sasl
from mailproto.backend.directory import Users


@attrs.define
class Realm:
    """An application that knows one user, and answers what a server's exchange asks."""

    user: str
    password: str
    token: str = ""
    salt: bytes = b"0123456789abcdef"
    iterations: int = 4096
    asked: list[object] = attrs.Factory(list)

    def verify(self, credentials: sasl.Credentials) -> str | None:
        self.asked.append(credentials)
        match credentials:
            case sasl.PasswordCredentials(user=user, password=password):
                return "account" if (user, password) == (self.user, self.password) else None
            case sasl.TokenCredentials(user=user, token=token):
                return "account" if (user, token) == (self.user, self.token) else None
            case sasl.ProvenCredentials() | sasl.AnonymousCredentials():
                return "account"
            case sasl.ExternalCredentials(external_identity="certificate"):
                return "account"
            case _:
                return None

    def lookup(self, user: str, scheme: str) -> sasl.StoredKeys | None:
        self.asked.append((user, scheme))
        if user != self.user:
            return None
        if scheme == "CRAM-MD5":
            return sasl.CramMD5Keys(self.password)
        return sasl.ScramKeys.derive(scheme, self.password, self.salt, self.iterations)


@attrs.define
class Talk:
    """What two exchanges have said to each other, without the application's part."""

    said: list[tuple[str, bytes | None]]
    outcome: sasl.Success | sasl.Failure


def settle(server: sasl.ServerExchange, step: sasl.Step, realm: Realm | Users) -> sasl.Step:
    """Answer the questions, up to the next thing that goes over the wire."""
    while isinstance(step, sasl.Verify | sasl.Lookup):
        if isinstance(step, sasl.Verify):
            step = server.answer(realm.verify(step.credentials))
        else:
            step = server.answer(realm.lookup(step.user, step.scheme))
    return step


def converse(
    client: sasl.ClientExchange,
    server: sasl.ServerExchange,
    realm: Realm,
    *,
    room: int | None = None,
    forge: Callable[[int, bytes], bytes] = lambda count, response: response,
) -> Talk:
    """Run both sides to the end; ``forge`` may replace the client's responses on their way."""
    initial = client.start(room)
    talk: list[tuple[str, bytes | None]] = [("C", initial)]
    count = 0
    step = settle(server, server.start(initial and forge(0, initial)), realm)
    while isinstance(step, sasl.Challenge):
        talk.append(("S", step.data))
        count += 1
        response = client.respond(step.data)
        talk.append(("C", response))
        step = settle(server, server.respond(forge(count, response)), realm)
    assert isinstance(step, sasl.Success | sasl.Failure)
    if isinstance(step, sasl.Success):
        client.succeed(step.final)
    return Talk(talk, step)


def pair(
    mechanism: sasl.Mechanism,
    credentials: sasl.Credentials,
    *,
    binding: sasl.ChannelBinding | None = None,
    nonce: Callable[[], str] = secrets.token_urlsafe,
) -> tuple[sasl.ClientExchange, sasl.ServerExchange]:
    """Both sides of one mechanism over one connection."""
    if mechanism.binds and binding is None:
        binding = sasl.tls_exporter(bytes(range(32)))
    client = sasl.choose(
        [mechanism.name],
        credentials,
        tls=True,
        channel_binding=binding,
        mechanisms=[mechanism],
        nonce=nonce,
    )
    server = sasl.Offer([mechanism]).begin(
        client.name,
        tls=True,
        channel_bindings=[binding] if binding else [],
        external_identity="certificate" if mechanism.external else "",
    )
    assert server is not None
    return client, server
