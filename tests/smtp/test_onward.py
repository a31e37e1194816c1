"""What a relay passes on, by the words of each extension's RFC."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailproto import smtp
from mailproto.smtp import (
    NULL_PATH,
    BodyType,
    Capabilities,
    DeliverBy,
    EnvId,
    HoldFor,
    HoldUntil,
    Mail,
    Mailbox,
    MtPriority,
    Mtrk,
    Notify,
    Orcpt,
    Parameter,
    Rcpt,
    Reply,
    RequireTLS,
    Ret,
    Rrvs,
    Solicit,
    TransId,
)
from mailproto.smtp.onward import Hop, Onward, mail_onward, rcpt_onward

ALICE, BOB = Mailbox("alice", "example.com"), Mailbox("bob", "example.org")
JÖRG = Mailbox("jörg", "example.org")
PLAIN = Mail(ALICE)
WHEN = datetime.datetime(2026, 12, 24, 18, tzinfo=datetime.UTC)
EVERYTHING = (
    "8BITMIME BINARYMIME CHUNKING SMTPUTF8 AUTH DSN DELIVERBY FUTURERELEASE MT-PRIORITY REQUIRETLS"
    " NO-SOLICITING MTRK CONPERM CONNEG RRVS X-MORE"
)


def hop(
    offered: str = "", *, without: str = "", tls: bool = False, elapsed: int = 0, by: str = ""
) -> Hop:
    keywords = {word: () for word in offered.split() if word != without}
    if by:
        keywords["DELIVERBY"] = (by,)  # type: ignore[assignment]  # of any length
    return Hop(Capabilities("mx", keywords), tls, elapsed)


def mail(*parameters: smtp.MailParameter, **fields: object) -> Mail:
    return Mail(ALICE, parameters=parameters, **fields)  # type: ignore[arg-type]  # any field


def said(passed: Onward[Mail] | Reply) -> str:
    """What is refused with, or which parameters go on, with those left out behind a bar."""
    if isinstance(passed, Reply):
        return f"{passed.code} {passed.enhanced}"
    words = [
        p.keyword if p.value is None else f"{p.keyword}={p.value}"
        for p in passed.command.parameters
    ]
    return " ".join(words) + "|" + " ".join(p.keyword for p in passed.left_out)


# -------------------------------------------------------------------------------- content


@pytest.mark.parametrize(
    ("body", "offered", "expected"),
    [
        (BodyType.BINARY_MIME, "BINARYMIME CHUNKING", BodyType.BINARY_MIME),
        (BodyType.BINARY_MIME, "BINARYMIME", "5.6.3"),
        (BodyType.BINARY_MIME, "8BITMIME CHUNKING", "5.6.3"),
        (BodyType.EIGHT_BIT_MIME, "8BITMIME", BodyType.EIGHT_BIT_MIME),
        (BodyType.EIGHT_BIT_MIME, "", "5.6.3"),
        (BodyType.SEVEN_BIT, "8BITMIME", BodyType.SEVEN_BIT),
        (BodyType.SEVEN_BIT, "", None),
        (None, "8BITMIME", None),
    ],
)
def test_content_goes_where_it_can_be_taken_as_it_is(
    body: BodyType, offered: str, expected: object
) -> None:
    """RFC 6152 section 3, RFC 3030 section 3: convert, or treat it as a permanent error."""
    passed = mail_onward(mail(body=body), hop(offered))
    if isinstance(passed, Reply):
        assert (passed.code, str(passed.enhanced)) == (554, expected)
    else:
        assert passed.command.body is expected


def test_content_that_is_ASCII_needs_nothing() -> None:
    declared = mail(body=BodyType.EIGHT_BIT_MIME, smtputf8=True)
    passed = mail_onward(declared, hop(), is_ascii=True)
    assert isinstance(passed, Onward)
    assert passed.command == PLAIN
    assert passed.left_out == (Parameter("BODY", "8BITMIME"), Parameter("SMTPUTF8"))


def test_the_size_is_not_that_of_the_client() -> None:
    passed = mail_onward(mail(size=100), hop("SIZE"))
    assert isinstance(passed, Onward)
    assert passed.command.size is None


# ------------------------------------------------------------------------------ SMTPUTF8


def test_internationalized_messages_stop_where_there_is_no_SMTPUTF8() -> None:
    """RFC 6531 section 3.2 and 3.5."""
    utf8 = hop("SMTPUTF8 8BITMIME")
    for sender in (ALICE, JÖRG):
        passed = mail_onward(Mail(sender, smtputf8=True), utf8)
        assert isinstance(passed, Onward)
        assert passed.command.smtputf8
    assert said(mail_onward(Mail(JÖRG, smtputf8=True), hop())) == "550 5.6.7"
    assert said(mail_onward(Mail(ALICE, smtputf8=True), hop())) == "554 5.6.9"
    assert isinstance(rcpt_onward(Rcpt(JÖRG), Mail(ALICE, smtputf8=True), utf8), Onward)
    refused = rcpt_onward(Rcpt(JÖRG), Mail(ALICE, smtputf8=True), hop())
    assert isinstance(refused, Reply)
    assert (refused.code, str(refused.enhanced)) == (553, "5.6.7")


# -------------------------------------------------------------------------------- DSN


def test_notifications_are_asked_for_in_the_same_words() -> None:
    """RFC 3461 section 5.2.1."""
    asked = mail(Ret("HDRS"), EnvId("QQ314159"))
    recipient = Rcpt(BOB, (Notify(frozenset({"SUCCESS"})), Orcpt("rfc822", "Bob@Example.com")))
    passed = mail_onward(asked, hop("DSN"))
    assert passed == Onward(asked)
    assert rcpt_onward(recipient, asked, hop("DSN")) == Onward(recipient)
    # Nothing is added.
    assert rcpt_onward(Rcpt(BOB), PLAIN, hop("DSN")) == Onward(Rcpt(BOB))


def test_without_DSN_nothing_of_it_is_said_and_all_of_it_is_named() -> None:
    """RFC 3461 section 5.2.2."""
    asked = mail(Ret("FULL"), EnvId("QQ314159"))
    recipient = Rcpt(BOB, (Notify(frozenset()), Orcpt("rfc822", "bob@example.com")))
    assert mail_onward(asked, hop()) == Onward(PLAIN, asked.parameters)
    assert rcpt_onward(recipient, asked, hop()) == Onward(Rcpt(BOB), recipient.parameters)


# ------------------------------------------------------------------------------ DELIVERBY


@pytest.mark.parametrize(
    ("by", "at", "expected"),
    [
        (DeliverBy(120, "R"), hop("DELIVERBY", elapsed=20), "BY=100;R|"),
        (DeliverBy(120, "R"), hop("DELIVERBY", elapsed=119), "BY=1;R|"),
        (DeliverBy(120, "R"), hop("DELIVERBY", elapsed=120), "554 5.4.7"),
        (DeliverBy(120, "R"), hop("", elapsed=120), "554 5.4.7"),
        (DeliverBy(120, "R"), hop(""), "554 5.3.3"),
        (DeliverBy(120, "R"), hop(by="120"), "BY=120;R|"),
        (DeliverBy(120, "R"), hop(by="121"), "554 5.3.3"),
        (DeliverBy(120, "R"), hop(by="119,more", elapsed=2), "554 5.3.3"),
        (DeliverBy(120, "R"), hop(by="what"), "BY=120;R|"),
        (DeliverBy(120, "N", trace=True), hop("DELIVERBY", elapsed=20), "BY=100;NT|"),
        (DeliverBy(120, "N"), hop("DELIVERBY", elapsed=150), "BY=-30;N|"),
        (DeliverBy(120, "N"), hop(by="1000"), "BY=120;N|"),
        (DeliverBy(120, "N"), hop(""), "|BY"),
        (DeliverBy(-999_999_999, "N"), hop("DELIVERBY", elapsed=9), "BY=-999999999;N|"),
    ],
)
def test_the_time_for_delivery_is_what_is_left_of_it(by: DeliverBy, at: Hop, expected: str) -> None:
    """RFC 2852 section 4.1.4."""
    assert said(mail_onward(mail(by), at)) == expected


@pytest.mark.parametrize(
    ("notify", "expected"),
    [
        (None, {"FAILURE", "DELAY"}),
        ({"SUCCESS"}, {"SUCCESS", "DELAY"}),
        ({"DELAY"}, {"DELAY"}),
        (set(), set()),
    ],
)
def test_whoever_does_not_watch_the_time_is_asked_to_tell_of_delays(
    notify: set[str] | None, expected: set[str]
) -> None:
    """RFC 2852 section 4.1.4.2."""
    asked = () if notify is None else (Notify(frozenset(notify)),)  # type: ignore[arg-type]  # names
    recipient = Rcpt(BOB, asked)
    late = mail(DeliverBy(120, "N"))
    passed = rcpt_onward(recipient, late, hop("DSN"))
    assert passed == Onward(Rcpt(BOB, (Notify(frozenset(expected)),)))  # type: ignore[arg-type]  # names
    for unchanged in (hop("DSN DELIVERBY"), hop("DSN", elapsed=120)):
        assert rcpt_onward(recipient, late, unchanged) == Onward(recipient)
    assert rcpt_onward(recipient, late, hop()) == Onward(Rcpt(BOB), asked)


# -------------------------------------------------------------------------- the other ones


@pytest.mark.parametrize(
    ("parameter", "at", "expected"),
    [
        # RFC 8689 section 4.2.1
        (RequireTLS(), hop("REQUIRETLS", tls=True), "REQUIRETLS|"),
        (RequireTLS(), hop(tls=True), "550 5.7.30"),
        (RequireTLS(), hop("REQUIRETLS"), "550 5.7.10"),
        # RFC 4865: released no earlier, or not at all
        (HoldFor(60), hop("FUTURERELEASE", elapsed=10), "HOLDFOR=50|"),
        (HoldFor(60), hop(), "554 5.3.3"),
        (HoldFor(60), hop("FUTURERELEASE", elapsed=60), "|HOLDFOR"),
        (HoldUntil(WHEN), hop("FUTURERELEASE"), "HOLDUNTIL=2026-12-24T18:00:00Z|"),
        (HoldUntil(WHEN), hop(), "554 5.3.3"),
        # RFC 6710 section 4.2 and 4.3
        (MtPriority(3), hop("MT-PRIORITY"), "MT-PRIORITY=3|"),
        (MtPriority(3), hop(), "|MT-PRIORITY"),
        # RFC 3885 section 3.1
        (Mtrk(b"x" * 20, 60), hop("MTRK", elapsed=20), "MTRK=eHh4eHh4eHh4eHh4eHh4eHh4eHg:40|"),
        (Mtrk(b"x" * 20), hop("MTRK", elapsed=20), "MTRK=eHh4eHh4eHh4eHh4eHh4eHh4eHg|"),
        (Mtrk(b"x" * 20, 60), hop("MTRK", elapsed=60), "|MTRK"),
        (Mtrk(b"x" * 20, 60), hop(), "|MTRK"),
        # RFC 4141 section 4.2
        (smtp.Conperm(), hop("CONPERM"), "CONPERM|"),
        (smtp.Conperm(), hop(), "554 5.6.3"),
        # RFC 3865, RFC 1845, and what no RFC knows
        (Solicit(("net.example:ADV",)), hop("NO-SOLICITING"), "SOLICIT=net.example:ADV|"),
        (Solicit(("net.example:ADV",)), hop(), "|SOLICIT"),
        (TransId("1@example.com"), hop("CHECKPOINT"), "|TRANSID"),
        (Parameter("X-MORE", "1"), hop("X-MORE"), "X-MORE=1|"),
        (Parameter("X-MORE", "1"), hop(), "|X-MORE"),
    ],
)
def test_each_parameter_has_its_rule(parameter: smtp.MailParameter, at: Hop, expected: str) -> None:
    assert said(mail_onward(mail(parameter), at)) == expected


@pytest.mark.parametrize(
    ("auth", "offered", "expected"),
    [
        (ALICE, "AUTH", ALICE),
        (NULL_PATH, "AUTH", NULL_PATH),
        (None, "AUTH", None),
        (ALICE, "", None),
        (NULL_PATH, "", None),
    ],
)
def test_who_submitted_it_is_told_where_AUTH_is_known(
    auth: smtp.ReversePath | None, offered: str, expected: object
) -> None:
    """RFC 4954 section 5."""
    passed = mail_onward(mail(auth=auth), hop(offered))
    assert isinstance(passed, Onward)
    assert passed.command.auth == expected


@pytest.mark.parametrize(
    ("otherwise", "expected"), [("C", "left out"), ("R", "550 5.7.19"), (None, "550 5.7.19")]
)
def test_a_mailbox_that_nobody_checks(otherwise: object, expected: str) -> None:
    """RFC 7293 section 5.1.1."""
    recipient = Rcpt(BOB, (Rrvs(WHEN, otherwise),))  # type: ignore[arg-type]  # one of three
    assert rcpt_onward(recipient, PLAIN, hop("RRVS")) == Onward(recipient)
    passed = rcpt_onward(recipient, PLAIN, hop())
    if isinstance(passed, Reply):
        assert f"{passed.code} {passed.enhanced}" == expected
    else:
        assert (passed, expected) == (Onward(Rcpt(BOB), recipient.parameters), "left out")


def test_what_tracking_needs_goes_with_it() -> None:
    """RFC 3885 section 2: MTRK brings ENVID and ORCPT, without DSN too."""
    tracked = mail(EnvId("7"), Mtrk(b"x" * 20))
    assert mail_onward(tracked, hop("MTRK")) == Onward(tracked)
    recipient = Rcpt(BOB, (Orcpt("rfc822", "bob@example.com"),))
    assert rcpt_onward(recipient, tracked, hop("MTRK")) == Onward(recipient)


def test_permission_to_convert_goes_with_the_wish_to_know_what_for() -> None:
    """RFC 4141 section 5.2."""
    permitted = mail(smtp.Conperm())
    with_conneg = Onward(Rcpt(BOB, (smtp.Conneg(),)))
    for recipient in (Rcpt(BOB), Rcpt(BOB, (smtp.Conneg(),))):
        assert rcpt_onward(recipient, permitted, hop("CONPERM CONNEG")) == with_conneg
    assert rcpt_onward(Rcpt(BOB), permitted, hop("CONPERM")) == Onward(Rcpt(BOB))
    assert rcpt_onward(Rcpt(BOB), PLAIN, hop("CONPERM CONNEG")) == Onward(Rcpt(BOB))


EACH: list[smtp.MailParameter] = [
    Ret("FULL"),
    EnvId("7"),
    DeliverBy(60, "R"),
    DeliverBy(60, "N"),
    HoldFor(60),
    HoldUntil(WHEN),
    MtPriority(-3),
    RequireTLS(),
    Solicit(("net.example:ADV",)),
    Mtrk(b"x" * 20, 60),
    smtp.Conperm(),
    TransId("1@example.com"),
    Parameter("X-MORE", "1"),
]


@given(
    st.lists(st.sampled_from(EACH), unique_by=lambda parameter: parameter.keyword).filter(
        # Neither a client nor a server here lets such a MAIL through.
        lambda parameters: {HoldFor(60), HoldUntil(WHEN)} - set(parameters)
    ),
    st.sampled_from([None, *BodyType]),
    st.booleans(),
    st.sets(st.sampled_from(EVERYTHING.split())),
    st.booleans(),
    st.integers(0, 100),
)
def test_what_goes_on_can_be_sent(
    parameters: list[smtp.MailParameter],
    body: BodyType | None,
    smtputf8: bool,
    offered: set[str],
    tls: bool,
    elapsed: int,
) -> None:
    """A client with these capabilities takes it, and no parameter is lost without being named."""
    if any(isinstance(p, Mtrk) for p in parameters):
        # RFC 3885 section 3.2: MTRK needs ENVID.
        parameters = [EnvId("7"), *(p for p in parameters if not isinstance(p, EnvId))]
    given_mail = Mail(ALICE, 10, body, smtputf8, None, tuple(parameters))
    at = hop(" ".join(offered), tls=tls, elapsed=elapsed)
    passed = mail_onward(given_mail, at)
    if isinstance(passed, Reply):
        assert passed.permanent
        return
    kept = {type(p) for p in passed.command.parameters}
    assert kept | {type(p) for p in passed.left_out} >= {type(p) for p in parameters}
    client = smtp.Client(tls=tls)
    client.receive_data(b"220 mx\r\n")
    client.next_event()
    client.send(smtp.Ehlo("a"))
    lines = ["mx", *(f"{word} PLAIN" if word == "AUTH" else word for word in offered)]
    for number, line in enumerate(lines, 1):
        client.receive_data(f"250{' ' if number == len(lines) else '-'}{line}\r\n".encode())
    client.next_event()
    recipient = rcpt_onward(Rcpt(BOB), given_mail, at)
    assert isinstance(recipient, Onward)
    client.check_transaction(passed.command, [recipient.command])
