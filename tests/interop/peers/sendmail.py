"""A real Sendmail 8.17 on loopback, as a server to send to: DELIVERBY, ETRN, EXPN and DSN.

It runs in the foreground as one unprivileged user and sends all mail on to another server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interop.peers.dovecot import DOMAIN
from interop.peers.mail_server import MailServer
from interop.peers.process import (
    HOST,
    Daemon,
    Worker,
    free_ports,
    reachable_directory,
    require,
    run,
)
from interop.peers.unpacked import copy_program, require_unpacked, with_users

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles

NAME = f"sendmail.{DOMAIN}"
"""Sendmail waits a minute for a name with a dot in it, so the machine has this one."""


@dataclass(frozen=True)
class Sendmail(MailServer):
    """The port of a running Sendmail; its directory holds the transcript of all sessions."""

    smtp: int
    """Relays for anyone; STARTTLS."""


def _configuration(directory: Path, macros: Path, port: int, next_hop: int, user: str) -> str:
    """The source of sendmail.cf, in m4."""
    tls = directory / "tls"
    definitions = {
        "confCF_VERSION": "tests",
        "QUEUE_DIR": directory / "queue",
        "STATUS_FILE": directory / "log/status",
        "confPID_FILE": directory / "log/pid",
        "confCONTROL_SOCKET_NAME": "",
        "confRUN_AS_USER": user,
        "confTRUSTED_USER": user,
        "confTRUSTED_USERS": user,
        "confDONT_BLAME_SENDMAIL": "GroupReadableKeyFile,GroupWritableDirPathSafe,TrustStickyBit",
        "confPRIVACY_FLAGS": "",
        "confSERVER_CERT": tls / "cert.pem",
        "confSERVER_KEY": tls / "key.pem",
        "confCACERT": tls / "cert.pem",
        "confCACERT_PATH": tls,
        "confDOMAIN_NAME": NAME,
        "confTO_IDENT": "0",
        "confDELIVERY_MODE": "background",
        "confBAD_RCPT_THROTTLE": "0",
        "confSERVICE_SWITCH_FILE": directory / "service.switch",
        "confALIAS_WAIT": "0",
        "confDELIVER_BY_MIN": "10",
        "ALIAS_FILE": "",
        "SMART_HOST": f"relay:[{HOST}]",
        "RELAY_MAILER_ARGS": f"TCP $h {next_hop}",
        "ESMTP_MAILER_ARGS": f"TCP $h {next_hop}",
        "SMTP_MAILER_ARGS": f"TCP $h {next_hop}",
    }
    features = (
        "no_default_msa promiscuous_relay accept_unqualified_senders accept_unresolvable_domains"
        " nocanonify"
    )
    return "".join(
        [
            f"include(`{macros}/m4/cf.m4')\nVERSIONID(`tests')\nOSTYPE(`linux')\n",
            *(f"define(`{name}',`{value}')\n" for name, value in definitions.items()),
            *(f"FEATURE(`{feature}')\n" for feature in features.split()),
            f"DAEMON_OPTIONS(`Name=MTA, Addr={HOST}, Port={port}, Modify=h')\n",
            "MAILER(`smtp')\n",
        ]
    )


@contextmanager
def run_sendmail(certificate: CertificateFiles, next_hop: int) -> Iterator[Sendmail]:
    """Start Sendmail, wait for its greeting, stop it at the end; mail goes to the next hop."""
    m4 = require("m4")
    program = require_unpacked("sendmail-bin") / "usr/libexec/sendmail/sendmail"
    macros = require_unpacked("sendmail-cf") / "usr/share/sendmail/cf"
    worker = Worker.current()
    with reachable_directory("sm") as directory:
        for name in ("queue", "log", "tls"):
            (directory / name).mkdir()
            worker.own(directory / name)
        (directory / "queue").chmod(0o700)
        for source, name in ((certificate.cert, "cert.pem"), (certificate.key, "key.pem")):
            copy = directory / "tls" / name
            copy.write_bytes(Path(source).read_bytes())
            copy.chmod(0o600)
            worker.own(copy)
        (directory / "log" / "status").touch()
        worker.own(directory / "log" / "status")
        (directory / "service.switch").write_text("hosts files\naliases files\n")
        (directory / "hosts").write_text(f"{HOST} {NAME} localhost\n")
        (port,) = free_ports(1)
        source = _configuration(directory, macros, port, next_hop, worker.name)
        (directory / "sendmail.mc").write_text(source)
        made = run(m4, f"-D_CF_DIR_={macros}/", directory / "sendmail.mc")
        configuration = directory / "sendmail.cf"
        configuration.write_bytes(made.stdout)
        configuration.chmod(0o644)
        environment = with_users(directory, worker)
        environment |= {
            "NSS_WRAPPER_HOSTNAME": NAME,
            "NSS_WRAPPER_HOSTS": os.fspath(directory / "hosts"),
        }
        daemon = Daemon(
            [
                *(copy_program(program, directory), "-C", os.fspath(configuration)),
                *("-bD", "-q1s", "-X", f"{directory}/log/transcript"),
            ],
            log=directory / "stderr",
            worker=worker,
            environment=environment,
        )
        try:
            daemon.wait_for_greeting(port, b"220 ")
            yield Sendmail(
                port, ca=Path(certificate.cert), directory=directory, logs=("log/transcript",)
            )
        finally:
            daemon.stop()
