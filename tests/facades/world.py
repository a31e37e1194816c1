"""Both facades under one hand: a real server of either kind, and its clients as blocking objects.

A story is told once, in blocking words. For ``aio`` every call runs on an event loop in a thread
of its own; for ``sync`` it is the call itself.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final

from mailproto import aio, sync
from mailproto.backend import MemoryStore
from mailproto.backend.directory import Users
from mailproto.cli.certificate import CertificateFiles
from mailproto.flows.services import IMPLICIT_TLS, Services
from mailproto.flows.tls import client_context, server_context

USERS: Final = Users({"alice": "wonderland", "bob": "builder"}, cram_md5=True)
PASSWORD: Final = "wonderland"
SECONDS: Final = 20.0
PORTS: Final = {
    ("smtp", "implicit"): "smtps",
    ("smtp", "starttls"): "submission",
    ("smtp", "none"): "submission",
    ("imap", "implicit"): "imaps",
    ("imap", "starttls"): "imap",
    ("imap", "none"): "imap",
    ("pop3", "implicit"): "pop3s",
    ("pop3", "starttls"): "pop3",
    ("pop3", "none"): "pop3",
}


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine, in bounded time."""

        async def bounded() -> Any:
            async with asyncio.timeout(SECONDS):
                return await coroutine

        return asyncio.run_coroutine_threadsafe(bounded(), self.loop).result()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SECONDS)
        self.loop.close()


class Blocking:
    """An asyncio client with the methods of the blocking one."""

    def __init__(self, loop: Loop, client: Any) -> None:
        self._loop = loop
        self._client = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if not inspect.iscoroutinefunction(value):
            return value

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._loop.run(value(*arguments, **keywords))

        return call

    def __enter__(self) -> Any:
        self._loop.run(self._client.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.run(self._client.__aexit__(kind, error, traceback))


class Facade:
    """``sync`` or ``aio``: servers and clients."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = Loop() if name == "aio" else None

    def connect(self, protocol: str, port: int, **options: Any) -> Any:
        """``connect`` of the facade."""
        connect = importlib.import_module(f"mailproto.{self.name}.{protocol}").connect
        if self.loop is None:
            return connect("localhost", port, **options)
        return Blocking(self.loop, self.loop.run(connect("localhost", port, **options)))

    def server(self, services: Services) -> Any:
        """A server of this kind."""
        if self.loop is None:
            return sync.Server(services.shutdown)

        async def make() -> aio.Server:
            return aio.Server(services.shutdown)

        return Blocking(self.loop, self.loop.run(make()))

    def close(self) -> None:
        if self.loop is not None:
            self.loop.close()


class World:
    """A server with two users over a store in memory, and whoever connects to it."""

    def __init__(self, facade: Facade, certificate: CertificateFiles) -> None:
        self.facade = facade
        self.store = MemoryStore()
        self.trace: list[tuple[str, bytes]] = []
        self.services = Services(
            self.store,
            USERS,
            allow_insecure_auth=True,
            trace=lambda side, line: self.trace.append((side, line)),
        )
        self.server = facade.server(self.services)
        self.tls = client_context(certificate.cert)
        self._server_tls = server_context(certificate.cert, certificate.key)
        self._ports: dict[str, int] = {}

    def port(self, name: str) -> int:
        """The port of one of the listeners of ``mailproto serve``, opened when first asked for."""
        if name not in self._ports:
            self._ports[name] = self.server.listen(
                "127.0.0.1",
                0,
                self.services.sessions(name),
                tls=self._server_tls,
                implicit_tls=name in IMPLICIT_TLS,
            )
        return self._ports[name]

    def connect(self, protocol: str, tls: str = "none", user: str = "alice", **options: Any) -> Any:
        """A client that has logged in, unless ``login`` says otherwise."""
        if tls == "none":
            options.setdefault("allow_insecure_auth", True)
        else:
            options.setdefault("tls_context", self.tls)
        passwords = {"alice": PASSWORD, "bob": "builder"}
        options.setdefault("login", (user, passwords[user]))
        return self.facade.connect(protocol, self.port(PORTS[protocol, tls]), tls=tls, **options)

    def deliver(self, *contents: bytes, account: str = "alice") -> None:
        """New messages in an INBOX."""
        for content in contents:
            draft = self.store.draft()
            draft.write(content)
            self.store.deliver(draft, {account: b""})

    def contents(self, account: str = "alice", mailbox: str = "INBOX") -> list[bytes]:
        """The messages of a mailbox."""
        box = self.store.account(account).open(mailbox)
        found = []
        for info in box.messages().messages:
            content = box.content(info.uid)
            found.append(content.read(0, content.size))
        return found

    def said(self, side: str) -> list[bytes]:
        """The lines of one side, of all sessions."""
        return [line for speaker, line in self.trace if speaker == side]

    def close(self) -> None:
        self.server.close(grace=2.0)


class Conversation:
    """The server's end of one connection, spoken by hand; everything that came is kept."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self._read = 0

    def say(self, octets: bytes) -> None:
        """Send octets."""
        self.connection.sendall(octets)

    def line(self) -> bytes:
        """The next line without its CRLF; ``b""`` at end of file."""
        while (end := self.received.find(b"\r\n", self._read)) < 0:
            data = self.connection.recv(65536)
            if not data:
                return b""
            self.received += data
        line = bytes(self.received[self._read : end])
        self._read = end + 2
        return line

    def tag(self) -> bytes:
        """The tag of the next line."""
        return self.line().partition(b" ")[0]

    def rest(self) -> bytes:
        """Everything up to end of file."""
        with suppress(OSError):
            while data := self.connection.recv(65536):
                self.received += data
        rest = bytes(self.received[self._read :])
        self._read = len(self.received)
        return rest


@contextmanager
def scripted(talk: Callable[[Conversation], object]) -> Iterator[tuple[int, list[Conversation]]]:
    """A server for one connection that says what ``talk`` says; its port and its conversation."""
    conversations: list[Conversation] = []
    trouble: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(SECONDS)
                    conversation = Conversation(connection)
                    conversations.append(conversation)
                    talk(conversation)
            except (BrokenPipeError, ConnectionResetError):
                pass
            except BaseException as error:
                trouble.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], conversations
        thread.join(SECONDS)
        assert not thread.is_alive()
    if trouble:
        raise trouble[0]
