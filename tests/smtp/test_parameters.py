"""The parameters that extensions add to MAIL and RCPT: the RFCs' examples, and what is refused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.errors import LocalProtocolError
from mailproto.smtp.extensions import MAIL_PARAMETERS, RCPT_PARAMETERS
from mailproto.smtp.parse import parse_command
from mailproto.smtp.serialize import serialize_command

ALICE = smtp.Mailbox("alice", "example.com")
NOON = datetime.datetime(2026, 12, 24, 12, 0, tzinfo=datetime.UTC)
LEAP = datetime.datetime(2017, 1, 1, tzinfo=datetime.UTC)
EXTENSIONS = tuple(
    smtp.Extension(name)
    for name in sorted({*MAIL_PARAMETERS.values(), *RCPT_PARAMETERS.values()})
    if name not in ("SIZE", "8BITMIME", "SMTPUTF8", "AUTH")
)


def server(
    extensions: tuple[smtp.Extension, ...] = EXTENSIONS, *, tls: bool = False
) -> smtp.Server:
    machine = smtp.Server("mx.example", offer=smtp.Offer(extensions=extensions), tls=tls)
    machine.accept()
    machine.receive_data(b"EHLO a\r\n")
    machine.next_event()
    machine.accept()
    machine.data_to_send()
    return machine


def give(machine: smtp.Server, line: str) -> object:
    machine.receive_data(line.encode() + b"\r\n")
    event = machine.next_event()
    machine.accept()
    return event


def beside(parameter: smtp.MailParameter) -> tuple[smtp.MailParameter, ...]:
    """The parameter with what it needs."""
    if isinstance(parameter, smtp.Mtrk):
        return (parameter, smtp.EnvId("1@example.com"))
    return (parameter,)


EXAMPLES: list[tuple[str, smtp.MailParameter | smtp.RcptParameter]] = [
    ("RET=HDRS", smtp.Ret("HDRS")),
    ("ret=full", smtp.Ret("FULL")),
    ("ENVID=QQ314159", smtp.EnvId("QQ314159")),
    ("ENVID=a+20b+2B", smtp.EnvId("a b+")),
    ("BY=120;R", smtp.DeliverBy(120, "R")),
    ("BY=+120;r", smtp.DeliverBy(120, "R")),
    ("BY=-98;NT", smtp.DeliverBy(-98, "N", True)),
    ("BY=0;N", smtp.DeliverBy(0, "N")),
    ("HOLDFOR=3600", smtp.HoldFor(3600)),
    ("HOLDUNTIL=2026-12-24T12:00:00Z", smtp.HoldUntil(NOON)),
    ("HOLDUNTIL=2026-12-24T13:30:00.0000000+01:30", smtp.HoldUntil(NOON)),
    ("HOLDUNTIL=2016-12-31T23:59:60Z", smtp.HoldUntil(LEAP)),
    ("HOLDUNTIL=2016-12-31T15:59:60-08:00", smtp.HoldUntil(LEAP)),
    ("MT-PRIORITY=6", smtp.MtPriority(6)),
    ("MT-PRIORITY=0", smtp.MtPriority(0)),
    ("MT-PRIORITY=-9", smtp.MtPriority(-9)),
    ("REQUIRETLS", smtp.RequireTLS()),
    (
        "SOLICIT=net.example:ADV,org.example:ADV:ADLT",
        smtp.Solicit(("net.example:ADV", "org.example:ADV:ADLT")),
    ),
    ("MTRK=cjJhZGE:86400", smtp.Mtrk(b"r2ada", 86400)),
    ("MTRK=cjJhZGE", smtp.Mtrk(b"r2ada")),
    ("MTRK=cjJhZGE=:000000001", smtp.Mtrk(b"r2ada", 1)),
    ("CONPERM", smtp.Conperm()),
    ("TRANSID=<12345@claremont.edu>", smtp.TransId("12345@claremont.edu")),
    ("NOTIFY=NEVER", smtp.Notify(frozenset())),
    ("NOTIFY=Success,failure", smtp.Notify(frozenset({"SUCCESS", "FAILURE"}))),
    ("NOTIFY=delay,,DELAY", smtp.Notify(frozenset({"DELAY"}))),
    ("ORCPT=rfc822;Bob@Example.COM", smtp.Orcpt("rfc822", "Bob@Example.COM")),
    ("ORCPT=rfc822;a+2Bb+3Dc+20d@e", smtp.Orcpt("rfc822", "a+b=c d@e")),
    ("ORCPT=x400;", smtp.Orcpt("x400", "")),
    ("ORCPT=UTF-8;\\x{E4}\\x{2b}\\x{1F600}@b", smtp.Orcpt("UTF-8", "ä+\U0001f600@b")),
    ("ORCPT=utf-8;ä@b", smtp.Orcpt("utf-8", "ä@b")),
    ("ORCPT=utf-8;a+2Bb@c", smtp.Orcpt("utf-8", "a+b@c")),
    ("RRVS=2026-12-24T12:00:00Z;C", smtp.Rrvs(NOON, "C")),
    ("RRVS=2026-12-24T12:00:00Z", smtp.Rrvs(NOON)),
    ("CONNEG", smtp.Conneg()),
]


def line_with(text: str) -> str:
    on_rcpt = text.partition("=")[0].upper() in RCPT_PARAMETERS
    tracked = "ENVID=1@example.com " if text.startswith("MTRK") else ""
    return f"{'RCPT TO' if on_rcpt else 'MAIL FROM'}:<alice@example.com> {tracked}{text}"


@pytest.mark.parametrize(("text", "parameter"), EXAMPLES)
def test_P19_examples_of_the_RFCs(
    text: str, parameter: smtp.MailParameter | smtp.RcptParameter
) -> None:
    machine = server(tls=True)
    line = line_with(text)
    if line.startswith("RCPT"):
        give(machine, "MAIL FROM:<>")
    event = give(machine, line)
    assert isinstance(event, smtp.Mail | smtp.Rcpt)
    assert event.parameters[-1] == parameter


MALFORMED = [
    "RET", "RET=BOTH", "ENVID", "ENVID=a+2", "ENVID=a+FF", "ENVID=a+0D+0A", "ENVID=" + "x" * 101,
    "ENVID=" + "+2B" * 34,
    "BY", "BY=120", "BY=0;R", "BY=-1;R", "BY=+0;R", "BY=1234567890;N", "BY=--1;N", "BY=+;N",
    "BY=1;X", "BY=1;NTT", "BY=\u0661;N",
    "HOLDFOR=0", "HOLDFOR=-1", "HOLDFOR=1234567890", "HOLDFOR", "HOLDFOR=\u0661",
    "HOLDUNTIL=2026-12-24", "HOLDUNTIL=2026-02-30T00:00:00Z", "HOLDUNTIL=2026-12-24T12:00:00",
    "HOLDUNTIL=0001-01-01T00:00:00+01:00", "HOLDUNTIL=2026-12-24T12:00:00+00:60",
    "HOLDUNTIL=2026-12-24T12:00:00+24:00", "HOLDUNTIL=2016-12-31T22:59:60Z",
    "HOLDUNTIL=2016-12-31T23:59:61Z", "HOLDUNTIL=9999-12-31T23:59:60Z",
    "HOLDUNTIL=2026-12-24T12:00:00.Z",
    "MT-PRIORITY=10", "MT-PRIORITY=+1", "MT-PRIORITY=-0", "MT-PRIORITY=", "MT-PRIORITY",
    "REQUIRETLS=1", "SOLICIT", "SOLICIT=,a", "SOLICIT=a,", "SOLICIT=1a",
    "SOLICIT=" + "a" * 1001, "MTRK", "MTRK=x", "MTRK=cjJhZGE=:", "MTRK=cjJhZGE=:1x", "MTRK==",
    "MTRK=cjJhZGE:1234567890", "MTRK=cjJhZGF", "MTRK=cjJhZ", "MTRK=cjJhZGE===",
    "CONPERM=x", "TRANSID=12345", "TRANSID=<>", "TRANSID=<a<b>", "TRANSID=<a>", "TRANSID=<a@>",
    "TRANSID=<a@b@c>", "TRANSID=<a..b@c>", "TRANSID=<a@b/c>", "TRANSID=<a@b>c",
    "TRANSID=<" + "a" * 76 + "@bb>",
    "NOTIFY", "NOTIFY=NEVER,DELAY", "NOTIFY=NEVER,", "NOTIFY=,", "NOTIFY=OFTEN",
    "ORCPT=Bob@example.com", "ORCPT=;x", "ORCPT=rfc822;a+2b", "ORCPT=(x);a", "ORCPT=rfc822;ä",
    "ORCPT=rfc822;+C3+A4", "ORCPT=rfc822;a+0D+0Ab", "ORCPT=utf-8;+C3+A4@b", "ORCPT=utf-8;\\x{0A}",
    "ORCPT=utf-8;\\x{0D}\\x{0A}", "ORCPT=utf-8;\\x{D800}", "ORCPT=utf-8;\\x{110000}",
    "ORCPT=utf-8;ä\\", "ORCPT=utf-8;\\x{41}ä", "ORCPT=utf-8;\\x{0E4}ä", "ORCPT=utf-8;ä+20",
    "ORCPT=rfc822;" + "x" * 500, "RRVS", "RRVS=x", "RRVS=2026-12-24T12:00:00Z;",
    "RRVS=2026-12-24T12:00:00Z;X", "RRVS=2026-12-24T12:00:00.5Z", "CONNEG=x",
    "HOLDFOR=1 HOLDUNTIL=2026-12-24T12:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_P17_malformed_values_are_501(text: str) -> None:
    machine = server(tls=True)
    line = line_with(text)
    if line.startswith("RCPT"):
        give(machine, "MAIL FROM:<>")
    event = give(machine, line)
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 501


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
def test_twice_or_on_the_wrong_command_or_not_offered(text: str) -> None:
    line = line_with(text)
    on_rcpt = line.startswith("RCPT")
    wrong = (
        line.replace("RCPT TO", "MAIL FROM") if on_rcpt else line.replace("MAIL FROM", "RCPT TO")
    )
    for machine, said, code in (
        (server(tls=True), f"{line} {text}", 501),
        (server(tls=True), wrong, 555),
        # RFC 4141 sections 4.2 and 5.2 want 504, RFC 5321 section 4.1.1.11 the other.
        (server((), tls=True), line, 504 if text in ("CONPERM", "CONNEG") else 555),
    ):
        if said.startswith("RCPT"):
            give(machine, "MAIL FROM:<>")
        event = give(machine, said)
        assert isinstance(event, smtp.Invalid)
        assert event.reply.code == code


def test_REQUIRETLS_is_offered_and_taken_under_TLS_only() -> None:
    plain, secure = server(), server(tls=True)
    assert "REQUIRETLS" not in plain.capabilities
    assert "REQUIRETLS" in secure.capabilities
    event = give(plain, "MAIL FROM:<> REQUIRETLS")
    assert isinstance(event, smtp.Invalid)
    assert event.reply.code == 555


def client(*offers: str, tls: bool = True) -> smtp.Client:
    machine = smtp.Client(tls=tls)
    machine.receive_data(b"220 mx\r\n")
    machine.next_event()
    machine.send(smtp.Ehlo("a"))
    lines = "".join(f"250-{offer}\r\n" for offer in offers)
    machine.receive_data(f"250-mx\r\n{lines}250 X\r\n".encode())
    machine.next_event()
    return machine


@pytest.mark.parametrize(("text", "parameter"), EXAMPLES)
def test_a_client_sends_only_what_was_offered(
    text: str, parameter: smtp.MailParameter | smtp.RcptParameter
) -> None:
    keyword = text.partition("=")[0].upper()
    if keyword in RCPT_PARAMETERS:
        command: smtp.Command = smtp.Rcpt(ALICE, (parameter,))  # type: ignore[arg-type]  # of RCPT
    else:
        command = smtp.Mail(ALICE, parameters=beside(parameter))  # type: ignore[arg-type]  # MAIL
    needs = {**MAIL_PARAMETERS, **RCPT_PARAMETERS}[keyword]
    for offer, allowed in ((("X",), False), ((needs, "DSN"), True)):
        machine = client(*offer)
        if isinstance(command, smtp.Rcpt):
            machine.send(smtp.Mail(ALICE))
            machine.receive_data(b"250 ok\r\n")
            machine.next_event()
        if allowed:
            machine.send(command)
        else:
            with pytest.raises(LocalProtocolError, match=needs):
                machine.send(command)


def test_a_client_asks_for_REQUIRETLS_under_TLS_only() -> None:
    for parameter in (smtp.RequireTLS(), smtp.Parameter("REQUIRETLS")):
        with pytest.raises(LocalProtocolError, match="REQUIRETLS needs TLS"):
            client("REQUIRETLS", tls=False).send(smtp.Mail(ALICE, parameters=(parameter,)))


def test_a_value_of_another_type_is_told_with_what_it_would_be_read_as() -> None:
    events: Any = ("NEVER",)
    rcpt = smtp.Rcpt(smtp.Mailbox("a", "b"), (smtp.Notify(events),))
    with pytest.raises(LocalProtocolError, match=r"would be read as Notify\(events=frozenset"):
        serialize_command(rcpt)


@given(st.text(max_size=12), st.integers())
def test_P04_any_value_gives_one_command_or_an_exception(text: str, number: int) -> None:
    commands: list[smtp.Command] = [
        smtp.Mail(ALICE, parameters=(parameter,))
        for parameter in (
            smtp.Ret(text),  # type: ignore[arg-type]  # wrong on purpose
            smtp.EnvId(text), smtp.DeliverBy(number, "R"), smtp.HoldFor(number),
            smtp.DeliverBy(number, text),  # type: ignore[arg-type]  # wrong on purpose
            smtp.HoldUntil(NOON.replace(tzinfo=None)), smtp.MtPriority(number),
            smtp.Solicit((text, text)), smtp.Mtrk(text.encode(errors="replace"), number),
            smtp.TransId(text), smtp.Parameter("RET", text),
        )
    ]  # fmt: skip
    commands += [
        smtp.Rcpt(ALICE, (parameter,))
        for parameter in (
            smtp.Orcpt(text, text),
            smtp.Notify(frozenset({text})),  # type: ignore[arg-type]  # wrong on purpose
            smtp.Rrvs(NOON.replace(tzinfo=None)),
        )
    ]
    for command in commands:
        try:
            wire = serialize_command(command)
        except LocalProtocolError:
            continue
        assert wire.count(b"\r\n") == 1
        read = parse_command(wire[:-2])
        assert read == command or isinstance(command, smtp.Mail | smtp.Rcpt)
        assert type(read) is type(command)
