"""Our servers with every mechanism of SASL, and what programs have made of them.

Alice is known by password, by a bearer token and by a certificate; who is anonymous is carol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from facades.world import Facade
from interop.mail import make_message
from interop.peers.authority import Authority
from interop.peers.process import HOST
from interop.peers.recorder import Accounts, Received, Recorder, recording
from mailproto import sasl
from mailproto.backend import MemoryStore
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import Services
from mailproto.flows.tls import server_context

ANONYMOUS_ACCOUNT = "carol"
_NAMED = re.compile(r"(?:AUTH|[^ ]+ AUTHENTICATE) ([^ <]+)", re.IGNORECASE)


class _NotedAccounts(Accounts):
    """Takes note of every account that was opened."""

    def __init__(self, opened: list[str]) -> None:
        super().__init__()
        self._opened = opened

    def verify(self, credentials: sasl.Credentials) -> str | None:
        if isinstance(credentials, sasl.AnonymousCredentials):
            account: str | None = ANONYMOUS_ACCOUNT
        else:
            account = super().verify(credentials)
        if account is not None:
            self._opened.append(account)
        return account


@dataclass
class Logins:
    """Running servers: SMTP with STARTTLS, IMAP and POP3 in both ways; in clear too."""

    ca: Path
    authority: Authority
    smtp: Recorder
    ports: dict[str, int]
    opened: list[str]
    """The accounts that were opened, in order."""
    lines: list[str] = field(repr=False)
    """What clients of IMAP and POP3 have said."""

    def port(self, protocol: str) -> int:
        """That of ``smtp``, ``imap`` or ``pop3``, to be secured by STARTTLS or STLS."""
        return self.smtp.port if protocol == "smtp" else self.ports[protocol]

    def forget(self) -> None:
        """Begin anew with what is noted."""
        for noted in (self.opened, self.lines, self.smtp.commands, self.smtp.messages):
            noted.clear()

    def named(self) -> list[str]:
        """The mechanisms that clients have named, in order and in upper case."""
        found = (_NAMED.match(line) for line in (*self.smtp.commands, *self.lines))
        return [match[1].upper() for match in found if match]

    def sent(self) -> Received:
        """The one message that came by SMTP."""
        return self.smtp.wait_for()[0]

    @staticmethod
    def message(account: str) -> bytes:
        """What lies in the mailbox of an account."""
        return make_message(f"for {account}")


@contextmanager
def logins(facade: Facade, certificate: CertificateFiles, authority: Authority) -> Iterator[Logins]:
    """Serve with servers of this facade."""
    opened: list[str] = []
    lines: list[str] = []

    def note(side: str, line: bytes) -> None:
        if side == "C":
            lines.append(line.decode(errors="replace"))

    store = MemoryStore()
    for account in ("alice", ANONYMOUS_ACCOUNT):
        draft = store.draft()
        draft.write(Logins.message(account))
        store.deliver(draft, {account: b""})
    offer = sasl.Offer(sasl.MECHANISMS, allow_insecure_auth=True)
    directory = _NotedAccounts(opened)
    services = Services(store, directory, allow_insecure_auth=True, offer=offer, trace=note)
    tls = server_context(certificate.cert, certificate.key, client_authorities=str(authority.ca))
    with (
        recording(
            facade,
            tls_context=tls,
            directory=directory,
            sasl=offer,
            require_auth=True,
            allow_insecure_auth=True,
        ) as recorder,
        facade.server(services) as server,
    ):
        ports = {
            name: server.listen(
                HOST, 0, services.sessions(name), tls=tls, implicit_tls=name.endswith("s")
            )
            for name in ("imap", "imaps", "pop3", "pop3s")
        }
        yield Logins(Path(certificate.cert), authority, recorder, ports, opened, lines)
