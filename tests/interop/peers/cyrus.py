"""The clients of Cyrus IMAP, which log in by Cyrus SASL: imtest, pop3test and smtptest.

`unpack.sh` unpacks them; they read no configuration and take any certificate of the server.
"""

from __future__ import annotations

import os
from pathlib import Path

from interop.peers.process import Finished, run, unavailable
from interop.peers.unpacked import require_unpacked

_TLS_1_2 = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MaxProtocol = TLSv1.2
"""
_PROGRAMS = {"imap": "imtest", "pop3": "pop3test", "smtp": "smtptest"}


def require_mechanisms() -> None:
    """Skip where Cyrus SASL has no mechanisms to load."""
    if not any(Path("/usr/lib").glob("*/sasl2/libscram.so*")):
        unavailable("Cyrus SASL has no mechanisms (Debian package libsasl2-modules)")


def run_cyrus(
    protocol: str,
    port: int,
    mechanism: str,
    password: str,
    commands: bytes,
    *,
    certificate: Path | None = None,
    home: Path,
) -> Finished:
    """Log in as alice under TLS 1.2, say `commands`, and leave; the exit status tells nothing.

    `certificate` has the certificate and key of the client in one file. With TLS 1.3 the channel
    binding that they know would be of no use.
    """
    require_mechanisms()
    program = require_unpacked("cyrus-clients") / "usr/lib/cyrus/bin" / _PROGRAMS[protocol]
    (library,) = require_unpacked("cyrus-common").glob("usr/lib/*/libcyrus.so.0")
    configuration = home / "openssl.cnf"
    configuration.write_text(_TLS_1_2)
    identity = ("-a", "alice", "-u", "alice", "-w", password)
    done = run(
        *(program, "-m", mechanism, *identity, "-p", str(port)),
        *("-t", "" if certificate is None else os.fspath(certificate), "localhost"),
        stdin=commands,
        status=None,
        home=home,
        environment={
            "LD_LIBRARY_PATH": os.fspath(library.parent),
            "OPENSSL_CONF": os.fspath(configuration),
        },
    )
    if b"error while loading shared libraries" in done.stderr:
        unavailable(f"{done.stderr.decode().strip()} (unpack.sh libraries names the packages)")
    return done
