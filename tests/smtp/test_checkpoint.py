"""CHECKPOINT (RFC 1845) on both machines: a transaction that goes on in another session."""

from __future__ import annotations

import pytest

from mailproto import smtp
from mailproto.errors import LocalProtocolError, RemoteProtocolError
from mailproto.smtp.states import State
from mailproto.testing import Link

NED = smtp.Mailbox.parse("ned@ymir.claremont.edu")
MROSE = smtp.Mailbox.parse("mrose@dbc.mtview.ca.us")
MAIL = smtp.Mail(NED, parameters=(smtp.TransId("12345@claremont.edu"),))
OFFER = smtp.Offer(checkpoint=True, chunking=False, enhanced_codes=False, smtputf8=False)
CONTENT = b"0123456789abc\r\n" * 409  # 6135 octets


def server(offer: smtp.Offer = OFFER, **options: object) -> smtp.Server:
    machine = smtp.Server("dbc.mtview.ca.us", offer=offer, **options)  # type: ignore[arg-type]  # options of any kind
    machine.accept()
    give(machine, b"EHLO ymir.claremont.edu\r\n")
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, data: bytes) -> list[object]:
    machine.receive_data(data)
    events: list[object] = []
    while not isinstance(event := machine.next_event(), smtp.ConnectionClosed | type(smtp.PAUSED)):
        events.append(event)
        if not isinstance(event, smtp.Body):
            machine.accept()
    return events


def resumed(
    offset: int, recipients: int = 1, offer: smtp.Offer = OFFER, **options: object
) -> smtp.Server:
    machine = server(offer, **options)
    machine.receive_data(b"MAIL FROM:<a@b> TRANSID=<1@c>\r\n")
    machine.next_event()
    machine.resume(offset, recipients)
    machine.data_to_send()
    return machine


def client(
    extensions: bytes = b"250-PIPELINING\r\n250 CHECKPOINT\r\n", *, lmtp: bool = False
) -> smtp.Client:
    machine = smtp.Client(lmtp=lmtp)
    machine.receive_data(b"220 dbc.mtview.ca.us SMTP service ready\r\n")
    machine.next_event()
    machine.send(smtp.Lhlo("a") if lmtp else smtp.Ehlo("ymir.claremont.edu"))
    machine.receive_data(b"250-dbc.mtview.ca.us says hello\r\n" + extensions)
    machine.next_event()
    machine.data_to_send()
    return machine


def test_the_transaction_is_where_it_was() -> None:
    machine = resumed(100, recipients=3)
    assert machine.state is State.RECIPIENTS
    assert machine.recipients == 3
    assert machine.transaction is not None
    give(machine, b"RCPT TO:<d@e>\r\n")
    assert machine.recipients == 4
    give(machine, b"RSET\r\nMAIL FROM:<a@b>\r\nDATA\r\n")
    assert machine.recipients == 0


def test_the_limits_count_what_came_before() -> None:
    machine = resumed(90, limits=smtp.SMTPServerLimits(content=100, recipients=1))
    assert [type(event) for event in give(machine, b"RCPT TO:<d@e>\r\n")] == [smtp.Invalid]
    events = give(machine, b"DATA\r\n0123456789abcd\r\n.\r\n")
    assert events[1:] == [
        smtp.Body(b"0123456789"),
        smtp.BadContent(
            smtp.ContentProblem.TOO_LARGE,
            100,
            smtp.Reply(552, "Message larger than 100 octets", smtp.EnhancedCode(5, 3, 4)),
        ),
    ]
    # What is wrong is told by its place in the whole content.
    machine = resumed(90)
    bad = give(machine, b"DATA\r\nab\ncd\r\n.\r\n")[-1]
    assert isinstance(bad, smtp.BadContent)
    assert bad.offset == 92
    # And the next transaction begins at nothing.
    machine = resumed(90, limits=smtp.SMTPServerLimits(content=100))
    give(machine, b"DATA\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    assert give(machine, b"x" * 50 + b"\r\n.\r\n")[-1] == smtp.EndOfMessage()


def test_a_chunk_may_go_on_anywhere() -> None:
    machine = resumed(7, offer=smtp.Offer(checkpoint=True))
    events = give(machine, b"BDAT 3 LAST\r\nx\r\n")
    assert events == [smtp.Body(b"x\r\n"), smtp.EndOfMessage()]


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@b>", b"NOOP"])
def test_only_a_mail_with_transid_is_resumed(line: bytes) -> None:
    machine = server()
    with pytest.raises(LocalProtocolError):
        machine.resume(1, 1)
    machine.receive_data(line + b"\r\n")
    machine.next_event()
    with pytest.raises(LocalProtocolError):
        machine.resume(1, 1)
    with pytest.raises(LocalProtocolError):
        machine.send(smtp.Reply(355, "1 is the transaction offset"))
    assert machine.data_to_send() == b""
    assert machine.next_event() is smtp.PAUSED


@pytest.mark.parametrize(("offset", "recipients"), [(-1, 1), (0, 0), (2**62, 1)])
def test_a_resumption_has_to_make_sense(offset: int, recipients: int) -> None:
    machine = server()
    machine.receive_data(b"MAIL FROM:<a@b> TRANSID=<1@c>\r\n")
    machine.next_event()
    with pytest.raises(LocalProtocolError):
        machine.resume(offset, recipients)
    machine.send(smtp.Reply(451, "no"))


def test_the_client_waits_whether_it_is_a_resumption() -> None:
    machine = client()
    machine.send(MAIL)
    for command in (smtp.Rcpt(MROSE), smtp.Rset()):
        with pytest.raises(LocalProtocolError, match="before the reply to MAIL"):
            machine.send(command)
    machine.receive_data(b"250 ok\r\n")
    machine.next_event()
    assert machine.resumed is None
    machine.send(smtp.Rcpt(MROSE))
    machine.send(smtp.Rset())


@pytest.mark.parametrize("text", ["", "x", "-1 a", "1x", "is 7", "9223372036854775808 a", "١ a"])
def test_an_offset_that_is_none(text: str) -> None:
    machine = client()
    machine.send(MAIL)
    machine.receive_data(f"355 {text}\r\n".encode())
    with pytest.raises(RemoteProtocolError, match="offset"):
        machine.next_event()


@pytest.mark.parametrize("text", ["0", "6135", "6135 is the transaction offset", "7\tand so on"])
def test_an_offset(text: str) -> None:
    machine = client()
    machine.send(MAIL)
    machine.receive_data(f"355 {text}\r\n".encode())
    machine.next_event()
    assert machine.resumed == int(text.split()[0])
    assert machine.state is State.RECIPIENTS


def test_a_355_nobody_asked_for() -> None:
    machine = client()
    machine.send(smtp.Mail(NED))
    machine.receive_data(b"355 7 is the transaction offset\r\n")
    with pytest.raises(RemoteProtocolError, match="355 does not answer MAIL"):
        machine.next_event()


def test_what_was_not_offered() -> None:
    machine = client(b"250 PIPELINING\r\n")
    with pytest.raises(LocalProtocolError, match="TRANSID needs CHECKPOINT"):
        machine.send(MAIL)
    machine = client(lmtp=True)
    with pytest.raises(LocalProtocolError, match="not for LMTP"):
        machine.send(MAIL)
    assert "CHECKPOINT" not in smtp.Server(lmtp=True, offer=OFFER).capabilities
    (event,) = give(server(smtp.Offer()), b"MAIL FROM:<a@b> TRANSID=<1@c>\r\n")
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 555


@pytest.mark.parametrize("held", [0, 15, 6135 - 15, 6135])
def test_both_machines_finish_what_was_begun(held: int) -> None:
    received = bytearray(CONTENT[:held])

    def take(machine: smtp.Server, event: object) -> None:
        match event:
            case smtp.Mail():
                machine.resume(held, recipients=1)
            case smtp.Body():
                received.extend(event.data)
            case _:
                machine.accept()

    link = Link(smtp.Client(), smtp.Server("mx", offer=OFFER), on_server=take, sizes=(100, 1))
    link.pump()
    for command in (smtp.Ehlo("a"), MAIL, smtp.Data()):
        link.client.send(command)
        link.pump()
    assert link.client.resumed == held
    link.client.send(smtp.Body(CONTENT[held:]))
    link.client.send(smtp.EndOfMessage())
    link.pump()
    assert bytes(received) == CONTENT
    assert link.client_events[-1] == smtp.Reply(250, "OK")
    # The next one has nothing that came before.
    assert link.client.resumed is None
