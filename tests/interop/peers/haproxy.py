"""A real haproxy on loopback, in TCP mode: one port of its own for each way to send a header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from interop.peers.process import HOST, Daemon, free_ports, require

DEFAULTS: Final = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 30s
    timeout server 30s
"""


@dataclass(frozen=True)
class Listener:
    """How one port of haproxy forwards to the one behind it."""

    port: int
    """Where the server listens."""
    options: str = ""
    """Of haproxy's ``server`` line: ``send-proxy``, ``send-proxy-v2``, ``check``."""
    bind: str = ""
    """Of its ``bind`` line: TLS."""


@contextmanager
def run_haproxy(listeners: Mapping[str, Listener], directory: Path) -> Iterator[dict[str, int]]:
    """The ports of a haproxy that begins to listen on all of them at once."""
    program = require("haproxy")
    ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        DEFAULTS
        + "".join(
            f"\nlisten {name}\n    bind {HOST}:{ports[name]} {listener.bind}\n"
            f"    server ours {HOST}:{listener.port} {listener.options}\n"
            for name, listener in listeners.items()
        )
    )
    daemon = Daemon([program, "-db", "-f", str(configuration)], log=directory / "haproxy.log")
    try:
        daemon.wait_for_port(ports[next(iter(ports))])
        yield ports
    finally:
        daemon.stop()
