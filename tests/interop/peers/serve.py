"""`python -m mailproto serve` as a subprocess: started with options, ended by SIGTERM."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from interop.peers.process import HOST

READY_SECONDS = 20.0
STOP_SECONDS = 15.0


class Serve:
    """A `mailproto serve` that was started; `wait_until_ready` before anything else.

    `ports` and the attributes named after the services come from its ready line (a service that
    was not opened has no attribute); `ca` is the file that clients trust.
    """

    host = HOST
    ca: Path
    smtp: int
    submission: int
    smtps: int
    lmtp: int
    imap: int
    imaps: int
    pop3: int
    pop3s: int

    def __init__(self, options: Sequence[str], directory: Path) -> None:
        self.options = list(options)
        self._stderr = directory / "serve.stderr"
        with self._stderr.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mailproto", "serve", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=directory,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until all ports are open."""
        try:
            ready = self._read_ready_line()
        except BaseException:
            self.kill()
            raise
        self.ca = Path(str(ready["ca"]))
        self.ports = {name: port for name, port in ready.items() if isinstance(port, int)}
        vars(self).update(self.ports)

    def _read_ready_line(self) -> dict[str, object]:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        line = self.process.stdout.readline() if readable else b""
        if not line:
            status = self.process.poll()
            pytest.fail(
                f"mailproto serve {' '.join(self.options)}: no ready line within "
                f"{READY_SECONDS:g} s (exit status {status})\n{self.stderr()}",
                pytrace=False,
            )
        ready: dict[str, object] = json.loads(line)
        assert ready.pop("ready") is True, line
        return ready

    @property
    def pid(self) -> int:
        return self.process.pid

    def stderr(self) -> str:
        return self._stderr.read_text(errors="replace")

    def peak_memory(self) -> int:
        """The most octets of memory the process has held at once (Linux: VmHWM)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise LookupError("VmHWM")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it as an operator would, and check that it ended cleanly and in time."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(
                f"mailproto serve did not end within {STOP_SECONDS:g} s of {how.name}\n"
                f"{self.stderr()}",
                pytrace=False,
            )
        self._close()
        if status != 0 or "Traceback" in self.stderr():
            pytest.fail(f"mailproto serve: exit status {status}\n{self.stderr()}", pytrace=False)

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        self._close()

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def run_serve(options: Sequence[str], directory: Path) -> Iterator[Serve]:
    """Start `mailproto serve`; at the end stop it by SIGTERM unless the test did already."""
    with serving(Serve(options, directory)) as server:
        yield server


@contextmanager
def serving(server: Serve) -> Iterator[Serve]:
    """The same with a server that was started before."""
    server.wait_until_ready()
    try:
        yield server
    except BaseException:
        if server.process.poll() is None:
            server.kill()
        raise
    if server.process.returncode is None:
        server.stop()
