"""A real GNU Mailutils pop3d on loopback: a POP3 server that shares no code with Dovecot.

It runs in the foreground as one unprivileged user. Users alice, bob and carol have the password
"secret"; their INBOX is a maildir. APOP passwords lie in a database of their own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from interop.peers.dovecot import PASSWORD, USERS
from interop.peers.process import (
    HOST,
    Daemon,
    Worker,
    free_ports,
    reachable_directory,
    require,
    run,
)
from interop.peers.unpacked import with_users

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles


@dataclass(frozen=True)
class Mailutils:
    """The ports of a running pop3d and where its files are."""

    pop3: int
    pop3s: int
    ca: Path = field(kw_only=True)
    directory: Path = field(kw_only=True)
    host: str = field(default=HOST, kw_only=True)

    def maildir(self, user: str) -> Path:
        return self.directory / "spool" / user


@contextmanager
def run_mailutils(
    certificate: CertificateFiles, *, login_delay: int | None = None
) -> Iterator[Mailutils]:
    """Start pop3d, wait for its greeting, stop it at the end.

    ``login_delay``: so many seconds must lie between two logins of a user.
    """
    program = require("pop3d", "mailutils-pop3d")
    worker = Worker.current()
    with reachable_directory("mu") as directory:
        environment = with_users(directory, worker)
        hashed = run(require("openssl"), "passwd", "-6", PASSWORD).text.strip()
        shadow = directory / "shadow"
        shadow.touch(0o600)
        (directory / "spool").mkdir()
        for user in USERS:
            with (directory / "passwd").open("a") as passwd, shadow.open("a") as passwords:
                passwd.write(f"{user}:x:{worker.uid}:{worker.gid}::{directory}:/bin/sh\n")
                passwords.write(f"{user}:{hashed}:19000:0:99999:7:::\n")
        apop = directory / "apop"
        text = "".join(f"{user} {PASSWORD}\n" for user in USERS)
        run(require("popauth", "mailutils-pop3d"), "--create", "-o", apop, stdin=text.encode())
        worker.own(shadow, apop, directory / "spool")
        environment["NSS_WRAPPER_SHADOW"] = os.fspath(shadow)

        ports = free_ports(2)
        configuration = directory / "pop3d.conf"
        configuration.write_text(f"""
mode daemon;
foreground yes;
pidfile "{directory}/spool/pop3d.pid";
auth {{ authentication "generic:system"; authorization "system"; }};
mailbox {{ mail-spool "maildir://{directory}/spool"; mailbox-type maildir; }};
logging {{ syslog no; }};
gsasl {{ enable no; }};
tcp-wrappers {{ enable no; }};
mandatory-locking {{ enable no; }};
apop-database-file "{apop}";
apop-database-owner {worker.name};
expire 30;
{f'login-delay {login_delay}; stat-file "{directory}/spool/logins";' if login_delay else ""}
tls {{ ssl-certificate-file "{certificate.cert}"; ssl-key-file "{certificate.key}"; }};
tls-file-checks {{ key-file (none); cert-file (none); }};
server {HOST}:{ports[0]} {{ tls-mode ondemand; }};
server {HOST}:{ports[1]} {{ tls-mode connection; }};
""")
        # It refuses a record of logins that its group could read.
        command = f"umask 077; exec {program} --config-file={configuration}"
        daemon = Daemon(
            ["/bin/sh", "-c", command],
            log=directory / "stderr",
            worker=worker,
            environment=environment,
        )
        try:
            daemon.wait_for_greeting(ports[0], b"+OK")
            yield Mailutils(*ports, ca=Path(certificate.cert), directory=directory)
        finally:
            daemon.stop()
            # A child that is told to end while it logs may wait for itself; the group is its own.
            with suppress(ProcessLookupError):
                os.killpg(daemon.process.pid, signal.SIGKILL)
