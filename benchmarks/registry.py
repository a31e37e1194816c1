"""What a workload is, and what a peer does with it: one function, and one module.

A role names what is measured ("smtp_server"). Its workloads make the input and the right answer;
each peer's module has a function of the role's name, which takes the input and returns what to run.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KIB, MIB = 1 << 10, 1 << 20
CHUNK = 64 * KIB
"""What a busy socket hands over at once."""

PEERS: dict[str, tuple[str, ...]] = {
    "smtp_server": ("mailproto", "aiosmtpd", "twisted"),
    "smtp_server_octets": ("mailproto",),
    "smtp_client": ("mailproto", "smtplib"),
    "smtp_submission": ("mailproto", "smtplib", "aiosmtplib"),
    "smtp_submission_pipelined": ("mailproto", "smtplib", "aiosmtplib"),
    "smtp_loopback": ("mailproto", "aiosmtpd", "twisted"),
    "imap_client": ("mailproto", "imapclient", "imap_codec"),
    "imap_server": ("mailproto", "pymap"),
    "pop3_client": ("mailproto", "poplib"),
    "pop3_client_octets": ("mailproto",),
    "pop3_client_list": ("mailproto", "poplib"),
    "pop3_client_uidl": ("mailproto", "poplib"),
    "pop3_server": ("mailproto", "twisted"),
    "pop3_server_list": ("mailproto", "twisted"),
    "pop3_server_uidl": ("mailproto", "twisted"),
    "pop3_import": ("mailproto", "poplib"),
    "pop3_import_and_use": ("mailproto", "poplib"),
}
"""role -> the modules of benchmarks.peers that play it; ours first."""


@dataclass(frozen=True)
class Job:
    """Some units of work: what goes in, and what must come out."""

    given: Any
    expected: Any
    octets: int
    """How many octets cross the wire."""


def cpu_seconds() -> float:
    """CPU time of this process and of those it has started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Prepared:
    """A peer ready to run: everything before `run` and after it costs nothing."""

    run: Callable[[], Any]
    read: Callable[[Any], Any] = lambda result: result
    """Puts the result into the words of `Job.expected`."""
    clock: Callable[[], float] = cpu_seconds
    """What `run` is measured by."""


@dataclass(frozen=True)
class Workload:
    """A named function that makes a job of any number of units."""

    name: str
    title: str
    role: str
    unit: str
    units: int
    """The most that a repeat does; a slow peer does fewer."""
    make: Callable[[int], Job]


WORKLOADS: dict[str, Workload] = {}


def workload(
    *, role: str, unit: str, units: int
) -> Callable[[Callable[[int], Job]], Callable[[int], Job]]:
    """Register a function that makes jobs; its name and the first line of its docstring show up."""

    def register(make: Callable[[int], Job]) -> Callable[[int], Job]:
        name = make.__name__
        title = (make.__doc__ or name).strip().partition("\n")[0]
        WORKLOADS[name] = Workload(name, title, role, unit, units, make)
        return make

    return register


def new_processes(code: str, count: int) -> Prepared:
    """That many new interpreters, one after the other, each running `code`."""
    command = [sys.executable, "-c", code]
    return Prepared(lambda: [subprocess.run(command, check=False).returncode for _ in range(count)])


def in_chunks(data: bytes, size: int = CHUNK) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def keep(results: list[Any], result: Any, period: int = 1) -> None:
    """Append a result; if it equals the one `period` before it, that one in its place.

    All of them can be checked afterwards, and memory does not grow with their number: fresh memory
    from the system would cost more than what is measured.
    """
    if len(results) >= period and results[-period] == result:
        result = results[-period]
    results.append(result)
