"""Our clients against smtp-sink: without extensions, by LMTP, and failing at each command."""

from __future__ import annotations

from typing import Any

import pytest

from facades.world import Facade
from interop.conftest import CONTROL
from interop.mail import SENDER, make_message
from interop.peers.smtp_sink import Sink, run_sink
from mailproto import errors
from mailproto.flows.smtp_result import DeliveryUnknown, Outcome

pytestmark = pytest.mark.skipif(CONTROL, reason="the client under test is ours by nature")

RECIPIENTS = ["bob@peer.test", "carol@peer.test"]


def connect(facade: Facade, sink: Sink, **options: Any) -> Any:
    return facade.connect("smtp", sink.port, tls="none", domain="client.test", **options)


def send(client: Any, content: bytes = make_message()) -> Any:
    """The result as data, whatever it is."""
    return client.run(client.session.send(content, SENDER, RECIPIENTS))


def outcomes(result: Any) -> list[Outcome]:
    return [recipient.outcome for recipient in result.recipients]


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ("", ()),
        ("-p", ("PIPELINING",)),
        ("-8", ("8BITMIME",)),
        ("-E", ("ENHANCEDSTATUSCODES",)),
        ("-p -8 -E -N -a", ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "AUTH")),
        # These know no EHLO, and the last one hides its name as a firewall does.
        ("-e", ("PIPELINING", "8BITMIME", "DSN")),
        ("-P", ("PIPELINING", "8BITMIME", "DSN")),
        ("-L", ()),
        ("-L -p", ("PIPELINING",)),
    ],
)
def test_every_message_arrives(facade: Facade, options: str, missing: tuple[str, ...]) -> None:
    lmtp = "-L" in options
    message = make_message(lines=2000)
    if "8BITMIME" in missing:
        # What is not ASCII may not be sent then (RFC 6152 section 3).
        message = message.decode().encode("ascii", "replace")
    with run_sink(*options.split()) as sink:
        with connect(facade, sink, lmtp=lmtp) as client:
            assert [name for name in missing if name in client.capabilities] == []
            for _ in range(3):
                assert outcomes(send(client, message)) == [Outcome.DELIVERED] * 2
        stored = sink.messages()
    assert len(stored) == 3
    for octets in stored:
        # It puts an empty line behind the message.
        assert octets.endswith(b"\n" + message.replace(b"\r\n", b"\n") + b"\n")
        assert octets.count(b"X-Rcpt-Args: ") == 2


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize(
    ("option", "outcome", "code"),
    [("-f", Outcome.PERMANENT, 500), ("-r", Outcome.TEMPORARY, 450)],
    ids=["permanent", "temporary"],
)
def test_a_refusal_leaves_the_connection_usable(
    facade: Facade, option: str, outcome: Outcome, code: int, command: str, *, lmtp: bool
) -> None:
    options = (*(["-L"] if lmtp else []), option, command)
    with run_sink(*options) as sink, connect(facade, sink, lmtp=lmtp) as client:
        for _ in range(2):
            result = send(client)
            assert outcomes(result) == [outcome] * 2
            assert {recipient.reply.code for recipient in result.recipients} == {code}
        assert client.noop().code == 250


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_connection_that_ends_before_the_content(facade: Facade, command: str) -> None:
    with run_sink("-q", command) as sink, connect(facade, sink) as client:
        with pytest.raises(errors.ConnectionLost):
            send(client)
        assert client.closed


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_a_connection_that_ends_behind_the_content(facade: Facade, *, lmtp: bool) -> None:
    """The server has the message, and nobody knows: it did store it."""
    options = ("-L",) if lmtp else ()
    with run_sink(*options, "-q", ".") as sink, connect(facade, sink, lmtp=lmtp) as client:
        with pytest.raises(DeliveryUnknown) as unknown:
            send(client)
        assert outcomes(unknown.value.result) == [Outcome.UNKNOWN] * 2
        assert len(sink.messages()) == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
def test_a_server_that_says_421_and_goes(facade: Facade, command: str) -> None:
    with run_sink("-Q", command) as sink, connect(facade, sink) as client:
        result = send(client)
        assert outcomes(result) == [Outcome.TEMPORARY] * 2
        assert result.recipients[0].reply.code == 421


@pytest.mark.parametrize("option", ["-f", "-q", "-Q"])
def test_quit_has_no_bad_end(facade: Facade, option: str) -> None:
    with run_sink(option, "QUIT") as sink, connect(facade, sink) as client:
        assert outcomes(send(client)) == [Outcome.DELIVERED] * 2


@pytest.mark.parametrize("option", ["-f", "-r", "-q", "-Q"])
@pytest.mark.parametrize("command", ["CONNECT", "EHLO HELO"])
def test_a_server_that_does_not_begin(facade: Facade, option: str, command: str) -> None:
    with (
        run_sink(option, command) as sink,
        pytest.raises((errors.CommandFailed, errors.ConnectionLost)) as refused,
    ):
        connect(facade, sink)
    if isinstance(refused.value, errors.CommandFailed):
        assert refused.value.temporary is (option != "-f")


def test_a_server_that_refuses_in_the_middle_of_the_content(facade: Facade) -> None:
    """It answers 550 before it has read the content, and goes.

    What is left of the connection can mostly be read, unless the system was quicker to drop it.
    """
    message = make_message(lines=200_000)
    with run_sink("-A", "0") as sink, connect(facade, sink) as client:
        result = None
        try:
            result = send(client, message)
        except errors.ConnectionLost:
            pass
        except DeliveryUnknown as unknown:
            # All of it was on its way when the connection broke.
            result = unknown.result
        assert client.closed
        assert result is None or outcomes(result) in (
            [Outcome.PERMANENT] * 2,
            [Outcome.UNKNOWN] * 2,
        )
        assert sink.messages() == []
