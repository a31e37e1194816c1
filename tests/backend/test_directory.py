"""Users: whose mail an address is, who logs in, and that no password is kept."""

from __future__ import annotations

import hashlib
import inspect
import os
import statistics
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailproto import sasl
from mailproto.backend.directory import ClientCertificate, Directory, Users

DOMAINS = ["example.com", "Example.NET"]
USERS = Users.from_options(["alice:secret", "Bob@Example.ORG:pass:word"], DOMAINS, cram_md5=True)


def is_directory(users: Users) -> Directory:
    """The type checkers hold Users to the interface here."""
    return users


# --------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("local_part", "domain", "account"),
    [
        ("alice", "example.com", "alice"),
        ("alice", "example.net", "alice"),
        ("ALICE", "EXAMPLE.COM", "alice"),
        ("alice", "example.com.", "alice"),
        ("alice", "example.org", None),
        ("alice", "elsewhere.test", None),
        ("bob", "example.org", "bob@example.org"),
        ("BOB", "Example.Org", "bob@example.org"),
        ("bob", "example.com", None),
        ("bob@example.org", "example.com", None),
        ("nobody", "example.com", None),
        ("", "example.com", None),
        ("alice\x00", "example.com", None),
        ("postmaster", "example.com", "alice"),
        ("PostMaster", "example.org", "alice"),
        ("postmaster", "", "alice"),
        ("alice", "", None),
        ("bob", "example.org.", "bob@example.org"),
        ("alice@example.net", "example.com", None),
        ("postmaster", "elsewhere.test", None),
    ],
)
def test_addresses(local_part: str, domain: str, account: str | None) -> None:
    assert is_directory(USERS).account_for(local_part, domain) == account


@pytest.mark.parametrize(
    "domain", ["example.com", "EXAMPLE.net", "example.org", "example.com.", ""]
)
def test_domains_of_options_and_of_users_are_local(domain: str) -> None:
    assert USERS.is_local(domain)


@pytest.mark.parametrize("domain", ["elsewhere.test", "com", "sub.example.com", "[127.0.0.1]", "."])
def test_other_domains_are_not(domain: str) -> None:
    assert not USERS.is_local(domain)


def test_somebody_may_be_the_postmaster() -> None:
    users = Users({"alice": "a", "postmaster": "p", "postmaster@example.org": "q"}, DOMAINS)
    assert users.account_for("Postmaster", "example.com") == "postmaster"
    assert users.account_for("postmaster", "") == "postmaster"
    assert users.account_for("postmaster", "example.org") == "postmaster@example.org"


def test_an_address_goes_before_a_name() -> None:
    users = Users({"alice": "a", "alice@example.com": "b"}, DOMAINS)
    assert users.account_for("alice", "example.com") == "alice@example.com"
    assert users.account_for("alice", "example.net") == "alice"


def test_nobody_is_there() -> None:
    users = Users({}, DOMAINS)
    assert users.account_for("postmaster", "example.com") is None
    assert users.is_local("example.com")
    assert users.verify(sasl.PasswordCredentials("alice", "secret")) is None


def test_localhost_is_the_domain_by_default() -> None:
    assert Users({"alice": "secret"}).account_for("alice", "localhost") == "alice"


# ------------------------------------------------------------------------------------ logins


@pytest.mark.parametrize(
    ("user", "password", "account"),
    [
        ("alice", "secret", "alice"),
        ("Alice", "secret", "alice"),
        ("alice@example.com", "secret", "alice"),
        ("ALICE@Example.Net", "secret", "alice"),
        ("alice@example.org", "secret", None),
        ("alice", "Secret", None),
        ("alice", "secret ", None),
        ("alice", "", None),
        ("alice", "\x07", None),
        ("bob@example.org", "pass:word", "bob@example.org"),
        ("bob", "pass:word", None),
        ("", "secret", None),
        ("postmaster", "secret", None),
        ("nobody", "secret", None),
    ],
)
def test_passwords(user: str, password: str, account: str | None) -> None:
    assert USERS.verify(sasl.PasswordCredentials(user, password)) == account


@pytest.mark.parametrize("identity", ["", "alice", "ALICE", "alice@example.com"])
def test_a_user_may_act_as_himself(identity: str) -> None:
    assert USERS.verify(sasl.PasswordCredentials("alice", "secret", identity)) == "alice"
    assert USERS.verify(sasl.ProvenCredentials("alice@example.net", identity)) == "alice"


@pytest.mark.parametrize("identity", ["bob@example.org", "root", "alice@example.org", "\x07"])
def test_P30_and_as_nobody_else(identity: str) -> None:
    assert USERS.verify(sasl.PasswordCredentials("alice", "secret", identity)) is None
    assert USERS.verify(sasl.ProvenCredentials("alice", identity)) is None


@pytest.mark.parametrize(
    "credentials",
    [
        sasl.TokenCredentials("alice", "secret"),
        sasl.ExternalCredentials(),
        sasl.ExternalCredentials("alice", "nobody"),
        sasl.ExternalCredentials("bob@example.org", "alice"),
        sasl.AnonymousCredentials("alice"),
        sasl.ProvenCredentials("nobody"),
        sasl.ProvenCredentials("nobody", "alice"),
        sasl.Credentials(),
    ],
)
def test_other_credentials_open_nothing(credentials: sasl.Credentials) -> None:
    assert USERS.verify(credentials) is None


@pytest.mark.parametrize(
    ("certificate", "account"),
    [
        (ClientCertificate(b"", "alice"), "alice"),
        (ClientCertificate(b"", "Alice@Example.COM"), "alice"),
        (ClientCertificate(b"", "somebody", ("bob@example.org",)), "bob@example.org"),
        (
            ClientCertificate(b"", "alice", ("x@elsewhere.test", "bob@example.org")),
            "bob@example.org",
        ),
        (ClientCertificate(b"", "alice", ("x@elsewhere.test",)), "alice"),
        (ClientCertificate(b"", "nobody", ("alice@elsewhere.test",)), None),
        (ClientCertificate(b"", "", ("", "alice@example.com\0@elsewhere.test")), None),
        (ClientCertificate(b""), None),
    ],
)
def test_a_certificate_opens_whom_it_names(
    certificate: ClientCertificate, account: str | None
) -> None:
    assert USERS.identify(certificate) == account
    if account is not None:
        assert USERS.verify(sasl.ExternalCredentials("", account)) == account
        assert USERS.verify(sasl.ExternalCredentials(account, account)) == account


def authenticate(users: Users, mechanism: sasl.Mechanism, user: str, password: str) -> sasl.Step:
    """A whole exchange over a directory."""
    credentials = sasl.PasswordCredentials(user, password)
    client = sasl.choose([mechanism.name], credentials, tls=True, mechanisms=[mechanism])
    server = sasl.Offer([mechanism]).begin(mechanism.name, tls=True)
    assert server is not None
    step = server.start(client.start())
    while not isinstance(step, sasl.Success | sasl.Failure):
        if isinstance(step, sasl.Challenge):
            step = server.respond(client.respond(step.data))
        elif isinstance(step, sasl.Verify):
            step = server.answer(users.verify(step.credentials))
        else:
            step = server.answer(users.lookup(step.user, step.scheme))
    return step


UNBOUND = [m for m in (*sasl.PASSWORD_MECHANISMS, sasl.CRAM_MD5) if not m.binds]


@pytest.mark.parametrize("mechanism", UNBOUND, ids=lambda mechanism: mechanism.name)
def test_every_password_mechanism_works_from_the_keys(mechanism: sasl.Mechanism) -> None:
    refused = sasl.Failure(sasl.FailureReason.REFUSED)
    step = authenticate(USERS, mechanism, "Alice", "secret")
    assert isinstance(step, sasl.Success)
    assert step.identity == "alice"
    for user, password in (("alice", "wrong"), ("nobody", "secret"), ("bob", "pass:word")):
        assert authenticate(USERS, mechanism, user, password) == refused


def test_cram_md5_only_where_enabled() -> None:
    assert Users({"alice": "secret"}).lookup("alice", "CRAM-MD5") is None
    assert isinstance(USERS.lookup("alice", "CRAM-MD5"), sasl.CramMD5Keys)
    assert USERS.lookup("nobody", "CRAM-MD5") is None


@settings(max_examples=10)
@given(
    name=st.text(st.characters(max_codepoint=0x17F, categories=["Ll", "Nd"]), min_size=1),
    password=st.text(st.characters(max_codepoint=0x17F, categories=["L", "Nd", "P"]), min_size=1),
)
def test_any_name_and_password_from_the_options(name: str, password: str) -> None:
    users = Users.from_options([f"{name}:{password}"])
    for user in (name, f"{name}@localhost"):
        account = users.verify(sasl.PasswordCredentials(user, password))
        assert account is not None
        assert account == users.account_for(name, "localhost")
        assert users.verify(sasl.PasswordCredentials(user, password + "x")) is None


# ------------------------------------------------------------------------------- bad options


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        (["alice"], "NAME:PASSWORD"),
        (["alice:"], "'alice' cannot be used: the password is empty"),
        ([":hunter2"], "neither"),
        (["@example.org:hunter2"], "neither"),
        (["alice@:hunter2"], "neither"),
        (["al\x07ice:hunter2"], "neither"),
        (["alice:hunter2", "alice:hunter2"], "'alice' is there twice"),
        (["alice:hunter2", "Alice:hunter2"], "'Alice' is there twice"),
        (["alice:hunter2\x07"], "'alice' cannot be used: the password contains"),
        (["alice:hunter2\ud800"], "'alice' cannot be used: the password contains"),
    ],
)
def test_P16_unusable_users_are_named_without_their_password(
    pairs: list[str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint) as raised:
        Users.from_options(pairs)
    assert "hunter2" not in str(raised.value)


# ----------------------------------------------------------------------------------- secrets


def reachable(thing: object) -> list[object]:
    """Everything that an object holds, however deep."""
    found: list[object] = []
    pending = [thing]
    while pending:
        now = pending.pop()
        found.append(now)
        if isinstance(now, dict):
            pending += [*now.keys(), *now.values()]
        elif isinstance(now, list | tuple | set | frozenset):
            pending += now
        elif hasattr(now, "__dict__") and not isinstance(now, type):
            pending += vars(now).values()
        for kind in inspect.getmro(now.__class__):
            slots: tuple[str, ...] = vars(kind).get("__slots__", ())
            pending += [getattr(now, name) for name in slots if hasattr(now, name)]
    return found


def test_P16_the_password_is_neither_kept_nor_shown() -> None:
    users = Users.from_options(["alice:hunter2"], cram_md5=True)
    assert "alice" in repr(users)
    held = reachable(users)
    assert any(isinstance(thing, sasl.ScramKeys) for thing in held)
    assert any(isinstance(thing, sasl.CramMD5Keys) for thing in held)
    for thing in held:
        assert "hunter2" not in repr(thing)
        assert thing != b"hunter2"


def test_salts_differ_between_users_schemes_and_runs() -> None:
    users = [Users({"alice": "secret", "bob": "secret"}) for _ in range(2)]
    keys = [
        directory.lookup(user, scheme)
        for directory in users
        for user in ("alice", "bob")
        for scheme in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
    ]
    salts = {key.salt for key in keys if isinstance(key, sasl.ScramKeys)}
    assert len(salts) == len(keys) == 12
    assert all(len(salt) == 16 for salt in salts)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The derivations done, as the name of the hash and the number of iterations."""
    done: list[tuple[str, int]] = []
    derive: Callable[[str, bytes, bytes, int], bytes] = hashlib.pbkdf2_hmac

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        done.append((name, iterations))
        return derive(name, password, salt, iterations)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return done


@pytest.mark.parametrize("iterations", [4096, 5000])
def test_P26_unknown_users_cost_the_same_work(work: list[tuple[str, int]], iterations: int) -> None:
    users = Users({"alice": "secret"}, iterations=iterations)
    assert work == [(name, iterations) for name in ("sha256", "sha512", "sha1")]
    for user in ("alice", "nobody", "", "\x07"):
        for password in ("wrong", "", "\x07"):
            work.clear()
            assert users.verify(sasl.PasswordCredentials(user, password)) is None
            assert work == [("sha256", iterations)]


def test_P26_unknown_users_have_keys_like_the_others() -> None:
    users = Users({"alice": "secret"}, iterations=5000)
    for scheme in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        known, unknown, again, other = (
            users.lookup(user, scheme) for user in ("alice", "nobody", "NoBody", "nobody2")
        )
        assert isinstance(known, sasl.ScramKeys)
        assert isinstance(unknown, sasl.ScramKeys)
        assert isinstance(other, sasl.ScramKeys)
        assert unknown == again
        assert unknown.salt != other.salt
        assert (known.iterations, len(known.salt)) == (unknown.iterations, len(unknown.salt))
        assert len(known.stored_key) == len(unknown.stored_key)


@pytest.mark.parametrize(
    "names",
    [
        ("{}", "{}@example.com", "{}@EXAMPLE.com.", "{}@example.net"),
        ("{}@example.org", "{}@EXAMPLE.org."),
        ("{}@elsewhere.test", "{}@elsewhere.test."),
    ],
)
def test_P26_unknown_users_have_one_salt_by_all_their_names(names: tuple[str, ...]) -> None:
    """As those who exist: salts that differ would tell who does not."""
    for user in ("alice", "bob", "nobody"):
        keys = [USERS.lookup(name.format(user), "SCRAM-SHA-256") for name in names]
        assert len({key.salt for key in keys if isinstance(key, sasl.ScramKeys)}) == 1


@pytest.mark.nightly
@pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "nightly", reason="wants a machine with nothing to do"
)
def test_P26_unknown_users_take_the_same_time() -> None:
    users = Users({"alice": "secret"})
    taken: dict[str, list[float]] = {"alice": [], "nobody": []}
    for _ in range(400):
        for user, times in taken.items():
            begun = time.perf_counter()
            users.verify(sasl.PasswordCredentials(user, "wrong"))
            times.append(time.perf_counter() - begun)
    known, unknown = (statistics.median(times) for times in taken.values())
    assert abs(known - unknown) < 0.03 * known
