"""Logins by SASL in whole sessions of each protocol, in memory, with somebody on the wire.

Both ends are the flows that run on sockets. TLS is not spoken: what its handshake would have
established is given to both ends, as whoever does TLS outside gives it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeAlias

from mailproto import imap, pop3, sasl, smtp
from mailproto._core.machine import Trace
from mailproto.backend import MemoryStore
from mailproto.backend.directory import ClientCertificate, Users
from mailproto.errors import MailError
from mailproto.flows import imap_client, imap_server, pop3_client, pop3_server, smtp_server
from mailproto.flows.effects import Flow, Secured, T, Write
from mailproto.flows.serving import Peer
from mailproto.flows.shutdown import Shutdown
from mailproto.flows.smtp_client import Session as SMTPSession
from mailproto.testing import converse

__all__ = [
    "BINDING",
    "CANCELLED",
    "CREDENTIALS",
    "EVERYONE",
    "MALFORMED",
    "PROTOCOLS",
    "REFUSED",
    "SECURED",
    "Everyone",
    "Tamper",
    "Transcript",
    "World",
    "ident",
    "is_challenge",
    "log_in",
    "words",
]

PROTOCOLS: Final = ("smtp", "lmtp", "imap", "pop3")
PASSWORD: Final = "wonderland"
TOKEN: Final = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
BINDING: Final = sasl.tls_exporter(bytes(range(32)))
SECURED: Final = Secured((BINDING,), ClientCertificate(b"", "alice"))
_COMMAND: Final = re.compile(rb"(?:A[0-9]+ AUTHENTICATE|AUTH) ")

Tamper: TypeAlias = Callable[[bytes], bytes]
"""Changes a line, without its CRLF, on its way."""
Side: TypeAlias = Literal["C", "S"]
Transcript: TypeAlias = list[tuple[Side, bytes]]
Session: TypeAlias = SMTPSession | imap_client.Session | pop3_client.Session


class Everyone(Users):
    """Alice and Bob with a password, Alice with a token, and anybody as ``anonymous``."""

    def __init__(self, token: str = TOKEN) -> None:
        super().__init__({"alice": PASSWORD, "bob": "builder"}, cram_md5=True)
        self._token = token
        self.lookups: list[tuple[str, str]] = []

    def verify(self, credentials: sasl.Credentials) -> str | None:
        match credentials:
            case sasl.TokenCredentials(user=user, token=token):
                right = hmac.compare_digest(token, self._token)
                return "alice" if right and user in ("", "alice") else None
            case sasl.AnonymousCredentials():
                return "anonymous"
            case _:
                return super().verify(credentials)

    def lookup(self, user: str, scheme: str) -> sasl.StoredKeys | None:
        self.lookups.append((user, scheme))
        return super().lookup(user, scheme)


EVERYONE: Final = Everyone()


def _credentials(mechanism: sasl.Mechanism) -> sasl.Credentials:
    match mechanism.name:
        case "OAUTHBEARER" | "XOAUTH2":
            return sasl.TokenCredentials("alice", TOKEN)
        case "EXTERNAL":
            return sasl.ExternalCredentials()
        case "ANONYMOUS":
            return sasl.AnonymousCredentials("somebody")
        case _:
            return sasl.PasswordCredentials("alice", PASSWORD)


CREDENTIALS: Final = {mechanism: _credentials(mechanism) for mechanism in sasl.MECHANISMS}
"""Credentials that open an account, for every mechanism there is."""


def ident(mechanism: sasl.Mechanism) -> str:
    return mechanism.name


class _Nothing(smtp_server.Handler):
    """Takes no mail."""

    def __init__(self, origin: smtp_server.Origin) -> None:
        self.origin = origin

    def rcpt(self, rcpt: smtp.Rcpt) -> smtp.Reply:
        return smtp.Reply(550, "Nobody")

    def content(self, data: bytes) -> None:
        return None

    def end(self) -> None:
        return None


class World:
    """A server of one protocol, and the clients that come to it one after the other."""

    def __init__(
        self,
        protocol: str,
        mechanisms: Sequence[sasl.Mechanism] = sasl.MECHANISMS,
        *,
        directory: Users | None = None,
        secured: Secured = SECURED,
        nonce: Callable[[], str] = lambda: "a-nonce-that-everybody-knows",
        trace: Trace | None = None,
    ) -> None:
        self.protocol = protocol
        self.directory = EVERYONE if directory is None else directory
        EVERYONE.lookups.clear()
        self.secured = secured
        self.transcript: Transcript = []
        """What went over the wire in the last session, as each side has said it."""
        self._trace = trace
        self._offer = sasl.Offer(mechanisms, nonce=nonce, decoy_key=bytes(32))

    def server(self) -> Flow[None]:
        """One session of the server, whose client has shown Alice's certificate."""
        peer = Peer("127.0.0.1", 1, "127.0.0.1", 2, None, self.secured)
        if self.protocol in ("smtp", "lmtp"):
            context = smtp_server.Context(
                _Nothing,
                Shutdown(),
                lmtp=self.protocol == "lmtp",
                directory=self.directory,
                sasl=self._offer,
            )
            return smtp_server.serve(context.machine(tls=True), context, peer)
        store = MemoryStore()
        if self.protocol == "imap":
            reading = imap_server.Context(store, self.directory, Shutdown(), self._offer)
            return imap_server.serve(reading.machine(tls=True), reading, peer)
        maildrops = pop3_server.Context(store, self.directory, Shutdown(), self._offer)
        return pop3_server.serve(maildrops.machine(tls=True), maildrops, peer)

    def session(self, secured: Secured | None = None) -> Any:
        """A client's session, under TLS."""
        session: Session
        match self.protocol:
            case "imap":
                session = imap_client.Session(imap.Client(tls=True, trace=self._trace))
            case "pop3":
                session = pop3_client.Session(pop3.Client(tls=True, trace=self._trace))
            case _:
                lmtp = self.protocol == "lmtp"
                session = SMTPSession(smtp.Client(lmtp=lmtp, tls=True, trace=self._trace), "me")
        session.secured = self.secured if secured is None else secured
        return session

    def open(self, session: Any) -> Flow[None]:
        """The greeting and what belongs to it."""
        match self.protocol:
            case "imap":
                yield from session.greeting()
            case "pop3":
                yield from session.greet()
                yield from session.capabilities()
            case _:
                yield from session.begin()

    def probe(self, session: Any) -> Flow[None]:
        """See that the connection can be used and that replies belong to their commands."""
        if self.protocol == "pop3":
            assert (yield from session.capabilities()).implementation == "mailproto"
        else:
            yield from session.noop()

    def run(
        self,
        client: Flow[T],
        *,
        to_server: Tamper = lambda line: line,
        to_client: Tamper = lambda line: line,
    ) -> T:
        """The result of a client's flow against the server; both may be lied to."""
        self.transcript = []
        _, result = converse(
            self._on_the_wire(self.server(), "S", to_client),
            self._on_the_wire(client, "C", to_server),
        )
        return result

    def talk(self, client: Flow[T], server: Flow[object]) -> T:
        """The result of a client's flow against a server of another kind."""
        self.transcript = []
        _, result = converse(
            self._on_the_wire(server, "S", lambda line: line),
            self._on_the_wire(client, "C", lambda line: line),
        )
        return result

    def _on_the_wire(self, flow: Flow[T], side: Side, change: Tamper) -> Flow[T]:
        """``flow``, with every line that it writes kept and then changed."""
        result: object = None
        error: Exception | None = None
        while True:
            try:
                effect = flow.send(result) if error is None else flow.throw(error)
            except StopIteration as stop:
                value: T = stop.value
                return value
            if isinstance(effect, Write):
                lines = effect.data.split(b"\r\n")[:-1]
                self.transcript.extend((side, line) for line in lines)
                effect = Write(b"".join(change(line) + b"\r\n" for line in lines))
            error = None
            try:
                result = yield effect
            except Exception as raised:
                error = raised

    def said(self, side: Side) -> list[bytes]:
        """The lines of one side."""
        return [line for speaker, line in self.transcript if speaker == side]

    def attempts(self) -> list[Transcript]:
        """What was said in each attempt to log in, from the command up to the server's verdict."""
        found: list[Transcript] = []
        under_way = False
        for side, line in self.transcript:
            if side == "C" and _COMMAND.match(line):
                found.append([])
                under_way = True
            if under_way:
                found[-1].append((side, line))
                under_way = side == "C" or is_challenge(line)
        return found


CANCELLED: Final = {
    "smtp": b"501 5.7.0 Authentication cancelled",
    "lmtp": b"501 5.7.0 Authentication cancelled",
    "imap": b"BAD the client cancelled the exchange",
    "pop3": b"-ERR the client cancelled the exchange",
}
REFUSED: Final = {
    "smtp": b"535 5.7.8 Authentication failed",
    "lmtp": b"535 5.7.8 Authentication failed",
    "imap": b"NO [AUTHENTICATIONFAILED] the credentials are not right",
    "pop3": b"-ERR [AUTH] the user name or the password is wrong",
}
MALFORMED: Final = {
    "smtp": b"501 5.5.2 The response is malformed",
    "lmtp": b"501 5.5.2 The response is malformed",
    "imap": b"BAD the response is malformed",
    "pop3": b"-ERR the response is malformed",
}


def log_in(
    world: World, mechanism: sasl.Mechanism, session: Any, **options: Any
) -> Flow[MailError | None]:
    """What a login raises."""
    try:
        yield from session.authenticate(CREDENTIALS[mechanism], mechanisms=(mechanism,), **options)
    except MailError as error:
        return error
    return None


def is_challenge(line: bytes) -> bool:
    """Whether the server wants a response."""
    return line.startswith((b"334 ", b"+ ")) or line in (b"334", b"+")


def words(line: bytes) -> bytes:
    """An answer of the server without the tag."""
    return line.partition(b" ")[2] if line[:1] == b"A" else line
