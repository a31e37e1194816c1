"""A real Dovecot 2.3 on loopback: IMAP, POP3, LMTP, submission, and its SASL service for Postfix.

It runs in the foreground from a directory of its own, as one unprivileged user; /etc/dovecot is
never read. Users alice, bob and carol have the password "secret"; the mail domain is peer.test.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from interop.peers.process import (
    HOST,
    Daemon,
    Worker,
    free_ports,
    reachable_directory,
    require,
    require_file,
    run,
    unavailable,
)
from mailproto import sasl

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles


USERS = ("alice", "bob", "carol")
PASSWORD = "secret"
DOMAIN = "peer.test"

PASSWORD_MECHANISMS = [
    sasl.PLAIN,
    sasl.LOGIN,
    sasl.CRAM_MD5,
    sasl.SCRAM_SHA_1,
    sasl.SCRAM_SHA_256,
]
ANONYMOUS_ACCOUNT = "carol"
TOKEN_MECHANISMS = [sasl.OAUTHBEARER, sasl.XOAUTH2]

SERVICES = ["imap", "imaps", "pop3", "pop3s", "lmtp", "submission", "submissions", "sasl"]


@dataclass(frozen=True)
class Dovecot:
    """The ports of a running Dovecot and where its files are."""

    imap: int
    imaps: int
    pop3: int
    pop3s: int
    lmtp: int
    submission: int
    submissions: int
    sasl: int
    ca: Path = field(kw_only=True)
    directory: Path = field(kw_only=True)
    token: str = field(kw_only=True, repr=False)
    """A bearer token of alice for OAUTHBEARER and XOAUTH2."""
    host: str = field(default=HOST, kw_only=True)

    def maildir(self, user: str) -> Path:
        return self.directory / "home" / user / "Maildir"

    def log(self) -> str:
        return (self.directory / "dovecot.log").read_text(errors="replace")


def _configuration(
    directory: Path,
    ports: dict[str, int],
    certificate: CertificateFiles,
    worker: Worker,
    relay: int,
    client_authorities: Path | None,
) -> str:
    """The whole dovecot.conf.

    Services that usually chroot or run as root do neither here; there is one user for everything.
    """
    return f"""
protocols = imap pop3 lmtp submission
listen = {HOST}
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/dovecot.log
instance_name = {directory.name}
shutdown_clients = yes

default_internal_user = {worker.name}
default_internal_group = {worker.group}
default_login_user = {worker.name}
first_valid_uid = 1
mail_uid = {worker.uid}
mail_gid = {worker.gid}
mail_location = maildir:~/Maildir
mail_max_userip_connections = 1000
hostname = {DOMAIN}
postmaster_address = postmaster@{DOMAIN}

ssl = yes
ssl_cert = <{certificate.cert}
ssl_key = <{certificate.key}
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 apop scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_failure_delay = 0
{_certificates(client_authorities)}
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = username_format=%n {directory}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {directory}/users
}}

namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}

protocol imap {{
  imap_idle_notify_interval = 5 s
}}
# URLAUTH, for BURL; the keys are attributes of mailboxes
imap_urlauth_host = localhost
imap_urlauth_port = {ports["imap"]}
mail_attribute_dict = file:%h/attributes

submission_relay_host = {HOST}
submission_relay_port = {relay}

# no delay after a wrong password: tests try many
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {ports["imap"]}
  }}
  inet_listener imaps {{
    port = {ports["imaps"]}
    ssl = yes
  }}
}}
service imap-urlauth-login {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {ports["pop3"]}
  }}
  inet_listener pop3s {{
    port = {ports["pop3s"]}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {ports["submission"]}
  }}
  inet_listener submissions {{
    port = {ports["submissions"]}
    ssl = yes
  }}
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    port = {ports["lmtp"]}
  }}
}}
service auth {{
  inet_listener sasl {{
    address = {HOST}
    port = {ports["sasl"]}
  }}
}}
"""


def _certificates(authorities: Path | None) -> str:
    """EXTERNAL for whom a certificate of these authorities names, and ANONYMOUS for carol."""
    if authorities is None:
        return ""
    return f"""
auth_mechanisms = $auth_mechanisms external anonymous
auth_anonymous_username = {ANONYMOUS_ACCOUNT}
auth_ssl_username_from_cert = yes
ssl_ca = <{authorities}
ssl_verify_client_cert = yes
ssl_require_crl = no
passdb {{
  driver = static
  mechanisms = external
  args = nopassword
}}
"""


def _bearer_token(directory: Path, user: str) -> str:
    """A JSON Web Token (RFC 7519) of ``user``, with what lets Dovecot check it by itself."""
    key = b"the key of the tests"
    keys = directory / "keys" / "default" / "HS256"
    keys.mkdir(parents=True)
    (keys / "default").write_bytes(base64.b64encode(key))
    (directory / "oauth2.conf").write_text(
        "introspection_mode = local\n"
        f"local_validation_key_dict = fs:posix:prefix={directory}/keys/\n"
        "username_attribute = sub\n"
    )

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    claims = {"sub": user, "iat": 0, "exp": 2**32}
    parts = [
        encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)
    ]
    signature = hmac.digest(key, ".".join(parts).encode(), "sha256")
    return ".".join([*parts, encoded(signature)])


@contextmanager
def run_dovecot(
    certificate: CertificateFiles,
    *,
    relay_port: int = 1,
    client_authorities: Path | None = None,
) -> Iterator[Dovecot]:
    """Start Dovecot, wait for its greeting, stop it at the end.

    `relay_port` is where its submission service hands mail on; the default refuses connections.
    With `client_authorities` it has EXTERNAL and ANONYMOUS too.
    """
    program = require("dovecot", "dovecot-core")
    version = run(program, "--version").text.strip()
    if not version.startswith("2.3."):
        unavailable(f"the fixture configures Dovecot 2.3; this one is {version}")
    for service in ("imap", "pop3", "lmtp", "submission"):
        require_file(f"/usr/lib/dovecot/{service}", f"dovecot-{service}d")

    worker = Worker.current()
    with reachable_directory("dc") as directory:
        for name in ("run", "home"):
            (directory / name).mkdir()
        (directory / "dovecot.log").touch()
        worker.own(directory / "run", directory / "home", directory / "dovecot.log")
        (directory / "users").write_text(
            "".join(f"{u}:{{PLAIN}}{PASSWORD}::::{directory}/home/{u}::nodelay=y\n" for u in USERS)
        )
        token = _bearer_token(directory, USERS[0])
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            _configuration(directory, ports, certificate, worker, relay_port, client_authorities)
        )
        daemon = Daemon(
            [program, "-F", "-c", os.fspath(configuration)],
            log=directory / "stderr.log",
            worker=worker,
        )
        try:
            daemon.wait_for_greeting(ports["imap"], b"* OK", [directory / "dovecot.log"])
            daemon.wait_for_greeting(ports["lmtp"], b"220 ", [directory / "dovecot.log"])
            yield Dovecot(
                *ports.values(), ca=Path(certificate.cert), directory=directory, token=token
            )
        finally:
            daemon.stop()
