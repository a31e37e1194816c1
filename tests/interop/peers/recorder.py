"""A server of ours in this process, by either facade, that keeps what came as it came.

`mailproto serve` shows what became of a message; this shows how it travelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from facades.world import Blocking, Facade
from interop.peers.dovecot import DOMAIN, PASSWORD, USERS
from interop.peers.process import HOST, eventually
from mailproto import aio, sasl, smtp, sync
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.tls import server_context
from mailproto.sync.smtp import Handler, Origin

TOKEN = "a-bearer-token"


@dataclass(frozen=True)
class Received:
    """One message, and what was known when its end came."""

    mail: smtp.Mail
    recipients: tuple[smtp.Rcpt, ...]
    content: bytes
    hello: str
    tls: bool
    account: str | None
    attributes: Mapping[str, str]

    def parameter(self, kind: type[Any]) -> Any:
        """The parameter of this class on MAIL or on the first RCPT, or None."""
        of_rcpt = self.recipients[0].parameters
        return next((p for p in (*self.mail.parameters, *of_rcpt) if isinstance(p, kind)), None)


@dataclass
class Recorder:
    """What has come so far; `commands` are the lines of all clients, without secrets."""

    port: int = 0
    messages: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def wait_for(self, count: int = 1) -> list[Received]:
        """Wait until that many messages have come."""
        eventually(f"{count} messages", lambda: len(self.messages) >= count, 30.0)
        assert len(self.messages) == count
        return self.messages

    def said(self, verb: str) -> list[str]:
        """The commands of one kind."""
        return [line for line in self.commands if line.upper().startswith(verb)]


class _Keeper(Handler):
    """Takes mail for everyone but `nobody`."""

    def __init__(self, origin: Origin, recorder: Recorder) -> None:
        self._origin = origin
        self._recorder = recorder
        self._mail: smtp.Mail | None = None
        self._recipients: list[smtp.Rcpt] = []
        self._content = bytearray()

    def mail(self, mail: smtp.Mail) -> None:
        self._mail = mail
        self._recipients = []
        self._content.clear()

    def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply | None:
        if str(rcpt.forward_path).startswith("nobody@"):
            return smtp.Reply(550, "No such user", smtp.EnhancedCode(5, 1, 1))
        self._recipients.append(rcpt)
        return None

    def content(self, data: bytes) -> None:
        self._content += data

    def end(self) -> None:
        origin = self._origin
        assert self._mail is not None
        self._recorder.messages.append(
            Received(
                self._mail,
                tuple(self._recipients),
                bytes(self._content),
                origin.hello,
                origin.tls,
                origin.account,
                dict(origin.attributes),
            )
        )


class Accounts(Users):
    """The users of all peers, and alice by a bearer token too."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(USERS, PASSWORD), [DOMAIN], cram_md5=True)

    def verify(self, credentials: sasl.Credentials) -> str | None:
        if isinstance(credentials, sasl.TokenCredentials):
            return USERS[0] if credentials.token == TOKEN else None
        return super().verify(credentials)


@contextmanager
def recording(
    facade: Facade, certificate: CertificateFiles | None = None, **options: Any
) -> Iterator[Recorder]:
    """Serve with these options of `serve`; a certificate makes STARTTLS possible."""
    recorder = Recorder()

    def note(side: str, line: bytes) -> None:
        if side == "C":
            recorder.commands.append(line.decode(errors="replace"))

    options["trace"] = note
    if certificate is not None:
        options["tls_context"] = server_context(certificate.cert, certificate.key)

    def handler(origin: Origin) -> Handler:
        return _Keeper(origin, recorder)

    server: Any
    if facade.loop is None:
        server = sync.smtp.serve(handler, HOST, **options)
    else:
        server = Blocking(facade.loop, facade.loop.run(aio.smtp.serve(handler, HOST, **options)))
    with server:
        recorder.port = server.port
        yield recorder
