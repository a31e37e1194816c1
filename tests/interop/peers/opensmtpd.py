"""A real OpenSMTPD 6.8 on loopback: as a server to send to, and as a client that relays to ours.

Its directories and users are compiled in, so it runs in a mount namespace of its own, in which they
are others than outside. Mail for alice, bob and carol at peer.test goes into maildirs or to an LMTP
server, everything else to the relay. As a server it offers neither TLS nor PIPELINING: TLS is
broken in Debian's build.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from interop.peers.dovecot import DOMAIN, USERS
from interop.peers.mail_server import MailServer, Relay
from interop.peers.process import (
    HOST,
    Daemon,
    Worker,
    free_ports,
    reachable_directory,
    require,
    unavailable,
)
from interop.peers.unpacked import require_unpacked

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles

NAMESPACE: Final = ("unshare", "--mount", "--propagation", "private")

# Called with the directory of the test and that of the package; nothing of it is seen outside.
START: Final = """
set -e
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount --bind "$1/spool" /var/spool
mount --bind "$1/run" /run
mount --bind "$2/usr/libexec" /usr/libexec
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
exec "$2/usr/sbin/smtpd" -d -f "$1/smtpd.conf"
"""


@dataclass(frozen=True)
class OpenSMTPD(MailServer):
    """The port of a running OpenSMTPD."""

    smtp: int
    """Delivers and relays for anyone."""


def _configuration(directory: Path, port: int, relay: Relay | None, lmtp_port: int | None) -> str:
    local = f'maildir "{directory}/home/%{{user.username}}/Maildir"'
    if lmtp_port is not None:
        local = f'lmtp "{HOST}:{lmtp_port}" rcpt-to'
    lines = [
        f"table users file:{directory}/users",
        f"table aliases file:{directory}/aliases",
        f"table secrets file:{directory}/secrets",
        f"listen on {HOST} port {port} hostname opensmtpd.{DOMAIN}",
        'smtp max-message-size "20M"',
        f'action "local" {local} userbase <users> virtual <aliases>',
        f'match from any for domain "{DOMAIN}" action "local"',
    ]
    if relay is not None:
        scheme = "smtp+tls" if relay.tls else "smtp+notls"
        host = f"{scheme}://{'secret@' if relay.user else ''}{HOST}:{relay.port}"
        options = "tls no-verify " if relay.tls else ""
        options += "auth <secrets>" if relay.user else ""
        lines += [
            f'action "relay" relay host "{host}" {options}',
            'match from any for any action "relay"',
        ]
    return "".join(f"{line}\n" for line in lines)


def _write_tables(directory: Path, worker: Worker, relay: Relay | None) -> None:
    home = directory / "home"
    for user in USERS:
        (home / user).mkdir()
        worker.own(home / user)
    (directory / "users").write_text(
        "".join(f"{user} {worker.uid}:{worker.gid}:{home}/{user}\n" for user in USERS)
    )
    (directory / "aliases").write_text("".join(f"{user} {user}\n" for user in USERS))
    login = f"secret {relay.user}:{relay.password}\n" if relay and relay.user else ""
    (directory / "secrets").write_text(login)
    nowhere = "/var/lib/opensmtpd/empty:/bin/false"
    (directory / "passwd").write_text(
        Path("/etc/passwd").read_text()
        + f"opensmtpd:x:64901:64901::{nowhere}\nopensmtpq:x:64902:64902::{nowhere}\n"
    )
    (directory / "group").write_text(
        Path("/etc/group").read_text() + "opensmtpd:x:64901:\nopensmtpq:x:64902:\n"
    )


def _require_namespaces() -> None:
    require("unshare", "util-linux")
    if os.geteuid() != 0:
        unavailable("OpenSMTPD refuses to run without root")
    tried = subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode != 0:
        # No package makes it possible, so it is no failure where all peers are promised.
        pytest.skip(f"no mount namespace for OpenSMTPD here: {tried.stderr.decode().strip()}")


@contextmanager
def run_opensmtpd(
    certificate: CertificateFiles, *, relay: Relay | None = None, lmtp_port: int | None = None
) -> Iterator[OpenSMTPD]:
    """Start OpenSMTPD, wait for its greeting, stop it at the end.

    `relay` takes mail for other domains (with `tls` its certificate is not checked); `lmtp_port`
    takes mail for peer.test instead of the maildirs.
    """
    package = require_unpacked("opensmtpd")
    _require_namespaces()
    worker = Worker.current()
    with reachable_directory("os") as directory:
        for name in ("home", "spool/smtpd", "run"):
            (directory / name).mkdir(parents=True)
        for name in ("spool", "spool/smtpd"):
            (directory / name).chmod(0o711)
        _write_tables(directory, worker, relay)
        (port,) = free_ports(1)
        (directory / "smtpd.conf").write_text(_configuration(directory, port, relay, lmtp_port))
        daemon = Daemon(
            [*NAMESPACE, "sh", "-c", START, "sh", os.fspath(directory), os.fspath(package)],
            log=directory / "smtpd.log",
        )
        try:
            daemon.wait_for_greeting(port, b"220 ")
            yield OpenSMTPD(
                port, ca=Path(certificate.cert), directory=directory, logs=("smtpd.log",)
            )
        finally:
            daemon.stop()
