"""Who may log in, and whose mail an address is: the Directory interface and one in memory."""

from __future__ import annotations

from typing import Protocol

from mailproto.backend.store import Maybe
from mailproto.sasl import Credentials, StoredKeys

__all__ = ["Directory"]


class Directory(Protocol):
    """The accounts of a server: what an embedder implements to log people in and to route mail.

    Methods may return their value or be ``async def``. The async server calls them in a worker
    thread and awaits coroutines on its loop; the sync server calls them from many threads.
    """

    def verify(self, credentials: Credentials) -> Maybe[str | None]:
        """The name of the account that ``credentials`` open, ``None`` when they are not right.

        It is given ``PasswordCredentials`` (PLAIN, LOGIN, and POP3's USER and PASS or IMAP's
        LOGIN), ``TokenCredentials``, ``ExternalCredentials``, ``AnonymousCredentials``, or
        ``ProvenCredentials`` when a password has been proved already; ``None`` for every class
        that it does not know. Unknown users and wrong passwords must not differ in time.
        """
        ...

    def lookup(self, user: str, scheme: str) -> Maybe[StoredKeys | None]:
        """What is kept of the password of ``user`` for ``SCRAM-SHA-256``, ``CRAM-MD5`` …"""
        ...

    def account_for(self, local_part: str, domain: str) -> Maybe[str | None]:
        """The account that receives at this address; ``None`` when there is none."""
        ...

    def is_local(self, domain: str) -> Maybe[bool]:
        """Whether mail for ``domain`` is for this server, and so never relayed."""
        ...
