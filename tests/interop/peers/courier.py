"""A real Courier POP3 server on loopback, which has UTF8 (RFC 6856). It runs from where it lies.

Its two programs expect to be started for each connection by Courier's own daemon, and to ask a
second one who may log in, at a path that is compiled in. Both daemons are played here: everyone
with the password "secret" may log in, and mail lies in ``home/USER/Maildir``.
"""

from __future__ import annotations

import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from interop.peers.dovecot import PASSWORD
from interop.peers.process import HOST, Worker, reachable_directory, unavailable
from interop.peers.unpacked import copy_program, require_unpacked

SECONDS: Final = 30.0
COMPILED_IN: Final = "/run/courier/authdaemon/socket"


@dataclass(frozen=True)
class Courier:
    """The port of a running server and where its files are."""

    pop3: int
    directory: Path = field(kw_only=True)
    host: str = field(default=HOST, kw_only=True)

    def maildir(self, user: str) -> Path:
        return self.directory / "home" / user / "Maildir"


def _moved(library: bytes, path: str) -> bytes:
    """The library with another path for the socket, which the compiler has put into two words."""
    assert len(path) == len(COMPILED_IN)
    old, new = ((text[:16] + text[15:]).encode() for text in (COMPILED_IN, path))
    if library.count(old) != 1:
        unavailable("this courier-authlib does not have its socket where it is looked for")
    return library.replace(old, new)


class _Authority(socketserver.StreamRequestHandler):
    """Answers who may log in, as authdaemond does."""

    def handle(self) -> None:
        assert isinstance(self.server, _AuthorityServer)
        line = self.rfile.readline()
        while line and not line.startswith(b"AUTH "):
            line = self.rfile.readline()
        request = self.rfile.read(int(line[5:] or b"0")).decode().split("\n")
        if request[1:2] != ["login"] or request[3] != PASSWORD:
            self.wfile.write(b"FAIL\n")
            return
        user, worker = request[2], self.server.worker
        home = self.server.homes / user
        self.wfile.write(
            f"UID={worker.uid}\nGID={worker.gid}\nHOME={home}\nADDRESS={user}\n.\n".encode()
        )


class _AuthorityServer(socketserver.ThreadingUnixStreamServer):
    worker: Worker
    homes: Path


class _Connection(socketserver.BaseRequestHandler):
    """Starts the server for one connection, as couriertcpd does."""

    def handle(self) -> None:
        assert isinstance(self.server, _ConnectionServer)
        worker = self.server.worker
        unprivileged = os.geteuid() == 0
        with self.server.log.open("ab") as log:
            process = subprocess.Popen(
                self.server.command,
                stdin=self.request,
                stdout=self.request,
                stderr=log,
                env=self.server.environment,
                user=worker.uid if unprivileged else None,
                group=worker.gid if unprivileged else None,
                extra_groups=[] if unprivileged else None,
            )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(SECONDS)


class _ConnectionServer(socketserver.ThreadingTCPServer):
    worker: Worker
    log: Path
    command: list[str]
    environment: dict[str, str]


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(SECONDS)
        server.server_close()


@contextmanager
def run_courier() -> Iterator[Courier]:
    """Run the server; at the end it waits for its connections to end."""
    programs = require_unpacked("courier-pop") / "usr/lib/courier/courier"
    libraries = require_unpacked("courier-authlib") / "usr/lib"
    worker = Worker.current()
    with reachable_directory("co") as directory, ExitStack() as stack:
        homes, lib = directory / "home", directory / "lib"
        for path in (homes, lib):
            path.mkdir()
        worker.own(homes)
        for found in libraries.rglob("libcourierauth*.so.0"):
            shutil.copyfile(found, lib / found.name)
        socket = os.fspath(directory) + "/"
        socket += "s" * (len(COMPILED_IN) - len(socket))
        (lib / "libcourierauth.so.0").write_bytes(
            _moved((lib / "libcourierauth.so.0").read_bytes(), socket)
        )
        authority = _AuthorityServer(socket, _Authority)
        os.chmod(socket, 0o666)
        authority.worker, authority.homes = worker, homes
        stack.enter_context(_running(authority))

        server = _ConnectionServer((HOST, 0), _Connection)
        server.worker, server.log = worker, directory / "log"
        login, session = (
            copy_program(programs / name, directory)
            for name in ("courierpop3login", "courierpop3d")
        )
        server.command = [login, session, "Maildir"]
        # It fails without a word where one of these is missing.
        server.environment = {
            "LD_LIBRARY_PATH": os.fspath(lib),
            "TCPREMOTEIP": HOST,
            "TCPREMOTEPORT": "1",
            "TCPLOCALIP": HOST,
            "TCPLOCALPORT": "110",
            "POP3AUTH": "LOGIN PLAIN",
            "POP3_TLS_REQUIRED": "0",
        }
        stack.enter_context(_running(server))
        yield Courier(server.server_address[1], directory=directory)
