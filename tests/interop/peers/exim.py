"""A real Exim 4 on loopback: as a server to send to, and as a client that relays to ours.

It runs in the foreground as one unprivileged user. Mail for alice, bob and carol at peer.test goes
into maildirs or to an LMTP server, everything else to the relay; only alice may use AUTH.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interop.peers.dovecot import DOMAIN, PASSWORD, USERS
from interop.peers.mail_server import MailServer, Relay
from interop.peers.process import HOST, Daemon, Worker, free_ports, reachable_directory
from interop.peers.unpacked import copy_program, require_unpacked, with_users

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles


@dataclass(frozen=True)
class Exim(MailServer):
    """The ports of a running Exim."""

    smtp: int
    """Delivers for anyone, relays for those who may; STARTTLS, then AUTH."""
    smtps: int
    """The same with TLS from the start."""


def _configuration(
    directory: Path,
    ports: dict[str, int],
    certificate: CertificateFiles,
    worker: Worker,
    relay: Relay | None,
    lmtp_port: int | None,
) -> str:
    tls = "hosts_avoid_tls = *"
    if relay is not None and relay.tls:
        tls = (
            f"hosts_require_tls = *\n  tls_verify_certificates = {certificate.cert}\n"
            "  tls_verify_hosts = *"
        )
    client = ""
    if relay is not None and relay.user is not None:
        client = f"""
as_client:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{relay.user}^{relay.password}
"""
    return f"""
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
exim_path = {directory}/exim4
exim_user = {worker.uid}
exim_group = {worker.gid}
deliver_drop_privilege
never_users =
spool_directory = {directory}/spool
log_file_path = {directory}/log/%s.log
primary_hostname = exim.{DOMAIN}
qualify_domain = {DOMAIN}
local_interfaces = <; {HOST}.{ports["smtp"]} ; {HOST}.{ports["smtps"]}
daemon_smtp_ports = {ports["smtp"]}
tls_on_connect_ports = {ports["smtps"]}
host_lookup =
rfc1413_hosts =
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
tls_certificate = {certificate.cert}
tls_privatekey = {certificate.key}
tls_advertise_hosts = *
auth_advertise_hosts = ${{if def:tls_in_cipher {{*}}{{}}}}
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
prdr_enable = true
acl_smtp_rcpt = at_rcpt
acl_smtp_data = accept
acl_smtp_vrfy = accept
acl_smtp_expn = accept
message_size_limit = 20M

begin acl
at_rcpt:
  accept domains = {DOMAIN}
         verify = recipient
  deny   domains = {DOMAIN}
         message = 550 5.1.1 no such user
  accept authenticated = *
  accept condition = {"yes" if relay else "no"}
  deny   message = 550 5.7.1 relay not permitted

begin routers
local:
  driver = accept
  domains = {DOMAIN}
  local_parts = {" : ".join(USERS)}
  transport = {"maildir" if lmtp_port is None else "lmtp"}
unknown:
  driver = redirect
  domains = {DOMAIN}
  data = :fail: no such user
  allow_fail
relay:
  driver = manualroute
  route_list = * localhost byname
  self = send
  host_find_failed = defer
  transport = relay

begin transports
maildir:
  driver = appendfile
  directory = {directory}/home/$local_part_data/Maildir
  create_directory
  maildir_format
  user = {worker.uid}
  group = {worker.gid}
relay:
  driver = smtp
  port = {relay.port if relay else 1}
  allow_localhost
  hosts_require_auth = {"*" if client else ""}
  {tls}
lmtp:
  driver = smtp
  protocol = lmtp
  hosts = {HOST}
  hosts_override
  port = {lmtp_port or 1}
  allow_localhost
  hosts_avoid_tls = *

begin retry
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{alice}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{alice}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{alice}}{{{PASSWORD}}}fail}}
  server_set_id = $auth1
{client}"""


@contextmanager
def run_exim(
    certificate: CertificateFiles, *, relay: Relay | None = None, lmtp_port: int | None = None
) -> Iterator[Exim]:
    """Start Exim, wait for its greeting, stop it at the end.

    `relay` takes mail for other domains, from anyone; `lmtp_port` takes mail for peer.test instead
    of the maildirs.
    """
    program = require_unpacked("exim4-daemon-light") / "usr" / "sbin" / "exim4"
    worker = Worker.current()
    with reachable_directory("ex") as directory:
        for name in ("spool", "log", "home"):
            (directory / name).mkdir()
            worker.own(directory / name)
        environment = with_users(directory, worker, "Debian-exim")
        services = ["smtp", "smtps"]
        ports = dict(zip(services, free_ports(len(services)), strict=True))
        configuration = directory / "exim.conf"
        configuration.write_text(
            _configuration(directory, ports, certificate, worker, relay, lmtp_port)
        )
        configuration.chmod(0o644)
        daemon = Daemon(
            [
                *(copy_program(program, directory), "-C", os.fspath(configuration)),
                *("-bdf", "-q1s", "-oP", f"{directory}/spool/exim.pid"),
            ],
            log=directory / "stderr",
            worker=worker,
            environment=environment,
        )
        logs = ("log/main.log", "log/reject.log", "log/panic.log")
        try:
            daemon.wait_for_greeting(ports["smtp"], b"220 ", [directory / name for name in logs])
            yield Exim(*ports.values(), ca=Path(certificate.cert), directory=directory, logs=logs)
        finally:
            daemon.stop()
