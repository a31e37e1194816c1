"""Asking a directory from a flow: plain or async methods, through either driver's eyes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import cast

import pytest

from mailproto import sasl
from mailproto.backend.directory import Directory, Users
from mailproto.flows.authentication import settle, verify
from mailproto.flows.effects import Call, Flow, T

USERS = Users({"alice": "secret"})


class Later:
    """The same directory with async methods."""

    async def verify(self, credentials: sasl.Credentials) -> str | None:
        await asyncio.sleep(0)
        return USERS.verify(credentials)

    async def lookup(self, user: str, scheme: str) -> sasl.StoredKeys | None:
        await asyncio.sleep(0)
        return USERS.lookup(user, scheme)

    async def account_for(self, local_part: str, domain: str) -> str | None:
        return USERS.account_for(local_part, domain)

    async def is_local(self, domain: str) -> bool:
        return USERS.is_local(domain)


def run(flow: Flow[T]) -> T:
    """Run a flow that only calls, as the async driver does: blocking calls in a thread."""

    async def drive() -> T:
        result: object = None
        while True:
            try:
                effect = flow.send(result)
            except StopIteration as end:
                return cast("T", end.value)
            assert isinstance(effect, Call)
            if effect.blocking:
                result = await asyncio.to_thread(effect.function)
            else:
                result = effect.function()
                if isinstance(result, Awaitable):
                    result = await result

    return asyncio.run(drive())


def whole_exchange(
    mechanism: sasl.Mechanism, credentials: sasl.Credentials, directory: Directory
) -> Flow[sasl.Success | sasl.Failure]:
    client = sasl.choose([mechanism.name], credentials, tls=True)
    server = sasl.Offer([mechanism]).begin(mechanism.name, tls=True)
    assert server is not None
    step = yield from settle(server, server.start(client.start()), directory)
    while isinstance(step, sasl.Challenge):
        response = client.respond(step.data)
        step = yield from settle(server, server.respond(response), directory)
    return step


@pytest.mark.parametrize("directory", [USERS, Later()], ids=["plain", "async"])
@pytest.mark.parametrize(
    "mechanism",
    [sasl.PLAIN, sasl.LOGIN, sasl.SCRAM_SHA_256],
    ids=lambda mechanism: mechanism.name,
)
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_an_exchange_is_settled(
    mechanism: sasl.Mechanism, directory: Directory, password: str
) -> None:
    credentials = sasl.PasswordCredentials("alice", password)
    outcome = run(whole_exchange(mechanism, credentials, directory))
    if password == "secret":
        assert outcome == sasl.Success("alice", "alice")
    else:
        assert outcome == sasl.Failure(sasl.FailureReason.REFUSED)


@pytest.mark.parametrize("directory", [USERS, Later()], ids=["plain", "async"])
def test_a_password_is_verified_without_an_exchange(directory: Directory) -> None:
    """As POP3's PASS and IMAP's LOGIN do."""
    assert run(verify(directory, sasl.PasswordCredentials("alice", "secret"))) == "alice"
    assert run(verify(directory, sasl.PasswordCredentials("alice", "wrong"))) is None


def test_what_the_directory_raises_reaches_the_flow() -> None:
    class Broken(Users):
        def verify(self, credentials: sasl.Credentials) -> str | None:
            raise OSError("the database is away")

    with pytest.raises(OSError, match="database"):
        run(verify(Broken({}), sasl.PasswordCredentials("alice", "secret")))
