"""A server's flow driven by hand: octets in, octets out, any number of sessions side by side."""

from __future__ import annotations

from collections.abc import Mapping

from mailproto import sasl
from mailproto._core.limits import IMAPServerLimits
from mailproto.backend.directory import Users
from mailproto.backend.memory import MemoryStore
from mailproto.errors import DeadlineExceeded
from mailproto.flows.effects import Call, Deadline, Effect, Read, StartTLS, Write
from mailproto.flows.imap_server import Context, serve
from mailproto.flows.shutdown import Shutdown

USERS: Mapping[str, str] = {"alice": "secret", "bob": "hidden"}


class Server:
    """One store, one directory, and sessions on them."""

    def __init__(self, limits: IMAPServerLimits | None = None, *, insecure: bool = True) -> None:
        self.store = MemoryStore()
        self.shutdown = Shutdown()
        self.context = Context(
            self.store,
            Users(USERS),
            self.shutdown,
            sasl.Offer(allow_insecure_auth=insecure),
            insecure,
            limits=limits or IMAPServerLimits(),
        )

    def connect(self, *, starttls: bool = False) -> Wire:
        """A session that has heard the greeting."""
        wire = Wire(self, starttls=starttls)
        assert wire.greeting.startswith(b"* OK ")
        return wire

    def login(self, mailbox: str | None = "INBOX") -> Wire:
        """A session of alice, with a mailbox selected unless that is None."""
        wire = self.connect()
        assert b"x OK" in wire.say(b"x LOGIN alice secret\r\n")
        if mailbox is not None:
            assert b"x OK" in wire.say(b"x SELECT %b\r\n" % mailbox.encode())
        return wire

    def deliver(self, content: bytes) -> None:
        """A new message in the INBOX of alice."""
        draft = self.store.draft()
        draft.write(content)
        self.store.deliver(draft, {"alice": b""})


class Wire:
    """The client's end of one session."""

    def __init__(self, server: Server, *, starttls: bool = False) -> None:
        machine = server.context.machine(starttls=starttls)
        self.flow = serve(machine, server.context)
        self.ended = False
        self.seconds: float | None = None
        self.tls = False
        self.largest_write = 0
        self._output: list[bytes] = []
        self._read: Read | None = None
        self._resume(None)
        self.greeting = b"".join(self._output)

    def say(self, octets: bytes, *, keep: bool = True) -> bytes:
        """Send octets; what the server says to them (nothing is kept of it if not ``keep``)."""
        self._output = []
        if octets:
            assert not self.ended, "the session has ended"
            assert self._read is not None
            self._resume(octets, keep=keep)
        elif self._read is not None and self._read.wakeup is not None:
            if self._read.wakeup.is_set:
                self._read.wakeup.is_set = False
                self._resume(None)
        return b"".join(self._output)

    def hang_up(self) -> None:
        """Close the connection."""
        self._resume(b"")

    def let_time_pass(self) -> bytes:
        """Have the deadline pass; what the server says to that."""
        self._output = []
        self._step(self.flow.throw(DeadlineExceeded("too late")))
        return b"".join(self._output)

    def lines(self, octets: bytes) -> list[bytes]:
        """Send octets; the lines the server says to them."""
        return self.say(octets).split(b"\r\n")[:-1]

    def _resume(self, value: object, *, keep: bool = True) -> None:
        try:
            self._step(self.flow.send(value), keep=keep)
        except StopIteration:
            self.ended = True

    def _step(self, effect: Effect, *, keep: bool = True) -> None:
        """Do effects until the server waits for octets."""
        try:
            while True:
                value: object = None
                match effect:
                    case Write(data):
                        self.largest_write = max(self.largest_write, len(data))
                        if keep:
                            self._output.append(data)
                    case Deadline(seconds):
                        self.seconds = seconds
                    case StartTLS():
                        self.tls = True
                    case Read(wakeup):
                        if wakeup is None or not wakeup.is_set:
                            self._read = effect
                            return
                        wakeup.is_set = False
                    case Call(function):
                        try:
                            value = function()
                        except Exception as error:
                            effect = self.flow.throw(error)
                            continue
                effect = self.flow.send(value)
        except StopIteration:
            self.ended = True
