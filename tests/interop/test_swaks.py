"""swaks, the tester of SMTP servers: the three lanes, AUTH, pipelining, XCLIENT and LMTP."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from facades.world import Facade
from interop.conftest import CONTROL, MailServer, Observer
from interop.mail import (
    RECIPIENT,
    SENDER,
    Lane,
    assert_same_mail,
    every_lane,
    make_message,
    smtp_port,
)
from interop.peers.process import Finished, require, run
from interop.peers.recorder import Accounts, recording
from mailproto import sasl
from mailproto.cli.certificate import CertificateFiles

TLS = {
    Lane.PLAIN: (),
    Lane.STARTTLS: ("--tls",),
    Lane.IMPLICIT: ("--tls-on-connect",),
}


def swaks(
    port: int,
    home: Path,
    *options: str,
    status: int | None = 0,
    message: bytes | None = None,
) -> Finished:
    data = home / "message"
    data.write_bytes(_stuffed(message or make_message()))
    return run(
        *(require("swaks"), "--server", "localhost", "--port", str(port), "--timeout", "15"),
        *("--ehlo", "client.test", "--from", SENDER, "--data", f"@{data}", "--no-data-fixup"),
        *options,
        status=status,
        home=home,
    )


def trusting(server: MailServer, lane: Lane) -> tuple[str, ...]:
    if lane is Lane.PLAIN:
        return ()
    return (*TLS[lane], "--tls-verify", "--tls-ca-path", os.fspath(server.ca))


def _stuffed(message: bytes) -> bytes:
    """The message as it goes over the wire, with its end but for a CRLF, which swaks adds."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b"."


@every_lane
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-turn", "pipelined"])
def test_send(
    server: MailServer, observer: Observer, tmp_path: Path, lane: Lane, *, pipelined: bool
) -> None:
    options = list(trusting(server, lane))
    if lane is not Lane.PLAIN:
        options += ["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "secret"]
    if pipelined:
        options += ["--pipeline"]
    message = make_message()
    done = swaks(
        smtp_port(server, lane),
        tmp_path,
        "--to",
        f"{RECIPIENT},bob@peer.test",
        *options,
        message=message,
    )
    assert b"<** " not in done.stdout, done.report()
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], message)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("lane", [Lane.STARTTLS, Lane.IMPLICIT], ids=["starttls", "implicit"])
def test_authentication(
    server: MailServer, observer: Observer, tmp_path: Path, lane: Lane, mechanism: str
) -> None:
    options = (*trusting(server, lane), "--to", RECIPIENT, "--auth", mechanism)
    login = ("--auth-user", "alice", "--auth-password")
    refused = swaks(
        smtp_port(server, lane),
        tmp_path,
        *options,
        *login,
        "wrong",
        status=28,  # swaks: authentication failed
    )
    assert b" 535" in refused.stdout, refused.report()
    message = make_message()
    swaks(
        smtp_port(server, lane),
        tmp_path,
        *options,
        *login,
        "secret",
        message=message,
    )
    assert_same_mail(observer.wait_for(1)[0], message)


def test_submission_demands_authentication(server: MailServer, tmp_path: Path) -> None:
    refused = swaks(
        server.submission,
        tmp_path,
        "--to",
        RECIPIENT,
        *trusting(server, Lane.STARTTLS),
        status=None,
    )
    assert refused.status in {23, 24}, refused.report()  # swaks: MAIL or RCPT was refused
    assert re.search(rb"<[*~]\* 5", refused.stdout), refused.report()


def test_the_smtp_port_relays_for_nobody(server: MailServer, tmp_path: Path) -> None:
    refused = swaks(server.smtp, tmp_path, "--to", "someone@other.test", status=24)
    assert re.search(rb"<[*~]\* 5", refused.stdout), refused.report()


def test_lmtp_answers_for_each_recipient(
    server: MailServer, observer: Observer, tmp_path: Path
) -> None:
    message = make_message()
    done = swaks(
        server.lmtp,
        tmp_path,
        "--protocol",
        "LMTP",
        *("--to", f"{RECIPIENT},bob@peer.test,nobody@peer.test"),
        message=message,
    )
    assert done.stdout.count(b"<** 550") == 1, done.report()
    for user in ("alice", "bob"):
        assert_same_mail(observer.wait_for(1, user)[0], message)


def test_a_connection_dropped_in_content_delivers_nothing(
    server: MailServer, observer: Observer, tmp_path: Path
) -> None:
    """P21: what has no end was not sent."""
    swaks(server.smtp, tmp_path, "--to", RECIPIENT, "--drop-after-send", "DATA", status=0)
    swaks(server.smtp, tmp_path, "--to", RECIPIENT, message=make_message("whole"))
    (received,) = observer.wait_for(1)
    assert b"Subject: whole" in received


# ------------------------------------------------- what only a server of one's own can show

ours_by_nature = pytest.mark.skipif(CONTROL, reason="the server under test is ours by nature")


@ours_by_nature
@pytest.mark.parametrize("protocol", ["SMTP", "ESMTP", "LMTP"])
@pytest.mark.parametrize("pipelined", [False, True], ids=["in-turn", "pipelined"])
def test_protocols(facade: Facade, tmp_path: Path, protocol: str, *, pipelined: bool) -> None:
    message = make_message()
    options = ["--protocol", protocol, *(["--pipeline"] if pipelined else [])]
    with recording(facade, lmtp=protocol == "LMTP") as recorder:
        to = f"{RECIPIENT},nobody@peer.test,bob@peer.test"
        done = swaks(recorder.port, tmp_path, "--to", to, *options, message=message)
        (received,) = recorder.wait_for()
    assert done.stdout.count(b"<** 550") == 1, done.report()
    assert_same_mail(received.content, message)
    assert len(received.recipients) == 2
    hello = {"SMTP": "HELO", "ESMTP": "EHLO", "LMTP": "LHLO"}[protocol]
    assert recorder.said(hello) == [f"{hello} client.test"]


@ours_by_nature
def test_xclient_of_a_trusted_client(facade: Facade, tmp_path: Path) -> None:
    """Told in two commands; after each the session begins anew."""
    with recording(facade, trusts_forwarding=lambda peer: True) as recorder:
        swaks(
            recorder.port,
            tmp_path,
            *("--to", RECIPIENT, "--xclient-helo", "told.example", "--xclient-delim"),
            *("--xclient-name", "[UNAVAILABLE]", "--xclient-addr", "192.0.2.77"),
            *("--xclient-port", "4711", "--xclient-login", "carol"),
        )
        (received,) = recorder.wait_for()
    assert received.hello == "client.test"
    assert received.account == "carol"
    assert received.attributes["ADDR"] == "192.0.2.77"
    assert received.attributes["NAME"] == "[UNAVAILABLE]"
    assert len(recorder.said("XCLIENT")) == 2


@ours_by_nature
def test_xclient_is_not_for_everyone(facade: Facade, tmp_path: Path) -> None:
    xclient = ("--to", RECIPIENT, "--xclient-no-verify", "--xclient")
    failed = 33  # swaks: XCLIENT failed
    with recording(facade) as recorder:
        done = swaks(recorder.port, tmp_path, *xclient, "ADDR=192.0.2.77", status=failed)
        assert b"Host did not advertise XCLIENT" in done.stderr, done.report()
        assert recorder.messages == []
    with recording(facade, trusts_forwarding=lambda peer: True) as recorder:
        done = swaks(recorder.port, tmp_path, *xclient, "ADDR=192.0.2.77 PORT", status=failed)
        assert b"<** 501" in done.stdout, done.report()
        assert recorder.messages == []


@ours_by_nature
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_mechanisms(
    facade: Facade, certificate: CertificateFiles, tmp_path: Path, mechanism: str
) -> None:
    offer = sasl.Offer([sasl.PLAIN, sasl.LOGIN, sasl.CRAM_MD5])
    with recording(
        facade, certificate, directory=Accounts(), sasl=offer, require_auth=True
    ) as recorder:
        for password, status in (("wrong", 28), ("secret", 0)):
            swaks(
                recorder.port,
                tmp_path,
                *("--to", RECIPIENT, "--tls", "--tls-verify", "--tls-ca-path", certificate.cert),
                *("--auth", mechanism, "--auth-user", "alice", "--auth-password", password),
                status=status,
            )
        (received,) = recorder.wait_for()
    assert received.account == "alice"
    assert received.tls
