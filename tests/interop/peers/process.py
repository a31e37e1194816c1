"""Programs of others: finding them, running them, stopping exactly the ones we started.

A program that is missing skips the test with its name; with MAILPROTO_REQUIRE_PEERS=1 it fails it.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

HOST = "127.0.0.1"
SYSTEM_PROGRAMS = "/usr/sbin:/sbin:/usr/local/sbin"

UNPRIVILEGED_USER = "mail"
"""Who does a server's work when the tests run as root; every Debian image has this user."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where the environment promises all peers."""
    if os.environ.get("MAILPROTO_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason} (MAILPROTO_REQUIRE_PEERS=1)", pytrace=False)
    pytest.skip(reason)


def require(program: str, package: str | None = None) -> str:
    """Return the path of a program, or skip."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}")
    if path is None:
        unavailable(f"{program} is not installed (Debian package {package or program})")
    return path


def require_file(path: str, package: str) -> str:
    if not os.path.exists(path):
        unavailable(f"{path} does not exist (Debian package {package})")
    return path


def free_ports(count: int) -> list[int]:
    """Return distinct ports that the system picked and that nobody listens on.

    For programs that must be told a number. Postfix shares a port that is taken instead of failing,
    so the sockets are bound without address reuse.
    """
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in bound:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in bound]


@contextmanager
def reachable_directory(prefix: str) -> Iterator[Path]:
    """A fresh directory that an unprivileged server can pass through, with a short path.

    pytest's tmp_path is closed to other users, and Unix sockets allow about 100 octets of path.
    """
    path = Path(tempfile.mkdtemp(prefix=f"mp-{prefix}-"))
    path.chmod(0o711)
    try:
        yield path.resolve()
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class Worker:
    """The user that a server's processes run as."""

    name: str
    group: str
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Worker:
        import grp

        entry = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        return cls(entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name, entry.pw_uid, entry.pw_gid)

    def own(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, self.uid, self.gid)


def deliver(maildir: Path, *messages: bytes) -> None:
    """Lay messages into a maildir as an MTA would, with LF and in order; it is made if need be."""
    worker = Worker.current()
    for folder in (maildir.parent, maildir, *(maildir / name for name in ("tmp", "new", "cur"))):
        folder.mkdir(exist_ok=True)
        worker.own(folder)
    for number, message in enumerate(messages):
        path = maildir / "tmp" / f"{time.time_ns()}.M{number}.{HOST}"
        path.write_bytes(message.replace(b"\r\n", b"\n"))
        worker.own(path)
        path.rename(maildir / "new" / path.name)


def eventually(what: str, attempt: Callable[[], T | None], seconds: float = 15.0) -> T:
    """Ask until the answer is not None (and not empty); fail with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while not (answer := attempt()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}", pytrace=False)
        time.sleep(0.02)
    return answer


# --------------------------------------------------------------------------- servers


class Daemon:
    """A server process in a session of its own, with its output in a file."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        worker: Worker | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.argv = list(argv)
        self.log = log
        unprivileged = worker is not None and os.geteuid() == 0
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=worker.uid if worker and unprivileged else None,
                group=worker.gid if worker and unprivileged else None,
                extra_groups=[] if unprivileged else None,
            )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_port(self, port: int) -> None:
        """Wait until the port takes connections."""
        self.wait_for_greeting(port, b"")

    def wait_for_greeting(self, port: int, greeting: bytes, more_logs: Sequence[Path] = ()) -> None:
        """Wait until the port answers with a line that starts as it should."""

        def greeted() -> bool:
            if self.process.poll() is not None:
                logs = [path.read_text(errors="replace") for path in (self.log, *more_logs)]
                pytest.fail(f"{self.argv[0]} ended at once:\n" + "\n".join(logs), pytrace=False)
            try:
                with socket.create_connection((HOST, port), timeout=2) as connection:
                    return connection.recv(len(greeting)) == greeting
            except OSError:
                return False

        eventually(f"{self.argv[0]} greets on port {port}", greeted)

    def stop(self) -> None:
        """End the process by its own id: TERM, then KILL after five seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


# --------------------------------------------------------------------------- clients


@dataclass(frozen=True)
class Finished:
    """A client program that ended."""

    command: str
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    def report(self) -> str:
        return (
            f"$ {self.command}\nexit status {self.status}\n"
            f"--- stdout\n{_tail(self.stdout)}\n--- stderr\n{_tail(self.stderr)}"
        )


def _tail(output: bytes, limit: int = 6000) -> str:
    text = output.decode(errors="replace").replace("\r\n", "\n")
    return text if len(text) <= limit else f"[...]\n{text[-limit:]}"


def run(
    *argv: str | os.PathLike[str],
    stdin: bytes = b"",
    timeout: float = 30.0,
    status: int | None = 0,
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a client program to its end and fail with its whole output if it ends otherwise.

    `status` is the expected exit status, None for any. `home` keeps the program from reading the
    configuration of the person who runs the tests.
    """
    arguments = [os.fspath(argument) for argument in argv]
    command = shlex.join(arguments)
    variables = {**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})}
    if home is not None:
        variables["HOME"] = str(home)
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        cwd=home,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the group is the program and its children
        stdout, stderr = process.communicate()
        done = Finished(command, process.returncode, stdout, stderr)
        pytest.fail(f"still running after {timeout:g} s, killed:\n{done.report()}", pytrace=False)
    done = Finished(command, process.returncode, stdout, stderr)
    if status is not None and done.status != status:
        pytest.fail(f"expected exit status {status}:\n{done.report()}", pytrace=False)
    return done
