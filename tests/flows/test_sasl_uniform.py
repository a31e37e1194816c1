"""P26: a server does not tell users that exist from those that do not, in words or work.

No clock: the steps, the octets and the expensive calls are counted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from flows.sasl_world import (
    CREDENTIALS,
    EVERYONE,
    PASSWORD,
    PROTOCOLS,
    TOKEN,
    Everyone,
    World,
    ident,
)
from mailproto import pop3, sasl
from mailproto.backend.directory import Users
from mailproto.errors import CommandFailed
from mailproto.flows.effects import Flow


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """Every call of what takes time with a secret, with the sizes of its arguments."""
    done: list[tuple[str, object]] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            done.append((name, [len(a) if isinstance(a, bytes) else a for a in arguments]))
            return function(*arguments)

        return call

    def compared(one: Any, other: Any) -> bool:
        # Lengths alone: what is compared as text differs.
        done.append(("compare_digest", (len(one), len(other))))
        return compare(one, other)

    compare = hmac.compare_digest
    for name in ("pbkdf2_hmac", "new", "shake_256"):
        monkeypatch.setattr(hashlib, name, counted(name, getattr(hashlib, name)))
    monkeypatch.setattr(hmac, "digest", counted("digest", hmac.digest))
    monkeypatch.setattr(hmac, "compare_digest", compared)
    return done


def failed(world: World, log_in: Callable[[Any], Flow[object]]) -> list[tuple[str, object]]:
    """What a failed login looks like from outside: the server's verdict, the sizes of the rest."""

    def flow(session: Any) -> Flow[None]:
        yield from world.open(session)
        with pytest.raises(CommandFailed):
            yield from log_in(session)

    world.run(flow(world.session()))
    *steps, verdict = world.transcript
    return [*((side, len(line)) for side, line in steps), verdict]


def wrong(mechanism: sasl.Mechanism, user: str) -> sasl.Credentials:
    """Credentials of the mechanism that open nothing."""
    match CREDENTIALS[mechanism]:
        case sasl.TokenCredentials():
            return sasl.TokenCredentials(user, TOKEN[:-1] + "x")
        case _:
            return sasl.PasswordCredentials(user, "under the sea")


def by(mechanism: sasl.Mechanism, credentials: sasl.Credentials) -> Callable[[Any], Flow[object]]:
    """The login by one mechanism."""

    def flow(session: Any) -> Flow[object]:
        return (yield from session.authenticate(credentials, mechanisms=(mechanism,)))

    return flow


WITH_A_USER = [m for m in sasl.MECHANISMS if m.name not in ("EXTERNAL", "ANONYMOUS")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mechanism", WITH_A_USER, ids=ident)
def test_P26_an_unknown_user_looks_like_a_wrong_password(
    protocol: str, mechanism: sasl.Mechanism, work: list[tuple[str, object]]
) -> None:
    seen = []
    for user in ("alice", "mabel"):
        world = World(protocol)
        work.clear()
        credentials = wrong(mechanism, user)
        looks = failed(world, by(mechanism, credentials))
        seen.append((looks, list(work)))
    assert seen[0] == seen[1]
    if mechanism.name != "CRAM-MD5" and mechanism not in (sasl.OAUTHBEARER, sasl.XOAUTH2):
        assert any(name == "pbkdf2_hmac" for name, _ in seen[0][1])


class WithoutDecoys(Everyone):
    """A directory that says of users that it does not know them."""

    def lookup(self, user: str, scheme: str) -> sasl.StoredKeys | None:
        return None if user == "mabel" else super().lookup(user, scheme)


WITHOUT_DECOYS = WithoutDecoys()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "mechanism",
    [m for m in WITH_A_USER if m.name.startswith(("SCRAM", "CRAM"))],
    ids=ident,
)
def test_P26_the_server_makes_keys_for_whom_the_directory_does_not_know(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """It need not do so itself: the steps and their sizes are those of a wrong password."""
    seen = [
        failed(World(protocol, directory=WITHOUT_DECOYS), by(mechanism, wrong(mechanism, user)))
        for user in ("alice", "mabel")
    ]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_P26_so_do_the_logins_without_SASL(protocol: str, work: list[tuple[str, object]]) -> None:
    """LOGIN, and USER with PASS: USER is answered alike too."""

    def log_in(user: str) -> Callable[[Any], Flow[object]]:
        def flow(session: Any) -> Flow[None]:
            if protocol == "imap":
                yield from session.login(user, "under the sea")
            else:
                yield from session.call(pop3.User(user))
                yield from session.call(pop3.Pass("under the sea"))

        return flow

    seen = []
    for user in ("alice", "mabel"):
        work.clear()
        seen.append((failed(World(protocol), log_in(user)), list(work)))
    assert seen[0] == seen[1]
    assert sum(name == "pbkdf2_hmac" for name, _ in seen[0][1]) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "mechanism",
    [m for m in WITH_A_USER if isinstance(CREDENTIALS[m], sasl.PasswordCredentials)],
    ids=ident,
)
def test_P26_the_verdict_is_one_whatever_was_wrong(
    protocol: str, mechanism: sasl.Mechanism
) -> None:
    """No user, a wrong password, an identity that is not his: the same line."""
    attempts = [
        sasl.PasswordCredentials("alice", "under the sea"),
        sasl.PasswordCredentials("mabel", PASSWORD),
        sasl.PasswordCredentials("a" * 60, PASSWORD),
    ]
    if mechanism not in (sasl.LOGIN, sasl.CRAM_MD5):
        attempts.append(sasl.PasswordCredentials("alice", PASSWORD, authorization_identity="bob"))
    verdicts = {failed(World(protocol), by(mechanism, credentials))[-1] for credentials in attempts}
    assert len(verdicts) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_P26_a_user_without_keys_for_the_scheme_is_unknown_to_it(
    protocol: str, work: list[tuple[str, object]]
) -> None:
    """A directory that keeps no keys of CRAM-MD5 answers as to a wrong digest."""
    seen = []
    for directory in (EVERYONE, Users({"alice": PASSWORD})):
        work.clear()
        world = World(protocol, directory=directory)
        looks = failed(world, by(sasl.CRAM_MD5, wrong(sasl.CRAM_MD5, "alice")))
        seen.append((looks, list(work)))
    assert seen[0] == seen[1]
