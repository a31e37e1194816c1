"""Mail servers that answer as they are told, and the world of a relay that sees only them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from mailproto.errors import ConnectionLost
from mailproto.flows.effects import Call, Flow
from mailproto.flows.smtp_relay import deliver
from mailproto.flows.smtp_relay_result import RelayResult
from mailproto.flows.smtp_relay_route import MXRecords
from mailproto.flows.smtp_relay_settings import RelaySettings
from mailproto.smtp import Rcpt
from mailproto.sync.connecting import Client
from mailproto.sync.driver import Driver

SECONDS = 20.0
CLOSE = "close"
"""Instead of a reply: close the connection."""
SILENCE = "silence"
"""Instead of a reply: nothing, until the client goes."""


class Host:
    """A server that answers each command by the longest prefix in ``replies``, and else 250.

    ``""`` is the greeting and ``"."`` the end of content.
    """

    def __init__(
        self,
        replies: Mapping[str, str] | None = None,
        *,
        extensions: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        after_tls: Sequence[str] = (),
    ) -> None:
        usual = {"": "220 mx", "DATA": "354 go on", "QUIT": "221 bye", "STARTTLS": "220 go on"}
        self.replies = {**usual, **(replies or {})}
        self.extensions = extensions
        self.tls = tls
        self.after_tls = after_tls
        self.connections: list[list[str]] = []
        """The commands of each connection."""
        self.messages: list[bytes] = []
        self.trouble: list[BaseException] = []

    def commands(self, verb: str) -> list[str]:
        """All commands of this kind."""
        return [c for commands in self.connections for c in commands if c.startswith(verb)]

    def serve(self, connection: socket.socket) -> None:
        """One connection."""
        try:
            with ExitStack() as stack:
                self._serve(connection, stack)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass
        except BaseException as error:
            self.trouble.append(error)
        finally:
            connection.close()

    def _serve(self, connection: socket.socket, stack: ExitStack) -> None:
        commands: list[str] = []
        self.connections.append(commands)
        extensions = self.extensions
        stream = connection.makefile("rwb")
        if not self._answer(stream, ""):
            return
        while line := stream.readline():
            command = line.decode("utf-8").rstrip("\r\n")
            commands.append(command)
            verb = command.upper()
            if verb.startswith("EHLO") and "EHLO" not in self.replies:
                lines = ["mx", *extensions]
                for number, text in enumerate(lines):
                    stream.write(
                        f"250{' ' if number == len(lines) - 1 else '-'}{text}\r\n".encode()
                    )
                stream.flush()
                continue
            if not self._answer(stream, verb):
                return
            if verb == "STARTTLS" and self.replies["STARTTLS"].startswith("220"):
                if self.tls is None:
                    connection.sendall(b"I do not know what TLS is\r\n")
                    connection.recv(65536)
                    return
                connection = self.tls.wrap_socket(connection, server_side=True)
                stack.enter_context(connection)
                stream = connection.makefile("rwb")
                extensions = self.after_tls
            if verb == "DATA" and self.replies["DATA"].startswith("354"):
                content = b""
                while (line := stream.readline()) != b".\r\n":
                    if not line:
                        return
                    content += line
                self.messages.append(content)
                if not self._answer(stream, "."):
                    return
            if verb == "QUIT":
                return

    def _answer(self, stream: Any, verb: str) -> bool:
        """Whether the conversation goes on."""
        found = [p for p in self.replies if verb.startswith(p.upper()) and (p or not verb)]
        reply = self.replies[max(found, key=len)] if found else "250 ok"
        if reply == SILENCE:
            stream.read()
        if reply in (CLOSE, SILENCE):
            return False
        stream.write(reply.encode() + b"\r\n")
        stream.flush()
        return not reply.startswith("421")


@contextmanager
def listening(host: Host, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve a host, one connection after another; its port."""
    with socket.create_server((address, port)) as listener:
        open_connections: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(SECONDS)
                    open_connections.append(connection)
                    host.serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            for connection in open_connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)
    assert not thread.is_alive()
    assert host.trouble == []


class World:
    """The ``Transport`` of a relay in a small internet with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.mx: dict[str, MXRecords | Exception] = {}
        self.addresses: dict[str, Sequence[str] | Exception] = {}
        self.ports: dict[str, int] = {}
        self.dialled: list[tuple[str, int, str, float | None]] = []
        self.slow: dict[str, float] = {}
        """Seconds that it takes to connect to an address."""

    def clock(self) -> float:
        return self.now

    def resolve_mx(self, domain: str) -> MXRecords:
        found = self.mx[domain]
        if isinstance(found, Exception):
            raise found
        return found

    def resolve_addresses(self, host: str) -> Sequence[str]:
        found = self.addresses.get(host, ())
        if isinstance(found, Exception):
            raise found
        return found

    def connect(
        self,
        address: str,
        port: int,
        *,
        server_hostname: str,
        tls: ssl.SSLContext | None,
        timeout: float | None,
    ) -> Client:
        self.dialled.append((address, port, server_hostname, timeout))
        self.now += self.slow.get(address, 1.0)
        if address not in self.ports:
            raise ConnectionLost(f"cannot connect to {address} port {port}: refused")
        connection = socket.create_connection(("127.0.0.1", self.ports[address]), SECONDS)
        return Client(Driver(connection, tls=tls, server_hostname=server_hostname))

    def send(
        self, settings: RelaySettings, recipients: Sequence[str | Rcpt], **options: Any
    ) -> RelayResult:
        """Relay a small message."""
        content = options.pop("content", CONTENT)
        sender = options.pop("sender", "alice@home.example")
        return run(deliver(settings, self, content, sender, recipients, **options))


CONTENT = b"Subject: hello\r\n\r\nhi\r\n"


def run(flow: Flow[Any]) -> Any:
    """Run a flow that makes nothing but calls."""
    result: object = None
    error: Exception | None = None
    while True:
        try:
            effect = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        assert isinstance(effect, Call)
        result, error = None, None
        try:
            result = effect.function()
        except Exception as caught:
            error = caught
