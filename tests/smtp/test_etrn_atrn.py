"""ETRN (RFC 1985) and ATRN (RFC 2645) on both machines; the connection that is turned round."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.states import State
from mailproto.testing import Link

OFFER = smtp.Offer(
    mechanisms=("PLAIN",), insecure_auth=True, enhanced_codes=False, etrn=True, atrn=True
)
ENHANCED = smtp.Offer(mechanisms=("PLAIN",), insecure_auth=True, etrn=True, atrn=True)


def accept(server: smtp.Server, event: object) -> None:
    if isinstance(event, smtp.Auth):
        server.send(smtp.Reply(235, "now authenticated as example.org"))
    elif not isinstance(event, smtp.Body):
        server.accept()


def session(offer: smtp.Offer = OFFER, *, lmtp: bool = False, login: bool = False) -> smtp.Server:
    machine = smtp.Server("mx.example", offer=offer, lmtp=lmtp)
    machine.accept()
    give(machine, b"LHLO a\r\n" if lmtp else b"EHLO a\r\n")
    if login:
        give(machine, b"AUTH PLAIN AGEAYg==\r\n")
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, data: bytes) -> object:
    machine.receive_data(data)
    event = machine.next_event()
    accept(machine, event)
    return event


def code(machine: smtp.Server, line: bytes) -> int:
    give(machine, line + b"\r\n")
    return int(machine.data_to_send()[:3])


def test_an_accepted_etrn_is_a_250_and_changes_nothing() -> None:
    machine = session(ENHANCED)
    machine.receive_data(b"etrn Example.COM\r\n")
    assert machine.next_event() == smtp.Etrn("Example.COM")
    machine.accept()
    assert machine.data_to_send() == b"250 2.0.0 OK, queuing started\r\n"
    assert machine.state is State.READY


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"ETRN example.com", 503),
        (b"ATRN", 503),
        (b"RSET", 250),
    ],
)
def test_neither_has_a_place_in_a_transaction(line: bytes, expected: int) -> None:
    machine = session(login=True)
    assert code(machine, b"MAIL FROM:<>") == 250
    assert code(machine, line) == expected


def test_what_was_not_offered_is_refused() -> None:
    machine = session(smtp.Offer())
    assert "ETRN" not in machine.capabilities
    assert code(machine, b"ETRN example.com") == 502
    assert code(machine, b"ATRN example.com") == 502
    machine = session(OFFER, lmtp=True)
    assert "ETRN" not in machine.capabilities
    assert "ATRN" not in machine.capabilities
    assert code(machine, b"ETRN example.com") == 502
    assert code(machine, b"ATRN example.com") == 502
    machine = session()
    give(machine, b"HELO a\r\n")
    machine.data_to_send()
    assert code(machine, b"ETRN example.com") == 503
    client = smtp.Client()
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("a"))
    client.receive_data(b"250 x\r\n")
    client.next_event()
    client.data_to_send()
    for command in (smtp.Etrn("example.com"), smtp.Atrn()):
        with pytest.raises(LocalProtocolError, match=r"the server has not offered (ETRN|ATRN)"):
            client.send(command)
    assert client.data_to_send() == b""


@pytest.mark.parametrize(
    "argument",
    [
        b"localname",
        b"@localname",
        b"#",
        b"# x",
        b"a.b c.d",
        b"-a.b",
        b"a..b",
        b"a.b.",
        b"[1.2.3.4]",
    ],
)
def test_etrn_wants_a_full_domain_name(argument: bytes) -> None:
    assert code(session(), b"ETRN " + argument) == 501


@pytest.mark.parametrize("argument", [b"a", b"a.b,", b",a.b", b"a.b, c.d", b"a.b c.d", b"@a.b"])
def test_atrn_wants_full_domain_names(argument: bytes) -> None:
    assert code(session(login=True), b"ATRN " + argument) == 501


@pytest.mark.parametrize(
    "command",
    [
        smtp.Etrn(""), smtp.Etrn("a.b\r\nQUIT"), smtp.Etrn("@a.b"), smtp.Etrn("#q"),
        smtp.Etrn("a.b c"), smtp.Etrn("", "#"), smtp.Etrn("a\x00b", "#"), smtp.Atrn(("",)),
        smtp.Atrn(("a.b,c.d",)), smtp.Atrn(("a.b\r\n",)), smtp.Atrn(("a.b", "")),
    ],
    ids=repr,
)  # fmt: skip
def test_P04_what_is_no_argument_is_not_sent(command: Command) -> None:
    client = smtp.Client()
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("a"))
    client.receive_data(b"250-x\r\n250-ETRN\r\n250 ATRN\r\n")
    client.next_event()
    client.data_to_send()
    with pytest.raises(LocalProtocolError):
        client.send(command)
    assert client.data_to_send() == b""


# ------------------------------------------------------------------------------------------ ATRN

# The customer is the server now.


@pytest.mark.parametrize("size", [None, 1, 7])
def test_a_message_goes_the_other_way_once_the_connection_is_turned(size: int | None) -> None:
    received: list[bytes] = []

    def customer(server: smtp.Server, event: object) -> None:
        if isinstance(event, smtp.Body):
            received.append(event.data)
        else:
            accept(server, event)

    sizes = () if size is None else (size,)
    link = Link(
        smtp.Client(allow_insecure_auth=True),
        smtp.Server("provider.example", offer=OFFER),
        on_server=lambda server, event: (
            accept(server, event)
            if event is not smtp.PAUSED or server.state is State.GREETING
            else None
        ),
        sizes=sizes,
    )
    link.pump()
    hello = smtp.Ehlo("customer.example")
    for request in (hello, smtp.Auth("PLAIN", b"\0a\0b"), smtp.Atrn()):
        link.client.send(request)
        link.pump()
    assert link.client.state is link.server.state is State.REVERSED
    assert link.client.next_event() is link.server.next_event() is smtp.PAUSED
    # The customer's client hands over to a server, and the provider's server to a client.
    turned = Link(smtp.Client(), smtp.Server("customer.example"), on_server=customer, sizes=sizes)
    assert link.server.trailing_data == link.client.trailing_data == b""
    turned.pump()
    commands: list[Command] = [
        smtp.Ehlo("provider.example"),
        smtp.Mail(smtp.Mailbox.parse("alice@example.com")),
        smtp.Rcpt(smtp.Mailbox.parse("bob@customer.example")),
        smtp.Data(),
        smtp.Body(b"Subject: held\r\n\r\n.for you\r\n"),
        smtp.EndOfMessage(),
        smtp.Quit(),
    ]
    for command in commands:
        turned.client.send(command)
        turned.pump()
    assert b"".join(received) == b"Subject: held\r\n\r\n.for you\r\n"
    assert turned.client.closing


def test_a_machine_that_was_turned_round_says_nothing_more() -> None:
    server = session(login=True)
    server.receive_data(b"ATRN\r\n220 early\r\n")
    assert server.next_event() == smtp.Atrn()
    assert server.trailing_data == b""
    server.accept()
    server.receive_data(b"more")
    assert server.trailing_data == b"220 early\r\nmore"
    assert server.next_event() is smtp.PAUSED
    for reply in (smtp.Reply(421, "x"), smtp.Reply(250, "x")):
        with pytest.raises(LocalProtocolError, match="turned round"):
            server.send(reply)
    with pytest.raises(LocalProtocolError):
        server.accept()
    client = smtp.Client()
    client.receive_data(b"220 x\r\n")
    client.next_event()
    client.send(smtp.Ehlo("a"))
    client.receive_data(b"250-x\r\n250 ATRN\r\n")
    client.next_event()
    client.send(smtp.Atrn(("example.org",)))
    assert client.timeout_hint >= 600  # RFC 2645 section 5.2.1
    assert client.trailing_data == b""
    client.receive_data(b"250 x\r\nEHLO early\r\n")
    client.next_event()
    assert client.trailing_data == b"EHLO early\r\n"
    for command in (smtp.Noop(), smtp.Quit(), smtp.Ehlo("a")):
        with pytest.raises(LocalProtocolError, match="turned round"):
            client.send(command)


@pytest.mark.parametrize("refusal", [450, 451, 453])
def test_a_refused_atrn_turns_nothing(refusal: int) -> None:
    server = session(login=True)
    server.receive_data(b"ATRN example.org\r\n")
    server.next_event()
    server.send(smtp.Reply(refusal, "no"))
    assert server.state is State.READY
    assert server.data_to_send() == b"%d no\r\n" % refusal
    assert code(server, b"NOOP") == 250
    assert server.trailing_data == b""


def test_atrn_needs_a_login() -> None:
    assert code(session(), b"ATRN example.org") == 530
