"""What a server advertises is what it enforces, and what the client does not exceed."""

from __future__ import annotations

import datetime

import pytest
from attrs import evolve

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.commands import Command
from mailproto.smtp.serialize import serialize_command

ALICE = smtp.Mailbox.parse("alice@example.com")
UNTIL = datetime.datetime(2026, 12, 24, 12, 0, tzinfo=datetime.UTC)
LATER = UNTIL + datetime.timedelta(seconds=1)
OFFER = smtp.Offer(
    dsn=True,
    deliver_by=240,
    future_release=smtp.FutureRelease(3600, UNTIL),
    mt_priority="MIXER",
    rrvs=True,
    requiretls=True,
    no_soliciting=("net.example:ADV", "org.example:ADV:ADLT"),
    mtrk=True,
    conperm=True,
    checkpoint=True,
)
LIMITS = smtp.SMTPServerLimits(content=1000)


def server(offer: smtp.Offer = OFFER) -> smtp.Server:
    machine = smtp.Server("mx.example", offer=offer, limits=LIMITS, tls=True)
    machine.accept()
    machine.receive_data(b"EHLO a\r\n")
    machine.next_event()
    machine.accept()
    return machine


def client(machine: smtp.Server) -> smtp.Client:
    """A client that has heard what the server offers."""
    reader = smtp.Client(tls=True)
    greeting, _, hello = machine.data_to_send().partition(b"\r\n")
    reader.receive_data(greeting + b"\r\n")
    reader.next_event()
    reader.send(smtp.Ehlo("a"))
    reader.receive_data(hello)
    reader.next_event()
    reader.data_to_send()
    return reader


def mail(*parameters: smtp.MailParameter, size: int | None = None) -> smtp.Mail:
    return smtp.Mail(ALICE, size=size, parameters=parameters)


def as_sent(value: object) -> str | None:
    """For the name of a test: a command as its line."""
    return serialize_command(value).decode().strip() if isinstance(value, smtp.Mail) else None


ENV_ID = smtp.EnvId("QQ314159")


@pytest.mark.parity(
    "smtp-server DELIVERBY",
    "smtp-server FUTURERELEASE",
    "smtp-server MT-PRIORITY",
    "smtp-server NO-SOLICITING",
    "smtp-server MTRK",
    "smtp-server SIZE",
    "smtp-client DELIVERBY",
    "smtp-client FUTURERELEASE",
    "smtp-client MT-PRIORITY",
    "smtp-client NO-SOLICITING",
    "smtp-client MTRK",
    "smtp-client SIZE",
)
@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (mail(size=1000), None),
        (mail(size=1001), "552 5.3.4"),  # RFC 1870 section 6.1
        (mail(smtp.DeliverBy(240, "R")), None),
        (mail(smtp.DeliverBy(239, "R")), "555 5.5.4"),  # RFC 2852 sections 3 and 4
        (mail(smtp.DeliverBy(1, "N")), None),
        (mail(smtp.DeliverBy(-5, "N")), None),
        (mail(smtp.HoldFor(3600)), None),
        (mail(smtp.HoldFor(3601)), "501 5.5.4"),  # RFC 4865 section 4.2, items 7, 10 and 11
        (mail(smtp.HoldUntil(UNTIL)), None),
        (mail(smtp.HoldUntil(LATER)), "501 5.5.4"),  # items 8, 10 and 11
        (mail(smtp.HoldFor(3600), smtp.DeliverBy(3600, "R")), None),
        (mail(smtp.HoldFor(3600), smtp.DeliverBy(3599, "N")), "501 5.5.4"),  # section 5.2.2
        (mail(smtp.MtPriority(-9)), None),
        (mail(smtp.MtPriority(9)), None),
        (mail(smtp.Solicit(("net.example:OTHER",))), None),
        (mail(smtp.Solicit(("x:y", "Net.Example:adv"))), "550 5.7.1"),  # RFC 3865 section 2.4
        (mail(smtp.Mtrk(b"0" * 20), ENV_ID), None),
        (mail(smtp.Parameter("BY", "239;R")), "555 5.5.4"),
        (mail(smtp.Parameter("HOLDFOR", "3601")), "501 5.5.4"),
    ],
    ids=as_sent,
)
def test_P14_both_sides_keep_to_what_is_advertised(command: smtp.Mail, reply: str | None) -> None:
    machine = server()
    sender = client(machine)
    machine.receive_data(serialize_command(command))
    event = machine.next_event()
    machine.accept()
    said = machine.data_to_send().decode()
    if reply is None:
        assert said.startswith("250")
        sender.send(command)
        return
    assert isinstance(event, smtp.Invalid)
    assert said.startswith(reply + " ")
    with pytest.raises(LocalProtocolError, match="the server would refuse this MAIL: " + reply):
        sender.send(command)
    assert sender.data_to_send() == b""


@pytest.mark.parity("smtp-server FUTURERELEASE", "smtp-server DELIVERBY")
@pytest.mark.parametrize(
    ("until", "code"),
    [("12:59:59", b"250 2.1.0"), ("13:00:00", b"250 2.1.0"), ("13:00:01", b"501 5.5.4")],
)
def test_P19_RFC_4865_section_5_2_held_until_after_it_was_to_be_delivered(
    until: str, code: bytes
) -> None:
    offer = smtp.Offer(
        deliver_by=0, future_release=smtp.FutureRelease(9999, LATER.replace(hour=20))
    )
    machine = smtp.Server("mx.example", offer=offer, now=lambda: UNTIL)
    machine.accept()
    for line in ("EHLO a", f"MAIL FROM:<a@b> HOLDUNTIL=2026-12-24T{until}Z BY=3600;N"):
        machine.data_to_send()
        machine.receive_data(line.encode() + b"\r\n")
        machine.next_event()
        machine.accept()
    assert machine.data_to_send().startswith(code)


def test_a_solicitation_that_is_refused_is_named() -> None:
    machine = server()
    machine.data_to_send()
    machine.receive_data(b"MAIL FROM:<a@b> SOLICIT=x:y,org.example:ADV:ADLT\r\n")
    machine.next_event()
    machine.accept()
    assert machine.data_to_send() == b"550 5.7.1 SOLICIT=org.example:ADV:ADLT\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<a@b> MT-PRIORITY=10",
        "MAIL FROM:<a@b> MT-PRIORITY=-10",
        "MAIL FROM:<a@b> BY=0;R",
        "MAIL FROM:<a@b> HOLDFOR=0",
        "MAIL FROM:<a@b> HOLDFOR=5 HOLDUNTIL=2026-12-24T12:00:00Z",
        "MAIL FROM:<a@b> MTRK=MDAw",
    ],
)
def test_what_no_server_takes(line: str) -> None:
    machine = server()
    machine.receive_data(line.encode() + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 501


@pytest.mark.parametrize(
    "parameters",
    [(smtp.MtPriority(10),), (smtp.DeliverBy(0, "R"),), (smtp.HoldFor(0),), (smtp.Mtrk(b"0"),)],
    ids=repr,
)
def test_what_no_client_sends(parameters: tuple[smtp.MailParameter, ...]) -> None:
    sender = client(server())
    with pytest.raises(LocalProtocolError):
        sender.send(mail(*parameters))
    assert sender.data_to_send() == b""


@pytest.mark.parity("smtp-client CONPERM and CONNEG", "smtp-server CONPERM and CONNEG")
def test_P14_after_conperm_each_recipient_is_asked() -> None:
    machine = server(smtp.Offer(conperm=True, conneg=True))
    sender = client(machine)
    group: list[Command] = [mail(smtp.Conperm()), smtp.Rcpt(ALICE, (smtp.Conneg(),))]
    sender.send(group[0])
    with pytest.raises(LocalProtocolError, match="CONNEG"):
        sender.send(smtp.Rcpt(ALICE))
    sender.send(group[1])
    for command in group:
        machine.receive_data(serialize_command(command))
        assert machine.next_event() == command
        machine.accept()
    sender = client(server(smtp.Offer(conperm=True)))
    sender.send(mail(smtp.Conperm()))
    sender.send(smtp.Rcpt(ALICE))


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b> CONPERM", "RCPT TO:<a@b> CONNEG"])
def test_conversion_that_is_not_offered_is_a_504(line: str) -> None:
    machine = server(smtp.Offer())
    if line.startswith("RCPT"):
        machine.receive_data(b"MAIL FROM:<a@b>\r\n")
        machine.next_event()
        machine.accept()
    machine.receive_data(line.encode() + b"\r\n")
    event = machine.next_event()
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 504  # RFC 4141 section 4.2


def test_message_tracking_brings_parameters_of_dsn() -> None:
    machine = server(smtp.Offer(mtrk=True))
    sender = client(machine)
    tracked: list[Command] = [
        mail(smtp.Mtrk(b"0" * 20), ENV_ID),
        smtp.Rcpt(ALICE, (smtp.Orcpt("rfc822", "a@b"),)),
    ]
    for command in tracked:
        sender.send(command)
        machine.receive_data(serialize_command(command))
        assert machine.next_event() == command
        machine.accept()
    with pytest.raises(LocalProtocolError, match="NOTIFY needs DSN"):
        sender.send(smtp.Rcpt(ALICE, (smtp.Notify(frozenset()),)))
    sender = client(server(smtp.Offer()))
    with pytest.raises(LocalProtocolError, match="ENVID needs DSN or MTRK"):
        sender.send(mail(ENV_ID))


# ------------------------------------------------------------------------------- how it is told


def test_every_field_of_an_offer_is_told_and_understood() -> None:
    machine = server()
    offered = client(machine).capabilities
    assert offered is not None
    assert offered == machine.capabilities
    assert offered.deliver_by == 240
    assert offered.future_release == smtp.FutureRelease(3600, UNTIL)
    assert offered.priority_policy == "MIXER"
    assert offered.no_soliciting == ("net.example:ADV", "org.example:ADV:ADLT")
    assert set(offered.keywords) >= {"DSN", "RRVS", "REQUIRETLS", "MTRK", "CONPERM", "CHECKPOINT"}


@pytest.mark.parametrize(
    ("offer", "line"),
    [
        (smtp.Offer(deliver_by=0), b"250-DELIVERBY\r\n"),
        (smtp.Offer(deliver_by=120), b"250-DELIVERBY 120\r\n"),
        (
            smtp.Offer(future_release=smtp.FutureRelease(3600, UNTIL)),
            b"250-FUTURERELEASE 3600 2026-12-24T12:00:00Z\r\n",
        ),
        (smtp.Offer(mt_priority=""), b"250-MT-PRIORITY\r\n"),
        (smtp.Offer(mt_priority="STANAG4406"), b"250-MT-PRIORITY STANAG4406\r\n"),
        (smtp.Offer(no_soliciting=()), b"250-NO-SOLICITING\r\n"),
        (
            smtp.Offer(no_soliciting=("net.example:ADV", "a:b")),
            b"250-NO-SOLICITING net.example:ADV,a:b\r\n",
        ),
    ],
    ids=lambda value: "offer" if isinstance(value, smtp.Offer) else None,
)
def test_P19_how_the_RFCs_have_it_told(offer: smtp.Offer, line: bytes) -> None:
    machine = server(evolve(offer, extensions=(smtp.Extension("X-LAST"),)))
    assert line in machine.data_to_send()


def test_what_is_only_for_tls() -> None:
    machine = smtp.Server("mx.example", offer=OFFER)
    assert "REQUIRETLS" not in machine.capabilities
    assert "REQUIRETLS" in server().capabilities


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("FUTURERELEASE", None),
        ("FUTURERELEASE 5", None),
        ("FUTURERELEASE x 2026-12-24T12:00:00Z", None),
        ("FUTURERELEASE 5 tomorrow", None),
        ("FUTURERELEASE 5 2026-12-24T12:00:00Z", smtp.FutureRelease(5, UNTIL)),
    ],
)
def test_a_bound_that_cannot_be_read_is_none(line: str, release: smtp.FutureRelease | None) -> None:
    offered = smtp.Capabilities.of_reply(smtp.Reply(250, ("x", line, "DELIVERBY soon")))
    assert offered.future_release == release
    assert offered.deliver_by == 0
    assert offered.no_soliciting == ()
    assert offered.priority_policy is None


@pytest.mark.parametrize("keyword", ["ETRN", "atrn", "BURL", "STARTTLS", "CHUNKING", "AUTH"])
def test_a_command_is_offered_by_its_own_field(keyword: str) -> None:
    with pytest.raises(LocalProtocolError, match="field of its own"):
        smtp.Offer(extensions=(smtp.Extension(keyword),))
