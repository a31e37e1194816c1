"""A real Postfix on loopback: as a server to send to, and as a client that relays to ours.

master(8) is started directly on a configuration, queue and data directory of its own; it refuses to
run without root. Mail for alice, bob and carol at peer.test goes into maildirs or to an LMTP
server, everything else to the relay. AUTH (submission, smtps) asks a Dovecot.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interop.peers.dovecot import DOMAIN, USERS
from interop.peers.mail_server import MailServer, Relay
from interop.peers.process import (
    HOST,
    Daemon,
    Worker,
    free_ports,
    reachable_directory,
    require,
    require_file,
    unavailable,
)

if TYPE_CHECKING:
    from mailproto.cli.certificate import CertificateFiles


PROGRAMS = Path("/usr/lib/postfix/sbin")
UTF8_USER = "j\u00f6rg"
"""One more mailbox, for SMTPUTF8; it is not an account of Dovecot's."""


@dataclass(frozen=True)
class Postfix(MailServer):
    """The ports of a running Postfix."""

    smtp: int
    """Anyone may deliver to peer.test, and elsewhere given a relay; STARTTLS but no AUTH."""
    submission: int
    """STARTTLS and AUTH are required."""
    smtps: int
    """TLS from the start; AUTH is required."""
    forwarding: int
    """As `smtp`, and XCLIENT and XFORWARD are believed."""


def _main_cf(
    directory: Path,
    certificate: CertificateFiles,
    worker: Worker,
    sasl_port: int | None,
    relay: Relay | None,
    lmtp_port: int | None,
) -> str:
    transport = "virtual" if lmtp_port is None else f"lmtp:inet:[{HOST}]:{lmtp_port}"
    text = f"""
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {PROGRAMS}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
syslog_name = {directory.name}
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}

inet_interfaces = {HOST}
inet_protocols = ipv4
myhostname = mx.{DOMAIN}
mydomain = {DOMAIN}
myorigin = {DOMAIN}
mydestination =
mynetworks = {f"{HOST}/32" if relay else ""}
alias_maps =
alias_database =
local_recipient_maps =
biff = no
append_dot_mydomain = no
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtputf8_enable = yes
message_size_limit = 20000000

virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {directory}/home
virtual_mailbox_maps = texthash:{directory}/etc/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{worker.uid}
virtual_gid_maps = static:{worker.gid}
virtual_transport = {transport}

minimal_backoff_time = 1s
maximal_backoff_time = 3s
queue_run_delay = 1s
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination

smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate.cert}
smtpd_tls_key_file = {certificate.key}
smtpd_tls_session_cache_database =
tls_random_source = dev:/dev/urandom
smtp_tls_CAfile = {certificate.cert}
lmtp_tls_security_level = none
"""
    if sasl_port is not None:
        text += f"smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:{HOST}:{sasl_port}\n"
    if relay is not None:
        level = "verify" if relay.tls else "none"
        text += f"relayhost = [localhost]:{relay.port}\nsmtp_tls_security_level = {level}\n"
        text += "smtp_tls_verify_cert_match = hostname\nsmtp_host_lookup = native\n"
        text += "smtp_tls_loglevel = 1\nsmtp_send_xforward_command = yes\n"
        if relay.user is not None:
            text += "smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options =\n"
            text += f"smtp_sasl_password_maps = texthash:{directory}/etc/credentials\n"
    return text


def _master_cf(ports: dict[str, int], *, sasl: bool) -> str:
    auth = "yes" if sasl else "no"
    return f"""
{HOST}:{ports["smtp"]} inet n - n - - smtpd
{HOST}:{ports["submission"]} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable={auth}
  -o smtpd_tls_auth_only=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
{HOST}:{ports["smtps"]} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable={auth}
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
{HOST}:{ports["forwarding"]} inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts={HOST}
  -o smtpd_authorized_xforward_hosts={HOST}
postlog   unix-dgram n - n - 1 postlogd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
lmtp      unix  - - n - - lmtp
virtual   unix  - n n - - virtual
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
showq     unix  n - n - - showq
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
"""


def _make_queue(directory: Path) -> None:
    """The directories that `postfix start` would make, with their owners."""
    owner = pwd.getpwnam("postfix")
    import grp

    postdrop = grp.getgrnam("postdrop").gr_gid
    queue = directory / "queue"
    private = "active bounce corrupt defer deferred flush hold incoming saved trace private"
    for name in private.split():
        (queue / name).mkdir(parents=True)
        (queue / name).chmod(0o700)
        os.chown(queue / name, owner.pw_uid, -1)
    (queue / "pid").mkdir()
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (queue / name).mkdir()
        os.chown(queue / name, owner.pw_uid, postdrop)
        (queue / name).chmod(mode)
    (directory / "data").mkdir()
    os.chown(directory / "data", owner.pw_uid, owner.pw_gid)


@contextmanager
def run_postfix(
    certificate: CertificateFiles,
    *,
    sasl_port: int | None = None,
    relay: Relay | None = None,
    lmtp_port: int | None = None,
) -> Iterator[Postfix]:
    """Start Postfix, wait for its greeting, stop it at the end.

    `sasl_port` is a Dovecot's (without it AUTH is not offered); `relay` takes mail for other
    domains; `lmtp_port` takes mail for peer.test instead of the maildirs.
    """
    require("postfix")
    master = require_file(f"{PROGRAMS}/master", "postfix")
    if os.geteuid() != 0:
        unavailable("Postfix's master refuses to run without root")

    worker = Worker.current()
    with reachable_directory("pf") as directory:
        for name in ("etc", "home"):
            (directory / name).mkdir()
        worker.own(directory / "home")
        _make_queue(directory)
        services = ["smtp", "submission", "smtps", "forwarding"]
        ports = dict(zip(services, free_ports(len(services)), strict=True))
        etc = directory / "etc"
        boxes = "".join(f"{user}@{DOMAIN} {user}/Maildir/\n" for user in (*USERS, UTF8_USER))
        (etc / "mailboxes").write_text(boxes)
        (etc / "main.cf").write_text(
            _main_cf(directory, certificate, worker, sasl_port, relay, lmtp_port)
        )
        (etc / "master.cf").write_text(_master_cf(ports, sasl=sasl_port is not None))
        if relay is not None and relay.user is not None:
            (etc / "credentials").write_text(
                f"[localhost]:{relay.port} {relay.user}:{relay.password}\n"
            )
        before = time.time() - 60  # Postfix waits until its files are two seconds old
        for path in etc.iterdir():
            os.utime(path, (before, before))
        daemon = Daemon(
            [master, "-c", os.fspath(etc), "-s"],
            log=directory / "master.err",
            environment={"MAIL_CONFIG": os.fspath(etc)},
        )
        try:
            daemon.wait_for_greeting(ports["smtp"], b"220 ", [directory / "postfix.log"])
            yield Postfix(
                *ports.values(),
                ca=Path(certificate.cert),
                directory=directory,
                logs=("postfix.log",),
            )
        finally:
            daemon.stop()
