"""What ``mailproto send`` asks of the server: each option, as a server of ours has taken it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facades.world import Facade
from interop.peers.recorder import Recorder, recording
from mailproto import smtp
from mailproto.cli import main
from mailproto.cli.certificate import CertificateFiles

UNTIL = datetime.datetime(2036, 12, 24, 18, tzinfo=datetime.UTC)
OFFER = smtp.Offer(
    dsn=True,
    deliver_by=60,
    future_release=smtp.FutureRelease(3600, UNTIL),
    mt_priority="MIXER",
    requiretls=True,
)
MESSAGE = "Subject: gr\u00fc\u00dfe\r\n\r\ntext\r\n".encode()


@pytest.fixture(scope="module")
def recorder(certificate: CertificateFiles) -> Iterator[Recorder]:
    facade = Facade("sync")
    with recording(facade, certificate, offer=OFFER) as made:
        yield made
    facade.close()


@pytest.fixture
def send(recorder: Recorder, certificate: CertificateFiles, tmp_path: Path) -> Any:
    """Run the command with these options; its exit status."""
    file = tmp_path / "message.eml"
    file.write_bytes(MESSAGE)
    recorder.messages.clear()

    def run(*options: str) -> int:
        return main(
            [
                *(
                    "send",
                    "--host=localhost",
                    f"--port={recorder.port}",
                    f"--ca={certificate.cert}",
                ),
                *("--from=a@far.test", "--to=bob@peer.test", "--to=carol@peer.test"),
                *options,
                str(file),
            ]
        )

    return run


def test_everything_that_can_be_asked_at_once(send: Any, recorder: Recorder) -> None:
    status = send(
        *("--notify=success,delay", "--ret=hdrs", "--envid=id 1+1", "--deliver-by=120"),
        *("--late=notify", "--hold-for=90", "--priority=-3", "--require-tls", "--smtputf8"),
    )
    assert status == 0
    (received,) = recorder.messages
    assert received.content == MESSAGE
    assert received.mail.smtputf8
    assert received.mail.parameters == (
        smtp.Ret("HDRS"),
        smtp.EnvId("id 1+1"),
        smtp.DeliverBy(120, "N"),
        smtp.HoldFor(90),
        smtp.MtPriority(-3),
        smtp.RequireTLS(),
    )
    notify = smtp.Notify(frozenset({"SUCCESS", "DELAY"}))
    assert [rcpt.parameters for rcpt in received.recipients] == [(notify,)] * 2


def test_the_other_ways_to_ask(send: Any, recorder: Recorder) -> None:
    until = "--hold-until=2036-12-24T19:00:00+01:00"
    assert send("--notify=never", "--ret=full", until, "--deliver-by=999999999") == 0
    (received,) = recorder.messages
    assert received.mail.parameters == (
        smtp.Ret("FULL"),
        smtp.DeliverBy(999_999_999, "R"),
        smtp.HoldUntil(UNTIL),
    )
    assert received.recipients[0].parameters == (smtp.Notify(frozenset()),)
    assert not received.mail.smtputf8


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--notify=failure", "DSN"),
        ("--ret=full", "DSN"),
        ("--envid=1", "DSN"),
        ("--deliver-by=60", "DELIVERBY"),
        ("--hold-for=60", "FUTURERELEASE"),
        ("--hold-until=2036-12-24T18:00:00Z", "FUTURERELEASE"),
        ("--priority=3", "MT-PRIORITY"),
        ("--require-tls", "REQUIRETLS"),
        ("--smtputf8", "SMTPUTF8"),
    ],
)
def test_what_the_server_does_not_offer_is_not_sent(
    tmp_path: Path, option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "message.eml"
    file.write_bytes(MESSAGE)
    facade = Facade("sync")
    with recording(facade, offer=smtp.Offer(smtputf8=False)) as plain:
        common = ["--host=localhost", f"--port={plain.port}", "--tls=none", "--from=", "--to=b@c.d"]
        assert main(["send", *common, option, str(file)]) == 1
        assert plain.said("MAIL") == []
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_what_the_server_bounds_is_not_sent(
    send: Any, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--deliver-by=59", "--hold-for=3601", "--hold-until=2036-12-24T18:00:01Z"):
        assert send(option) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert recorder.messages == []


@pytest.mark.parametrize(
    "options",
    [
        ["--notify="],
        ["--notify=success,never"],
        ["--notify=bounce"],
        ["--ret=none"],
        ["--envid="],
        ["--envid=" + "x" * 101],
        ["--envid=gr\u00fc\u00dfe"],
        ["--deliver-by=0"],
        ["--deliver-by=9999999990"],
        ["--deliver-by=1", "--late=R"],
        ["--late=notify"],
        ["--hold-for=-1"],
        ["--hold-for=\u0663"],
        ["--hold-for=60", "--hold-until=2036-12-24T18:00:00Z"],
        ["--hold-until=tomorrow"],
        ["--hold-until=2036-12-24T18:00:00"],
        ["--priority=10"],
        ["--priority=--1"],
        ["--priority=+1"],
    ],
)
def test_what_cannot_be_asked(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status: object = main(["send", *options, "-"])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert options[-1].partition("=")[0] in error
