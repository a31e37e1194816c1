"""Programs of others log in to our servers by every mechanism that they know, and are refused.

Each speaks for itself: what it sent or fetched is looked at, and whose account it has opened.
libgsasl is in gsasl, msmtp, mpop and mutt, Cyrus SASL in mbsync and the clients of Cyrus IMAP; curl
and fetchmail have their own. swaks, smtplib, aiosmtplib and nodemailer have tests elsewhere.
"""

from __future__ import annotations

import imaplib
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import RECIPIENT, SENDER, assert_same_mail, body_of, make_message
from interop.peers.authority import Authority
from interop.peers.cyrus import require_mechanisms, run_cyrus
from interop.peers.dovecot import PASSWORD
from interop.peers.logins import ANONYMOUS_ACCOUNT, Logins, logins
from interop.peers.process import Finished, require, run
from interop.peers.recorder import TOKEN
from interop.test_fetchmail import bodies_in
from mailproto.cli.certificate import CertificateFiles

pytestmark = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")

MESSAGE = make_message()
TOKENS = ("OAUTHBEARER", "XOAUTH2")


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, certificate: CertificateFiles, authority: Authority
) -> Iterator[Logins]:
    """Servers of the facade that the test names."""
    facade = Facade(request.param)
    with logins(facade, certificate, authority) as made:
        yield made
    facade.close()


@pytest.fixture
def server(served: Logins) -> Logins:
    served.forget()
    return served


@dataclass(frozen=True)
class Attempt:
    """One run of a program: as whom it should log in, and where its files are."""

    server: Logins
    protocol: str
    mechanism: str
    secret: str
    """A password or token; empty for EXTERNAL without a certificate."""
    home: Path

    @property
    def port(self) -> int:
        return self.server.port(self.protocol)

    @property
    def certificate(self) -> CertificateFiles | None:
        """What the client shows of itself."""
        return self.server.authority.of["alice"] if self._external and self.secret else None

    @property
    def password(self) -> str:
        return "" if self._external else self.secret

    @property
    def _external(self) -> bool:
        return self.mechanism == "EXTERNAL"

    @property
    def ca(self) -> str:
        return os.fspath(self.server.ca)

    def file(self, name: str, content: str | bytes) -> Path:
        """A file that nobody else may read, as some programs demand."""
        path = self.home / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path


Program = Callable[[Attempt], bytes]
"""Runs a program once; what it has fetched, empty where that was nothing."""


def finished(attempt: Attempt, *argv: str | os.PathLike[str], stdin: bytes = b"") -> Finished:
    return run(*argv, stdin=stdin, status=None, home=attempt.home)


def curl(attempt: Attempt) -> bytes:
    arguments = ["--ssl-reqd", "--cacert", attempt.ca]
    arguments += ["--login-options", f"AUTH={attempt.mechanism}"]
    if attempt.mechanism in TOKENS:
        arguments += ["-u", "alice", "--oauth2-bearer", attempt.secret]
    else:
        arguments += ["-u", f"alice:{attempt.password}"]
    if attempt.certificate is not None:
        arguments += ["--cert", attempt.certificate.cert, "--key", attempt.certificate.key]
    path = {"smtp": "client.test", "imap": "INBOX;MAILINDEX=1", "pop3": "1"}[attempt.protocol]
    if attempt.protocol == "smtp":
        arguments += ["--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "-T", "-"]
    url = f"{attempt.protocol}://localhost:{attempt.port}/{path}"
    program = (require("curl"), "-sS", "--max-time", "20")
    return finished(attempt, *program, *arguments, url, stdin=MESSAGE).stdout


def of_lambda(attempt: Attempt) -> list[str]:
    """The options that msmtp and mpop, of one author, have in common."""
    arguments = ["-C", "/dev/null", "--timeout=20", "--host=localhost", f"--port={attempt.port}"]
    arguments += ["--tls=on", "--tls-starttls=on", f"--tls-trust-file={attempt.ca}"]
    arguments += [f"--auth={attempt.mechanism.lower()}", "--user=alice"]
    arguments += [f"--passwordeval=echo {attempt.password}"]
    if attempt.certificate is not None:
        arguments += [f"--tls-cert-file={attempt.certificate.cert}"]
        arguments += [f"--tls-key-file={attempt.certificate.key}"]
    return arguments


def msmtp(attempt: Attempt) -> bytes:
    program = (require("msmtp"), *of_lambda(attempt), f"--from={SENDER}", RECIPIENT)
    finished(attempt, *program, stdin=MESSAGE.replace(b"\r\n", b"\n"))
    return b""


def mpop(attempt: Attempt) -> bytes:
    maildir = attempt.home / attempt.secret / "Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    options = (f"--uidls-file={attempt.home / 'uidls'}", "--keep=on")
    program = (require("mpop"), *of_lambda(attempt), *options, f"--delivery=maildir,{maildir}")
    finished(attempt, *program)
    return b"".join(path.read_bytes() for path in (maildir / "new").iterdir())


def mutt(attempt: Attempt) -> bytes:
    configuration = attempt.file(
        "muttrc",
        f"set smtp_url=smtp://alice@localhost:{attempt.port} smtp_pass={attempt.secret}\n"
        f"set smtp_authenticators={attempt.mechanism.lower()} ssl_starttls=yes copy=no\n"
        f'set smtp_oauth_refresh_command="echo {attempt.secret}" ssl_force_tls=yes\n'
        f"set ssl_ca_certificates_file={attempt.ca} from={SENDER} use_from=yes\n"
        "set charset=utf-8 send_charset=utf-8 sleep_time=0\n",
    )
    draft = attempt.file("draft", MESSAGE.replace(b"\r\n", b"\n"))
    program = (require("mutt"), "-n", "-F", configuration, "-s", "hello", "-i", draft)
    finished(attempt, *program, "--", RECIPIENT)
    return b""


def mbsync(attempt: Attempt) -> bytes:
    require_mechanisms()
    inbox = attempt.home / attempt.secret / "Mail" / "Inbox"
    inbox.parent.mkdir(parents=True)
    shown = ""
    if attempt.certificate is not None:
        shown = f"ClientCertificate {attempt.certificate.cert}\n"
        shown += f"ClientKey {attempt.certificate.key}\n"
    configuration = attempt.file(
        "mbsyncrc",
        f"IMAPAccount server\nHost localhost\nPort {attempt.port}\nUser alice\n"
        f"Pass {attempt.password or 'none'}\nTimeout 20\nSSLType STARTTLS\n"
        f"CertificateFile {attempt.ca}\nAuthMechs {attempt.mechanism}\n{shown}\n"
        "IMAPStore remote\nAccount server\n\n"
        f"MaildirStore local\nPath {inbox.parent}/\nInbox {inbox}\n\n"
        "Channel inbox\nFar :remote:INBOX\nNear :local:INBOX\nSync Pull\nSyncState *\n",
    )
    finished(attempt, require("mbsync", "isync"), "-c", configuration, "-a")
    return b"".join(path.read_bytes() for path in inbox.glob("[nc]*/*"))


def fetchmail(attempt: Attempt) -> bytes:
    mbox = attempt.home / f"mbox.{attempt.secret}"
    shown = ""
    if attempt.certificate is not None:
        shown = f"sslcert '{attempt.certificate.cert}' sslkey '{attempt.certificate.key}'"
    configuration = attempt.file(
        "fetchmailrc",
        f"poll localhost protocol {attempt.protocol} port {attempt.port}"
        f" auth {attempt.mechanism.lower()} timeout 20\n"
        f"  user 'alice' password '{attempt.password or 'none'}' is 'alice' here\n"
        f"  sslproto 'TLS1.2+' sslcertck sslcertfile '{attempt.ca}' {shown}\n"
        f"  mda '/bin/cat >> {mbox}'\n",
    )
    files = ("--pidfile", attempt.home / "pid", "-i", attempt.home / "ids", "--nosyslog")
    options = (*files, "--fetchall", "--keep")
    program = require("fetchmail")
    run(
        *(program, "-f", configuration, *options),
        status=None,
        home=attempt.home,
        environment={"FETCHMAILHOME": os.fspath(attempt.home)},
    )
    # What was appended has a header of mbox in front.
    return b"\r\n\r\n" + b"".join(bodies_in(mbox)) if mbox.exists() else b""


def cyrus(attempt: Attempt) -> bytes:
    """It shows all that the server says, and neither waits nor parses."""
    commands = {
        "imap": b"a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[]\r\n",
        "pop3": b"RETR 1\r\n",
        "smtp": b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n%s"
        % (SENDER.encode(), RECIPIENT.encode(), len(MESSAGE), MESSAGE),
    }[attempt.protocol]
    both: Path | None = None
    if attempt.certificate is not None:
        files = (attempt.certificate.cert, attempt.certificate.key)
        both = attempt.file("both.pem", b"".join(Path(file).read_bytes() for file in files))
    shown = run_cyrus(
        attempt.protocol,
        attempt.port,
        attempt.mechanism,
        attempt.password or "none",
        commands,
        certificate=both,
        home=attempt.home,
    ).stdout
    _, start, rest = shown.partition(b"Authenticated.")[2].partition(b"From: Sender")
    content, end, _ = rest.rpartition(b"From here on\r\n\r\n")
    if attempt.protocol == "pop3":
        content = content.replace(b"\r\n..", b"\r\n.")
    return start + content + end


def imaplib_of_python(attempt: Attempt) -> bytes:
    """It answers challenges with what it is told."""
    context = ssl.create_default_context(cafile=attempt.ca)
    responses = {
        "PLAIN": lambda _: f"\0alice\0{attempt.secret}".encode(),
        "XOAUTH2": lambda _: f"user=alice\1auth=Bearer {attempt.secret}\1\1".encode(),
        "OAUTHBEARER": lambda _: f"n,a=alice,\1auth=Bearer {attempt.secret}\1\1".encode(),
    }
    with imaplib.IMAP4("localhost", attempt.port, timeout=20) as client:
        client.starttls(context)
        try:
            if attempt.mechanism == "CRAM-MD5":
                client.login_cram_md5("alice", attempt.secret)
            else:
                client.authenticate(attempt.mechanism, responses[attempt.mechanism])
        except imaplib.IMAP4.error:
            return b""
        client.select(readonly=True)
        data = client.fetch("1", "(BODY.PEEK[])")[1]
        return b"".join(item[1] for item in data if isinstance(item, tuple))


# SASL names, with the protocols of each program
PASSWORDS = ("PLAIN", "LOGIN", "CRAM-MD5")
SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256")
KNOWN: list[tuple[Program, tuple[str, ...], tuple[str, ...]]] = [
    (curl, ("smtp", "imap", "pop3"), (*PASSWORDS, "OAUTHBEARER", "EXTERNAL")),
    (msmtp, ("smtp",), (*PASSWORDS, *SCRAM, *TOKENS, "EXTERNAL")),
    (mpop, ("pop3",), (*PASSWORDS, *SCRAM, *TOKENS, "EXTERNAL")),
    (mutt, ("smtp",), ("SCRAM-SHA-256", "OAUTHBEARER")),
    # LOGIN is the command of IMAP there.
    (mbsync, ("imap",), ("PLAIN", "CRAM-MD5", *SCRAM, "SCRAM-SHA-512", "EXTERNAL")),
    (imaplib_of_python, ("imap",), ("PLAIN", "CRAM-MD5", *TOKENS)),
    (fetchmail, ("imap",), ("CRAM-MD5", "EXTERNAL")),
    (fetchmail, ("pop3",), ("CRAM-MD5",)),
    # The same there, and it has no OAUTHBEARER of its own.
    (cyrus, ("imap",), ("PLAIN", "CRAM-MD5", *SCRAM, "SCRAM-SHA-512", "EXTERNAL", "ANONYMOUS")),
    (cyrus, ("smtp", "pop3"), (*PASSWORDS, "SCRAM-SHA-512", "EXTERNAL", "ANONYMOUS")),
    (cyrus, ("smtp", "imap", "pop3"), ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS")),
]
ABOUT_TLS = ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL")
EVERY = [
    pytest.param(
        facade,
        program,
        protocol,
        mechanism,
        id=f"{facade}-{program.__name__}-{protocol}-{mechanism}",
    )
    for facade in ("aio", "sync")
    for program, protocols, mechanisms in KNOWN
    for protocol in protocols
    for mechanism in mechanisms
    # Above TLS all is the same text in both.
    if facade == "aio" or (mechanism in ABOUT_TLS and program is not mutt)
]


@pytest.mark.parametrize(("served", "program", "protocol", "mechanism"), EVERY, indirect=["served"])
def test_P07_a_program_logs_in(
    server: Logins, tmp_path: Path, program: Program, protocol: str, mechanism: str
) -> None:
    wrong = "" if mechanism == "EXTERNAL" else "wrong"
    if mechanism != "ANONYMOUS":
        fetched = program(Attempt(server, protocol, mechanism, wrong, tmp_path))
        assert (fetched, server.opened, server.smtp.messages) == (b"", [], [])
        # Without a certificate EXTERNAL is not even offered.
        assert server.named() in ([], [mechanism], [mechanism.removesuffix("-PLUS")])
        server.forget()
    secret = TOKEN if mechanism in TOKENS else PASSWORD
    fetched = program(Attempt(server, protocol, mechanism, secret, tmp_path))
    account = ANONYMOUS_ACCOUNT if mechanism == "ANONYMOUS" else "alice"
    assert server.opened == [account]
    # Cyrus SASL binds, and does not say so in the name.
    named = mechanism.removesuffix("-PLUS") if program is cyrus else mechanism
    assert server.named() == [named]
    if protocol == "smtp":
        received = server.sent()
        assert (received.account, received.tls) == (account, True)
        if program is mutt:
            # It has made a header of its own.
            assert body_of(MESSAGE) in received.content
        else:
            assert_same_mail(received.content, MESSAGE)
    else:
        assert body_of(fetched) == body_of(Logins.message(account))


# ------------------------------------------------------------------- gsasl, with channel binding

# It has tls-exporter in TLS 1.3, which no version of Python has yet.
TLS_1_2 = ("--priority", "NORMAL:-VERS-TLS1.3")
BOUND = ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")


def gsasl(attempt: Attempt, *options: str) -> Finished:
    """It logs in and leaves."""
    arguments = [f"--{attempt.protocol}", "--authentication-id", "alice"]
    arguments += ["--password", attempt.password, "--anonymous-token", "guest@client.test"]
    if attempt.protocol == "imap":
        arguments += ["--starttls", *TLS_1_2, "--x509-ca-file", attempt.ca]
    else:
        # With TLS it says STARTTLS before EHLO.
        arguments += ["--no-starttls"]
    if attempt.certificate is not None:
        arguments += ["--x509-cert-file", attempt.certificate.cert]
        arguments += ["--x509-key-file", attempt.certificate.key, "--authorization-id", ""]
    connect = ("--connect", f"localhost:{attempt.port}")
    return finished(attempt, require("gsasl"), *arguments, *options, *connect)


BY_GSASL = [
    pytest.param(facade, protocol, mechanism, id=f"{facade}-{protocol}-{mechanism}")
    for facade in ("aio", "sync")
    for protocol, mechanisms in {
        "imap": (*PASSWORDS, *SCRAM, *BOUND, "EXTERNAL", "ANONYMOUS"),
        "smtp": (*PASSWORDS, *SCRAM, "ANONYMOUS"),
    }.items()
    for mechanism in mechanisms
    if facade == "aio" or mechanism in BOUND
]


@pytest.mark.parametrize(("served", "protocol", "mechanism"), BY_GSASL, indirect=["served"])
def test_P07_gsasl_logs_in(server: Logins, tmp_path: Path, protocol: str, mechanism: str) -> None:
    # Under TLS it insists on binding SCRAM, and on failing where that was not asked for.
    options = ("--mechanism", mechanism, *(["--no-cb"] if mechanism in SCRAM else []))
    if mechanism != "ANONYMOUS":
        wrong = "" if mechanism == "EXTERNAL" else "wrong"
        refused = gsasl(Attempt(server, protocol, mechanism, wrong, tmp_path), *options)
        assert refused.status != 0, refused.report()
        assert server.opened == []
        server.forget()
    done = gsasl(Attempt(server, protocol, mechanism, PASSWORD, tmp_path), *options)
    assert done.status == 0, done.report()
    assert server.opened == [ANONYMOUS_ACCOUNT if mechanism == "ANONYMOUS" else "alice"]
    assert server.named() == [mechanism]


@pytest.mark.parametrize("served", ["aio", "sync"], indirect=True)
def test_P07_gsasl_chooses_the_bound_mechanism(server: Logins, tmp_path: Path) -> None:
    done = gsasl(Attempt(server, "imap", "", PASSWORD, tmp_path))
    assert done.status == 0, done.report()
    assert server.named() == ["SCRAM-SHA-256-PLUS"]
    assert server.opened == ["alice"]
