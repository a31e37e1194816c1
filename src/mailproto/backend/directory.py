"""Who may log in, and whose mail an address is: the Directory interface and one in memory.

``Users`` keeps no password, only keys derived from it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Final, Protocol

from attrs import field
from typing_extensions import TypeVar

from mailproto._core.frozen import frozen
from mailproto.backend.store import Maybe
from mailproto.errors import LocalProtocolError
from mailproto.sasl import (
    MINIMUM_ITERATIONS,
    CramMD5Keys,
    Credentials,
    ExternalCredentials,
    PasswordCredentials,
    ProvenCredentials,
    ScramKeys,
    StoredKeys,
)
from mailproto.sasl.saslprep import saslprep

__all__ = ["ClientCertificate", "Directory", "Users", "immediate", "is_immediate"]

F = TypeVar("F", bound=Callable[..., object])
_MARK: Final = "_mailproto_immediate"


def immediate(function: F) -> F:
    """Mark a method that answers from memory: the async server calls it on its loop.

    A worker thread would cost ten times as much as such an answer. The mark is on the function,
    so that an override, which may do anything, is not marked.
    """
    setattr(function, _MARK, True)
    return function


def is_immediate(function: Callable[..., object]) -> bool:
    """Whether a call returns at once: the function is marked so, or gives a coroutine."""
    return getattr(function, _MARK, False) or iscoroutinefunction(function)


@frozen
class ClientCertificate:
    """What names the owner of a client's certificate that TLS has verified (for EXTERNAL)."""

    der: bytes = field(repr=False)
    """The whole certificate, for everything else that it says."""
    common_name: str = ""
    """The only common name of the subject; empty where there is none or more than one."""
    email_addresses: tuple[str, ...] = ()
    """The addresses among the alternative names of the subject (rfc822Name)."""


class Directory(Protocol):
    """The accounts of a server: what an embedder implements to log people in and to route mail.

    Methods may return their value or be ``async def``. The async server awaits coroutines on its
    loop and calls plain methods in a worker thread, unless they are marked ``immediate``; the sync
    server calls them from many threads.
    """

    def verify(self, credentials: Credentials) -> Maybe[str | None]:
        """The name of the account that ``credentials`` open, ``None`` when they are not right.

        It is given ``PasswordCredentials`` (PLAIN, LOGIN, and POP3's USER and PASS or IMAP's
        LOGIN), ``TokenCredentials``, ``ExternalCredentials``, ``AnonymousCredentials``, or
        ``ProvenCredentials`` when a password has been proved already; it answers ``None`` for every
        class that it does not know. Unknown users and wrong passwords must not differ in time.
        """
        ...

    def lookup(self, user: str, scheme: str) -> Maybe[StoredKeys | None]:
        """What is kept of the password of ``user`` for ``SCRAM-SHA-256``, ``CRAM-MD5`` …

        ``None`` for a user or a scheme that it does not know (see ``mailproto.sasl.Lookup``).
        """
        ...

    def identify(self, certificate: ClientCertificate) -> Maybe[str | None]:
        """Whom a verified certificate names; ``None``: nobody, and EXTERNAL is not offered.

        It is asked on connections where the client has shown a certificate and the server has
        EXTERNAL among its mechanisms. The answer comes back to ``verify`` as
        ``ExternalCredentials.external_identity`` if the client makes use of it.
        """
        ...

    def account_for(self, local_part: str, domain: str) -> Maybe[str | None]:
        """The account that receives at this address; ``None`` when there is none.

        The local part comes without the quotes it may have had. ``domain`` is empty for the bare
        ``<postmaster>`` of RFC 5321 section 4.5.1.
        """
        ...

    def is_local(self, domain: str) -> Maybe[bool]:
        """Whether mail for ``domain`` is for this server, and so never relayed."""
        ...


SCHEMES: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1")
"""What ``Users`` derives keys for; a password in clear is compared by the first."""


class Users:
    """A Directory in memory, fixed when it is made.

    ::

        Users({"alice": "secret", "bob@example.org": "secret"}, domains=["example.com"])

    ``alice`` receives at alice@ every domain and logs in with her name or one of these addresses;
    ``bob@example.org`` receives at this address, which makes example.org a local domain too. Names
    and addresses compare without regard to case. Where nobody is called ``postmaster``, the first
    user gets his mail, because RFC 5321 section 4.5.1 wants it to arrive. An account's name is the
    user's name in lower case.

    A user acts as himself only: another authorization identity is refused.

    ``iterations`` is the work for one derivation (about one millisecond for 4,096).
    ``cram_md5`` makes CRAM-MD5 possible, at the cost of keeping keys that are as good as the
    password for CRAM-MD5. Raises ValueError, naming the user, for what cannot be used.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        domains: Iterable[str] = ("localhost",),
        *,
        iterations: int = MINIMUM_ITERATIONS,
        cram_md5: bool = False,
    ) -> None:
        self._iterations = iterations
        self._decoy_key = secrets.token_bytes(32)
        self._domains = frozenset(_domain(domain) for domain in domains)
        self._keys: dict[str, dict[str, StoredKeys]] = {}
        for name, password in users.items():
            account = _checked(name)
            if account in self._keys:
                raise ValueError(f"the user {name!r} is there twice")
            try:
                self._keys[account] = self._derive(password, cram_md5)
            except LocalProtocolError as error:
                raise ValueError(f"the user {name!r} cannot be used: {error}") from None
        own = {name.rpartition("@")[2] for name in self._keys if "@" in name}
        self._local = self._domains | own

    @classmethod
    def from_options(
        cls,
        pairs: Iterable[str],
        domains: Iterable[str] = ("localhost",),
        *,
        cram_md5: bool = False,
    ) -> Users:
        """Users from ``NAME:PASSWORD``; the first colon separates. Raises ValueError."""
        users: dict[str, str] = {}
        for pair in pairs:
            name, colon, password = pair.partition(":")
            if not colon:
                raise ValueError("a user is written NAME:PASSWORD, but one has no colon")
            if name in users:
                raise ValueError(f"the user {name!r} is there twice")
            users[name] = password
        return cls(users, domains, cram_md5=cram_md5)

    def __repr__(self) -> str:
        return f"<Users {', '.join(self._keys)}>"

    def verify(self, credentials: Credentials) -> str | None:
        """The account that a password, the proof of one, or a certificate opens."""
        match credentials:
            case PasswordCredentials() | ProvenCredentials():
                account = self._account(credentials.user)
            case ExternalCredentials():
                account = self._account(credentials.external_identity)
            case _:
                return None
        if isinstance(credentials, PasswordCredentials):
            keys = self._scram_keys(account, credentials.user, SCHEMES[0])
            if not keys.fits(credentials.password):
                return None
        wanted = credentials.authorization_identity
        return account if not wanted or self._account(wanted) == account else None

    def lookup(self, user: str, scheme: str) -> StoredKeys | None:
        """Keys for ``SCRAM-…`` and, where enabled, ``CRAM-MD5``; decoys for unknown users."""
        account = self._account(user)
        if scheme in SCHEMES:
            return self._scram_keys(account, user, scheme)
        return self._keys[account].get(scheme) if account is not None else None

    def identify(self, certificate: ClientCertificate) -> str | None:
        """The account of an address in the certificate, or of its common name."""
        names = (*certificate.email_addresses, certificate.common_name)
        return next((found for name in names if (found := self._account(name))), None)

    @immediate
    def account_for(self, local_part: str, domain: str) -> str | None:
        """The account of the address, or of the first user for ``postmaster``."""
        if not self.is_local(domain):
            return None
        postmaster = _folded(local_part) == "postmaster"
        found = None
        if domain or postmaster:
            found = self._account(f"{local_part}@{domain}" if domain else local_part)
        if found is None and postmaster:
            return next(iter(self._keys), None)
        return found

    @immediate
    def is_local(self, domain: str) -> bool:
        """Whether it is one of the domains, or that of a user who is an address."""
        return not domain or _domain(domain) in self._local

    def _account(self, name: str) -> str | None:
        """The account of a login name or an address."""
        account = _account_name(name)
        if account in self._keys:
            return account
        local_part, _, domain = account.rpartition("@")
        if "@" in local_part:  # was quoted: "bob@example.org"@example.com is not Bob
            return None
        if local_part in self._keys and domain in self._domains:
            return local_part
        return None

    def _derive(self, password: str, cram_md5: bool) -> dict[str, StoredKeys]:
        keys: dict[str, StoredKeys] = {
            scheme: ScramKeys.derive(scheme, password, secrets.token_bytes(16), self._iterations)
            for scheme in SCHEMES
        }
        if cram_md5:
            keys["CRAM-MD5"] = CramMD5Keys(password)
        return keys

    def _scram_keys(self, account: str | None, user: str, scheme: str) -> ScramKeys:
        """The keys of the account; without one, keys of the same cost that fit nothing."""
        # Whoever exists has one salt by all his names, and so must who does not.
        name, _, domain = _account_name(user).rpartition("@")
        if not name or domain not in self._domains:
            name = _account_name(user)
        decoy = ScramKeys.decoy(scheme, name, self._decoy_key, self._iterations)
        keys = self._keys[account][scheme] if account is not None else decoy
        assert isinstance(keys, ScramKeys)
        return keys


def _folded(name: str) -> str:
    """The form in which names are compared."""
    return (saslprep(name) or "").casefold()


def _account_name(name: str) -> str:
    """The name of the account of a user called ``name``, which may be an address."""
    folded = _folded(name)
    return folded.removesuffix(".") if "@" in folded else folded


def _domain(domain: str) -> str:
    return domain.casefold().removesuffix(".")


def _checked(name: str) -> str:
    account = _account_name(name)
    local_part, at, domain = account.rpartition("@")
    if not account or (at and not (local_part and domain)):
        raise ValueError(f"{name!r} is neither a user's name nor an address")
    return account
