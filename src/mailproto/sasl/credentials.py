"""Who somebody says he is, and what a server keeps of his password.

What a client's user passes to ``choose`` is what the server's application is asked to verify:
the same classes on both sides. Secrets are never part of a repr.
"""

from __future__ import annotations

from attrs import field

from mailproto._core.frozen import frozen

__all__ = [
    "AnonymousCredentials",
    "Credentials",
    "ExternalCredentials",
    "PasswordCredentials",
    "ProvenCredentials",
    "StoredKeys",
    "TokenCredentials",
]


class Credentials:
    """Base of everything that a mechanism can present or verify; subclass it for your own."""

    __slots__ = ()


@frozen
class PasswordCredentials(Credentials):
    """A user and his password (PLAIN, LOGIN, CRAM-MD5, SCRAM)."""

    user: str
    """The authentication identity."""
    password: str = field(repr=False)
    authorization_identity: str = ""
    """Whom to act as (RFC 4422 section 3.4.1); empty: the user himself."""


@frozen
class TokenCredentials(Credentials):
    """A bearer token (OAUTHBEARER, XOAUTH2); it is as secret as a password."""

    user: str
    """The user or mailbox that the token is for; may be empty in OAUTHBEARER."""
    token: str = field(repr=False)
    host: str = ""
    """The server's name as the client knows it (RFC 7628 section 3.1); may be empty."""
    port: int | None = None
    """The server's port as the client knows it; may be absent."""


@frozen
class ExternalCredentials(Credentials):
    """The identity that TLS has established, by a client certificate (EXTERNAL)."""

    authorization_identity: str = ""
    """Whom to act as; empty: whom the certificate names."""
    external_identity: str = ""
    """Server only: whom TLS has authenticated, as given to ``Offer.begin``."""


@frozen
class AnonymousCredentials(Credentials):
    """Nobody in particular (ANONYMOUS)."""

    trace: str = ""
    """An address or a name for the server's log, unverified (RFC 4505 section 2)."""


@frozen
class ProvenCredentials(Credentials):
    """A user who has proved, without telling it, that he knows his password.

    Server only, after a SCRAM or CRAM-MD5 exchange was right: what remains to be decided is
    whether he may log in, and as whom.
    """

    user: str
    authorization_identity: str = ""
    """Whom to act as; empty: the user himself."""


class StoredKeys:
    """Base of what a server keeps instead of a password and answers a ``Lookup`` with."""

    __slots__ = ()
