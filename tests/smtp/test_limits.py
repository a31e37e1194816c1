"""LIMITS (RFC 9422): what a server tells and enforces, and a client keeps."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError

A, B = smtp.Mailbox("a", "one.example"), smtp.Mailbox("b", "two.example")
LIMITS = smtp.SMTPServerLimits(transactions=2, recipients=3, recipient_domains=1)


def server() -> smtp.Server:
    machine = smtp.Server("mx.example", offer=smtp.Offer(advertise_limits=True), limits=LIMITS)
    machine.accept()
    return machine


def codes(machine: smtp.Server, *lines: bytes) -> list[int]:
    machine.data_to_send()
    for line in lines:
        machine.receive_data(line + b"\r\n")
        while machine.next_event() is not smtp.NEED_DATA:
            machine.accept()
    replies = machine.data_to_send().split(b"\r\n")[:-1]
    return [int(reply[:3]) for reply in replies if reply[3:4] == b" "]


def test_limits_are_offered_as_configured() -> None:
    assert server().capabilities.keywords["LIMITS"] == (
        "MAILMAX=2", "RCPTMAX=3", "RCPTDOMAINMAX=1",
    )  # fmt: skip
    assert "LIMITS" not in smtp.Server().capabilities
    offered = smtp.Server(offer=smtp.Offer(advertise_limits=True)).capabilities
    assert offered.keywords["LIMITS"] == ("RCPTMAX=1000",)


@pytest.mark.parity("smtp-server LIMITS")
def test_P08_limits_are_enforced() -> None:
    machine = server()
    assert codes(machine, b"EHLO a", b"MAIL FROM:<>") == [250, 250]
    recipients = [b"RCPT TO:<a@one.example>", b"RCPT TO:<b@ONE.example>"]
    assert codes(machine, *recipients, b"RCPT TO:<a@two.example>") == [250, 250, 452]
    assert codes(machine, recipients[0], recipients[0]) == [250, 452]
    # A new transaction counts its recipients anew.
    assert codes(machine, b"RSET", b"MAIL FROM:<>", recipients[0]) == [250] * 3
    assert codes(machine, b"RSET", b"MAIL FROM:<>") == [250, 452]


@pytest.mark.parity("smtp-server LIMITS")
def test_P19_RFC_9422_section_4_3_domains_are_those_of_a_session() -> None:
    machine = server()
    machine.receive_data(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@one.example>\r\n")
    for reply in (None, None, smtp.Reply(550, "who?")):
        machine.next_event()
        machine.accept() if reply is None else machine.send(reply)
    # What was refused counts for nothing, and what was accepted for all transactions.
    again = [b"RSET", b"MAIL FROM:<>"]
    assert codes(machine, b"RCPT TO:<a@two.example>", *again) == [250] * 3
    assert codes(machine, b"RCPT TO:<a@one.example>", b"RCPT TO:<b@TWO.example>") == [452, 250]


def client(limits: str) -> smtp.Client:
    machine = smtp.Client()
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("a"))
    machine.receive_data(f"250-mx\r\n250-PIPELINING\r\n250 LIMITS {limits}\r\n".encode())
    machine.next_event()
    return machine


@pytest.mark.parametrize(
    ("limits", "recipients"),
    [("RCPTMAX=1", [A, A]), ("rcptdomainmax=1 X=2", [A, A, B]), ("RCPTMAX=2 Y", [A, B, A])],
)
@pytest.mark.parity("smtp-client LIMITS")
def test_a_client_keeps_what_a_server_has_told(limits: str, recipients: list[smtp.Mailbox]) -> None:
    machine = client(limits)
    commands = [smtp.Rcpt(mailbox) for mailbox in recipients]
    with pytest.raises(LocalProtocolError, match="the server allows"):
        machine.check_transaction(smtp.Mail(A), commands)
    machine.check_transaction(smtp.Mail(A), commands[:-1])
    machine.send(smtp.Mail(A))
    for command in commands[:-1]:
        machine.send(command)
    with pytest.raises(LocalProtocolError, match="the server allows"):
        machine.send(commands[-1])
    machine.send(smtp.Rset())
    machine.send(smtp.Mail(A))
    machine.send(commands[0])
    # RFC 9422 section 4.3: RCPTDOMAINMAX alone is of the session.
    if "domain" in limits:
        with pytest.raises(LocalProtocolError, match="domains of recipients in a session"):
            machine.send(commands[-1])


def test_a_client_keeps_MAILMAX() -> None:
    machine = client("MAILMAX=1")
    machine.send(smtp.Mail(A))
    machine.send(smtp.Rset())
    with pytest.raises(LocalProtocolError, match="the server allows 1 messages"):
        machine.send(smtp.Mail(A))


@pytest.mark.parametrize("limits", ["", "RCPTMAX", "RCPTMAX=", "RCPTMAX=x", "RCPTMAX=-1", "X=1",
                                    "RCPTMAX=0", "RCPTMAX=\u0661"])  # fmt: skip
def test_P17_a_limit_that_cannot_be_read_is_none(limits: str) -> None:
    machine = client(limits)
    machine.check_transaction(smtp.Mail(A), [smtp.Rcpt(A)] * 50)


@pytest.mark.parity("smtp-client LIMITS", "smtp-server LIMITS")
def test_client_and_server_agree() -> None:
    offered = " ".join(server().capabilities.keywords["LIMITS"])
    capabilities = client(offered).capabilities
    assert capabilities is not None
    names = ("MAILMAX", "RCPTMAX", "RCPTDOMAINMAX")
    assert [capabilities.limit(name) for name in names] == [2, 3, 1]
